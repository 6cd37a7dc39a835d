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
      if (!release) return resolve(false);
      // Another tab has taken it, and answers for it from now on.
      release = null;
      lost();
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
let handOver = () => [];
let takeCalls = () => {};
export function onTabs(handlers) {
  ({ lost, busy, dial, handOver, takeCalls } = handlers);
}

// Says that this tab was opened for a number, to the page that did it. That page alone knows the id, and says the number again; what stands in
// an address may come from any website.
let expected = null;
export function opened(id) {
  expected = id;
  channel.postMessage({ said: "opened", user: root.dataset.user, id });
  setTimeout(() => { expected = null; }, 10000);
}

// Asks the other tab for the phone. Returns whether it may be taken: not while there is a call that can't come along.
export function askFor() {
  return new Promise((resolve) => {
    const answers = ({ data }) => {
      if (data.user !== root.dataset.user || !["given", "busy"].includes(data.said)) return;
      channel.removeEventListener("message", answers);
      if (data.said === "given") takeCalls(data.calls ?? []);
      resolve(data.said === "given");
    };
    channel.addEventListener("message", answers);
    channel.postMessage({ said: "wanted", user: root.dataset.user });
    // A tab that does not answer is frozen or gone.
    setTimeout(() => resolve(true), 1500);
  });
}

channel.addEventListener("message", ({ data }) => {
  if (data.user !== root.dataset.user) return;
  // Whoever clicked long ago, while this tab was frozen, has been called by another phone.
  const isOld = Date.now() - data.at > 4000;
  if (data.said === "dial" && !isOld && (release || data.id === expected)) {
    expected = null;
    channel.postMessage({ said: "dialling", user: data.user, id: data.id });
    dial(data.number);
  }
  if (data.said === "wanted" && release) {
    if (busy()) {
      channel.postMessage({ said: "busy", user: data.user });
    } else {
      const calls = handOver();
      lost();
      give();
      channel.postMessage({ said: "given", user: data.user, calls });
    }
  }
});
