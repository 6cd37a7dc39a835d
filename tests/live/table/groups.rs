//! Groups: who rings, when and for how long.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Needs, Row, Table, row};

const THREE: Needs = Needs::phones(3);

pub fn rows() -> Vec<Row> {
    let in_order = || json!({ "strategy": "in_order" });
    vec![
        row("in order: who does not answer rings for their time, then the next", THREE, async move |t| {
            t.group("600", &[1, 2], in_order()).await;
            let call = t.phone(0).calls("600");
            let one = t.phone(1).rings().await;
            let began = Instant::now();
            let two = t.phone(2).rings().await;
            rang_for_five_seconds(began);
            assert_eq!(one.ended().await.status, 487, "not both at once");
            let two = two.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&two, t.phone(2))).await;
        }),
        row("in order: after one who declines, the next rings", THREE, async move |t| {
            t.group("600", &[1, 2], in_order()).await;
            let call = t.phone(0).calls("600");
            t.phone(1).rings().await.declines(486).await;
            let _two = t.phone(2).rings().await.answers().await;
            call.answered().await;
        }),
        row("in order: who is not registered is passed over", THREE, async move |t| {
            assert_eq!(t.phone(1).registers_for(0).await, 200);
            t.group("600", &[1, 2], in_order()).await;
            let call = t.phone(0).calls("600");
            let _two = t.phone(2).rings().await.answers().await;
            call.answered().await;
        }),
        row("in order: who is not to be disturbed is passed over", THREE, async move |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            t.group("600", &[1, 2], in_order()).await;
            let call = t.phone(0).calls("600");
            let _two = t.phone(2).rings().await.answers().await;
            call.answered().await;
            assert!(t.phone(1).rang().is_none());
        }),
        row("in order: nobody answers, everybody rang, and the call goes on", Needs::phones(4), async move |t| {
            let otherwise =
                json!({ "strategy": "in_order", "otherwise": { "kind": "extension", "id": t.extension_id(3) } });
            t.group("600", &[1, 2], otherwise).await;
            let call = t.phone(0).calls("600");
            let (one, two) = (t.phone(1).rings().await, t.phone(2).rings().await);
            let last = t.phone(3).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&last, t.phone(3))).await;
            assert_eq!((one.ended().await.status, two.ended().await.status), (487, 487));
        }),
        row(
            "in order: a member's forward is followed, and if nobody takes it there, the next member rings",
            Needs::phones(4),
            async |t| forward_is_followed(&t, "in_order").await,
        ),
        row(
            "round robin: a member's forward is followed, and if nobody takes it there, the next member rings",
            Needs::phones(4),
            async |t| forward_is_followed(&t, "round_robin").await,
        ),
        row(
            "in order: a member's forward to outside is charged to the member, and if it is busy, the next member rings",
            Needs::phones(3).agents(2).carriers(1),
            async |t| {
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                t.group("600", &[1, 2], json!({ "strategy": "in_order", "follow_forwards": true })).await;
                let call = t.phone(0).calls("600");
                let outside = t.carrier(0).rings().await;
                assert_eq!(outside.invite().from().number, t.number(1));
                outside.declines(486).await;
                let two = t.phone(2).rings().await.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&two, t.phone(2))).await;
                let record = t.outbound(|record| record["admitted"] == true).await;
                assert_eq!(record["extension_id"], t.extension(1)["id"], "{record}");
            },
        ),
        row("round robin: who does not answer rings for their time, then the other", THREE, async |t| {
            each_for_their_time(&t, "round_robin").await;
        }),
        row("random: who does not answer rings for their time, then the other", THREE, async |t| {
            each_for_their_time(&t, "random").await;
        }),
        row("round robin: who is not to be disturbed is passed over", THREE, async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            one_of_two(&t, "round_robin").await;
        }),
        row("random: who is not to be disturbed is passed over", THREE, async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            one_of_two(&t, "random").await;
        }),
        row("round robin: who is not registered is passed over", THREE, async |t| {
            assert_eq!(t.phone(1).registers_for(0).await, 200);
            one_of_two(&t, "round_robin").await;
        }),
        row("random: who is not registered is passed over", THREE, async |t| {
            assert_eq!(t.phone(1).registers_for(0).await, 200);
            one_of_two(&t, "random").await;
        }),
        row("round robin: nobody answers, everybody rang, and the call goes on", Needs::phones(4), async |t| {
            goes_on(&t, "round_robin").await;
        }),
        row("random: nobody answers, everybody rang, and the call goes on", Needs::phones(4), async |t| {
            goes_on(&t, "random").await;
        }),
        row(
            "round robin: the next call begins with the next member, and goes on with the other",
            THREE,
            async move |t| {
                t.group("600", &[1, 2], json!({ "strategy": "round_robin" })).await;
                let mut first = Vec::new();
                for _ in 0..2 {
                    let call = t.phone(0).calls("600");
                    let rings =
                        tokio::select! { one = t.phone(1).rings() => (1, one), two = t.phone(2).rings() => (2, two) };
                    first.push(rings.0);
                    rings.1.declines(486).await;
                    let other = t.phone(3 - rings.0).rings().await.answers().await;
                    call.answered().await;
                    call.hangs_up().await;
                    other.ended().await;
                }
                assert!(first == [1, 2] || first == [2, 1], "{first:?}");
            },
        ),
        row("random: one after the other, each once", THREE, async move |t| {
            t.group("600", &[1, 2], json!({ "strategy": "random" })).await;
            let call = t.phone(0).calls("600");
            let rings = tokio::select! { one = t.phone(1).rings() => (1, one), two = t.phone(2).rings() => (2, two) };
            rings.1.declines(486).await;
            t.phone(3 - rings.0).rings().await.declines(486).await;
            assert_eq!(call.ended().await.status, 486);
            assert!(t.phone(1).rang().is_none() && t.phone(2).rang().is_none());
        }),
        row("a member's forward is followed if the group says so", THREE, async move |t| {
            t.handle(1, json!({ "forward_always": "1002" })).await;
            t.group("600", &[1], json!({ "follow_forwards": true })).await;
            let call = t.phone(0).calls("600");
            let two = t.phone(2).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&two, t.phone(2))).await;
            assert!(t.phone(1).rang().is_none());
        }),
        row("a member's forward is not followed otherwise: their own phone rings", THREE, async move |t| {
            t.handle(1, json!({ "forward_always": "1002" })).await;
            t.group("600", &[1], json!({})).await;
            let call = t.phone(0).calls("600");
            let _one = t.phone(1).rings().await.answers().await;
            call.answered().await;
            assert!(t.phone(2).rang().is_none());
        }),
        row("a group rings all but who is not to be disturbed", THREE, async move |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            t.group("600", &[1, 2], json!({})).await;
            let call = t.phone(0).calls("600");
            let _two = t.phone(2).rings().await.answers().await;
            call.answered().await;
            assert!(t.phone(1).rang().is_none());
        }),
        row("a member who is not to be disturbed picks up a call of the group", THREE, async move |t| {
            t.handle(2, json!({ "do_not_disturb": true })).await;
            let group = t.group("600", &[1, 2], json!({ "pickup": true })).await;
            let call = t.phone(0).calls("600");
            let one = t.phone(1).rings().await;
            t.can_be_picked_up(&key(&group)).await;
            let picks = t.phone(2).calls("*8");
            picks.answered().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&picks, t.phone(2))).await;
            assert_eq!(one.ended().await.status, 487);
            assert!(t.phone(2).rang().is_none());
        }),
        row("who is in no group picks up none of its calls", Needs::phones(4), async move |t| {
            let group = t.group("600", &[1], json!({ "pickup": true })).await;
            t.group("601", &[3], json!({ "pickup": true })).await;
            let call = t.phone(0).calls("600");
            let one = t.phone(1).rings().await;
            t.can_be_picked_up(&key(&group)).await;
            for other in [2, 3] {
                let ended = t.phone(other).calls("*8").ended().await;
                assert!(ended.status >= 400, "{ended:?}");
            }
            let one = one.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&one, t.phone(1))).await;
        }),
        row("a call of a group that does not say so is not picked up", THREE, async move |t| {
            t.group("600", &[1, 2], json!({})).await;
            let call = t.phone(0).calls("600");
            let (one, _two) = (t.phone(1).rings().await, t.phone(2).rings().await);
            assert!(t.phone(2).calls("*8").ended().await.status >= 400);
            let _one = one.answers().await;
            call.answered().await;
        }),
        row("a call to a colleague of the group is picked up by the same code", THREE, async move |t| {
            t.handle(1, json!({ "pickup": true })).await;
            t.group("600", &[1, 2], json!({})).await;
            let call = t.phone(0).calls("1001");
            let one = t.phone(1).rings().await;
            t.can_be_picked_up(t.extension(1)["sip_username"].as_str().unwrap()).await;
            let picks = t.phone(2).calls("*8");
            picks.answered().await;
            t.talk((&call, t.phone(0)), (&picks, t.phone(2))).await;
            assert_eq!(one.ended().await.status, 487);
        }),
        row("a group in order: the member who rings second is picked up from, too", Needs::phones(4), async move |t| {
            let group = t.group("600", &[1, 2, 3], json!({ "strategy": "in_order", "pickup": true })).await;
            let call = t.phone(0).calls("600");
            t.phone(1).rings().await.declines(486).await;
            let two = t.phone(2).rings().await;
            t.can_be_picked_up(&key(&group)).await;
            let picks = t.phone(3).calls("*8");
            picks.answered().await;
            t.talk((&call, t.phone(0)), (&picks, t.phone(3))).await;
            assert_eq!(two.ended().await.status, 487);
            assert!(t.phone(3).rang().is_none());
        }),
        row("a group whose phones all decline ends, although its calls may be picked up", THREE, async move |t| {
            t.group("600", &[1, 2], json!({ "pickup": true, "ring_seconds": 20 })).await;
            let call = t.phone(0).calls("600");
            let (one, two) = (t.phone(1).rings().await, t.phone(2).rings().await);
            one.declines(486).await;
            two.declines(486).await;
            assert_eq!(call.ended().await.status, 486);
        }),
        row("a group in which nobody answers leads on, and all stop ringing", Needs::phones(4), async move |t| {
            let otherwise = json!({ "otherwise": { "kind": "extension", "id": t.extension_id(3) } });
            t.group("600", &[1, 2], otherwise).await;
            let call = t.phone(0).calls("600");
            let (one, two) = (t.phone(1).rings().await, t.phone(2).rings().await);
            let _last = t.phone(3).rings().await.answers().await;
            call.answered().await;
            assert_eq!((one.ended().await.status, two.ended().await.status), (487, 487));
        }),
        row("who answers a group must press 1 if it says so, and others ring until then", THREE, async move |t| {
            t.group("600", &[1, 2], json!({ "confirm": true, "ring_seconds": 20 })).await;
            let call = t.phone(0).calls("600");
            let (one, two) = (t.phone(1).rings().await, t.phone(2).rings().await);
            let one = one.answers().await;
            one.hears_something().await;
            one.presses("1").await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&one, t.phone(1))).await;
            assert_eq!(two.ended().await.status, 487);
        }),
    ]
}

/// What a call of a group is picked up by.
fn key(group: &serde_json::Value) -> String {
    format!("group+{}", group["id"].as_str().unwrap().replace('-', ""))
}

/// A group's members ring for five seconds each. A busy machine may add some.
fn rang_for_five_seconds(began: Instant) {
    let rang = began.elapsed();
    assert!(rang > Duration::from_secs(4) && rang < Duration::from_secs(9), "{rang:?}");
}

/// Neither member answers at first: whoever is rung first is no longer rung when the other is.
async fn each_for_their_time(t: &Table, strategy: &str) {
    t.group("600", &[1, 2], json!({ "strategy": strategy })).await;
    let call = t.phone(0).calls("600");
    let (first, rings) = tokio::select! { one = t.phone(1).rings() => (1, one), two = t.phone(2).rings() => (2, two) };
    let began = Instant::now();
    let other = t.phone(3 - first).rings().await;
    rang_for_five_seconds(began);
    assert_eq!(rings.ended().await.status, 487, "not both at once");
    let other = other.answers().await;
    call.answered().await;
    t.talk((&call, t.phone(0)), (&other, t.phone(3 - first))).await;
}

/// The first member can't be rung, whoever's turn it is.
async fn one_of_two(t: &Table, strategy: &str) {
    t.group("600", &[1, 2], json!({ "strategy": strategy })).await;
    for _ in 0..2 {
        let call = t.phone(0).calls("600");
        let two = t.phone(2).rings().await.answers().await;
        call.answered().await;
        call.hangs_up().await;
        two.ended().await;
    }
    assert!(t.phone(1).rang().is_none());
}

async fn goes_on(t: &Table, strategy: &str) {
    let otherwise = json!({ "strategy": strategy, "otherwise": { "kind": "extension", "id": t.extension_id(3) } });
    t.group("600", &[1, 2], otherwise).await;
    let call = t.phone(0).calls("600");
    let (one, two) = tokio::join!(t.phone(1).rings(), t.phone(2).rings());
    let last = t.phone(3).rings().await.answers().await;
    call.answered().await;
    t.talk((&call, t.phone(0)), (&last, t.phone(3))).await;
    assert_eq!((one.ended().await.status, two.ended().await.status), (487, 487));
}

/// The first member forwards to a colleague who does not answer. In turns, the other may be first, and declines.
async fn forward_is_followed(t: &Table, strategy: &str) {
    t.handle(1, json!({ "forward_always": "1003" })).await;
    t.group("600", &[1, 2], json!({ "strategy": strategy, "follow_forwards": true })).await;
    let call = t.phone(0).calls("600");
    let first = tokio::select! { led = t.phone(3).rings() => Some(led), two = t.phone(2).rings() => { two.declines(486).await; None } };
    if let Some(led) = first {
        let two = t.phone(2).rings().await.answers().await;
        call.answered().await;
        t.talk((&call, t.phone(0)), (&two, t.phone(2))).await;
        assert_ne!(led.ended().await.status, 200);
    } else {
        let led = t.phone(3).rings().await.answers().await;
        call.answered().await;
        t.talk((&call, t.phone(0)), (&led, t.phone(3))).await;
    }
    assert!(t.phone(1).rang().is_none());
}
