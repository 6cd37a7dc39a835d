//! Fields of a fetch whose names strangers choose: a verto client's `loginParams` (mod_verto.c, check_auth), which are in the form
//! before the client has sent a password, and the SIP headers of callers that are admitted by address (`sofia_locate_user`).

use crate::{
    forms,
    harness::Node,
    wire::{self, fetch},
};

/// The form of a verto login: the client's fields, then those of mod_verto and the directory lookup.
fn verto_login(params: &str) -> String {
    forms::user("1000", "acme.test", &format!("{params}&action=jsonrpc-authenticate"))
}

/// How often a PIN was changed by phone, counted in the audit log.
async fn changes_by_phone(node: &Node) -> i64 {
    let sql = "select count(*) from audit_log where actor = 'phone'";
    sqlx::query_scalar(sql).fetch_one(node.app.changes.pool()).await.unwrap()
}

/// Each PIN is fetched at once, because an acknowledged change is in force.
#[actix_web::test]
async fn a_mailbox_owner_changes_the_pin_by_phone() {
    let node = wire::node().await;
    for n in 0..60 {
        let pin = format!("4711{n:02}");
        let answer = fetch(&node, forms::change_pin("1000", "acme.test", &pin)).await;
        assert!(answer.text().contains("<result success=\"true\"/>"), "{}", answer.text());
        let answer = fetch(&node, forms::change_pin("1000", "acme.test", "1111")).await;
        assert!(answer.text().contains("<result success=\"false\"/>"), "{}", answer.text());
        let answer = fetch(&node, forms::user("1000", "acme.test", "")).await;
        assert!(answer.text().contains(&format!("name=\"vm-password\" value=\"{pin}\"")), "{pin}: {}", answer.text());
    }
    assert_eq!(changes_by_phone(&node).await, 60);
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn a_verto_client_that_has_not_logged_in_changes_nobodys_pin() {
    let node = wire::node().await;
    for params in [
        "&VM-Action=change-password&VM-User-Password=471147",
        "&VM-Action=change-password&VM-User-Password=471147&VM-User=1000&VM-Domain=acme.test",
        // An event's header replaces an earlier one of the same name, even Event-Name (EF_UNIQ_HEADERS in switch_event.c).
        "&Event-Name=CUSTOM&Event-Subclass=vm%3A%3Amaintenance&VM-Action=change-password&VM-User-Password=471147&VM-User=1000",
        // Names are not encoded.
        "&x&VM-Action=change-password&VM-User-Password=471147&y=1",
        "&x&action=&VM-Action=change-password&VM-User-Password=471147&VM-User=1000&y=1",
    ] {
        for form in [verto_login(params), verto_login(params).replacen("&Event-Name=REQUEST_PARAMS", "", 1)] {
            let answer = fetch(&node, &form).await;
            assert_eq!(changes_by_phone(&node).await, 0, "{form}\n{}", answer.text());
        }
    }
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn a_sip_header_changes_nobodys_pin() {
    let node = wire::node().await;
    let headers = "&VM-Action=change-password&VM-User-Password=471147&Caller-Direction=inbound";
    let answer = fetch(&node, forms::user("1000", "acme.test", headers)).await;
    assert_eq!(changes_by_phone(&node).await, 0, "{}", answer.text());
    wire::still_serves(node).await;
}

/// Whatever a client adds, the answer has only the hash of the login's user, or nothing.
#[actix_web::test]
async fn login_params_make_no_login_without_a_password() {
    let node = wire::node().await;
    for params in [
        "&x=1",
        "&user_type=any",
        "&group_name=sales",
        "&purpose=gateways",
        "&purpose=publish-vm&group=sales",
        "&Event-Calling-Function=populate_database",
        "&x&action=user_call&y=1",
        "&x&action=sip_auth&sip_auth_realm=acme.test&y=1",
        "&x&section=dialplan&Hunt-Context=acme.test&y=1",
        "&user=1001&domain=other.test&key=password",
        "&password=x&jsonrpc-password=x",
    ] {
        let answer = fetch(&node, verto_login(params)).await;
        // check_auth refuses a user whose last `password`, `jsonrpc-password` or `a1-hash` is missing or empty.
        let text = answer.text();
        assert!(!text.contains("name=\"password\"") && !text.contains("jsonrpc-password"), "{text}");
        assert!(!text.contains("name=\"a1-hash\" value=\"\""), "{text}");
    }
    wire::still_serves(node).await;
}
