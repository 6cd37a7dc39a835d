//! Contacts: written, found, imported, exported and erased.

use serde_json::{Value, json};

use crate::{
    harness::{Answer, send},
    stage::Stage,
};

impl Stage {
    async fn contacts(&self, method: &str, rest: &str, body: Value) -> Answer {
        let joined = if rest.contains('?') { '&' } else { '?' };
        self.node.api(method, &format!("/v1/contacts{rest}{joined}tenant_id={}", self.tenant), body).await
    }

    async fn import(&self, rest: &str, csv: &str) -> Answer {
        let headers = [("X-API-Key", self.node.key.as_str()), ("Content-Type", "text/csv")];
        let path = format!("/v1/contacts/import?tenant_id={}{rest}", self.tenant);
        send(self.node.app.app_address, "POST", &path, &headers, csv.as_bytes()).await
    }
}

#[actix_web::test]
async fn a_contact_has_numbers_that_nobody_else_has_and_is_found_as_one_types() {
    let stage = Stage::new().await;
    let eve = json!({ "name": "Eve Adams", "company": "Apple & Co", "email": "eve@apple.test", "numbers": ["+4915112345678", "+493099"],
                      "tags": ["vip"], "fields": { "Customer": "4711" }, "consent": { "source": "form", "at": "2026-11-01T10:00:00Z" } });
    let refused = stage.contacts("POST", "", eve.clone()).await;
    assert_eq!((refused.status, &refused.json()["field"]), (422, &json!("numbers[1]")), "{}", refused.text());
    let mut eve = eve;
    eve["numbers"] = json!(["+4915112345678", "+493099887766"]);
    let made = stage.contacts("POST", "", eve).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let taken = stage.contacts("POST", "", json!({ "name": "Adam", "numbers": ["+493099887766"] })).await;
    assert_eq!((taken.status, &taken.json()["code"]), (409, &json!("number_of_another_contact")), "{}", taken.text());
    for (search, found) in [("ev", 1), ("adams", 1), ("APPLE", 1), ("99887", 1), ("dams ap", 0), ("%25", 0), ("zz", 0)]
    {
        let listed = stage.contacts("GET", &format!("?search={}", search.replace(' ', "%20")), Value::Null).await;
        assert_eq!(listed.items().as_array().unwrap().len(), found, "{search}");
    }
    let looked_up = stage.contacts("GET", "/lookup?number=%2B493099887766", Value::Null).await;
    assert_eq!((looked_up.status, looked_up.json()["name"].as_str()), (200, Some("Eve Adams")), "{}", looked_up.text());
    assert_eq!(stage.contacts("GET", "/lookup?number=%2B493099887767", Value::Null).await.status, 404);
    let barred = json!({ "do_not_call": { "source": "on the phone", "at": "2026-11-26T10:00:00Z" }, "numbers": ["+4915112345678"] });
    let changed = stage.contacts("PATCH", &format!("/{id}"), barred.clone()).await;
    assert_eq!((changed.status, &changed.json()["version"]), (200, &json!(2)), "{}", changed.text());
    assert_eq!(stage.contacts("PATCH", &format!("/{id}"), barred).await.json()["version"], json!(2), "the same again");
    assert_eq!(
        stage.contacts("GET", "?do_not_call=true&tag=vip", Value::Null).await.items().as_array().unwrap().len(),
        1
    );
    assert_eq!(
        stage.contacts("POST", "", json!({ "name": "Adam", "numbers": ["+493099887766"] })).await.status,
        201,
        "it is free"
    );
    assert_eq!(stage.contacts("DELETE", &format!("/{id}"), Value::Null).await.status, 204);
    assert_eq!(stage.contacts("GET", &format!("/{id}"), Value::Null).await.status, 404);
    // The audit log says what was done, and nothing of whom.
    let audit = stage
        .node
        .api("GET", &format!("/v1/audit?tenant_id={}&resource=contacts", stage.tenant), Value::Null)
        .await
        .text();
    assert!(audit.contains("delete") && !audit.contains("Eve") && !audit.contains("4915112345678"), "{audit}");
    stage.stop().await;
}

#[actix_web::test]
async fn contacts_are_imported_with_a_preview_and_a_report_and_come_out_as_they_went_in() {
    let stage = Stage::new().await;
    let csv = "Name;Firma;Telefon;Telefon 2;E-Mail;Kundennummer\r\nEve;Apple;+49 151 12345678;0049 30 99887766;eve@apple.test;4711\r\n\
               ;Nobody;;;;\r\nAdam;;12;;;\r\nTwin;;+4915112345678;;;\r\n=1+1;;;;;\r\n";
    let preview = stage.import("&preview=true", csv).await;
    assert_eq!(
        (preview.status, &preview.json()["created"], &preview.json()["refused"]),
        (200, &json!(2), &json!(3)),
        "{}",
        preview.text()
    );
    assert_eq!(stage.contacts("GET", "", Value::Null).await.items(), json!([]));
    let done = stage.import("", csv).await.json();
    let lines = done["lines"].as_array().unwrap();
    assert_eq!((&done["created"], &lines[1]["refused"]["code"]), (&json!(2), &json!("missing")), "{done:#}");
    assert_eq!((&lines[3]["line"], &lines[3]["refused"]["code"]), (&json!(5), &json!("number_of_another_contact")));
    let eve = stage.contacts("GET", "?search=eve", Value::Null).await.items()[0].clone();
    assert_eq!(
        (&eve["numbers"], &eve["company"]),
        (&json!(["+4915112345678", "+493099887766"]), &json!("Apple")),
        "{eve}"
    );
    assert_eq!(eve["fields"]["Kundennummer"], json!("4711"));
    let out = stage.contacts("GET", "/export", Value::Null).await.text();
    assert!(out.lines().count() == 3 && out.contains("'=1+1,") && out.contains(",+4915112345678,"), "{out}");
    assert_eq!(stage.import("", "nothing,at all\n1,2\n").await.status, 422);
    stage.stop().await;
}

#[actix_web::test]
async fn a_contacts_fields_take_what_the_tenants_settings_say_and_old_ones_stay_until_they_are_changed() {
    let stage = Stage::new().await;
    let old = json!({ "name": "Eve", "fields": { "Born": "long ago", "Level": "gold" } });
    let old = stage.contacts("POST", "", old).await.json();
    let fields = json!([{ "name": "Born", "kind": "date" }, { "name": "Level", "kind": "choice", "choices": ["gold", "silver"] },
                        { "name": "Orders", "kind": "decimal" }, { "name": "Member", "kind": "flag" }]);
    let settings = format!("/v1/tenants/{}/settings", stage.tenant);
    let set = stage.node.api("PATCH", &settings, json!({ "contacts": { "fields": fields } })).await;
    assert_eq!(set.status, 200, "{}", set.text());
    for (name, value, code) in [
        ("Born", "24.12.2000", "not_a_day"),
        ("Level", "bronze", "not_one_of"),
        ("Orders", "many", "not_a_number"),
        ("Member", "yes", "not_a_flag"),
    ] {
        let refused = stage.contacts("POST", "", json!({ "name": "Adam", "fields": { name: value } })).await;
        let why = refused.json();
        assert_eq!(
            (refused.status, &why["code"], &why["field"]),
            (422, &json!(code), &json!(format!("fields.{name}"))),
            "{}",
            refused.text()
        );
    }
    let good = json!({ "Born": "2000-12-24", "Level": "silver", "Orders": "3.5", "Member": "true", "Nick": "Ad" });
    let made = stage.contacts("POST", "", json!({ "name": "Adam", "fields": good })).await;
    assert_eq!((made.status, &made.json()["fields"]), (201, &good), "{}", made.text());
    let path = format!("/{}", old["id"].as_str().unwrap());
    let named = stage.contacts("PATCH", &path, json!({ "name": "Eve Adams" })).await;
    assert_eq!((named.status, &named.json()["fields"]), (200, &old["fields"]), "{}", named.text());
    let kept = stage.contacts("PATCH", &path, json!({ "fields": { "Born": "long ago" } })).await;
    assert_eq!((kept.status, &kept.json()["field"]), (422, &json!("fields.Born")), "{}", kept.text());
    let csv = "name,Born,Level\nCain,2001-01-01,gold\nAbel,young,gold\n";
    let report = stage.import("", csv).await.json();
    assert_eq!((&report["created"], &report["refused"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!(report["lines"][1]["refused"]["code"], json!("not_a_day"), "{report}");
    stage.node.stop().await;
}
