//! Emergency calls, and calls back from whoever took one.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Needs, Row, Table, row};
use crate::phone::{Call, End};

const ONE: Needs = Needs::phones(1).agents(1).carriers(1);
const TWO: Needs = Needs::phones(1).agents(1).carriers(2);
const BACK: Needs = Needs::phones(2).agents(1).carriers(1);
const DESK: &str = "\"112\" <sip:+4930112@carrier.test>";

pub fn rows() -> Vec<Row> {
    vec![
        row("help: the carrier gets the number as dialled, the agent's number and the place", ONE, async |t| {
            t.settings(json!({ "routing": { "emergency": { "location": "Berlin, Unter den Linden 1" } } })).await;
            for dialled in ["112", "110"] {
                let call = t.phone(0).calls(dialled);
                let taken = t.carrier(0).rings().await;
                assert_eq!((taken.invite().called(), &*taken.invite().from().number), (dialled, t.number(0)));
                assert!(
                    taken.invite().header("X-Emergency-Location").contains("Unter den Linden 1"),
                    "{:?}",
                    taken.invite()
                );
                let taken = taken.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
                call.hangs_up().await;
                taken.ended().await;
            }
        }),
        row("help: the carrier meant for it is tried first, and after 503 the other one", TWO, async |t| {
            help_after(t, 503).await;
        }),
        row("help: the carrier meant for it is tried first, and after 486 the other one", TWO, async |t| {
            help_after(t, 486).await;
        }),
        row("help: the carrier meant for it is tried first, and after 404 the other one", TWO, async |t| {
            help_after(t, 404).await;
        }),
        row("help: no limit and no barred country stops it", ONE, async |t| {
            let outbound = json!({ "concurrent_calls": 0, "calls_per_second": 0, "spend_per_day": 0, "blocked_prefixes": ["1", "49"] });
            t.settings(json!({ "routing": { "outbound": outbound } })).await;
            let call = t.phone(0).calls("112");
            let _taken = t.carrier(0).rings().await.answers().await;
            call.answered().await;
        }),
        row(
            "help: a phone of a suspended agent gets through, and nowhere else",
            Needs::phones(2).agents(1).carriers(1),
            async |t| {
                t.suspend(0).await;
                assert_ne!(t.phone(0).calls("1001").ended().await.status, 200);
                assert_ne!(t.phone(0).calls(&t.outside()).ended().await.status, 200);
                let call = t.phone(0).calls("112");
                let taken = t.carrier(0).rings().await;
                assert_eq!(taken.invite().from().number, t.number(0));
                let taken = taken.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
                assert!(t.phone(1).rang().is_none());
            },
        ),
        row(
            "help: a phone that is nobody's gets through with the tenant's number",
            Needs::phones(1).carriers(1),
            async |t| {
                t.settings(json!({ "routing": { "emergency": { "caller_id": "+493022000000" } } })).await;
                let call = t.phone(0).calls("112");
                let taken = t.carrier(0).rings().await;
                assert_eq!(taken.invite().from().number, "+493022000000");
                let _taken = taken.answers().await;
                call.answered().await;
            },
        ),
        row("help: behind the digits for an outside line, too", ONE, async |t| {
            t.settings(json!({ "routing": { "outbound": { "prefix": "0" } } })).await;
            for dialled in ["112", "0112"] {
                let call = t.phone(0).calls(dialled);
                let taken = t.carrier(0).rings().await;
                assert_eq!(taken.invite().called(), "112", "{dialled}");
                call.hangs_up().await;
                taken.ended().await;
            }
        }),
        row("help: whoever calls back reaches the phone past do not disturb", BACK, async |t| {
            calls_back(&t, json!({ "do_not_disturb": true })).await;
        }),
        row("help: whoever calls back reaches the phone past its forward", BACK, async |t| {
            calls_back(&t, json!({ "forward_always": "1001" })).await;
            assert!(t.phone(1).rang().is_none());
        }),
        row("help: the carrier meant for it is tried first, and after 603 the other one", TWO, async |t| {
            help_after(t, 603).await;
        }),
        row("help: whoever calls back reaches the phone past blocked callers", BACK, async |t| {
            t.settings(json!({ "routing": { "blocked_callers": ["49"] } })).await;
            calls_back(&t, json!({ "blocked_callers": ["4930112"] })).await;
        }),
        row(
            "help: the carrier meant for it says nothing, and the other one takes the call",
            TWO.carriers_with(2, || json!({ "progress_seconds": 3 })),
            async |t| {
                let host = format!("127.0.0.1:{}", t.carrier(1).port());
                let config =
                    json!({ "host": host, "number_format": "digits", "emergency": true, "progress_seconds": 3 });
                t.patch_carrier(1, json!({ "config": config })).await;
                t.carrier(1).goes_silent();
                let call = t.phone(0).calls("112");
                let taken = t.carrier(0).rings().await.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
            },
        ),
        row(
            "help: the desk that calls back is transferred to a colleague",
            Needs::phones(2).agents(1).carriers(1),
            async |t| {
                let (back, rings) = called_back(&t, json!({ "do_not_disturb": true })).await;
                assert_eq!(rings.refers("1001").await, 202);
                let third = t.phone(1).rings().await.answers().await;
                t.talk((&back, t.carrier(0)), (&third, t.phone(1))).await;
            },
        ),
        row("help: without a call for help, do not disturb counts for calls from outside", BACK, async |t| {
            t.handle(0, json!({ "do_not_disturb": true })).await;
            assert_eq!(t.comes_in(DESK, t.number(0), &[]).ended().await, End { status: 486, cause: Some(17) });
            assert!(t.phone(0).rang().is_none());
        }),
    ]
}

/// The dearer carrier is meant for emergency calls. It fails, and the other one takes the call.
async fn help_after(t: Table, status: u16) {
    let host = format!("127.0.0.1:{}", t.carrier(1).port());
    t.patch_carrier(1, json!({ "config": { "host": host, "number_format": "digits", "emergency": true } })).await;
    let call = t.phone(0).calls("112");
    t.carrier(1).rings().await.declines(status).await;
    let taken = t.carrier(0).rings().await.answers().await;
    call.answered().await;
    t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
}

async fn calls_back(t: &Table, calls: serde_json::Value) {
    let _calls = called_back(t, calls).await;
}

/// The phone calls for help, and does not want calls then. Returns the desk's call and the phone's.
async fn called_back(t: &Table, calls: serde_json::Value) -> (Call, Call) {
    let call = t.phone(0).calls("112");
    let taken = t.carrier(0).rings().await.answers().await;
    call.answered().await;
    call.hangs_up().await;
    taken.ended().await;
    t.handle(0, calls).await;
    // That they called is written down beside the call, and may be a moment later than this.
    let since = Instant::now();
    let (back, rings) = loop {
        let back = t.comes_in(DESK, t.number(0), &[]);
        tokio::select! {
            rings = t.phone(0).rings() => break (back, rings.answers().await),
            end = back.ended() => assert!(since.elapsed() < Duration::from_secs(20), "the desk's call is refused: {end:?}"),
        }
    };
    back.answered().await;
    t.talk((&back, t.carrier(0)), (&rings, t.phone(0))).await;
    (back, rings)
}
