//! Transfers, and calls that others take.

use serde_json::json;

use super::{Needs, Row, row};

pub fn rows() -> Vec<Row> {
    vec![
        row("a blind transfer to a colleague", Needs::phones(3), async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("1002").await, 202);
            let third = t.phone(2).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&third, t.phone(2))).await;
            rings.ended().await;
            assert!(call.is_up());
        }),
        row("an attended transfer to a colleague", Needs::phones(3), async |t| {
            let (call, first) = t.connect(0, 1).await;
            first.holds().await;
            let (second, third) = t.connect(1, 2).await;
            assert_eq!(first.refers_to_call(&second).await, 202);
            t.talk((&call, t.phone(0)), (&third, t.phone(2))).await;
            first.ended().await;
            second.ended().await;
        }),
        row("a colleague picks up a call that rings", Needs::phones(3), async |t| {
            t.handle(1, json!({ "pickup": true })).await;
            let call = t.phone(0).calls("1001");
            let rings = t.phone(1).rings().await;
            t.until("it can be picked up", |switch| switch.api("show channels").contains("pickup/")).await;
            let picks = t.phone(2).calls("*81001");
            picks.answered().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&picks, t.phone(2))).await;
            assert_eq!(rings.ended().await.status, 487);
        }),
    ]
}
