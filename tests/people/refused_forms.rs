//! The page for a form that can't be accepted: it is in the person's language, has no words for programs, and keeps what was typed.

use serde_json::{Value, json};

use dialplane::tenancy::auth::rules::Role;

use crate::{
    harness::Answer,
    pages::{Stage, Tab, fields, refs},
    people::person,
};

fn is_page(answer: &Answer, status: u16, what: &str) -> String {
    let page = answer.text();
    assert_eq!(answer.status, status, "{what}: {page}");
    assert!(answer.header("Content-Type").is_some_and(|kind| kind.starts_with("text/html")), "{what}: {page}");
    page.split_once("<main").unwrap_or_else(|| panic!("{what}: no page: {page}")).1.to_owned()
}

#[actix_web::test]
async fn a_form_that_is_too_large_gets_a_page_that_says_so() {
    let stage = Stage::new().await;
    let mut nobody = Tab::new(&stage.node).german();
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    for (size, kibibytes) in [(70 << 10, "64 KiB"), (2 << 20, "64 KiB")] {
        let large = "x".repeat(size);
        for path in ["/sign-in", "/sign-up", "/sign-out", "/forgot", "/reset", "/verify", "/verify/again"] {
            let page = is_page(&nobody.post(path, &[("email", &large)]).await, 413, path);
            assert!(page.contains(kibibytes) && page.contains("Das hat nicht geklappt"), "{path}: {page}");
        }
    }
    let large = "x".repeat(2 << 20);
    for path in ["/account/password", "/app/agents/new", "/retention"] {
        let page = is_page(&owner.post(path, &[("email", &large)]).await, 413, path);
        assert!(page.contains("1 MiB"), "{path}: {page}");
    }
    // Programs are still told in JSON.
    let login = stage.node.api("POST", "/v1/auth/login", json!({ "email": "x".repeat(70 << 10) })).await;
    assert_eq!((login.status, login.header("Content-Type")), (413, Some("application/problem+json")));
    stage.node.stop().await;
}

/// Forms whose version is missing or is none.
fn without_version(form: &[(String, String)]) -> Vec<Vec<(&str, &str)>> {
    let rest = || refs(form).into_iter().filter(|(name, _)| *name != "version").collect::<Vec<_>>();
    let broken = ["", "x", "1.0", "-1", "1 or 1=1", "99999999999999999999999"];
    let broken = broken.into_iter().map(|version| rest().into_iter().chain([("version", version)]).collect());
    std::iter::once(rest()).chain(broken).collect()
}

#[actix_web::test]
async fn a_form_that_does_not_say_which_version_it_changes_changes_nothing_and_is_shown_again() {
    let stage = Stage::new().await;
    let node = &stage.node;
    let agent = stage.agent("grace@acme.test").await;
    let (id, extension) = (agent["id"].as_str().unwrap(), agent["extensions"][0]["id"].as_str().unwrap());
    let mut owner = Tab::of(node, &stage.owner).await;
    owner.does(&format!("/app/agents/{id}/extensions"), &[("number", "")]).await;
    let mut admin = Tab::of(node, &stage.admin).await;
    let cluster = node.api("GET", "/v1/clusters", Value::Null).await.json()["items"][0]["id"].clone();
    let setup = admin.does("/platform/switches/new", &[("name", "fs-9"), ("cluster", cluster.as_str().unwrap())]).await;
    let switch = setup.split('/').nth(3).unwrap().to_owned();
    let told = "did not arrive completely";

    let changes =
        "select count(*) from audit_log where action in ('update', 'assign', 'delete', 'rotate', 'rotate_token')";
    let before = stage.count(changes).await;
    let agents = format!("/app/agents/{id}");
    let form = fields(&owner.get(&agents).await.text());
    for mut sent in without_version(&form) {
        sent.iter_mut().find(|(name, _)| *name == "last_name").unwrap().1 = "Murray";
        let page = is_page(&owner.post(&agents, &sent).await, 422, "an agent");
        assert!(page.contains(told) && page.contains("value=\"Murray\""), "{sent:?}: {page}");
        // The form that is shown can be sent.
        assert!(fields(&page).iter().any(|(name, value)| name == "version" && value == "1"), "{page}");
    }
    let questions = [
        format!("{agents}/delete"),
        format!("{agents}/extensions/{extension}/rotate"),
        format!("{agents}/extensions/{extension}/give-back"),
    ];
    for path in questions {
        let form = fields(&owner.get(&path).await.text());
        for sent in without_version(&form) {
            let page = is_page(&owner.post(&path, &sent).await, 422, &path);
            assert!(page.contains(told) && page.contains("<button"), "{path} {sent:?}: {page}");
        }
    }
    for path in [format!("/platform/switches/{switch}/token"), format!("/platform/tenants/{}/suspend", stage.tenant)] {
        let form = fields(&admin.get(&path).await.text());
        for sent in without_version(&form) {
            let page = is_page(&admin.post(&path, &sent).await, 422, &path);
            assert!(page.contains(told) && page.contains("<button"), "{path} {sent:?}: {page}");
        }
    }
    let mut form = fields(&owner.get("/retention").await.text());
    form.iter_mut().find(|(name, _)| name == "audit_days").unwrap().1 = "400".to_owned();
    for sent in without_version(&form) {
        let page = is_page(&owner.post("/retention", &sent).await, 422, "retention");
        assert!(page.contains(told) && page.contains("value=\"400\""), "{sent:?}: {page}");
    }
    // A missing field does not count as an empty one, either.
    owner.does("/retention", &refs(&form)).await;
    let form = fields(&owner.get("/retention").await.text());
    let sent = refs(&form).into_iter().filter(|(name, _)| *name != "audit_days").collect::<Vec<_>>();
    assert!(is_page(&owner.post("/retention", &sent).await, 422, "retention").contains(told));
    assert_eq!(
        stage.count("select count(*) from audit_log where resource like '%/retention' and action = 'update'").await,
        1
    );
    assert_eq!(stage.count(changes).await, before + 1, "only the periods were changed");
    stage.node.stop().await;
}

#[actix_web::test]
async fn somebody_who_may_not_is_told_so_without_words_for_programs() {
    let stage = Stage::new().await;
    let manager = person(&stage.node, Some(stage.tenant), Role::Manager, "manager@acme.test").await;
    let mut english = Tab::of(&stage.node, &manager).await;
    let mut german = Tab::of(&stage.node, &manager).await.german();
    for path in ["/app/agents/new", "/platform/tenants", "/retention", "/platform/records"] {
        let page = is_page(&english.get(path).await, 403, path);
        assert!(page.contains("Your role does not allow this"), "{path}: {page}");
        let seite = is_page(&german.get(path).await, 403, path);
        assert!(seite.contains("Ihre Rolle erlaubt das nicht"), "{path}: {seite}");
        for word in ["API", "scope", "Berechtigungen", "Schlüssel", "JSON"] {
            assert!(!page.contains(word) && !seite.contains(word), "{path}: {word}");
        }
    }
    // Somebody without a second factor is asked to set it up, and hears nothing about roles.
    stage.execute("update users set totp_required = true where email = 'owner@acme.test'").await;
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let page = is_page(&owner.get("/app/agents").await, 403, "no second factor");
    assert!(page.contains("must have a second factor") && page.contains("href=\"/account\""), "{page}");
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_german_page_says_nothing_in_english() {
    let stage = Stage::new().await;
    let mut admin = Tab::of(&stage.node, &stage.admin).await.german();
    let mut owner = Tab::of(&stage.node, &stage.owner).await.german();
    let new = is_page(&admin.get("/platform/tenants/new").await, 200, "a new tenant");
    assert!(new.contains("Eine Firma mit Telefonen") && !new.contains("A company"), "{new}");
    // What was not offered as a choice is refused in the page's words and not in a parser's.
    let switch =
        is_page(&admin.post("/platform/switches/new", &[("name", "fs-9"), ("cluster", "x")]).await, 422, "no cluster");
    assert!(switch.contains("muss eine der angebotenen Möglichkeiten sein") && !switch.contains("UUID"), "{switch}");
    let sent = [
        ("first_name", "A"),
        ("last_name", "B"),
        ("email", "a@acme.test"),
        ("role", "king"),
        ("extensions_count", "1"),
    ];
    let agent = is_page(&owner.post("/app/agents/new", &sent).await, 422, "no role");
    assert!(agent.contains("muss eine der angebotenen Möglichkeiten sein") && !agent.contains("variant"), "{agent}");
    let sent =
        [("first_name", "A"), ("last_name", "B"), ("email", "a@acme.test"), ("role", "agent"), ("numbers", "999999")];
    let agent = is_page(&owner.post("/app/agents/new", &sent).await, 422, "a number of no pool");
    assert!(agent.contains("Wählen Sie eine Nummer aus einem Bereich"), "{agent}");
    // Also where there is no field for it: nobody has begun to set up a second factor.
    let factor = is_page(&owner.post("/account/two-factor/confirm", &[("code", "123456")]).await, 422, "no factor");
    assert!(factor.contains("class=\"notice bad\""), "{factor}");
    stage.node.stop().await;
}
