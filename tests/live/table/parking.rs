//! Parked calls, pages and calls that phones take by themselves.

use serde_json::json;

use super::{Needs, Row, Table, row};
use crate::{
    phone::{
        Call, End,
        media::{next_tone, tone},
    },
    switch::write_sound,
};

const THREE: Needs = Needs::phones(3);

pub fn rows() -> Vec<Row> {
    vec![
        row("parked and fetched by nobody: it comes back to who parked it, with the caller's name", THREE, async |t| {
            t.settings(json!({ "routing": { "park_seconds": 10 } })).await;
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("*68").await, 202);
            let back = t.phone(1).rings().await;
            assert_eq!(back.invite().from().name, "Recall Phone 0", "{}", back.story());
            let back = back.answers().await;
            t.talk((&call, t.phone(0)), (&back, t.phone(1))).await;
        }),
        row(
            "whoever parks by asking first hears the slot, and the caller waits in that one",
            Needs::phones(4),
            async |t| {
                // The first two slots are taken, so that this row's sound is no other row's.
                let three = next_tone();
                write_sound(&t.switch.folder.join("sounds/digits/3.wav"), &tone(three, 1));
                let _waiting = ["*681", "*682"].map(|slot| t.phone(2).calls(slot));
                is_parked(&t, 1).await;
                is_parked(&t, 2).await;
                let (call, first) = t.connect(0, 1).await;
                first.holds().await;
                let asks = t.phone(1).calls("*68");
                asks.answered().await;
                asks.hears_tone(three).await;
                is_parked(&t, 3).await;
                assert_eq!(first.refers_to_call(&asks).await, 202);
                first.ended().await;
                asks.ended().await;
                is_parked(&t, 3).await;
                let lot = format!("valet_info park@{}", t.domain());
                t.until("nothing else is parked", move |switch| switch.api(&lot).matches("</extension>").count() == 3)
                    .await;
                let fetched = t.phone(3).calls("*683");
                fetched.answered().await;
                t.talk((&call, t.phone(0)), (&fetched, t.phone(3))).await;
            },
        ),
        row("parked in any slot, and fetched by another phone", THREE, async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("*68").await, 202);
            is_parked(&t, 1).await;
            rings.ended().await;
            let fetched = t.phone(2).calls("*681");
            fetched.answered().await;
            t.talk((&call, t.phone(0)), (&fetched, t.phone(2))).await;
        }),
        row("parked in a slot that was named: 7 and 07 are the same", THREE, async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("*687").await, 202);
            is_parked(&t, 7).await;
            let fetched = t.phone(2).calls("*6807");
            fetched.answered().await;
            t.talk((&call, t.phone(0)), (&fetched, t.phone(2))).await;
        }),
        row("two parked calls get slots of their own", Needs::phones(4), async |t| {
            let (one, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("*68").await, 202);
            is_parked(&t, 1).await;
            let (other, rings) = t.connect(2, 1).await;
            assert_eq!(rings.refers("*68").await, 202);
            is_parked(&t, 2).await;
            let fetched = t.phone(3).calls("*682");
            fetched.answered().await;
            t.talk((&other, t.phone(2)), (&fetched, t.phone(3))).await;
            assert!(one.is_up());
        }),
        row("a lamp shows that a slot is taken, and its key fetches the call", THREE, async |t| {
            let mut lamp = t.phone(2).watches("park+1").await;
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("*68").await, 202);
            lamp.says("<state>confirmed</state>").await;
            let fetched = t.phone(2).calls("park+1");
            fetched.answered().await;
            t.talk((&call, t.phone(0)), (&fetched, t.phone(2))).await;
            lamp.says("<state>terminated</state>").await;
        }),
        row("a caller who waits in a slot hears music, and not the phone that parked the call", THREE, async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("*68").await, 202);
            is_parked(&t, 1).await;
            call.does_not_hear(t.phone(1)).await;
            assert!(call.is_up());
            call.hangs_up().await;
            t.until("the slot is free", {
                let lot = format!("valet_info park@{}", t.domain());
                move |switch| !switch.api(&lot).contains("</extension>")
            })
            .await;
        }),
        row("a page is heard by all, and nobody but the pager is heard", THREE, async |t| {
            let page = pages(&t, false).await;
            let (one, two) = rung(&t).await;
            one.hears_only(&[t.phone(0)]).await;
            two.hears_only(&[t.phone(0)]).await;
            page.does_not_hear(t.phone(1)).await;
            page.does_not_hear(t.phone(2)).await;
            page.hangs_up().await;
            one.ended().await;
            two.ended().await;
        }),
        row("a page in both ways: all hear each other", THREE, async |t| {
            let page = pages(&t, true).await;
            let (one, two) = rung(&t).await;
            one.hears_only(&[t.phone(0), t.phone(2)]).await;
            two.hears_only(&[t.phone(0), t.phone(1)]).await;
            page.hears_only(&[t.phone(1), t.phone(2)]).await;
        }),
        row("a page leaves out who is not to be disturbed", THREE, async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            let _page = pages(&t, false).await;
            let two = t.phone(2).rings().await.answers().await;
            two.hears_only(&[t.phone(0)]).await;
            assert!(t.phone(1).rang().is_none());
        }),
        row("an intercom call to who is not to be disturbed is busy", Needs::phones(2), async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            assert_eq!(t.phone(0).calls("*801001").ended().await, End { status: 486, cause: Some(17) });
            assert!(t.phone(1).rang().is_none());
        }),
    ]
}

pub(super) async fn is_parked(t: &Table, slot: u8) {
    let lot = format!("valet_info park@{}", t.domain());
    t.until("parked", move |switch| switch.api(&lot).contains(&format!(">{slot}</extension>"))).await;
}

async fn pages(t: &Table, two_way: bool) -> Call {
    let members = [1, 2].map(|n| t.extension_id(n).to_owned());
    t.destination("750", "page", json!({ "members": members, "two_way": two_way })).await;
    let page = t.phone(0).calls("750");
    page.answered().await;
    page
}

/// Both members' phones answer by themselves.
async fn rung(t: &Table) -> (Call, Call) {
    let (one, two) = (t.phone(1).rings().await, t.phone(2).rings().await);
    for rings in [&one, &two] {
        let told = ["Call-Info", "Alert-Info"].map(|name| rings.invite().header(name).to_owned());
        assert!(told.iter().any(|header| header.contains("answer")), "{told:?}");
    }
    (one.answers().await, two.answers().await)
}
