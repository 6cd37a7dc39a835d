//! What the beginning of a WAV file says, and where in it nothing was recorded.
//!
//! mod_sndfile has libsndfile write the file: a header with a length of nothing when it is opened, which is corrected when it is closed
//! (`sndfile_file_open`, `sndfile_file_close` in mod_sndfile.c). So a file whose header has its whole length is finished, and one of a switch
//! that died has a header that says too little.

use serde::{Deserialize, Serialize};

/// So much of a file is enough to find its sound: what may come before (names, comments) is short.
pub const HEAD: usize = 4096;

/// How the sound is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub channels: u16,
    /// Samples a second.
    pub rate: u32,
    /// The bytes of one moment: a sample of each channel.
    pub frame: u16,
    /// Whether samples are plain numbers, so that nothing is zeros.
    pub is_pcm: bool,
    /// Where the sound begins.
    pub begins: u64,
    /// How long it is, as the header says.
    pub says: u64,
    /// How long the file is, as the header says.
    pub whole: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl Head {
    /// Reads the first bytes of a file. `None`: it is no WAV file, or one whose sound begins later.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WAVE" {
            return None;
        }
        let whole = u64::from(u32_at(bytes, 4)?) + 8;
        let mut format = None;
        let mut at = 12_usize;
        loop {
            let (name, length) = (bytes.get(at..at + 4)?, u32_at(bytes, at + 4)?);
            let content = at + 8;
            if name == b"fmt " {
                let [kind, channels] = [0, 2].map(|field| u16_at(bytes, content + field));
                let (rate, frame) = (u32_at(bytes, content + 4)?, u16_at(bytes, content + 12)?);
                format = Some((kind?, channels?, rate, frame));
            } else if name == b"data" {
                let (kind, channels, rate, frame) = format?;
                let fine = (1..=64).contains(&channels) && (1..=768_000).contains(&rate) && (1..=1024).contains(&frame);
                let (begins, says) = (content as u64, u64::from(length));
                return fine.then_some(Self { channels, rate, frame, is_pcm: kind == 1, begins, says, whole });
            }
            // Chunks begin at even places.
            at = content.checked_add(usize::try_from(length).ok()?)?.checked_add((length & 1) as usize)?;
        }
    }

    /// How many bytes of sound a file of this length has. What the header says is believed unless it says nothing, or more than there is.
    #[must_use]
    pub fn sound(&self, file: u64) -> u64 {
        let there = file.saturating_sub(self.begins);
        if self.says == 0 { there } else { self.says.min(there) }
    }

    #[must_use]
    pub fn milliseconds(&self, file: u64) -> u64 {
        self.sound(file) / u64::from(self.frame) * 1000 / u64::from(self.rate)
    }

    /// Whether the program that wrote it has closed it.
    #[must_use]
    pub fn is_finished(&self, file: u64) -> bool {
        self.says > 0 && self.whole == file
    }
}

/// A stretch in which nothing at all was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Silence {
    /// Where it begins, in milliseconds from the beginning of the recording.
    pub from: u64,
    /// Where it ends.
    pub to: u64,
}

/// How long nothing must be recorded to be worth mentioning.
const WORTH_MENTIONING: u64 = 2000;
/// The most stretches that are mentioned.
const MOST: usize = 200;

/// Finds stretches in which nothing was recorded, while the sound comes by. A recording that is paused goes on with zeros
/// (`SMBF_MASK` in switch_ivr_async.c), which a microphone never does.
#[derive(Debug)]
pub struct Silences {
    head: Head,
    /// The beginning of a frame.
    part: Vec<u8>,
    /// How many frames came by.
    frames: u64,
    since: Option<u64>,
    found: Vec<Silence>,
}

impl Silences {
    #[must_use]
    pub fn of(head: Head) -> Self {
        Self { head, part: Vec::new(), frames: 0, since: None, found: Vec::new() }
    }

    pub fn hear(&mut self, mut sound: &[u8]) {
        let frame = usize::from(self.head.frame);
        if !self.head.is_pcm {
            return;
        }
        if !self.part.is_empty() {
            let (more, rest) = sound.split_at(sound.len().min(frame - self.part.len()));
            self.part.extend_from_slice(more);
            sound = rest;
            if self.part.len() < frame {
                return;
            }
            let whole = std::mem::take(&mut self.part);
            self.note(whole.iter().all(|byte| *byte == 0));
        }
        let frames = sound.chunks_exact(frame);
        self.part.extend_from_slice(frames.remainder());
        for one in frames {
            self.note(one.iter().all(|byte| *byte == 0));
        }
    }

    fn note(&mut self, is_nothing: bool) {
        if is_nothing {
            self.since.get_or_insert(self.frames);
        } else {
            self.end();
        }
        self.frames += 1;
    }

    fn end(&mut self) {
        let Some(since) = self.since.take() else { return };
        let [from, to] = [since, self.frames].map(|frame| frame * 1000 / u64::from(self.head.rate));
        if to - from >= WORTH_MENTIONING && self.found.len() < MOST {
            self.found.push(Silence { from, to });
        }
    }

    #[must_use]
    pub fn found(mut self) -> Vec<Silence> {
        self.end();
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 16 bits, 8 kHz.
    fn wav(channels: u16, sound: &[u8], more: &[u8]) -> Vec<u8> {
        let frame = channels * 2;
        let length = u32::try_from(36 + more.len() + sound.len()).unwrap();
        let mut file = [b"RIFF", &length.to_le_bytes()[..], b"WAVEfmt ", &16_u32.to_le_bytes()].concat();
        file.extend([1, channels].map(u16::to_le_bytes).concat());
        file.extend([8000, 8000 * u32::from(frame)].map(u32::to_le_bytes).concat());
        file.extend([frame, 16].map(u16::to_le_bytes).concat());
        file.extend(more);
        file.extend(b"data");
        file.extend(u32::try_from(sound.len()).unwrap().to_le_bytes());
        file.extend(sound);
        file
    }

    #[test]
    fn a_header_says_how_long_the_sound_is_and_whether_the_file_is_finished() {
        let comment = [b"LIST", &5_u32.to_le_bytes()[..], b"INFOx\0"].concat();
        for (channels, more) in [(1, &b""[..]), (2, &comment)] {
            let sound = vec![1; usize::from(channels) * 2 * 12_000];
            let file = wav(channels, &sound, more);
            let length = file.len() as u64;
            let head = Head::read(&file).unwrap();
            assert_eq!((head.channels, head.rate, head.milliseconds(length)), (channels, 8000, 1500));
            assert!(head.is_finished(length) && !head.is_finished(length + 2));
            // A switch that died left a header that says nothing.
            let mut dead = file.clone();
            let at = usize::try_from(head.begins).unwrap();
            dead[at - 4..at].fill(0);
            let dead = Head::read(&dead).unwrap();
            assert!(!dead.is_finished(length));
            assert_eq!(dead.milliseconds(length), 1500);
        }
    }

    #[test]
    fn stretches_of_nothing_are_found_however_the_sound_comes() {
        let frames = |frames: usize, byte: u8| vec![byte; frames * 4];
        let sound = [
            frames(8000, 3),
            frames(24_000, 0),
            frames(800, 3),
            // A short pause of whoever talks.
            frames(4000, 0),
            frames(1, 7),
            frames(16_000, 0),
        ]
        .concat();
        let head = Head::read(&wav(2, &sound, b"")).unwrap();
        for size in [1, 3, 4, 1000, 65_536, 1 << 20] {
            let mut silences = Silences::of(head);
            sound.chunks(size).for_each(|part| silences.hear(part));
            let found = silences.found().iter().map(|one| (one.from, one.to)).collect::<Vec<_>>();
            assert_eq!(found, [(1000, 4000), (4600, 6600)], "in parts of {size}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_as_a_file_is_read_or_refused(bytes: Vec<u8>, cut in 0..60_usize, length: u64) {
            if let Some(head) = Head::read(&bytes) {
                let _ = head.milliseconds(length);
            }
            let mut file = wav(1, &[1, 2, 3, 4], b"");
            file.truncate(cut);
            file.extend(&bytes);
            if let Some(head) = Head::read(&file) {
                let _ = (head.milliseconds(length), head.is_finished(length));
                let mut silences = Silences::of(head);
                silences.hear(&bytes);
                let _ = silences.found();
            }
        }
    }
}
