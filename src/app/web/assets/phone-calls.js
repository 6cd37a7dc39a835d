// Calls: what is going on in each, and what can be done with it.
import { kept } from "./phone-base.js";
import { look } from "./phone-quality.js";
import { Returns } from "./phone-return.js";
import { keyTone, microphone, mix, sendTo, wantedAudio } from "./phone-sound.js";

const GATHERING = 500;
const OWN_ADDRESSES = 50;
// How many looks without a packet until it is asked whether the switch waits for this page.
const SILENT = 3;

class Call {
  constructor(calls, session, isIncoming, number) {
    this.calls = calls;
    this.session = session;
    this.isIncoming = isIncoming;
    const other = session?.remote_identity;
    this.number = number ?? other?.uri?.user ?? "";
    this.name = (isIncoming && other?.display_name) || "";
    this.id = session?.id ?? crypto.randomUUID();
    this.state = isIncoming ? "ringing" : "calling";
    this.epoch = calls.line?.epoch;
    this.began = Date.now();
    this.answered = null;
    this.isMuted = false;
    this.isHeld = false;
    this.isHeldThere = false;
    // `on`, `paused`, or null.
    this.recording = null;
    this.keys = "";
    this.quality = null;
    this.worst = "good";
    this.audio = new Audio();
    this.audio.autoplay = true;
    if (session) this.listen();
  }

  get isOver() {
    return this.state === "over";
  }

  // The Call-ID of its dialog, which the record of this leg has as well.
  get callId() {
    return this.session?._request?.call_id ?? this.lostId ?? null;
  }

  get isJoined() {
    return Boolean(this.calls.conference?.calls.includes(this));
  }

  listen(session = this.session) {
    // A session that another one has replaced has no say.
    const on = (name, does) => session.on(name, (event) => { if (this.session === session) does(event); });
    const heard = (connection) => {
      connection.addEventListener("track", ({ track, streams }) => {
        const stream = streams[0] ?? new MediaStream([track]);
        if (this.session === session) this.hear(stream);
        else if (this.next?.session === session) this.next.remote = stream;
      });
    };
    if (session.connection) heard(session.connection);
    session.on("peerconnection", ({ peerconnection }) => heard(peerconnection));
    // INVITE and answer wait for the end of gathering, which is seconds away with a STUN server that does not answer. Without any, there are only
    // this computer's own addresses, which come at once.
    let gathered = null;
    const asksOthers = this.calls.line?.account.ice_servers?.length > 0;
    session.on("icecandidate", ({ ready }) => { gathered ??= setTimeout(ready, asksOthers ? GATHERING : OWN_ADDRESSES); });
    on("progress", ({ response }) => {
      if (!this.isIncoming && this.state === "calling") this.to("ringing_there", { hears: Boolean(response?.body) });
    });
    const answered = () => {
      if (this.answered || this.isOver) return;
      this.answered = Date.now();
      this.firstId = this.callId;
      this.to("talking");
      this.watch();
      this.calls.returns.watches(this);
    };
    on("accepted", answered);
    on("confirmed", answered);
    on("hold", ({ originator }) => this.set(originator === "local" ? "isHeld" : "isHeldThere", true));
    on("unhold", ({ originator }) => this.set(originator === "local" ? "isHeld" : "isHeldThere", false));
    // Within a conference, muting is not the session's.
    on("muted", () => { if (!this.isJoined) this.set("isMuted", true); });
    on("unmuted", () => { if (!this.isJoined) this.set("isMuted", false); });
    // The switch ends it once another one has its place, which may be heard before that.
    const over = ({ originator, message, cause }) => { if (!this.next) this.over(originator, message, cause); };
    on("failed", over);
    on("ended", over);
    session.on("failed", () => this.unsettle(session));
    session.on("ended", () => this.unsettle(session));
    // JsSIP ends a session whose sound is lost (`iceconnectionstatechange` in RTCSession.js). The call itself may come back.
    const terminate = session.terminate.bind(session);
    session.terminate = (options) => {
      if (options?.cause === "RTP Timeout" && this.isKept && this.session === session) this.calls.lost(this);
      else terminate(options);
    };
  }

  hear(stream) {
    this.remote = stream;
    this.audio.srcObject = stream;
    this.tune();
    this.calls.heard(this);
  }

  // The switch calls because this call was asked for. What is heard and said stays as it is until the other side is there.
  async adopt(session) {
    this.unsettle();
    const next = { session, remote: null, track: null };
    this.next = next;
    this.listen(session);
    try {
      const stream = await microphone();
      [next.track] = stream.getAudioTracks();
      next.track.enabled = false;
      if (this.next !== next) return next.track.stop();
      session.answer({ ...this.calls.options(), mediaStream: stream });
    } catch {
      if (this.next === next) this.unsettle();
    }
  }

  // It stands. Returns whether it does.
  settle() {
    const { next, session: before } = this;
    if (!next || this.isOver || next.session.isEnded()) return false;
    if (this.isJoined) for (const call of this.calls.conference.calls) call.wasJoined = true;
    const joined = Boolean(this.wasJoined);
    this.calls.part(this);
    // Nobody of a conversation of three is on hold.
    if (joined) this.isHeld = false;
    Object.assign(this, { session: next.session, next: null, isHeldThere: false, isLost: false, epoch: this.calls.line?.epoch });
    this.microphone?.stop();
    this.microphone = next.track;
    next.track.enabled = !this.isMuted && !this.isHeld;
    if (next.remote) this.hear(next.remote);
    this.drop(before);
    if (this.isMuted) this.session.mute({ audio: true });
    if (this.isHeld) this.holdAgain();
    this.to("talking");
    this.watch();
    this.calls.returned(this, joined);
    return true;
  }

  // The switch has ended it, but could not say so to this page.
  drop(session) {
    try {
      session?.terminate();
    } catch {
      // It had ended here, too.
    }
  }

  // It came to nothing. `session`: if it is this one.
  unsettle(session = this.next?.session) {
    const { next } = this;
    if (!next || next.session !== session) return;
    this.next = null;
    next.track?.stop();
    if (!session.isEnded()) session.terminate(session.isInProgress() ? { status_code: 480 } : undefined);
    if (this.session?.isEnded()) this.over("remote", null, "Terminated");
  }

  // The new session does not know yet that it is on hold.
  holdAgain(turns = 20) {
    if (this.isOver || !this.isHeld || this.session.isOnHold().local || turns === 0) return;
    this.session.hold();
    this.wish = setTimeout(() => this.holdAgain(turns - 1), 200);
  }

  // The switch does not know it any more.
  isGone(cause) {
    if (this.isOver) return;
    const { session } = this;
    this.over("system", null, cause);
    this.drop(session);
  }

  // Another tab goes on with it: nobody is told that this one does not.
  abandon() {
    const { session } = this;
    this.isKept = false;
    this.over("local", null, "abandoned");
    if (!session) return;
    session.terminate = () => {};
    session.connection?.close();
  }

  // How the control plane knows it. A switch does not say whether a recording is paused.
  takeLive(live) {
    const isNew = this.liveId !== live.id;
    this.liveId = live.id;
    const isRecorded = (live.legs ?? []).some((leg) => leg.recording);
    if (isRecorded !== Boolean(this.recording)) this.set("recording", isRecorded ? "on" : null);
    else if (isNew) this.calls.changed(this, "live");
  }

  set(field, value) {
    this[field] = value;
    this.calls.changed(this, field);
  }

  to(state, more = {}) {
    Object.assign(this, { state, ...more });
    this.calls.changed(this, "state");
  }

  over(originator, message, cause) {
    if (this.isOver || this.isEnding) return;
    this.isEnding = true;
    clearInterval(this.watching);
    clearTimeout(this.wish);
    this.unsettle();
    this.calls.part(this, true);
    this.microphone?.stop();
    this.audio.srcObject = null;
    this.ended = Date.now();
    this.status = message?.status_code ?? 0;
    this.cause = cause;
    this.reason = message?.getHeader?.("Reason") ?? "";
    this.byUs = originator === "local";
    this.to("over");
    this.calls.remove(this);
  }

  tune() {
    this.audio.volume = kept.volume;
    sendTo(this.audio, kept.speaker);
  }

  answer() {
    if (this.state !== "ringing") return;
    this.calls.holdOthers(this);
    this.to("answering");
    this.session.answer(this.calls.options());
  }

  reject() {
    if (this.state === "ringing") this.session.terminate({ status_code: 486 });
  }

  end() {
    if (this.isOver) return;
    if (this.session) return this.session.terminate();
    this.calls.returns.end(this);
    this.over("local", null, "");
  }

  mute(wanted = !this.isMuted) {
    if (this.isJoined) this.calls.muteConference(wanted);
    else if (wanted) this.session.mute({ audio: true });
    else this.session.unmute({ audio: true });
  }

  hold(wanted = !this.isHeld) {
    if (wanted === this.isHeld || this.state !== "talking" || (wanted && this.isJoined)) return;
    clearTimeout(this.wish);
    // It came back on hold, and its new session has not been told yet: there is nothing to take back.
    if (!wanted) this.calls.holdOthers(this);
    if (!wanted && !this.session.isOnHold().local) {
      if (this.microphone) this.microphone.enabled = !this.isMuted;
      return this.set("isHeld", false);
    }
    const done = wanted ? this.session.hold() : this.session.unhold();
    // JsSIP refuses while the request before is under way (_isReadyToReOffer in RTCSession.js), and the wish would be lost.
    if (!done && !this.session.isEnded() && this.isHeld !== wanted) this.wish = setTimeout(() => this.hold(wanted), 200);
  }

  press(key) {
    if (!/^[0-9*#]$/.test(key) || this.isOver) return;
    keyTone(key);
    this.set("keys", (this.keys + key).slice(-24));
    if (this.state === "talking" || this.state === "ringing_there") this.session.sendDTMF(key, { transportType: "RFC2833" });
  }

  // The switch says that it has taken the transfer, and ends this call. Whether the other phone answers, it does not say.
  transfer(target) {
    this.refer(this.calls.uri(target));
  }

  connectWith(other) {
    this.refer(other.session.remote_identity.uri.toString(), { replaces: other.session });
  }

  refer(target, options = {}) {
    this.set("transferring", true);
    const failed = () => { if (!this.isOver) this.set("transferring", false); this.calls.told(this, "transfer_failed"); };
    this.session.refer(target, { ...options, eventHandlers: { requestFailed: failed, failed, accepted: () => this.calls.told(this, "transferred") } });
  }

  watch() {
    clearInterval(this.watching);
    let before = null;
    let silent = 0;
    const turn = async () => {
      const connection = this.session.connection;
      if (!connection || this.isOver) return;
      const { now, told } = await look(connection, before);
      before = now;
      if (!told || this.isOver) return;
      silent = told.silent && !this.isHeld && !this.isHeldThere ? silent + 1 : 0;
      if (told.silent && silent < 2) told.word = "good";
      if (told.word !== "good") this.worst = told.word;
      this.quality = told;
      this.calls.changed(this, "quality");
      if (silent > 0 && silent % SILENT === 0 && this.isKept && await this.calls.returns.isAwaited(this)) this.calls.lost(this);
    };
    this.watching = setInterval(turn, 2000);
    turn();
  }

  sender() {
    return this.session?.connection?.getSenders().find((sender) => sender.track?.kind === "audio") ?? null;
  }
}

// Tells `changed` and `told`; `list` has the calls that go on, the oldest first.
export class Calls extends EventTarget {
  constructor() {
    super();
    this.list = [];
    this.conference = null;
    this.returns = new Returns();
  }

  // The line's sessions become calls here.
  attach(line) {
    this.line = line;
    line.addEventListener("session", ({ detail: { originator, session, request } }) => {
      if (originator !== "remote") return;
      const lost = this.returns.expects(request);
      if (lost) return lost.adopt(session);
      this.add(new Call(this, session, true), request);
    });
  }

  add(call, request) {
    call.request = request;
    this.list.push(call);
    this.changed(call, "new");
    return call;
  }

  // Calls that the page had before it was loaded anew.
  restore(remembered) {
    for (const { callId, isJoined, ...one } of remembered) {
      if (this.list.some((call) => call.callId === callId)) continue;
      const call = new Call(this, null, one.isIncoming, one.number);
      Object.assign(call, one, { state: "returning", lostId: callId, isKept: true, wasJoined: isJoined });
      this.list.push(call);
      this.changed(call, "restored");
    }
  }

  // The page is registered: calls that the switch has lost the way to are asked for.
  bring() {
    for (const call of this.list) {
      const isLost = !call.session || call.isLost || (call.state === "talking" && call.epoch !== this.line.epoch);
      if (isLost && call.isKept) this.lost(call);
    }
  }

  // A call whose way to the switch is lost.
  lost(call) {
    call.isLost = true;
    if (this.line?.state === "registered") this.returns.bring(call, () => this.line?.page);
  }

  // A call is back; so may be the other one that it was joined with.
  returned(call, isJoined) {
    call.wasJoined = isJoined;
    const both = this.list.filter((one) => one.state === "talking" && one.wasJoined);
    if (both.length === 2) {
      for (const one of both) one.wasJoined = false;
      this.join();
    }
    this.changed(call, "returned");
  }

  remove(call) {
    this.list = this.list.filter((other) => other !== call);
    this.changed(call, "over");
  }

  changed(call, what) {
    this.dispatchEvent(new CustomEvent("changed", { detail: { call, what } }));
  }

  told(call, word) {
    this.dispatchEvent(new CustomEvent("told", { detail: { call, word } }));
  }

  get ringing() {
    return this.list.find((call) => call.state === "ringing") ?? null;
  }

  // The call that is heard: neither held nor ringing.
  get active() {
    return this.list.find((call) => call.state === "talking" && !call.isHeld) ?? this.list.find((call) => call.state !== "ringing") ?? null;
  }

  uri(target) {
    return `sip:${encodeURIComponent(target).replaceAll("%2B", "+").replaceAll("%2A", "*")}@${this.line.account.domain}`;
  }

  options() {
    return {
      mediaConstraints: { audio: wantedAudio(), video: false },
      pcConfig: { iceServers: this.line.account.ice_servers ?? [] },
      rtcOfferConstraints: { offerToReceiveAudio: true, offerToReceiveVideo: false },
    };
  }

  dial(number) {
    this.holdOthers(null);
    const session = this.line.ua.call(this.uri(number), this.options());
    return this.add(new Call(this, session, false, number));
  }

  holdOthers(but) {
    if (this.conference) return;
    for (const call of this.list) if (call !== but && call.session) call.hold(true);
  }

  swap() {
    const held = this.list.find((call) => call.state === "talking" && call.isHeld);
    if (held) held.hold(false);
  }

  // Three in one conversation: each of the two hears us and the other, mixed here.
  join() {
    const [one, other] = this.list.filter((call) => call.state === "talking");
    if (!one || !other || this.conference) return;
    const own = [one, other].map((call) => call.sender()?.track);
    if (own.some((track) => !track) || !one.remote || !other.remote) return;
    this.conference = { calls: [one, other], mixes: [] };
    const isMuted = one.isMuted || other.isMuted;
    [[one, other], [other, one]].forEach(([call, third], at) => {
      const mixed = mix(new MediaStream([own[at]]), third.remote);
      this.conference.mixes.push({ call, mixed, own: own[at] });
      call.sender().replaceTrack(mixed.track);
      // The session mutes and holds by the track that is sent, which is the mix from now on.
      if (call.isMuted) call.session.unmute({ audio: true });
      if (call.isHeld) call.hold(false);
    });
    this.muteConference(isMuted);
    this.changed(one, "conference");
  }

  // Sound of this call begins, or begins again after it was on hold.
  heard(call) {
    if (!call.isJoined) return;
    this.conference.mixes.find((one) => one.call !== call)?.mixed.hear(call.remote);
  }

  // Nobody hears us, but the two go on hearing each other: our voice is muted before it is mixed.
  muteConference(isMuted) {
    const { calls, mixes } = this.conference;
    for (const { own } of mixes) own.enabled = !isMuted;
    for (const call of calls) if (call.isMuted !== isMuted) call.set("isMuted", isMuted);
  }

  // Ends the conference; both calls stay, or the other one if this call is over.
  part(call, isOver = false) {
    if (!call.isJoined) return;
    const { mixes } = this.conference;
    this.conference = null;
    for (const { call: one, mixed, own } of mixes) {
      if (!(isOver && one === call) && !one.isOver) {
        one.sender()?.replaceTrack(own).catch(() => {});
        if (one.isMuted) one.session.mute({ audio: true });
        own.enabled = !one.isMuted;
      }
      mixed.end();
    }
    this.changed(call, "conference");
  }

  // Each call gets a track of the microphone that is chosen now. JsSIP stops the tracks that it has asked for itself, and no others.
  async changeMicrophone() {
    for (const call of this.list) {
      if (!call.sender()?.track) continue;
      let track;
      try {
        [track] = (await navigator.mediaDevices.getUserMedia({ audio: wantedAudio() })).getAudioTracks();
      } catch {
        this.told(call, "microphone_failed");
        return;
      }
      if (call.isOver) {
        track.stop();
        continue;
      }
      // The call may have been joined or muted while the browser asked.
      const joined = () => this.conference?.mixes.find((one) => one.call === call);
      const before = joined()?.own ?? call.sender().track;
      track.enabled = before.enabled;
      call.microphone = track;
      if (!joined()) await call.sender().replaceTrack(track).catch(() => {});
      const part = joined();
      if (part?.own === before) {
        part.own = track;
        part.mixed.change(new MediaStream([track]));
      }
      track.enabled = before.enabled;
      before.stop();
    }
  }
}
