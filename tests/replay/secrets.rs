//! An answer has a secret only if it needs it.

use crate::stage::{PIN, Stage};

#[actix_web::test]
async fn each_answer_shows_the_secrets_its_purpose_needs() {
    let stage = Stage::set().await;
    let key = "key=id&user=1000&domain=acme.test";
    // By purpose: whether the answer has the hash, the PIN, the password itself.
    let asked = [
        (format!("action=sip_auth&sip_auth_realm=acme.test&{key}"), (true, false, false)),
        (format!("action=jsonrpc-authenticate&{key}"), (true, false, false)),
        (format!("action=reverse-auth-lookup&{key}"), (false, false, true)),
        (format!("action=user_call&as_channel=true&{key}"), (false, true, false)),
        (format!("action=voicemail-lookup&{key}"), (false, true, false)),
        (key.to_owned(), (false, true, false)),
        ("purpose=publish-vm&domain=acme.test&user=_all_".into(), (false, true, false)),
        ("purpose=network-list&domain=acme.test".into(), (false, false, false)),
        ("purpose=gateways&profile=internal".into(), (false, false, false)),
        (format!("action=event_socket_auth&{key}"), (false, false, false)),
        ("action=group_call&group_name=sales&domain=acme.test".into(), (false, false, false)),
        ("Event-Calling-Function=populate_database".into(), (false, false, false)),
        ("domain=acme.test".into(), (false, false, false)),
    ];
    for (rest, expected) in asked {
        let text = stage.directory("REQUEST_PARAMS", &rest).await.text().replace("&#45;", "-");
        let shown = (text.contains("a1-hash"), text.contains(PIN), text.contains("secret-of-1000"));
        assert_eq!(shown, expected, "{rest}: {text}");
        // A missing password lets nobody in.
        let users = text.matches("<user ").count();
        assert_eq!(text.matches("name=\"allow-empty-password\" value=\"false\"").count(), users, "{rest}");
    }
    stage.node.stop().await;
}
