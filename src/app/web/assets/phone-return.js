// Calls come back: after the page was loaded anew, or after its connection was lost, since when the switch knows no way to it. The control
// plane has the switch call this page, which answers by itself because it asked for that, and knows the call by a mark that it made up.
import { ask, here, keepHere } from "./phone-base.js";

// What is older than this is not asked for any more.
const OLDEST = 15 * 60000;
// For how long it is tried again if nobody could say whether the call is still there.
const PATIENCE = 60000;
const PAUSE = 1000;

const wait = (time) => new Promise((done) => { setTimeout(done, time); });

// What the control plane knows of a call: `{ id, leg }`, null if it is over, undefined if nobody can say.
export async function lookFor(call) {
  const answer = await ask(`/v1/live/calls?sip_call_id=${encodeURIComponent(call.callId)}&limit=1`).catch(() => null);
  if (!answer?.ok) return undefined;
  const { items, unknown } = await answer.json();
  if (items[0]) return items[0];
  return unknown.length ? undefined : null;
}

export async function actOn(id, body) {
  const answer = await ask(`/v1/live/calls/${id}/actions`, "POST", body).catch(() => null);
  if (!answer || answer.ok) return { ok: Boolean(answer), code: "" };
  const problem = await answer.json().catch(() => null);
  return { ok: false, code: problem?.code ?? "", detail: problem?.detail };
}

// The call is with nobody. It may be on its way from one to another.
const ALONE = ["not_connected", "nobody_aside"];

export class Returns {
  constructor() {
    this.expected = new Map();
  }

  // The call that an INVITE is for, if this page has asked for it.
  expects(request) {
    const mark = request.getHeader("X-Dialplane-Call");
    const call = mark && this.expected.get(mark);
    if (call) this.expected.delete(mark);
    return call || null;
  }

  // Whether a call could come back: then it is not ended with the page.
  async watches(call) {
    for (let turn = 0; turn < 5 && !call.isOver && !call.isKept; turn += 1) {
      const found = await lookFor(call);
      if (found) {
        if (call.isOver) return;
        call.set("isKept", true);
        call.takeLive(found);
        return;
      }
      await wait(PAUSE);
    }
  }

  // Asks for a call until it is there, or over. `page`: the name in this page's contact.
  async bring(call, page) {
    if (call.isComing || call.isOver) return;
    call.isComing = true;
    const until = Date.now() + PATIENCE;
    let came = "";
    while (!came && !call.isOver && Date.now() < until) {
      came = await this.once(call, page());
      if (!came) await wait(PAUSE);
    }
    call.isComing = false;
    if (call.isOver || came === "here") return;
    if (came === "gone" || !call.session) call.isGone(came === "gone" ? "ended meanwhile" : "not brought back");
    else call.calls.told(call, "return_failed");
  }

  // `here`, `gone`, or nothing if it may be tried again.
  async once(call, page) {
    const found = await lookFor(call);
    if (found === null) return "gone";
    if (!found || !page) return "";
    const mark = crypto.randomUUID();
    this.expected.set(mark, call);
    const { ok, code } = await actOn(found.id, { action: "return", sip_call_id: call.callId, contact: page, mark });
    this.expected.delete(mark);
    if (ok && call.settle()) return "here";
    call.unsettle();
    if (code === "call_gone") return "gone";
    call.alone = ALONE.includes(code) ? (call.alone ?? 0) + 1 : 0;
    if (call.alone < 3) return "";
    // Nobody is there to come back to, and this page can't end what it has lost.
    await this.end(call, found);
    return "gone";
  }

  // Whether the switch waits for this page, which did not notice.
  async isAwaited(call) {
    const found = await lookFor(call);
    return Boolean(found?.legs.some((leg) => leg.state === "parked"));
  }

  // Ends a call that this page has lost.
  async end(call, found) {
    const it = found ?? await lookFor(call);
    if (it) await actOn(it.id, { action: "hangup" });
  }
}

// What this tab needs of its calls after a reload.
export function remember(calls, noted) {
  here.calls = calls.list.filter((call) => call.isKept && call.callId).map((call) => ({
    at: Date.now(),
    callId: call.callId,
    firstId: call.firstId,
    number: call.number,
    name: call.name,
    known: call.known,
    company: call.company,
    isIncoming: call.isIncoming,
    began: call.began,
    answered: call.answered,
    isMuted: call.isMuted,
    isHeld: call.isHeld,
    isJoined: Boolean(call.isJoined || call.wasJoined),
    worst: call.worst,
    ...noted(call),
  }));
  keepHere();
}

// The calls that this tab had, once.
export function remembered() {
  const all = Array.isArray(here.calls) ? here.calls : [];
  here.calls = [];
  return all.filter((one) => one?.callId && one.answered && Date.now() - one.at < OLDEST);
}
