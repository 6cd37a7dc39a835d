//! Sound: a phone sends a tone that nobody else has, and measures which tones it hears.

use std::{
    collections::VecDeque,
    f64::consts::TAU,
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{net::UdpSocket, sync::watch, time::MissedTickBehavior};

/// Tones lie 50 Hz apart, and at least 25 Hz from those that a switch plays (350, 425, 440, 480, 950, 1400, 1800).
const FIRST: u32 = 575;
const STEP: u32 = 50;
const TONES: u32 = 56;
/// A tenth of a second. Its bins are 10 Hz wide, so that a tone does not leak into its neighbours.
const WINDOW: usize = 800;
const LOUDNESS: f64 = 3000.0;
/// What counts as heard: a fifth of what phones send.
const AUDIBLE: f64 = LOUDNESS / 5.0;

/// A tone that no phone has that was made shortly before or after.
pub fn next_tone() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    FIRST + STEP * (NEXT.fetch_add(1, Ordering::Relaxed) % TONES)
}

/// What was received.
#[derive(Default, Clone)]
pub struct Heard {
    /// The tones of phones in the last tenth of a second, lowest first.
    pub tones: Vec<u32>,
    /// How loud that was, whatever it was.
    pub loudness: f64,
    /// How many windows there were. It rises with each.
    pub windows: u64,
    /// RFC 2833 digits.
    pub digits: String,
    /// The kind of the last packet with sound: 0 is PCMU, 8 is PCMA, all else is Opus.
    pub payload: Option<u8>,
}

/// Where to send, and how.
#[derive(Clone, Copy)]
pub struct Link {
    pub remote: SocketAddr,
    /// 0 is PCMU, 8 is PCMA, all else is Opus.
    pub payload: u8,
    pub digits: Option<u8>,
    pub sending: bool,
}

/// One call's sound.
pub struct Media {
    socket: UdpSocket,
    pub port: u16,
    tone: u32,
    link: Mutex<Option<Link>>,
    to_press: watch::Sender<VecDeque<u8>>,
    pub heard: watch::Sender<Heard>,
}

impl Media {
    /// Must be called in the phones' runtime.
    pub fn new(tone: u32) -> Self {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let port = socket.local_addr().unwrap().port();
        let socket = UdpSocket::from_std(socket).unwrap();
        let (to_press, heard) = (watch::Sender::new(VecDeque::new()), watch::Sender::new(Heard::default()));
        Self { socket, port, tone, link: Mutex::new(None), to_press, heard }
    }

    pub fn connect(&self, link: Link) {
        *self.link.lock().unwrap() = Some(link);
    }

    /// The kind of packets that it sends.
    pub fn sends(&self) -> Option<u8> {
        self.link.lock().unwrap().map(|link| link.payload)
    }

    /// Sends digits and waits until they were sent.
    pub async fn press(&self, digits: &str) {
        self.to_press.send_modify(|queue| queue.extend(digits.bytes()));
        self.to_press.subscribe().wait_for(VecDeque::is_empty).await.unwrap();
    }

    /// Sends and receives until the call's end, when the task is aborted.
    pub async fn run(&self) {
        tokio::join!(self.send(), self.receive());
    }

    async fn send(&self) {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut sequence, mut stamp) = (0_u16, 0_u32);
        // How far the digit is that is being sent: five packets while the key is down, three that it is up again, a pause.
        let mut pressed = 0_u32;
        let mut digit_since = 0;
        loop {
            tick.tick().await;
            stamp = stamp.wrapping_add(160);
            let Some(link) = *self.link.lock().unwrap() else { continue };
            let key = self.to_press.borrow().front().copied();
            let packet = match (key, link.digits) {
                (Some(key), Some(payload)) => {
                    if pressed == 0 {
                        digit_since = stamp;
                    }
                    pressed += 1;
                    if pressed > 12 {
                        pressed = 0;
                        self.to_press.send_modify(|queue| {
                            queue.pop_front();
                        });
                        continue;
                    }
                    if pressed > 8 {
                        continue;
                    }
                    let event = match key {
                        b'*' => 10,
                        b'#' => 11,
                        digit => digit - b'0',
                    };
                    let (end, duration) = if pressed > 5 { (0x80, 960) } else { (0, pressed * 160) };
                    let [_, _, high, low] = duration.to_be_bytes();
                    let marked = payload | if pressed == 1 { 0x80 } else { 0 };
                    rtp(marked, sequence, digit_since, &[event, end | 0x0a, high, low])
                }
                _ if link.sending && is_law(link.payload) => {
                    rtp(link.payload, sequence, stamp, &self.tone_at(stamp, link.payload))
                }
                _ => continue,
            };
            sequence = sequence.wrapping_add(1);
            let _ = self.socket.send_to(&packet, link.remote).await;
        }
    }

    fn tone_at(&self, stamp: u32, payload: u8) -> Vec<u8> {
        let step = TAU * f64::from(self.tone) / 8000.0;
        let samples = (0..160_u32).map(|n| LOUDNESS * (step * f64::from(stamp.wrapping_add(n) % 8000)).sin());
        #[expect(clippy::cast_possible_truncation, reason = "the loudness is far below the limit")]
        let samples = samples.map(|sample| sample as i16);
        samples.map(|sample| if payload == 8 { to_alaw(sample) } else { to_ulaw(sample) }).collect()
    }

    async fn receive(&self) {
        let mut packet = [0; 2048];
        let mut window = Vec::with_capacity(WINDOW);
        let mut last_digit = None;
        while let Ok(length) = self.socket.recv(&mut packet).await {
            let packet = &packet[..length];
            if length < 12 || packet[0] >> 6 != 2 {
                continue;
            }
            let head = 12 + 4 * usize::from(packet[0] & 15);
            let (payload, Some(data)) = (packet[1] & 0x7f, packet.get(head..)) else { continue };
            let digits = self.link.lock().unwrap().and_then(|link| link.digits);
            if Some(payload) == digits && data.len() >= 4 {
                let stamp = packet[4..8].to_vec();
                if last_digit.as_ref() != Some(&stamp) {
                    last_digit = Some(stamp);
                    let key = b"0123456789*#ABCD".get(usize::from(data[0])).copied().unwrap_or(b'?');
                    self.heard.send_modify(|heard| heard.digits.push(char::from(key)));
                }
                continue;
            }
            match payload {
                0 => window.extend(data.iter().map(|byte| from_ulaw(*byte))),
                8 => window.extend(data.iter().map(|byte| from_alaw(*byte))),
                _ => {
                    let link = *self.link.lock().unwrap();
                    if let Some(link) = link.filter(|link| link.sending && link.payload == payload) {
                        let mut back = packet.to_vec();
                        back[8..12].copy_from_slice(&OWN);
                        let _ = self.socket.send_to(&back, link.remote).await;
                        self.heard.send_modify(|heard| heard.payload = Some(payload));
                    }
                    continue;
                }
            }
            if window.len() >= WINDOW {
                let tones = tones_in(&window[..WINDOW]);
                let loudness = window.iter().map(|sample| f64::from(*sample).abs()).fold(0.0, f64::max);
                self.heard.send_modify(|heard| {
                    heard.tones = tones;
                    heard.loudness = loudness;
                    heard.payload = Some(payload);
                    heard.windows += 1;
                });
                window.clear();
            }
        }
    }
}

fn is_law(payload: u8) -> bool {
    matches!(payload, 0 | 8)
}

/// Who sends (SSRC).
const OWN: [u8; 4] = [0x5a; 4];

fn rtp(payload: u8, sequence: u16, stamp: u32, data: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload];
    packet.extend(sequence.to_be_bytes());
    packet.extend(stamp.to_be_bytes());
    packet.extend(OWN);
    packet.extend(data);
    packet
}

/// The tones of phones that are in these samples.
pub fn tones_in(samples: &[i16]) -> Vec<u32> {
    (0..TONES).map(|n| FIRST + n * STEP).filter(|tone| amplitude(samples, *tone) > AUDIBLE).collect()
}

/// So many seconds of a phone's tone, as loud as phones send it.
pub fn tone(hertz: u32, seconds: u32) -> Vec<i16> {
    let step = TAU * f64::from(hertz) / 8000.0;
    #[expect(clippy::cast_possible_truncation, reason = "the loudness is far below the limit")]
    (0..8000 * seconds).map(|n| (LOUDNESS * (step * f64::from(n)).sin()) as i16).collect()
}

/// Goertzel's algorithm, with a Hann window against leakage: how loud one tone is.
fn amplitude(samples: &[i16], tone: u32) -> f64 {
    let count = f64::from(u32::try_from(samples.len()).unwrap());
    let factor = 2.0 * (TAU * f64::from(tone) / 8000.0).cos();
    let (mut before, mut last) = (0.0, 0.0);
    for (n, sample) in (0_u32..).zip(samples) {
        let hann = 0.5 - 0.5 * (TAU * f64::from(n) / count).cos();
        let next = f64::from(*sample) * hann + factor * last - before;
        (before, last) = (last, next);
    }
    let power = before * before + last * last - factor * before * last;
    // The window halves a tone.
    4.0 * power.max(0.0).sqrt() / count
}

fn to_ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let level = i32::from(sample).abs().min(32_635) + 0x84;
    let exponent = (31 - level.leading_zeros()).saturating_sub(7);
    let mantissa = (level >> (exponent + 3)) & 15;
    !(sign | u8::try_from((exponent << 4) | u32::try_from(mantissa).unwrap()).unwrap())
}

fn from_ulaw(byte: u8) -> i16 {
    let byte = !byte;
    let level = (((i16::from(byte & 15)) << 3) + 0x84) << ((byte >> 4) & 7);
    if byte & 0x80 == 0 { level - 0x84 } else { 0x84 - level }
}

fn to_alaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let level = i32::from(sample).abs().min(32_767) >> 3;
    let exponent = (31 - level.max(1).leading_zeros()).saturating_sub(4);
    let mantissa = if exponent == 0 { (level >> 1) & 15 } else { (level >> exponent) & 15 };
    (sign | u8::try_from((exponent << 4) | u32::try_from(mantissa).unwrap()).unwrap()) ^ 0x55
}

fn from_alaw(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (exponent, mantissa) = ((byte >> 4) & 7, i16::from(byte & 15) << 4);
    let level = if exponent == 0 { mantissa + 8 } else { (mantissa + 0x108) << (exponent - 1) };
    if byte & 0x80 == 0 { -level } else { level }
}

#[test]
fn a_tone_survives_both_laws_and_is_told_from_its_neighbours() {
    for payload in [0, 8] {
        for tone in [FIRST, FIRST + STEP * 7, FIRST + STEP * (TONES - 1)] {
            let step = TAU * f64::from(tone) / 8000.0;
            #[expect(clippy::cast_possible_truncation, reason = "the loudness is far below the limit")]
            let sent = (0..WINDOW).map(|n| (LOUDNESS * (step * f64::from(u32::try_from(n).unwrap())).sin()) as i16);
            let coded = sent.map(|sample| match payload {
                0 => from_ulaw(to_ulaw(sample)),
                _ => from_alaw(to_alaw(sample)),
            });
            let coded = coded.collect::<Vec<_>>();
            assert_eq!(tones_in(&coded), [tone], "payload {payload}");
        }
    }
    assert_eq!(tones_in(&[0; WINDOW]), [0_u32; 0]);
}
