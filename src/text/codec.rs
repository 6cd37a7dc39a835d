//! Codecs, as FreeSWITCH names them.

use super::{Code, TextError, text_column, text_type};

text_type!(
    /// Codecs in order of preference, written as FreeSWITCH's `absolute_codec_string`. At least one is for audio.
    Codecs, parse_codecs, "OPUS,PCMA,PCMU"
);
text_column!(Codecs);

/// The audio codecs of FreeSWITCH's modules (`SWITCH_ADD_CODEC` in src/mod/codecs, mod_spandsp and switch_pcm.c). An unknown name
/// would make a call fail with INCOMPATIBLE_DESTINATION (switch_core_media.c), so it is refused here.
const AUDIO: &[&str] = &[
    "OPUS",
    "G722",
    "PCMU",
    "PCMA",
    "G729",
    "G723",
    "GSM",
    "iLBC",
    "SPEEX",
    "G7221",
    "G726-16",
    "G726-24",
    "G726-32",
    "G726-40",
    "AAL2-G726-16",
    "AAL2-G726-24",
    "AAL2-G726-32",
    "AAL2-G726-40",
    "LPC",
    "DVI4",
    "L16",
    "AMR",
    "AMR-WB",
    "SILK",
    "ISAC",
    "CELT",
    "BV16",
    "BV32",
    "CODEC2",
    "SIREN",
];

const VIDEO: &[&str] = &["VP8", "VP9", "AV1", "H261", "H263", "H263-1998", "H263-2000", "H264", "H265"];

fn is_one_of(names: &[&str], codec: &str) -> bool {
    let name = codec.split('@').next().unwrap_or_default();
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// `@8000h`, `@20i`, `@64000b`, `@2c`: sample rate, milliseconds per packet, bits per second, channels (`switch_parse_codec_buf`
/// in switch_loadable_module.c).
fn option_is_fine(option: &str) -> bool {
    let bounds = match option.as_bytes().last() {
        Some(b'h') => 8000..=48_000,
        Some(b'i') => 10..=120,
        Some(b'b') => 400..=512_000,
        Some(b'c') => 1..=2,
        _ => return false,
    };
    let digits = &option[..option.len() - 1];
    let plain = (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    plain && digits.parse::<u32>().is_ok_and(|number| bounds.contains(&number))
}

fn parse_codecs(text: &str) -> Result<String, TextError> {
    let codec_is_fine = |codec: &str| {
        (is_one_of(AUDIO, codec) || is_one_of(VIDEO, codec)) && codec.split('@').skip(1).all(option_is_fine)
    };
    if text.len() > 200 || !text.split(',').all(codec_is_fine) {
        return Err(TextError(Code::NotCodecs));
    }
    if !text.split(',').any(|codec| is_one_of(AUDIO, codec)) {
        return Err(TextError(Code::NoAudioCodec));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_that_exist_are_accepted() {
        for codecs in ["OPUS,PCMA@20i,PCMU", "opus@48000h@20i@2c,G722", "G726-32", "PCMU,VP8", "PCMU@8000h@10i@64000b"]
        {
            assert_eq!(Codecs::parse(codecs).unwrap().as_str(), codecs);
        }
    }

    #[test]
    fn what_is_no_codec_is_refused() {
        for codecs in [
            "",
            "nobody",
            "PCMU,nobody",
            "PCMU,",
            "VP8",
            "PCMU@20",
            "PCMU@9999i",
            "PCMU@-1i",
            "PCMU@i",
            "PCMU@20i\u{e9}",
        ] {
            assert!(Codecs::parse(codecs).is_err(), "{codecs:?}");
        }
    }
}
