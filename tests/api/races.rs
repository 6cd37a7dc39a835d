//! Changes in one tenant at the same time: in any order, the result is consistent and nobody gets a 500.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Database, Node};

/// The things of one round, all new.
struct Things {
    extension: Uuid,
    other: Uuid,
    group: Uuid,
    number: Uuid,
    first: Uuid,
    second: Uuid,
    /// A number that is not in use yet.
    free: String,
    /// An emergency number of the country that the tenant may move to.
    help: &'static str,
}

/// The requests of a round: method, path within the tenant, body.
type Ask = (&'static str, String, Value);

fn target(kind: &str, id: Uuid) -> Value {
    json!({ "kind": kind, "id": id })
}

fn asks(things: &Things) -> Vec<Ask> {
    let Things { extension, other, group, number, first, second, free, help } = things;
    let announce = |then: Value| json!({ "config": { "prompt": { "text": "Hi" }, "then": then } });
    vec![
        ("PATCH", format!("/v1/phone-numbers/{number}"), json!({ "destination": target("extension", *extension) })),
        ("PATCH", format!("/v1/phone-numbers/{number}"), json!({ "destination": target("group", *group) })),
        ("PATCH", format!("/v1/phone-numbers/{number}"), json!({ "destination": target("announcement", *first) })),
        ("PATCH", format!("groups/{group}"), json!({ "members": [extension, other] })),
        ("PATCH", format!("groups/{group}"), json!({ "number": free })),
        ("PATCH", format!("destinations/{first}"), announce(target("announcement", *second))),
        ("PATCH", format!("destinations/{second}"), announce(target("announcement", *first))),
        ("PATCH", format!("destinations/{first}"), announce(target("extension", *extension))),
        ("PATCH", format!("destinations/{second}"), json!({ "number": free })),
        ("PATCH", format!("extensions/{other}"), json!({ "alias": free })),
        ("POST", "extensions".into(), json!({ "number": free })),
        ("POST", "extensions".into(), json!({ "number": help })),
        ("POST", "groups".into(), json!({ "name": format!("g{free}"), "members": [other, extension] })),
        ("POST", "groups".into(), json!({ "name": format!("h{free}"), "number": free, "members": [extension] })),
        ("PATCH", "settings".into(), json!({ "country": "FR" })),
        ("PATCH", "settings".into(), json!({ "routing": { "codes": { "echo": free } } })),
        ("DELETE", format!("extensions/{extension}"), Value::Null),
        ("DELETE", format!("extensions/{other}"), Value::Null),
        ("DELETE", format!("groups/{group}"), Value::Null),
        ("DELETE", format!("destinations/{first}"), Value::Null),
        ("DELETE", format!("destinations/{second}"), Value::Null),
        ("DELETE", format!("/v1/phone-numbers/{number}"), Value::Null),
    ]
}

/// Pairs that once went wrong. All other pairs are chosen at random.
const KNOWN: [(usize, usize); 8] = [(0, 16), (1, 18), (2, 19), (3, 16), (5, 6), (11, 14), (12, 16), (10, 15)];

async fn made(node: &Node, path: String, body: Value) -> Uuid {
    let answer = node.api("POST", &path, body).await;
    assert_eq!(answer.status, 201, "{path}: {}", answer.text());
    answer.id()
}

async fn round(node: &Node, tenant: Uuid, at: usize) -> Things {
    let path = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let announcement = |name: &str| json!({ "name": format!("{name} {at}"), "kind": "announcement", "config": { "prompt": { "text": "Hi" } } });
    let reset = json!({ "country": "DE", "routing": { "codes": { "echo": null } } });
    let reset = node.api("PATCH", &path("settings"), reset).await;
    assert_eq!(reset.status, 200, "{}", reset.text());
    let extension = made(node, path("extensions"), json!({ "number": format!("{}", 2000 + 4 * at) })).await;
    let other = made(node, path("extensions"), json!({ "number": format!("{}", 2001 + 4 * at) })).await;
    let group = json!({ "name": format!("r{at}"), "members": [other] });
    let number = json!({ "number": format!("+1202555{:04}", at + 100), "destination": target("extension", other) });
    Things {
        extension,
        other,
        group: made(node, path("groups"), group).await,
        number: made(node, format!("/v1/phone-numbers?tenant_id={tenant}"), number).await,
        first: made(node, path("destinations"), announcement("first")).await,
        second: made(node, path("destinations"), announcement("second")).await,
        free: format!("{}", 2002 + 4 * at),
        help: ["15", "17", "18"][at % 3],
    }
}

/// What must hold in any order. Each statement counts violations.
const WRONG: [(&str, &str); 5] = [
    (
        "something leads to an extension that is deleted",
        "select count(*) from numbers n join extensions e using (tenant_id) where e.id = n.extension_id and e.status = 'deleted'",
    ),
    (
        "a reference leads to an extension that is deleted",
        "select count(*) from destination_refs r join extensions e using (tenant_id)
          where e.id = r.extension_id and e.status = 'deleted'",
    ),
    (
        "a group has a member that is deleted",
        "select count(*) from group_members m join extensions e using (tenant_id)
          where e.id = m.extension_id and e.status = 'deleted'",
    ),
    (
        "an extension has an emergency number of the tenant's country",
        "select count(*) from names n join tenants t on t.id = n.tenant_id
          where t.settings->>'country' = 'FR' and n.name in ('15', '17', '18')",
    ),
    (
        "destinations lead in a circle",
        "with recursive way (start, at) as (
            select from_id, destination_id from destination_refs where destination_id is not null
            union select w.start, r.destination_id from way w join destination_refs r on r.from_id = w.at
                   where r.destination_id is not null)
         select count(*) from way where start = at",
    ),
];

async fn together(node: &Node, tenant: Uuid, asks: &[&Ask; 2]) -> [Answer; 2] {
    let ask = async |(method, path, body): &Ask| {
        let within = if path.starts_with('/') {
            format!("{path}?tenant_id={tenant}")
        } else {
            format!("/v1/tenants/{tenant}/{path}")
        };
        node.api(method, &within, body.clone()).await
    };
    let (one, other) = tokio::join!(ask(asks[0]), ask(asks[1]));
    [one, other]
}

#[actix_web::test]
async fn two_changes_at_once_leave_what_agrees_with_itself_and_neither_is_a_fault() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let seed = rand::random::<u64>();
    let mut random = StdRng::seed_from_u64(seed);
    for at in 0..60 {
        let things = round(&node, tenant, at).await;
        let asks = asks(&things);
        let pair = if at < 4 * KNOWN.len() {
            let (one, other) = KNOWN[at % KNOWN.len()];
            [&asks[one], &asks[other]]
        } else {
            let first = random.random_range(0..asks.len());
            let second = (0..asks.len()).filter(|at| *at != first).collect::<Vec<_>>();
            [&asks[first], &asks[*second.choose(&mut random).unwrap()]]
        };
        let answers = together(&node, tenant, &pair).await;
        let told =
            || format!("seed {seed}, round {at}: {pair:?}: {:?}", answers.each_ref().map(|a| (a.status, a.text())));
        assert!(answers.iter().all(|answer| answer.status < 429), "{}", told());
        let one_can_be = at >= 4 * KNOWN.len() || answers.iter().any(|answer| answer.status < 300);
        assert!(one_can_be, "{}", told());
        for (what, statement) in WRONG {
            assert_eq!(database.count(statement).await, 0, "{what}: {}", told());
        }
        for (_, made) in pair
            .iter()
            .zip(&answers)
            .filter(|((_, _, body), answer)| answer.status == 201 && body["number"] == things.help)
        {
            let path = format!("/v1/tenants/{tenant}/extensions/{}", made.id());
            assert_eq!(node.api("DELETE", &path, Value::Null).await.status, 204, "the next round's tenant may move");
        }
    }
    node.stop().await;
}
