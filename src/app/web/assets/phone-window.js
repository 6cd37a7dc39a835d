// A small window that stays above all others, with the call and its buttons, where the browser has such windows (Document Picture-in-Picture).
import { el, find, icon, t } from "./phone-base.js";
import { clockOf, partyOf, stateOf } from "./phone-show.js";

const SIZE = { width: 340, height: 210 };
let pane = null;

function button(name, picture, onclick, more = {}) {
  return el("button", { type: "button", "data-act": name, onclick, ...more }, icon(picture), el("span", {}, t(`act.${name}`)));
}

function buttons(call, does) {
  if (call.state === "ringing") {
    return [button("answer", "phone", () => does.answer(call), { class: "good" }), button("reject", "phone-off", () => call.reject(), { class: "bad" })];
  }
  const talks = call.state === "talking";
  return [
    talks && button("mute", call.isMuted ? "mic-off" : "mic", () => call.mute(), { "aria-pressed": String(call.isMuted) }),
    talks && !call.isJoined && button("hold", call.isHeld ? "play" : "pause", () => call.hold(), { "aria-pressed": String(call.isHeld) }),
    button("end", "phone-off", () => call.end(), { class: "bad" }),
  ].filter(Boolean);
}

// What rings comes first, then what is heard.
function first(calls) {
  return calls.ringing ?? calls.active ?? calls.list[0] ?? null;
}

export function showWindow(calls, does) {
  if (!pane) return;
  const call = first(calls);
  const place = pane.document.body;
  const focused = pane.document.activeElement?.dataset?.act;
  if (!call) {
    place.replaceChildren(el("p", { class: "small-idle" }, t("idle")));
    return;
  }
  const more = calls.list.length - 1;
  place.replaceChildren(el("article", { class: `call ${call.state}${call.isHeld || call.state === "ringing" ? "" : " on"}`, "aria-label": partyOf(call) },
    el("div", { class: "small-who" }, el("b", {}, partyOf(call)), el("span", { class: "mono", "data-clock": call.id }, clockOf(call)),
      el("span", { class: "call-state", role: "status" }, [t(stateOf(call)), more > 0 && t("small.more", { count: more })].filter(Boolean).join(" · "))),
    el("div", { class: "call-buttons" }, buttons(call, does))));
  if (focused) place.querySelector(`[data-act="${focused}"]`)?.focus();
}

export function showWindowClock(calls) {
  const call = pane && first(calls);
  const place = call && pane.document.querySelector("[data-clock]");
  if (place) place.textContent = clockOf(call);
}

async function openWindow(calls, does) {
  if (pane) return pane.close();
  pane = await window.documentPictureInPicture.requestWindow(SIZE);
  const { documentElement: page, head, body } = pane.document;
  page.lang = document.documentElement.lang;
  if (document.documentElement.dataset.theme) page.dataset.theme = document.documentElement.dataset.theme;
  pane.document.title = document.title;
  for (const link of document.querySelectorAll('link[rel="stylesheet"]')) head.append(link.cloneNode());
  body.className = "small-window";
  pane.addEventListener("pagehide", () => {
    pane = null;
    find("small-window").setAttribute("aria-pressed", "false");
  });
  find("small-window").setAttribute("aria-pressed", "true");
  showWindow(calls, does);
}

export function openSmall(calls, does) {
  const place = find("small-window");
  if (!window.documentPictureInPicture) return;
  place.hidden = false;
  // A browser may refuse it, as it does without a click.
  const opens = () => openWindow(calls, does).catch(() => {});
  place.addEventListener("click", opens);
  // Whoever goes to another tab during a call gets it by itself, if they let the browser do that.
  try {
    navigator.mediaSession.setActionHandler("enterpictureinpicture", () => { if (calls.list.length && !pane) opens(); });
  } catch {
    // The browser does not know this action.
  }
}
