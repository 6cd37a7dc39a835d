//! Lamps: what phones' keys show of colleagues.

use serde_json::json;

use super::{Needs, Row, row};

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
    ]
}
