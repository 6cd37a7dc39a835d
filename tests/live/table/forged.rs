//! What phones and carriers write in SIP that nobody may believe, and entries of XML, which switches read by rules of their own.

use serde_json::json;

use super::{Needs, Row, row};
use crate::phone::{Call, End, Message};

const OUT: Needs = Needs::phones(1).agents(1).carriers(1);
const IN: Needs = Needs::phones(2).agents(2).carriers(1);
/// Whoever gets one of these might believe it, or learn from it who withholds their number.
const FORGED: [&str; 6] = [
    "Diversion: <sip:+18005550003@evil.test>;reason=unconditional",
    "P-Charge-Info: <sip:+18005550005@evil.test>",
    "X-Emergency-Location: Nowhere Street 1",
    "X-emergency-location: Nowhere Street 2",
    "X-Original-From: +18005550004",
    "User-to-User: 313233",
];

/// Whom a caller would like to be taken for.
const POLICE: [&str; 3] = [
    "P-Preferred-Identity: \"Police\" <sip:110@police.test>",
    "P-Asserted-Identity: \"Police\" <sip:110@police.test>",
    "Remote-Party-ID: \"Police\" <sip:110@police.test>;party=calling;screen=yes;privacy=off",
];

pub fn rows() -> Vec<Row> {
    vec![
        row("a carrier gets no header that the phone made up", OUT, async |t| {
            let _call = t.phone(0).calls_with(&t.outside(), &FORGED);
            has_none(t.carrier(0).rings().await.invite());
        }),
        row("help gets no place that the phone made up", OUT, async |t| {
            let call = t.phone(0).calls_with("112", &FORGED);
            has_none(t.carrier(0).rings().await.invite());
            call.hangs_up().await;
            t.settings(json!({ "routing": { "emergency": { "location": "Berlin, Unter den Linden 1" } } })).await;
            // A call for help does not wait long for what has just changed; another call does.
            assert_ne!(t.phone(0).calls("7999").ended().await.status, 200);
            let _call = t.phone(0).calls_with("112", &FORGED);
            let rings = t.carrier(0).rings().await;
            let places = rings.invite().all("X-Emergency-Location").concat();
            assert!(places.contains("Unter den Linden 1") && !places.contains("Nowhere"), "{places}");
        }),
        row("a phone gets no header that came with a call from outside", IN, async |t| {
            let number = t.number(1).to_owned();
            let _call = t.comes_in("\"Eve\" <sip:+4915112345678@carrier.test>", &number, &FORGED);
            let rings = t.phone(1).rings().await;
            has_none(rings.invite());
            assert_eq!(rings.invite().from().number, "+4915112345678");
        }),
        row("a colleague's phone gets no header that the caller's phone made up", Needs::phones(2), async |t| {
            let _call = t.phone(0).calls_with("1001", &FORGED);
            has_none(t.phone(1).rings().await.invite());
        }),
        row("whoever is called does not choose who the caller believes them to be", Needs::phones(2), async |t| {
            let call = t.phone(0).calls("1001");
            let forged = [
                "P-Asserted-Identity: \"Police\" <sip:110@police.test>",
                "Remote-Party-ID: \"Police\" <sip:110@police.test>;party=called;screen=yes;privacy=off",
                "X-FS-Display-Name: Police",
                "X-FS-Display-Number: 110",
            ];
            let rings = t.phone(1).rings().await.answers_with(&forged).await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
            call.shows_at_last("Phone 1 <1001>").await;
            let story = call.story();
            assert!(!story.contains("Police"), "{story}");
        }),
        row("a carrier's caller does not choose whom phones show by P-Preferred-Identity", IN, async |t| {
            let eve = "\"Eve\" <sip:+4915112345678@carrier.test>";
            let number = t.number(0).to_owned();
            let call = t.comes_in(eve, &number, &[POLICE[0]]);
            let rings = t.phone(0).rings().await;
            assert_eq!(rings.shows(), "Eve <+4915112345678>", "{}", rings.story());
            let rings = rings.answers().await;
            call.answered().await;
            t.talk((&call, t.carrier(0)), (&rings, t.phone(0))).await;
            // After a transfer, too.
            assert_eq!(rings.refers("1001").await, 202);
            let third = t.phone(1).rings().await.answers().await;
            t.talk((&call, t.carrier(0)), (&third, t.phone(1))).await;
            assert_eq!(third.shows(), "Eve <+4915112345678>", "{}", third.story());
            for one in [&rings, &third] {
                is_no_police(one);
            }
            call.hangs_up().await;
            third.ended().await;
            let asserted = "P-Asserted-Identity: <sip:+4915187654321@carrier.test>";
            let _call = t.comes_in(eve, &number, &[asserted, POLICE[0]]);
            let rings = t.phone(0).rings().await;
            assert_eq!(rings.invite().from().number, "+4915187654321", "{}", rings.story());
            is_no_police(&rings);
        }),
        row("whom a carrier's caller would like to be taken for does not pass a block", IN, async |t| {
            let number = t.number(0).to_owned();
            t.settings(json!({ "routing": { "blocked_callers": ["4915112345678"] } })).await;
            let call = t.comes_in("<sip:+4915112345678@carrier.test>", &number, &[POLICE[0]]);
            assert_ne!(call.ended().await.status, 200);
            assert!(t.phone(0).rang().is_none());
            t.settings(json!({ "routing": { "blocked_callers": ["110"] } })).await;
            let _call = t.comes_in("<sip:+4915112345678@carrier.test>", &number, &[POLICE[0]]);
            let _rings = t.phone(0).rings().await;
        }),
        row("a phone does not choose whom a colleague's phone shows", Needs::phones(3), async |t| {
            for header in POLICE {
                let call = t.phone(0).calls_with("1001", &[header]);
                let rings = t.phone(1).rings().await;
                assert_eq!(rings.shows(), "Phone 0 <1000>", "{header}: {}", rings.story());
                let rings = rings.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
                assert_eq!(rings.refers("1002").await, 202);
                let third = t.phone(2).rings().await.answers().await;
                t.talk((&call, t.phone(0)), (&third, t.phone(2))).await;
                assert_eq!(third.shows(), "Phone 0 <1000>", "{header}: {}", third.story());
                is_no_police(&rings);
                is_no_police(&third);
                call.hangs_up().await;
                third.ended().await;
            }
        }),
        row("a phone does not choose whom an agent of a queue is shown", Needs::phones(2), async |t| {
            t.queue("500", &[(1, 1)], json!({})).await;
            for header in POLICE {
                let call = t.phone(0).calls_with("500", &[header]);
                let rings = t.phone(1).rings().await;
                assert_eq!(rings.shows(), "Phone 0 <1000>", "{header}: {}", rings.story());
                let rings = rings.answers().await;
                t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
                is_no_police(&rings);
                call.hangs_up().await;
                rings.ended().await;
            }
        }),
        row("a phone does not choose what a carrier is shown", OUT, async |t| {
            for header in POLICE {
                let call = t.phone(0).calls_with(&t.outside(), &[header]);
                let taken = t.carrier(0).rings().await;
                let invite = taken.invite();
                assert_eq!(
                    (&*invite.from().number, &*invite.remote_party().unwrap().number),
                    (t.number(0), t.number(0))
                );
                assert_eq!((invite.asserted(), invite.header("Privacy")), (None, ""), "{header}: {invite:?}");
                is_no_police(&taken);
                call.hangs_up().await;
                taken.ended().await;
            }
        }),
        row("a REGISTER that names somebody else's address is refused", Needs::phones(2), async |t| {
            for elsewhere in ["203.0.113.9:5060", "127.0.0.9:5060", "sip.carrier.test"] {
                t.phone(1).says_it_is_at(elsewhere);
                assert_eq!(t.phone(1).registers_for(300).await, 403, "{elsewhere}");
            }
            t.phone(1).says_it_is_at(&format!("127.0.0.1:{}", t.phone(1).port()));
            t.phone(1).registers().await;
        }),
        row("an entry of XML runs its actions with their data", Needs::phones(1), async |t| {
            let xml = r#"<extension name="busy"><condition field="destination_number" expression="^7600$"><action application="hangup" data="USER_BUSY"/></condition></extension>"#;
            t.create("dialplan-entries", json!({ "name": "busy", "position": 1, "xml": xml })).await;
            assert_eq!(t.phone(0).calls("7600").ended().await, End { status: 486, cause: Some(17) });
        }),
    ]
}

fn has_none(invite: &Message) {
    for header in FORGED {
        let name = header.split(':').next().unwrap();
        assert_eq!(invite.header(name), "", "{invite:?}");
    }
}

fn is_no_police(call: &Call) {
    for (name, value) in call.received().iter().flat_map(|message| &message.headers) {
        assert!(!value.to_lowercase().contains("police"), "{name}: {value}");
    }
}
