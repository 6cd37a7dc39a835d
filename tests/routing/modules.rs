//! Configuration of a switch's modules: gateways, trusted addresses, queues, menus, conferences, mailboxes.

use serde_json::{Value, json};

use crate::stage::Stage;

impl Stage {
    async fn conf(&self, file: &str, rest: &str) -> String {
        let form = format!(
            "hostname=fs&section=configuration&tag_name=configuration&key_name=name&key_value={file}&Event-Name=REQUEST_PARAMS{rest}"
        );
        let answer = self.node.fetch(&form).await;
        assert_eq!(answer.status, 200, "{file}: {}", answer.text());
        decoded(&answer.text())
    }
}

/// The text with the references that these tests search for replaced by their characters.
fn decoded(text: &str) -> String {
    [
        ("&#45;", "-"),
        ("&#91;", "["),
        ("&#93;", "]"),
        ("&#94;", "^"),
        ("&#36;", "$"),
        ("&#92;", "\\"),
        ("&#123;", "{"),
        ("&#125;", "}"),
        ("&#40;", "("),
        ("&#41;", ")"),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (reference, character)| text.replace(reference, character))
}

#[actix_web::test]
async fn gateways_are_in_the_external_profile_with_their_passwords_sealed_at_rest() {
    let stage = Stage::new().await;
    let config = json!({ "host": "sip.trunk.test:5080", "username": "acme", "register": true, "transport": "tcp",
                         "networks": ["192.0.2.0/28"], "ping_seconds": 30 });
    let new = json!({ "name": "trunk", "config": config, "password": "s3cret$${domain}" });
    let made = stage.node.api("POST", "/v1/carriers", new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(!made.text().contains("s3cret"), "{}", made.text());
    let gateway = made.json()["gateway"].as_str().unwrap().to_owned();
    let sofia = stage.conf("sofia.conf", "").await;
    let (internal, external) = sofia.split_once("<profile name=\"external\">").unwrap();
    assert!(internal.contains("<profile name=\"internal\">") && !internal.contains("<gateway"), "{internal}");
    assert!(external.contains(&format!("<gateway name=\"{gateway}\">")), "{external}");
    for param in [
        "name=\"register\" value=\"true\"",
        "name=\"proxy\" value=\"sip.trunk.test:5080\"",
        "name=\"password\" value=\"s3cret$$",
        "name=\"ping\" value=\"30\"",
    ] {
        assert!(external.contains(param), "{param}: {external}");
    }
    let raw = stage.node.fetch("section=configuration&tag_name=configuration&key_name=name&key_value=sofia.conf&Event-Name=X&profile=external").await.text();
    assert!(!raw.contains("s3cret$"), "a value's $ is a reference");
    assert!(stage.conf("acl.conf", "").await.contains("<node type=\"allow\" cidr=\"192.0.2.0/28\"/>"));
    // A disabled carrier is gone with the next fetch.
    let path = format!("/v1/carriers/{}", made.json()["id"].as_str().unwrap());
    stage.node.api("PATCH", &path, json!({ "status": "disabled" })).await;
    assert!(!stage.conf("sofia.conf", "").await.contains(&gateway));
    for (wrong, field) in [
        (json!({ "name": "x", "config": { "host": "a b" } }), "config.host"),
        (json!({ "name": "x", "config": { "host": "c.test", "register": true } }), "config.register"),
        (json!({ "name": "x", "config": { "host": "c.test", "username": "u" } }), "password"),
        (json!({ "name": "x", "config": { "host": "c.test", "networks": ["10.0.0.0/4"] } }), "config.networks[0]"),
        (json!({ "name": "x", "config": { "host": "c.test", "prefix": "1&2" } }), "config.prefix"),
    ] {
        let refused = stage.node.api("POST", "/v1/carriers", wrong.clone()).await;
        assert_eq!(
            (refused.status, refused.json()["field"].as_str()),
            (422, Some(field)),
            "{wrong}: {}",
            refused.text()
        );
    }
    stage.stop().await;
}

#[actix_web::test]
async fn queues_menus_and_conferences_are_read_by_the_names_that_routes_give_them() {
    let stage = Stage::new().await;
    let tenant = stage.tenant;
    let make = async |new: Value| {
        let made = stage.node.api("POST", &format!("/v1/tenants/{tenant}/destinations"), new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.id()
    };
    let phone = stage.node.extension(tenant, json!({ "number": "70" })).await["id"].clone();
    let queue = make(json!({ "name": "Support", "number": "500", "kind": "queue", "config": {
        "strategy": "round_robin", "tiers": [{ "extension_id": phone, "level": 2 }], "wrap_up_seconds": 5, "max_wait_seconds": 120,
        "announcement": { "file": "custom/wait.wav" } } })).await;
    let name = format!("{}.acme.test", queue.simple());
    for rest in [String::new(), format!("&CC-Queue={name}")] {
        let conf = stage.conf("callcenter.conf", &rest).await;
        for part in [
            format!("<queue name=\"{name}\">"),
            "name=\"strategy\" value=\"round-robin\"".into(),
            "name=\"max-wait-time\" value=\"120\"".into(),
            "name=\"announce-sound\" value=\"custom/wait.wav\"".into(),
            "<agent name=\"70@acme.test\" type=\"callback\" contact=\"[leg_timeout=20]user/70@acme.test\"".into(),
            format!("<tier agent=\"70@acme.test\" queue=\"{name}\" level=\"2\" position=\"1\"/>"),
        ] {
            assert!(conf.contains(&part), "{rest} {part}: {conf}");
        }
    }
    let menu = make(json!({ "name": "Menu", "number": "501", "kind": "ivr", "config": { "greeting": { "text": "Welcome to O'Brien & Sons" }, "direct_dial": true,
        "entries": { "1": { "kind": "queue", "id": queue }, "2": { "kind": "extension", "id": phone } } } })).await;
    let conf = stage.conf("ivr.conf", &format!("&Menu-Name={}.acme.test", menu.simple())).await;
    for part in [
        format!("<menu name=\"{}.acme.test\" greet-long=\"say:Welcome to O&#39;Brien &#38; Sons\"", menu.simple()),
        format!("digits=\"1\" param=\"transfer {} XML acme.test\"", queue.simple()),
        "digits=\"2\" param=\"transfer 70 XML acme.test\"".into(),
        // A number that nobody has comes back to the menu.
        format!("digits=\"/^(\\d{{2,15}})$/\" param=\"transfer $1&#126;menu&#126;{} XML acme.test\"", menu.simple()),
    ] {
        assert!(conf.contains(&part), "{part}: {conf}");
    }
    let room = make(json!({ "name": "Room", "number": "502", "kind": "conference", "pin": "471147", "config": { "max_members": 10, "moderator": phone } })).await;
    let conf = stage
        .conf(
            "conference.conf",
            &format!("&conference_name={}&profile_name={}.acme.test", room.simple(), room.simple()),
        )
        .await;
    for part in [
        "name=\"pin\" value=\"471147\"",
        "name=\"max-members\" value=\"10\"",
        "name=\"conference-flags\" value=\"wait-mod\"",
    ] {
        assert!(conf.contains(part), "{part}: {conf}");
    }
    // Another tenant's name for it, an unknown name, and a freely chosen name.
    let beta = stage.node.tenant("beta.test").await;
    assert!(
        stage.conf("ivr.conf", &format!("&Menu-Name={}.beta.test", menu.simple())).await.contains("not found")
            || !beta.is_nil()
    );
    assert!(!stage.conf("ivr.conf", &format!("&Menu-Name={}.beta.test", menu.simple())).await.contains("<menu "));
    assert!(
        !stage.conf("conference.conf", &format!("&profile_name={}.beta.test", room.simple())).await.contains("471147")
    );
    assert!(stage.conf("ivr.conf", "&Menu-Name=demo").await.contains("not found"));
    assert!(stage.conf("conference.conf", "&profile_name=default").await.contains("not found"));
    // A change is in force with the next fetch.
    let path = format!("/v1/tenants/{tenant}/destinations/{room}");
    assert_eq!(stage.node.api("PATCH", &path, json!({ "pin": "802411" })).await.status, 200);
    assert!(
        stage.conf("conference.conf", &format!("&profile_name={}.acme.test", room.simple())).await.contains("802411")
    );
    stage.stop().await;
}

#[actix_web::test]
async fn a_mailbox_of_its_own_takes_messages_and_is_opened_by_its_pin() {
    let stage = Stage::new().await;
    let new =
        json!({ "name": "Office", "number": "601", "kind": "mailbox", "config": { "email": "office@acme.test" } });
    let made = stage.node.api("POST", &format!("/v1/tenants/{}/destinations", stage.tenant), new).await;
    let pin = made.json()["pin"].as_str().unwrap().to_owned();
    let id = made.id().simple().to_string();
    let user = async |name: &str, rest: &str| {
        let form = format!(
            "section=directory&tag_name=domain&key_name=name&key_value=acme.test&Event-Name=GENERAL{rest}&key=id&user={name}&domain=acme.test"
        );
        decoded(&stage.node.fetch(&form).await.text())
    };
    for name in [id.as_str(), "601"] {
        let answer = user(name, "&action=voicemail-lookup").await;
        assert!(answer.contains(&format!("<user id=\"{id}\" number-alias=\"601\">")), "{answer}");
        assert!(
            answer.contains(&format!("name=\"vm-password\" value=\"{pin}\"")) && answer.contains("office@acme.test"),
            "{answer}"
        );
        assert!(answer.contains("name=\"allow-empty-password\" value=\"false\""));
    }
    // Nobody can register with it.
    let sign_in = user(&id, "&action=sip_auth&sip_auth_realm=acme.test&sip_auth_method=REGISTER").await;
    assert!(!sign_in.contains("<user "), "{sign_in}");
    let route = stage.calls("*98601", uuid::Uuid::new_v4()).await;
    assert!(route.contains(&format!("check default acme.test {id}")), "{route}");
    // Its PIN can be changed by phone.
    let form = format!(
        "section=directory&tag_name=domain&key_name=name&key_value=acme.test&Event-Name=CUSTOM&VM-Action=change-password&VM-User-Password=802411&VM-User={id}&key=id&user={id}&domain=acme.test"
    );
    assert!(stage.node.fetch(&form).await.text().contains("success=\"true\""));
    assert!(user(&id, "").await.contains("value=\"802411\""));
    stage.stop().await;
}

#[actix_web::test]
async fn a_cluster_sets_the_configuration_of_its_switches_modules() {
    let stage = Stage::new().await;
    let cluster =
        stage.node.api("GET", "/v1/clusters", Value::Null).await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(stage.conf("local_stream.conf", "").await.contains("not found"), "left to the switch's own files");
    let path = |name: &str| format!("/v1/clusters/{cluster}/configuration/{name}");
    let xml = "<configuration name=\"local_stream.conf\"><directory name=\"jazz\" path=\"$${hold_music_dir}\"/></configuration>";
    let put = stage.node.api("PUT", &path("local_stream.conf"), json!({ "xml": xml })).await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert!(put.json()["diff"].as_str().unwrap().contains("+<directory name=\"jazz\""));
    assert!(stage.conf("local_stream.conf", "").await.contains("path=\"$${hold_music_dir}\""));
    let wrong = stage
        .node
        .api("PUT", &path("local_stream.conf"), json!({ "xml": "<configuration name=\"sofia.conf\"/>" }))
        .await;
    assert_eq!((wrong.status, wrong.json()["field"].as_str()), (422, Some("xml")));
    assert_eq!(stage.node.api("PUT", &path("switch.conf"), json!({ "xml": xml })).await.status, 404);
    assert_eq!(stage.node.api("DELETE", &path("local_stream.conf"), Value::Null).await.status, 204);
    assert!(stage.conf("local_stream.conf", "").await.contains("not found"));
    stage.stop().await;
}

#[actix_web::test]
async fn a_sick_carrier_is_asked_and_calls_of_which_no_record_came_end() {
    let stage = Stage::new().await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let host = socket.local_addr().unwrap().to_string();
    let carrier = stage.carrier("asked", json!({ "host": host }), "49,0.001\n").await;
    let mut db = stage.database.connect().await;
    let sick = "insert into carrier_health (carrier_id, failures, sick_until, updated_at) values ($1, 5, now() + interval '1 hour', now() - interval '1 minute')";
    sqlx::query(sick).bind(carrier).execute(&mut db).await.unwrap();
    let answering = actix_web::rt::spawn(async move {
        let mut buffer = vec![0; 2048];
        let (read, peer) = socket.recv_from(&mut buffer).await.unwrap();
        let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
        socket.send_to(b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", peer).await.unwrap();
        request
    });
    dialplane::app::jobs::probe_sick(&stage.node.app.changes).await.unwrap();
    let request = answering.await.unwrap();
    assert!(request.starts_with("OPTIONS sip:127.0.0.1:") && request.contains("\r\nVia: SIP/2.0/UDP "), "{request}");
    let health = stage.node.api("GET", &format!("/v1/carriers/{carrier}"), Value::Null).await.json()["health"].clone();
    assert_eq!((&health["sick_until"], &health["failures"]), (&Value::Null, &json!(0)));
    // Nothing listens there any more.
    let probe = stage.node.api("POST", &format!("/v1/carriers/{carrier}/test-connection"), Value::Null).await.json();
    assert_eq!(probe["reachable"], false, "{probe}");

    stage.rules(json!({ "outbound": { "concurrent_calls": 1 } })).await;
    let number = "+498912345678";
    assert_eq!(crate::stage::route(&stage.calls(number, uuid::Uuid::new_v4()).await), "outbound");
    assert_eq!(crate::stage::route(&stage.calls(number, uuid::Uuid::new_v4()).await), "concurrent_calls");
    sqlx::query("update admissions set at = now() - interval '7 hours'").execute(&mut db).await.unwrap();
    sqlx::query("select mend_meters()").execute(&mut db).await.unwrap();
    assert_eq!(crate::stage::route(&stage.calls(number, uuid::Uuid::new_v4()).await), "outbound");
    stage.stop().await;
}

#[actix_web::test]
async fn rates_are_replaced_as_a_whole_or_not_at_all() {
    let stage = Stage::new().await;
    let carrier = stage.carriers[0];
    let refused = stage.rates(carrier, "49,0.02\nx,1\n44,abc\n").await;
    assert_eq!((refused.status, refused.json()["refused"].as_i64()), (422, Some(2)), "{}", refused.text());
    let rates = async || stage.node.api("GET", &format!("/v1/carriers/{carrier}/rates"), Value::Null).await.items();
    assert_eq!(rates().await.as_array().unwrap().len(), 2, "the ones before are in force");
    let line = |n: u32| format!("{},0.0{}", 100_000 + n, n % 9 + 1);
    let sheet = (0..100_000).map(line).collect::<Vec<_>>().join("\n");
    let began = std::time::Instant::now();
    let put = stage.rates(carrier, &sheet).await;
    let took = began.elapsed();
    assert_eq!((put.status, put.json()["rates"].as_i64()), (201, Some(100_000)), "{}", put.text());
    println!("100,000 rates in {took:?}");
    let shown = stage.node.api("GET", &format!("/v1/carriers/{carrier}/rates?prefix=14930"), Value::Null).await.items();
    assert_eq!(shown.as_array().unwrap().len(), 10);
    stage.stop().await;
}

#[actix_web::test]
async fn only_carriers_and_other_clusters_may_call_in_unless_a_cluster_accepts_anyone() {
    let stage = Stage::new().await;
    let list = |acl: &str| acl.split("<list ").nth(1).unwrap().to_owned();
    let before = list(&stage.conf("acl.conf", "").await);
    assert!(before.contains("name=\"carriers\" default=\"deny\"") && !before.contains("localhost"), "{before}");
    assert!(stage.conf("sofia.conf", "").await.contains("name=\"apply-inbound-acl\" value=\"carriers\""));
    // Carriers by address, by name, by network; and the switches of another cluster.
    for config in [
        json!({ "host": "192.0.2.77:5080" }),
        json!({ "host": "SIP.Trunk.Invalid:5070", "networks": ["198.51.100.0/24"], "username": "a", "register": true }),
    ] {
        let new = match config["username"].as_str() {
            Some(_) => json!({ "name": "by name", "config": config, "password": "secret" }),
            None => json!({ "name": "by address", "config": config }),
        };
        let made = stage.node.api("POST", "/v1/carriers", new).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let other = json!({ "name": "other", "region": "eu", "max_tenants": 10, "sip_domains": ["no-such-host.invalid"] });
    assert_eq!(stage.node.api("POST", "/v1/clusters", other).await.status, 201);
    // If a name has no address any more, it keeps its old ones.
    let pool = stage.node.app.changes.pool();
    dialplane::telephony::carriers::hosts::resolve_due(pool).await.unwrap();
    for (host, address) in [("sip.trunk.invalid", "203.0.113.7"), ("no-such-host.invalid", "203.0.113.8")] {
        let known = sqlx::query("select from resolved_hosts where host = $1").bind(host).fetch_optional(pool).await;
        assert!(known.unwrap().is_some(), "{host} is looked up");
        dialplane::telephony::carriers::store::resolved_host(pool, host, Some(&[address.to_owned()])).await.unwrap();
        dialplane::telephony::carriers::store::resolved_host(pool, host, None).await.unwrap();
    }
    let acl = list(&stage.conf("acl.conf", "").await);
    for network in ["192.0.2.77/32", "198.51.100.0/24", "203.0.113.7/32", "203.0.113.8/32"] {
        assert!(acl.contains(&format!("<node type=\"allow\" cidr=\"{network}\"/>")), "{network}: {acl}");
    }
    let cluster = format!("/v1/clusters/{}", dialplane::tenancy::clusters::DEFAULT);
    assert_eq!(stage.node.api("GET", &cluster, Value::Null).await.json()["accepts_calls_from"], "carriers");
    let opened = stage.node.api("PATCH", &cluster, json!({ "accepts_calls_from": "anyone" })).await;
    assert_eq!((opened.status, &opened.json()["accepts_calls_from"]), (200, &json!("anyone")), "{}", opened.text());
    assert!(stage.conf("acl.conf", "").await.contains("name=\"carriers\" default=\"allow\""));
    stage.stop().await;
}

#[actix_web::test]
async fn a_group_has_a_name_as_people_write_it_and_switches_call_it_otherwise() {
    let stage = Stage::new().await;
    let tenant = stage.tenant;
    let phone = stage.node.extension(tenant, json!({ "number": "70" })).await["id"].clone();
    let groups = format!("/v1/tenants/{tenant}/groups");
    let new = |name: &str| json!({ "name": name, "members": [phone] });
    let mut ids = Vec::new();
    for name in ["Smith & Sons", "O'Brien", "Vertrieb Süd (2. Etage)"] {
        let made = stage.node.api("POST", &groups, new(name)).await;
        assert_eq!((made.status, &made.json()["name"]), (201, &json!(name)), "{}", made.text());
        ids.push(made.id());
    }
    // Two can't be told apart by their case.
    let again = stage.node.api("POST", &groups, new("SMITH & SONS")).await;
    assert_eq!((again.status, &again.json()["code"]), (409, &json!("name_taken_by")), "{}", again.text());
    for name in ["1234", "24/7", "<b>", "a\nb"] {
        assert_eq!(stage.node.api("POST", &groups, new(name)).await.status, 422, "{name}");
    }
    let named = stage.node.api("GET", &format!("{groups}/by-name/smith%20%26%20sons"), Value::Null).await;
    assert_eq!((named.status, named.json()["name"].clone()), (200, json!("Smith & Sons")), "{}", named.text());
    let put = stage.node.api("PUT", &format!("{groups}/by-name/Smith%20%26%20Sons"), new("Smith & Sons")).await;
    assert_eq!((put.status, put.id()), (200, ids[0]), "{}", put.text());
    // What leads there, and what it rings.
    let handle = format!("g{}", ids[0].simple());
    let menu = json!({ "name": "Menu", "number": "501", "kind": "ivr", "config": { "greeting": { "text": "Welcome" },
        "entries": { "1": { "kind": "group", "id": ids[0] } } } });
    let menu = stage.node.api("POST", &format!("/v1/tenants/{tenant}/destinations"), menu).await;
    assert_eq!(menu.status, 201, "{}", menu.text());
    let conf = stage.conf("ivr.conf", &format!("&Menu-Name={}.acme.test", menu.id().simple())).await;
    assert!(conf.contains(&format!("digits=\"1\" param=\"transfer {handle} XML acme.test\"")), "{conf}");
    let document = decoded(&stage.dials(&handle).await);
    let path = format!("/v1/tenants/{tenant}/extensions/{}", phone.as_str().unwrap());
    let rung = stage.node.api("GET", &path, Value::Null).await.json()["sip_username"].as_str().unwrap().to_owned();
    assert!(document.contains(&format!("user/{rung}@acme.test")), "{document}");
    assert!(!document.contains("Smith") && !conf.contains("Smith"), "{document}");
    let asks = async |name: &str| {
        let form = format!(
            "hostname=fs&section=directory&tag_name=domain&key_name=name&key_value=acme.test&Event-Name=REQUEST_PARAMS\
             &group={name}&action=group_call&group_name={name}&domain=acme.test"
        );
        stage.node.fetch(&form).await.text().contains("<group name=")
    };
    assert!(asks(&handle).await && !asks("Smith%20%26%20Sons").await);
    // A plain name is what it was for switches, whatever its case.
    let path = format!("{groups}/{}", ids[0]);
    let renamed = stage.node.api("PATCH", &path, json!({ "name": "Sales" })).await;
    assert_eq!((renamed.status, renamed.json()["name"].clone()), (200, json!("Sales")), "{}", renamed.text());
    assert!(asks("sales").await && asks("SALES").await && !asks(&handle).await);
    let taken = json!({ "number": "72", "display_name": "x", "sip_username": "sales" });
    let taken = stage.node.api("POST", &format!("/v1/tenants/{tenant}/extensions"), taken).await;
    assert_eq!(taken.status, 409, "{}", taken.text());
    let used = stage.node.api("DELETE", &path, Value::Null).await;
    assert_eq!(used.status, 409, "{}", used.text());
    stage.stop().await;
}
