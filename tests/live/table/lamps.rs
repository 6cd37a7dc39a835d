//! Lamps: what phones' keys show of colleagues.

use serde_json::json;

use super::{Needs, Row, row};

const FOUR: Needs = Needs::phones(4);

pub fn rows() -> Vec<Row> {
    vec![
        row("a lamp shows a call that a colleague makes", Needs::phones(3), async |t| {
            let mut lamp = t.phone(2).watches("1000").await;
            let (call, rings) = t.connect(0, 1).await;
            lamp.says("<state>confirmed</state>").await;
            rings.hangs_up().await;
            call.ended().await;
            lamp.says("<state>terminated</state>").await;
        }),
        row("a lamp that is watched while a colleague is in a call that they made shows the call", FOUR, async |t| {
            // A switch tells nothing of the first calls of its life at once (`sofia_presence_event_handler` in sofia_presence.c).
            let mut early = t.phone(3).watches("1000").await;
            let (call, _rings) = t.connect(0, 1).await;
            early.says("<state>confirmed</state>").await;
            call.hangs_up().await;
            early.says("<state>terminated</state>").await;
            let mut other = t.phone(3).watches("1001").await;
            for (phone, number) in [(2, "1000"), (3, "1001"), (2, "1001"), (3, "1000")] {
                let (call, rings) = t.connect(0, 1).await;
                // From then on, the switch itself knows that the call was answered.
                early.says("<state>confirmed</state>").await;
                other.says("<state>confirmed</state>").await;
                let mut lamp = t.phone(phone).watches(number).await;
                lamp.says("<state>").await;
                let first = lamp.all()[0].clone();
                assert!(first.contains("<state>confirmed</state>"), "{phone} {number} {first}");
                call.hangs_up().await;
                rings.ended().await;
                lamp.says("<state>terminated</state>").await;
            }
        }),
        row("a lamp follows the number to another phone after a transfer", Needs::phones(4), async |t| {
            let mut lamp = t.phone(3).watches("1002").await;
            let (_call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("1002").await, 202);
            let _third = t.phone(2).rings().await.answers().await;
            lamp.says("<state>confirmed</state>").await;
        }),
        row("a lamp of another tenant's number is refused", Needs::phones(1), async |t| {
            let (status, _watch) = t.phone(0).subscribes("dialog", "1000@row0.other.test").await;
            assert!(status >= 400, "{status}");
        }),
        row("a lamp shows that a colleague is not to be disturbed, by code", Needs::phones(3), async |t| {
            let mut lamp = t.phone(2).watches("dnd-1001").await;
            lamp.says("</dialog-info>").await;
            t.phone(1).calls("*78").ended().await;
            lamp.says("<state>confirmed</state>").await;
            t.phone(1).calls("*79").ended().await;
            lamp.says("<state>terminated</state>").await;
        }),
        row("a lamp of do not disturb that is watched later shows what is so", Needs::phones(2), async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            let mut lamp = t.phone(0).watches("dnd-1001").await;
            lamp.says("<state>confirmed</state>").await;
            let mut own = t.phone(1).watches("dnd-1001").await;
            own.says("<state>confirmed</state>").await;
            // By page or API.
            t.handle(1, json!({})).await;
            lamp.says("<state>terminated</state>").await;
            own.says("<state>terminated</state>").await;
        }),
        row("a lamp of do not disturb is off while the colleague is in a call", Needs::phones(3), async |t| {
            let (_call, _rings) = t.connect(0, 1).await;
            let mut lamp = t.phone(2).watches("dnd-1001").await;
            t.handle(1, json!({ "do_not_disturb": true })).await;
            lamp.says("<state>confirmed</state>").await;
            t.handle(1, json!({})).await;
            lamp.says("<state>terminated</state>").await;
        }),
        row("the key of one's own do not disturb switches it on and off", Needs::phones(2), async |t| {
            let mut lamp = t.phone(1).watches("dnd-1001").await;
            t.phone(1).calls("dnd-1001").ended().await;
            lamp.says("<state>confirmed</state>").await;
            assert_eq!(t.phone(0).calls("1001").ended().await.status, 486);
            t.phone(1).calls("dnd-1001").ended().await;
            lamp.says("<state>terminated</state>").await;
            let call = t.phone(0).calls("dnd-1001");
            let _rings = t.phone(1).rings().await.answers().await;
            call.answered().await;
        }),
        row("a lamp shows that a colleague forwards all calls", Needs::phones(3), async |t| {
            let mut lamp = t.phone(2).watches("forward-1001").await;
            t.phone(1).calls("*721000").ended().await;
            lamp.says("<state>confirmed</state>").await;
            t.phone(1).calls("forward-1001").ended().await;
            lamp.says("<state>terminated</state>").await;
        }),
        row("a lamp shows that somebody waits in a queue", Needs::phones(3), async |t| {
            t.queue("500", &[(1, 1)], json!({ "ring_seconds": 30 })).await;
            let mut lamp = t.phone(2).watches("queue-500").await;
            lamp.says("</dialog-info>").await;
            let call = t.phone(0).calls("500");
            let rings = t.phone(1).rings().await;
            lamp.says("<state>confirmed</state>").await;
            let mut later = t.phone(1).watches("queue-500").await;
            later.says("<state>confirmed</state>").await;
            let _rings = rings.answers().await;
            call.answered().await;
            lamp.says("<state>terminated</state>").await;
            later.says("<state>terminated</state>").await;
        }),
        row("a lamp shows that a caller who waited in a queue has gone", Needs::phones(3), async |t| {
            t.queue("500", &[(1, 1)], json!({ "ring_seconds": 30 })).await;
            let mut lamp = t.phone(2).watches("queue-500").await;
            let call = t.phone(0).calls("500");
            call.answered().await;
            lamp.says("<state>confirmed</state>").await;
            call.hangs_up().await;
            lamp.says("<state>terminated</state>").await;
        }),
        row("a lamp shows whether an agent of a queue is there", Needs::phones(2), async |t| {
            t.queue("500", &[(1, 1)], json!({})).await;
            t.agent_is(1, "Available").await;
            let mut lamp = t.phone(0).watches("agents-500").await;
            lamp.says("<state>confirmed</state>").await;
            t.phone(1).calls("*45").ended().await;
            lamp.says("<state>terminated</state>").await;
            t.phone(1).calls("*44").ended().await;
            lamp.says("<state>confirmed</state>").await;
        }),
        row("whoever watches a colleague's presence sees when they are on the phone", Needs::phones(3), async |t| {
            let (status, mut seen) = t.phone(2).subscribes("presence", "1001").await;
            assert!(matches!(status, 200 | 202), "{status}");
            seen.says("<presence").await;
            let (call, rings) = t.connect(0, 1).await;
            seen.says("on-the-phone").await;
            call.hangs_up().await;
            rings.ended().await;
            seen.says_not("on-the-phone").await;
        }),
        row("whoever watches a colleague's do not disturb by presence sees it", Needs::phones(3), async |t| {
            let (status, mut seen) = t.phone(2).subscribes("presence", "dnd-1001").await;
            assert!(matches!(status, 200 | 202), "{status}");
            seen.says("<presence").await;
            t.handle(1, json!({ "do_not_disturb": true })).await;
            seen.says("on-the-phone").await;
            t.handle(1, json!({})).await;
            seen.says_not("on-the-phone").await;
        }),
        row("a lamp shows that a member of a group is rung", Needs::phones(3), async |t| {
            t.group("600", &[1], json!({})).await;
            let mut lamp = t.phone(2).watches("1001").await;
            let call = t.phone(0).calls("600");
            let rings = t.phone(1).rings().await;
            lamp.says("<state>early</state>").await;
            let _rings = rings.answers().await;
            call.answered().await;
            lamp.says("<state>confirmed</state>").await;
        }),
        row("a lamp watches a phone by its number, which is not its SIP username", Needs::phones(3), async |t| {
            t.patch_phone(1, json!({ "number": "1500" })).await;
            assert_ne!(t.extension(1)["sip_username"], "1500");
            let mut lamp = t.phone(2).watches("1500").await;
            let call = t.phone(0).calls("1500");
            let rings = t.phone(1).rings().await;
            lamp.says("<state>early</state>").await;
            let rings = rings.answers().await;
            call.answered().await;
            lamp.says("<state>confirmed</state>").await;
            call.hangs_up().await;
            rings.ended().await;
            lamp.says("<state>terminated</state>").await;
            // A call of its own, too.
            let own = t.phone(1).calls("1000");
            let _rings = t.phone(0).rings().await.answers().await;
            own.answered().await;
            lamp.says("<state>confirmed</state>").await;
        }),
        row(
            "whoever watches a phone's presence by its number sees when it is in a call",
            Needs::phones(3),
            async |t| {
                t.patch_phone(1, json!({ "number": "1500" })).await;
                let (status, mut seen) = t.phone(2).subscribes("presence", "1500").await;
                assert!(matches!(status, 200 | 202), "{status}");
                seen.says("<presence").await;
                let call = t.phone(0).calls("1500");
                let rings = t.phone(1).rings().await.answers().await;
                call.answered().await;
                seen.says("on-the-phone").await;
                call.hangs_up().await;
                rings.ended().await;
                seen.says_not("on-the-phone").await;
            },
        ),
        row(
            "whoever watches a phone's presence by its number sees when it is registered, in a call and gone",
            Needs::phones(3),
            async |t| {
                t.patch_phone(1, json!({ "number": "1500" })).await;
                let (_, mut seen) = t.phone(2).subscribes("presence", "1500").await;
                seen.says("<dm:note>Available</dm:note>").await;
                seen.says("<basic>open</basic>").await;
                assert_eq!(t.phone(1).registers_for(0).await, 200);
                seen.says("<basic>closed</basic>").await;
                // Who asks meanwhile is told the same.
                let (_, mut late) = t.phone(0).subscribes("presence", "1500").await;
                late.says("<basic>closed</basic>").await;
                t.phone(1).registers().await;
                seen.says("<basic>open</basic>").await;
                late.says("<basic>open</basic>").await;
                let call = t.phone(0).calls("1500");
                let rings = t.phone(1).rings().await.answers().await;
                call.answered().await;
                seen.says("on-the-phone").await;
                // Its registration ends, its call goes on.
                assert_eq!(t.phone(1).registers_for(0).await, 200);
                seen.says("on-the-phone").await;
                t.phone(1).registers().await;
                call.hangs_up().await;
                rings.ended().await;
                seen.says_not("on-the-phone").await;
                seen.says("<basic>open</basic>").await;
            },
        ),
        row(
            "a lamp that is asked for again and again while a caller waits goes off with the caller",
            Needs::phones(3),
            async |t| {
                t.queue("500", &[(1, 1)], json!({ "ring_seconds": 30 })).await;
                for _ in 0..3 {
                    let call = t.phone(0).calls("500");
                    let mut lamp = t.phone(2).watches("queue-500").await;
                    call.answered().await;
                    lamp.says("<state>confirmed</state>").await;
                    call.hangs_up().await;
                    lamp.says("<state>terminated</state>").await;
                }
            },
        ),
    ]
}
