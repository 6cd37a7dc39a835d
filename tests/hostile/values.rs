//! Generates every kind of text that a tenant may choose, up to the limits of its type.

use std::collections::{BTreeMap, BTreeSet};

use dialplane::{
    telephony::extensions::NewExtension,
    text::{
        CallerName, CallerNumber, Codecs, DisplayName, Domain, Email, GroupHandle, SipSecret, SipUsername, Variable,
        VoicemailPin, variable_names,
    },
};
use proptest::{collection::vec, option::weighted, prelude::*, sample::select};

/// A tenant with extensions, all of them in one group, and a phone number that leads to each.
#[derive(Debug, Clone)]
pub struct WantedTenant {
    pub domain: String,
    pub group: GroupHandle,
    pub extensions: Vec<Wanted>,
}

/// The values of an extension.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub number: String,
    pub alias: Option<String>,
    pub username: SipUsername,
    pub secret: SipSecret,
    pub pin: VoicemailPin,
    pub display_name: DisplayName,
    pub caller_name: Option<CallerName>,
    pub caller_number: Option<CallerNumber>,
    pub email: Option<Email>,
    pub codecs: Option<Codecs>,
    pub variables: BTreeMap<String, Variable>,
    pub voicemail: bool,
    pub registrations: i16,
}

impl Wanted {
    pub fn new_extension(&self) -> NewExtension {
        NewExtension {
            alias: self.alias.as_ref().map(|alias| alias.parse().unwrap()),
            sip_username: Some(self.username.clone()),
            sip_password: Some(self.secret.clone()),
            caller_id_name: self.caller_name.clone(),
            caller_id_number: self.caller_number.clone(),
            voicemail_enabled: Some(self.voicemail),
            max_registrations: Some(self.registrations),
            voicemail_pin: Some(self.pin.clone()),
            voicemail_email: self.email.clone(),
            codecs: self.codecs.clone(),
            variables: self.variables.values().cloned().collect(),
            ..NewExtension::with_number(self.number.parse().unwrap(), self.display_name.clone())
        }
    }

    /// How many generated texts it has.
    pub fn count(&self) -> usize {
        let optional = [self.alias.is_some(), self.caller_name.is_some(), self.caller_number.is_some()];
        let optional = optional.into_iter().chain([self.email.is_some(), self.codecs.is_some()]);
        5 + optional.filter(|there| *there).count() + self.variables.len()
    }
}

pub fn tenants() -> impl Strategy<Value = WantedTenant> {
    let group = accepted("[a-zA-Z][a-zA-Z0-9._-]{0,20}", |text| GroupHandle::parse(text).ok());
    (domain(), group, vec(wanted(), 1..5)).prop_map(|(domain, group, mut extensions)| {
        // There is one namespace, so a name in use gets a suffix that makes it free.
        let mut taken = BTreeSet::from([group.as_str().to_owned()]);
        for (place, wanted) in extensions.iter_mut().enumerate() {
            wanted.number = format!("1{place:02}{}", wanted.number);
            wanted.alias = wanted.alias.as_ref().map(|alias| format!("2{place:02}{alias}"));
            let is_number = wanted.username.as_str().starts_with(['1', '2']);
            if is_number || !taken.insert(wanted.username.as_str().to_owned()) {
                wanted.username =
                    SipUsername::parse(&format!("u{place}-{}", wanted.username.as_str().replace('+', "."))).unwrap();
                assert!(taken.insert(wanted.username.as_str().to_owned()));
            }
        }
        WantedTenant { domain, group, extensions }
    })
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let username = accepted("\\+?[a-zA-Z0-9][a-zA-Z0-9._-]{0,30}", |text| SipUsername::parse(text).ok());
    let names = ("[0-9]{0,12}", weighted(0.8, "[0-9]{0,12}"), username);
    let secret = accepted("[a-zA-Z0-9._+=*#-]{12,64}", |text| SipSecret::parse(text).ok());
    let secrets = (secret, accepted("[0-9]{4,12}", |text| VoicemailPin::parse(text).ok()));
    let shown = (
        shown_text(12).prop_filter_map("a display name", |text| DisplayName::parse(&text).ok()),
        weighted(0.8, shown_text(12).prop_filter_map("a caller name", |text| CallerName::parse(&text).ok())),
        weighted(0.8, accepted("\\+?[0-9]{1,15}", |text| CallerNumber::parse(text).ok())),
    );
    let codecs =
        accepted("(OPUS|PCMA|PCMU|G722|opus)(@[0-9]{1,2}i)?(,(G729|iLBC|VP8)){0,2}", |text| Codecs::parse(text).ok());
    let variables = vec(variable(), 0..10)
        .prop_map(|variables| variables.into_iter().map(|variable| (variable.name().to_owned(), variable)).collect());
    let carried = (weighted(0.8, email()), weighted(0.8, codecs), variables, any::<bool>(), 1..=3_i16);
    (names, secrets, shown, carried).prop_map(|(names, secrets, shown, carried)| Wanted {
        number: names.0,
        alias: names.1,
        username: names.2,
        secret: secrets.0,
        pin: secrets.1,
        display_name: shown.0,
        caller_name: shown.1,
        caller_number: shown.2,
        email: carried.0,
        codecs: carried.1,
        variables: carried.2,
        voicemail: carried.3,
        registrations: carried.4,
    })
}

/// One of the variables, with any kind of value that it accepts.
fn variable() -> impl Strategy<Value = Variable> {
    let value = prop_oneof![
        3 => shown_text(25),
        2 => "[a-zA-Z0-9][a-zA-Z0-9._+@-]{0,20}",
        2 => "[0-9]{1,6}(p?:[0-9]{1,3}){0,2}",
        1 => "[a-z]{2,3}(-[A-Z]{2})?",
        1 => select(vec!["true", "false", "mandatory", "optional", "Europe/Berlin", "UTC"]).prop_map(String::from),
    ];
    let names = select(variable_names().collect::<Vec<_>>());
    (names, value).prop_filter_map("what the variable takes", |(name, value)| Variable::parse(name, &value).ok())
}

fn accepted<T: std::fmt::Debug>(pattern: &'static str, parse: fn(&str) -> Option<T>) -> impl Strategy<Value = T> {
    pattern.prop_filter_map("what the type accepts", move |text| parse(&text))
}

fn domain() -> impl Strategy<Value = String> {
    accepted("([a-z0-9]([a-z0-9-]{0,12}[a-z0-9])?\\.){1,3}[a-z][a-z0-9-]{0,4}[a-z]", |text| {
        Domain::parse(text).ok().map(|domain| domain.to_string())
    })
}

fn email() -> impl Strategy<Value = Email> {
    ("[a-zA-Z0-9._+=-]{1,30}", domain())
        .prop_filter_map("an address", |(local, domain)| Email::parse(&format!("{local}@{domain}")).ok())
}

/// Text with many scripts, all punctuation, and words that FreeSWITCH acts on.
fn shown_text(pieces: usize) -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "include",
        "/include",
        "?xml",
        "?",
        "!",
        "!--",
        "!--#exec",
        "--",
        "-",
        "#exec",
        "x-pre",
        "X-PRE PROCESS",
        "pre-process",
        "cmd=",
        "data=",
        "CDATA",
        "DOCTYPE",
        "ENTITY",
        "#36",
        "amp",
        "lt",
        "user/1000",
        "sofia/internal",
        ":_:",
        "system id",
        "not found",
        "result",
        "variable",
        "=",
        "/",
        ",",
        "@",
        "~",
        "(",
        ")",
        "*",
        "+1",
        "#",
        ".",
    ];
    const SCRIPTS: &[(u32, u32)] = &[
        (0x20, 0x7e),
        (0xa1, 0x17f),
        (0x300, 0x36f),
        (0x370, 0x3ff),
        (0x400, 0x4ff),
        (0x5d0, 0x5ea),
        (0x621, 0x64a),
        (0x905, 0x939),
        (0xe01, 0xe3a),
        (0x10a0, 0x10ff),
        (0x3041, 0x30ff),
        (0x4e00, 0x9fff),
        (0xac00, 0xd7a3),
        (0xe000, 0xf8ff),
        (0xff01, 0xff60),
        (0x10330, 0x1034a),
        (0x1d400, 0x1d7ff),
        (0x1f300, 0x1f6ff),
        (0x20000, 0x2a6df),
        (0xf0000, 0x10_fffd),
    ];
    let scripted =
        (select(SCRIPTS), any::<prop::sample::Index>()).prop_filter_map("a character", |((from, to), place)| {
            let place = u32::try_from(place.index(usize::try_from(to - from + 1).ok()?)).ok()?;
            char::from_u32(from + place).map(String::from)
        });
    let piece = prop_oneof![
        4 => scripted,
        2 => "[ !#()*+,./:=?@_~-]".prop_map(String::from),
        2 => select(WORDS).prop_map(String::from),
        2 => "[a-zA-Z0-9 ]{1,6}",
    ];
    // Remove the pieces that are not allowed.
    vec(piece, 1..pieces).prop_map(|pieces| {
        let fine = |piece: &String| piece.chars().all(char::is_whitespace) || DisplayName::parse(piece).is_ok();
        pieces.into_iter().filter(fine).collect::<String>()
    })
}
