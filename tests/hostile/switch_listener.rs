//! Bad content of fetches: unknown names, bytes that are not text, text that a switch would act on.

use crate::{
    forms,
    wire::{self, MARK, fetch, is_nobody, is_not_found},
};

/// Text that FreeSWITCH, a shell, SQL or HTTP would act on, each with the marker in it.
fn active_texts() -> Vec<String> {
    let texts = [
        "!@",
        "!1000",
        "<!@",
        "<!--#exec \"@\"-->",
        "$${@}",
        "$${domain}@",
        "${system id @}",
        "x-pre-process@",
        "<X-PRE-PROCESS cmd=\"exec\" data=\"@\"/>",
        "<?xml @?>",
        "<include>@",
        "@\"",
        "@'",
        "@&amp;",
        "@\n<a/>",
        "@\r\nX: y",
        "1000\n@",
        "1000\0@",
        "@\u{feff}",
        "../../@",
        "@' or 1=1 --",
        "\\@",
        "%s%n@",
        "@=1&user=1000",
        "]]>@",
        "@\u{202e}",
        "1000@acme.test@",
        "@,user/1000",
        "[@]",
        "{@}",
        "1000|@",
        "`@`",
    ];
    texts.map(|text| text.replace('@', MARK)).to_vec()
}

#[actix_web::test]
async fn unknown_sections_kinds_and_domains_are_not_found() {
    let node = wire::node().await;
    for form in [
        format!("section={MARK}&tag_name=domain&key_name=name&key_value=acme.test"),
        "section=directorY&tag_name=domain&key_name=name&key_value=acme.test".into(),
        "section=configuration&tag_name=configuration&key_name=name&key_value=event_socket.conf".into(),
        "section=languages".into(),
        "section=directory&tag_name=user&key_name=name&key_value=acme.test".into(),
        "section=directory&tag_name=domain&key_name=id&key_value=acme.test".into(),
        "section=dialplan".into(),
        "section=chatplan".into(),
        format!("section=chatplan&Event-Name=MESSAGE&context={MARK}.test"),
        forms::sign_in("1000", "other.test", "other.test"),
        forms::sign_in("1000", "acme.test.", "acme.test"),
        forms::sign_in("1000", "test", "acme.test"),
        forms::call("1000", "default", ""),
        forms::call("1000", &format!("{MARK}.test"), ""),
        forms::group_call("sales", "other.test"),
    ] {
        let answer = fetch(&node, &form).await;
        assert!(is_not_found(&answer), "{form}: {}", answer.text());
    }
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn an_unknown_user_is_answered_with_the_domain_without_it() {
    let node = wire::node().await;
    for user in ["1002", "1000 ", " 1000", "1000@acme.test", "sales", "2000", &"9".repeat(5_000), "_all_", "%31000"] {
        for rest in ["&action=sip_auth&sip_auth_realm=acme.test", "", "&action=jsonrpc-authenticate"] {
            let answer = fetch(&node, forms::user(user, "acme.test", rest)).await;
            assert!(is_nobody(&answer, "acme.test"), "{user}: {}", answer.text());
        }
    }
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn active_text_matches_no_name_and_never_comes_back() {
    let node = wire::node().await;
    for text in active_texts() {
        let encoded = forms::encode(&text);
        for form in [
            forms::sign_in(&text, "acme.test", "acme.test"),
            forms::user(&text, "acme.test", "&action=user_call"),
            forms::change_pin(&text, "acme.test", "471147"),
            forms::change_pin(&text, "acme.test", &text),
            forms::group_call(&text, "acme.test"),
            forms::publish(&format!("user={encoded}"), "acme.test"),
            forms::publish(&format!("group={encoded}"), "acme.test"),
        ] {
            let answer = fetch(&node, &form).await;
            assert!(is_nobody(&answer, "acme.test"), "{form}: {}", answer.text());
        }
        for context in ["acme.test", "public"] {
            let caller =
                format!("&variable_user_name={encoded}&variable_domain_name={encoded}&Caller-Context={encoded}");
            for rest in ["", &caller] {
                let answer = fetch(&node, forms::call(&text, context, rest)).await;
                assert!(answer.text().contains("UNALLOCATED_NUMBER"), "{text}: {}", answer.text());
            }
        }
        for form in [
            forms::sign_in("1000", &text, &text),
            forms::call("1000", &text, ""),
            forms::call(&text, &text, ""),
            forms::directory(&text),
            forms::publish("user=_all_", &text),
            format!("section={encoded}&Event-Name=x&context={encoded}"),
            format!("section=chatplan&Event-Name=x&context={encoded}"),
            format!("hostname={encoded}&{encoded}={encoded}&section=configuration&key_value={encoded}"),
        ] {
            let answer = fetch(&node, &form).await;
            assert!(is_not_found(&answer), "{form}: {}", answer.text());
        }
    }
    wire::still_serves(node).await;
}

/// The realm comes from a stranger and is in `key_value` unencoded (mod_xml_curl.c, `basic_data`).
#[actix_web::test]
async fn a_realm_smuggles_no_field_in() {
    let node = wire::node().await;
    let long = format!("acme.test&{}", "x".repeat(600));
    for realm in [
        "acme.test&purpose=gateways",
        "acme.test&domain=acme.test",
        "acme.test&Event-Name=x",
        "acme.test&Event-Name=REQUEST_PARAMS&action=reverse-auth-lookup",
        "acme.test&Event-Name=x&purpose=publish-vm&user=_all_&domain=acme.test",
        "acme.test&section=dialplan",
        "&purpose=gateways&x=",
        "&tag_name=domain",
        long.as_str(),
    ] {
        let answer = fetch(&node, forms::sign_in("1000", realm, realm)).await;
        assert!(is_not_found(&answer), "{realm}: {}", answer.text());
        // The switch cuts the text off at 511 bytes, which may be anywhere in it.
        let form = forms::sign_in("1000", realm, realm);
        let (base, rest) = form.split_once("&Event-Name=REQUEST_PARAMS").unwrap();
        for cut in [base.len().min(80), base.len() - 1] {
            let answer = fetch(&node, format!("{}&Event-Name=REQUEST_PARAMS{rest}", &base[..cut])).await;
            assert!(!answer.text().contains("<user "), "{realm}: {}", answer.text());
        }
    }
    wire::still_serves(node).await;
}

/// The phone chooses the digest's username, and "!1000" would find the first user that is not 1000.
#[actix_web::test]
async fn a_negated_user_finds_nobody() {
    let node = wire::node().await;
    for user in ["!", "!1000", "!1001", "!nobody", "!!1000"] {
        for key in ["id", "number-alias"] {
            let form = forms::sign_in(user, "acme.test", "acme.test").replace("key=id", &format!("key={key}"));
            let answer = fetch(&node, form).await;
            assert!(is_nobody(&answer, "acme.test"), "{user}: {}", answer.text());
        }
    }
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn bytes_that_are_not_text_match_no_name() {
    let node = wire::node().await;
    let broken: [&[u8]; 6] = [b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"1000\0", b"\x80\x80"];
    for bytes in broken {
        let encoded = percent_encoding::percent_encode(bytes, percent_encoding::NON_ALPHANUMERIC).to_string();
        for raw in [bytes, encoded.as_bytes()] {
            let with = |form: &str| replace(form.as_bytes(), b"@", raw);
            for form in ["&user=@&", "&@=@&user=1002&", "&@&=&@=&user=1002&"] {
                let form = format!(
                    "section=directory&tag_name=domain&key_name=name&key_value=acme.test&Event-Name=x{form}domain=acme.test&key=id"
                );
                let answer = fetch(&node, with(&form)).await;
                assert!(is_nobody(&answer, "acme.test"), "{form}: {}", answer.text());
            }
            for form in [
                "section=directory&tag_name=domain&key_name=name&key_value=@&Event-Name=x&user=1000&domain=@&key=id",
                "section=directory&tag_name=domain&key_name=name&key_value=acme.test&Event-Name=x&user=1000&domain=@&key=id",
                "section=dialplan&Event-Name=x&Hunt-Context=@&Hunt-Destination-Number=1000",
                "section=@",
                "section=chatplan&Event-Name=x&context=@",
            ] {
                let answer = fetch(&node, with(form)).await;
                assert!(is_not_found(&answer), "{form}: {}", answer.text());
            }
            let answer =
                fetch(&node, with("section=dialplan&Event-Name=x&Hunt-Context=acme.test&Hunt-Destination-Number=@"));
            assert!(answer.await.text().contains("UNALLOCATED_NUMBER"));
        }
    }
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn a_form_of_any_shape_is_answered() {
    let node = wire::node().await;
    let fields = |count| format!("section=directory&{}", format!("{MARK}={MARK}&").repeat(count));
    for form in [
        String::new(),
        "&".repeat(100_000),
        "=".repeat(100_000),
        "\0".repeat(1_000),
        "%".repeat(1_000),
        fields(10_000),
        "section=directory&".repeat(10_000),
        format!("section=directory&tag_name=domain&key_name=name&key_value={}", "x".repeat(200_000)),
        MARK.into(),
    ] {
        let answer = fetch(&node, &form).await;
        assert!(is_not_found(&answer), "{}", answer.text());
    }
    // As many fields as a call may have.
    let many = (0..3_000).fold(String::new(), |fields, n| fields + &format!("&variable_{n}={MARK}"));
    let answer = fetch(&node, forms::call("1001", "acme.test", &many)).await;
    assert!(answer.text().contains("user/1001@acme.test"), "{}", answer.text());
    wire::still_serves(node).await;
}

pub fn replace(text: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, what) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(by);
        rest = &rest[at + what.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}
