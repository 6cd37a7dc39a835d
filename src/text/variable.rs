//! Channel variables that a tenant may give an extension, or that an entry of the dialplan may set.
//!
//! A switch acts on variables: it plays what `hold_music` names, or runs it if it reads `application::argument`
//! (`switch_ivr_broadcast` in switch_ivr_async.c), and it opens the file that `accountcode` names (mod_cdr_csv.c). So no text is harmless
//! in itself: each variable has a type that matches what the switch does with its value, and a variable without a type is not allowed.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, Visitor},
};

use super::{
    Code, TextError,
    display::{is_active, is_invisible, no_directive},
    stream::StreamName,
    text_type,
};

/// What a switch does with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// A word that is compared or recorded, perhaps as a file's name.
    Label,
    /// Labels, separated by commas.
    Labels,
    /// Shown to people, never parsed, in a list where Dialplane finds what it wrote itself (`crate::routing::carried::Mark`).
    Words,
    /// A language of prompts, such as `en` or `pt-BR`.
    Language,
    /// A zone of the IANA database.
    Zone,
    Flag,
    /// A stream of music.
    Music,
    SecureMedia,
    /// A whole number within bounds, or a problem with this text.
    Number {
        least: u32,
        most: u32,
        otherwise: Code,
    },
    /// The length, greatest length and drift of a jitter buffer, separated by colons: in milliseconds, or with `p` in packets.
    JitterBuffer,
    /// A tone such as `%(1000,4000,425)`, or a stream of music.
    Ringback,
    /// `true`, `false`, or hangup causes, separated by commas.
    FlagOrCauses,
    /// Codecs in the order of preference.
    CodecList,
    /// `none`, `any`, or keys of a phone.
    Keys,
}

/// A variable that may be set, and where the switch reads it: the type follows from that.
struct Known {
    name: &'static str,
    meaning: Meaning,
}

const fn known(name: &'static str, meaning: Meaning) -> Known {
    Known { name, meaning }
}

/// Seconds that a registration may be made to last.
const EXPIRES: Meaning = Meaning::Number { least: 60, most: 86_400, otherwise: Code::NotExpirySeconds };

/// All allowed variables. Deliberately missing are those that name a context, a user, a domain, a file or an application.
const KNOWN: [Known; 18] = [
    // mod_cdr_csv.c opens LOG_DIR/accountcode.csv; elsewhere it is only recorded (switch_core_sqldb.c).
    known("accountcode", Meaning::Label),
    // Printed by list_users (mod_commands.c).
    known("callgroup", Meaning::Label),
    // The language of phrases, and the name of the module that says them (switch_ivr_phrase_macro_event in switch_ivr_play_say.c).
    known("default_language", Meaning::Language),
    // switch_core_media.c, mod_spandsp_fax.c: switch_true.
    known("fax_enable_t38", Meaning::Flag),
    known("fax_enable_t38_request", Meaning::Flag),
    // Expanded, and run where it is `application::argument` (switch_channel_get_hold_music, switch_ivr_broadcast); played by
    // switch_core_media.c, mod_valet_parking.c, mod_dptools.c.
    known("hold_music", Meaning::Music),
    // check_jb in switch_core_media.c; debug, pause and the like are words of its input as well.
    known("jitterbuffer_msec", Meaning::JitterBuffer),
    // Written by mod_db.c and mod_hash.c, read by a site's own scripts.
    known("limit_max", Meaning::Number { least: 1, most: 10_000, otherwise: Code::NotACallLimit }),
    // Shown in presence (mod_sofia.c) and in `show channels` (mod_commands.c); quoted for SQL there.
    known("presence_data", Meaning::Words),
    // Nothing on a switch reads it: it is in the call's record.
    known("record_consent", Meaning::Flag),
    // Parsed as MODE:SUITES (switch_core_session_parse_crypto_prefs in switch_core_media.c); the mode alone is allowed.
    known("rtp_secure_media", Meaning::SecureMedia),
    // Seconds, read by atoi without bounds (sofia_reg_handle_register_token in sofia_reg.c). Twice the deviation is a divisor, and
    // a deviation longer than the registration would end the registration.
    known("sip-expires-max-deviation", Meaning::Number { least: 1, most: 30, otherwise: Code::NotDeviationSeconds }),
    known("sip-force-expires", EXPIRES),
    known("sip-force-expires-max", EXPIRES),
    known("sip-force-expires-min", EXPIRES),
    // switch_core_media.c: switch_true.
    known("suppress_cng", Meaning::Flag),
    // Names a zone to say times in (mod_say_en.c, mod_voicemail.c).
    known("timezone", Meaning::Zone),
    // Read by a site's own dialplan, as in FreeSWITCH's example configuration.
    known("toll_allow", Meaning::Labels),
];

/// How many seconds something rings, or a switch waits for it.
const WAIT: Meaning = Meaning::Number { least: 1, most: 3600, otherwise: Code::NotWaitSeconds };

/// What a dialplan entry may also set, for the applications that follow. Deliberately missing are variables that run an application or an
/// API call (`api_hangup_hook`, `execute_on_…`, `exec_after_bridge_…`, `bridge_pre_execute_…`), that lead elsewhere
/// (`transfer_after_bridge`, `force_transfer_context`), or that set the caller ID, which the platform decides (`effective_caller_id_…`).
const IN_CALL: [Known; 13] = [
    // Codecs instead of those of the profile (switch_core_media.c).
    known("absolute_codec_string", Meaning::CodecList),
    // atol, seconds (audio_bridge_thread in switch_ivr_bridge.c).
    known("bridge_answer_timeout", WAIT),
    // atoi, seconds (switch_ivr_originate.c).
    known("call_timeout", WAIT),
    // switch_true, or a list that the cause is looked for in (switch_channel_handle_cause in switch_channel.c).
    known("continue_on_fail", Meaning::FlagOrCauses),
    // switch_true (switch_ivr_bridge.c).
    known("hangup_after_bridge", Meaning::Flag),
    // switch_true; `ring_ready` and `consume` are words of its own (switch_ivr_originate.c).
    known("ignore_early_media", Meaning::Flag),
    // switch_true (switch_ivr_originate.c).
    known("instant_ringback", Meaning::Flag),
    // Keys that end a playback (on_dtmf in mod_dptools.c).
    known("playback_terminators", Meaning::Keys),
    // atoi, seconds (switch_ivr_originate.c).
    known("progress_timeout", WAIT),
    // switch_true (switch_ivr_record_session in switch_ivr_async.c).
    known("RECORD_STEREO", Meaning::Flag),
    // A tone after `%(`; any other value is opened as a file or a stream (setup_ringback in switch_ivr_originate.c).
    known("ringback", Meaning::Ringback),
    known("transfer_ringback", Meaning::Ringback),
    // Played to the parked party (mod_valet_parking.c).
    known("valet_hold_music", Meaning::Music),
];

/// The names of the variables that an extension may be given.
pub fn variable_names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|known| known.name)
}

/// The names of the variables that an entry of the dialplan may set.
pub fn call_variable_names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().chain(&IN_CALL).map(|known| known.name)
}

text_type!(
    /// The name of a variable that may be set.
    VariableName, parse_name, "accountcode"
);

/// A variable with a value that fits it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "Unchecked")]
pub struct Variable {
    name: VariableName,
    #[schema(example = "support-team")]
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    name: VariableName,
    value: String,
}

impl TryFrom<Unchecked> for Variable {
    type Error = String;

    fn try_from(unchecked: Unchecked) -> Result<Self, String> {
        let value = parse_value(&unchecked.name, &unchecked.value).map_err(|error| error.for_serde().to_string())?;
        Ok(Self { name: unchecked.name, value })
    }
}

impl Variable {
    /// The value is kept in the form that the switch is given.
    pub fn parse(name: &str, value: &str) -> Result<Self, TextError> {
        let name = VariableName::parse(name)?;
        let value = parse_value(&name, value)?;
        Ok(Self { name, value })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

text_type!(
    /// The name of a variable that an entry may set.
    CallVariableName, parse_call_name, "call_timeout"
);

/// A variable that an entry sets on the call, with a value that fits it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "UncheckedInCall")]
pub struct CallVariable {
    name: CallVariableName,
    #[schema(example = "20")]
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedInCall {
    name: CallVariableName,
    value: String,
}

impl TryFrom<UncheckedInCall> for CallVariable {
    type Error = String;

    fn try_from(unchecked: UncheckedInCall) -> Result<Self, String> {
        let value =
            value_of(unchecked.name.as_str(), &unchecked.value).map_err(|error| error.for_serde().to_string())?;
        Ok(Self { name: unchecked.name, value })
    }
}

impl CallVariable {
    /// The value is kept in the form that the switch is given.
    pub fn parse(name: &str, value: &str) -> Result<Self, TextError> {
        let name = CallVariableName::parse(name)?;
        let value = value_of(name.as_str(), value)?;
        Ok(Self { name, value })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// An extension's extra variables, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = BTreeMap<String, String>, example = json!({"accountcode": "support"}))]
pub struct Variables(BTreeMap<VariableName, String>);

impl Variables {
    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Variable> for Variables {
    fn from_iter<T: IntoIterator<Item = Variable>>(variables: T) -> Self {
        Self(variables.into_iter().map(|variable| (variable.name, variable.value)).collect())
    }
}

impl<'de> Deserialize<'de> for Variables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(VariablesVisitor)
    }
}

/// Reads value by value, so that an error names its variable.
struct VariablesVisitor;

impl<'de> Visitor<'de> for VariablesVisitor {
    type Value = Variables;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of variables and their values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Variables, A::Error> {
        let mut variables = BTreeMap::new();
        while let Some(name) = map.next_key::<VariableName>()? {
            let value = map.next_value_seed(ValueOf(&name))?;
            variables.insert(name, value);
        }
        Ok(Variables(variables))
    }
}

struct ValueOf<'a>(&'a VariableName);

impl<'de> DeserializeSeed<'de> for ValueOf<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        parse_value(self.0, &text).map_err(|error| D::Error::custom(error.for_serde()))
    }
}

fn parse_name(text: &str) -> Result<String, TextError> {
    if variable_names().any(|name| name == text) { Ok(text.to_owned()) } else { Err(TextError(Code::UnknownVariable)) }
}

fn parse_call_name(text: &str) -> Result<String, TextError> {
    if call_variable_names().any(|name| name == text) {
        Ok(text.to_owned())
    } else {
        Err(TextError(Code::UnknownVariable))
    }
}

fn parse_value(name: &VariableName, text: &str) -> Result<String, TextError> {
    value_of(name.as_str(), text)
}

/// Returns the variable of a name. The name's type proves that it is in one of the two lists.
fn value_of(name: &str, text: &str) -> Result<String, TextError> {
    let meaning = KNOWN.iter().chain(&IN_CALL).find(|known| known.name == name).map(|known| known.meaning);
    match meaning {
        Some(Meaning::Label) => label(text).map(ToOwned::to_owned),
        Some(Meaning::Labels) => labels(text),
        // Who pays for a call is read from such a mark.
        Some(Meaning::Words) if text.trim_start().to_ascii_lowercase().starts_with("dialplane") => {
            Err(TextError(Code::NamesDialplane))
        }
        Some(Meaning::Words) => words(text),
        Some(Meaning::Language) => language(text),
        Some(Meaning::Zone) => super::TimeZone::parse(text).map(|zone| zone.to_string()),
        Some(Meaning::Flag) => one_of(text, &["true", "false"], Code::NotAFlag),
        Some(Meaning::Music) => music(text),
        Some(Meaning::SecureMedia) => one_of(text, &["mandatory", "optional", "forbidden"], Code::NotSecureMedia),
        Some(Meaning::Number { least, most, otherwise }) => number(text)
            .filter(|number| (least..=most).contains(number))
            .map_or(Err(TextError(otherwise)), |number| Ok(number.to_string())),
        Some(Meaning::JitterBuffer) => jitter_buffer(text),
        Some(Meaning::Ringback) => ringback(text),
        Some(Meaning::FlagOrCauses) => flag_or_causes(text),
        Some(Meaning::CodecList) => super::Codecs::parse(text).map(|codecs| codecs.to_string()),
        Some(Meaning::Keys) => keys(text),
        None => Err(TextError(Code::UnknownVariable)),
    }
}

/// The value may become a file's name, so it has no separators and no `..`.
fn label(text: &str) -> Result<&str, TextError> {
    let fine = (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+' | b'@'))
        && !text.contains("..");
    no_directive(text)?;
    if fine { Ok(text) } else { Err(TextError(Code::NotALabel)) }
}

fn labels(text: &str) -> Result<String, TextError> {
    if text.len() > 200 || text.split(',').any(|part| label(part).is_err()) {
        return Err(TextError(Code::NotLabels));
    }
    Ok(text.to_owned())
}

fn words(text: &str) -> Result<String, TextError> {
    if text.is_empty() || text.chars().count() > 200 {
        return Err(TextError(Code::WordsLength));
    }
    no_directive(text)?;
    if text.chars().any(|c| is_invisible(c) || is_active(c)) {
        return Err(TextError(Code::ControlOrForbidden));
    }
    if text.contains("::") || text.contains("://") {
        return Err(TextError(Code::HoldsScheme));
    }
    Ok(text.to_owned())
}

fn language(text: &str) -> Result<String, TextError> {
    let (main, region) = text.split_once(['-', '_']).map_or((text, None), |(main, region)| (main, Some(region)));
    let main_is_fine = (2..=3).contains(&main.len()) && main.bytes().all(|b| b.is_ascii_lowercase());
    let region_is_fine =
        region.is_none_or(|r| (2..=4).contains(&r.len()) && r.bytes().all(|b| b.is_ascii_alphabetic()));
    if main_is_fine && region_is_fine { Ok(text.to_owned()) } else { Err(TextError(Code::NotALanguage)) }
}

fn one_of(text: &str, values: &[&str], otherwise: Code) -> Result<String, TextError> {
    if values.contains(&text) { Ok(text.to_owned()) } else { Err(TextError(otherwise)) }
}

/// `jazz` or `local_stream://jazz`; saved as the latter.
fn music(text: &str) -> Result<String, TextError> {
    let name = StreamName::parse(text.strip_prefix("local_stream://").unwrap_or(text));
    name.map(|name| name.source()).map_err(|_| TextError(Code::NotMusic))
}

/// Only digits, without sign or exponent.
fn number(text: &str) -> Option<u32> {
    let plain = (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

fn jitter_buffer(text: &str) -> Result<String, TextError> {
    let part_is_fine = |part: &str| {
        let (digits, most) = part.strip_suffix('p').map_or((part, 10_000), |digits| (digits, 500));
        let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        plain && digits.parse::<u32>().is_ok_and(|number| number <= most)
    };
    let parts = text.split(':').collect::<Vec<_>>();
    if parts.len() <= 3 && parts.iter().all(|part| part_is_fine(part)) {
        Ok(text.to_owned())
    } else {
        Err(TextError(Code::NotAJitterBuffer))
    }
}

fn ringback(text: &str) -> Result<String, TextError> {
    if is_tone(text) {
        return Ok(text.to_owned());
    }
    music(text).map_err(|_| TextError(Code::NotARingback))
}

/// One tone after another, such as `%(1000,4000,425)`: milliseconds on, milliseconds off, and frequencies. The rest of teletone's script
/// language (libteletone_generate.c) is refused: it also has volumes, loops and variables.
pub fn is_tone(text: &str) -> bool {
    let number = |text: &str| (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let tone = |text: &str| {
        let inside = text.strip_prefix("%(").and_then(|rest| rest.strip_suffix(')'));
        inside.is_some_and(|inside| (3..=6).contains(&inside.split(',').count()) && inside.split(',').all(number))
    };
    text.len() <= 120 && !text.is_empty() && text.split(';').all(tone)
}

fn flag_or_causes(text: &str) -> Result<String, TextError> {
    let cause = |text: &str| {
        let word = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        (1..=40).contains(&text.len()) && word
    };
    let fine = matches!(text, "true" | "false") || (text.len() <= 200 && text.split(',').all(cause));
    if fine { Ok(text.to_owned()) } else { Err(TextError(Code::NotCauses)) }
}

fn keys(text: &str) -> Result<String, TextError> {
    let keys = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#'));
    if keys || matches!(text, "none" | "any") { Ok(text.to_owned()) } else { Err(TextError(Code::NotKeys)) }
}

#[cfg(test)]
mod tests;
