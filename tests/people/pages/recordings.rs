//! The pages of recordings: players, holds, links and deletion, for those who may.

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};

use super::{Stage, Tab};
use crate::people::person;

#[actix_web::test]
async fn a_recording_is_played_held_shared_and_deleted_on_pages() {
    let stage = Stage::new().await;
    let call = stage.node.call(stage.tenant).await;
    let recording = stage.node.recording(call).await;
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let list = owner.get("/app/recordings").await;
    let page = list.text();
    let audio = format!("<audio controls preload=\"none\" src=\"/v1/recordings/{recording}/audio\"");
    assert!(list.status == 200 && page.contains(&audio) && page.contains("0:01"), "{page}");
    let policy = list.header("content-security-policy").unwrap();
    assert!(policy.contains("media-src 'self'") && policy.contains("script-src 'self'"), "{policy}");
    // With the session's cookie alone, as a player asks.
    let heard = owner.get(&format!("/v1/recordings/{recording}/audio")).await;
    assert_eq!((heard.status, heard.header("content-type"), heard.body.len()), (200, Some("audio/wav"), 16_044));
    assert_eq!(heard.header("content-disposition").map(|kind| kind.starts_with("inline")), Some(true));
    let file = owner.get(&format!("/v1/recordings/{recording}/audio?download=true")).await;
    assert_eq!(file.header("content-disposition").map(|kind| kind.starts_with("attachment")), Some(true));

    let look = owner.get(&format!("/app/calls/{call}/look")).await.text();
    assert!(look.contains("look-facts") && look.contains(&format!("href=\"/app/calls/{call}\"")), "{look}");
    assert!(owner.get("/app/calls").await.text().contains(&format!("data-look=\"/app/calls/{call}/look\"")));
    let of_call = owner.get(&format!("/app/calls/{call}")).await.text();
    assert!(of_call.contains(&audio), "{of_call}");
    let own = format!("/app/recordings/{recording}");
    let back = call.to_string();
    let hold = [("why", "Case 17"), ("version", "1"), ("call", back.as_str())];
    assert_eq!(owner.does(&format!("{own}/hold"), &hold).await, format!("/app/calls/{call}"));
    let held = owner.get("/app/recordings?held=true").await.text();
    assert!(held.contains("Case 17") && !held.contains(&format!("{own}/delete")), "{held}");
    assert!(!owner.get("/app/recordings?held=false").await.text().contains(&audio));
    let kept = owner.post(&format!("{own}/delete"), &[("version", "2")]).await;
    assert_eq!(kept.status, 409, "{}", kept.text());
    owner.does(&format!("{own}/release"), &[("version", "2")]).await;
    let shared = owner.does(&format!("{own}/link"), &[]).await;
    let link = owner.get(&shared).await.text();
    assert_eq!(owner.get(&shared).await.text().split("signature=").nth(1), link.split("signature=").nth(1), "a reload");
    assert!(link.contains("/v1/shared-recordings/") && link.contains("signature="), "{link}");
    let asked = owner.get(&format!("{own}/delete")).await.text();
    assert!(asked.contains("Delete this recording?"), "{asked}");
    let gone = owner.sees_after(&format!("{own}/delete"), &[("version", "3")]).await;
    assert!(!gone.contains(&audio), "{gone}");
    let german = Tab::of(&stage.node, &stage.owner).await.german().get("/app/recordings").await.text();
    assert!(german.contains("Aufzeichnungen von Gesprächen"), "{german}");
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_manager_is_offered_no_hold_and_an_agent_no_list_that_they_may_not_hear() {
    let stage = Stage::new().await;
    let call = stage.node.call(stage.tenant).await;
    let recording = stage.node.recording(call).await;
    let manager = person(&stage.node, Some(stage.tenant), Role::Manager, "manager@acme.test").await;
    let agent = person(&stage.node, Some(stage.tenant), Role::Agent, "agent@acme.test").await;
    let mut tab = Tab::of(&stage.node, &manager).await;
    let page = tab.get("/app/recordings").await.text();
    assert!(page.contains("<audio ") && page.contains("/link\"") && !page.contains("/hold\""), "{page}");
    let refused = tab.post(&format!("/app/recordings/{recording}/hold"), &[("why", "x"), ("version", "1")]).await;
    assert_eq!(refused.status, 403);
    let pool = stage.node.app.changes.pool();
    sqlx::query("update calls set agents = array[$1]").bind(agent.id).execute(pool).await.unwrap();
    let mut tab = Tab::of(&stage.node, &agent).await;
    for path in ["/app/recordings".to_owned(), format!("/app/calls/{call}")] {
        let page = tab.get(&path).await;
        assert!(page.status == 200 && !page.text().contains("<audio "), "{path}: {}", page.text());
    }
    let path = format!("/v1/tenants/{}/settings", stage.tenant);
    let lets = json!({ "routing": { "record": { "agents_listen": true } } });
    assert_eq!(stage.owner.ask(&stage.node, "PATCH", &path, lets).await.status, 200);
    let page = tab.get(&format!("/app/calls/{call}")).await.text();
    assert!(page.contains("<audio ") && !page.contains("/link\""), "{page}");
    assert_eq!(stage.owner.ask(&stage.node, "GET", "/v1/recordings", Value::Null).await.status, 200);
    stage.node.stop().await;
}
