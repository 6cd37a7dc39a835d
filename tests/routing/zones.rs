//! Time zones: each has one name, which all parts know, and changing them gives no additional day for limits.

use serde_json::{Value, json};
use sqlx::Row as _;
use uuid::Uuid;

use crate::stage::{Stage, route};

const MUNICH: &str = "+498912345678";

impl Stage {
    async fn zone(&self, zone: &str) -> (u16, Value) {
        let path = format!("/v1/tenants/{}/settings", self.tenant);
        let answer = self.node.api("PATCH", &path, json!({ "time_zone": zone })).await;
        (answer.status, answer.json())
    }
}

#[actix_web::test]
async fn a_zone_has_one_name_and_what_is_none_is_refused_everywhere() {
    let stage = Stage::new().await;
    for (given, kept) in [("US/Eastern", "America/New_York"), ("asia/calcutta", "Asia/Kolkata"), ("Etc/UTC", "UTC")] {
        let (status, settings) = stage.zone(given).await;
        assert_eq!((status, &settings["time_zone"]), (200, &json!(kept)), "{settings}");
    }
    let (tenants, unknown) = (format!("/v1/tenants/{}", stage.tenant), json!("Etc/Unknown"));
    let mailbox = json!({ "name": "Office", "kind": "mailbox", "config": {} });
    let mailbox = stage.node.api("POST", &format!("{tenants}/destinations"), mailbox).await.id();
    let target = json!({ "kind": "mailbox", "id": mailbox });
    for (method, path, body, field) in [
        ("PATCH", "/settings", json!({ "time_zone": unknown }), "time_zone"),
        (
            "POST",
            "/destinations",
            json!({ "name": "x", "kind": "schedule",
            "config": { "time_zone": unknown, "open": target, "closed": target } }),
            "config.time_zone",
        ),
        (
            "POST",
            "/dialplan-entries",
            json!({ "name": "x", "position": 1,
            "conditions": [{ "time_zone": unknown, "actions": [] }] }),
            "conditions[0].time_zone",
        ),
        ("POST", "/extensions", json!({ "number": "77", "variables": { "timezone": unknown } }), "variables.timezone"),
    ] {
        let refused = stage.node.api(method, &format!("{tenants}{path}"), body).await;
        assert_eq!((refused.status, refused.json()["field"].as_str()), (422, Some(field)), "{}", refused.text());
        assert_eq!(refused.json()["code"], "not_a_time_zone", "{}", refused.text());
    }
    stage.stop().await;
}

#[actix_web::test]
async fn a_zone_that_is_not_known_any_more_makes_nothing_fail() {
    let stage = Stage::new().await;
    let mailbox = json!({ "name": "Office", "kind": "mailbox", "config": {} });
    let tenants = format!("/v1/tenants/{}", stage.tenant);
    let mailbox = stage.node.api("POST", &format!("{tenants}/destinations"), mailbox).await.id();
    let target = json!({ "kind": "mailbox", "id": mailbox });
    let schedule = json!({ "name": "Hours", "number": "600", "kind": "schedule",
        "config": { "time_zone": "Asia/Tokyo", "open": target, "closed": target } });
    let made = stage.node.api("POST", &format!("{tenants}/destinations"), schedule).await;
    assert_eq!(made.status, 201, "{}", made.text());
    stage.database.execute("update tenants set settings = settings || '{\"time_zone\": \"Etc/Unknown\"}'").await;
    stage
        .database
        .execute(
            "update destinations set config = config || '{\"time_zone\": \"Mars/Olympus\"}' where kind = 'schedule'",
        )
        .await;
    let led = || async { stage.calls("600", Uuid::new_v4()).await.contains(&mailbox.simple().to_string()) };
    for _ in 0..100 {
        if led().await && stage.made_today().await == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(led().await);
    assert_eq!(route(&stage.calls(MUNICH, Uuid::new_v4()).await), "outbound");
    assert_eq!(stage.made_today().await, 1);
    stage.assign(json!({ "daily_limit": 5 })).await;
    let explained = json!({ "tenant": stage.tenant, "number": MUNICH, "caller": stage.phone });
    let explained = stage.node.api("POST", "/v1/routes/explain", explained).await;
    assert_eq!((explained.status, &explained.json()["result"]), (200, &json!("outbound")), "{}", explained.text());
    assert_eq!(stage.zone("Europe/Berlin").await.0, 200, "it can be put right");
    stage.stop().await;
}

#[actix_web::test]
async fn a_change_of_time_zone_gives_no_second_day() {
    let stage = Stage::new().await;
    stage.assign(json!({ "daily_limit": 1 })).await;
    stage.rules(json!({ "outbound": { "spend_per_day": 1_000_000 } })).await;
    assert_eq!(route(&stage.calls(MUNICH, Uuid::new_v4()).await), "outbound");
    for zone in ["Pacific/Kiritimati", "Pacific/Niue", "Asia/Tokyo", "America/New_York", "UTC", "Pacific/Niue"] {
        assert_eq!(stage.zone(zone).await.0, 200);
        assert_eq!(route(&stage.calls(MUNICH, Uuid::new_v4()).await), "daily_limit", "{zone}");
        assert_eq!(stage.made_today().await, 1, "{zone}");
    }
    assert_eq!(stage.database.count("select count(*) from spend_days").await, 1);
    stage.stop().await;
}

/// The time zone changes every three hours for a month, at the worst times. A day of limits never begins within 24 hours of the
/// previous one, and always within four days.
#[actix_web::test]
async fn days_of_limits_are_as_long_as_days_whatever_zones_are_chosen() {
    let stage = Stage::new().await;
    let mut db = stage.database.connect().await;
    let zones = [
        "Pacific/Kiritimati",
        "Pacific/Niue",
        "Europe/Berlin",
        "Asia/Kolkata",
        "America/St_Johns",
        "UTC",
        "Asia/Tokyo",
    ];
    let at = |hours: i64| chrono::DateTime::from_timestamp(1_790_000_000 + hours * 3600, 0).unwrap();
    let mut began = Vec::new();
    let (mut ran, mut until, mut zone, mut seed) = (None::<chrono::NaiveDate>, None, "Europe/Berlin", 7_usize);
    let mut day = None;
    for hour in 0..24 * 30 {
        let row = sqlx::query(
            "select limit_day($1, $2, $3, $4) as day, greatest($1, day_begins(limit_day($1, $2, $3, $4), $2) + interval '24 hours') as until",
        );
        let row = row.bind(at(hour)).bind(zone).bind(ran).bind(until).fetch_one(&mut db).await.unwrap();
        let today = row.get::<chrono::NaiveDate, _>("day");
        assert!(day.is_none_or(|day| today >= day), "days don't go back");
        if day != Some(today) {
            began.push(hour);
            day = Some(today);
        }
        if hour % 3 == 0 {
            // The same as the trigger does.
            until = if ran == Some(today) {
                until.max(Some(at(hour)))
            } else {
                Some(row.get::<chrono::DateTime<chrono::Utc>, _>("until"))
            };
            ran = Some(today);
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            zone = zones[(seed >> 33) % zones.len()];
        }
    }
    let lengths = began.windows(2).skip(1).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>();
    assert!(lengths.len() > 8 && lengths.iter().all(|hours| (24..=96).contains(hours)), "{lengths:?}");
    stage.stop().await;
}

#[actix_web::test]
async fn a_switch_is_given_the_rules_of_every_zone() {
    let stage = Stage::new().await;
    let form = "hostname=vm&section=configuration&tag_name=configuration&key_name=name&key_value=timezones.conf";
    let answer = stage.node.fetch(form).await.text();
    for zone in dialplane::text::TimeZone::all() {
        assert!(answer.contains(&format!("<zone name=\"{zone}\" ")), "{zone}");
    }
    assert!(answer.contains("<zone name=\"US/Eastern\" value=\"EST5EDT,M3.2.0,M11.1.0\"/>"), "{answer}");
    assert!(answer.len() < 1024 * 1024);
    stage.stop().await;
}
