//! What was just changed is made as it was.

use super::*;

/// The form of the notice that offers to undo, as fields.
fn offer(page: &str) -> Vec<(String, String)> {
    let form = page.split("action=\"/undo\"").nth(1).unwrap_or_else(|| panic!("nothing to undo in {page}"));
    fields(form.split("</form>").next().unwrap())
}

/// Whether the start page says that nothing was undone.
async fn too_late(tab: &mut Tab<'_>, page: &str) -> bool {
    assert_eq!(tab.does("/undo", &refs(&offer(page))).await, "/");
    tab.get("/app").await.text().contains("can be undone for one minute")
}

#[actix_web::test]
async fn a_number_and_a_group_are_made_as_they_were_unless_they_were_changed_since() {
    let stage = Stage::new().await;
    let made = stage.agent("grace@acme.test").await;
    let (agent, extension) = (made["id"].as_str().unwrap(), made["extensions"][0]["id"].as_str().unwrap());
    let tenant = stage.tenant;
    let number = json!({ "number": "+12025550123" });
    let number = stage.node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), number).await.id();
    let of_number = |rest: &str| format!("/v1/phone-numbers/{number}{rest}?tenant_id={tenant}");
    let assign = json!({ "agent_id": agent, "daily_limit": 7, "allowed_countries": ["DE"] });
    assert_eq!(stage.node.api("POST", &of_number("/assign"), assign).await.status, 200);
    let assignment = async || stage.node.api("GET", &of_number(""), Value::Null).await.json()["assignment"].clone();
    let before = assignment().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let unassign = format!("/phone-numbers/{number}/unassign");
    let question = form(&tab.get(&unassign).await.text());
    let page = tab.sees_after(&unassign, &refs(&question)).await;
    assert!(page.contains("The number is free.") && assignment().await.is_null(), "{page}");
    let undo = offer(&page);
    assert!(!tab.get("/phone-numbers").await.text().contains("action=\"/undo\""), "it is offered once");
    let page = tab.sees_after("/undo", &refs(&undo)).await;
    assert!(page.contains("Undone: it is as it was before."), "{page}");
    assert_eq!(assignment().await, before);
    // Sent again, it is about a version that is over.
    let page = tab.sees_after("/undo", &refs(&undo)).await;
    assert!(page.contains("Not undone: it has been changed again since."), "{page}");
    assert_eq!(assignment().await, before);

    let path = format!("/v1/tenants/{tenant}/groups");
    let group = json!({ "name": "sales", "number": "700", "members": [extension] });
    let group = stage.node.api("POST", &path, group).await.id();
    let shown = async || stage.node.api("GET", &format!("{path}/{group}"), Value::Null).await.json();
    let before = shown().await;
    let same = |one: &Value, other: &Value| {
        ["name", "number", "members", "strategy", "ring_seconds"].iter().all(|field| one[field] == other[field])
    };
    let page = tab.sees_after(&format!("/app/agents/{agent}/groups/{group}/leave"), &[]).await;
    assert_eq!(shown().await["members"], json!([]));
    tab.does("/undo", &refs(&offer(&page))).await;
    assert!(same(&shown().await, &before), "{}", shown().await);
    let at = format!("/app/groups/{group}");
    let mut changed = form(&tab.get(&at).await.text());
    set(&mut changed, "name", "marketing");
    let page = tab.sees_after(&at, &refs(&changed)).await;
    assert_eq!(shown().await["name"], "marketing");
    // Another session has nothing to undo, and after a minute nobody has.
    let mut other = Tab::of(&stage.node, &stage.owner).await;
    assert!(too_late(&mut other, &page).await);
    stage.execute("update kept_pages set expires_at = now() where substr(id::text, 15, 1) = '7'").await;
    assert!(too_late(&mut tab, &page).await);
    assert_eq!(shown().await["name"], "marketing");
    // Whoever may not change it any more, does not undo it either.
    let mut changed = form(&tab.get(&at).await.text());
    set(&mut changed, "name", "support");
    let page = tab.sees_after(&at, &refs(&changed)).await;
    stage.execute("update users set role = 'manager' where email = 'owner@acme.test'").await;
    assert_eq!(tab.post("/undo", &refs(&offer(&page))).await.status, 403);
    assert_eq!(shown().await["name"], "support");
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_companys_settings_are_as_they_were_after_undoing() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let path = format!("/v1/tenants/{}/settings", stage.tenant);
    let settings = async || stage.node.api("GET", &path, Value::Null).await.json();
    let before = settings().await;
    let mut changed = form(&tab.get("/app/company").await.text());
    set(&mut changed, "language", "de");
    let page = tab.sees_after("/app/company", &refs(&changed)).await;
    assert_ne!(settings().await, before);
    tab.does("/undo", &refs(&offer(&page))).await;
    assert_eq!(settings().await, before);
    stage.node.stop().await;
}
