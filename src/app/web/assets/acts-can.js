// What can be done to a call as it is. The API decides; what it would surely refuse is not offered.
const legs = (call) => call.legs ?? [];
const isUp = (leg) => Boolean(leg) && leg.state !== "ringing";

// The phone that is meant: the visitor's own, or else the first of the company's that has answered.
export function phone_of(call, me) {
  const own = legs(call).find((leg) => me && leg.agent_id === me);
  const phones = legs(call).filter((leg) => leg.extension_id);
  return own ?? phones.find(isUp) ?? phones[0];
}

// `may`: `me`, `all` (others' calls, too), `own` (the number of one's phone), `supervision`, `queues`, `records` (the company uses recordings).
export function can(call, may) {
  const phone = phone_of(call, may.me);
  const isOwn = Boolean(phone && may.me && phone.agent_id === may.me);
  if (!may.all && !isOwn) return new Set();
  const found = new Set(["hangup"]);
  const is = (test, ...names) => { if (test) for (const name of names) found.add(name); };
  const isConnected = isUp(phone) && Boolean(phone.connected_to);
  // Of a caller who talks while no phone is in the call, the other side would be sent.
  const waits = !phone && isUp(legs(call)[0]) && !legs(call)[0].connected_to;
  is(isConnected && phone.state !== "held", "hold");
  is(isUp(phone) && phone.state === "held", "resume");
  is(isConnected || waits, "transfer", "voicemail");
  // Who hears music while the phone asks a third: nobody else is connected with nobody.
  const alone = legs(call).filter((leg) => leg !== phone && !leg.connected_to && ["up", "held"].includes(leg.state));
  const isAside = isUp(phone) && phone.state !== "parked" && alone.length === 1;
  const asked = legs(call).find((leg) => leg.id === phone?.connected_to);
  is(isConnected && !isAside, "consult");
  is(isConnected && isAside && isUp(asked), "complete");
  is(isConnected && isAside, "conference");
  is(isAside, "cancel");
  is(isConnected && !phone.muted, "mute");
  is(isUp(phone) && phone.muted, "unmute");
  is(isConnected, "dtmf");
  is((isConnected || waits) && may.queues, "queue");
  is(isConnected, "park");
  is(call.state === "parked" && may.own, "pick_up");
  const isRecorded = legs(call).some((leg) => leg.recording);
  is(isUp(phone) && !isRecorded && may.records, "record");
  // A switch does not say whether a recording is paused.
  is(isUp(phone) && isRecorded, "pause_recording", "resume_recording", "stop_recording");
  const supervises = may.all && !isOwn && ["allowed", "announced"].includes(may.supervision);
  is(supervises && isUp(phone), "listen", "whisper", "barge");
  is(may.all && !isOwn && isConnected && may.own, "take_over");
  return found;
}
