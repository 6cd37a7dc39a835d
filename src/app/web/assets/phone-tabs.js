// Only one tab has the phone: a second one would take the registration away from the first. And other pages of the product dial through it.
import { root } from "./phone-base.js";

const channel = new BroadcastChannel("dialplane-phone");
const name = `dialplane-phone:${root.dataset.user}`;
let release = null;

// Takes the phone. `false`: another tab has it.
export function take(steal = false) {
  return new Promise((resolve) => {
    navigator.locks.request(name, steal ? { steal: true } : { ifAvailable: true }, (lock) => {
      if (!lock) return resolve(false);
      resolve(true);
      return new Promise((done) => { release = done; });
    }).catch(() => {
      // Another tab has taken it.
      if (release) lost();
    });
  });
}

export function give() {
  release?.();
  release = null;
}

let lost = () => {};
let busy = () => false;
let dial = () => {};
export function onTabs(handlers) {
  ({ lost, busy, dial } = handlers);
}

// Asks the other tab for the phone. Returns whether it may be taken: not while there is a call.
export function askFor() {
  return new Promise((resolve) => {
    const answers = ({ data }) => {
      if (data.user !== root.dataset.user || !["given", "busy"].includes(data.said)) return;
      channel.removeEventListener("message", answers);
      resolve(data.said === "given");
    };
    channel.addEventListener("message", answers);
    channel.postMessage({ said: "wanted", user: root.dataset.user });
    // A tab that does not answer is frozen or gone.
    setTimeout(() => resolve(true), 1500);
  });
}

channel.addEventListener("message", ({ data }) => {
  if (data.user !== root.dataset.user || !release) return;
  if (data.said === "wanted") {
    if (busy()) {
      channel.postMessage({ said: "busy", user: data.user });
    } else {
      lost();
      give();
      channel.postMessage({ said: "given", user: data.user });
    }
  }
  if (data.said === "dial") {
    channel.postMessage({ said: "dialling", user: data.user, id: data.id });
    dial(data.number);
  }
});
