//! Calls from and to outside, over carriers.

use serde_json::json;

use super::{Needs, Row, Table, row, withheld::is_hidden};
use crate::phone::{Call, End};

const ONE: Needs = Needs::phones(1).agents(1).carriers(1);
const TWO: Needs = Needs::phones(1).agents(1).carriers(2);
const FORWARDS: Needs = Needs::phones(2).agents(2).carriers(1);
const EVE: &str = "\"Eve\" <sip:+4915112345678@carrier.test>";

pub fn rows() -> Vec<Row> {
    vec![
        row("a call out shows the agent's number, is heard, recorded and charged", ONE, async |t| {
            let call = t.phone(0).calls(&t.outside());
            let taken = t.carrier(0).rings().await;
            assert_eq!(taken.invite().called(), t.outside().trim_start_matches('+'));
            assert_eq!((&*taken.invite().from().number, taken.invite().header("Diversion")), (t.number(0), ""));
            let taken = taken.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
            call.hangs_up().await;
            assert_eq!(taken.ended().await, End { status: 200, cause: Some(16) });
            let record = t.outbound(|record| record["cost"].is_i64()).await;
            assert_eq!((&record["caller_id"], &record["admitted"]), (&json!(t.number(0)), &json!(true)), "{record}");
            assert_eq!(record["cost"], 10_000, "a minute has begun: {record}");
        }),
        row("a number can be dialled as 00 and in national form", ONE, async |t| {
            let digits = t.outside()[3..].to_owned();
            for dialled in [format!("0049{digits}"), format!("0{digits}")] {
                let call = t.phone(0).calls(&dialled);
                let taken = t.carrier(0).rings().await;
                assert_eq!(taken.invite().called(), format!("49{digits}"), "{dialled}");
                let _taken = taken.answers().await;
                call.answered().await;
                call.hangs_up().await;
            }
        }),
        row("503: the next carrier takes the call", TWO, async |t| fails_over(t, 503).await),
        row("500: the next carrier takes the call", TWO, async |t| fails_over(t, 500).await),
        row("502: the next carrier takes the call", TWO, async |t| fails_over(t, 502).await),
        row("504: the next carrier takes the call", TWO, async |t| fails_over(t, 504).await),
        row("408: the next carrier takes the call", TWO, async |t| fails_over(t, 408).await),
        row("486 is the called party's answer", TWO, async |t| is_told(t, 486).await),
        row("404 is the called party's answer", TWO, async |t| is_told(t, 404).await),
        row("603 is the called party's answer", TWO, async |t| is_told(t, 603).await),
        row("480 is the called party's answer", TWO, async |t| is_told(t, 480).await),
        row("a caller who gives up cancels the call at the carrier", ONE, async |t| {
            let call = t.phone(0).calls(&t.outside());
            let taken = t.carrier(0).rings().await;
            call.is_ringing().await;
            call.hangs_up().await;
            assert_eq!(taken.ended().await.status, 487);
        }),
        row("a country that may not be called is refused after a tone, and no carrier rings", ONE, async |t| {
            t.settings(json!({ "routing": { "outbound": { "blocked_prefixes": ["49"] } } })).await;
            let call = t.phone(0).calls(&t.outside());
            call.hears_something().await;
            assert_eq!(call.ended().await.status, 403);
            let record = t.outbound(|record| record["admitted"] == false).await;
            assert_eq!(record["cost"], json!(null), "{record}");
            assert!(t.carrier(0).rang().is_none());
        }),
        row("a phone without an agent calls nobody outside", Needs::phones(2).agents(1).carriers(1), async |t| {
            let call = t.phone(1).calls(&t.outside());
            assert_eq!(call.ended().await.status, 403);
            assert!(t.carrier(0).rang().is_none());
        }),
        row("a call from outside rings the number's phone and shows who calls", ONE, async |t| {
            let call = t.comes_in(EVE, t.number(0), &[]);
            let rings = t.phone(0).rings().await;
            assert_eq!(rings.invite().from().to_string(), "Eve <+4915112345678>");
            let rings = rings.answers().await;
            call.answered().await;
            t.talk((&call, t.carrier(0)), (&rings, t.phone(0))).await;
            call.hangs_up().await;
            assert_eq!(rings.ended().await.cause, Some(16));
        }),
        row("a number of ours may come without + and with 00", ONE, async |t| {
            let digits = t.number(0).trim_start_matches('+').to_owned();
            for written in [digits.clone(), format!("00{digits}")] {
                let call = t.comes_in(EVE, &written, &[]);
                let _taken = t.phone(0).rings().await.answers().await;
                call.answered().await;
                call.hangs_up().await;
            }
        }),
        row("a number that is not ours is refused", ONE, async |t| {
            let call = t.comes_in(EVE, "+4930999999999", &[]);
            assert_eq!(call.ended().await.status, 404);
            assert!(t.phone(0).rang().is_none());
        }),
        row("a forward to outside is charged to whoever forwards", Needs::phones(2).agents(2).carriers(1), async |t| {
            t.handle(1, json!({ "forward_always": t.outside() })).await;
            let call = t.phone(0).calls("1001");
            let taken = t.carrier(0).rings().await;
            let diversion = taken.invite().header("Diversion").to_owned();
            assert!(diversion.starts_with(&format!("<sip:{}@", t.number(1))), "{diversion}");
            let taken = taken.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
            call.hangs_up().await;
            let record = t.outbound(|record| record["cost"].is_i64()).await;
            assert_eq!(record["extension_id"], t.extension(1)["id"], "{record}");
        }),
        row(
            "a forward to a carrier that wants it has History-Info, too",
            Needs::phones(2).agents(2).carriers_with(1, || json!({ "history_info": true })),
            async |t| {
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                let call = t.phone(0).calls("1001");
                let taken = t.carrier(0).rings().await;
                let history = taken.invite().all("History-Info").join(",");
                let called = t.outside();
                let (first, second) = history.split_once(',').expect("two entries");
                assert!(
                    first.starts_with(&format!("<sip:{}@", t.number(1))) && first.ends_with(">;index=1"),
                    "{history}"
                );
                let second = second.trim_start();
                assert!(second.starts_with(&format!("<sip:{}@", &called[1..])), "{history}");
                assert!(second.ends_with(">;index=1.1;mp=1"), "{history}");
                assert!(taken.invite().header("Diversion").contains(t.number(1)), "{}", taken.story());
                let taken = taken.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
                call.hangs_up().await;
                taken.ended().await;
                // A call of one's own was not forwarded.
                let own = t.phone(0).calls(&t.outside());
                let taken = t.carrier(0).rings().await;
                assert!(taken.invite().all("History-Info").is_empty(), "{}", taken.story());
                taken.declines(486).await;
                own.ended().await;
            },
        ),
        row(
            "a forward to outside shows who calls if the tenant wants it and the carrier takes it",
            consenting(),
            async |t| {
                shows_callers(&t).await;
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                let call = t.phone(0).calls("1001");
                let taken = forwarded(&t, t.number(0)).await;
                let taken = taken.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
                call.hangs_up().await;
                let record = t.outbound(|record| record["cost"].is_i64()).await;
                assert_eq!(
                    (&record["extension_id"], &record["cost"]),
                    (&t.extension(1)["id"], &json!(10_000)),
                    "{record}"
                );
                // A call of one's own shows one's own number.
                let _own = t.phone(1).calls(&t.outside());
                assert_eq!(t.carrier(0).rings().await.invite().from().number, t.number(1));
            },
        ),
        row(
            "a forward to outside shows who forwards if the carrier does not take other numbers",
            FORWARDS,
            async |t| {
                shows_callers(&t).await;
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                let _call = t.phone(0).calls("1001");
                let _taken = forwarded(&t, t.number(1)).await;
            },
        ),
        row(
            "a forward to outside shows who forwards if the tenant does not want another number shown",
            consenting(),
            async |t| {
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                let _call = t.phone(0).calls("1001");
                let _taken = forwarded(&t, t.number(1)).await;
            },
        ),
        row("a forward to outside of a caller whose number is withheld shows nobody", consenting(), async |t| {
            shows_callers(&t).await;
            t.handle(1, json!({ "forward_always": t.outside() })).await;
            t.phone(0).says("Privacy: id");
            let _call = t.phone(0).calls("1001");
            let taken = t.carrier(0).rings().await;
            assert_eq!(taken.invite().from().to_string(), "Anonymous <anonymous>");
            is_hidden(&taken, &["1000", "Phone 0", t.number(0).trim_start_matches('+')]);
        }),
        row(
            "a caller from outside who is forwarded to outside is shown there, and the forwarder pays",
            consenting(),
            async |t| {
                shows_callers(&t).await;
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                let call = t.comes_in(EVE, t.number(1), &[]);
                let taken = forwarded(&t, "+4915112345678").await.answers().await;
                call.answered().await;
                call.hears(t.carrier(0)).await;
                call.hangs_up().await;
                taken.ended().await;
                let record = t.outbound(|record| record["cost"].is_i64()).await;
                assert_eq!(
                    (&record["extension_id"], &record["cost"]),
                    (&t.extension(1)["id"], &json!(10_000)),
                    "{record}"
                );
            },
        ),
        row(
            "a caller from outside who is forwarded to outside, where the forwarder's number is shown",
            FORWARDS,
            async |t| {
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                let call = t.comes_in(EVE, t.number(1), &[]);
                let taken = forwarded(&t, t.number(1)).await.answers().await;
                call.answered().await;
                call.hears(t.carrier(0)).await;
                call.hangs_up().await;
                taken.ended().await;
                let record = t.outbound(|record| record["cost"].is_i64()).await;
                assert_eq!(
                    (&record["extension_id"], &record["cost"]),
                    (&t.extension(1)["id"], &json!(10_000)),
                    "{record}"
                );
            },
        ),
        row(
            "follow-me to outside shows who calls if the tenant wants it and the carrier takes it",
            consenting(),
            async |t| {
                shows_callers(&t).await;
                t.handle(1, json!({ "follow_me": [{ "number": t.outside() }] })).await;
                let call = t.phone(0).calls("1001");
                let rings = t.phone(1).rings().await;
                let taken = forwarded(&t, t.number(0)).await;
                call.hangs_up().await;
                rings.ended().await;
                taken.ended().await;
                // A caller from outside.
                let call = t.comes_in(EVE, t.number(1), &[]);
                let _rings = t.phone(1).rings().await;
                let taken = forwarded(&t, "+4915112345678").await.answers().await;
                call.answered().await;
                call.hears(t.carrier(0)).await;
                call.hangs_up().await;
                taken.ended().await;
                // Withheld.
                t.phone(0).says("Privacy: id");
                let _call = t.phone(0).calls("1001");
                let taken = t.carrier(0).rings().await;
                is_hidden(&taken, &["1000", "Phone 0", t.number(0).trim_start_matches('+')]);
            },
        ),
        row(
            "a member's forward that a group follows to outside shows who calls if the tenant wants it and the carrier takes it",
            consenting(),
            async |t| {
                shows_callers(&t).await;
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                t.group("600", &[1], json!({ "follow_forwards": true })).await;
                let call = t.phone(0).calls("600");
                let taken = forwarded(&t, t.number(0)).await.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
            },
        ),
        row("a carrier's announcement is heard before the call is answered", TWO, async |t| {
            let call = t.phone(0).calls(&t.outside());
            let taken = t.carrier(0).rings().await.plays_early().await;
            call.hears(t.carrier(0)).await;
            assert!(!call.is_up());
            taken.declines(486).await;
            assert_eq!(call.ended().await, End { status: 486, cause: Some(17) });
            assert!(t.carrier(1).rang().is_none());
        }),
        row("after a carrier that fails, the next one's announcement is heard before the answer", TWO, async |t| {
            let call = t.phone(0).calls(&t.outside());
            t.carrier(0).rings().await.declines(503).await;
            let taken = t.carrier(1).rings().await.plays_early().await;
            call.hears(t.carrier(1)).await;
            let taken = taken.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&taken, t.carrier(1))).await;
        }),
        row("session timers: a time that is too short is refused with the shortest", Needs::phones(2), async |t| {
            let call = t.phone(0).calls_with("1001", &["Supported: timer", "Session-Expires: 30"]);
            assert_eq!(call.ended().await.status, 422);
            let refused = call.last_with("Min-SE").expect("the shortest is said");
            assert_eq!(refused.header("Min-SE"), "90");
            assert!(t.phone(1).rang().is_none());
        }),
        row("403 is the called party's answer", TWO, async |t| is_told(t, 403).await),
        row("488 is the called party's answer", TWO, async |t| is_told(t, 488).await),
        row(
            "silence: the next carrier takes the call",
            TWO.carriers_with(2, || json!({ "progress_seconds": 3 })),
            async |t| {
                t.carrier(0).goes_silent();
                let call = t.phone(0).calls(&t.outside());
                let taken = t.carrier(1).rings().await.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(1))).await;
            },
        ),
        row("a call out of less than a second costs its first step", ONE, async |t| {
            let call = t.phone(0).calls(&t.outside());
            let taken = t.carrier(0).rings().await.answers().await;
            call.answered().await;
            taken.hangs_up().await;
            call.ended().await;
            let record = t.outbound(|record| record["cost"].is_i64()).await;
            assert_eq!(record["cost"], 10_000, "{record}");
        }),
        row("a call out that rings and is not answered costs nothing", ONE, async |t| {
            let call = t.phone(0).calls(&t.outside());
            t.carrier(0).rings().await.declines(480).await;
            call.ended().await;
            let record = t.outbound(|record| !record["ended_at"].is_null()).await;
            assert!(record["cost"].is_null() || record["cost"] == 0, "{record}");
        }),
        row("a call of a phone over TCP", Needs::phones(2), async |t| {
            let (user, password) =
                (t.extension(0)["sip_username"].as_str().unwrap(), t.extension(0)["sip_password"].as_str().unwrap());
            let tcp = crate::phone::Phone::over_tcp(t.switch.internal, user, t.domain(), password);
            tcp.registers().await;
            let call = tcp.calls("1001");
            let rings = t.phone(1).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, &tcp), (&rings, t.phone(1))).await;
        }),
        row("a phone that is in a call is busy if it has no call waiting", Needs::phones(3), async |t| {
            t.handle(1, json!({ "busy_on_busy": true })).await;
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(t.phone(2).calls("1001").ended().await, End { status: 486, cause: Some(17) });
            call.hangs_up().await;
            rings.ended().await;
            let again = t.phone(2).calls("1001");
            let _rings = t.phone(1).rings().await.answers().await;
            again.answered().await;
        }),
        row("a phone with call waiting rings for a second call", Needs::phones(3), async |t| {
            let (_call, _rings) = t.connect(0, 1).await;
            let second = t.phone(2).calls("1001");
            let _second_rings = t.phone(1).rings().await.answers().await;
            second.answered().await;
        }),
        row(
            "session timers: INVITEs to a phone and to a carrier say for how long the call lasts without a refresh",
            Needs::phones(2).agents(1).carriers(1),
            async |t| {
                let _inside = t.phone(0).calls("1001");
                let _outside = t.phone(0).calls(&t.outside());
                for invite in [t.phone(1).rings().await.invite().clone(), t.carrier(0).rings().await.invite().clone()] {
                    let seconds = invite.header("Session-Expires").split(';').next().unwrap().parse::<u32>();
                    assert!(seconds.is_ok_and(|seconds| (90..=3600).contains(&seconds)), "{invite:?}");
                }
            },
        ),
        row(
            "a suspended tenant's phones call nobody, and its numbers are not answered",
            Needs::phones(2).agents(1).carriers(1),
            async |t| {
                t.make("PATCH", &format!("/v1/tenants/{}", t.tenant()), json!({ "status": "suspended" })).await;
                assert_ne!(t.phone(0).calls("1001").ended().await.status, 200);
                assert_ne!(t.comes_in(EVE, t.number(0), &[]).ended().await.status, 200);
                assert!(t.phone(0).rang().is_none() && t.phone(1).rang().is_none());
            },
        ),
        row(
            "a deletion while something dials the number is refused, and the call still gets there",
            Needs::phones(3),
            async |t| {
                t.handle(1, json!({ "forward_always": "1002" })).await;
                let path = format!("/v1/tenants/{}/extensions/{}", t.tenant(), t.extension_id(2));
                assert_eq!(t.api("DELETE", &path, serde_json::Value::Null).await.status, 409);
                let call = t.phone(0).calls("1001");
                let _taken = t.phone(2).rings().await.answers().await;
                call.answered().await;
            },
        ),
    ]
}

/// Two agents at a carrier that takes callers' numbers of forwarded calls.
fn consenting() -> Needs {
    FORWARDS.carriers_with(1, || json!({ "forwarded_caller": true }))
}

async fn shows_callers(t: &Table) {
    t.settings(json!({ "routing": { "outbound": { "forwards_show_caller": true } } })).await;
}

/// A call that the second phone's extension forwards to outside comes to the carrier, and shows this number.
async fn forwarded(t: &Table, shows: &str) -> Call {
    let taken = t.carrier(0).rings().await;
    let invite = taken.invite();
    assert_eq!((&*invite.from().number, &*invite.remote_party().unwrap().number), (shows, shows), "{}", taken.story());
    let diversion = invite.header("Diversion");
    assert!(diversion.starts_with(&format!("<sip:{}@", t.number(1))), "{diversion}");
    taken
}

/// The cheaper carrier fails, and the other one takes the call.
async fn fails_over(t: super::Table, status: u16) {
    let call = t.phone(0).calls(&t.outside());
    t.carrier(0).rings().await.declines(status).await;
    let taken = t.carrier(1).rings().await.answers().await;
    call.answered().await;
    t.talk((&call, t.phone(0)), (&taken, t.carrier(1))).await;
    call.hangs_up().await;
    let record = t.outbound(|record| record["cost"].is_i64()).await;
    assert_eq!(record["cost"], 20_000, "the other carrier's price: {record}");
}

/// The called party is told to have said this, and no other carrier is tried.
async fn is_told(t: super::Table, status: u16) {
    let call = t.phone(0).calls(&t.outside());
    t.carrier(0).rings().await.declines(status).await;
    assert_eq!(call.ended().await.status, status);
    assert!(t.carrier(1).rang().is_none());
}
