//! Text types of routing: what is dialled, played, and sent to carriers.

use super::{Code, TextError, display::no_directive, text_column, text_type};

text_type!(
    /// Something that can be dialled: a number inside or outside, or a feature code. 1 to 24 of `0-9 * #`, optionally after a `+`.
    DialNumber, parse_dial_number, "+12025550123"
);
text_type!(
    /// What is dialled at a phone: as a dial number, or with a feature code before a number in E.164, such as `*31+12025550123`.
    Dialable, parse_dialable, "+12025550123"
);
text_type!(
    /// The beginning of a telephone number: 1 to 15 digits. It may be written with `+` and what people put between digits, as in
    /// `+49 (0)30`; it is kept without.
    Prefix, parse_prefix, "4930"
);
text_type!(
    /// The code that is dialled for a feature: `*` and 1 to 4 digits, or 3 to 6 digits.
    FeatureCode, parse_feature_code, "*97"
);
text_type!(
    /// A sound file in the switch's sounds folder.
    SoundFile, parse_sound_file, "custom/welcome.wav"
);
// Spoken text travels as `say:TEXT`, an attribute's value in XML, where `'` and `&` are references. Nothing on its way has a meaning for those two:
// an application's argument is expanded at `$` and `\` alone (`switch_channel_expand_variables_check` in switch_channel.c) and is not split; nor is it
// by `playback_function` (mod_dptools.c), a menu (`play_and_collect` in switch_ivr_menu.c) or a broadcast (`switch_ivr_broadcast` in
// switch_ivr_async.c), but for `::` and `@@`. `switch_ivr_play_file` would split it by a `playback_delimiter`, which nobody can set. Speech begins with
// parameters after `{` (`switch_core_speech_feed_tts` in switch_core_speech.c). Its copies in SQL have `'` doubled (switch_core_sqldb.c), and a
// synthesizer that is a command has it quoted for the shell (mod_tts_commandline.c).
text_type!(
    /// Text that a switch speaks: up to 500 characters, none of which a switch acts on.
    Spoken, parse_spoken, "Welcome to O'Brien & Sons"
);
text_type!(
    /// The host of a carrier: a name or an IPv4 address, optionally with a port.
    Host, parse_host, "sip.carrier.example:5060"
);
text_type!(
    /// A SIP header that a switch turns into a variable (`sofia_handle_sip_i_invite` in sofia.c): it begins with `X-` or `P-`.
    HeaderName, parse_header_name, "X-DID"
);
text_type!(
    /// An address or network from which a carrier's calls come, such as `192.0.2.0/28`.
    Network, parse_network, "192.0.2.10/32"
);
text_type!(
    /// A username at a carrier.
    CarrierUser, parse_carrier_user, "acme-trunk"
);
text_type!(
    /// Keys of a phone that are pressed during a call: 1 to 40 of `0-9 * # A-D`, and `w` for half a second's pause.
    Keys, parse_keys, "1234#"
);
text_column!(DialNumber, Prefix);

fn parse_keys(text: &str) -> Result<String, TextError> {
    let fine = (1..=40).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#' | b'A'..=b'D' | b'w'));
    if fine { Ok(text.to_owned()) } else { Err(TextError(Code::NotPressable)) }
}

fn parse_dial_number(text: &str) -> Result<String, TextError> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let fine = (1..=24).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#'))
        && (digits.len() == text.len() || digits.bytes().all(|b| b.is_ascii_digit()));
    if fine { Ok(text.to_owned()) } else { Err(TextError(Code::NotADialNumber)) }
}

/// The longest code that may stand before a number with `+`: `*1234` and one more, as in `*31#+12025550123`.
const LONGEST_CODE: usize = 6;

fn parse_dialable(text: &str) -> Result<String, TextError> {
    let code = text.find('+').map_or("", |at| &text[..at]);
    let is_code = code.starts_with(['*', '#'])
        && code.len() <= LONGEST_CODE
        && code.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#'));
    if !code.is_empty() && !is_code {
        return Err(TextError(Code::NotADialNumber));
    }
    parse_dial_number(&text[code.len()..]).map(|number| format!("{code}{number}"))
}

impl From<DialNumber> for Dialable {
    fn from(number: DialNumber) -> Self {
        Self(number.0)
    }
}

fn parse_prefix(text: &str) -> Result<String, TextError> {
    // As people write numbers: `+49 (0)30`, `030/123`.
    let text = &super::phone::plain(text.trim());
    let digits = text.strip_prefix('+').unwrap_or(text);
    if (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        Ok(digits.to_owned())
    } else {
        Err(TextError(Code::NotAPrefix))
    }
}

fn parse_feature_code(text: &str) -> Result<String, TextError> {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let fine = match text.strip_prefix('*') {
        Some(rest) => (1..=4).contains(&rest.len()) && digits(rest),
        None => (3..=6).contains(&text.len()) && digits(text),
    };
    if fine { Ok(text.to_owned()) } else { Err(TextError(Code::NotAFeatureCode)) }
}

fn parse_sound_file(text: &str) -> Result<String, TextError> {
    no_directive(text)?;
    let fine_part = |part: &str| {
        (1..=64).contains(&part.len())
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
            && !part.contains("..")
    };
    let ends = [".wav", ".mp3", ".ogg", ".opus", ".ulaw", ".alaw"].iter().any(|end| text.ends_with(end));
    if text.len() <= 200 && ends && text.split('/').all(fine_part) {
        Ok(text.to_owned())
    } else {
        Err(TextError(Code::NotASoundFile))
    }
}

fn parse_spoken(text: &str) -> Result<String, TextError> {
    use super::display::{is_active, is_invisible, is_of_names};
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 500 {
        return Err(TextError(Code::SpokenLength));
    }
    no_directive(text)?;
    if text.chars().any(is_invisible) {
        return Err(TextError(Code::InvisibleCharacters));
    }
    if text.chars().any(|c| is_active(c) && !is_of_names(c)) {
        return Err(TextError(Code::ForbiddenCharacters));
    }
    // It is played as `say:…`. With a leading colon, or with two in a row, a switch would read it as `application::argument`
    // (switch_ivr_broadcast in switch_ivr_async.c).
    if text.starts_with(':') || text.contains("::") {
        return Err(TextError(Code::HoldsColons));
    }
    Ok(text.to_owned())
}

impl Spoken {
    /// The text as an application plays it. After two `@`, `playback_function` (mod_dptools.c) would read the sample at which to begin.
    #[must_use]
    pub fn said(&self) -> String {
        let mut text = self.as_str().to_owned();
        while text.contains("@@") {
            text = text.replace("@@", "@ @");
        }
        format!("say:{text}")
    }

    /// The text as a variable in a dial string can hold it, where commas separate and `'` quotes (`switch_event_create_brackets` in
    /// switch_event.c).
    #[must_use]
    pub fn in_dial_string(&self) -> String {
        self.as_str().replace(',', " ").replace('\'', "\u{2019}").replace('&', "+")
    }
}

fn parse_host(text: &str) -> Result<String, TextError> {
    const WHAT: TextError = TextError(Code::NotAHost);
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let port_is_fine = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let host = match host.parse::<std::net::Ipv4Addr>() {
        Ok(address) => address.to_string(),
        Err(_) => super::Domain::parse(host).map_err(|_| WHAT)?.to_string(),
    };
    if !port_is_fine {
        return Err(WHAT);
    }
    Ok(port.map_or(host.clone(), |port| format!("{host}:{port}")))
}

fn parse_network(text: &str) -> Result<String, TextError> {
    const WHAT: TextError = TextError(Code::NotANetwork);
    let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
    let address = address.parse::<std::net::Ipv4Addr>().map_err(|_| WHAT)?;
    let bits = bits.parse::<u8>().ok().filter(|bits| (8..=32).contains(bits)).ok_or(WHAT)?;
    if address.is_unspecified() { Err(WHAT) } else { Ok(format!("{address}/{bits}")) }
}

fn parse_header_name(text: &str) -> Result<String, TextError> {
    no_directive(text)?;
    let begins = ["x-", "p-"].iter().any(|start| text.to_ascii_lowercase().starts_with(start));
    let fine = begins && (3..=60).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if fine { Ok(text.to_owned()) } else { Err(TextError(Code::NotAHeaderName)) }
}

fn parse_carrier_user(text: &str) -> Result<String, TextError> {
    no_directive(text)?;
    let fine = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+' | b'@' | b'*' | b'='));
    if fine { Ok(text.to_owned()) } else { Err(TextError(Code::NotACarrierUser)) }
}
