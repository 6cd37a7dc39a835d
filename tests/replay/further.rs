//! Kinds of requests that were not recorded, written after FreeSWITCH's source.

use serde_json::json;

use crate::{
    harness::call_form,
    stage::{PIN, Stage, document},
};

#[actix_web::test]
async fn further_requests_are_answered_as_kept() {
    let stage = Stage::set().await;
    let asked = [
        (
            "subscribe",
            "REQUEST_PARAMS",
            "action=sip_auth&sip_auth_realm=acme.test&sip_to_user=1001&sip_to_host=acme.test&sip_auth_method=SUBSCRIBE&key=id&user=1000&domain=acme.test",
        ),
        (
            "subscribe-elsewhere",
            "REQUEST_PARAMS",
            "action=sip_auth&sip_auth_realm=acme.test&sip_to_user=1001&sip_to_host=beta.test&sip_auth_method=SUBSCRIBE&key=id&user=1000&domain=acme.test",
        ),
        ("voicemail-leave", "GENERAL", "action=voicemail-lookup&key=id&user=1001&domain=acme.test&ip=127.0.0.1"),
        (
            "voicemail-second-key",
            "GENERAL",
            "action=message-count&key=id&user=2001&domain=acme.test&key=number-alias&user=2001&domain=acme.test",
        ),
        ("publish-one", "GENERAL", "purpose=publish-vm&domain=acme.test&user=1001"),
        ("publish-all", "GENERAL", "purpose=publish-vm&domain=acme.test&user=_all_"),
        ("publish-group", "GENERAL", "purpose=publish-vm&domain=acme.test&group=sales"),
        (
            "reverse-auth",
            "REQUEST_PARAMS",
            "action=reverse-auth-lookup&sip_call_id=x&key=id&user=1000&domain=acme.test",
        ),
        ("verto", "REQUEST_PARAMS", "action=jsonrpc-authenticate&key=id&user=1000&domain=acme.test"),
        ("event-socket", "REQUEST_PARAMS", "action=event_socket_auth&key=id&user=1000&domain=acme.test"),
        ("gateways-of-domain", "REQUEST_PARAMS", "purpose=gateways&profile=internal"),
        (
            "dial-by-name",
            "REQUEST_PARAMS",
            "Event-Calling-File=mod_directory.c&Event-Calling-Function=populate_database",
        ),
        ("in-group", "REQUEST_PARAMS", "user=1000&group_name=sales&domain=acme.test"),
        ("unknown-group", "REQUEST_PARAMS", "group=x&action=group_call&group_name=nobody&domain=acme.test"),
        ("by-alias", "REQUEST_PARAMS", "key=number-alias&user=2000&domain=acme.test"),
        ("by-other-attribute", "REQUEST_PARAMS", "key=mailbox&user=1000&domain=acme.test"),
        ("unknown-user", "REQUEST_PARAMS", "key=id&user=4711&domain=acme.test"),
        ("negated-user", "REQUEST_PARAMS", "key=id&user=!1000&domain=acme.test"),
    ];
    for (name, event, rest) in asked {
        insta::assert_snapshot!(name, document(&stage.directory(event, rest).await));
    }
    for (name, context, number) in [
        ("call-own-voicemail-of-nobody", "acme.test", "*97"),
        ("call-any-voicemail", "acme.test", "*98"),
        ("call-voicemail-of", "acme.test", "*981001"),
        ("call-echo", "acme.test", "9196"),
        ("call-group", "acme.test", "3000"),
        ("call-alias", "acme.test", "2001"),
        ("call-unallocated", "acme.test", "4711"),
        ("call-did", "public", "%2B12025550100"),
        ("call-did-without-plus", "public", "12025550100"),
        ("call-did-unallocated", "public", "%2B12025550199"),
        ("call-unknown-context", "default", "1000"),
    ] {
        insta::assert_snapshot!(name, document(&stage.node.fetch(&call_form(number, context)).await));
    }
    let own = format!("{}&variable_user_name=1000&variable_domain_name=acme.test", call_form("*97", "acme.test"));
    insta::assert_snapshot!("call-own-voicemail", document(&stage.node.fetch(&own).await));
    let foreign = format!("{}&variable_user_name=1000&variable_domain_name=other.test", call_form("*97", "acme.test"));
    insta::assert_snapshot!("call-own-voicemail-of-another-tenant", document(&stage.node.fetch(&foreign).await));
    for (name, form) in [
        ("chatplan", "section=chatplan&tag_name=&key_name=&key_value=&Event-Name=MESSAGE&context=acme.test"),
        ("chatplan-unknown", "section=chatplan&tag_name=&key_name=&key_value=&Event-Name=MESSAGE&context=default"),
        ("channels", "section=channels&tag_name=&key_name=&key_value=&Event-Name=X&purpose=nightmare_xfer"),
        ("list-users", "section=directory&tag_name=&key_name=&key_value="),
        ("unknown-section", "section=nonsense&tag_name=&key_name=&key_value="),
        ("unknown-domain", "section=directory&tag_name=domain&key_name=name&key_value=nobody.test&domain=nobody.test"),
    ] {
        insta::assert_snapshot!(name, document(&stage.node.fetch(form).await));
    }
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_pin_chosen_by_phone_is_kept_and_a_weak_one_refused() {
    let stage = Stage::set().await;
    let change = |pin: &str| {
        format!(
            "VM-Action=change-password&VM-User-Password={pin}&VM-User=1001&VM-Domain=acme.test&key=id&user=1001&domain=acme.test&ip=127.0.0.1"
        )
    };
    let lookup = "action=voicemail-lookup&key=id&user=1001&domain=acme.test";
    assert!(document(&stage.directory("GENERAL", lookup).await).contains(PIN));
    insta::assert_snapshot!("pin-refused", document(&stage.directory("CUSTOM", &change("1234")).await));
    assert!(document(&stage.directory("GENERAL", lookup).await).contains(PIN), "a refused PIN changes nothing");
    insta::assert_snapshot!("pin-kept", document(&stage.directory("CUSTOM", &change("802411")).await));
    let since = std::time::Instant::now();
    while !document(&stage.directory("GENERAL", lookup).await).contains("802411") {
        assert!(since.elapsed().as_secs() < 2, "the new PIN is not served");
    }
    let mut db = stage.database.connect().await;
    let entries =
        "select count(*) from audit_log where actor = 'phone' and after = '{\"voicemail_pin\": \"(changed)\"}'";
    assert_eq!(sqlx::query_scalar::<_, i64>(entries).fetch_one(&mut db).await.unwrap(), 1);
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_suspended_or_deleted_extension_is_nobody_and_a_call_to_it_is_turned_away() {
    let stage = Stage::set().await;
    let asked = [
        "action=sip_auth&sip_auth_realm=acme.test&",
        "action=user_call&",
        "action=voicemail-lookup&",
        "",
        "action=reverse-auth-lookup&",
    ];
    stage.set_status(1, "suspended").await;
    for action in asked {
        let rest = format!("{action}key=id&user=1001&domain=acme.test");
        assert!(!document(&stage.directory("REQUEST_PARAMS", &rest).await).contains("user "), "{action}");
    }
    assert!(document(&stage.node.fetch(&call_form("1001", "acme.test")).await).contains("SUBSCRIBER_ABSENT"));
    let group = document(&stage.directory("X", "action=group_call&group_name=sales&domain=acme.test").await);
    assert!(group.contains("1000") && !group.contains("1001"), "{group}");
    stage.set_status(1, "active").await;
    assert!(document(&stage.node.fetch(&call_form("1001", "acme.test")).await).contains("user/1001@acme.test"));

    // It can't be deleted while a number leads to it.
    let id = stage.extensions[1]["id"].as_str().unwrap();
    let path = format!("/v1/tenants/{}/extensions/{id}", stage.tenant);
    let refused = stage.node.api("DELETE", &path, json!(null)).await;
    assert!(refused.status == 409 && refused.text().contains("group sales"), "{}", refused.text());
    let groups = format!("/v1/tenants/{}/groups", stage.tenant);
    let group = stage.node.api("GET", &groups, json!(null)).await.json()["items"][0]["id"].clone();
    let without = json!({ "members": [stage.extensions[0]["id"]] });
    let left = stage.node.api("PATCH", &format!("{groups}/{}", group.as_str().unwrap()), without).await;
    assert_eq!(left.status, 200, "{}", left.text());
    assert_eq!(stage.node.api("DELETE", &path, json!(null)).await.status, 204);
    assert!(!document(&stage.node.sign_in("1001", "acme.test").await).contains("user "));
    assert!(document(&stage.node.fetch(&call_form("1001", "acme.test")).await).contains("UNALLOCATED_NUMBER"));

    let suspend = json!({ "status": "suspended" });
    let path = format!("/v1/tenants/{}", stage.tenant);
    assert_eq!(stage.node.api("PATCH", &path, suspend).await.status, 200);
    assert!(!document(&stage.node.sign_in("1000", "acme.test").await).contains("user "));
    for (number, context) in [("1000", "acme.test"), ("9196", "acme.test"), ("%2B12025550100", "public")] {
        assert!(document(&stage.node.fetch(&call_form(number, context)).await).contains("CALL_REJECTED"), "{number}");
    }
    stage.node.stop().await;
}
