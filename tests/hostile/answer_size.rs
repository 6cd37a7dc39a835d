//! A switch discards an answer of more than 1 MiB (`file_callback` in mod_xml_curl.c) and falls back to its static files. The
//! largest answers are those with all extensions.

use dialplane::text::keyring::Place;
use uuid::Uuid;

use crate::{
    forms,
    harness::{Database, Node},
    parser_answers::taken_as_meant,
};

/// The most extensions that an answer has.
const MANY: i32 = 2_000;

/// A tenant with that many extensions, each with the longest texts that the types allow.
pub async fn tenant(node: &Node, display_name: &str, email: Option<&str>) {
    let tenant = node.tenant("acme.test").await;
    let pin = |id| node.app.changes.keyring().seal(Place { column: "voicemail_pin", tenant, row: id }, "493827");
    let ids = (0..MANY).map(|_| Uuid::now_v7()).collect::<Vec<_>>();
    let pins = ids.iter().map(|id| pin(*id)).collect::<Vec<_>>();
    sqlx::query(
        "insert into extensions (tenant_id, id, number, sip_username, sip_secret, display_name, voicemail_pin, voicemail_email)
         select $1, e.id, (100000 + e.n)::text, 'phone-of-somebody-' || e.n, '', $4, e.pin, $5
           from unnest($2::uuid[], $3::bytea[]) with ordinality as e (id, pin, n)",
    )
    .bind(tenant)
    .bind(&ids)
    .bind(&pins)
    .bind(display_name)
    .bind(email)
    .execute(node.app.changes.pool())
    .await
    .unwrap();
    // Wait for any change. Then this one is in force, too.
    node.tenant("other.test").await;
}

#[actix_web::test]
async fn dial_by_name_for_a_large_tenant_is_no_more_than_a_switch_takes() {
    let node = Node::start(&Database::new().await).await;
    tenant(&node, &"王".repeat(80), None).await;
    let form = forms::directory("acme.test");
    let answer = node.fetch(&form).await;
    node.stop().await;
    assert!(answer.text().contains("&#29579;"));
    taken_as_meant(&form, &answer);
}

#[actix_web::test]
async fn voicemail_for_all_of_a_large_tenant_is_no_more_than_a_switch_takes() {
    let node = Node::start(&Database::new().await).await;
    let email = format!("{}@{}", "first-name.last-name".repeat(3), "very-long-department.of-a-customer.example");
    tenant(&node, "Ada", Some(&email)).await;
    let form = forms::publish("user=_all_", "acme.test");
    let answer = node.fetch(&form).await;
    node.stop().await;
    assert!(answer.text().contains("vm&#45;mailto") || answer.text().contains("vm-mailto"), "{}", answer.text());
    taken_as_meant(&form, &answer);
}
