//! The rows, by subject.

use serde_json::{Value, json};

use super::{Case, Needs, Row, row};

const ONE: Needs = Needs(1, 1, 1);
const EVE: &str = "+4915112345678";

pub fn rows() -> Vec<Case> {
    [inside(), groups(), turns(), destinations(), outside(), causes(), forwards(), withheld(), transfers(), further()]
        .into_iter()
        .flatten()
        .collect()
}

fn inside() -> Vec<Case> {
    vec![
        row("a call is answered, and the callee hangs up", Needs(2, 0, 0), async |t| {
            assert_eq!(t.dials(0, "1001").await, ["rings 1001"]);
        }),
        row("a phone that declines is busy to its caller", Needs(2, 0, 0), async |t| {
            let busy = t.dials_while(0, "1001", &[("1001", "USER_BUSY")]).await;
            assert_eq!(busy, ["rings 1001", "ends USER_BUSY"]);
        }),
        row("a number that nobody has is unallocated", Needs(1, 0, 0), async |t| {
            assert_eq!(t.dials(0, "1777").await.last().unwrap(), "ends UNALLOCATED_NUMBER");
        }),
        row("a phone that is not registered is unavailable", Needs(2, 0, 0), async |t| {
            let gone = t.dials_while(0, "1001", &[("1001", "USER_NOT_REGISTERED")]).await;
            assert_eq!(gone, ["rings 1001", "ends USER_NOT_REGISTERED"]);
        }),
        row("nobody answers: the phone stops ringing and the caller is told", Needs(2, 0, 0), async |t| {
            let way = t.dials_while(0, "1001", &[("1001", "NO_ANSWER")]).await;
            assert_eq!(way, ["rings 1001", "ends NO_ANSWER"]);
        }),
        row("do not disturb is busy, and the phone does not ring", Needs(2, 0, 0), async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            assert_eq!(t.dials(0, "1001").await.last().unwrap(), "ends USER_BUSY");
            t.handle(1, json!({})).await;
            assert_eq!(t.dials(0, "1001").await, ["rings 1001"]);
        }),
        row("do not disturb by code", Needs(2, 0, 0), async |t| {
            t.dials(1, "*78").await;
            assert_eq!(t.dials(0, "1001").await.last().unwrap(), "ends USER_BUSY");
            t.dials(1, "*79").await;
            assert_eq!(t.dials(0, "1001").await, ["rings 1001"]);
        }),
        row("a call to one's own echo is heard", Needs(1, 0, 0), async |t| {
            assert_eq!(t.dials(0, "9196").await, ["hears itself"]);
        }),
        row("all calls are forwarded, and only the new phone rings", Needs(3, 0, 0), async |t| {
            t.handle(1, json!({ "forward_always": "1002" })).await;
            assert_eq!(t.dials(0, "1001").await, ["rings 1002"]);
        }),
        row("a busy phone's call is forwarded", Needs(3, 0, 0), async |t| {
            t.handle(1, json!({ "forward_busy": "1002" })).await;
            let busy = t.dials_while(0, "1001", &[("1001", "USER_BUSY")]).await;
            assert_eq!(busy, ["rings 1001", "rings 1002"]);
            let unanswered = t.dials_while(0, "1001", &[("1001", "NO_ANSWER")]).await;
            assert_eq!(unanswered[0], "rings 1001");
            assert!(unanswered[1].starts_with("ends "), "{unanswered:?}");
        }),
        row("a call that nobody takes is forwarded", Needs(3, 0, 0), async |t| {
            t.handle(1, json!({ "forward_no_answer": "1002" })).await;
            let way = t.dials_while(0, "1001", &[("1001", "NO_ANSWER")]).await;
            assert_eq!(way, ["rings 1001", "rings 1002"]);
        }),
        row("a call to a phone that is gone is forwarded", Needs(3, 0, 0), async |t| {
            t.handle(1, json!({ "forward_not_registered": "1002" })).await;
            let way = t.dials_while(0, "1001", &[("1001", "USER_NOT_REGISTERED")]).await;
            assert_eq!(way, ["rings 1001", "rings 1002"]);
        }),
        row(
            "the caller of an extension with a mailbox may leave a message when nobody answers",
            Needs(2, 0, 0),
            async |t| {
                t.patch(1, json!({ "voicemail_enabled": true })).await;
                let way = t.dials_while(0, "1001", &[("1001", "NO_ANSWER")]).await;
                assert_eq!(way, ["rings 1001", "leaves a message for 1001"]);
            },
        ),
        row("voicemail: on do not disturb, callers are led to the mailbox", Needs(2, 0, 0), async |t| {
            t.patch(1, json!({ "voicemail_enabled": true })).await;
            t.handle(1, json!({ "do_not_disturb": true })).await;
            assert_eq!(t.dials(0, "1001").await, ["leaves a message for 1001"]);
        }),
        row(
            "voicemail: the forward's target is busy, and the message is for who forwarded",
            Needs(3, 0, 0),
            async |t| {
                t.patch(1, json!({ "voicemail_enabled": true })).await;
                t.handle(1, json!({ "forward_always": "1002" })).await;
                let way = t.dials_while(0, "1001", &[("1002", "USER_BUSY")]).await;
                assert_eq!(way, ["rings 1002", "leaves a message for 1001"]);
            },
        ),
        row("voicemail: the mailbox of a colleague is reached by its code", Needs(2, 0, 0), async |t| {
            t.patch(1, json!({ "voicemail_enabled": true })).await;
            assert_eq!(t.dials(0, "*981001").await, ["opens 1001"]);
        }),
        row("voicemail: without one, a busy phone is busy", Needs(2, 0, 0), async |t| {
            let way = t.dials_while(0, "1001", &[("1001", "USER_BUSY")]).await;
            assert_eq!(way.last().unwrap(), "ends USER_BUSY");
        }),
        row("an intercom call answers by itself", Needs(2, 0, 0), async |t| {
            assert_eq!(t.dials(0, "*801001").await, ["rings 1001"]);
        }),
        row("an intercom call to who is not to be disturbed is busy", Needs(2, 0, 0), async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            assert_eq!(t.dials(0, "*801001").await.last().unwrap(), "ends USER_BUSY");
        }),
        row("a colleague picks up a call that rings", Needs(3, 0, 0), async |t| {
            t.handle(1, json!({ "pickup": true })).await;
            assert_eq!(t.dials(2, "*81001").await, ["picks up 1001", "ends NO_PICKUP"]);
        }),
        row("parked in any slot, and fetched by another phone", Needs(1, 0, 0), async |t| {
            assert_eq!(t.dials(0, "*68").await, ["slot auto in 1 99"]);
            assert_eq!(t.dials(0, "*681").await, ["slot 1"]);
        }),
        row("parked in a slot that was named: 7 and 07 are the same", Needs(1, 0, 0), async |t| {
            assert_eq!([t.dials(0, "*687").await, t.dials(0, "*6807").await], [["slot 7"], ["slot 7"]]);
        }),
        row("the key of one's own do not disturb switches it on and off", Needs(2, 0, 0), async |t| {
            t.dials(1, "dnd-1001").await;
            assert_eq!(t.dials(0, "1001").await.last().unwrap(), "ends USER_BUSY");
            t.dials(1, "dnd-1001").await;
            assert_eq!(t.dials(0, "dnd-1001").await, ["rings 1001"]);
        }),
        row("a lamp shows that a colleague forwards all calls", Needs(2, 0, 0), async |t| {
            t.dials(1, "*721000").await;
            assert_eq!(t.dials(0, "1001").await, ["rings 1000"]);
            t.dials(1, "forward-1001").await;
            assert_eq!(t.dials(0, "1001").await, ["rings 1001"]);
            // Where to, the key does not say.
            assert_eq!(t.dials(1, "forward-1001").await.last().unwrap(), "ends UNALLOCATED_NUMBER");
        }),
        row("a renumbered phone rings by its new number only", Needs(2, 0, 0), async |t| {
            t.patch(1, json!({ "number": "1055" })).await;
            assert_eq!(t.dials(0, "1055").await, ["rings 1001"], "by its SIP username");
            assert_eq!(t.dials(0, "1001").await.last().unwrap(), "ends UNALLOCATED_NUMBER");
        }),
        row("a colleague whose number is blocked is refused", Needs(3, 0, 0), async |t| {
            t.routing(json!({ "blocked_callers": ["1000"] })).await;
            assert_eq!(t.dials(0, "1001").await.last().unwrap(), "ends CALL_REJECTED");
            assert_eq!(t.dials(2, "1001").await, ["rings 1001"]);
        }),
    ]
}

fn groups() -> Vec<Case> {
    vec![
        row("a group rings all, and whoever answers has the call", Needs(4, 0, 0), async |t| {
            t.group("600", &[1, 2, 3], json!({})).await;
            assert_eq!(t.dials(0, "600").await, ["rings 1001 1002 1003"]);
        }),
        row("in order: after one who declines, the next rings", Needs(3, 0, 0), async |t| {
            t.group("600", &[1, 2], json!({ "strategy": "in_order" })).await;
            let way = t.dials_while(0, "600", &[("1001", "USER_BUSY")]).await;
            assert_eq!(way, ["rings 1001", "rings 1002"]);
        }),
        row("in order: who is not registered is passed over", Needs(3, 0, 0), async |t| {
            t.group("600", &[1, 2], json!({ "strategy": "in_order" })).await;
            let way = t.dials_while(0, "600", &[("1001", "USER_NOT_REGISTERED")]).await;
            assert_eq!(way, ["rings 1001", "rings 1002"]);
        }),
        row("random: one after the other, each once", Needs(3, 0, 0), async |t| {
            t.group("600", &[1, 2], json!({ "strategy": "random" })).await;
            let nobody = [("1001", "USER_BUSY"), ("1002", "USER_BUSY")];
            let mut way = t.dials_while(0, "600", &nobody).await;
            assert_eq!(way.pop().unwrap(), "ends USER_BUSY");
            way.sort();
            assert_eq!(way, ["rings 1001", "rings 1002"]);
        }),
        row("a member's forward is followed if the group says so", Needs(3, 0, 0), async |t| {
            t.handle(1, json!({ "forward_always": "1002" })).await;
            t.group("600", &[1], json!({ "follow_forwards": true })).await;
            assert_eq!(t.dials(0, "600").await, ["rings 1002"]);
        }),
        row("a member's forward is not followed otherwise: their own phone rings", Needs(3, 0, 0), async |t| {
            t.handle(1, json!({ "forward_always": "1002" })).await;
            t.group("600", &[1], json!({})).await;
            assert_eq!(t.dials(0, "600").await, ["rings 1001"]);
        }),
        row("a group rings all but who is not to be disturbed", Needs(3, 0, 0), async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            t.group("600", &[1, 2], json!({})).await;
            assert_eq!(t.dials(0, "600").await, ["rings 1002"]);
        }),
        row("a group in which nobody answers leads on, and all stop ringing", Needs(4, 0, 0), async |t| {
            t.group("600", &[1, 2], json!({ "otherwise": t.target(3) })).await;
            let nobody = [("1001", "NO_ANSWER"), ("1002", "NO_ANSWER")];
            assert_eq!(t.dials_while(0, "600", &nobody).await, ["rings 1001 1002", "rings 1003"]);
        }),
        row("a group whose phones all decline ends, although its calls may be picked up", Needs(3, 0, 0), async |t| {
            t.group("600", &[1, 2], json!({ "pickup": true })).await;
            let nobody = [("1001", "USER_BUSY"), ("1002", "USER_BUSY")];
            assert_eq!(t.dials_while(0, "600", &nobody).await, ["rings 1001 1002", "ends USER_BUSY"]);
        }),
        row("who is in no group picks up none of its calls", Needs(4, 0, 0), async |t| {
            t.group("600", &[1], json!({ "pickup": true })).await;
            assert_eq!(t.dials(2, "*8").await, ["ends NO_PICKUP"]);
            assert_eq!(t.dials(1, "*8").await.len(), 2);
        }),
        row("a call to a colleague of the group is picked up by the same code", Needs(3, 0, 0), async |t| {
            t.handle(1, json!({ "pickup": true })).await;
            t.group("600", &[1, 2], json!({})).await;
            assert_eq!(t.dials(2, "*8").await, ["picks up 1001", "ends NO_PICKUP"]);
        }),
    ]
}

fn destinations() -> Vec<Case> {
    vec![
        row("queue: an agent answers, and both hear each other", Needs(2, 0, 0), async |t| {
            t.destination("500", "queue", json!({ "tiers": [{ "extension_id": t.id(1) }] })).await;
            assert_eq!(t.dials(0, "500").await, ["waits in a queue"]);
        }),
        row("a digit in a menu leads where it says", Needs(2, 0, 0), async |t| {
            let menu = json!({ "greeting": { "file": "digits/1.wav" }, "entries": { "1": t.target(1) } });
            t.destination("710", "ivr", menu).await;
            assert_eq!(t.dials(0, "710").await, ["hears a menu"]);
        }),
        row("an announcement is heard, and leads on", Needs(2, 0, 0), async |t| {
            let config = json!({ "prompt": { "file": "digits/1.wav" }, "then": t.target(1) });
            t.destination("720", "announcement", config).await;
            assert_eq!(t.dials(0, "720").await, ["hears something", "rings 1001"]);
        }),
        row("a holiday leads elsewhere", Needs(3, 0, 0), async |t| {
            let dates = json!([{ "from": "2020-01-01", "to": "2099-12-31", "target": t.target(2) }]);
            let config = json!({ "dates": dates, "open": t.target(1), "closed": t.target(1) });
            t.destination("730", "schedule", config).await;
            assert_eq!(t.dials(0, "730").await, ["rings 1002"]);
        }),
        row("three in a conference hear each other", Needs(1, 0, 0), async |t| {
            t.destination("700", "conference", json!({})).await;
            assert_eq!(t.dials(0, "700").await, ["is in a conference"]);
        }),
        row("voicemail: a destination's mailbox takes messages", Needs(1, 0, 0), async |t| {
            let id = t.destination("740", "mailbox", json!({})).await["id"].as_str().unwrap().replace('-', "");
            assert_eq!(t.dials(0, "740").await, [format!("leaves a message for {id}")]);
        }),
        row("a page leaves out who is not to be disturbed", Needs(3, 0, 0), async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            t.destination("750", "page", json!({ "members": [t.id(1), t.id(2)] })).await;
            assert_eq!(t.dials(0, "750").await, ["pages 1002 as 1000 <1000>"]);
        }),
        row("withheld, and to a page: no phone gets a trace", Needs(2, 0, 0), async |t| {
            t.destination("750", "page", json!({ "members": [t.id(1)] })).await;
            assert_eq!(t.dials(0, "*31750").await, ["pages 1001 as nobody"]);
        }),
        row("connected: whoever is paged from outside sees the caller", ONE, async |t| {
            let page = t.destination("750", "page", json!({ "members": [t.id(0)] })).await;
            let all =
                t.stage.node.api("GET", &format!("/v1/phone-numbers?tenant_id={}", t.tenant), Value::Null).await.json();
            let path = format!("/v1/phone-numbers/{}?tenant_id={}", all["items"][0]["id"].as_str().unwrap(), t.tenant);
            t.make("PATCH", &path, json!({ "destination": { "kind": "page", "id": page["id"] } })).await;
            let way = t.comes_in("+4915112345678", &t.numbers[0]).await;
            assert_eq!(way, ["pages 1000 as +4915112345678 <+4915112345678>"]);
        }),
    ]
}

fn outside() -> Vec<Case> {
    vec![
        row("a call out shows the agent's number, is heard, recorded and charged", ONE, async |t| {
            let called = format!("calls {} by carrier 0 as {}", &t.outside()[1..], t.numbers[0]);
            assert_eq!(t.dials(0, &t.outside()).await, [called]);
        }),
        row("a number can be dialled as 00 and in national form", ONE, async |t| {
            for form in [format!("00{}", &t.outside()[1..]), format!("0{}", &t.outside()[3..])] {
                let way = t.dials(0, &form).await;
                assert!(way[0].starts_with(&format!("calls {} ", &t.outside()[1..])), "{way:?}");
            }
        }),
        row("503: the next carrier takes the call", Needs(1, 1, 2), async |t| {
            let way = t.dials_while(0, &t.outside(), &[("carrier 0", "NORMAL_TEMPORARY_FAILURE")]).await;
            assert!(way.len() == 2 && way[1].contains("by carrier 1"), "{way:?}");
        }),
        row("486 is the called party's answer", Needs(1, 1, 2), async |t| {
            let way = t.dials_while(0, &t.outside(), &[("carrier 0", "USER_BUSY")]).await;
            assert!(way.len() == 2 && way[1] == "ends USER_BUSY", "{way:?}");
        }),
        row("404 is the called party's answer", Needs(1, 1, 2), async |t| {
            let way = t.dials_while(0, &t.outside(), &[("carrier 0", "UNALLOCATED_NUMBER")]).await;
            assert!(way.len() == 2 && way[1] == "ends UNALLOCATED_NUMBER", "{way:?}");
        }),
        row("a country that may not be called is refused after a tone, and no carrier rings", ONE, async |t| {
            t.routing(json!({ "outbound": { "blocked_prefixes": ["49"] } })).await;
            let way = t.dials(0, &t.outside()).await;
            assert_eq!(way[0], "hears something");
            assert!(way[1].starts_with("ends "), "{way:?}");
        }),
        row("a phone without an agent calls nobody outside", Needs(2, 1, 1), async |t| {
            assert!(t.dials(1, &t.outside()).await.iter().all(|step| !step.starts_with("calls ")));
        }),
        row("a call from outside rings the number's phone and shows who calls", ONE, async |t| {
            assert_eq!(t.comes_in(EVE, &t.numbers[0]).await, ["rings 1000"]);
        }),
        row("a number of ours may come without + and with 00", ONE, async |t| {
            for number in [t.numbers[0][1..].to_owned(), format!("00{}", &t.numbers[0][1..])] {
                assert_eq!(t.comes_in(EVE, &number).await, ["rings 1000"], "{number}");
            }
        }),
        row("a number that is not ours is refused", ONE, async |t| {
            assert_eq!(t.comes_in(EVE, "+4930999999999").await.last().unwrap(), "ends UNALLOCATED_NUMBER");
        }),
        row("a forward to outside is charged to whoever forwards", Needs(2, 2, 1), async |t| {
            t.handle(1, json!({ "forward_always": t.outside() })).await;
            let called = format!("calls {} by carrier 0 as {}", &t.outside()[1..], t.numbers[1]);
            assert_eq!(t.dials(0, "1001").await, [called]);
        }),
        row("dialled: a number of the tenant's area, without its area code", ONE, async |t| {
            t.routing(json!({ "outbound": { "area_code": "030" } })).await;
            let way = t.dials(0, &t.outside()[5..]).await;
            assert!(way[0].starts_with(&format!("calls {} ", &t.outside()[1..])), "{way:?}");
        }),
        row("dialled: the area of the extension counts before the tenant's", ONE, async |t| {
            t.routing(json!({ "outbound": { "area_code": "089" } })).await;
            t.handle(0, json!({ "area_code": "030" })).await;
            let way = t.dials(0, &t.outside()[5..]).await;
            assert!(way[0].starts_with(&format!("calls {} ", &t.outside()[1..])), "{way:?}");
        }),
        row("dialled: with digits for an outside line", ONE, async |t| {
            t.routing(json!({ "outbound": { "prefix": "0" } })).await;
            for form in [format!("00{}", &t.outside()[3..]), format!("000{}", &t.outside()[1..])] {
                let way = t.dials(0, &form).await;
                assert!(way[0].starts_with(&format!("calls {} ", &t.outside()[1..])), "{form}: {way:?}");
            }
        }),
        row("dialled: a number outside without the digits for an outside line is nobody's", ONE, async |t| {
            t.routing(json!({ "outbound": { "prefix": "9" } })).await;
            let way = t.dials(0, &format!("0{}", &t.outside()[3..])).await;
            assert_eq!(way.last().unwrap(), "ends UNALLOCATED_NUMBER");
        }),
        row("dialled: a short number of the country's services goes out and costs what it costs", ONE, async |t| {
            t.rates(t.carriers[0], "49116117,0.02\n").await;
            assert!(t.dials(0, "116117").await[0].starts_with("calls 49116117 by carrier 0"));
        }),
        row("dialled: a service that costs extra is barred", ONE, async |t| {
            t.rates(t.carriers[0], "49118,0.02\n").await;
            assert!(t.dials(0, "11833").await.iter().all(|step| !step.starts_with("calls ")));
        }),
        row("dialled: a speed dial", ONE, async |t| {
            t.routing(json!({ "speed_dials": { "07": t.outside() } })).await;
            assert!(t.dials(0, "*007").await[0].starts_with(&format!("calls {} ", &t.outside()[1..])));
        }),
        row("from outside: a blocked caller is refused in whatever form the number is written", ONE, async |t| {
            for rule in ["015112345678", "4915112345678", "004915112345678"] {
                t.routing(json!({ "blocked_callers": [rule] })).await;
                for from in ["+4915112345678", "4915112345678", "004915112345678"] {
                    let way = t.comes_in(from, &t.numbers[0]).await;
                    assert_eq!(way.last().unwrap(), "ends CALL_REJECTED", "{rule} {from}");
                }
            }
        }),
        row("from outside: an extension's own blocked callers are refused", ONE, async |t| {
            t.handle(0, json!({ "blocked_callers": ["4915112345678"] })).await;
            assert_eq!(t.comes_in(EVE, &t.numbers[0]).await.last().unwrap(), "ends CALL_REJECTED");
            t.handle(0, json!({})).await;
            assert_eq!(t.comes_in(EVE, &t.numbers[0]).await, ["rings 1000"]);
        }),
        row("help: the carrier gets the number as dialled, the agent's number and the place", ONE, async |t| {
            for number in ["112", "110"] {
                let called = format!("calls {number} by carrier 0 as {}", t.numbers[0]);
                assert_eq!(t.dials(0, number).await[0], called);
            }
        }),
        row("help: the carrier meant for it is tried first, and after 486 the other one", Needs(1, 1, 2), async |t| {
            let host = format!("c1.row{}.test", t.place);
            let config = json!({ "config": { "host": host, "number_format": "digits", "emergency": true } });
            t.make("PATCH", &format!("/v1/carriers/{}", t.carriers[1]), config).await;
            let way = t.dials_while(0, "112", &[("carrier 1", "USER_BUSY")]).await;
            assert!(way[0].contains("carrier 1") && way[1].contains("carrier 0"), "{way:?}");
        }),
        row("help: no limit and no barred country stops it", ONE, async |t| {
            let outbound = json!({ "concurrent_calls": 0, "calls_per_second": 0, "spend_per_day": 0, "blocked_prefixes": ["1", "49"] });
            t.routing(json!({ "outbound": outbound })).await;
            assert!(t.dials(0, "112").await[0].starts_with("calls 112 by carrier 0"));
        }),
        row("help: a phone that is nobody's gets through with the tenant's number", Needs(1, 0, 1), async |t| {
            t.routing(json!({ "emergency": { "caller_id": "+493022000000" } })).await;
            assert_eq!(t.dials(0, "112").await[0], "calls 112 by carrier 0 as +493022000000");
        }),
        row("help: behind the digits for an outside line, too", ONE, async |t| {
            t.routing(json!({ "outbound": { "prefix": "0" } })).await;
            for number in ["112", "0112"] {
                assert!(t.dials(0, number).await[0].starts_with("calls 112 by carrier 0"), "{number}");
            }
        }),
    ]
}

fn withheld() -> Vec<Case> {
    vec![
        row("withheld by the extension: a colleague's phone gets no trace of the number", Needs(2, 0, 0), async |t| {
            t.handle(0, json!({ "withhold_number": true })).await;
            assert_eq!(t.dials(0, "1001").await, ["rings 1001 as nobody"]);
        }),
        row("withheld by *31 before a number", Needs(2, 0, 0), async |t| {
            assert_eq!(t.dials(0, "*311001").await, ["rings 1001 as nobody"]);
            assert_eq!(t.dials(0, "1001").await, ["rings 1001"]);
        }),
        row("withheld, and forwarded: the next phone gets no trace of the number either", Needs(3, 0, 0), async |t| {
            t.handle(0, json!({ "withhold_number": true })).await;
            t.handle(1, json!({ "forward_always": "1002" })).await;
            assert_eq!(t.dials(0, "1001").await, ["rings 1002 as nobody"]);
        }),
        row("withheld, and to a group: no member gets a trace of the number", Needs(3, 0, 0), async |t| {
            t.group("600", &[1, 2], json!({})).await;
            assert_eq!(t.dials(0, "*31600").await, ["rings 1001 1002 as nobody"]);
        }),
        row("withheld for a call out with *31, from a number dialled as 00", ONE, async |t| {
            let number = format!("*3100{}", &t.outside()[1..]);
            let called = format!("calls {} by carrier 0 as anonymous", &t.outside()[1..]);
            assert_eq!(t.dials(0, &number).await, [called]);
        }),
        row("withheld for a call out with *31 before a speed dial", ONE, async |t| {
            t.routing(json!({ "speed_dials": { "07": t.outside() } })).await;
            let called = format!("calls {} by carrier 0 as anonymous", &t.outside()[1..]);
            for code in ["*31", "*31*", "*31#", "#31#"] {
                assert_eq!(t.dials(0, &format!("{code}*007")).await, std::slice::from_ref(&called), "{code}");
            }
            t.handle(0, json!({ "withhold_number": true })).await;
            let called = format!("calls {} by carrier 0 as {}", &t.outside()[1..], t.numbers[0]);
            assert_eq!(t.dials(0, "*32*007").await, [called]);
        }),
        row("withheld, but an emergency call shows the number and asks for no privacy", ONE, async |t| {
            t.handle(0, json!({ "withhold_number": true })).await;
            assert_eq!(t.dials(0, "112").await[0], format!("calls 112 by carrier 0 as {}", t.numbers[0]));
        }),
    ]
}

/// A call out of whoever has this number.
fn out(t: &Row, pays: usize) -> String {
    format!("calls {} by carrier 0 as {}", &t.outside()[1..], t.numbers[pays])
}

/// Who pays for a transferred call, and where it goes if nobody takes it.
fn transfers() -> Vec<Case> {
    const TWO: Needs = Needs(2, 2, 1);
    const THREE: Needs = Needs(3, 3, 1);
    let mut rows = vec![
        row("pays: an agent who transfers a caller from outside to outside", ONE, async |t| {
            assert_eq!(t.transferred_from(EVE, 0, &t.outside(), &[]).await, [out(&t, 0)]);
        }),
        row("pays: a caller who transfers the colleague that they called", TWO, async move |t| {
            assert_eq!(t.transferred_callee(1, 0, &t.outside(), &[]).await, [out(&t, 0)]);
        }),
        row(
            "mixed: a call is transferred to a colleague who forwards to outside: the colleague pays",
            THREE,
            async move |t| {
                t.handle(2, json!({ "forward_always": t.outside() })).await;
                assert_eq!(t.transferred(0, 1, "1002", &[]).await, [out(&t, 2)]);
            },
        ),
        row("mixed: a transfer to who forwards to outside, where it is busy, comes back", THREE, async move |t| {
            t.handle(2, json!({ "forward_always": t.outside() })).await;
            let way = t.transferred(0, 1, "1002", &[("carrier 0", "USER_BUSY")]).await;
            assert_eq!(way, [out(&t, 2), "rings 1001".into()]);
        }),
        row("a blind transfer to a colleague", Needs(3, 0, 0), async |t| {
            assert_eq!(t.transferred(0, 1, "1002", &[]).await, ["rings 1002"]);
            assert_eq!(t.transferred_callee(1, 0, "1002", &[]).await, ["rings 1002"]);
        }),
        row("a transfer to a number outside that is busy comes back with the party's name", TWO, async move |t| {
            let way = t.transferred(0, 1, &t.outside(), &[("carrier 0", "USER_BUSY")]).await;
            assert_eq!(way, [out(&t, 1), "rings 1001".into()]);
        }),
        row("a transfer to a number outside that no carrier reaches comes back", TWO, async move |t| {
            let way = t.transferred(0, 1, &t.outside(), &[("carrier 0", "NORMAL_TEMPORARY_FAILURE")]).await;
            assert_eq!(way, [out(&t, 1), "rings 1001".into()]);
        }),
        row("a transfer to a group whose phones all decline comes back", Needs(4, 0, 0), async |t| {
            t.group("600", &[2, 3], json!({})).await;
            let busy = [("1002", "USER_BUSY"), ("1003", "USER_BUSY")];
            assert_eq!(t.transferred(0, 1, "600", &busy).await, ["rings 1002 1003", "rings 1001"]);
        }),
        row("a transfer to a number that nobody has comes back", Needs(2, 0, 0), async |t| {
            assert_eq!(t.transferred(0, 1, "1777", &[]).await.last().unwrap(), "rings 1001");
        }),
        row("a transfer to outside by somebody who may not call there comes back", Needs(2, 1, 1), async |t| {
            let way = t.transferred(0, 1, &t.outside(), &[]).await;
            assert!(way.last().unwrap() == "rings 1001" && !way.concat().contains("carrier"), "{way:?}");
        }),
        row(
            "a transfer of a caller from outside that nobody takes comes back, and they are not cut off",
            Needs(2, 1, 1),
            async |t| {
                let way = t.transferred_from(EVE, 0, "1001", &[("1001", "USER_BUSY")]).await;
                assert_eq!(way, ["rings 1001", "rings 1000"]);
            },
        ),
        row(
            "parked and fetched by nobody: it comes back to who parked it, with the caller's name",
            Needs(2, 0, 0),
            async |t| {
                t.handle(1, json!({ "do_not_disturb": true, "forward_always": "1000" })).await;
                assert_eq!(t.dials(0, "1001~back").await.last().unwrap(), "rings 1001", "their own call");
            },
        ),
    ];
    // Whoever had the call last, however it came to them.
    for name in [
        "pays: a group's member who transfers the caller",
        "pays: whoever picked a call up and transfers the caller",
        "pays: whoever fetched a call from its slot and transfers the caller",
        "pays: a queue's agent who transfers the caller",
    ] {
        rows.push(row(name, TWO, async move |t| {
            assert_eq!(t.transferred(0, 1, &t.outside(), &[]).await, [out(&t, 1)]);
        }));
    }
    for (name, cause) in [
        ("a transfer to somebody who does not answer comes back with the party's name", "NO_ANSWER"),
        ("a transfer to somebody who declines comes back", "CALL_REJECTED"),
    ] {
        rows.push(row(name, Needs(3, 0, 0), async move |t| {
            assert_eq!(t.transferred(0, 1, "1002", &[("1002", cause)]).await, ["rings 1002", "rings 1001"]);
        }));
    }
    rows
}

/// Groups whose members are rung one after the other, whoever begins.
fn turns() -> Vec<Case> {
    let strategies = [("in order", "in_order"), ("round robin", "round_robin"), ("random", "random")];
    let name = |of: &str, rest: &str| &*Box::leak(format!("{of}: {rest}").into_boxed_str());
    let mut rows = Vec::new();
    for (word, strategy) in strategies {
        rows.push(row(name(word, "who is not to be disturbed is passed over"), Needs(3, 0, 0), async move |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            t.group("600", &[1, 2], json!({ "strategy": strategy })).await;
            for _ in 0..2 {
                assert_eq!(t.dials(0, "600").await, ["rings 1002"]);
            }
        }));
        rows.push(row(
            name(word, "nobody answers, everybody rang, and the call goes on"),
            Needs(4, 0, 0),
            async move |t| {
                t.group("600", &[1, 2], json!({ "strategy": strategy, "otherwise": t.target(3) })).await;
                let nobody = [("1001", "NO_ANSWER"), ("1002", "NO_ANSWER")];
                let mut way = t.dials_while(0, "600", &nobody).await;
                way[..2].sort();
                assert_eq!(way, ["rings 1001", "rings 1002", "rings 1003"]);
            },
        ));
    }
    for (word, strategy) in strategies.into_iter().skip(1) {
        rows.push(row(name(word, "who is not registered is passed over"), Needs(3, 0, 0), async move |t| {
            t.group("600", &[1, 2], json!({ "strategy": strategy })).await;
            let way = t.dials_while(0, "600", &[("1001", "USER_NOT_REGISTERED")]).await;
            assert_eq!(way.last().unwrap(), "rings 1002");
        }));
        rows.push(row(
            name(word, "who does not answer rings for their time, then the other"),
            Needs(3, 0, 0),
            async move |t| {
                t.group("600", &[1, 2], json!({ "strategy": strategy })).await;
                let mut way = t.dials_while(0, "600", &[("1001", "NO_ANSWER"), ("1002", "NO_ANSWER")]).await;
                assert_eq!(way.pop().unwrap(), "ends NO_ANSWER");
                way.sort();
                assert_eq!(way, ["rings 1001", "rings 1002"]);
            },
        ));
    }
    rows.push(row("in order: who does not answer rings for their time, then the next", Needs(3, 0, 0), async |t| {
        t.group("600", &[1, 2], json!({ "strategy": "in_order" })).await;
        assert_eq!(t.dials_while(0, "600", &[("1001", "NO_ANSWER")]).await, ["rings 1001", "rings 1002"]);
    }));
    rows.push(row(
        "round robin: the next call begins with the next member, and goes on with the other",
        Needs(3, 0, 0),
        async |t| {
            t.group("600", &[1, 2], json!({ "strategy": "round_robin" })).await;
            let mut first = Vec::new();
            for _ in 0..2 {
                first.push(t.dials(0, "600").await.remove(0));
            }
            first.sort();
            assert_eq!(first, ["rings 1001", "rings 1002"]);
        },
    ));
    rows.push(row(
        "in order: a member's forward is followed, and if nobody takes it there, the next member rings",
        Needs(4, 0, 0),
        async |t| {
            t.handle(1, json!({ "forward_always": "1003" })).await;
            t.group("600", &[1, 2], json!({ "strategy": "in_order", "follow_forwards": true })).await;
            let way = t.dials_while(0, "600", &[("1003", "NO_ANSWER")]).await;
            assert_eq!(way, ["rings 1003", "ends NO_ANSWER", "rings 1002"]);
        },
    ));
    rows.push(row("a call of a group that does not say so is not picked up", Needs(3, 0, 0), async |t| {
        t.group("600", &[1, 2], json!({})).await;
        assert_eq!(t.dials(2, "*8").await, ["ends NO_PICKUP"]);
    }));
    rows.push(row("a member who is not to be disturbed picks up a call of the group", Needs(3, 0, 0), async |t| {
        t.handle(2, json!({ "do_not_disturb": true })).await;
        t.group("600", &[1, 2], json!({ "pickup": true })).await;
        let way = t.dials(2, "*8").await;
        assert!(way[0].starts_with("picks up group+"), "{way:?}");
    }));
    rows
}

/// What carriers answer, as a switch says it (`sofia_glue_sip_cause_to_freeswitch` in sofia_glue.c).
fn causes() -> Vec<Case> {
    let mut rows = Vec::new();
    for (name, cause) in [
        ("500: the next carrier takes the call", "NORMAL_TEMPORARY_FAILURE"),
        ("502: the next carrier takes the call", "NETWORK_OUT_OF_ORDER"),
        ("504: the next carrier takes the call", "RECOVERY_ON_TIMER_EXPIRE"),
        ("408: the next carrier takes the call", "RECOVERY_ON_TIMER_EXPIRE"),
        ("silence: the next carrier takes the call", "PROGRESS_TIMEOUT"),
    ] {
        rows.push(row(name, Needs(1, 1, 2), async move |t| {
            let way = t.dials_while(0, &t.outside(), &[("carrier 0", cause)]).await;
            assert!(way.len() == 2 && way[1].contains("by carrier 1"), "{way:?}");
        }));
    }
    for (name, cause) in [
        ("603 is the called party's answer", "CALL_REJECTED"),
        ("480 is the called party's answer", "NO_USER_RESPONSE"),
        ("403 is the called party's answer", "CALL_REJECTED"),
        ("488 is the called party's answer", "INCOMPATIBLE_DESTINATION"),
    ] {
        rows.push(row(name, Needs(1, 1, 2), async move |t| {
            let way = t.dials_while(0, &t.outside(), &[("carrier 0", cause)]).await;
            assert!(way.len() == 2 && way[1] == format!("ends {cause}"), "{way:?}");
        }));
    }
    for (name, cause) in [
        ("help: the carrier meant for it is tried first, and after 503 the other one", "NORMAL_TEMPORARY_FAILURE"),
        ("help: the carrier meant for it is tried first, and after 404 the other one", "UNALLOCATED_NUMBER"),
        ("help: the carrier meant for it is tried first, and after 603 the other one", "CALL_REJECTED"),
    ] {
        rows.push(row(name, Needs(1, 1, 2), async move |t| {
            let host = format!("c1.row{}.test", t.place);
            let config = json!({ "config": { "host": host, "number_format": "digits", "emergency": true } });
            t.make("PATCH", &format!("/v1/carriers/{}", t.carriers[1]), config).await;
            let way = t.dials_while(0, "112", &[("carrier 1", cause)]).await;
            assert!(way[0].contains("carrier 1") && way[1].contains("carrier 0"), "{way:?}");
        }));
    }
    rows
}

/// Whom forwards to outside show.
fn forwards() -> Vec<Case> {
    /// The carrier takes other numbers, the tenant wants them shown.
    async fn agreed(t: &super::Row, consents: bool, wants: bool) {
        let host = format!("c0.row{}.test", t.place);
        let config = json!({ "config": { "host": host, "number_format": "digits", "forwarded_caller": consents } });
        t.make("PATCH", &format!("/v1/carriers/{}", t.carriers[0]), config).await;
        t.routing(json!({ "outbound": { "forwards_show_caller": wants } })).await;
    }
    vec![
        row(
            "a forward to outside shows who calls if the tenant wants it and the carrier takes it",
            Needs(2, 2, 1),
            async |t| {
                agreed(&t, true, true).await;
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                let called = format!("calls {} by carrier 0 as {}", &t.outside()[1..], t.numbers[0]);
                assert_eq!(t.dials(0, "1001").await, [called]);
            },
        ),
        row(
            "a forward to outside shows who forwards if the carrier does not take other numbers",
            Needs(2, 2, 1),
            async |t| {
                agreed(&t, false, true).await;
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                let called = format!("calls {} by carrier 0 as {}", &t.outside()[1..], t.numbers[1]);
                assert_eq!(t.dials(0, "1001").await, [called]);
            },
        ),
        row(
            "a forward to outside shows who forwards if the tenant does not want another number shown",
            Needs(2, 2, 1),
            async |t| {
                agreed(&t, true, false).await;
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                let called = format!("calls {} by carrier 0 as {}", &t.outside()[1..], t.numbers[1]);
                assert_eq!(t.dials(0, "1001").await, [called]);
            },
        ),
        row("a forward to outside of a caller whose number is withheld shows nobody", Needs(2, 2, 1), async |t| {
            agreed(&t, true, true).await;
            t.handle(0, json!({ "withhold_number": true })).await;
            t.handle(1, json!({ "forward_always": t.outside() })).await;
            let called = format!("calls {} by carrier 0 as anonymous", &t.outside()[1..]);
            assert_eq!(t.dials(0, "1001").await, [called]);
        }),
        row(
            "a caller from outside who is forwarded to outside is shown there, and the forwarder pays",
            Needs(2, 2, 1),
            async |t| {
                agreed(&t, true, true).await;
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                let called = format!("calls {} by carrier 0 as {EVE}", &t.outside()[1..]);
                assert_eq!(t.comes_in(EVE, &t.numbers[1]).await, [called]);
            },
        ),
        row(
            "a caller from outside who is forwarded to outside, where the forwarder's number is shown",
            Needs(2, 2, 1),
            async |t| {
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                let called = format!("calls {} by carrier 0 as {}", &t.outside()[1..], t.numbers[1]);
                assert_eq!(t.comes_in(EVE, &t.numbers[1]).await, [called]);
            },
        ),
        row(
            "follow-me to outside shows who calls if the tenant wants it and the carrier takes it",
            Needs(2, 2, 1),
            async |t| {
                agreed(&t, true, true).await;
                t.handle(1, json!({ "follow_me": [{ "number": t.outside() }] })).await;
                let called = format!("calls {} by carrier 0 as {}", &t.outside()[1..], t.numbers[0]);
                assert_eq!(t.dials(0, "1001").await, [called, "rings 1001".into()]);
            },
        ),
        row(
            "a member's forward that a group follows to outside shows who calls if the tenant wants it and the carrier takes it",
            Needs(2, 2, 1),
            async |t| {
                agreed(&t, true, true).await;
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                t.group("600", &[1], json!({ "follow_forwards": true })).await;
                let called = format!("calls {} by carrier 0 as {}", &t.outside()[1..], t.numbers[0]);
                assert_eq!(t.dials(0, "600").await, [called]);
            },
        ),
    ]
}

fn further() -> Vec<Case> {
    vec![
        row("withheld by the extension, but shown with *32", Needs(2, 0, 0), async |t| {
            t.handle(0, json!({ "withhold_number": true })).await;
            assert_eq!(t.dials(0, "*321001").await, ["rings 1001"]);
        }),
        row("withheld for one call: the next shows the number again", Needs(2, 0, 0), async |t| {
            assert_eq!(t.dials(0, "*311001").await, ["rings 1001 as nobody"]);
            assert_eq!(t.dials(0, "1001").await, ["rings 1001"]);
        }),
        row("withheld, and by intercom: the phone gets no trace", Needs(2, 0, 0), async |t| {
            assert_eq!(t.dials(0, "#31#*801001").await, ["rings 1001 as nobody"]);
        }),
        row("withheld by the US's code", ONE, async |t| {
            t.settings(json!({ "country": "US", "features": { "international_calls": true } })).await;
            let called = format!("calls {} by carrier 0 as anonymous", &t.outside()[1..]);
            assert_eq!(t.dials(0, &format!("*6700{}", &t.outside()[1..])).await, [called]);
        }),
        row("withheld by Britain's code", ONE, async |t| {
            t.settings(json!({ "country": "GB", "features": { "international_calls": true } })).await;
            let called = format!("calls {} by carrier 0 as anonymous", &t.outside()[1..]);
            assert_eq!(t.dials(0, &format!("14100{}", &t.outside()[1..])).await, [called]);
        }),
        row("dialled: a premium number is barred", ONE, async |t| {
            t.rates(t.carriers[0], "49900,1.5\n").await;
            assert!(t.dials(0, "09001234567").await.iter().all(|step| !step.starts_with("calls ")));
        }),
        row(
            "dialled: a service that costs extra goes out if its prefix is allowed, and costs what it costs",
            ONE,
            async |t| {
                t.rates(t.carriers[0], "49118,1.99\n49900,1.5\n").await;
                t.routing(json!({ "outbound": { "allowed_prefixes": ["49118", "49900"] } })).await;
                for (dialled, called) in [("11833", "4911833"), ("09001234567", "499001234567")] {
                    let way = t.dials(0, dialled).await;
                    assert!(way[0].starts_with(&format!("calls {called} by carrier 0")), "{way:?}");
                }
            },
        ),
        row("dialled: a number that costs nothing", ONE, async |t| {
            t.rates(t.carriers[0], "49800,0\n").await;
            assert!(t.dials(0, "08001234567").await[0].starts_with("calls 498001234567 by carrier 0"));
        }),
        row(
            "mixed: withheld, and forwarded to outside: the carrier gets no trace of the caller",
            Needs(2, 1, 1),
            async |t| {
                t.handle(1, json!({ "withhold_number": true })).await;
                t.handle(0, json!({ "forward_always": t.outside() })).await;
                let called = format!("calls {} by carrier 0 as anonymous", &t.outside()[1..]);
                assert_eq!(t.dials(1, "1000").await, [called]);
            },
        ),
        row(
            "mixed: a forward when busy to a group that is busy ends in the mailbox of who forwards",
            Needs(3, 0, 0),
            async |t| {
                t.patch(1, json!({ "voicemail_enabled": true })).await;
                t.handle(1, json!({ "forward_busy": "600" })).await;
                t.group("600", &[2], json!({})).await;
                let busy = [("1001", "USER_BUSY"), ("1002", "USER_BUSY")];
                assert_eq!(
                    t.dials_while(0, "1001", &busy).await,
                    ["rings 1001", "rings 1002", "leaves a message for 1001"]
                );
            },
        ),
        row("help: without a call for help, do not disturb counts for calls from outside", ONE, async |t| {
            t.handle(0, json!({ "do_not_disturb": true })).await;
            assert_eq!(t.comes_in("+4930112", &t.numbers[0]).await.last().unwrap(), "ends USER_BUSY");
        }),
        row(
            "a deletion while something dials the number is refused, and the call still gets there",
            Needs(3, 0, 0),
            async |t| {
                t.handle(1, json!({ "forward_always": "1002" })).await;
                let path = format!("/v1/tenants/{}/extensions/{}", t.tenant, t.id(2));
                assert_eq!(t.stage.node.api("DELETE", &path, serde_json::Value::Null).await.status, 409);
                assert_eq!(t.dials(0, "1001").await, ["rings 1002"]);
            },
        ),
        row("a suspended tenant's phones call nobody, and its numbers are not answered", Needs(2, 1, 1), async |t| {
            t.make("PATCH", &format!("/v1/tenants/{}", t.tenant), json!({ "status": "suspended" })).await;
            for way in [t.dials(0, "1001").await, t.comes_in(EVE, &t.numbers[0]).await] {
                assert!(way.last().unwrap().starts_with("ends ") && !way.concat().contains("rings"), "{way:?}");
            }
        }),
    ]
}
