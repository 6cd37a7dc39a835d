//! Whether a REGISTER names an address that the switch must not call.
//!
//! A switch sends calls to the contact that the phone wrote, from its own address. Where that is a carrier who trusts the switch's address, another
//! switch, or somebody else's phone, whoever has one extension could call at others' cost, past all rules. Behind NAT, a phone writes an address
//! that is private, and the switch sends to where the REGISTER came from instead (`apply-nat-acl` in `freeswitch-conf`, and `is_nat` in
//! `sofia_reg_handle_register_token` in sofia_reg.c). A browser writes a name that nobody has (RFC 2606).

use std::net::IpAddr;

use super::{Fields, decode, text};

/// Switches whose `xml_curl.conf.xml` is older than this rule don't send the contact.
pub fn is_strange(fields: &Fields<'_>) -> bool {
    // Somebody added a field of their own.
    if fields.contact_host.twice || fields.contact_user.twice {
        return true;
    }
    let Some(host) = text(fields.contact_host.get()) else { return false };
    let number = text(fields.contact_user.get());
    let is_own =
        number.is_none_or(|number| !is_dialled(&number) || text(fields.user).is_some_and(|user| user == number));
    !(is_own && is_its_place(&host, text(Some(fields.proof.address)).as_deref()))
}

/// Whether a switch that is called with this as the user might put a call through. Phones have their SIP username there, or something random.
fn is_dialled(user: &str) -> bool {
    // Parameters may follow, and what people write between digits counts for nothing (RFC 3966).
    let plain = decode(user.as_bytes()).unwrap_or_default();
    let number = plain.split(';').next().unwrap_or_default();
    let mut characters = number.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')' | ' ' | '+')).peekable();
    characters.peek().is_some() && characters.all(|c| c.is_ascii_digit() || matches!(c, '*' | '#'))
}

fn is_its_place(host: &str, source: Option<&str>) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    if host.to_ascii_lowercase().ends_with(".invalid") {
        return true;
    }
    let Ok(host) = host.parse::<IpAddr>() else { return false };
    let source = source.and_then(|source| source.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok());
    Some(host.to_canonical()) == source.map(|source| source.to_canonical()) || is_behind_nat(host)
}

/// Private addresses, and those of carrier-grade NAT (RFC 1918, 3927, 6598, 4193, 4291).
fn is_behind_nat(host: IpAddr) -> bool {
    match host.to_canonical() {
        IpAddr::V4(host) => {
            let [first, second, ..] = host.octets();
            host.is_private() || host.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(host) => host.is_unique_local() || host.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_called_where_it_registers_from_or_behind_its_nat() {
        for (host, source) in [
            ("198.51.100.7", "198.51.100.7"),
            ("192.168.1.20", "198.51.100.7"),
            ("10.9.9.9", "10.1.1.1"),
            ("100.64.3.2", "198.51.100.7"),
            ("x4k2.invalid", "198.51.100.7"),
            ("X4K2.INVALID.", "198.51.100.7"),
            ("[2001:db8::5]", "2001:db8::5"),
            ("fd00::5", "2001:db8::5"),
            ("127.0.0.1", "127.0.0.1"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
        ] {
            assert!(is_its_place(host, Some(source)), "{host} from {source}");
        }
    }

    #[test]
    fn nobody_has_the_switch_call_somebody_else() {
        for host in [
            "203.0.113.9",
            "127.0.0.1",
            "127.0.0.9",
            "0.0.0.0",
            "sip.carrier.example",
            "localhost",
            "invalid",
            "2001:db8::9",
            "::1",
            "",
            "203.0.113.9.",
            "198.51.100.7:5060",
            "203.0.113.9 ",
            "100.128.0.1",
            "0xc6336407",
            "3325256711",
        ] {
            assert!(!is_its_place(host, Some("198.51.100.7")), "{host}");
        }
        assert!(!is_its_place("198.51.100.7", None));
    }

    #[test]
    fn only_what_could_be_dialled_is_a_number() {
        for number in [
            "911",
            "+13125550123",
            "*72",
            "1001",
            "#1",
            "1-312-555.0123",
            "%2B1312",
            "%39%31%31",
            "+1312;phone-context=x",
            "(312) 5",
        ] {
            assert!(is_dialled(number), "{number}");
        }
        for name in ["", "+", "u7kq3mxzd", "a4b2c3d4-0001", "1001-0x7f", "1001a"] {
            assert!(!is_dialled(name), "{name}");
        }
    }
}
