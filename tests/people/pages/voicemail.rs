//! The page of voicemail: for those who have messages or may hear all, in both languages, also while no switch can be asked.

use dialplane::tenancy::auth::rules::Role;
use serde_json::json;
use uuid::Uuid;

use super::{Stage, Tab};
use crate::people::person;

#[actix_web::test]
async fn the_page_of_voicemail_says_that_the_switch_is_away_and_asks_before_a_message_is_deleted() {
    let stage = Stage::new().await;
    let extension = stage.node.extension(stage.tenant, json!({ "number": "71" })).await;
    let id = extension["id"].as_str().unwrap().parse::<Uuid>().unwrap();
    let message = Uuid::now_v7();
    let told = "insert into voicemail_messages (tenant_id, id, extension_id, switch_id, message, file, caller_number, caller_name,
                                                received_at, seconds, is_urgent)
                select $1, $2, $3, s.id, gen_random_uuid(), 'msg_1.wav', '+493012345678', 'Ann', now(), 65, false from switches s limit 1";
    let pool = stage.node.app.changes.pool();
    sqlx::query(told).bind(stage.tenant).bind(message).bind(id).execute(pool).await.unwrap();
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let list = owner.get("/app/voicemail").await;
    assert!(list.status == 200 && list.text().contains("href=\"/app/voicemail\""), "{}", list.text());
    let away = owner.get("/app/voicemail?number=71").await.text();
    assert!(
        away.contains("The switch that keeps the messages can&#x27;t be asked") || away.contains("be asked right now"),
        "{away}"
    );
    let counted = format!("/app/voicemail?extension_id={id}\" aria-current=\"page\"");
    assert!(away.contains(&counted) && away.contains("1 New"), "{away}");
    let none = owner.get("/app/voicemail?number=999").await.text();
    assert!(!none.contains("be asked right now"), "{none}");
    let asked = owner.get(&format!("/app/voicemail/{message}/delete")).await.text();
    assert!(asked.contains("Delete this message?") && asked.contains("1:05"), "{asked}");
    let kept = owner.post(&format!("/app/voicemail/{message}/delete"), &[("version", "1")]).await;
    assert_eq!(kept.status, 503, "{}", kept.text());
    let german = Tab::of(&stage.node, &stage.owner).await.german().get("/app/voicemail?number=71").await.text();
    assert!(german.contains("gerade nicht erreichbar"), "{german}");
    let agent = person(&stage.node, Some(stage.tenant), Role::Agent, "agent@acme.test").await;
    let mut tab = Tab::of(&stage.node, &agent).await;
    let own = tab.get("/app/voicemail?number=71").await.text();
    assert!(
        own.contains("href=\"/app/voicemail\"") && !own.contains("be asked right now"),
        "another's extension: {own}"
    );
    assert_eq!(tab.get(&format!("/app/voicemail/{message}/delete")).await.status, 404);
    stage.node.stop().await;
}
