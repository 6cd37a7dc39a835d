//! `sofia.conf`: the profiles of a cluster, with the gateways to its carriers.

use std::{fmt::Write as _, sync::LazyLock};

use askama::Template;
use bytes::Bytes;
use uuid::Uuid;

use super::{
    config_store,
    documents::document,
    render::{RenderError, xml},
};
use crate::{model::carrier::CarrierConfig, routing::carried, telephony::carriers, text::keyring::Keyring};

struct Gateway {
    name: String,
    params: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "xml/gateways.xml")]
struct Gateways {
    gateways: Vec<Gateway>,
}

/// The profiles, with the carriers' gateways in the profile `external`. A cluster's own profiles are checked for having
/// one; without it there are no gateways.
pub fn document_of(
    base: &str,
    carriers: Vec<config_store::CarrierRow>,
    keyring: &Keyring,
) -> Result<Bytes, RenderError> {
    let mut gateways = Vec::with_capacity(carriers.len());
    for row in carriers {
        let password = match &row.password {
            Some(sealed) => Some(keyring.open_sealed(carriers::place(row.id), sealed)?),
            None => None,
        };
        gateways.push(gateway(row.id, &row.config, password.as_ref().map(|password| password.as_str())));
    }
    let gateways = xml(&Gateways { gateways })?;
    let gateways = std::str::from_utf8(&gateways).unwrap_or_default();
    let Some(at) = base.find(EXTERNAL).map(|at| at + EXTERNAL.len()) else { return Ok(document(base)) };
    let (before, profile) = base.split_at(at);
    let profile = guarded(profile);
    Ok(document(&format!("{before}{gateways}{profile}")))
}

/// Makes the profile `external` check callers' addresses, even if a cluster's own profiles don't. Otherwise anybody could
/// take over a call whose Call-ID they know: for an INVITE with Replaces there is no other check
/// (`sofia_handle_sip_i_invite` in sofia.c). To let everybody in, set `accepts_calls_from` of the cluster.
fn guarded(profile: &str) -> std::borrow::Cow<'_, str> {
    const SETTINGS: &str = "<settings>\n";
    let end = profile.find("</profile>").unwrap_or(profile.len());
    let own = &profile[..end];
    match own.find(SETTINGS) {
        // A cluster's own profiles are kept with hyphens as character references.
        Some(at) if !own.replace("&#45;", "-").contains("name=\"apply-inbound-acl\"") => {
            let (head, rest) = profile.split_at(at + SETTINGS.len());
            format!("{head}<param name=\"apply-inbound-acl\" value=\"carriers\"/>\n{rest}").into()
        }
        _ => profile.into(),
    }
}

/// A text that changes whenever the carrier's gateway does. The password in it is sealed.
#[must_use]
pub fn decisive(row: &config_store::CarrierRow) -> String {
    let gateway = gateway(row.id, &row.config, None);
    format!("{} {:?} {:?}", gateway.name, gateway.params, row.password)
}

/// Gateways are inserted after this.
const EXTERNAL: &str = "<profile name=\"external\">\n";

/// The profiles of `freeswitch-conf` without their comments, which the switch's preprocessor would look at too.
pub static PROFILES: LazyLock<String> = LazyLock::new(|| {
    let mut text = include_str!("../../../freeswitch-conf/autoload_configs/sofia.conf.xml");
    let mut bare = String::with_capacity(text.len());
    while let Some(begin) = text.find("<!--") {
        bare.push_str(&text[..begin]);
        text = text[begin..].split_once("-->").map_or("", |(_, rest)| rest);
    }
    bare.push_str(text);
    bare.lines().filter(|line| !line.trim().is_empty()).fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "{line}");
        all
    })
});

/// A carrier's gateway as mod_sofia reads it (`parse_gateways` in sofia.c; names are case-sensitive).
fn gateway(id: Uuid, config: &CarrierConfig, password: Option<&str>) -> Gateway {
    let host = config.host.as_str();
    let realm = config.realm.as_ref().map_or(host, |realm| realm.as_str());
    let mut params = vec![
        ("realm", realm.to_owned()),
        ("proxy", host.to_owned()),
        // Used only if the gateway registers or is challenged, but mod_sofia rejects a gateway without them (sofia.c).
        ("username", config.username.as_ref().map_or("dialplane", |user| user.as_str()).to_owned()),
        ("password", password.unwrap_or("none").to_owned()),
        ("register", config.register.to_string()),
        ("register-transport", config.transport.name().to_owned()),
        ("caller-id-in-from", config.caller_id_in_from.to_string()),
        ("context", "public".to_owned()),
        // A call to the registered contact is for the number in To, not for the user name (sofia_handle_sip_i_invite).
        ("extension", "auto_to_user".to_owned()),
        ("retry-seconds", "20".to_owned()),
    ];
    if config.transport != crate::model::carrier::Transport::Udp {
        params.push(("contact-params", format!("transport={}", config.transport.name())));
    }
    if let Some(seconds) = config.ping_seconds {
        params.push(("ping", seconds.to_string()));
        params.push(("ping-max", "3".to_owned()));
    }
    Gateway { name: carried::gateway(id), params }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_for_carriers_asks_who_calls_whatever_a_cluster_says() {
        let own = "<configuration name=\"sofia.conf\">\n<profiles>\n<profile name=\"external\">\n<settings>\n<param name=\"x\" value=\"y\">\n</param>\n</settings>\n</profile>\n<profile name=\"z\">\n<settings>\n<param name=\"apply-inbound-acl\" value=\"q\">\n</param>\n</settings>\n</profile>\n</profiles>\n</configuration>";
        let kept = crate::tenancy::clusters::configuration::canonical("sofia.conf", own).unwrap();
        for (base, guards) in [(kept.as_str(), 2), (PROFILES.as_str(), 1)] {
            let keyring = Keyring::ephemeral();
            let document = document_of(base, Vec::new(), &keyring).unwrap();
            let text = std::str::from_utf8(&document).unwrap().replace("&#45;", "-");
            let external =
                text.split("<profile name=\"external\">").nth(1).unwrap().split("</profile>").next().unwrap();
            assert_eq!(external.matches("<param name=\"apply-inbound-acl\" value=\"carriers\"").count(), 1, "{text}");
            assert_eq!(text.matches("apply-inbound-acl").count(), guards, "{text}");
        }
    }

    #[test]
    fn the_profiles_are_those_of_the_stock_configuration_without_comments() {
        assert!(!PROFILES.contains("<!--") && !PROFILES.contains("-->"));
        assert!(PROFILES.contains("<profile name=\"external\">\n") && PROFILES.contains("$${sip_ip}"));
        assert!(PROFILES.lines().all(|line| line.starts_with('<') && line.ends_with('>')), "{}", *PROFILES);
    }
}
