//! The names of recordings' files, as routing and call control choose them: `LEG.wav`, or `LEG-MORE.wav`.

use std::fmt;

use uuid::Uuid;

/// The name of a recording's file. It says which leg was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    text: String,
    pub leg: Uuid,
}

const END: &str = ".wav";
/// A UUID with its hyphens, as FreeSWITCH writes them.
const LEG: usize = 36;
/// The longest name, without its end.
const LONGEST: usize = 120;

impl FileName {
    /// `None` for a name that no recording of ours has.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let stem = text.strip_suffix(END)?;
        let (leg, more) = stem.split_at_checked(LEG)?;
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let more_is_fine = more.is_empty() || (more.starts_with('-') && more.len() > 1);
        if stem.len() > LONGEST || !more_is_fine || !stem.bytes().all(is_plain) {
            return None;
        }
        Some(Self { text: text.to_owned(), leg: leg.parse().ok()? })
    }

    /// The name of another recording of the same leg that a switch gave the same name.
    #[must_use]
    pub fn another(&self, at: i64) -> Option<Self> {
        Self::parse(&format!("{}-{at}{END}", self.text.strip_suffix(END)?))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_choose_are_names_of_recordings() {
        let leg = "f70a3b66-5105-4e1e-8913-485896181d48";
        for good in [format!("{leg}.wav"), format!("{leg}-1795215283.wav"), format!("{leg}-c0ffee.wav")] {
            let name = FileName::parse(&good).unwrap();
            assert_eq!((name.as_str(), name.leg.to_string().as_str()), (good.as_str(), leg));
        }
        let long = format!("{leg}-{}.wav", "1".repeat(120));
        for bad in [
            "",
            ".wav",
            "x.wav",
            leg,
            &format!("{leg}.mp3"),
            &format!("{leg}-.wav"),
            &format!("{leg}1.wav"),
            &format!("../{leg}.wav"),
            &format!("{leg}-../x.wav"),
            &format!("{leg}-x y.wav"),
            &format!("{}.wav", leg.to_uppercase()),
            &format!("{}.wav", leg.replace('-', "")),
            &long,
            "ffffffffffffffffffffffffffffffffffé.wav",
        ] {
            assert!(FileName::parse(bad).is_none(), "{bad}");
        }
        let again = FileName::parse(&format!("{leg}.wav")).unwrap().another(17).unwrap();
        assert_eq!((again.to_string(), again.leg.to_string()), (format!("{leg}-17.wav"), leg.to_owned()));
    }
}
