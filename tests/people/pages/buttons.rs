//! Buttons at calls: who is offered which, and that the forms behind them can do no more than their senders.

use super::*;

/// What a page says of its visitor's buttons.
fn said(page: &str, name: &str) -> Option<String> {
    let rest = page.split(&format!(" data-{name}=\"")).nth(1)?;
    Some(rest.split('"').next().unwrap().to_owned())
}

#[actix_web::test]
async fn who_may_act_on_calls_of_others_is_offered_it_and_an_agent_is_not() {
    let stage = Stage::new().await;
    let grace = stage.agent("grace@acme.test").await;
    stage.agent("joan@acme.test").await;
    let manager = person(&stage.node, Some(stage.tenant), Role::Manager, "manager@acme.test").await;
    let mut manager = Tab::of(&stage.node, &manager).await;
    let page = manager.get("/app/live").await.text();
    assert_eq!(
        (said(&page, "all").as_deref(), said(&page, "supervision").as_deref()),
        (Some("true"), Some("no_phone"))
    );
    assert!(page.contains("You have no extension") && page.contains("data-rows=\"parked\""), "{page}");
    // The owner gets Grace's phone, and the company's wish is said before anybody listens.
    stage.execute("update extensions set user_id = (select id from users where email = 'owner@acme.test') where user_id = (select id from users where email = 'grace@acme.test')").await;
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let number = grace["extensions"][0]["number"].as_str().unwrap();
    for (wish, told) in [
        ("allowed", "Nobody on the call is told."),
        ("announced", "Both sides hear a tone first"),
        ("forbidden", "does not want calls to be listened to"),
    ] {
        let path = format!("/v1/tenants/{}/settings", stage.tenant);
        let settings = json!({ "calling": { "supervision": wish } });
        assert_eq!(stage.node.api("PATCH", &path, settings).await.status, 200);
        let page = owner.get("/app/live").await.text();
        assert_eq!((said(&page, "supervision").as_deref(), said(&page, "own").as_deref()), (Some(wish), Some(number)));
        assert!(page.contains(told), "{wish}: {page}");
    }
    // Nobody is offered to record where the company does not use recordings.
    assert_eq!(said(&owner.get("/app/live").await.text(), "records").as_deref(), Some("false"));
    let settings = json!({ "features": { "call_recording": true } });
    let path = format!("/v1/tenants/{}/settings", stage.tenant);
    assert_eq!(stage.node.api("PATCH", &path, settings).await.status, 200);
    assert_eq!(said(&owner.get("/app/live").await.text(), "records").as_deref(), Some("true"));
    let agent = person(&stage.node, Some(stage.tenant), Role::Agent, "agent@acme.test").await;
    let mut agent = Tab::of(&stage.node, &agent).await;
    let page = agent.get("/app/live").await.text();
    assert_eq!((said(&page, "all").as_deref(), said(&page, "supervision").as_deref()), (Some("false"), Some("")));
    for never in ["data-rows=\"parked\"", "/app/live/devices", "ask-queue", "Nobody on the call is told"] {
        assert!(!page.contains(never), "{never} in {page}");
    }
    assert_eq!(agent.get("/app/live/devices").await.status, 403);
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_forms_sender_can_do_no_more_than_by_the_api_and_is_refused_in_their_language() {
    let stage = Stage::new().await;
    let agent = person(&stage.node, Some(stage.tenant), Role::Agent, "agent@acme.test").await;
    let mut agent = Tab::of(&stage.node, &agent).await.german();
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let call = Uuid::new_v4();
    let act = format!("/app/live/calls/{call}/act");
    let supervise = format!("/app/live/calls/{call}/supervise");
    // Not there, or not theirs.
    let gone = agent.post(&act, &[("action", "hangup")]).await;
    assert_eq!((gone.status, &gone.json()["code"]), (404, &json!("call_gone")), "{}", gone.text());
    assert_eq!(gone.json()["said"], "Das Gespräch ist zu Ende, oder es ist nicht Ihres.");
    assert_eq!(agent.post(&supervise, &[("mode", "listen")]).await.status, 403, "agents do not listen");
    assert_eq!(owner.post(&supervise, &[("mode", "listen")]).await.status, 404);
    // What is wrong with a field is said as it is, without words of programs.
    let none = agent.post("/app/dial", &[("to", "1001")]).await;
    assert_eq!(
        none.json()["said"],
        "Sie haben keine Nebenstelle: Kein Telefon von Ihnen kann klingeln.",
        "{}",
        none.text()
    );
    let odd = owner.post("/app/dial", &[("to", "not a number")]).await;
    assert_eq!((odd.status, &odd.json()["field"]), (422, &json!("to")), "{}", odd.text());
    assert!(odd.json()["said"].as_str().unwrap().starts_with("must be 1 to 24 digits"), "{}", odd.text());
    // A form of another site, and a tenant that is not the sender's.
    let foreign = owner.ask("POST", &act, "application/x-www-form-urlencoded", "action=hangup&csrf=x").await;
    assert!(foreign.status >= 300, "{}", foreign.text());
    let other = stage.node.tenant("other.test").await.to_string();
    let named = owner.post(&act, &[("action", "hangup"), ("tenant_id", &other)]).await;
    assert_eq!(named.json()["code"], "call_gone", "a tenant's people are in their own, whatever a form says");
    // The platform names one, or is in one.
    let mut admin = Tab::of(&stage.node, &stage.admin).await;
    assert_eq!(admin.post(&act, &[("action", "hangup")]).await.status, 303, "which tenant?");
    assert_eq!(admin.post(&act, &[("action", "hangup"), ("tenant_id", &other)]).await.status, 404);
    assert_eq!(agent.get(&format!("/app/call-jobs/{call}")).await.status, 404);
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_switch_is_taken_out_of_service_and_put_back_by_those_who_may() {
    let stage = Stage::new().await;
    let switches = stage.node.api("GET", "/v1/switches", Value::Null).await.json();
    let switch = switches["items"][0]["id"].as_str().unwrap();
    let page = format!("/platform/switches/{switch}/service");
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    assert_eq!(owner.get(&page).await.status, 403);
    assert_eq!(owner.post(&format!("{page}/drain"), &[("version", "1")]).await.status, 403);
    let mut admin = Tab::of(&stage.node, &stage.admin).await;
    let asked = admin.get(&page).await.text();
    assert!(asked.contains("Take this switch out of service?") && asked.contains("is not known"), "{asked}");
    let drained = admin.sees_after(&format!("{page}/drain"), &refs(&fields(&asked))).await;
    assert!(drained.contains("The switch is out of service.") && drained.contains("/service/resume"), "{drained}");
    let clusters = admin.get("/platform/clusters").await.text();
    assert!(clusters.contains("Out of service"), "{clusters}");
    // The yes to a question that was asked before is not taken.
    let late = admin.post(&format!("{page}/resume"), &refs(&fields(&asked))).await;
    assert_eq!(late.status, 409, "{}", late.text());
    assert_eq!(admin.post(&format!("{page}/resume"), &[]).await.status, 422);
    let resumed = admin.sees_after(&format!("{page}/resume"), &refs(&fields(&drained))).await;
    assert!(resumed.contains("The switch is in service again."), "{resumed}");
    let now = stage.node.api("GET", &format!("/v1/switches/{switch}"), Value::Null).await.json();
    assert!(now["draining_since"].is_null(), "{now}");
    stage.node.stop().await;
}
