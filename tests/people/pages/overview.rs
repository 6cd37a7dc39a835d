//! The platform's start page.

use super::*;

#[actix_web::test]
async fn the_platforms_start_page_names_a_switch_that_is_not_heard_in_the_readers_language() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.admin).await;
    let name = &stage.node.switch.0;
    assert!(!tab.get("/platform").await.text().contains("What goes on at the switch"));
    let switches = stage.node.api("GET", "/v1/switches", Value::Null).await.json();
    let path = format!("/v1/switches/{}/event-socket", switches["items"][0]["id"].as_str().unwrap());
    // Nobody listens there.
    let away = json!({ "address": "127.0.0.1:9", "password": "of-the-event-socket" });
    assert_eq!(stage.node.api("PUT", &path, away).await.status, 200);
    let since = std::time::Instant::now();
    let wanted = format!("What goes on at the switch {name} is not known since 20");
    loop {
        let page = tab.get("/platform").await.text();
        if page.contains(&wanted) {
            break;
        }
        assert!(since.elapsed().as_secs() < 60, "{page}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let german = tab.german().get("/platform").await.text();
    assert!(german.contains(&format!("Was am Switch {name} geschieht, ist seit 20")), "{german}");
    stage.node.stop().await;
}

#[actix_web::test]
async fn the_platform_finds_a_number_of_any_tenant_and_whose_it_is() {
    let stage = Stage::new().await;
    let other = stage.node.tenant("other.test").await;
    let number = async |tenant: Uuid, number: &str, provider: &str| {
        let new = json!({ "number": number, "provider": provider });
        let made = stage.node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), new).await;
        assert_eq!(made.status, 201, "{}", made.text());
    };
    let mut admin = Tab::of(&stage.node, &stage.admin).await;
    let none = admin.get("/platform/numbers").await.text();
    assert!(none.contains("No tenant has a phone number yet."), "{none}");
    number(stage.tenant, "+12025550123", "Telnyx").await;
    number(other, "+493012345678", "Sipgate").await;
    // A page more than one.
    for n in 0..50 {
        number(other, &format!("+4930222{n:04}"), "Telnyx").await;
    }
    let rows = |page: &str| page.matches("<tr><td").count();
    let first = admin.get("/platform/numbers").await.text();
    assert!(rows(&first) == 50 && first.contains("href=\"/platform/numbers\""), "{first}");
    let next = first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let second = admin.get(&decoded(next)).await.text();
    assert_eq!(rows(&second), 2, "{second}");
    for (query, count) in [
        ("q=202+555", 1),
        ("q=%2B49", 51),
        ("tenant=ACME", 1),
        ("tenant=other.te", 51),
        ("provider=sipgate", 1),
        ("provider=telnyx&tenant=acme", 1),
        ("status=suspended", 0),
        ("q=nobody%27s", 0),
    ] {
        let page = admin.get(&format!("/platform/numbers?{query}")).await.text();
        assert_eq!(rows(&page), count.min(50), "{query}: {page}");
        assert_eq!(page.contains("Nothing matches this search."), count == 0, "{query}");
    }
    let page = admin.get("/platform/numbers?q=12025550123").await.text();
    assert!(page.contains(&format!("href=\"/platform/tenants/{}\"", stage.tenant)), "{page}");
    let german = admin.clone().german().get("/platform/numbers").await.text();
    assert!(german.contains("Die Nummern aller Mandanten."), "{german}");
    assert_eq!(Tab::of(&stage.node, &stage.owner).await.get("/platform/numbers").await.status, 403);
    stage.node.stop().await;
}
