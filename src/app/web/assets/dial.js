// Click to call: a link to a number is called by the phone in this browser, if it is online, or else the visitor's own phone rings first.
import { answered, follow, send } from "./acts-base.js";

const place = document.getElementById("dialling");
const part = (name) => place.querySelector(`[data-part="${name}"]`);
const kept = "dialplane-dialling";
let now = null;

function say(text) {
  if (part("said").textContent !== text) part("said").textContent = text;
}

function open(number, id) {
  now = { number, id, since: Date.now() };
  part("to").textContent = number;
  part("hangup").hidden = true;
  part("browser").hidden = true;
  part("said").textContent = "";
  place.hidden = false;
}

function close() {
  const had = place.contains(document.activeElement);
  now = null;
  sessionStorage.removeItem(kept);
  place.hidden = true;
  if (had) document.getElementById("main")?.focus();
}

// Says how far the call is, also on the next page.
function watch(job) {
  const mine = now;
  mine.id = job.id;
  mine.state = job.state;
  sessionStorage.setItem(kept, JSON.stringify(mine));
  say(job.said);
  part("hangup").hidden = Boolean(job.is_over);
  follow(job.id, "", (told) => {
    if (now !== mine) return false;
    say(told.said);
    place.dataset.state = told.state;
    part("hangup").hidden = told.is_over;
    if (told.is_over) sessionStorage.removeItem(kept);
    return true;
  });
}

// Has the visitor's own phone ring, and then call.
async function dial(number) {
  open(number, null);
  const mine = now;
  const told = await send("/app/dial", { to: number });
  if (now !== mine) return;
  if (told.how === answered.done && told.job) {
    place.dataset.state = told.job.state;
    watch(told.job);
    return;
  }
  say(told.said ?? place.dataset.failed);
  place.dataset.state = "refused";
  // The phone in the browser needs neither another phone nor our link to the switch.
  part("browser").hidden = !["no_phone_registered", "no_switch_for_call"].includes(told.code);
}

// Has the tab of this browser dial that has the phone. `false`: none has it, or it does not answer.
async function inBrowser(user, number) {
  const { held } = (await navigator.locks?.query()) ?? {};
  if (!held?.some((lock) => lock.name === `dialplane-phone:${user}`)) return false;
  return new Promise((resolve) => {
    const id = crypto.randomUUID?.() ?? String(Math.random());
    const channel = new BroadcastChannel("dialplane-phone");
    const end = (is_taken) => { clearTimeout(nobody); channel.close(); resolve(is_taken); };
    // A tab that wakes up later does not dial any more: phone-tabs.js.
    const nobody = setTimeout(() => end(false), 5000);
    channel.addEventListener("message", ({ data }) => { if (data.said === "dialling" && data.id === id) end(true); });
    channel.postMessage({ said: "dial", user, number, id, at: Date.now() });
  });
}

// What is dialled: without the spaces and brackets that people write.
function dialled(href) {
  let text = href.slice(4).replace(/%(?![0-9a-f]{2})/gi, "");
  try {
    text = decodeURIComponent(text);
  } catch {
    // It is not UTF-8, and is what it says.
  }
  return text.replace(/[\s()/]|(?<=\d)-(?=\d)/g, "");
}

export function callNumbers() {
  if (!place) return;
  document.addEventListener("click", async (event) => {
    const link = event.target.closest('a[href^="tel:"]');
    const user = document.body.dataset.phone;
    if (!link || !user) return;
    event.preventDefault();
    const number = dialled(link.getAttribute("href"));
    if (link.dataset.busy || !number) return;
    link.dataset.busy = "true";
    try {
      if (!(await inBrowser(user, number))) await dial(number);
    } finally {
      delete link.dataset.busy;
    }
  });
  part("close").addEventListener("click", close);
  part("browser").addEventListener("click", (event) => {
    const mine = now;
    if (!mine) return;
    event.preventDefault();
    const id = crypto.randomUUID?.() ?? String(Math.random());
    const channel = new BroadcastChannel("dialplane-phone");
    setTimeout(() => channel.close(), 60000);
    // The phone calls no number out of its address, which any website can make: it asks whoever opened it (phone-tabs.js).
    channel.addEventListener("message", ({ data }) => {
      if (data.id !== id) return;
      if (data.said === "opened") channel.postMessage({ said: "dial", user: document.body.dataset.phone, number: mine.number, id, at: Date.now() });
      if (data.said === "dialling") channel.close();
    });
    window.open(`/app/phone?${new URLSearchParams({ dial: mine.number, for: id })}`, "dialplane-phone");
    close();
  });
  part("hangup").addEventListener("click", async () => {
    const mine = now;
    if (!mine?.id) return;
    part("hangup").disabled = true;
    const told = await send(`/app/live/calls/${mine.id}/act`, { action: "hangup" });
    part("hangup").disabled = false;
    if (now === mine) say(told.said ?? place.dataset.failed);
  });
  // A call that the page before this one began.
  try {
    const before = JSON.parse(sessionStorage.getItem(kept));
    if (before?.id && Date.now() - before.since < 3600000) {
      open(before.number, before.id);
      watch({ id: before.id, state: before.state, said: "", is_over: false });
    }
  } catch {
    sessionStorage.removeItem(kept);
  }
}
