// What belongs to a call besides its card: the caller's page in another system, the queue's script, and the recording.
import { ask, el, find, icon, root, t } from "./phone-base.js";
import { actOn, lookFor } from "./phone-return.js";
import { say } from "./phone-show.js";

const template = root.dataset.callerPage ?? "";
const TURNS = 8;
const PAUSE = 500;
export const mayRecord = root.dataset.records === "true";

const wait = (time) => new Promise((done) => { setTimeout(done, time); });

// The address, with what is known filled in. What is not known is empty.
export function callerPage(known) {
  if (!template.startsWith("https://")) return null;
  return template.replace(/\{(number|name|external_id)\}/g, (_, name) => encodeURIComponent(known[name] ?? ""));
}

export function showCallerPage(known) {
  const href = callerPage(known);
  const place = find("card-page");
  place.hidden = !href;
  place.replaceChildren(...(href ? [el("a", { class: "button small", href, target: "_blank", rel: "noopener noreferrer" }, icon("link"), t("caller_page"))] : []));
}

// The script of the queue that a call comes from. The control plane hears of the call a moment after it rings.
export async function showScript(call, isShown) {
  const place = find("script");
  place.hidden = true;
  if (!call.isIncoming) return;
  for (let turn = 0; turn < TURNS && isShown() && !call.isOver; turn += 1) {
    const found = await lookFor(call);
    if (found) {
      call.takeLive(found);
      if (!found.queue_id) return;
      const answer = await ask(`/app/phone/scripts/${found.queue_id}`).catch(() => null);
      const script = answer?.ok ? await answer.json() : null;
      if (!script?.text || !isShown()) return;
      find("script-title").textContent = t("script", { queue: script.queue });
      find("script-text").textContent = script.text;
      place.hidden = false;
      return;
    }
    await wait(PAUSE);
  }
}

// `record`, `stop_recording`, `pause_recording` or `resume_recording`.
export async function record(call, action) {
  if (call.isRecordingAsked) return;
  call.isRecordingAsked = true;
  const found = await lookFor(call);
  const { ok, detail } = found ? await actOn(found.id, { action }) : { ok: false };
  call.isRecordingAsked = false;
  if (call.isOver) return;
  if (!ok) return say(detail || t("recording_failed"), true);
  const becomes = { record: "on", stop_recording: null, pause_recording: "paused", resume_recording: "on" }[action];
  call.set("recording", becomes);
}
