//! The body of a call record, as FreeSWITCH posts it.
//!
//! mod_json_cdr sends JSON, bare or as `cdr=` in URL encoding or base64 (`process_cdr` in mod_json_cdr.c). mod_xml_cdr sends XML, bare
//! or as `cdr=` in plain text, URL encoding or base64 (`my_on_reporting` in mod_xml_cdr.c). Content types are no help: with
//! `disable-100-continue`, curl sets its own. So the format is recognised by the body.

use std::{borrow::Cow, collections::HashMap, fmt, sync::LazyLock};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use percent_encoding::percent_decode;
use quick_xml::{Reader, events::Event};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::model::channel;

/// The version of this parser. Raise it when it can read more: records that an older one could not read are then read again.
pub const READER: i16 = 1;

/// Why a record can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("not_a_record: the body is neither JSON nor XML, nor an encoding of them")]
    NotARecord,
    #[error("broken_json: {0}")]
    BrokenJson(String),
    #[error("broken_xml: {0}")]
    BrokenXml(String),
    #[error("no_variables: the record has no channel variables")]
    NoVariables,
    #[error("missing: there is no {0}")]
    Missing(&'static str),
    #[error("bad_value: {0} has a value that no switch writes")]
    BadValue(&'static str),
    #[error("twice: {0} is there twice, with different values")]
    Twice(&'static str),
    #[error("foreign: the call is on another cluster than the switch")]
    Foreign,
    #[error("contradiction: {0} contradicts the other times of the call")]
    Contradiction(&'static str),
}

/// The variables that say what a leg costs and whose it is. They must be beyond doubt.
const WANTED: [&str; 12] = [
    channel::CARRIER,
    channel::CALL,
    channel::CALLEE,
    "hangup_cause",
    "originate_disposition",
    "last_bridge_to",
    "answer_epoch",
    "bridge_epoch",
    "end_epoch",
    "billsec",
    DOMAINS[0],
    DOMAINS[1],
];

/// The variables that tell a leg's story. Nothing is charged by them, so they are read as far as they can be: of several values, the first
/// counts, and what is no text or number is left out.
const TOLD: [&str; 65] = [
    channel::TENANT,
    channel::ON_NET,
    channel::EXTENSION,
    channel::WITHHOLD,
    channel::PLACES,
    "sip_Privacy",
    "call_uuid",
    "direction",
    "start_epoch",
    "start_uepoch",
    "progress_uepoch",
    "progress_media_uepoch",
    "answer_uepoch",
    "bridge_uepoch",
    "end_uepoch",
    "hangup_cause_q850",
    "sip_term_status",
    "sip_invite_failure_status",
    "sip_hangup_disposition",
    "sip_call_id",
    "originating_leg_uuid",
    "originator",
    "bridge_uuid",
    "signal_bond",
    "other_loopback_leg_uuid",
    "picked_up_uuid",
    "refer_uuid",
    "loopback_leg",
    "user_name",
    "sip_from_user",
    "sip_from_display",
    "sip_to_user",
    "sip_req_user",
    "effective_caller_id_number",
    "effective_caller_id_name",
    "dialed_user",
    "last_app",
    "last_arg",
    "transfer_history",
    "hold_events",
    "hold_accum_seconds",
    "cc_side",
    "cc_queue",
    "cc_agent",
    "cc_agent_uuid",
    "cc_member_session_uuid",
    "cc_queue_joined_epoch",
    "cc_queue_answered_epoch",
    "cc_queue_terminated_epoch",
    "cc_queue_canceled_epoch",
    "cc_cause",
    "cc_cancel_reason",
    "conference_name",
    "conference_member_id",
    "valet_lot_extension",
    "record_seconds",
    "record_ms",
    "record_completion_cause",
    "voicemail_message_len",
    "rtp_audio_in_mos",
    "rtp_audio_in_jitter_max_variance",
    "rtp_audio_in_jitter_loss_rate",
    "rtp_audio_in_packet_count",
    "rtp_audio_in_skip_packet_count",
    "read_codec",
];

/// The wanted variable of this name, and whether its value must be beyond doubt.
fn wanted(name: &str) -> Option<(&'static str, bool)> {
    static NAMES: LazyLock<HashMap<&'static str, bool>> = LazyLock::new(|| {
        TOLD.into_iter().map(|name| (name, false)).chain(WANTED.into_iter().map(|name| (name, true))).collect()
    });
    NAMES.get_key_value(name).map(|(name, strict)| (*name, *strict))
}

fn is_strict(name: &str) -> bool {
    wanted(name).is_some_and(|(_, strict)| strict)
}

/// In bytes. More of a value is not kept.
const LONGEST: usize = 2000;

/// The variables with the domain of the leg's tenant: of the one who called (`sofia_reg_parse_auth` in sofia_reg.c sets it), and of the
/// one who was called (`user_outgoing_channel` in mod_dptools.c).
const DOMAINS: [&str; 2] = ["domain_name", "dialed_domain"];

/// The wanted channel variables of a record.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Variables(HashMap<&'static str, String>);

impl Variables {
    #[must_use]
    pub fn get(&self, name: &'static str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The domain of the tenant that the leg belongs to, if the record says it.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        DOMAINS.into_iter().find_map(|name| self.get(name))
    }

    /// The same value twice is fine: mod_xml_cdr repeats the element of a variable that has several values.
    fn add(&mut self, name: &'static str, mut value: String) -> Result<(), Unreadable> {
        if value.is_empty() {
            return Ok(());
        }
        // A domain decides nothing but whose story it is and for how long the record is kept.
        if DOMAINS.contains(&name) || !is_strict(name) {
            value.truncate(value.floor_char_boundary(LONGEST));
            self.0.entry(name).or_insert(value);
            return Ok(());
        }
        match self.0.insert(name, value) {
            Some(before) if before != self.0[name] => Err(Unreadable::Twice(name)),
            _ => Ok(()),
        }
    }
}

impl<const N: usize> From<[(&'static str, &str); N]> for Variables {
    fn from(pairs: [(&'static str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
    }
}

/// Reads the body of a record.
pub fn read(body: &[u8]) -> Result<Variables, Unreadable> {
    let plain = decoded(body)?;
    // The record has the caller's name byte for byte (`switch_ivr_set_json_profile_data` in switch_ivr.c), so it may not be UTF-8.
    let text = String::from_utf8_lossy(&plain);
    if text.starts_with('{') { json(&text) } else { xml(&text) }
}

/// The body as people could read it, without the encoding around it; as it is, if it has none that is known.
#[must_use]
pub fn plain(body: &[u8]) -> String {
    let plain = decoded(body).unwrap_or(Cow::Borrowed(body));
    String::from_utf8_lossy(&plain).into_owned()
}

/// The JSON or XML, without the encoding around it.
fn decoded(body: &[u8]) -> Result<Cow<'_, [u8]>, Unreadable> {
    // A record that the switch could not post is a file of the same text, without `cdr=` (`backup_cdr` in mod_json_cdr.c).
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    let body = body.strip_prefix(b"cdr=").unwrap_or(body).trim_ascii();
    let is_plain = |text: &[u8]| matches!(text.first(), Some(b'{' | b'<'));
    let decoded = match body.first() {
        Some(b'{' | b'<') => return Ok(Cow::Borrowed(body)),
        // `+` is not a space here: the switch writes %20 and %2B (`switch_url_encode_opt` in switch_utils.c).
        Some(b'%') => percent_decode(body).collect::<Vec<_>>(),
        _ => base64(body).ok_or(Unreadable::NotARecord)?,
    };
    let text = decoded.trim_ascii();
    if is_plain(text) { Ok(Cow::Owned(text.to_vec())) } else { Err(Unreadable::NotARecord) }
}

/// Decodes base64, ignoring the line breaks of `switch_b64_encode` in switch_utils.c.
fn base64(body: &[u8]) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let text = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<_>>();
    LENIENT.decode(text).ok()
}

fn json(text: &str) -> Result<Variables, Unreadable> {
    let mut refused = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Root { refused: &mut refused }.deserialize(&mut reader).and_then(|read| reader.end().map(|()| read));
    match (read, refused) {
        (_, Some(refused)) => Err(refused),
        (Ok(Some(variables)), None) => Ok(variables),
        (Ok(None), None) => Err(Unreadable::NoVariables),
        (Err(error), None) => Err(Unreadable::BrokenJson(error.to_string())),
    }
}

/// The object of a whole record. What is not wanted is skipped. `refused`: why the record is refused although it is JSON.
struct Root<'a> {
    refused: &'a mut Option<Unreadable>,
}

impl<'de> DeserializeSeed<'de> for Root<'_> {
    type Value = Option<Variables>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Root<'_> {
    type Value = Option<Variables>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a call record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut variables = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key != "variables" {
                map.next_value::<IgnoredAny>()?;
            } else if variables.replace(map.next_value_seed(Pairs { refused: &mut *self.refused })?).is_some() {
                *self.refused = Some(Unreadable::Twice("variables"));
            }
        }
        Ok(variables)
    }
}

struct Pairs<'a> {
    refused: &'a mut Option<Unreadable>,
}

impl<'de> DeserializeSeed<'de> for Pairs<'_> {
    type Value = Variables;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Pairs<'_> {
    type Value = Variables;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("channel variables")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut variables = Variables::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let Some((name, strict)) = wanted(&key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            // The switch writes strings, but a system that passes records on may turn them into numbers.
            let added = match map.next_value::<Simple>()? {
                Simple::Text(text) => variables.add(name, value(text.as_bytes())),
                Simple::Other if strict => Err(Unreadable::BadValue(name)),
                Simple::Other => Ok(()),
            };
            if let Err(refused) = added {
                *self.refused = Some(refused);
            }
        }
        Ok(variables)
    }
}

/// A value that is a text or number, or else something that is skipped, however deep it is.
enum Simple {
    Text(String),
    Other,
}

impl<'de> Deserialize<'de> for Simple {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(SimpleVisitor)
    }
}

struct SimpleVisitor;

impl<'de> Visitor<'de> for SimpleVisitor {
    type Value = Simple;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<Simple, E> {
        Ok(Simple::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Simple, E> {
        Ok(Simple::Text(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Simple, E> {
        Ok(Simple::Text(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Simple, E> {
        Ok(Simple::Text(number.to_string()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Simple, E> {
        Ok(Simple::Other)
    }

    fn visit_unit<E>(self) -> Result<Simple, E> {
        Ok(Simple::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Simple, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Simple::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Simple, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Simple::Other)
    }
}

/// Values are URL-encoded once more (`switch_ivr_set_xml_chan_var` in switch_ivr.c; in JSON with `encode-values`).
fn value(text: &[u8]) -> String {
    // The database has no text with a NUL in it.
    percent_decode(text).decode_utf8_lossy().replace('\0', "").trim().to_owned()
}

/// Reads up to the end of the first `<variables>`. After it comes the caller's name, which is not always escaped
/// (`switch_xml_ampencode` in switch_xml.c stops at `<!`).
fn xml(text: &str) -> Result<Variables, Unreadable> {
    let broken = |error: quick_xml::Error| Unreadable::BrokenXml(error.to_string());
    let mut reader = Reader::from_str(text);
    // Elements are named after variables, whose names may contain anything.
    reader.config_mut().check_end_names = false;
    let mut variables = Variables::default();
    let mut path: Vec<String> = Vec::new();
    let mut open: Option<(&'static str, bool, String)> = None;
    loop {
        let inside = path.len() >= 2 && path[0] == "cdr" && path[1] == "variables";
        match reader.read_event().map_err(broken)? {
            Event::Start(start) => {
                if let Some((name, true, _)) = open {
                    return Err(Unreadable::BadValue(name));
                }
                let name = start.name().as_ref().to_owned();
                if path.is_empty() && name != "cdr" {
                    return Err(Unreadable::NotARecord);
                }
                if inside && path.len() == 2 {
                    open = wanted(&name).map(|(name, strict)| (name, strict, String::new()));
                }
                path.push(name);
            }
            Event::End(_) => {
                path.pop();
                // What is inside a value that is only told is left out.
                if path.len() == 2
                    && let Some((name, _, text)) = open.take()
                {
                    variables.add(name, value(text.as_bytes()))?;
                }
                if inside && path.len() == 1 {
                    return Ok(variables);
                }
            }
            Event::Text(text) => {
                if let Some((_, _, value)) = &mut open {
                    value.push_str(&text);
                }
            }
            Event::Empty(start) if path.len() == 1 && start.name().as_ref() == "variables" => return Ok(variables),
            // No wanted value has a character that needs one of these.
            Event::GeneralRef(_) | Event::CData(_) => {
                if let Some((name, true, _)) = open {
                    return Err(Unreadable::BadValue(name));
                }
            }
            Event::Eof if path.is_empty() => return Err(Unreadable::NoVariables),
            Event::Eof => return Err(Unreadable::BrokenXml("it ends in the middle".into())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

    use super::*;

    const JSON: &str = r#"{"core-uuid":"x","variables":{"direction":"outbound","hangup_cause":"NORMAL_CLEARING","answer_epoch":"1795215283","billsec":59,"start_stamp":"2026-11-20%2022%3A54%3A43"},"callflow":[{"caller_profile":{"caller_id_name":"NAME"}}]}"#;
    const XML: &str = "<?xml version=\"1.0\"?>\n<cdr core-uuid=\"x\">\n  <channel_data><billsec>7</billsec></channel_data>\n  <variables>\n    \
        <sip_h_X-a b>%</sip_h_X-a b>\n    <hangup_cause>NORMAL_CLEARING</hangup_cause>\n    <answer_epoch>1795215283</answer_epoch>\n    \
        <billsec>59</billsec>\n    <billsec>59</billsec>\n  </variables>\n  <callflow><caller_profile><caller_id_name>NAME</caller_id_name></caller_profile></callflow>\n</cdr>\n";

    fn expected(text: &str) -> Variables {
        let mut variables =
            Variables::from([("hangup_cause", "NORMAL_CLEARING"), ("answer_epoch", "1795215283"), ("billsec", "59")]);
        if text == JSON {
            variables.0.insert("direction", "outbound".to_owned());
        }
        variables
    }

    #[test]
    fn every_form_in_which_freeswitch_posts_a_record_is_read() {
        for text in [JSON, XML] {
            for name in [&b"Ada"[..], b"M\xfcller", b"\xe2\x82", b"&amp;<!x"] {
                if text == JSON && name.contains(&b'<') {
                    continue;
                }
                let (before, after) = text.split_once("NAME").unwrap();
                let plain = [before.as_bytes(), name, after.as_bytes()].concat();
                let url = percent_encode(&plain, NON_ALPHANUMERIC).to_string();
                let base = base64::engine::general_purpose::STANDARD.encode(&plain);
                let lines = base.as_bytes().chunks(72).map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>();
                let lines = lines.join("\n");
                for wrapped in [url, base.clone(), lines, base.trim_end_matches('=').to_owned()] {
                    assert_eq!(read(format!("cdr={wrapped}").as_bytes()), Ok(expected(text)));
                    assert_eq!(read(format!("{wrapped}\n").as_bytes()), Ok(expected(text)), "as a file");
                }
                assert_eq!(read(&plain), Ok(expected(text)));
                assert_eq!(read(&[b"cdr=", &plain[..]].concat()), Ok(expected(text)));
            }
        }
    }

    #[test]
    fn a_body_that_is_no_record_says_why() {
        let reason = |body: &str| read(body.as_bytes()).unwrap_err().to_string();
        for (body, code) in [
            ("", "not_a_record"),
            ("nope", "not_a_record"),
            ("cdr=", "not_a_record"),
            ("cdr=nope", "not_a_record"),
            ("cdr=%ZZ", "not_a_record"),
            ("<html></html>", "not_a_record"),
            ("{}", "no_variables"),
            ("<cdr></cdr>", "no_variables"),
            ("{\"variables\":{", "broken_json"),
            ("{\"variables\":[]}", "broken_json"),
            ("{\"variables\":{}} more", "broken_json"),
            ("<cdr><variables><billsec>5", "broken_xml"),
            ("{\"variables\":{\"billsec\":null}}", "bad_value"),
            ("{\"variables\":{\"billsec\":\"1\",\"billsec\":\"2\"}}", "twice"),
            ("{\"variables\":{},\"variables\":{}}", "twice"),
            ("<cdr><variables><billsec>1</billsec><billsec>2</billsec></variables></cdr>", "twice"),
            ("<cdr><variables><billsec>&#49;</billsec></variables></cdr>", "bad_value"),
        ] {
            assert!(reason(body).starts_with(code), "{body}: {}", reason(body));
        }
    }

    #[test]
    fn a_callers_name_changes_no_record() {
        let forged =
            "</caller_id_name></caller_profile></callflow><variables><billsec>0</billsec></variables><x><y><z>";
        assert_eq!(read(XML.replace("NAME", forged).as_bytes()), Ok(expected(XML)));
    }

    #[test]
    fn what_only_tells_the_story_is_read_as_far_as_it_can_be() {
        let deep = "[".repeat(1000) + &"]".repeat(1000);
        let json = format!(
            r#"{{"variables":{{"hangup_cause":"X","sip_from_user":["a"],"last_app":{deep},"cc_queue":null,"last_arg":7,"last_arg":"%00b"}}}}"#
        );
        let xml = "<cdr><variables><hangup_cause>X</hangup_cause><last_arg>7</last_arg><last_arg>b</last_arg><last_app>a<b>c</b>&amp;</last_app>\
                   <sip_from_user><x/></sip_from_user></variables></cdr>";
        assert_eq!(read(json.as_bytes()), Ok(Variables::from([("hangup_cause", "X"), ("last_arg", "7")])));
        assert_eq!(
            read(xml.as_bytes()),
            Ok(Variables::from([("hangup_cause", "X"), ("last_arg", "7"), ("last_app", "ac")]))
        );
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_posted_is_read_or_refused(body: Vec<u8>, cut in 0..900_usize) {
            let _ = read(&body);
            let _ = read(&JSON.as_bytes()[..cut.min(JSON.len())]);
            let _ = read(&XML.as_bytes()[..cut.min(XML.len())]);
        }
    }
}
