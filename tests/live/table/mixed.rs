//! Features that meet in one call.

use serde_json::json;

use super::{Needs, Row, parking::is_parked, row, voicemail::stays, withheld::is_hidden};
use crate::phone::End;

const THREE: Needs = Needs::phones(3);
const FOUR: Needs = Needs::phones(4);
const THREE_AGENTS: Needs = Needs::phones(3).agents(3).carriers(1);
const EVE: &str = "\"Eve\" <sip:+4915112345678@carrier.test>";

pub fn rows() -> Vec<Row> {
    vec![
        row("mixed: an agent who gets another number while a caller waits is rung all the same", THREE, async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            super::queues::idle(&t, "500", json!({})).await;
            let call = t.phone(0).calls("500");
            call.answered().await;
            t.patch_phone(1, json!({ "number": "1501" })).await;
            t.handle(1, json!({})).await;
            let rings = t.phone(1).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
            call.shows_at_last("Phone 1 <1501>").await;
        }),
        row("mixed: a member of a group who is in a call and has no call waiting is left out", FOUR, async |t| {
            t.handle(1, json!({ "busy_on_busy": true })).await;
            t.group("600", &[1, 2], json!({})).await;
            let (_own, _other) = t.connect(3, 1).await;
            let call = t.phone(0).calls("600");
            let two = t.phone(2).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&two, t.phone(2))).await;
            assert!(t.phone(1).rang().is_none());
        }),
        row(
            "mixed: without call waiting, follow-me rings the other number while the phone is in a call",
            FOUR,
            async |t| {
                t.handle(1, json!({ "busy_on_busy": true })).await;
                let (_own, _other) = t.connect(3, 1).await;
                // Only now, so that the other number has not rung for the first call.
                t.handle(1, json!({ "busy_on_busy": true, "follow_me": [{ "number": "1002" }] })).await;
                let call = t.phone(0).calls("1001");
                let two = t.phone(2).rings().await.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&two, t.phone(2))).await;
                assert!(t.phone(1).rang().is_none());
            },
        ),
        row(
            "mixed: without call waiting, a phone whose calls may be picked up is busy and rings when it is free",
            FOUR,
            async |t| {
                t.handle(1, json!({ "busy_on_busy": true, "pickup": true })).await;
                let (own, other) = t.connect(3, 1).await;
                let call = t.phone(0).calls("1001");
                assert_eq!(call.ended().await, End { status: 486, cause: Some(17) });
                assert!(t.phone(1).rang().is_none());
                own.hangs_up().await;
                other.ended().await;
                let call = t.phone(0).calls("1001");
                let rings = t.phone(1).rings().await.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
            },
        ),
        row("mixed: who is in a call without call waiting is passed over in order, too", FOUR, async |t| {
            t.handle(1, json!({ "busy_on_busy": true })).await;
            t.group("600", &[1, 2], json!({ "strategy": "in_order" })).await;
            let (_own, _other) = t.connect(3, 1).await;
            let call = t.phone(0).calls("600");
            let _two = t.phone(2).rings().await.answers().await;
            call.answered().await;
            assert!(t.phone(1).rang().is_none());
        }),
        row("mixed: withheld through a queue, and an agent's transfer shows nobody the number", THREE, async |t| {
            t.phone(0).says("Privacy: id");
            t.queue("500", &[(1, 1)], json!({})).await;
            let call = t.phone(0).calls("500");
            let agent = t.phone(1).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&agent, t.phone(1))).await;
            is_hidden(&agent, &["1000", "Phone 0"]);
            assert_eq!(agent.refers("1002").await, 202);
            let third = t.phone(2).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&third, t.phone(2))).await;
            is_hidden(&third, &["1000", "Phone 0"]);
        }),
        row("mixed: withheld and parked, it comes back without the number", THREE, async |t| {
            t.settings(json!({ "routing": { "park_seconds": 10 } })).await;
            t.phone(0).says("Privacy: id");
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("*68").await, 202);
            let back = t.phone(1).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&back, t.phone(1))).await;
            is_hidden(&back, &["1000", "Phone 0"]);
        }),
        row(
            "mixed: withheld, and forwarded to outside: the carrier gets no trace of the caller",
            OUT_OF_TWO,
            async |t| {
                t.phone(1).says("Privacy: id");
                t.handle(0, json!({ "forward_always": t.outside() })).await;
                let call = t.phone(1).calls("1000");
                let taken = t.carrier(0).rings().await.answers().await;
                t.talk((&call, t.phone(1)), (&taken, t.carrier(0))).await;
                is_hidden(&taken, &["1001", "Phone 1"]);
            },
        ),
        row(
            "mixed: a forward when busy to a group that is busy ends in the mailbox of who forwards",
            THREE,
            async |t| {
                t.patch_phone(1, json!({ "voicemail_enabled": true })).await;
                t.handle(1, json!({ "forward_busy": "600" })).await;
                t.group("600", &[2], json!({})).await;
                let call = t.phone(0).calls("1001");
                t.phone(1).rings().await.declines(486).await;
                t.phone(2).rings().await.declines(486).await;
                stays(&t, &call, 1).await;
            },
        ),
        row("mixed: a parked call is fetched by a phone with no codec in common", THREE, async |t| {
            t.phone(0).speaks(&["PCMU"]);
            t.phone(2).speaks(&["PCMA"]);
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("*68").await, 202);
            is_parked(&t, 1).await;
            let fetched = t.phone(2).calls("*681");
            fetched.answered().await;
            t.talk((&call, t.phone(0)), (&fetched, t.phone(2))).await;
        }),
        row("mixed: an attended transfer into a queue puts the caller there", THREE, async |t| {
            t.handle(2, json!({ "do_not_disturb": true })).await;
            let config = json!({ "tiers": [{ "extension_id": t.extension_id(2) }], "ring_seconds": 5 });
            let name = format!("{}.{}", t.destination("500", "queue", config).await, t.domain());
            let wanted = name.clone();
            t.until("it has the queue", move |switch| switch.api("callcenter_config queue list").contains(&wanted))
                .await;
            let (call, first) = t.connect(0, 1).await;
            first.holds().await;
            let second = t.phone(1).calls("500");
            second.answered().await;
            assert_eq!(first.refers_to_call(&second).await, 202);
            first.ended().await;
            second.ended().await;
            assert!(call.is_up());
            t.handle(2, json!({})).await;
            let agent = t.phone(2).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&agent, t.phone(2))).await;
        }),
        row("mixed: an agent gives a caller back to the queue, and another takes them", THREE, async |t| {
            t.queue("500", &[(1, 1), (2, 1)], json!({ "wrap_up_seconds": 30 })).await;
            let call = t.phone(0).calls("500");
            let (first, agent) =
                tokio::select! { one = t.phone(1).rings() => (1, one), two = t.phone(2).rings() => (2, two) };
            let agent = agent.answers().await;
            t.talk((&call, t.phone(0)), (&agent, t.phone(first))).await;
            assert_eq!(agent.refers("500").await, 202);
            agent.ended().await;
            let other = 3 - first;
            let second = t.phone(other).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&second, t.phone(other))).await;
        }),
        row("mixed: a mailbox stays with its extension when that gets another number", THREE, async |t| {
            t.patch_phone(1, json!({ "voicemail_enabled": true, "voicemail_pin": "493827" })).await;
            t.handle(1, json!({ "do_not_disturb": true })).await;
            let call = t.phone(0).calls("1001");
            stays(&t, &call, 1).await;
            t.patch_phone(1, json!({ "number": "1501" })).await;
            let listens = t.phone(1).calls("*97");
            listens.answered().await;
            let domain = t.domain().to_owned();
            let is_in = move |line: &str| line.contains(",voicemail,") && line.contains(&domain);
            t.until("it asks for the PIN", move |switch| switch.api("show channels").lines().any(&is_in)).await;
            listens.presses("493827#").await;
            listens.hears(t.phone(0)).await;
        }),
        row("mixed: an agent connects a caller from outside with somebody outside, and leaves", OUTSIDE, async |t| {
            let customer = t.comes_in(EVE, t.number(0), &[]);
            let agent = t.phone(0).rings().await.answers().await;
            customer.answered().await;
            t.talk((&customer, t.carrier(0)), (&agent, t.phone(0))).await;
            agent.holds().await;
            let asks = t.phone(0).calls(&t.outside());
            let taken = t.carrier(0).rings().await.answers().await;
            asks.answered().await;
            assert_eq!(agent.refers_to_call(&asks).await, 202);
            customer.hears(t.carrier(0)).await;
            agent.ended().await;
            asks.ended().await;
            let record = t.outbound(|record| record["admitted"] == true).await;
            assert_eq!(record["extension_id"], t.extension(0)["id"], "{record}");
            customer.hangs_up().await;
            taken.ended().await;
        }),
        row(
            "mixed: whoever was given a call gives it to somebody outside, and pays, not who gave it to them",
            THREE_AGENTS,
            async |t| {
                let (call, first) = t.connect(0, 1).await;
                assert_eq!(first.refers("1002").await, 202);
                let second = t.phone(2).rings().await.answers().await;
                t.talk((&call, t.phone(0)), (&second, t.phone(2))).await;
                assert_eq!(second.refers(&t.outside()).await, 202);
                let taken = t.carrier(0).rings().await;
                assert_eq!(taken.invite().from().number, t.number(2), "{}", taken.story());
                let taken = taken.answers().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
                let record = t.outbound(|record| record["admitted"] == true).await;
                assert_eq!(record["extension_id"], t.extension(2)["id"], "{record}");
            },
        ),
        row(
            "mixed: a call is transferred to a colleague who forwards to outside: the colleague pays",
            THREE_AGENTS,
            async |t| {
                t.handle(2, json!({ "forward_always": t.outside() })).await;
                let (call, rings) = t.connect(0, 1).await;
                assert_eq!(rings.refers("1002").await, 202);
                let taken = t.carrier(0).rings().await;
                assert_eq!(taken.invite().from().number, t.number(2), "{}", taken.story());
                let taken = taken.answers().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
                let record = t.outbound(|record| record["admitted"] == true).await;
                assert_eq!(record["extension_id"], t.extension(2)["id"], "{record}");
            },
        ),
        row("mixed: a transfer to who forwards to outside, where it is busy, comes back", THREE_AGENTS, async |t| {
            t.handle(2, json!({ "forward_always": t.outside() })).await;
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("1002").await, 202);
            t.carrier(0).rings().await.declines(486).await;
            let back = t.phone(1).rings().await;
            assert_eq!(back.invite().from().name, "Recall Phone 0", "{}", back.story());
            let back = back.answers().await;
            t.talk((&call, t.phone(0)), (&back, t.phone(1))).await;
        }),
        row(
            "mixed: withheld, and through a menu: whoever is chosen there gets no trace",
            Needs::phones(2),
            async |t| {
                let entries = json!({ "1": { "kind": "extension", "id": t.extension_id(1) } });
                let config = json!({ "greeting": { "file": "digits/1.wav" }, "entries": entries });
                let menu = t.destination("710", "ivr", config).await;
                let call = t.phone(0).calls("*31710");
                call.answered().await;
                t.until("the menu plays", move |switch| switch.api("show channels").contains(&menu)).await;
                call.presses("1").await;
                let rings = t.phone(1).rings().await.answers().await;
                t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
                is_hidden(&rings, &["1000", "Phone 0"]);
            },
        ),
        row(
            "mixed: a group in which nobody answers leads to another, and that one's member has the call",
            FOUR,
            async |t| {
                let other = t.group("601", &[3], json!({})).await;
                let leads = json!({ "kind": "group", "id": other["id"] });
                t.group("600", &[1, 2], json!({ "otherwise": leads })).await;
                let call = t.phone(0).calls("600");
                let (one, two) = (t.phone(1).rings().await, t.phone(2).rings().await);
                let three = t.phone(3).rings().await;
                assert_eq!((one.ended().await.status, two.ended().await.status), (487, 487));
                let three = three.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&three, t.phone(3))).await;
                call.shows_at_last("Phone 3 <1003>").await;
            },
        ),
        row("mixed: an intercom call reaches a phone whose calls are forwarded", THREE, async |t| {
            t.handle(1, json!({ "forward_always": "1002" })).await;
            let call = t.phone(0).calls("*801001");
            let rings = t.phone(1).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
            assert!(t.phone(2).rang().is_none());
        }),
        row(
            "mixed: a parked call comes back to who parked it, who is not to be disturbed since and forwards",
            THREE,
            async |t| {
                t.settings(json!({ "routing": { "park_seconds": 10 } })).await;
                let (call, rings) = t.connect(0, 1).await;
                assert_eq!(rings.refers("*687").await, 202);
                is_parked(&t, 7).await;
                t.handle(1, json!({ "do_not_disturb": true, "forward_always": "1002" })).await;
                let back = t.phone(1).rings().await.answers().await;
                t.talk((&call, t.phone(0)), (&back, t.phone(1))).await;
                assert!(t.phone(2).rang().is_none());
            },
        ),
        row(
            "mixed: a forward to outside takes a line like a call out, and is refused when none is left",
            THREE_AGENTS,
            async |t| {
                t.settings(json!({ "routing": { "outbound": { "concurrent_calls": 1 } } })).await;
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                let call = t.phone(2).calls("1001");
                let taken = t.carrier(0).rings().await.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(2)), (&taken, t.carrier(0))).await;
                assert_eq!(t.phone(0).calls(&t.outside()).ended().await.status, 503, "the line is taken");
                let refused = t.outbound(|record| record["admitted"] == false).await;
                assert_eq!(
                    (&refused["reason"], &refused["extension_id"]),
                    (&json!("concurrent_calls"), &t.extension(0)["id"]),
                    "{refused}"
                );
            },
        ),
        row("mixed: an agent puts a queue's caller into a conference", FOUR, async |t| {
            t.destination("700", "conference", json!({})).await;
            t.queue("500", &[(1, 1)], json!({})).await;
            let there = t.phone(2).calls("700");
            there.answered().await;
            let call = t.phone(0).calls("500");
            let agent = t.phone(1).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&agent, t.phone(1))).await;
            agent.holds().await;
            let asks = t.phone(1).calls("700");
            asks.answered().await;
            t.talk((&asks, t.phone(1)), (&there, t.phone(2))).await;
            assert_eq!(agent.refers_to_call(&asks).await, 202);
            t.talk((&call, t.phone(0)), (&there, t.phone(2))).await;
            agent.ended().await;
        }),
        row("mixed: a page leaves the call of a colleague without call waiting alone", FOUR, async |t| {
            t.handle(1, json!({ "busy_on_busy": true })).await;
            let (own, other) = t.connect(3, 1).await;
            let members = [1, 2].map(|n| t.extension_id(n).to_owned());
            t.destination("750", "page", json!({ "members": members })).await;
            let page = t.phone(0).calls("750");
            page.answered().await;
            let two = t.phone(2).rings().await.answers().await;
            two.hears_only(&[t.phone(0)]).await;
            t.talk((&own, t.phone(3)), (&other, t.phone(1))).await;
            assert!(t.phone(1).rang().is_none());
        }),
    ]
}

const OUTSIDE: Needs = Needs::phones(1).agents(1).carriers(1);
const OUT_OF_TWO: Needs = Needs::phones(2).agents(1).carriers(1);
