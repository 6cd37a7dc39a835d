//! The address at which a registered phone is reached, as a switch keeps it. The phone itself wrote the text.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A contact that can stand in a dial string: `sip:USER@HOST[:PORT][;NAME[=VALUE]]…`.
///
/// In a dial string, `,` `|` and `:_:` separate branches, `[` `{` `<` begin variables, `'` and `\` quote (`switch_ivr_originate` in
/// switch_ivr_originate.c), and `$` is expanded before. A `^` begins the To header's URI (`sofia_outgoing_channel` in mod_sofia.c). What follows
/// the last `/` is encoded again, and so is a user part with characters other than these (`protect_dest_uri` there), which also turns `sips:`
/// into `sip:`. A host without a dot would need a DNS lookup. Contacts that don't fit are rare; for them, the result is `None`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contact(Box<str>);

/// A switch keeps 1023 bytes, and cuts off the rest (`contact_str` in `sofia_reg_handle_register_token` in sofia_reg.c).
const LONGEST: usize = 1000;

impl Contact {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let address = text.strip_prefix("sip:").filter(|_| text.len() <= LONGEST)?;
        let (address, parameters) = address.split_once(';').map_or((address, None), |(one, rest)| (one, Some(rest)));
        let (user, host) = address.split_once('@')?;
        let fine = is_user(user) && is_place(host) && parameters.is_none_or(are_parameters);
        fine.then(|| Self(text.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The device at this contact, as every node names it.
    #[must_use]
    pub fn device(&self, user: &str, domain: &str) -> DeviceId {
        let mut hash = Sha256::new();
        for part in [user, "\0", domain, "\0", &self.0] {
            hash.update(part.as_bytes());
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hash.finalize()[..8]);
        DeviceId(u64::from_be_bytes(first))
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_user(user: &str) -> bool {
    (1..=128).contains(&user.len())
        && user.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'~' | b'*'))
}

fn is_place(place: &str) -> bool {
    let (host, port) = place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)));
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0);
    let is_label =
        |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    host.contains('.') && host.len() <= 253 && host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn are_parameters(parameters: &str) -> bool {
    let mut paths = 0;
    let all_fine = parameters.split(';').all(|parameter| {
        let (name, value) = parameter.split_once('=').map_or((parameter, None), |(name, value)| (name, Some(value)));
        paths += usize::from(name.eq_ignore_ascii_case("fs_path"));
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        is_name && value.is_none_or(is_value)
    });
    // The switch would use the first one, which the phone wrote.
    all_fine && paths <= 1
}

fn is_value(value: &str) -> bool {
    let is_plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'~' | b'*' | b'+' | b'&' | b':' | b'%');
    let escapes_are_fine = value.split('%').skip(1).all(|rest| {
        let code = rest.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        // Decoded, it would end a header (`sofia_glue_get_destination` in sofia_glue.c).
        code.is_some_and(|code| !code.is_ascii_control()) && !rest.starts_with('+')
    });
    !value.is_empty()
        && value.bytes().all(is_plain)
        && !value.contains("::")
        && !value.contains(":_")
        && escapes_are_fine
}

/// Names one of an extension's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(u64);

impl DeviceId {
    /// Reads sixteen digits, as they are written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_written = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        u64::from_str_radix(text, 16).ok().filter(|_| is_written).map(Self)
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As FreeSWITCH 1.11 kept them.
    const KEPT: &[&str] = &[
        "sip:1001@192.0.2.10:5060",
        "sip:1001@192.0.2.10",
        "sip:u7kq3mxzd@10.9.9.9:5060;fs_nat=yes;fs_path=sip%3Au7kq3mxzd%40127.0.0.1%3A25177",
        "sip:1001@192.168.1.20:49152;transport=TCP;fs_nat=yes;fs_path=sip%3A1001%40198.51.100.7%3A1024%3Btransport%3DTCP",
        "sip:abc@x.invalid;transport=ws;fs_nat=yes;fs_path=sip%3Aabc%40127.0.0.1%3A48398%3Btransport%3Dws",
        "sip:1001@192.168.0.5:2051;line=abc123;ob",
        "sip:1001@192.168.0.5:5061;transport=tls;rinstance=0f3a",
        "sip:1001@h.example:5060;pn-provider=apns;pn-param=93ZPV8T8VC.org.linphone.phone.voip&remote;pn-prid=ab:voip",
        "sip:a4b2c3d4-0001@192.0.2.9:5060;received=198.51.100.7:1024",
        "sip:1001@192.0.2.10:5060;fs_path=%3Csip%3A198.51.100.1%3Blr%3E",
    ];

    #[test]
    fn contacts_as_switches_keep_them_can_be_dialled() {
        for contact in KEPT {
            assert_eq!(Contact::parse(contact).as_ref().map(Contact::as_str), Some(*contact));
        }
    }

    #[test]
    fn a_contact_that_a_switch_would_read_otherwise_is_not_dialled() {
        let wrong = [
            "",
            "sip:",
            "sip:@192.0.2.1",
            "sip:1001",
            "sip:192.0.2.1:5060",
            "SIP:1001@192.0.2.1",
            "sips:1001@192.0.2.1",
            "tel:+493012345678",
            "\"Ada\" <sip:1001@192.0.2.1>",
            "<sip:1001@192.0.2.1>",
            "sip:1001@192.0.2.1>",
            "sip:1001@192.0.2.1,sip:1002@192.0.2.1",
            "sip:1001@192.0.2.1|error/USER_BUSY",
            "sip:1001@192.0.2.1:_:error/USER_BUSY",
            "sip:1001@192.0.2.1;a=b:_:c",
            "sip:1001@192.0.2.1;a=system::id",
            "sip:1001@[2001:db8::1]:5060",
            "{a=b}sip:1001@192.0.2.1",
            "sip:1001@192.0.2.1;a={b}",
            "sip:1001@192.0.2.1;a=[b]",
            "sip:1001@192.0.2.1;a='b'",
            "sip:1001@192.0.2.1;a=\"b\"",
            "sip:1001@192.0.2.1;a=b\\",
            "sip:1001@192.0.2.1;a=${hostname}",
            "sip:$1@192.0.2.1",
            "sip:1001@192.0.2.1;a=b c",
            "sip:1001@192.0.2.1;a=b\n",
            "sip:1001 @192.0.2.1",
            "sip:1001@192.0.2.1;a=b/c",
            "sip:a/b@192.0.2.1",
            "sip:1001@192.0.2.1^1002@acme.test",
            "sip:+4930@192.0.2.1",
            "sip:a%20b@192.0.2.1",
            "sip:a:b@192.0.2.1",
            "sip:a;b@192.0.2.1",
            "sip:1001@acme.test@192.0.2.1",
            "sip:1001@localhost",
            "sip:1001@192.0.2.1:0",
            "sip:1001@192.0.2.1:70000",
            "sip:1001@192.0.2.1:+506",
            "sip:1001@192.0.2.1:",
            "sip:1001@.invalid",
            "sip:1001@192.0.2.1;",
            "sip:1001@192.0.2.1;=x",
            "sip:1001@192.0.2.1;a=",
            "sip:1001@192.0.2.1;a=b=c",
            "sip:1001@192.0.2.1?Subject=x",
            "sip:1001@192.0.2.1;a=%",
            "sip:1001@192.0.2.1;a=%4",
            "sip:1001@192.0.2.1;a=%0d%0aRoute",
            "sip:1001@192.0.2.1;a=%+1",
            "sip:1001@192.0.2.1;a=%7f",
            "sip:1001@192.0.2.1;fs_path=sip%3Aevil.example;fs_nat=yes;fs_path=sip%3A1001%40192.0.2.1",
            "sip:zo\u{eb}@192.0.2.1",
        ];
        for text in wrong {
            assert_eq!(Contact::parse(text), None, "{text:?}");
        }
        assert_eq!(Contact::parse(&format!("sip:1001@192.0.2.1;a={}", "b".repeat(LONGEST))), None);
    }

    #[test]
    fn a_device_is_named_by_whose_it_is_and_where() {
        let (one, other) = (Contact::parse(KEPT[0]).unwrap(), Contact::parse(KEPT[1]).unwrap());
        let id = one.device("1001", "acme.test");
        assert_eq!(id, one.device("1001", "acme.test"));
        for different in
            [other.device("1001", "acme.test"), one.device("1002", "acme.test"), one.device("1001", "b.test")]
        {
            assert_ne!(id, different);
        }
        assert_eq!(DeviceId::parse(&id.to_string()), Some(id));
        for wrong in ["", "0", "00000000000000000", "000000000000000G", "+00000000000000f", "000000000000000F"] {
            assert_eq!(DeviceId::parse(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        /// No accepted contact can split a dial string or be expanded.
        #[test]
        fn what_passes_is_one_branch(text in "sip:[ -~]{1,20}@[ -~]{1,20}(;[ -~]{1,20}){0,2}") {
            if let Some(contact) = Contact::parse(&text) {
                let forbidden = |c: char| ",|[]{}<>$'\"\\^/ ?#`".contains(c) || c.is_control() || !c.is_ascii();
                prop_assert!(!contact.as_str().contains(forbidden), "{contact}");
                prop_assert!(!contact.as_str().contains("::") && !contact.as_str().contains(":_"), "{contact}");
                prop_assert_eq!(contact.as_str().matches('@').count(), 1);
            }
        }

        #[test]
        fn what_is_changed_at_one_place_is_refused_or_harmless(at in 0_usize..100, kept in 0..KEPT.len(), byte in 1_u8..128) {
            let mut text = KEPT[kept].as_bytes().to_vec();
            let at = at % text.len();
            text[at] = byte;
            let text = String::from_utf8(text).unwrap();
            if ",|[]{}<>$'\"\\^/ \t\n".contains(char::from(byte)) {
                prop_assert_eq!(Contact::parse(&text), None);
            }
        }
    }
}
