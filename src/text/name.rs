//! Names of domains, users, numbers, groups and switches.

use rand::RngExt as _;
use uuid::Uuid;

use super::{
    Code, TextError,
    display::{self, no_directive},
    text_column, text_type,
};

text_type!(
    /// A tenant's SIP domain, which is also the name of its dialplan context: a lower-case DNS name.
    Domain, parse_domain, "acme.example"
);
text_type!(
    /// The name that a phone registers with. It is lower case, because FreeSWITCH ignores case in user ids
    /// (`switch_xml_find_child_multi` in switch_xml.c): two names that differ only by case would be the same user.
    SipUsername, parse_sip_username, "u7kq3mxzd"
);
text_type!(
    /// The number of an extension or group, dialled inside its tenant: 2 to 15 digits.
    ExtensionNumber, parse_extension_number, "1000"
);
text_type!(
    /// A group's name, as people write it. It has a letter, so that it is no number. No switch is given it.
    GroupName, parse_group_name, "Smith & Sons"
);
text_type!(
    /// What switches call a group, as in `group_call sales@acme.example`.
    GroupHandle, parse_group_handle, "sales"
);
text_type!(
    /// A switch's name: the user of its Basic credentials.
    SwitchName, parse_switch_name, "fs1"
);
text_column!(Domain, SipUsername, ExtensionNumber, GroupName, GroupHandle, SwitchName);

fn parse_domain(text: &str) -> Result<String, TextError> {
    const WHAT: TextError = TextError(Code::NotADomain);
    no_directive(text)?;
    let domain = text.to_ascii_lowercase();
    let labels = domain.split('.').collect::<Vec<_>>();
    let label_is_fine = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // If the last label has only digits, it is an IP address, which FreeSWITCH treats differently.
    let top = labels.last().is_some_and(|top| top.bytes().any(|b| b.is_ascii_lowercase()));
    if labels.len() < 2 || domain.len() > 253 || !top || !labels.iter().all(label_is_fine) {
        return Err(WHAT);
    }
    if domain == "public" || domain == "default" {
        return Err(TextError(Code::DomainOfFreeswitch));
    }
    Ok(domain)
}

/// Makes a name lower case and checks it: 1 to 64 of `a-z 0-9 . _ -`, beginning with a letter or digit (or one `+`).
fn parse_identifier(text: &str, plus: bool) -> Option<String> {
    no_directive(text).ok()?;
    let name = text.to_ascii_lowercase();
    let rest = if plus { name.strip_prefix('+').unwrap_or(&name) } else { &name };
    let fine = rest.starts_with(|c: char| c.is_ascii_alphanumeric())
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && name.len() <= 64;
    fine.then_some(name)
}

fn parse_sip_username(text: &str) -> Result<String, TextError> {
    parse_identifier(text, true).ok_or(TextError(Code::NotASipUsername))
}

impl SipUsername {
    /// `u` and eight letters and digits (40 bits). No two of them look alike, because people type the name into phones.
    #[must_use]
    pub fn generate() -> Self {
        const CHARACTERS: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";
        let mut random = rand::rng();
        let drawn = std::iter::repeat_with(|| CHARACTERS[random.random_range(0..CHARACTERS.len())]);
        Self(std::iter::once('u').chain(drawn.take(8).map(char::from)).collect())
    }
}

fn parse_group_name(text: &str) -> Result<String, TextError> {
    let name = display::parse_display_name(text)?;
    if name.chars().any(char::is_alphabetic) { Ok(name) } else { Err(TextError(Code::NotAGroupName)) }
}

fn parse_group_handle(text: &str) -> Result<String, TextError> {
    match parse_identifier(text, false) {
        Some(name) if name.starts_with(|c: char| c.is_ascii_alphabetic()) => Ok(name),
        _ => Err(TextError(Code::NotAGroupName)),
    }
}

impl GroupName {
    /// The name in the form in which two of them are compared: without case, as far as letters of ASCII go.
    #[must_use]
    pub fn folded(&self) -> String {
        self.as_str().to_ascii_lowercase()
    }

    /// What switches call the group of this id: its name in lower case if they can, or else `g` and its id.
    #[must_use]
    pub fn handle(&self, id: Uuid) -> GroupHandle {
        GroupHandle::parse(self.as_str()).unwrap_or_else(|_| GroupHandle(format!("g{}", id.simple())))
    }
}

fn parse_switch_name(text: &str) -> Result<String, TextError> {
    parse_identifier(text, false).ok_or(TextError(Code::NotASwitchName))
}

fn parse_extension_number(text: &str) -> Result<String, TextError> {
    if (2..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err(TextError(Code::NotAnExtensionNumber))
    }
}
