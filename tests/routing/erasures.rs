//! Erasing what is kept of one person: nothing in the database names them afterwards, and nothing else is lost.

use chrono::{TimeDelta, Utc};
use dialplane::{
    app::retention,
    model::retention::Retention,
    telephony::{erasures::work, recordings},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use crate::{
    harness::{Answer, send},
    stage::Stage,
};

const EVE: &str = "+4915112345678";
const AT_HOME: &str = "+498999887766";
/// What finds her in any spelling, and her name.
const HERS: [&str; 3] = ["%15112345678%", "%8999887766%", "%zyxwa%"];
const PERIODS: Retention = Retention {
    audit_days: 1000,
    calls_days: 1000,
    records_days: 1000,
    mails_days: 1000,
    recordings_days: 1000,
    shortest_days: 7,
    longest_days: 1000,
};

/// Columns of the whole database in which she is found, whatever they are called.
async fn found(stage: &Stage) -> Vec<String> {
    let mut db = stage.database.connect().await;
    let columns = sqlx::query(
        "select c.table_name::text, c.column_name::text, c.data_type::text from information_schema.columns c
           join information_schema.tables t on t.table_schema = c.table_schema and t.table_name = c.table_name
          where c.table_schema = 'public' and t.table_type = 'BASE TABLE'
            and c.data_type in ('text', 'jsonb', 'json', 'bytea', 'ARRAY', 'character varying', 'name', 'inet', 'bigint', 'numeric')
          order by 1, 2",
    );
    let columns = columns.fetch_all(&mut db).await.unwrap();
    assert!(columns.len() > 200, "{}", columns.len());
    let mut found = Vec::new();
    for column in columns {
        let (table, name, kind) = (column.get::<String, _>(0), column.get::<String, _>(1), column.get::<String, _>(2));
        let text = if kind == "bytea" { format!("encode(\"{name}\", 'escape')") } else { format!("\"{name}\"::text") };
        let count = format!("select count(*) from \"{table}\" where {text} ilike any ($1)");
        let count = sqlx::query_scalar::<_, i64>(AssertSqlSafe(count)).bind(HERS.map(String::from).to_vec());
        if count.fetch_one(&mut db).await.unwrap() > 0 {
            found.push(format!("{table}.{name}"));
        }
    }
    found
}

impl Stage {
    async fn posts(&self, leg: Uuid, body: &[u8]) {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let (name, token) = &self.node.switch;
        let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
        let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        let path = format!("/fs/cdr?uuid={leg}");
        let answer = send(self.node.app.switch_address, "POST", &path, &headers, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// A call from her that the agent took, whose records come as JSON, base64 and URL encoding. Returns its caller's leg.
    async fn she_calls(&self, minutes_ago: i64) -> Uuid {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let (call, phone) = (Uuid::new_v4(), Uuid::new_v4());
        let start = (Utc::now().timestamp() - minutes_ago * 60) * 1_000_000;
        let (answer, end) = (start + 5_000_000, start + 65_000_000);
        let times = json!({ "start_uepoch": start.to_string(), "answer_uepoch": answer.to_string(), "bridge_uepoch": answer.to_string(),
                            "end_uepoch": end.to_string(), "answer_epoch": (answer / 1_000_000).to_string(),
                            "bridge_epoch": (answer / 1_000_000).to_string(), "end_epoch": (end / 1_000_000).to_string() });
        let with = |mut variables: Value| {
            variables.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
            json!({ "variables": variables }).to_string()
        };
        let caller = json!({
            "direction": "inbound", "call_uuid": call, "domain_name": self.domain, "dialplane_tenant": self.tenant, "sip_from_user": "%2B4915112345678",
            "sip_from_display": "Zyxwa%20Adams", "sip_req_user": "%2B493012345678", "hangup_cause": "NORMAL_CLEARING", "bridge_uuid": phone,
            "originate_disposition": "SUCCESS",
        });
        // Nobody says whose this leg is, and it names her.
        let taken = json!({
            "direction": "outbound", "call_uuid": call, "originator": call, "dialed_user": self.phone, "hangup_cause": "NORMAL_CLEARING",
            "effective_caller_id_number": "015112345678", "effective_caller_id_name": "Zyxwa%20Adams",
        });
        self.posts(call, format!("cdr={}", STANDARD.encode(with(caller))).as_bytes()).await;
        self.posts(phone, with(taken).as_bytes()).await;
        call
    }

    /// A call to her over a carrier.
    async fn she_is_called(&self) -> Uuid {
        let call = Uuid::new_v4();
        self.calls("015112345678", call).await;
        let phone = json!({ "direction": "inbound", "call_uuid": call, "user_name": self.phone, "domain_name": self.domain, "sip_req_user": "015112345678",
                            "hangup_cause": "NORMAL_CLEARING" });
        let now = Utc::now().timestamp();
        let over = json!({ "direction": "outbound", "call_uuid": call, "originator": call, "dialplane_carrier": self.carriers[0], "dialplane_call": call,
                           "dialplane_callee": "%2B4915112345678", "hangup_cause": "NORMAL_CLEARING", "originate_disposition": "SUCCESS",
                           "answer_epoch": (now - 60).to_string(), "bridge_epoch": (now - 60).to_string(), "end_epoch": now.to_string(), "billsec": "60" });
        self.cdr(call, phone).await;
        self.cdr(Uuid::new_v4(), over).await;
        call
    }

    async fn erasures(&self, method: &str, rest: &str, body: Value) -> Answer {
        self.node.api(method, &format!("/v1/erasures{rest}?tenant_id={}", self.tenant), body).await
    }

    async fn sql(&self, sql: &str) {
        let done = sqlx::query(AssertSqlSafe(sql.to_owned())).bind(self.tenant);
        done.execute(self.node.app.changes.pool()).await.unwrap();
    }

    /// Looks as of some hours later.
    async fn looks(&self, hours: i64) {
        let now = Utc::now() + TimeDelta::hours(hours);
        while work::pass(&self.node.app.changes, now).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    }

    async fn figures(&self) -> Vec<Value> {
        self.folded().await;
        let mut figures = Vec::new();
        for by in ["agent", "number", "carrier", "country"] {
            let path = format!("/v1/reports/calls?tenant_id={}&by={by}", self.tenant);
            let answer = self.node.api("GET", &path, Value::Null).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            figures.push(answer.json());
        }
        figures
    }
}

#[actix_web::test]
async fn nothing_in_the_database_names_a_person_who_was_erased() {
    let stage = Stage::new().await;
    let (node, tenant) = (&stage.node, stage.tenant);
    let pool = node.app.changes.pool();
    let contacts = format!("/v1/contacts?tenant_id={tenant}");
    let eve = json!({ "name": "Zyxwa Adams", "numbers": [EVE, AT_HOME], "notes": "tall", "metadata": { "crm": "x" } });
    let contact = node.makes(&contacts, eve).await;
    assert_eq!(contact.status, 201, "{}", contact.text());
    let bob = json!({ "name": "Bob", "numbers": ["+493077777777"], "notes": "Partner: +49 (0)151 1234-5678, likes tea", "fields": { "second": "0151/12345678" } });
    let bob = node.makes(&contacts, bob).await.id();
    // A call long ago, whose records and decision were moved to their months since.
    stage.she_calls(90).await;
    stage.she_is_called().await;
    stage.folded().await;
    while retention::pass(pool, &PERIODS, Utc::now() + TimeDelta::days(20)).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    // And new ones, of which one was recorded, and one is about something else.
    let call = stage.she_calls(5).await;
    stage.she_is_called().await;
    let (other, end) = (Uuid::new_v4(), Utc::now().timestamp_millis());
    let told = json!({ "leg": other, "call": other, "start": end - 65_000, "answer": end - 60_000, "end": end, "from_number": "+493077777777",
                       "from_name": "Bob", "dialled": "+493012345678", "cause": "NORMAL_CLEARING" });
    let leg = "insert into ended_legs (leg, tenant_id, cluster_id, told) select $1, id, cluster_id, $3 from tenants where id = $2";
    sqlx::query(leg).bind(other).bind(tenant).bind(told).execute(pool).await.unwrap();
    stage.folded().await;
    let path = |id: Uuid| format!("/v1/calls/{id}?tenant_id={tenant}");
    assert_eq!(
        node.api("PATCH", &path(call), json!({ "notes": "Zyxwa wants a refund", "tags": ["refund"] })).await.status,
        200
    );
    assert_eq!(node.api("PATCH", &path(other), json!({ "notes": "Asked for 0151 12345678" })).await.status, 200);
    let recording = node.recording(call).await;
    recordings::store::find_calls(pool, false).await.unwrap();
    // Everything else that people and switches leave.
    let queue = json!({ "kind": "queue", "name": "sales", "number": "71", "config": { "tiers": [] } });
    let queue = node.makes(&format!("/v1/tenants/{tenant}/destinations"), queue).await;
    assert_eq!(queue.status, 201, "{}", queue.text());
    let queue = queue.id();
    let of_agent = "select id from extensions where tenant_id = $1";
    let extension = sqlx::query_scalar::<_, Uuid>(of_agent).bind(tenant).fetch_one(pool).await.unwrap();
    let forward = json!({ "kind": "external", "name": "Her", "config": { "number": EVE, "on_behalf_of": extension } });
    let forward = node.makes(&format!("/v1/tenants/{tenant}/destinations"), forward).await;
    assert_eq!(forward.status, 201, "{}", forward.text());
    stage
        .sql(
            "insert into chat_messages (tenant_id, id, author_id, sender, people, body)
               values ($1, gen_random_uuid(), gen_random_uuid(), 'Ada', '{}', 'Please call 0151 1234 56 78 back')",
        )
        .await;
    stage.sql("insert into call_jobs (id, tenant_id, switch_id, extension_id, number, state)
               select gen_random_uuid(), $1, s.id, e.id, '015112345678', 'ended' from switches s, extensions e where e.tenant_id = $1 limit 1").await;
    stage
        .sql(&format!(
            "insert into call_backs (tenant_id, id, queue_id, number, joined_at, expires_at)
               values ($1, gen_random_uuid(), '{queue}', '{EVE}', now(), now() + interval '1 day')"
        ))
        .await;
    stage.sql(&format!("insert into webhook_events (id, tenant_id, topic, body)
               values (gen_random_uuid(), $1, 'call:ended', '{{\"data\":{{\"from\":{{\"number\":\"{EVE}\",\"name\":\"Zyxwa\"}}}}}}')")).await;
    stage.sql("insert into voicemail_messages (tenant_id, id, extension_id, switch_id, message, file, caller_number, caller_name, received_at, seconds, is_urgent)
               select $1, gen_random_uuid(), e.id, s.id, gen_random_uuid(), 'msg_1.wav', '+4915112345678', 'Zyxwa', now(), 3, false
                 from switches s, extensions e where e.tenant_id = $1 limit 1").await;
    stage.sql("insert into audit_log (id, actor, tenant_id, action, resource, before, after)
               values (gen_random_uuid(), 'x', $1, 'update', 'extensions/x', '{\"calls\": {\"forward\": \"+4915112345678\"}}', null)").await;
    let figures = stage.figures().await;
    let before = found(&stage).await;
    for column in [
        "calls.summary",
        "calls.sought",
        "calls.notes",
        "ended_legs.told",
        "past_calls.callee",
        "admissions.callee",
        "past_records.body",
        "cdr_inbox.body",
        "contacts.name",
        "contact_numbers.number",
        "call_jobs.number",
        "call_backs.number",
        "webhook_events.body",
        "voicemail_messages.caller_number",
        "audit_log.before",
        "destinations.config",
    ] {
        assert!(before.iter().any(|found| found == column), "{column} is not among {before:?}");
    }

    // Not while a recording of hers is under a legal hold.
    let held = format!("/v1/recordings/{recording}?tenant_id={tenant}");
    assert_eq!(node.api("PATCH", &held, json!({ "legal_hold": "Case 17" })).await.status, 200);
    let refused = stage.erasures("POST", "", json!({ "numbers": [AT_HOME, "+4915112345678"] })).await;
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("erasure_held")), "{}", refused.text());
    assert_eq!(node.api("PATCH", &held, json!({ "legal_hold": null })).await.status, 200);
    let own = stage.erasures("POST", "", json!({ "numbers": ["+493012345678"] })).await;
    assert_eq!((own.status, &own.json()["code"]), (422, &json!("own_number")), "{}", own.text());
    assert_eq!(stage.erasures("POST", "", json!({})).await.status, 422);

    let asked = stage.erasures("POST", "", json!({ "contact_id": contact.id() })).await;
    assert_eq!((asked.status, &asked.json()["numbers"]), (201, &json!(2)), "{}", asked.text());
    assert!(!asked.text().contains("15112345678"), "{}", asked.text());
    let one = format!("/{}", asked.id());
    stage.looks(0).await;
    let looked = stage.erasures("GET", &one, Value::Null).await.json();
    assert_eq!(
        (&looked["state"], &looked["erased"]["recordings"], &looked["erased"]["messages"]),
        (&json!("looked"), &json!(1), &json!(1)),
        "{looked:#}"
    );
    // The message is erased here, and its switch has it.
    assert_eq!(looked["remaining"], json!(1), "{looked:#}");
    // While there is another look, the request knows the numbers; besides, only what people set does.
    assert_eq!(found(&stage).await, ["destinations.config", "erasures.numbers"]);
    stage.looks(2).await;
    assert_eq!(stage.erasures("GET", &one, Value::Null).await.json()["state"], json!("looked"), "the switch is away");
    stage.sql("delete from voicemail_messages where tenant_id = $1 and erased").await;
    // A call that was up then is over now.
    stage.she_calls(1).await;
    stage.folded().await;
    stage.looks(4).await;
    let done = stage.erasures("GET", &one, Value::Null).await.json();
    assert_eq!((&done["state"], &done["settings"]["destinations"]), (&json!("finished"), &json!(1)), "{done:#}");
    assert_eq!(found(&stage).await, ["destinations.config"], "what a person set, they change");
    // In base64, too.
    let kept = "select (select count(*) from cdr_inbox where body <> '') + (select count(*) from past_records where body <> '')";
    assert_eq!(
        sqlx::query_scalar::<_, i64>(kept).fetch_one(pool).await.unwrap(),
        0,
        "all records are of calls with her"
    );
    let gone = format!("/v1/tenants/{tenant}/destinations/{}", forward.id());
    assert_eq!(node.api("DELETE", &gone, Value::Null).await.status, 204);
    assert_eq!(found(&stage).await, ["audit_log.before"], "they have just deleted it");

    // Nothing else is lost: calls stay, and what is theirs who were not erased.
    assert_eq!(node.api("GET", &held, Value::Null).await.status, 404);
    let shown = node.api("GET", &path(call), Value::Null).await.json();
    assert_eq!(
        (&shown["state"], &shown["talk_seconds"], &shown["country"]),
        (&json!("answered"), &json!(60), &json!("DE")),
        "{shown:#}"
    );
    assert!(
        shown["from"]["number"].as_str().unwrap().starts_with("erased-") && shown["from"]["name"].is_null(),
        "{shown:#}"
    );
    assert_eq!((&shown["notes"], &shown["tags"]), (&Value::Null, &json!(["refund"])));
    let shown = node.api("GET", &path(other), Value::Null).await.json();
    assert_eq!(
        (&shown["from"]["number"], &shown["from"]["name"]),
        (&json!("+493077777777"), &json!("Bob")),
        "{shown:#}"
    );
    assert!(shown["notes"].as_str().unwrap().starts_with("Asked for erased-"), "{shown:#}");
    assert!(stage.found("&party=%2B4915112345678").await.is_empty());
    let bob = node.api("GET", &format!("/v1/contacts/{bob}?tenant_id={tenant}"), Value::Null).await.json();
    let notes = bob["notes"].as_str().unwrap();
    assert!(notes.starts_with("Partner: erased-") && notes.ends_with(", likes tea"), "{notes}");
    // The log says that it was done, by whom and when.
    let audit = node.api("GET", &format!("/v1/audit?tenant_id={tenant}&resource=erasures"), Value::Null).await;
    let actions = audit.items().as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect::<Vec<_>>();
    assert_eq!(actions, ["update", "create"], "{}", audit.text());
    // One more call since the figures were taken: hers that was up.
    let now = stage.figures().await;
    assert_ne!(now, figures, "it counts");
    stage.stop().await;
}

#[actix_web::test]
async fn erasing_a_person_changes_no_figure_of_reports_even_if_a_late_leg_mends_a_call() {
    let stage = Stage::new().await;
    let call = stage.she_calls(30).await;
    stage.she_is_called().await;
    let figures = stage.figures().await;
    let asked = stage.erasures("POST", "", json!({ "numbers": [EVE] })).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    stage.looks(0).await;
    stage.sql("insert into call_slots_due (tenant_id, slot) select distinct tenant_id, slot from call_rollups where tenant_id = $1 on conflict do nothing").await;
    assert_eq!(stage.figures().await, figures, "computed anew");
    // A leg that says nothing new: the call is made again of what its legs tell now.
    let late = json!({ "direction": "outbound", "call_uuid": call, "originator": call, "dialed_user": stage.phone, "dialed_domain": stage.domain,
                       "hangup_cause": "LOSE_RACE", "start_uepoch": ((Utc::now().timestamp() - 30 * 60) * 1_000_000).to_string(),
                       "end_uepoch": ((Utc::now().timestamp() - 30 * 60 + 3) * 1_000_000).to_string() });
    stage.cdr(Uuid::new_v4(), late).await;
    assert_eq!(stage.figures().await, figures, "made again");
    let shown =
        stage.node.api("GET", &format!("/v1/calls/{call}?tenant_id={}", stage.tenant), Value::Null).await.json();
    assert_eq!((&shown["legs"], &shown["country"]), (&json!(3), &json!("DE")), "{shown:#}");
    assert!(shown["from"]["number"].as_str().unwrap().starts_with("erased-"), "{shown:#}");
    stage.stop().await;
}
