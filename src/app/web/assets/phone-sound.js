// Ring tones, key tones and the level of the microphone, by WebAudio; and which devices there are.
import { kept } from "./phone-base.js";

let context = null;
let ringing = null;

// Only a click may open audio, or a page that has the microphone open at this moment: so this is part of going online, and of each use of the
// microphone. A page that was loaded anew has had no click.
export function openAudio() {
  context ??= new AudioContext();
  if (context.state === "suspended") context.resume().catch(() => {});
}

export function isSilenced() {
  return context?.state === "suspended";
}

// The ring tone goes through an element of its own, because an element can have another device than the page.
const ringer = new Audio();
let ringerOut = null;

function ringerGain() {
  if (!ringerOut) {
    const out = context.createMediaStreamDestination();
    ringerOut = context.createGain();
    ringerOut.connect(out);
    ringer.srcObject = out.stream;
  }
  ringerOut.gain.value = kept.ring_volume;
  sendTo(ringer, kept.ringer);
  ringer.play().catch(() => {});
  return ringerOut;
}

// Tones as [start, length, frequency], repeated by the audio thread: timers of a page in the background run once a minute.
const TONES = {
  ring: { seconds: 3.2, notes: [0, 1].flatMap((turn) => [659, 784, 988, 784].map((hertz, at) => [turn * 0.9 + at * 0.18, 0.5, hertz])) },
  knock: { seconds: 4, notes: [[0, 0.2, 425], [0.3, 0.2, 425]] },
  calling: { seconds: 5, notes: [[0, 1, 425]], even: true },
};

function buffer({ seconds, notes, even }) {
  const rate = context.sampleRate;
  const made = context.createBuffer(1, Math.round(seconds * rate), rate);
  const samples = made.getChannelData(0);
  for (const [start, length, hertz] of notes) {
    const first = Math.round(start * rate);
    const count = Math.min(Math.round(length * rate), samples.length - first);
    for (let at = 0; at < count; at += 1) {
      const edge = Math.min(1, at / (0.005 * rate), (count - at) / (0.02 * rate));
      const fall = even ? 0.5 : Math.exp(-4 * at / count);
      samples[first + at] += 0.35 * edge * fall * Math.sin(2 * Math.PI * hertz * at / rate);
    }
  }
  return made;
}

// Plays `ring`, `knock` (a second call), `calling`, or nothing.
export function play(kind) {
  if (ringing?.kind === kind || (!kind && !ringing)) return;
  ringing?.source.stop();
  ringing = null;
  if (!kind) {
    ringer.pause();
    return;
  }
  if (!context) return;
  const source = context.createBufferSource();
  source.buffer = buffer(TONES[kind]);
  source.loop = true;
  source.connect(kind === "ring" ? ringerGain() : context.destination);
  source.start();
  ringing = { kind, source };
}

const ROWS = [697, 770, 852, 941];
const COLUMNS = [1209, 1336, 1477];
// What the caller hears of a key; the other side gets an event, not this tone.
export function keyTone(key) {
  const at = "123456789*0#".indexOf(key);
  if (!context || at < 0) return;
  const gain = context.createGain();
  gain.gain.value = 0.05 * kept.volume;
  gain.connect(context.destination);
  for (const hertz of [ROWS[Math.floor(at / 3)], COLUMNS[at % 3]]) {
    const tone = context.createOscillator();
    tone.frequency.value = hertz;
    tone.connect(gain);
    tone.start();
    tone.stop(context.currentTime + 0.12);
  }
}

export function sendTo(element, device) {
  element.setSinkId?.(device ?? "").catch(() => element.setSinkId("").catch(() => {}));
}

export function wantedAudio() {
  return { deviceId: kept.microphone ? { ideal: kept.microphone } : undefined, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
}

export async function microphone() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: wantedAudio(), video: false });
  if (context) openAudio();
  return stream;
}

export async function devices() {
  const all = await navigator.mediaDevices.enumerateDevices();
  return { inputs: all.filter((one) => one.kind === "audioinput"), outputs: all.filter((one) => one.kind === "audiooutput") };
}

// Tells the level of a stream, 0 to 1, ten times a second. Returns how to stop.
export function watchLevel(stream, told) {
  const source = context.createMediaStreamSource(stream);
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    told(Math.min(1, Math.sqrt(power) * 4));
  }, 100);
  return () => {
    clearInterval(timer);
    source.disconnect();
    for (const track of stream.getTracks()) track.stop();
  };
}

// One track with our own voice and somebody else's in it, for a conference. Both may be changed for others.
export function mix(own, third) {
  // Closed, it would send nothing: nobody would hear anybody, and the switch would take this page for gone.
  openAudio();
  const out = context.createMediaStreamDestination();
  const [track] = out.stream.getAudioTracks();
  // Somebody who is or was on hold sends no sound for a moment, and a source can't be made of a stream without.
  const enter = (stream) => {
    if (!stream.getAudioTracks().length) return null;
    const source = context.createMediaStreamSource(stream);
    source.connect(out);
    return source;
  };
  let ours = enter(own);
  let theirs = enter(third);
  return {
    track,
    change: (stream) => {
      ours?.disconnect();
      ours = enter(stream);
    },
    hear: (stream) => {
      theirs?.disconnect();
      theirs = enter(stream);
    },
    end: () => {
      ours?.disconnect();
      theirs?.disconnect();
      track.stop();
    },
  };
}
