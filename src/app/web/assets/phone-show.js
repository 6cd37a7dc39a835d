// How the line and the calls look.
import { clock, el, find, hasSingleKeys, icon, t } from "./phone-base.js";

const TONES = { registered: "active", connecting: "waiting", asking: "waiting", lost: "waiting", offline: "" };

// The line's state: a word, a sentence, and the button that helps.
export function showState(name, values, button) {
  const pill = find("state");
  pill.textContent = t(`state.${name}`);
  pill.className = `state ${TONES[name] ?? "refused"}`;
  find("sentence").textContent = t(`sentence.${name}`, values);
  const place = find("buttons");
  const focused = place.contains(document.activeElement);
  place.replaceChildren(...(button ? [button] : []));
  if (focused) place.querySelector("button")?.focus();
}

export function stateButton(word, onclick, kind = "first") {
  return el("button", { type: "button", class: kind, onclick }, t(word));
}

// Says something to screen readers, and shows it for a while.
let fading = null;
export function say(text, isBad = false) {
  const place = find("said");
  place.textContent = text;
  place.classList.toggle("bad", isBad);
  clearTimeout(fading);
  fading = setTimeout(() => { place.textContent = ""; }, 8000);
}

export function partyOf(call) {
  return call.name && call.name !== call.number ? call.name : (call.known ?? call.number) || t("unknown");
}

function act(call, name, label, picture, onclick, more = {}) {
  return el("button", { type: "button", "data-act": name, "data-call": call.id, onclick, ...more }, icon(picture), el("span", {}, t(label)));
}

function shortcut(key) {
  return hasSingleKeys() ? { "aria-keyshortcuts": key } : {};
}

export function stateOf(call) {
  if (call.transferring) return "call.transferring";
  if (call.state !== "talking") return `call.${call.state}`;
  if (call.isHeld) return "call.held";
  return call.isHeldThere ? "call.held_there" : "call.talking";
}

// A button that is on or off keeps its label; the state is in aria-pressed.
function toggle(call, name, label, picture, isOn, onclick, key) {
  return act(call, name, label, picture, onclick, { "aria-pressed": String(isOn), ...shortcut(key) });
}

const KEYS = "123456789*0#";
const LETTERS = ["", "ABC", "DEF", "GHI", "JKL", "MNO", "PQRS", "TUV", "WXYZ", "", "+", ""];

export function keypad(press, label) {
  return el("div", { class: "keypad", role: "group", "aria-label": label },
    [...KEYS].map((key, at) => el("button", { type: "button", "data-key": key, onclick: () => press(key) }, el("b", {}, key), el("small", { "aria-hidden": "true" }, LETTERS[at]))));
}

// Where the company records calls, and the control plane knows this one.
function recording(call, does) {
  if (!does.record || !call.liveId || call.isHeld) return [];
  const isOn = Boolean(call.recording);
  const isPaused = call.recording === "paused";
  return [
    toggle(call, "record", "act.record", "circle", isOn, () => does.record(call, isOn ? "stop_recording" : "record")),
    isOn && toggle(call, "pause_recording", "act.pause_recording", "pause", isPaused, () => does.record(call, isPaused ? "resume_recording" : "pause_recording")),
  ];
}

function buttons(call, calls, does) {
  if (call.state === "ringing") {
    return [
      act(call, "answer", "act.answer", "phone", () => does.answer(call), { class: "good", ...shortcut("a") }),
      act(call, "reject", "act.reject", "phone-off", () => call.reject(), { class: "bad", ...shortcut("r") }),
    ];
  }
  const end = act(call, "end", "act.end", "phone-off", () => call.end(), { class: "bad", ...shortcut("e") });
  const pad = toggle(call, "keypad", "act.keypad", "grip", Boolean(call.showsKeys), () => does.keys(call), "k");
  if (call.state !== "talking") return call.state === "ringing_there" ? [pad, end] : [end];
  const talking = calls.list.filter((other) => other.state === "talking");
  const other = talking.find((one) => one !== call);
  const { isJoined } = call;
  const hold = toggle(call, "hold", "act.hold", call.isHeld ? "play" : "pause", call.isHeld, () => call.hold(), "o");
  if (call.isHeld && other) return [hold, end];
  return [
    toggle(call, "mute", "act.mute", call.isMuted ? "mic-off" : "mic", call.isMuted, () => call.mute(), "m"),
    !isJoined && hold,
    pad,
    !isJoined && act(call, "transfer", "act.transfer", "phone-forwarded", () => does.transfer(call), shortcut("t")),
    other && !isJoined && !call.isHeld && act(call, "swap", "act.swap", "arrow-left-right", () => calls.swap(), shortcut("s")),
    other && !isJoined && !call.isHeld && act(call, "connect", "act.connect", "merge", () => other.connectWith(call)),
    other && !isJoined && !call.isHeld && talking.length === 2 && act(call, "join", "act.join", "user-plus", () => calls.join()),
    ...recording(call, does),
    isJoined && act(call, "part", "act.part", "users-round", () => calls.part(call)),
    end,
  ].filter(Boolean);
}

function card(call, calls, does) {
  const party = partyOf(call);
  const line = [call.number !== party && call.number, call.company].filter(Boolean).join(" · ");
  const showsKeys = call.showsKeys && !call.isHeld;
  const held = call.isHeld || call.state === "ringing" ? "" : " on";
  return el("article", { class: `call ${call.state}${held}`, "data-id": call.id, "aria-label": party },
    el("div", { class: "who" },
      el("div", { class: "face", "aria-hidden": "true" }, party.replace(/[^\p{L}\d]/gu, "").slice(0, 1).toUpperCase() || "?"),
      el("div", {}, el("h2", {}, party), line && el("p", { class: "quiet mono" }, line)),
      el("div", { class: "when" }, el("span", { class: "call-state" }, t(stateOf(call))), el("span", { class: "mono", "data-clock": call.id }, clockOf(call)))),
    call.isMuted && el("p", { class: "hint-line" }, icon("mic-off"), t("muted")),
    el("p", { class: "trouble", "data-trouble": call.id, role: "status" }),
    showsKeys && el("output", { class: "mono keys-sent", "data-keys": call.id, "aria-label": t("keys_sent") }, call.keys || " "),
    showsKeys && keypad((key) => call.press(key), t("act.keypad")),
    el("div", { class: "call-buttons" }, buttons(call, calls, does)),
    el("p", { class: "figures-line quiet", "data-figures": call.id }));
}

export function clockOf(call) {
  return clock(Math.floor((Date.now() - (call.answered ?? call.began)) / 1000));
}

export function showCalls(calls, does) {
  const place = find("calls");
  const focus = document.activeElement;
  const was = place.contains(focus) ? [focus.dataset.call, focus.dataset.act, focus.dataset.key] : null;
  // What rings is first, then what is heard, then what is held.
  const rank = (call) => (call.state === "ringing" ? 0 : call.isHeld ? 2 : 1);
  const sorted = [...calls.list].sort((one, other) => rank(one) - rank(other));
  place.replaceChildren(...sorted.map((call) => card(call, calls, does)));
  for (const call of calls.list) showQuality(call);
  find("idle").hidden = calls.list.length > 0;
  if (!was) return;
  const [id, name, key] = was;
  const again = key ? place.querySelector(`[data-key="${key}"]`) : place.querySelector(`[data-call="${id}"][data-act="${name}"]`);
  (again ?? place.querySelector("button") ?? find("number")).focus();
}

export function showClocks(calls) {
  for (const call of calls.list) {
    const place = find("calls").querySelector(`[data-clock="${CSS.escape(call.id)}"]`);
    if (place) place.textContent = clockOf(call);
  }
}

export function showKeys(call) {
  const place = find("calls").querySelector(`[data-keys="${CSS.escape(call.id)}"]`);
  if (place) place.textContent = call.keys || " ";
}

export function showQuality(call) {
  const { quality } = call;
  const place = find("calls").querySelector(`[data-figures="${CSS.escape(call.id)}"]`);
  if (!place || !quality) return;
  const trouble = find("calls").querySelector(`[data-trouble="${CSS.escape(call.id)}"]`);
  const sentence = quality.word === "good" || call.isHeld ? "" : t(`quality.${quality.word}`);
  if (trouble.textContent !== sentence) trouble.textContent = sentence;
  const figures = [];
  if (quality.trip !== null) figures.push(t("quality.trip", { ms: Math.round(quality.trip * 1000) }));
  figures.push(t("quality.loss", { percent: Math.round(quality.loss * 100) }));
  if (quality.jitter !== null) figures.push(t("quality.jitter", { ms: Math.round(quality.jitter * 1000) }));
  place.textContent = figures.join(" · ");
}

const ENDS = [
  [(call) => call.cause === "User Denied Media Access", "no_microphone"],
  [(call) => call.cause === "RTP Timeout", "lost"],
  [(call) => call.cause === "ended meanwhile", "meanwhile"],
  [(call) => call.cause === "not brought back", "not_back"],
  [(call) => call.cause === "Connection Error" || call.cause === "Request Timeout", "not_reached"],
  [(call) => [486, 600].includes(call.status), "busy"],
  [(call) => [404, 484, 604].includes(call.status), "nobody"],
  [(call) => [480, 408, 487].includes(call.status), "no_answer"],
  [(call) => [402, 403, 603].includes(call.status), "refused"],
  [(call) => [488, 606].includes(call.status), "no_common_codec"],
  [(call) => call.status >= 500, "failed"],
];

// Why a call ended, if it is not plain.
export function endOf(call) {
  if (call.answered || call.byUs) return ENDS.slice(0, 4).find(([is]) => is(call))?.[1] ?? null;
  if (call.isIncoming) return /cause=200|completed elsewhere/i.test(call.reason) ? "elsewhere" : "missed";
  return ENDS.find(([is]) => is(call))?.[1] ?? null;
}
