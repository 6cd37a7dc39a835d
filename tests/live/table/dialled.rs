//! Numbers as people dial them, and as carriers write them.

use serde_json::json;

use super::{Needs, Row, Table, row};

const OUT: Needs = Needs::phones(1).agents(1).carriers(1);
const EVE: &str = "\"Eve\" <sip:+4915112345678@carrier.test>";

pub fn rows() -> Vec<Row> {
    vec![
        row("dialled: a number of the tenant's area, without its area code", OUT, async |t| {
            t.settings(json!({ "routing": { "outbound": { "area_code": "030" } } })).await;
            reaches(&t, &t.outside()[5..]).await;
        }),
        row("dialled: the area of the extension counts before the tenant's", OUT, async |t| {
            t.settings(json!({ "routing": { "outbound": { "area_code": "089" } } })).await;
            t.handle(0, json!({ "area_code": "030" })).await;
            reaches(&t, &t.outside()[5..]).await;
        }),
        row("dialled: with digits for an outside line", OUT, async |t| {
            t.settings(json!({ "routing": { "outbound": { "prefix": "0" } } })).await;
            reaches(&t, &format!("00{}", &t.outside()[3..])).await;
            reaches(&t, &format!("000{}", &t.outside()[1..])).await;
        }),
        row("dialled: a number outside without the digits for an outside line is nobody's", OUT, async |t| {
            t.settings(json!({ "routing": { "outbound": { "prefix": "9" } } })).await;
            let call = t.phone(0).calls(&format!("0{}", &t.outside()[3..]));
            assert_eq!(call.ended().await.cause, Some(1));
            assert!(t.carrier(0).rang().is_none());
        }),
        row("dialled: a short number of the country's services goes out and costs what it costs", OUT, async |t| {
            t.rates(0, "49116117,0.02\n49115,0.03\n").await;
            for (dialled, called, cost) in [("116117", "49116117", 20_000), ("115", "49115", 30_000)] {
                costs(&t, dialled, called, cost).await;
            }
        }),
        row(
            "dialled: a service that costs extra goes out if its prefix is allowed, and costs what it costs",
            OUT,
            async |t| {
                t.rates(0, "49118,1.99\n49900,1.5\n").await;
                t.settings(json!({ "routing": { "outbound": { "allowed_prefixes": ["49118", "49900"] } } })).await;
                costs(&t, "11833", "4911833", 1_990_000).await;
                costs(&t, "09001234567", "499001234567", 1_500_000).await;
            },
        ),
        row("dialled: a number that costs nothing", OUT, async |t| {
            t.rates(0, "49800,0\n").await;
            costs(&t, "08001234567", "498001234567", 0).await;
        }),
        row("dialled: a premium number is barred", OUT, async |t| {
            t.rates(0, "49900,1.5\n").await;
            assert_eq!(t.phone(0).calls("09001234567").ended().await.status, 403);
            let record = t.outbound(|record| record["admitted"] == false).await;
            assert_eq!(record["reason"], "premium_number", "{record}");
            assert!(t.carrier(0).rang().is_none());
        }),
        row("dialled: a service that costs extra is barred", OUT, async |t| {
            t.rates(0, "49118,0.02\n").await;
            let call = t.phone(0).calls("11833");
            assert_eq!(call.ended().await.status, 403);
            let record = t.outbound(|record| record["admitted"] == false).await;
            assert_eq!(record["reason"], "premium_number", "{record}");
        }),
        row("dialled: a speed dial", OUT, async |t| {
            t.settings(json!({ "routing": { "speed_dials": { "07": t.outside() } } })).await;
            reaches(&t, "*007").await;
        }),
        row(
            "dialled: a number of another agent is reached without a carrier",
            Needs::phones(2).agents(2).carriers(1),
            async |t| {
                let call = t.phone(0).calls(t.number(1));
                let rings = t.phone(1).rings().await;
                assert_eq!(rings.invite().from().number, t.number(0));
                let rings = rings.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
                assert!(t.carrier(0).rang().is_none());
            },
        ),
        row(
            "from outside: a carrier that writes national numbers",
            OUT.carriers_with(1, || json!({ "inbound": { "format": "national", "country": "DE" } })),
            async |t| {
                let _call = t.comes_in("<sip:015112345678@carrier.test>", &format!("0{}", &t.number(0)[3..]), &[]);
                let rings = t.phone(0).rings().await;
                assert!(rings.invite().from().number.ends_with("15112345678"), "{:?}", rings.invite().from());
            },
        ),
        row("from outside: a blocked caller is refused in whatever form the number is written", OUT, async |t| {
            for rule in ["015112345678", "4915112345678", "004915112345678"] {
                t.settings(json!({ "routing": { "blocked_callers": [rule] } })).await;
                for from in ["+4915112345678", "4915112345678", "004915112345678"] {
                    let call = t.comes_in(&format!("<sip:{from}@carrier.test>"), t.number(0), &[]);
                    assert_ne!(call.ended().await.status, 200, "{rule} {from}");
                }
            }
            assert!(t.phone(0).rang().is_none());
        }),
        row("a colleague whose number is blocked is refused", Needs::phones(3), async |t| {
            t.settings(json!({ "routing": { "blocked_callers": ["1000"] } })).await;
            assert_ne!(t.phone(0).calls("1001").ended().await.status, 200);
            let call = t.phone(2).calls("1001");
            let _rings = t.phone(1).rings().await.answers().await;
            call.answered().await;
            assert!(t.phone(1).rang().is_none());
        }),
        row("from outside: an extension's own blocked callers are refused", OUT, async |t| {
            t.handle(0, json!({ "blocked_callers": ["4915112345678"] })).await;
            let call = t.comes_in(EVE, t.number(0), &[]);
            assert_ne!(call.ended().await.status, 200);
            t.handle(0, json!({})).await;
            let _call = t.comes_in(EVE, t.number(0), &[]);
            let _rings = t.phone(0).rings().await;
            assert!(t.phone(0).rang().is_none());
        }),
    ]
}

/// The carrier gets the row's number outside.
async fn reaches(t: &Table, dialled: &str) {
    let call = t.phone(0).calls(dialled);
    let taken = t.carrier(0).rings().await;
    assert_eq!(taken.invite().called(), t.outside().trim_start_matches('+'), "{dialled}");
    let taken = taken.answers().await;
    call.answered().await;
    call.hangs_up().await;
    taken.ended().await;
}

/// The carrier gets this number, and the call costs this, in millionths.
async fn costs(t: &Table, dialled: &str, called: &str, cost: i64) {
    let call = t.phone(0).calls(dialled);
    let taken = t.carrier(0).rings().await;
    assert_eq!(taken.invite().called(), called, "{dialled}");
    let taken = taken.answers().await;
    call.answered().await;
    t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
    call.hangs_up().await;
    taken.ended().await;
    let is_it = |record: &serde_json::Value| record["cost"].is_i64() && record["callee"].to_string().contains(called);
    let record = t.outbound(is_it).await;
    assert_eq!(record["cost"], cost, "{record}");
}
