//! Replays the recorded requests.

use std::{fs, path::Path};

use md5::{Digest as _, Md5};

use crate::{
    harness::send,
    stage::{Stage, document},
};

/// The bodies of `tests/captures`, by name.
fn captures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let text = fs::read(path).unwrap();
        let gap = memchr::memmem::find(&text, b"\n\n").map(|at| at + 2);
        let gap = gap.or_else(|| memchr::memmem::find(&text, b"\r\n\r\n").map(|at| at + 4)).unwrap();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), text[gap..].trim_ascii().to_vec())
    };
    files.iter().map(read).collect()
}

/// A tenant's context is its domain; the recording's was called `acme`.
fn in_our_context(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(body.to_vec()).unwrap();
    ["Hunt-Context=acme&", "Caller-Context=acme&", "user_context=acme&"]
        .iter()
        .fold(text, |text, field| text.replace(field, &field.replace("acme", "acme.test")))
        .into_bytes()
}

#[actix_web::test]
async fn every_recorded_request_is_answered_as_kept() {
    let stage = Stage::set().await;
    let mut answered = 0;
    for (name, body) in captures().into_iter().filter(|(name, _)| !name.starts_with("cdr-")) {
        let answer = stage.node.fetch_bytes(&in_our_context(&body)).await;
        insta::assert_snapshot!(name.as_str(), document(&answer));
        answered += 1;
    }
    assert_eq!(answered, 42, "recorded requests that are no call records");
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_digest_can_be_checked_with_the_hash_that_is_sent() {
    let stage = Stage::set().await;
    for (name, user) in [("REGISTER", "1001"), ("INVITE", "1000")] {
        let all = captures();
        let (_, body) = all.iter().find(|(n, _)| n.ends_with(&format!("sip_auth-{name}"))).unwrap();
        let answer = stage.node.fetch_bytes(body).await.text();
        let hash = answer.split("name=\"a1-hash\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let plain = format!("{user}:acme.test:secret-of-{user}");
        let expected = dialplane::text::keyring::hex(&Md5::digest(plain.as_bytes()));
        assert_eq!(hash, expected);
    }
    // If a profile forces a domain, the hash is for the realm that the phone used.
    let rest = "action=sip_auth&sip_auth_realm=Other.Realm&key=id&user=1000&domain=acme.test";
    let answer = stage.directory("REQUEST_PARAMS", rest).await.text();
    let plain = "1000:Other.Realm:secret-of-1000";
    let expected = dialplane::text::keyring::hex(&Md5::digest(plain.as_bytes()));
    assert!(answer.contains(&expected), "{answer}");
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_get_with_the_same_data_is_answered_the_same() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let stage = Stage::set().await;
    let (name, token) = &stage.node.switch;
    let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
    for (name, body) in captures().into_iter().filter(|(name, _)| name.starts_with("directory-")) {
        let body = String::from_utf8(body).unwrap();
        let path = format!("/fs/xml?{body}");
        let get = send(stage.node.app.switch_address, "GET", &path, &[("Authorization", &basic)], b"").await;
        assert_eq!(document(&get), document(&stage.node.fetch(&body).await), "{name}");
    }
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_call_record_is_kept_once_however_often_it_is_posted() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let stage = Stage::set().await;
    let (name, token) = &stage.node.switch;
    let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
    let address = stage.node.app.switch_address;
    let records = captures().into_iter().filter(|(name, _)| name.starts_with("cdr-")).collect::<Vec<_>>();
    assert_eq!(records.len(), 3);
    for (number, (_, body)) in records.iter().enumerate() {
        let path = format!("/fs/cdr?uuid=f70a3b66-5105-4e1e-8913-48589618{number:04}");
        for _ in 0..2 {
            let answer = send(address, "POST", &path, &[("Authorization", &basic)], body).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        assert_eq!(send(address, "POST", &path, &[], body).await.status, 401);
    }
    assert_eq!(send(address, "POST", "/fs/cdr", &[("Authorization", &basic)], b"{}").await.status, 400);
    let mut db = stage.database.connect().await;
    let kept =
        sqlx::query_scalar::<_, Vec<u8>>("select body from cdr_inbox order by leg").fetch_all(&mut db).await.unwrap();
    assert_eq!(kept, records.into_iter().map(|(_, body)| body).collect::<Vec<_>>());
    stage.node.stop().await;
}
