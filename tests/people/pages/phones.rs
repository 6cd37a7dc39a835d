//! The sheet of a phone's settings, and the link by which a phone fetches them.

use super::*;

fn link(page: &str) -> String {
    let at = page.find("/phone-settings?token=").unwrap_or_else(|| panic!("no link in {page}"));
    page[at..].split('<').next().unwrap().to_owned()
}

#[actix_web::test]
async fn a_phone_fetches_its_settings_once_by_the_link_in_a_code() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let made = tab.does("/app/agents/new", &ADA).await;
    let page = tab.get(&made).await.text();
    let (secret, address) = (password(&page), link(&page));
    assert_eq!(page.matches("src=\"data:image/svg+xml;base64,").count(), 2, "{page}");
    assert!(page.contains("5060") && page.contains("TCP or UDP"), "{page}");
    // A phone has no session. Of several that come at once, one gets it.
    let phones = (0..5).map(|_| async { Tab::new(&stage.node).get(&address).await });
    let mut answers = futures_util::future::join_all(phones).await;
    answers.sort_by_key(|answer| answer.status);
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 404, 404, 404, 404]);
    let file = &answers[0];
    assert_eq!(file.header("Content-Type"), Some("application/xml; charset=utf-8"));
    assert_eq!(file.header("Cache-Control"), Some("no-store"));
    let text = file.text();
    assert!(text.contains(&format!("<entry name=\"passwd\" overwrite=\"true\">{secret}</entry>")), "{text}");
    assert!(text.contains("<entry name=\"realm\" overwrite=\"true\">acme.test</entry>"), "{text}");
    assert!(answers[1..].iter().all(|answer| !answer.text().contains(&secret)));
    // The page still has it, for its five minutes.
    assert_eq!(password(&tab.get(&made).await.text()), secret);
    for odd in
        ["/phone-settings", "/phone-settings?token=", "/phone-settings?token=dpf_nothing", "/phone-settings?x=%00"]
    {
        assert_eq!(Tab::new(&stage.node).get(odd).await.status, 404, "{odd}");
    }
    // After that time, a link that nobody used leads nowhere; and so it is when whoever made it has signed out.
    let other = [("first_name", "Joan"), ("last_name", "Clarke"), ("email", "joan@acme.test")];
    let other = other.into_iter().chain([("role", "agent"), ("extensions_count", "2")]).collect::<Vec<_>>();
    let page = tab.does("/app/agents/new", &other).await;
    let page = tab.get(&page).await.text();
    let links = page.split("id=\"link-").skip(1).map(link).collect::<Vec<_>>();
    assert!(links.len() == 2 && links[0] != links[1], "{page}");
    stage.execute("update kept_pages set expires_at = now()").await;
    assert_eq!(Tab::new(&stage.node).get(&links[0]).await.status, 404);
    stage.execute("update kept_pages set expires_at = now() + interval '1 minute'").await;
    stage.execute("delete from sessions").await;
    assert_eq!(Tab::new(&stage.node).get(&links[1]).await.status, 404);
    stage.node.stop().await;
}

#[actix_web::test]
async fn people_open_the_sheet_of_their_own_phone_and_of_no_other() {
    let stage = Stage::new().await;
    let others = stage.agent("joan@acme.test").await["extensions"][0]["id"].as_str().unwrap().to_owned();
    stage.agent("grace@acme.test").await;
    stage.execute("update extensions set user_id = (select id from users where email = 'owner@acme.test') where user_id = (select id from users where email = 'grace@acme.test')").await;
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let account = owner.get("/account").await.text();
    let own = account.split("action=\"/account/phones/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let sheet = owner.does(&format!("/account/phones/{own}"), &[]).await;
    let page = owner.get(&sheet).await.text();
    // There is a field for a new password, too.
    let shown = account.rsplit_once("id=\"password-").unwrap().1;
    assert_eq!(password(&page), shown.split('>').nth(1).unwrap().split('<').next().unwrap());
    assert!(page.contains("href=\"/account\"") && !page.contains("/app/agents/new"), "{page}");
    assert_eq!(Tab::new(&stage.node).get(&link(&page)).await.status, 200);
    let german = owner.clone().german().get(&sheet).await.text();
    assert!(german.contains("TCP oder UDP") && german.contains("Wählen Sie dort"), "{german}");
    assert_eq!(owner.post(&format!("/account/phones/{others}"), &[]).await.status, 404);
    let gone = owner.get("/account/phones").await.text();
    assert!(gone.contains("No longer shown"), "{gone}");
    stage.node.stop().await;
}
