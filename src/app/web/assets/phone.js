// The phone: going online, ringing, shortcuts. One click asks for everything that is needed.
import { ask, dialled, el, find, hasSingleKeys, here, keep, keepHere, kept, root, t } from "./phone-base.js";
import { devices, isSilenced, microphone, openAudio, play, watchLevel } from "./phone-sound.js";
import { askFor, give, onTabs, opened, take } from "./phone-tabs.js";
import { Line } from "./phone-line.js";
import { Calls } from "./phone-calls.js";
import { clearDial, nameOf, openDial, readColleagues, wanted } from "./phone-dial.js";
import { remember, remembered } from "./phone-return.js";
import { afterCall, noted, openDesk, showCard, showNumbers, showRecent } from "./phone-desk.js";
import { mayRecord, record } from "./phone-caller.js";
import { openChat } from "./phone-chat.js";
import { openStatus } from "./phone-status.js";
import { openSmall, showWindow, showWindowClock } from "./phone-window.js";
import { endOf, keypad, partyOf, say, showCalls, showClocks, showKeys, showQuality, showState, stateButton } from "./phone-show.js";

const calls = new Calls();
const title = document.title;
let line = null;
let transferring = null;
// A number that is called as soon as the line stands, and until when.
let toDial = null;
const WAITS = 60000;
const ASLEEP = 8000;

// Where things stand with the line, and what one can do about it.
function stand(name, values = {}) {
  const online = () => stateButton("go_online", goOnline);
  const buttons = {
    offline: online,
    registered: () => stateButton("go_offline", goOffline, "small"),
    connecting: () => stateButton("go_offline", goOffline, "small"),
    lost: () => stateButton("go_offline", goOffline, "small"),
    refused: () => stateButton("go_offline", goOffline, "small"),
    elsewhere: () => stateButton("take_over", takeOver),
    elsewhere_busy: () => stateButton("take_over", takeOver),
    taken: () => stateButton("take_over", takeOver),
    signed_out: () => el("a", { class: "button first", href: "/sign-in" }, t("sign_in")),
    insecure: () => window.location.protocol === "http:" && el("a", { class: "button first", href: window.location.href.replace(/^http:/, "https:") }, t("use_https")),
    no_websocket: () => null,
    unsupported: () => null,
    asking: () => null,
  };
  const button = (buttons[name] ?? (() => stateButton("try_again", goOnline)))();
  root.dataset.state = name;
  showState(name, values, button);
  for (const part of ["call"]) find(part).disabled = name !== "registered";
}

async function account() {
  let answer;
  try {
    answer = await ask("/v1/auth/me");
  } catch {
    return { wrong: "no_server" };
  }
  if (answer.status === 401) return { wrong: "signed_out" };
  if (!answer.ok) return { wrong: "no_server" };
  const me = await answer.json();
  const wantedId = find("extension")?.value ?? kept.extension;
  const own = me.extensions.find((one) => one.id === wantedId) ?? me.extensions[0];
  if (!own) return { wrong: "no_extension" };
  if (!own.websocket_url) return { wrong: "no_websocket" };
  return { own };
}

async function allowed() {
  try {
    const stream = await microphone();
    for (const track of stream.getTracks()) track.stop();
    return null;
  } catch (error) {
    return ["NotFoundError", "OverconstrainedError", "NotReadableError"].includes(error.name) ? "no_device" : "microphone_refused";
  }
}

// Everything that needs a click, in one: audio, microphone, notifications, registration.
async function goOnline() {
  if (!window.isSecureContext) return stand("insecure");
  if (!window.RTCPeerConnection || !navigator.mediaDevices || !navigator.locks) return stand("unsupported");
  openAudio();
  stand("asking");
  const wrong = await allowed();
  if (wrong) return stand(wrong);
  if (window.Notification?.permission === "default") Notification.requestPermission().catch(() => {});
  await showDevices();
  if (!(await take())) return stand("elsewhere");
  restore();
  await connect();
}

// The calls that this tab had before it was loaded anew, or another tab had.
function restore() {
  const all = remembered();
  if (!all.length) return;
  calls.restore(all);
  for (const call of [...calls.list].sort((one, other) => other.isHeld - one.isHeld)) card(call);
}

async function takeOver() {
  openAudio();
  if (!(await askFor())) return stand("elsewhere_busy");
  if (await take() || await take(true)) {
    const wrong = await allowed();
    if (wrong) { give(); return stand(wrong); }
    restore();
    await connect();
  }
}

async function connect() {
  const { own, wrong } = await account();
  if (wrong) {
    give();
    return stand(wrong);
  }
  line?.stop();
  line = new Line(own);
  calls.attach(line);
  line.addEventListener("state", ({ detail: { state, status } }) => {
    stand(state, { number: own.number, status: status || "" });
    if (state === "registered") registered();
  });
  here.online = true;
  keepHere();
  line.start();
}

function registered() {
  readColleagues().then(() => showRecent(nameOf));
  calls.bring();
  const wanted = toDial;
  toDial = null;
  if (wanted && Date.now() < wanted.until) dial(wanted.number);
}

// A number that somebody clicked in a page of ours.
function dialClicked(text) {
  window.focus();
  const number = dialled(text);
  if (line?.state === "registered") return dial(number);
  toDial = { number, until: Date.now() + WAITS };
  if (!line) goOnline();
}

function leave(state) {
  here.online = false;
  keepHere();
  play(null);
  for (const call of calls.list) (call.state === "ringing" ? call.reject() : call.end());
  line?.stop();
  line = null;
  stand(state);
}

function goOffline() {
  leave("offline");
  give();
}

// Another tab may go on with calls that can come back, and with no others.
function handOver() {
  remember(calls, noted);
  const all = here.calls;
  here.calls = [];
  for (const call of [...calls.list]) call.abandon();
  return all;
}

onTabs({
  lost: () => leave("taken"),
  busy: () => calls.list.some((call) => !call.isKept),
  dial: dialClicked,
  handOver,
  takeCalls: (all) => { here.calls = all; },
});

// Calls.
function dial(number) {
  if (!number) return find("number").focus();
  if (line?.state !== "registered") return say(t("go_online_first"), true);
  openAudio();
  if (transferring && !transferring.isOver) {
    transferring.transfer(number);
    endTransfer();
  } else {
    kept.last = number;
    keep();
    const call = calls.dial(number);
    call.known = nameOf(number);
    changed();
    card(call);
  }
  clearDial();
}

function startTransfer(call) {
  transferring = call;
  find("transfer-to").textContent = t("transfer_to", { name: partyOf(call) });
  for (const [part, hidden] of [["transfer", false], ["call", true], ["redial", true]]) find(part).hidden = hidden;
  find("number").focus();
}

function endTransfer() {
  transferring = null;
  for (const [part, hidden] of [["transfer", true], ["call", false], ["redial", false]]) find(part).hidden = hidden;
}

// Calls what stands in the field, or transfers to it; `asks`: asks there first. The call is held meanwhile, and both can be connected then.
async function dialField(asks = false) {
  openAudio();
  const whom = transferring;
  const number = await wanted();
  if (!number) return find("number").focus();
  // It may have ended while the name was looked up.
  if (whom !== transferring) return;
  if (asks) endTransfer();
  dial(number);
}

// Who is on the phone. A call that rings while another goes on does not take the card away from it.
async function card(call) {
  if (calls.list.some((other) => other !== call && other.state === "talking" && !other.isHeld)) return;
  const contact = await showCard(call, partyOf(call));
  if (!contact || call.isOver) return;
  call.known = contact.name;
  call.company = contact.company;
  changed();
}

const does = {
  answer: (call) => { openAudio(); call.answer(); },
  keys: (call) => { call.showsKeys = !call.showsKeys; changed(); },
  transfer: startTransfer,
  record: mayRecord ? record : null,
};

function changed() {
  showCalls(calls, does);
  showWindow(calls, does);
  const { ringing } = calls;
  const others = calls.list.some((call) => call.state === "talking");
  const dialling = calls.list.some((call) => call.state === "ringing_there" && !call.hears);
  play(ringing ? (others ? "knock" : "ring") : (dialling ? "calling" : null));
  document.title = ringing ? t("rings_title", { name: partyOf(ringing) }) : title;
  if (transferring?.isOver) endTransfer();
}

let notice = null;
function notify(call) {
  if (window.Notification?.permission !== "granted" || document.hasFocus()) return;
  notice = new Notification(t("rings_title", { name: partyOf(call) }), { body: call.number, tag: "dialplane-phone", requireInteraction: true });
  notice.onclick = () => { window.focus(); notice?.close(); };
}

calls.addEventListener("changed", ({ detail: { call, what } }) => {
  if (what === "quality") return showQuality(call);
  if (what === "keys") return showKeys(call);
  if (what === "new" && call.isIncoming) {
    call.known = nameOf(call.number);
    say(t("rings", { name: partyOf(call) }));
    notify(call);
    changed();
    card(call);
    find("calls").firstElementChild?.scrollIntoView({ block: "nearest" });
    return;
  }
  if (what === "state" && call.state !== "ringing") {
    notice?.close();
    if (call.state === "talking") card(call);
    if (call.state === "talking") say(t("connected", { name: partyOf(call) }));
  }
  if (["isMuted", "isHeld", "isHeldThere", "recording"].includes(what)) say(t(`said.${what}.${call[what]}`));
  // Another tab goes on with it.
  if (what === "over" && call.cause === "abandoned") return changed();
  if (what === "over") {
    notice?.close();
    afterCall(call);
    setTimeout(() => showRecent(nameOf), 4000);
    const end = endOf(call);
    say(end ? t(`end.${end}`, { name: partyOf(call) }) : t("ended", { name: partyOf(call) }), Boolean(end) && end !== "missed" && end !== "elsewhere");
  }
  if (what === "returned") say(t("returned", { name: partyOf(call) }));
  remember(calls, noted);
  changed();
});
calls.addEventListener("told", ({ detail: { call, word } }) => say(t(word, { name: partyOf(call) }), word !== "transferred"));

// Devices, volumes, and a look at the microphone's level.
let stopLevel = null;
async function showDevices() {
  const { inputs, outputs } = await devices();
  const fill = (part, all, value) => {
    const field = find(part);
    field.replaceChildren(el("option", { value: "" }, t("device.default")), ...all.filter((one) => one.deviceId && one.deviceId !== "default")
      .map((one, at) => el("option", { value: one.deviceId, selected: one.deviceId === value }, one.label || t("device.number", { number: at + 1 }))));
    field.closest(".field").hidden = all.length === 0;
  };
  fill("microphone", inputs, kept.microphone);
  fill("speaker", outputs, kept.speaker);
  fill("ringer", outputs, kept.ringer);
}

let meterTurn = 0;
async function meter(open) {
  meterTurn += 1;
  const mine = meterTurn;
  stopLevel?.();
  stopLevel = null;
  if (!open || !navigator.mediaDevices) return;
  openAudio();
  try {
    const stream = await microphone();
    // Closed meanwhile, or another microphone was chosen.
    if (mine !== meterTurn) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    showDevices();
    stopLevel = watchLevel(stream, (level) => { find("level").value = level; });
  } catch {
    say(t("sentence.microphone_refused"), true);
  }
}

find("settings").addEventListener("toggle", (event) => meter(event.target.open));
navigator.mediaDevices?.addEventListener("devicechange", showDevices);
for (const part of ["microphone", "speaker", "ringer"]) {
  find(part).addEventListener("change", async (event) => {
    kept[part] = event.target.value;
    keep();
    if (part === "microphone") { await calls.changeMicrophone(); await meter(find("settings").open); }
    for (const call of calls.list) call.tune();
  });
}
for (const part of ["volume", "ring_volume"]) {
  find(part).value = kept[part];
  find(part).addEventListener("input", (event) => {
    kept[part] = Number(event.target.value);
    keep();
    for (const call of calls.list) call.tune();
  });
}
find("try-ring").addEventListener("click", () => {
  openAudio();
  play("ring");
  setTimeout(() => { if (!calls.ringing) play(null); }, 3000);
});
find("echo")?.addEventListener("click", () => dial(find("echo").dataset.number));

// The field to dial.
openDial(() => dialField());
find("call").addEventListener("click", () => dialField());
find("transfer-now").addEventListener("click", () => { if (transferring) dialField(); });
find("transfer-ask").addEventListener("click", () => { if (transferring) dialField(true); });
find("transfer-not").addEventListener("click", endTransfer);
find("redial").addEventListener("click", () => { if (kept.last) { clearDial(kept.last); find("number").focus(); } });
find("pad-toggle").addEventListener("click", () => {
  const pad = find("pad");
  pad.hidden = !pad.hidden;
  find("pad-toggle").setAttribute("aria-expanded", String(!pad.hidden));
});
find("pad").append(keypad((key) => { find("number").value += key; find("number").dispatchEvent(new Event("input")); }, t("act.keypad")));
const choice = find("extension");
if (choice && [...choice.options].some((option) => option.value === kept.extension)) choice.value = kept.extension;
choice?.addEventListener("change", () => {
  kept.extension = choice.value;
  keep();
  // A call keeps its line; the other extension rings here the next time.
  if (line && !calls.list.length) connect();
});

// Shortcuts, while nobody types.
const KEYS = {
  a: () => calls.ringing && does.answer(calls.ringing),
  r: () => calls.ringing?.reject(),
  e: () => calls.active?.end(),
  m: () => calls.active?.state === "talking" && calls.active.mute(),
  o: () => { const call = calls.active ?? calls.list[0]; if (call && !call.isJoined) call.hold(); },
  k: () => calls.active && does.keys(calls.active),
  t: () => calls.active?.state === "talking" && !calls.active.isJoined && startTransfer(calls.active),
  s: () => calls.swap(),
  d: () => find("number").focus(),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest("input, textarea, select, dialog")) return;
  if (!hasSingleKeys() && !event.target.closest(".keypad")) return;
  if (calls.active?.showsKeys && /^[0-9*#]$/.test(event.key)) return calls.active.press(event.key);
  if (!hasSingleKeys()) return;
  const does_ = KEYS[event.key.toLowerCase()];
  if (!does_) return;
  event.preventDefault();
  does_();
});

// Whoever switches them off (assets/app.js) is not told of any.
function showShortcuts() {
  if (hasSingleKeys()) find("number").setAttribute("aria-keyshortcuts", "d");
  else find("number").removeAttribute("aria-keyshortcuts");
  showCalls(calls, does);
}
document.addEventListener("single-keys", showShortcuts);

// A call would end with the page, so other pages open beside it.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || !calls.list.length || link.getAttribute("href").startsWith("#") || link.protocol === "tel:") return;
  link.target = "_blank";
  link.rel = "noopener";
});
window.addEventListener("beforeunload", (event) => { if (calls.list.length) event.preventDefault(); });

// A call of a page that is gone would be silence for the other side until the switch notices, unless it can come back.
window.addEventListener("pagehide", () => {
  remember(calls, noted);
  for (const call of [...calls.list]) if (call.state !== "ringing" && !call.isKept) call.end();
});

openDesk();
openChat();
openStatus((live) => calls.list.find((call) => call.liveId === live.id)?.takeLive(live));
openSmall(calls, does);
readColleagues().then(() => showRecent(nameOf));
showNumbers();
// A clock that jumps was asleep.
let ticked = Date.now();
setInterval(() => {
  if (Date.now() - ticked > ASLEEP && calls.list.length) line?.wake();
  // Whoever talks does not wait for the pauses between attempts.
  else if (calls.list.some((call) => call.isKept)) line?.reconnect();
  ticked = Date.now();
  showClocks(calls);
  showWindowClock(calls);
}, 1000);
stand("offline");
showShortcuts();
// What rings in a page that nobody has clicked yet may be silent.
document.addEventListener("click", () => { if (isSilenced()) openAudio(); }, { once: true });
// Any website may lead here with a number, so it waits in the field: calling it costs money and opens the microphone.
const address = new URLSearchParams(window.location.search);
if (address.has("dial")) {
  const number = dialled(address.get("dial"));
  window.history.replaceState(null, "", window.location.pathname);
  clearDial(number);
  say(t("dial_asked", { number }));
  if (address.has("for")) opened(address.get("for"));
}
// After a reload, the phone comes back by itself.
if (here.online) goOnline();
if (!window.isSecureContext) stand("insecure");
