//! Codecs: every leg is offered its own list, however the call gets there, and the switch translates.

use serde_json::json;

use super::{Needs, Row, row};
use crate::phone::Call;

const TWO: Needs = Needs::phones(2);
const THREE: Needs = Needs::phones(3);
const OUT: Needs = Needs::phones(1).agents(1).carriers(1);

pub fn rows() -> Vec<Row> {
    vec![
        row("codecs: a group offers each member more than the caller has", THREE, async |t| {
            t.phone(0).speaks(&["PCMU"]);
            t.phone(1).speaks(&["PCMA"]);
            t.group("600", &[1, 2], json!({})).await;
            let call = t.phone(0).calls("600");
            let other = t.phone(2).rings().await;
            let taken = t.phone(1).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&taken, t.phone(1))).await;
            assert_eq!(other.ended().await.status, 487);
        }),
        row("codecs: a blind transfer offers the third phone its own", THREE, async |t| {
            t.phone(0).speaks(&["PCMU"]);
            t.phone(2).speaks(&["PCMA"]);
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("1002").await, 202);
            let third = t.phone(2).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&third, t.phone(2))).await;
        }),
        row("codecs: an attended transfer connects phones with no codec in common", THREE, async |t| {
            t.phone(0).speaks(&["PCMU"]);
            t.phone(2).speaks(&["PCMA"]);
            let (call, first) = t.connect(0, 1).await;
            first.holds().await;
            let (second, third) = t.connect(1, 2).await;
            assert_eq!(first.refers_to_call(&second).await, 202);
            t.talk((&call, t.phone(0)), (&third, t.phone(2))).await;
        }),
        row("codecs: a queue offers an agent their own", Needs::phones(2), async |t| {
            t.phone(0).speaks(&["PCMU"]);
            t.phone(1).speaks(&["PCMA"]);
            t.queue("500", &[(1, 1)], json!({})).await;
            let call = t.phone(0).calls("500");
            let taken = t.phone(1).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&taken, t.phone(1))).await;
        }),
        row("codecs: a page offers each phone its own", Needs::phones(2), async |t| {
            t.phone(0).speaks(&["PCMU"]);
            t.phone(1).speaks(&["PCMA"]);
            t.destination("750", "page", json!({ "members": [t.extension_id(1)] })).await;
            let page = t.phone(0).calls("750");
            let member = t.phone(1).rings().await.answers().await;
            page.answered().await;
            member.hears_only(&[t.phone(0)]).await;
        }),
        row("codecs: a conference has phones with no codec in common", Needs::phones(2), async |t| {
            t.phone(0).speaks(&["PCMU"]);
            t.phone(1).speaks(&["PCMA"]);
            t.destination("700", "conference", json!({})).await;
            let calls = [0, 1].map(|n| t.phone(n).calls("700"));
            for call in &calls {
                call.answered().await;
            }
            t.talk((&calls[0], t.phone(0)), (&calls[1], t.phone(1))).await;
        }),
        row("codecs: an extension's own list is what its phone is offered", Needs::phones(2), async |t| {
            t.patch_phone(1, json!({ "codecs": "PCMA" })).await;
            t.phone(0).speaks(&["PCMU"]);
            let call = t.phone(0).calls("1001");
            let rings = t.phone(1).rings().await;
            assert_eq!(rings.invite().codecs(), ["PCMA/8000"]);
            let rings = rings.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
        }),
        row(
            "codecs: without a list, the caller's come first, and Opus and both laws are there",
            Needs::phones(2),
            async |t| {
                t.phone(0).speaks(&["PCMA", "PCMU"]);
                let _call = t.phone(0).calls("1001");
                let offered = t.phone(1).rings().await.invite().codecs();
                assert_eq!(offered.first().map(String::as_str), Some("PCMA/8000"), "{offered:?}");
                for codec in ["opus/48000", "PCMU/8000", "PCMA/8000"] {
                    assert!(
                        offered.iter().any(|one| one.to_lowercase().starts_with(&codec.to_lowercase())),
                        "{offered:?}"
                    );
                }
            },
        ),
        row(
            "codecs: a carrier's own list is what it is offered",
            OUT.carriers_with(1, || json!({ "codecs": "PCMA" })),
            async |t| {
                t.phone(0).speaks(&["PCMU"]);
                let call = t.phone(0).calls(&t.outside());
                let taken = t.carrier(0).rings().await;
                assert_eq!(taken.invite().codecs(), ["PCMA/8000"]);
                let taken = taken.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
            },
        ),
        row("codecs: from outside with one codec to a phone with another", OUT, async |t| {
            t.carrier(0).speaks(&["PCMA"]);
            t.phone(0).speaks(&["PCMU"]);
            let call = t.comes_in("<sip:+4915112345678@carrier.test>", t.number(0), &[]);
            let rings = t.phone(0).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.carrier(0)), (&rings, t.phone(0))).await;
        }),
        row(
            "codecs: follow-me to outside offers a carrier what it can take",
            Needs::phones(2).agents(2).carriers(1),
            async |t| {
                t.handle(1, json!({ "follow_me": [{ "number": t.outside() }] })).await;
                let call = t.phone(0).calls("1001");
                let rings = t.phone(1).rings().await;
                let taken = t.carrier(0).rings().await;
                let offered = taken.invite().codecs();
                assert_eq!(&offered[..2], ["PCMA/8000", "PCMU/8000"], "{offered:?}");
                assert!(offered.iter().all(|codec| !codec.starts_with("L16")), "{offered:?}");
                let taken: Call = taken.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
                assert_eq!(rings.ended().await.status, 487);
            },
        ),
        row("codecs: follow-me to a colleague offers their phone its own, and no L16", THREE, async |t| {
            t.phone(0).speaks(&["PCMU"]);
            t.phone(2).speaks(&["PCMA"]);
            t.handle(1, json!({ "follow_me": [{ "number": "1002" }] })).await;
            let call = t.phone(0).calls("1001");
            let _rings = t.phone(1).rings().await;
            let taken = t.phone(2).rings().await;
            let offered = taken.invite().codecs();
            assert!(offered.iter().all(|codec| !codec.starts_with("L16")), "{offered:?}");
            for codec in ["opus/48000", "PCMU/8000", "PCMA/8000"] {
                assert!(offered.iter().any(|one| one.to_lowercase().starts_with(&codec.to_lowercase())), "{offered:?}");
            }
            let taken = taken.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&taken, t.phone(2))).await;
        }),
        row(
            "codecs: follow-me to a carrier with a list offers that list alone",
            Needs::phones(2).agents(2).carriers_with(1, || json!({ "codecs": "PCMA" })),
            async |t| {
                t.handle(1, json!({ "follow_me": [{ "number": t.outside() }] })).await;
                let call = t.phone(0).calls("1001");
                let taken = t.carrier(0).rings().await;
                assert_eq!(taken.invite().codecs(), ["PCMA/8000"]);
                let taken = taken.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
            },
        ),
        row(
            "codecs: a member's forward that a group follows offers a carrier no L16",
            Needs::phones(2).agents(2).carriers(1),
            async |t| {
                t.handle(1, json!({ "forward_always": t.outside() })).await;
                t.group("600", &[1], json!({ "follow_forwards": true })).await;
                let call = t.phone(0).calls("600");
                let taken = t.carrier(0).rings().await;
                let offered = taken.invite().codecs();
                assert_eq!(&offered[..2], ["PCMA/8000", "PCMU/8000"], "{offered:?}");
                assert!(offered.iter().all(|codec| !codec.starts_with("L16")), "{offered:?}");
                let taken = taken.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
            },
        ),
        row("codecs: what both phones have is not translated, whichever the called one chooses", TWO, async |t| {
            t.phone(0).speaks(&["PCMU", "PCMA"]);
            for one in ["PCMA", "PCMU"] {
                t.phone(1).speaks(&[one]);
                let (call, rings) = t.connect(0, 1).await;
                assert_eq!((call.codec().await, rings.codec().await), (one, one));
                call.hangs_up().await;
                rings.ended().await;
            }
        }),
        row("codecs: what an extension's own list leaves is not translated if the caller has it", TWO, async |t| {
            t.patch_phone(1, json!({ "codecs": "PCMA" })).await;
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!((call.codec().await, rings.codec().await), ("PCMA", "PCMA"));
            // The next call is another's.
            t.phone(0).speaks(&["PCMU"]);
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!((call.codec().await, rings.codec().await), ("PCMU", "PCMA"));
        }),
        row("codecs: what a group's member chooses is not translated if the caller has it", THREE, async |t| {
            t.phone(1).speaks(&["PCMA"]);
            t.group("600", &[1, 2], json!({})).await;
            let call = t.phone(0).calls("600");
            let _other = t.phone(2).rings().await;
            let taken = t.phone(1).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&taken, t.phone(1))).await;
            assert_eq!((call.codec().await, taken.codec().await), ("PCMA", "PCMA"));
        }),
        row(
            "codecs: what a carrier's list leaves is not translated if the caller has it",
            OUT.carriers_with(1, || json!({ "codecs": "PCMA" })),
            async |t| {
                let call = t.phone(0).calls(&t.outside());
                let taken = t.carrier(0).rings().await.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
                assert_eq!((call.codec().await, taken.codec().await), ("PCMA", "PCMA"));
                // Held and resumed, each side still has it.
                call.holds().await;
                call.resumes().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
            },
        ),
        row("codecs: what a phone chooses is not translated if the caller from outside has it", OUT, async |t| {
            t.phone(0).speaks(&["PCMA"]);
            let call = t.comes_in("<sip:+4915112345678@carrier.test>", t.number(0), &[]);
            let rings = t.phone(0).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.carrier(0)), (&rings, t.phone(0))).await;
            assert_eq!((call.codec().await, rings.codec().await), ("PCMA", "PCMA"));
        }),
        row(
            "codecs: what a carrier chooses for its announcement is not translated if the caller has it",
            OUT,
            async |t| {
                t.carrier(0).speaks(&["PCMA"]);
                let call = t.phone(0).calls(&t.outside());
                let taken = t.carrier(0).rings().await.plays_early().await;
                call.hears(t.carrier(0)).await;
                let taken = taken.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
                assert_eq!((call.codec().await, taken.codec().await), ("PCMA", "PCMA"));
            },
        ),
        row(
            "codecs: after a menu, the phone is offered more than the one codec of the answered call",
            Needs::phones(2),
            async |t| {
                t.phone(0).speaks(&["PCMU"]);
                t.phone(1).speaks(&["PCMA"]);
                let menu = json!({ "greeting": { "file": "digits/1.wav" }, "entries": { "1": { "kind": "extension", "id": t.extension_id(1) } } });
                t.destination("710", "ivr", menu).await;
                let call = t.phone(0).calls("710");
                call.answered().await;
                call.presses("1").await;
                let rings = t.phone(1).rings().await.answers().await;
                t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
            },
        ),
        row("codecs: a phone with Opus alone and one with PCMU alone", Needs::phones(2), async |t| {
            t.phone(0).speaks(&["PCMU"]);
            t.phone(1).speaks(&["OPUS"]);
            let call = t.phone(0).calls("1001");
            let rings = t.phone(1).rings().await.answers().await;
            call.answered().await;
            call.hears_only(&[t.phone(0)]).await;
            assert_eq!((call.codec().await, rings.codec().await), ("PCMU", "OPUS"));
        }),
        row(
            "codecs: a phone with Opus alone calls one with PCMA alone, and is put through to one with PCMU",
            Needs::phones(3),
            async |t| {
                t.phone(0).speaks(&["OPUS"]);
                t.phone(1).speaks(&["PCMA"]);
                t.phone(2).speaks(&["PCMU"]);
                let call = t.phone(0).calls("1001");
                let rings = t.phone(1).rings().await.answers().await;
                call.answered().await;
                rings.hears_only(&[t.phone(1)]).await;
                assert_eq!(rings.refers("1002").await, 202);
                let third = t.phone(2).rings().await.answers().await;
                third.hears_only(&[t.phone(2)]).await;
                assert_eq!((call.codec().await, third.codec().await), ("OPUS", "PCMU"));
            },
        ),
        row(
            "codecs: a phone with Opus alone and a carrier with PCMA alone, both ways",
            Needs::phones(1).agents(1).carriers(1),
            async |t| {
                t.phone(0).speaks(&["OPUS"]);
                t.carrier(0).speaks(&["PCMA"]);
                let call = t.phone(0).calls(&t.outside());
                let taken = t.carrier(0).rings().await.answers().await;
                call.answered().await;
                taken.hears_only(&[t.carrier(0)]).await;
                call.hangs_up().await;
                taken.ended().await;
                let call = t.comes_in("<sip:+4915112345678@carrier.test>", t.number(0), &[]);
                let rings = t.phone(0).rings().await.answers().await;
                call.answered().await;
                call.hears_only(&[t.carrier(0)]).await;
                assert_eq!(rings.codec().await, "OPUS");
            },
        ),
    ]
}
