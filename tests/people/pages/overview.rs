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
