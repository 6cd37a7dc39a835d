//! XML entries that dial over a gateway themselves, past everything that decides about calls to the outside.

use quick_xml::{Reader, events::Event};

/// Whether kept XML dials outside. Only `bridge` takes a dial string (`applications`), and only `sofia/…` in one leads out of the tenant. What
/// can't be read counts as if it did.
#[must_use]
pub fn dials_outside(kept: &str) -> bool {
    let mut reader = Reader::from_str(kept);
    reader.config_mut().expand_empty_elements = true;
    loop {
        let start = match reader.read_event() {
            Ok(Event::Start(start)) => start,
            Ok(Event::Eof) => return false,
            Ok(_) => continue,
            Err(_) => return true,
        };
        for attribute in start.attributes() {
            let Ok(attribute) = attribute else { return true };
            let Ok(value) = quick_xml::escape::unescape(&attribute.value) else { return true };
            if attribute.key.0 == "data" && is_outside(&value) {
                return true;
            }
        }
    }
}

/// Whether a leg of a dial string leads outside. Its options stand in brackets before it.
fn is_outside(data: &str) -> bool {
    let legs = data.split(['|', ',']).map(|leg| leg.rsplit_once(']').map_or(leg, |(_, leg)| leg));
    legs.map(str::trim_start).any(|leg| leg.to_ascii_lowercase().starts_with("sofia/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{routing::raw, text::Domain};

    #[test]
    fn an_entry_dials_outside_if_one_of_its_legs_is_a_gateways() {
        let domain = Domain::parse("acme.test").unwrap();
        for (data, leaves) in [
            ("sofia/gateway/trunk/112", true),
            ("user/1000@acme.test|sofia/gateway/trunk/+493012345678", true),
            ("user/1000@acme.test,[leg_timeout=20]sofia/gateway/trunk/112", true),
            ("[leg_timeout=20]user/1000@acme.test", false),
            ("error/USER_BUSY", false),
        ] {
            for action in ["action", "anti-action"] {
                let xml = format!(
                    "<extension name=\"sofia/\"><condition field=\"destination_number\" expression=\"^7\"><{action} application=\"bridge\" data=\"{data}\"/></condition></extension>"
                );
                let kept = raw::canonical(&xml, &domain).unwrap();
                assert_eq!(dials_outside(&kept), leaves, "{kept}");
                assert_eq!(dials_outside(&raw::rendered(&kept, &domain)), leaves, "{kept}");
            }
        }
        assert!(dials_outside("<action data="));
    }
}
