//! Calls within a tenant.

use serde_json::json;

use super::{Needs, Row, row};
use crate::phone::{End, Phone};

pub fn rows() -> Vec<Row> {
    vec![
        row("a call is answered, both hear each other, and the caller hangs up", Needs::phones(2), async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.invite().from().to_string(), "Phone 0 <1000>");
            call.hangs_up().await;
            assert_eq!(rings.ended().await, End { status: 200, cause: Some(16) });
        }),
        row("a call is answered, and the callee hangs up", Needs::phones(2), async |t| {
            let (call, rings) = t.connect(0, 1).await;
            rings.hangs_up().await;
            assert_eq!(call.ended().await, End { status: 200, cause: Some(16) });
        }),
        row("phones with only PCMU and only PCMA talk", Needs::phones(2), async |t| {
            t.phone(0).speaks(&["PCMU"]);
            t.phone(1).speaks(&["PCMA"]);
            let _calls = t.connect(0, 1).await;
        }),
        row("a phone that declines is busy to its caller", Needs::phones(2), async |t| {
            let call = t.phone(0).calls("1001");
            t.phone(1).rings().await.declines(486).await;
            assert_eq!(call.ended().await, End { status: 486, cause: Some(17) });
        }),
        row("a phone that rejects with 603 is rejected to its caller", Needs::phones(2), async |t| {
            let call = t.phone(0).calls("1001");
            t.phone(1).rings().await.declines(603).await;
            assert_eq!(call.ended().await.cause, Some(21));
        }),
        row("a number that nobody has is unallocated", Needs::phones(1), async |t| {
            let call = t.phone(0).calls("1777");
            assert_eq!(call.ended().await, End { status: 404, cause: Some(1) });
        }),
        row("a phone that is not registered is unavailable", Needs::phones(2), async |t| {
            assert_eq!(t.phone(1).registers_for(0).await, 200);
            assert_eq!(t.phone(0).calls("1001").ended().await.status, 480);
            assert!(t.phone(1).rang().is_none());
        }),
        row("nobody answers: the phone stops ringing and the caller is told", Needs::phones(2), async |t| {
            let call = t.phone(0).calls("1001");
            let rings = t.phone(1).rings().await;
            assert_eq!(call.ended().await.status, 480);
            assert_eq!(rings.ended().await.status, 487);
        }),
        row("a caller who gives up stops the ringing", Needs::phones(2), async |t| {
            let call = t.phone(0).calls("1001");
            let rings = t.phone(1).rings().await;
            call.is_ringing().await;
            call.hangs_up().await;
            assert_eq!(rings.ended().await.status, 487);
            assert_eq!(call.ended().await.status, 487);
        }),
        row("do not disturb is busy, and the phone does not ring", Needs::phones(2), async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            assert_eq!(t.phone(0).calls("1001").ended().await.status, 486);
            t.handle(1, json!({})).await;
            let _calls = t.connect(0, 1).await;
            assert!(t.phone(1).rang().is_none(), "it rang once only");
        }),
        row("do not disturb by code", Needs::phones(2), async |t| {
            t.phone(1).calls("*78").ended().await;
            assert_eq!(t.phone(0).calls("1001").ended().await.status, 486);
            t.phone(1).calls("*79").ended().await;
            let _calls = t.connect(0, 1).await;
        }),
        row("a call to one's own echo is heard", Needs::phones(1), async |t| {
            let call = t.phone(0).calls("9196");
            call.answered().await;
            call.hears_only(&[t.phone(0)]).await;
        }),
        row("a group rings all, and whoever answers has the call", Needs::phones(4), async |t| {
            let members = [1, 2, 3].map(|n| t.extension_id(n).to_owned());
            t.create("groups", json!({ "name": "All", "number": "600", "members": members })).await;
            let call = t.phone(0).calls("600");
            let one = t.phone(1).rings().await;
            let (two, three) = (t.phone(2).rings().await, t.phone(3).rings().await);
            let two = two.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&two, t.phone(2))).await;
            assert_eq!((one.ended().await.status, three.ended().await.status), (487, 487));
        }),
        row(
            "a held caller hears no tone of the holder, and both hear each other again after it",
            Needs::phones(2),
            async |t| {
                let (call, rings) = t.connect(0, 1).await;
                rings.holds().await;
                call.does_not_hear(t.phone(1)).await;
                rings.resumes().await;
                t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
            },
        ),
        row("keys that are pressed arrive", Needs::phones(2), async |t| {
            let (call, rings) = t.connect(0, 1).await;
            call.presses("15*#").await;
            rings.is_pressed("15*#").await;
        }),
        row("all calls are forwarded, and only the new phone rings", Needs::phones(3), async |t| {
            t.handle(1, json!({ "forward_always": "1002" })).await;
            let call = t.phone(0).calls("1001");
            let rings = t.phone(2).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(2))).await;
            assert!(t.phone(1).rang().is_none());
        }),
        row("a busy phone's call is forwarded", Needs::phones(3), async |t| {
            t.handle(1, json!({ "forward_busy": "1002" })).await;
            let call = t.phone(0).calls("1001");
            t.phone(1).rings().await.declines(486).await;
            let _taken = t.phone(2).rings().await.answers().await;
            call.answered().await;
        }),
        row("a call that nobody takes is forwarded", Needs::phones(3), async |t| {
            t.handle(1, json!({ "forward_no_answer": "1002" })).await;
            let call = t.phone(0).calls("1001");
            let one = t.phone(1).rings().await;
            let _taken = t.phone(2).rings().await.answers().await;
            call.answered().await;
            assert_eq!(one.ended().await.status, 487);
        }),
        row("a call to a phone that is gone is forwarded", Needs::phones(3), async |t| {
            t.handle(1, json!({ "forward_not_registered": "1002" })).await;
            assert_eq!(t.phone(1).registers_for(0).await, 200);
            let call = t.phone(0).calls("1001");
            let _taken = t.phone(2).rings().await.answers().await;
            call.answered().await;
        }),
        row(
            "the caller of an extension with a mailbox may leave a message when nobody answers",
            Needs::phones(2),
            async |t| {
                t.patch_phone(1, json!({ "voicemail_enabled": true })).await;
                let call = t.phone(0).calls("1001");
                let rings = t.phone(1).rings().await;
                call.answered().await;
                assert_eq!(rings.ended().await.status, 487);
            },
        ),
        row("an intercom call answers by itself", Needs::phones(2), async |t| {
            let call = t.phone(0).calls("*801001");
            let rings = t.phone(1).rings().await;
            let told = ["Call-Info", "Alert-Info"].map(|name| rings.invite().header(name).to_owned());
            assert!(told.iter().any(|header| header.contains("answer")), "{told:?}");
            let rings = rings.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
        }),
        row("three in a conference hear each other", Needs::phones(3), async |t| {
            t.create("destinations", json!({ "name": "Room", "number": "700", "kind": "conference", "config": {} }))
                .await;
            let calls = [0, 1, 2].map(|n| t.phone(n).calls("700"));
            for call in &calls {
                call.answered().await;
            }
            calls[0].hears_only(&[t.phone(1), t.phone(2)]).await;
            calls[1].hears_only(&[t.phone(0), t.phone(2)]).await;
            calls[2].hears_only(&[t.phone(0), t.phone(1)]).await;
        }),
        row("a wrong password does not call", Needs::phones(2), async |t| {
            let user = t.extension(0)["sip_username"].as_str().unwrap();
            let thief = Phone::new(t.switch.internal, user, t.domain(), "not-the-password");
            assert_eq!(thief.registers_for(300).await, 403);
            assert_eq!(thief.calls("1001").ended().await.status, 403);
            let _calls = t.connect(0, 1).await;
            assert!(t.phone(1).rang().is_none());
        }),
        row("a lamp follows a colleague's calls", Needs::phones(3), async |t| {
            let mut lamp = t.phone(2).watches("1001").await;
            let call = t.phone(0).calls("1001");
            let rings = t.phone(1).rings().await;
            lamp.says("<state>early</state>").await;
            let _rings = rings.answers().await;
            call.answered().await;
            lamp.says("<state>confirmed</state>").await;
            call.hangs_up().await;
            lamp.says("<state>terminated</state>").await;
        }),
    ]
}
