//! The audit log as a file.

use super::*;

fn lines(text: &str) -> Vec<&str> {
    text.trim_start_matches('\u{feff}').trim_end().split("\r\n").collect()
}

#[actix_web::test]
async fn the_audit_log_is_a_file_of_all_that_its_search_finds() {
    let stage = Stage::new().await;
    let path = format!("/v1/tenants/{}/groups", stage.tenant);
    let phone = stage.node.extension(stage.tenant, json!({ "number": "1000" })).await["id"].clone();
    let group = json!({ "name": "sales-east", "number": "700", "members": [phone] });
    assert_eq!(stage.owner.ask(&stage.node, "POST", &path, group).await.status, 201);
    // More than are read at once, from some days in January; whoever did it is called like a formula.
    stage
        .execute(
            "insert into audit_log (id, at, actor, tenant_id, action, resource, after)
             select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, timestamptz '2026-01-01 00:30Z' + n * interval '1 hour',
                    'user:00000000-0000-0000-0000-000000000000:=1+1@acme.test', tenants.id, 'create', 'pools/' || n, jsonb_build_object('name', 'pool ' || n)
               from generate_series(1, 1100) n, tenants where domain = 'acme.test'",
        )
        .await;
    let mut owner = Tab::of(&stage.node, &stage.owner).await;
    let page = owner.get("/audit?actor=%3D1&resource=pools%2F").await.text();
    assert!(page.contains("href=\"/audit/export.csv?actor=%3D1&#38;resource=pools%2F\""), "{page}");
    let file = owner.get("/audit/export.csv?actor=%3D1&resource=pools%2F").await;
    assert_eq!(file.status, 200, "{}", file.text());
    assert_eq!(file.header("Content-Type"), Some("text/csv; charset=utf-8"));
    assert_eq!(file.header("Content-Disposition"), Some("attachment; filename=\"audit.csv\""));
    let text = file.text();
    let found = lines(&text);
    assert_eq!(found[0], "Time,Who,Action,Subject,Name,Address,Changes");
    assert_eq!(found.len(), 1101, "{text}");
    let (first, last) = (found[1], found[1100]);
    assert!(first.starts_with("2026-02-15T20:30:00.000Z,'=1+1@acme.test,"), "{first}");
    assert!(
        first.contains("pool 1100") && last.contains("pool 1,") && first.ends_with("Name: – → pool 1100"),
        "{first}"
    );
    // One day, as the visitor counts it: in Berlin it begins an hour earlier.
    let day = "actor=%3D1&resource=pools%2F&from=2026-01-05&to=2026-01-05";
    let text = owner.get(&format!("/audit/export.csv?{day}")).await.text();
    let found = lines(&text);
    assert!(found.len() == 25 && found[24].starts_with("2026-01-05T00:30"), "{text}");
    owner.cookies.insert("dialplane_zone".into(), "Europe%2FBerlin".into());
    let text = owner.get(&format!("/audit/export.csv?{day}")).await.text();
    let found = lines(&text);
    assert!(found.len() == 25 && found[24].starts_with("2026-01-04T23:30"), "{text}");
    // The page has the same ones.
    let page = owner.get(&format!("/audit?{day}")).await.text();
    assert_eq!(page.matches("<li><div class=\"line\">").count(), 24, "{page}");
    assert!(page.contains("value=\"2026-01-05\"") && page.contains("Europe/Berlin"), "{page}");
    // In words, and in the visitor's language.
    let text = owner.clone().german().get("/audit/export.csv?resource=groups%2F").await.text();
    assert!(text.contains("Zeit,Wer,Aktion") && text.contains("sales-east"), "{text}");
    // The platform's names the tenant.
    let mut admin = Tab::of(&stage.node, &stage.admin).await;
    let text = admin.get("/audit/export.csv?resource=groups%2F").await.text();
    assert!(lines(&text)[0].starts_with("Tenant,Time,") && lines(&text)[1].starts_with("acme.test,"), "{text}");
    // Another tenant's owner gets nothing of it, and a manager no file at all.
    let other = stage.node.tenant("other.test").await;
    let other = person(&stage.node, Some(other), Role::Owner, "owner@other.test").await;
    let text = Tab::of(&stage.node, &other).await.get("/audit/export.csv?actor=%3D1&resource=pools%2F").await.text();
    assert_eq!(lines(&text).len(), 1, "{text}");
    let manager = person(&stage.node, Some(stage.tenant), Role::Manager, "manager@acme.test").await;
    assert_eq!(Tab::of(&stage.node, &manager).await.get("/audit/export.csv").await.status, 403);
    stage.node.stop().await;
}
