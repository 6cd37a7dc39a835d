//! Numbers of calls from outside, in the notation of their carriers.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::call_form,
    stage::{Stage, route},
};

const AMERICA: &str = "198.51.100.7";
const AUSTRALIA: &str = "203.0.113.9";
const NOBODYS: &str = "192.0.2.1";

/// Two tenants with similar numbers, each leading to an extension.
struct Numbers {
    stage: Stage,
    beta: Uuid,
}

async fn lead(stage: &Stage, tenant: Uuid, extension: &Value, numbers: &[&str]) {
    for number in numbers {
        let new = json!({ "number": number, "destination": { "kind": "extension", "id": extension["id"] } });
        let made = stage.node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), new).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
}

impl Numbers {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let beta = stage.node.tenant("beta.test").await;
        let extension = stage.node.extension(stage.tenant, json!({ "number": "77" })).await;
        lead(&stage, stage.tenant, &extension, &["+2025550123", "+255501234"]).await;
        let extension = stage.node.extension(beta, json!({ "number": "77" })).await;
        lead(&stage, beta, &extension, &["+12025550123", "+61255501234"]).await;
        Self { stage, beta }
    }

    async fn carrier(&self, name: &str, networks: &[&str], inbound: Value) -> Uuid {
        let networks = networks.iter().map(|address| format!("{address}/32")).collect::<Vec<_>>();
        let config = json!({ "host": format!("{name}.carrier.test"), "networks": networks, "inbound": inbound });
        self.stage.carrier(name, config, "7,1\n").await
    }

    /// The tenant's extension that a call leads to.
    async fn led(&self, number: &str, from: &str, more: &str) -> &'static str {
        let number = percent_encoding::percent_encode(number.as_bytes(), percent_encoding::NON_ALPHANUMERIC);
        let form = format!("{}&variable_sip_network_ip={from}{more}", call_form(&number.to_string(), "public"));
        let document = self.stage.node.fetch(&form).await.text();
        match route(&document).as_str() {
            "extension" if document.contains("domain_name=acme.test") => "acme",
            "extension" if document.contains("domain_name=beta.test") => "beta",
            "unallocated" => "nobody",
            _ => panic!("{document}"),
        }
    }
}

#[actix_web::test]
async fn a_number_called_from_outside_is_read_as_its_carrier_writes_it() {
    let numbers = Numbers::new().await;
    numbers.carrier("america", &[AMERICA], json!({ "format": "national", "country": "US" })).await;
    numbers.carrier("australia", &[AUSTRALIA], json!({ "format": "national", "country": "AU" })).await;
    for (number, from, tenant) in [
        ("2025550123", AMERICA, "beta"),
        ("12025550123", AMERICA, "beta"),
        ("+12025550123", AMERICA, "beta"),
        ("+2025550123", AMERICA, "acme"),
        ("2025550123", NOBODYS, "acme"),
        ("+1-202-555-0123", NOBODYS, "beta"),
        ("0255501234", AUSTRALIA, "beta"),
        ("61255501234", AUSTRALIA, "beta"),
        ("+61-2-5550-1234", AUSTRALIA, "beta"),
        ("61255501234;npdi", NOBODYS, "beta"),
        ("tel:+61255501234", NOBODYS, "beta"),
        ("0255501234", NOBODYS, "nobody"),
        ("0255501234", AMERICA, "nobody"),
    ] {
        assert_eq!(numbers.led(number, from, "").await, tenant, "{number} from {from}");
    }
    numbers.stage.stop().await;
}

#[actix_web::test]
async fn carriers_that_share_an_address_are_told_apart_by_their_gateways_and_never_guessed() {
    let numbers = Numbers::new().await;
    let america = numbers.carrier("america", &[AMERICA], json!({ "format": "national", "country": "US" })).await;
    numbers.carrier("world", &[AMERICA], json!({})).await;
    assert_eq!(numbers.led("2025550123", AMERICA, "").await, "nobody", "it may be either's");
    assert_eq!(numbers.led("+12025550123", AMERICA, "").await, "beta", "whoever brings it");
    let gateway = format!("&variable_sip_gateway=c{}", america.simple());
    assert_eq!(numbers.led("2025550123", AMERICA, &gateway).await, "beta");
    // A call that the platform itself leads on has its number as routes write it.
    assert_eq!(numbers.led("2025550123", AMERICA, "&variable_dialplane_hops=1").await, "acme");
    numbers.stage.stop().await;
}

#[actix_web::test]
async fn the_number_called_stands_where_its_carrier_says() {
    let numbers = Numbers::new().await;
    numbers.carrier("to", &[AMERICA], json!({ "number_in": "to", "format": "national", "country": "US" })).await;
    numbers.carrier("header", &[AUSTRALIA], json!({ "number_in": "header", "header": "X-DID", "prefix": "99" })).await;
    assert_eq!(numbers.led("trunk-17", AMERICA, "&variable_sip_to_user=2025550123").await, "beta");
    assert_eq!(numbers.led("+2025550123", AMERICA, "").await, "nobody", "it is not there");
    let header = "&variable_sip_h_X-Other=1&variable_sip_h_x-did=%3Csip:9961255501234@carrier.test%3E";
    assert_eq!(numbers.led("trunk-17", AUSTRALIA, header).await, "beta");
    let twice = format!("{header}&variable_sip_h_X-DID=%2B2025550123");
    assert_eq!(numbers.led("trunk-17", AUSTRALIA, &twice).await, "nobody", "two values are none");
    let repeated = format!("{header}&variable_sip_h_X-DID-1=%2B2025550123");
    assert_eq!(numbers.led("trunk-17", AUSTRALIA, &repeated).await, "nobody", "so a switch names the second of two");
    let same = format!("{header}&variable_sip_h_X-DID-1=%3Csip:9961255501234@carrier.test%3E");
    assert_eq!(numbers.led("trunk-17", AUSTRALIA, &same).await, "beta");
    let other = format!("{header}&variable_sip_h_X-DID-Plan=1&variable_sip_h_X-DID-=2");
    assert_eq!(numbers.led("trunk-17", AUSTRALIA, &other).await, "beta", "these are other headers");
    assert_eq!(numbers.led("trunk-17", NOBODYS, header).await, "nobody");
    // Incomplete settings are refused.
    for (inbound, field) in [
        (json!({ "format": "national" }), "config.inbound.country"),
        (json!({ "number_in": "header" }), "config.inbound.header"),
        (json!({ "header": "X-DID" }), "config.inbound.header"),
        (json!({ "number_in": "header", "header": "To" }), "config.inbound.header"),
        (json!({ "format": "national", "country": "XX" }), "config.inbound.country"),
    ] {
        let new = json!({ "name": "half", "config": { "host": "half.test", "inbound": inbound } });
        let refused = numbers.stage.node.api("POST", "/v1/carriers", new).await;
        assert_eq!((refused.status, refused.json()["field"].as_str()), (422, Some(field)), "{}", refused.text());
    }
    numbers.stage.stop().await;
}

#[actix_web::test]
async fn what_a_switch_with_an_older_configuration_does_not_send_is_counted_and_never_guessed() {
    let numbers = Numbers::new().await;
    let node = &numbers.stage.node;
    let fetch = async |number: &str, more: &str| {
        let document = node.fetch(&format!("{}{more}", call_form(number, "public"))).await.text();
        route(&document)
    };
    assert_eq!(fetch("2025550123", "").await, "extension", "all carriers write the country code");
    numbers.carrier("america", &[AMERICA], json!({ "format": "national", "country": "US" })).await;
    numbers.carrier("header", &[AUSTRALIA], json!({ "number_in": "header", "header": "X-DID" })).await;
    assert_eq!(fetch("2025550123", "").await, "unallocated", "it may be of either country");
    assert_eq!(fetch("%2B12025550123", "").await, "extension", "it is the same for all");
    assert_eq!(fetch("2025550123", "&variable_sip_network_ip=2001:db8::1").await, "extension", "of no carrier");
    assert_eq!(fetch("17", &format!("&variable_sip_network_ip={AUSTRALIA}")).await, "unallocated");
    let text = node.metrics().await;
    // Other tests of this process also increase the count.
    for field in ["address", "header"] {
        let counted = format!("dialplane_calls_lacking_total{{field=\"{field}\"}} ");
        let count = text.lines().find_map(|line| line.strip_prefix(&counted)).unwrap();
        assert!(count.parse::<u64>().unwrap() > 0, "{text}");
    }
    numbers.stage.stop().await;
}

#[actix_web::test]
async fn blocked_callers_are_recognised_however_their_numbers_are_written() {
    let numbers = Numbers::new().await;
    let stage = &numbers.stage;
    numbers.carrier("america", &[AMERICA], json!({ "format": "national", "country": "US" })).await;
    numbers.carrier("germany", &[AUSTRALIA], json!({ "country": "DE" })).await;
    stage.rules(json!({ "blocked_callers": ["493012345", "1202", "089"] })).await;
    for (caller, from, is_blocked) in [
        ("+493012345678", NOBODYS, true),
        ("00493012345678", NOBODYS, true),
        ("493012345678", NOBODYS, true),
        ("03012345678", NOBODYS, true),
        ("03012345678", AUSTRALIA, true),
        ("030 123-45678", AUSTRALIA, true),
        ("03112345678", AUSTRALIA, false),
        ("2025550199", AMERICA, true),
        ("+2025550199", AMERICA, false),
        ("+498912345678", NOBODYS, true),
        ("+33891234567", NOBODYS, false),
        ("anonymous", NOBODYS, false),
    ] {
        let shown = percent_encoding::percent_encode(caller.as_bytes(), percent_encoding::NON_ALPHANUMERIC);
        let form = format!(
            "{}&variable_sip_network_ip={from}&Caller-Caller-ID-Number={shown}",
            call_form("%2B2025550123", "public")
        );
        let document = stage.node.fetch(&form).await.text();
        assert_eq!(route(&document) != "extension", is_blocked, "{caller} from {from}: {document}");
    }
    let _ = numbers.beta;
    numbers.stage.stop().await;
}

#[actix_web::test]
async fn a_carrier_is_recognised_by_the_addresses_of_its_name_once_they_are_known() {
    let numbers = Numbers::new().await;
    numbers.carrier("america", &[], json!({ "format": "national", "country": "US" })).await;
    assert_eq!(numbers.led("2025550123", AMERICA, "").await, "acme", "its address is not known");
    let mut db = numbers.stage.database.connect().await;
    let resolved = "insert into resolved_hosts (host, addresses) values ('america.carrier.test', array[$1])
                    on conflict (host) do update set addresses = excluded.addresses";
    sqlx::query(resolved).bind(AMERICA).execute(&mut db).await.unwrap();
    sqlx::query("update resolved_hosts set addresses = addresses || '198.51.100.8'::text")
        .execute(&mut db)
        .await
        .unwrap();
    let since = std::time::Instant::now();
    while numbers.led("2025550123", AMERICA, "").await != "beta" {
        assert!(since.elapsed().as_secs() < 20);
        actix_web::rt::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    numbers.stage.stop().await;
}

/// A switch shows what a caller wrote into P-Preferred-Identity, before what the carrier vouches for.
#[actix_web::test]
async fn whom_a_caller_would_like_to_be_taken_for_is_neither_shown_nor_compared() {
    let stage = Stage::new().await;
    let extension = stage.node.extension(stage.tenant, json!({ "number": "77" })).await;
    lead(&stage, stage.tenant, &extension, &["+4940111222"]).await;
    let comes_in = async |from: &str, more: &str| {
        let called = call_form("%2B4940111222", "public");
        let form = format!(
            "{called}&Unique-ID={}&Caller-Caller-ID-Name=Police&Caller-Caller-ID-Number=110&variable_sip_from_user={from}\
             &variable_sip_from_display=%22Eve%22{more}",
            Uuid::new_v4()
        );
        stage.node.fetch(&form).await.text()
    };
    let preferred = "&variable_sip_P-Preferred-Identity=%22Police%22%20%3Csip:110@police.test%3E";
    let shows = |document: &str, name: &str, number: &str| {
        assert!(!document.contains("Police") && !document.contains("=110"), "{document}");
        for told in ["effective_caller_id_name=", "set_profile_var\" data=\"caller_id_name="] {
            assert!(document.contains(&format!("{told}{name}\"")), "{told}{name}: {document}");
        }
        for told in ["effective_caller_id_number=", "set_profile_var\" data=\"caller_id_number="] {
            assert!(document.contains(&format!("{told}{number}\"")), "{told}{number}: {document}");
        }
    };
    let eve = "%2B4915112345678";
    shows(&comes_in(eve, preferred).await, "Eve", "+4915112345678");
    // Another caller right after gets an answer of their own, and so does one who says nothing.
    shows(&comes_in("%2B4915112345679", preferred).await, "Eve", "+4915112345679");
    let plain = comes_in(eve, "").await;
    assert_eq!(route(&plain), "extension");
    assert!(!plain.contains("set_profile_var"), "{plain}");
    let asserted = format!("{preferred}&variable_sip_P-Asserted-Identity=%2B4915187654321");
    shows(&comes_in(eve, &asserted).await, "Eve", "+4915187654321");
    shows(&comes_in("somebody", preferred).await, "Anonymous", "anonymous");
    shows(&comes_in("anonymous", &asserted).await, "Anonymous", "anonymous");
    // Rules about callers compare the same number.
    stage.rules(json!({ "blocked_callers": ["4915112345678"] })).await;
    assert_eq!(route(&comes_in(eve, preferred).await), "blocked_caller");
    stage.rules(json!({ "blocked_callers": ["110"] })).await;
    assert_eq!(route(&comes_in(eve, preferred).await), "extension");
    stage.stop().await;
}
