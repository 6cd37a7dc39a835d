//! Records of calls when something is killed: the node between keeping a record and its answer, and Postgres at any moment. Switches post again what
//! was not answered, and what was. Each leg still counts once, and each call is charged once.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dialplane::telephony::{calls::inbox, reports::roll_store};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    harness::{Cluster, Database, key_file, try_send},
    history::times,
    stage::{Stage, route},
};

const MUNICH: &str = "+498912345678";

/// What each call costs: two minutes at 0.05.
const COST: i64 = 100_000;

/// A node in a process of its own, which can be killed.
struct Served {
    child: Child,
    folder: PathBuf,
    switch: SocketAddr,
}

impl Served {
    async fn start(database: &Database) -> Self {
        let folder = std::env::temp_dir().join(format!("dialplane-crashes-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        let socket = database.options.get_socket().unwrap().display().to_string().replace('/', "%2F");
        let url = format!("postgres://dialplane@{socket}/{}", database.options.get_database().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
        command.args(["serve", "--switch-listen", "127.0.0.1:0", "--app-listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(&folder).env("DATABASE_URL", url).env("DIALPLANE_KEY_FILE", key_file()).env_remove("DIALPLANE_LOG");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (say, mut said) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = serde_json::from_str::<Value>(&line).unwrap_or_default();
                if line["fields"]["message"] == "ready" {
                    let _ = say.send(line["fields"]["switches"].as_str().unwrap().parse().unwrap());
                }
            }
        });
        let switch = tokio::time::timeout(Duration::from_mins(1), said.recv()).await.expect("it is ready").unwrap();
        Self { child, folder, switch }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What a record is answered; `None`: nothing.
async fn post(to: SocketAddr, switch: (String, String), leg: Uuid, variables: Value) -> Option<u16> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", switch.0, switch.1)));
    let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/json")];
    let body = json!({ "variables": variables }).to_string();
    let answer = try_send(to, "POST", &format!("/fs/cdr?uuid={leg}"), &headers, body.as_bytes()).await;
    answer.ok().map(|answer| answer.status)
}

/// Admits a call to Munich, and returns the records of its legs: the phone's, and the one over the dear carrier.
async fn call(stage: &Stage) -> [(Uuid, Value); 2] {
    let call = Uuid::new_v4();
    assert_eq!(route(&stage.calls(MUNICH, call).await), "outbound");
    let phone = json!({ "direction": "inbound", "call_uuid": call, "user_name": stage.phone, "domain_name": stage.domain, "sip_req_user": "08912345678",
                        "hangup_cause": "NORMAL_CLEARING", "sip_hangup_disposition": "send_bye" });
    let taken = json!({ "direction": "outbound", "call_uuid": call, "originator": call, "dialplane_carrier": stage.carriers[1], "dialplane_call": call,
                        "dialplane_callee": "%2B498912345678", "hangup_cause": "NORMAL_CLEARING", "sip_hangup_disposition": "recv_bye" });
    [(call, times(phone, 0, Some(4000), 65_000)), (Uuid::new_v4(), times(taken, 1000, Some(4000), 65_000))]
}

/// Reads what was kept and not read. The node does so after ten seconds, too.
async fn read_again(stage: &Stage) {
    stage
        .database
        .execute("update cdr_inbox set received_at = received_at - interval '1 minute' where noted_at is null")
        .await;
    inbox::read_unread(stage.node.app.changes.pool()).await.unwrap();
    assert_eq!(stage.database.count("select count(*) from cdr_inbox where noted_at is null").await, 0);
}

/// Each of so many calls has two legs and one charge, and reports say what the calls say.
async fn are_whole(stage: &Stage, calls: usize) {
    let found = stage.found("&limit=500").await;
    let count = i64::try_from(calls).unwrap();
    let each = found.iter().map(|call| (call["legs"].clone(), call["cost"].clone(), call["charge"].clone()));
    let wanted = (json!(2), json!(COST), json!(COST));
    assert_eq!(each.collect::<Vec<_>>(), vec![wanted; calls], "{found:#?}");
    for (table, rows) in [("cdr_inbox", count * 2), ("ended_legs", count * 2), ("admissions", count)] {
        let there = sqlx::query_scalar::<_, i64>(AssertSqlSafe(format!("select count(*) from {table}")));
        assert_eq!(there.fetch_one(&mut stage.database.connect().await).await.unwrap(), rows, "{table}");
    }
    assert_eq!(stage.database.count("select coalesce(sum(spent), 0)::bigint from spend_days").await, count * COST);
    assert_eq!(stage.database.count("select coalesce(sum(cost), 0)::bigint from admissions").await, count * COST);
    assert_eq!(
        stage.database.count("select coalesce(sum(live), 0)::bigint from call_meters").await,
        0,
        "no line is taken"
    );
    let since = (chrono::Utc::now() - chrono::TimeDelta::days(2)).date_naive();
    for by in ["all", "carrier", "agent"] {
        let path = format!("/v1/reports/calls?tenant_id={}&since={since}&by={by}", stage.tenant);
        // The node's own worker may have taken a quarter of an hour, and is a moment behind.
        let began = Instant::now();
        loop {
            roll_store::roll(stage.node.app.changes.pool()).await.unwrap();
            let report = stage.node.api("GET", &path, Value::Null).await.json();
            let total = &report["total"];
            if (&total["calls"], &total["answered"], &total["cost"])
                == (&json!(calls), &json!(calls), &json!(count * COST))
            {
                break;
            }
            assert!(began.elapsed() < Duration::from_mins(1), "{by}: {report:#}");
        }
    }
}

/// The node is killed when the record is kept, and before it is noted. A lock on the table of legs holds it there.
#[actix_web::test]
async fn a_node_that_is_killed_between_keeping_a_record_and_its_answer_loses_nothing_and_charges_nothing_twice() {
    let stage = Stage::new().await;
    let (mut holder, mut watcher) = (stage.database.connect().await, stage.database.connect().await);
    for carrier_first in [false, true] {
        let mut legs = call(&stage).await;
        if carrier_first {
            legs.reverse();
        }
        for (leg, variables) in &legs {
            let served = Served::start(&stage.database).await;
            let mut held = holder.begin().await.unwrap();
            sqlx::query("lock table ended_legs in access exclusive mode").execute(&mut *held).await.unwrap();
            let answer = actix_web::rt::spawn(post(served.switch, stage.node.switch.clone(), *leg, variables.clone()));
            let kept = "select count(*) from cdr_inbox where leg = $1 and noted_at is null and exists (
                           select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
                              and pid <> pg_backend_pid() and query like '%insert into ended_legs%')";
            let began = Instant::now();
            while sqlx::query_scalar::<_, i64>(kept).bind(leg.to_string()).fetch_one(&mut watcher).await.unwrap() == 0 {
                assert!(began.elapsed() < Duration::from_mins(1), "the record is not kept");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            drop(served);
            assert_eq!(answer.await.unwrap(), None, "the switch has no answer");
            held.commit().await.unwrap();
            // So it posts the record again, and once more.
            for _ in 0..2 {
                assert_eq!(stage.record(*leg, variables).await.status, 200);
            }
            read_again(&stage).await;
            assert_eq!(stage.record(*leg, variables).await.status, 200);
        }
    }
    are_whole(&stage, 2).await;
    stage.stop().await;
}

/// Records come from four sides when Postgres is killed. What was answered is kept; all others are posted again, and so is what was answered.
#[actix_web::test]
async fn when_postgres_is_killed_no_answered_record_is_lost_and_none_counts_twice() {
    const CALLS: usize = 8;
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let stage = Stage::on(&cluster).await;
    let mut records = Vec::new();
    for at in 0..CALLS {
        let mut legs = call(&stage).await;
        if at % 2 == 0 {
            legs.reverse();
        }
        records.extend(legs);
    }
    let (say, mut said) = mpsc::unbounded_channel();
    for lane in 0..4 {
        let mine = records.iter().skip(lane).step_by(4).cloned().collect::<Vec<_>>();
        let (to, switch, say) = (stage.node.app.switch_address, stage.node.switch.clone(), say.clone());
        actix_web::rt::spawn(async move {
            for (leg, variables) in mine {
                let _ = say.send((leg, post(to, switch.clone(), leg, variables).await));
            }
        });
    }
    drop(say);
    let mut answers = Vec::new();
    while let Some(answer) = said.recv().await {
        answers.push(answer);
        if answers.len() == CALLS / 2 {
            cluster.kill();
        }
    }
    let answered = answers.iter().filter(|(_, status)| *status == Some(200)).map(|(leg, _)| leg.to_string());
    let answered = answered.collect::<Vec<_>>();
    assert!((CALLS / 2..CALLS * 2).contains(&answered.len()), "some were answered, and some not: {answers:?}");
    let refused = answers.iter().filter(|(_, status)| *status != Some(200));
    assert!(
        refused.clone().all(|(_, status)| status.is_none_or(|status| status >= 500)),
        "the switch keeps them: {answers:?}"
    );
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.up();
        cluster
    });
    let cluster = cluster.await.unwrap();
    let kept = sqlx::query_scalar::<_, i64>("select count(*) from cdr_inbox where leg = any ($1)").bind(&answered);
    let kept = kept.fetch_one(&mut stage.database.connect().await).await.unwrap();
    assert_eq!(kept, i64::try_from(answered.len()).unwrap(), "what was answered is there");
    for _ in 0..2 {
        records.reverse();
        for (leg, variables) in &records {
            let began = Instant::now();
            let (to, switch) = (stage.node.app.switch_address, &stage.node.switch);
            while post(to, switch.clone(), *leg, variables.clone()).await != Some(200) {
                assert!(began.elapsed() < Duration::from_mins(1), "Postgres is back, and records are refused");
            }
        }
    }
    read_again(&stage).await;
    are_whole(&stage, CALLS).await;
    stage.stop().await;
    drop(cluster);
}
