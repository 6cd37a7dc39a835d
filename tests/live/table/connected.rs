//! Connected line: whom phones show once a call is answered.

use serde_json::{Value, json};

use super::{Needs, Row, row};
use crate::phone::Call;

const FOUR: Needs = Needs::phones(4);
const IN_THREE: Needs = Needs::phones(3).agents(1).carriers(1);
const IN: Needs = Needs::phones(2).agents(1).carriers(1);
const EVE: &str = "\"Eve\" <sip:+4915112345678@carrier.test>";

pub fn rows() -> Vec<Row> {
    vec![
        row("connected: a caller's phone shows the colleague who answered", Needs::phones(2), async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!((call.shows(), rings.shows()), ("Phone 1 <1001>".into(), "Phone 0 <1000>".into()));
        }),
        row(
            "connected: a caller's phone shows the number outside",
            Needs::phones(1).agents(1).carriers(1),
            async |t| {
                let call = t.phone(0).calls(&t.outside());
                let _taken = t.carrier(0).rings().await.answers().await;
                call.answered().await;
                let number = t.outside();
                assert_eq!(call.shows(), format!("{number} <{number}>"));
            },
        ),
        row("connected: after a blind transfer, both show each other", Needs::phones(3), async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("1002").await, 202);
            let third = t.phone(2).rings().await;
            assert_eq!(third.shows(), "Phone 0 <1000>");
            let third = third.answers().await;
            call.shows_at_last("Phone 2 <1002>").await;
            assert_eq!(third.shows(), "Phone 0 <1000>");
            names_nobody_wrongly(&[&call, &rings, &third]);
        }),
        row("connected: after an attended transfer, both show each other", Needs::phones(3), async |t| {
            let (call, first) = t.connect(0, 1).await;
            first.holds().await;
            let (second, third) = t.connect(1, 2).await;
            assert_eq!(first.refers_to_call(&second).await, 202);
            call.shows_at_last("Phone 2 <1002>").await;
            third.shows_at_last("Phone 0 <1000>").await;
            names_nobody_wrongly(&[&call, &first, &second, &third]);
        }),
        row("connected: after a pick-up, both show each other", Needs::phones(3), async |t| {
            t.handle(1, json!({ "pickup": true })).await;
            let call = t.phone(0).calls("1001");
            let rings = t.phone(1).rings().await;
            t.can_be_picked_up(t.extension(1)["sip_username"].as_str().unwrap()).await;
            let picks = t.phone(2).calls("*81001");
            picks.answered().await;
            call.answered().await;
            call.shows_at_last("Phone 2 <1002>").await;
            picks.shows_at_last("Phone 0 <1000>").await;
            names_nobody_wrongly(&[&call, &picks, &rings]);
        }),
        row("connected: after a pick-up in a group, both show each other", Needs::phones(3), async |t| {
            let group = t.group("600", &[1, 2], json!({ "pickup": true })).await;
            let call = t.phone(0).calls("600");
            let rings = t.phone(1).rings().await;
            t.can_be_picked_up(&format!("group+{}", simple(&group["id"]))).await;
            let picks = t.phone(2).calls("*8");
            picks.answered().await;
            call.answered().await;
            call.shows_at_last("Phone 2 <1002>").await;
            picks.shows_at_last("Phone 0 <1000>").await;
            names_nobody_wrongly(&[&call, &picks, &rings]);
        }),
        row(
            "connected: after a pick-up of a caller from outside, the phone shows the caller",
            Needs::phones(2).agents(1).carriers(1),
            async |t| {
                t.handle(0, json!({ "pickup": true })).await;
                let call = t.comes_in("\"Eve\" <sip:+4915112345678@carrier.test>", t.number(0), &[]);
                let _rings = t.phone(0).rings().await;
                t.can_be_picked_up(t.extension(0)["sip_username"].as_str().unwrap()).await;
                let picks = t.phone(1).calls("*81000");
                picks.answered().await;
                call.answered().await;
                picks.shows_at_last("Eve <+4915112345678>").await;
                names_nobody_wrongly(&[&picks]);
            },
        ),
        row(
            "connected: whoever picks a call up with their number withheld is not shown",
            Needs::phones(3),
            async |t| {
                t.handle(1, json!({ "pickup": true })).await;
                t.handle(2, json!({ "withhold_number": true })).await;
                let call = t.phone(0).calls("1001");
                let _rings = t.phone(1).rings().await;
                t.can_be_picked_up(t.extension(1)["sip_username"].as_str().unwrap()).await;
                let picks = t.phone(2).calls("*81001");
                call.answered().await;
                picks.shows_at_last("Phone 0 <1000>").await;
                t.talk((&call, t.phone(0)), (&picks, t.phone(2))).await;
                let user = t.extension(2)["sip_username"].as_str().unwrap();
                for message in call.received() {
                    let tells = message.headers.iter().find(|(name, value)| {
                        name != "Record-Route" && ["1002", "Phone 2", user].iter().any(|told| value.contains(told))
                    });
                    assert!(tells.is_none(), "{tells:?}");
                }
            },
        ),
        row("connected: a caller with a withheld number stays unknown to who picks up", Needs::phones(3), async |t| {
            t.handle(0, json!({ "withhold_number": true })).await;
            t.handle(1, json!({ "pickup": true })).await;
            let call = t.phone(0).calls("1001");
            let _rings = t.phone(1).rings().await;
            t.can_be_picked_up(t.extension(1)["sip_username"].as_str().unwrap()).await;
            let picks = t.phone(2).calls("*81001");
            call.answered().await;
            picks.answered().await;
            t.talk((&call, t.phone(0)), (&picks, t.phone(2))).await;
            call.shows_at_last("Phone 2 <1002>").await;
            let user = t.extension(0)["sip_username"].as_str().unwrap();
            for message in picks.received() {
                let tells = message
                    .headers
                    .iter()
                    .find(|(_, value)| ["1000", "Phone 0", user].iter().any(|told| value.contains(told)));
                assert!(tells.is_none(), "{tells:?}");
            }
        }),
        row("connected: after a call is fetched from its slot, both show each other", Needs::phones(3), async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("*687").await, 202);
            rings.ended().await;
            let lot = format!("valet_info park@{}", t.domain());
            t.until("parked", move |switch| switch.api(&lot).contains("</extension>")).await;
            let fetched = t.phone(2).calls("*687");
            fetched.answered().await;
            fetched.shows_at_last("Phone 0 <1000>").await;
            call.shows_at_last("Phone 2 <1002>").await;
            names_nobody_wrongly(&[&call, &fetched]);
        }),
        row("connected: a group's caller shows the member who answered", Needs::phones(3), async |t| {
            t.group("600", &[1, 2], json!({})).await;
            let call = t.phone(0).calls("600");
            let (one, two) = (t.phone(1).rings().await, t.phone(2).rings().await);
            let two = two.answers().await;
            call.answered().await;
            call.shows_at_last("Phone 2 <1002>").await;
            names_nobody_wrongly(&[&call, &one, &two]);
        }),
        row("connected: after a forward, the caller shows who answered", Needs::phones(3), async |t| {
            t.handle(1, json!({ "forward_always": "1002" })).await;
            let call = t.phone(0).calls("1001");
            let rings = t.phone(2).rings().await;
            assert_eq!(rings.shows(), "Phone 0 <1000>");
            let rings = rings.answers().await;
            call.answered().await;
            call.shows_at_last("Phone 2 <1002>").await;
            names_nobody_wrongly(&[&call, &rings]);
        }),
        row(
            "connected: a forwarded phone's colleague is told who forwards, and who is given the call then is not",
            FOUR,
            async |t| {
                t.handle(1, json!({ "forward_always": "1002" })).await;
                let call = t.phone(0).calls("1001");
                let rings = t.phone(2).rings().await;
                assert_eq!(rings.shows(), "Phone 0 <1000>");
                assert_eq!(rings.invite().header("Diversion"), format!("<sip:1001@{}>;reason=unknown", t.domain()));
                let rings = rings.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&rings, t.phone(2))).await;
                assert_eq!(rings.refers("1003").await, 202);
                let given = t.phone(3).rings().await;
                assert_eq!(given.invite().header("Diversion"), "", "{}", given.story());
            },
        ),
        row(
            "connected: a forward when nobody answers is told by a group, whose phones all say who forwards",
            FOUR,
            async |t| {
                t.handle(1, json!({ "forward_no_answer": "600" })).await;
                t.patch_phone(1, json!({ "ring_seconds": 5 })).await;
                t.group("600", &[2, 3], json!({})).await;
                let _call = t.phone(0).calls("1001");
                let own = t.phone(1).rings().await;
                assert_eq!(own.invite().header("Diversion"), "");
                for phone in [2, 3] {
                    let rings = t.phone(phone).rings().await;
                    assert_eq!(rings.invite().header("Diversion"), format!("<sip:1001@{}>;reason=unknown", t.domain()));
                }
            },
        ),
        row("connected: who forwards with their number withheld is not told", Needs::phones(3), async |t| {
            t.handle(1, json!({ "forward_always": "1002", "withhold_number": true })).await;
            let _call = t.phone(0).calls("1001");
            let rings = t.phone(2).rings().await;
            assert_eq!(rings.invite().header("Diversion"), "", "{}", rings.story());
            super::withheld::is_hidden(&rings, &["1001", "Phone 1"]);
        }),
        row("connected: a caller from outside is forwarded to a colleague, whose phone says by whom", IN, async |t| {
            t.handle(0, json!({ "forward_always": "1001" })).await;
            let _call = t.comes_in(EVE, t.number(0), &["Diversion: <sip:+4930999999@carrier.test>"]);
            let rings = t.phone(1).rings().await;
            assert_eq!(rings.shows(), "Eve <+4915112345678>", "{}", rings.story());
            assert_eq!(rings.invite().header("Diversion"), format!("<sip:1000@{}>;reason=unknown", t.domain()));
        }),
        row(
            "connected: what is forwarded inside and then outside says nothing there of numbers inside",
            IN_THREE,
            async |t| {
                t.handle(0, json!({ "forward_always": t.outside() })).await;
                t.handle(1, json!({ "forward_always": "1000" })).await;
                let _call = t.phone(2).calls("1001");
                let taken = t.carrier(0).rings().await;
                let told = taken.invite().header("Diversion").to_owned();
                assert!(told.contains(&t.number(0)[1..]) && !told.contains("sip:100"), "{told}");
            },
        ),
        row("connected: after a blind transfer of a caller from outside, the third phone shows them", IN, async |t| {
            let call = t.comes_in(EVE, t.number(0), &[]);
            let agent = t.phone(0).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.carrier(0)), (&agent, t.phone(0))).await;
            assert_eq!(agent.refers("1001").await, 202);
            let third = t.phone(1).rings().await;
            assert_eq!(third.shows(), "Eve <+4915112345678>", "{}", third.story());
            let third = third.answers().await;
            t.talk((&call, t.carrier(0)), (&third, t.phone(1))).await;
            assert_eq!(third.shows(), "Eve <+4915112345678>", "{}", third.story());
            names_nobody_wrongly(&[&agent, &third]);
        }),
        row(
            "connected: after an attended transfer of a caller from outside, the third phone shows them",
            IN,
            async |t| {
                let call = t.comes_in(EVE, t.number(0), &[]);
                let first = t.phone(0).rings().await.answers().await;
                call.answered().await;
                t.talk((&call, t.carrier(0)), (&first, t.phone(0))).await;
                first.holds().await;
                let (second, third) = t.connect(0, 1).await;
                assert_eq!(first.refers_to_call(&second).await, 202);
                third.shows_at_last("Eve <+4915112345678>").await;
                t.talk((&call, t.carrier(0)), (&third, t.phone(1))).await;
                names_nobody_wrongly(&[&first, &second, &third]);
            },
        ),
        row(
            "connected: after a call out is transferred, the colleague's phone shows the number outside",
            IN,
            async |t| {
                let call = t.phone(0).calls(&t.outside());
                let taken = t.carrier(0).rings().await.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
                assert_eq!(call.refers("1001").await, 202);
                let third = t.phone(1).rings().await.answers().await;
                t.talk((&third, t.phone(1)), (&taken, t.carrier(0))).await;
                let number = t.outside();
                third.shows_at_last(&format!("{number} <{number}>")).await;
                names_nobody_wrongly(&[&call, &third]);
            },
        ),
        row("connected: after a caller from outside is fetched from a slot, the phone shows them", IN, async |t| {
            let call = t.comes_in(EVE, t.number(0), &[]);
            let agent = t.phone(0).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.carrier(0)), (&agent, t.phone(0))).await;
            assert_eq!(agent.refers("*687").await, 202);
            super::parking::is_parked(&t, 7).await;
            let fetched = t.phone(1).calls("*687");
            fetched.answered().await;
            fetched.shows_at_last("Eve <+4915112345678>").await;
            names_nobody_wrongly(&[&agent, &fetched]);
        }),
        row("connected: after a transfer that comes back, both show each other", Needs::phones(3), async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("1002").await, 202);
            t.phone(2).rings().await.declines(486).await;
            let back = t.phone(1).rings().await.answers().await;
            call.shows_at_last("Phone 1 <1001>").await;
            t.talk((&call, t.phone(0)), (&back, t.phone(1))).await;
            assert!(["Recall Phone 0 <1000>", "Phone 0 <1000>"].contains(&&*back.shows()), "{}", back.story());
            names_nobody_wrongly(&[&call, &rings, &back]);
        }),
        row("connected: whoever is paged sees who pages", Needs::phones(3), async |t| {
            let members = [1, 2].map(|n| t.extension_id(n).to_owned());
            t.destination("750", "page", json!({ "members": members })).await;
            let page = t.phone(0).calls("750");
            let (one, two) = (t.phone(1).rings().await, t.phone(2).rings().await);
            assert_eq!((one.shows(), two.shows()), ("Phone 0 <1000>".into(), "Phone 0 <1000>".into()));
            let one = one.answers().await;
            page.answered().await;
            one.hears_only(&[t.phone(0)]).await;
            assert_eq!(one.shows(), "Phone 0 <1000>", "{}", one.story());
            // A phone that does not answer by itself does not ring for long.
            two.ended().await;
            names_nobody_wrongly(&[&page, &one, &two]);
        }),
        row("connected: whoever is paged from outside sees the caller", IN, async |t| {
            let page = t.destination("750", "page", json!({ "members": [t.extension_id(0), t.extension_id(1)] })).await;
            leads_to(&t, "page", &page).await;
            let call = t.comes_in(EVE, t.number(0), &[]);
            let member = t.phone(1).rings().await;
            assert_eq!(member.shows(), "Eve <+4915112345678>", "{}", member.story());
            let member = member.answers().await;
            call.answered().await;
            member.hears_only(&[t.carrier(0)]).await;
            names_nobody_wrongly(&[&call, &member]);
        }),
        row("connected: whoever is called by intercom sees who calls", Needs::phones(2), async |t| {
            let call = t.phone(0).calls("*801001");
            let rings = t.phone(1).rings().await;
            assert_eq!(rings.shows(), "Phone 0 <1000>");
            let rings = rings.answers().await;
            call.shows_at_last("Phone 1 <1001>").await;
            names_nobody_wrongly(&[&call, &rings]);
        }),
        row("connected: a colleague whom their caller gives to others is shown there", Needs::phones(3), async |t| {
            t.group("600", &[2], json!({})).await;
            t.destination("750", "page", json!({ "members": [t.extension_id(2)] })).await;
            t.queue("500", &[(2, 1)], json!({})).await;
            t.agent_is(2, "Available").await;
            for to in ["1002", "600", "750", "500"] {
                let (call, rings) = t.connect(0, 1).await;
                assert_eq!(call.refers(to).await, 202);
                let third = t.phone(2).rings().await;
                assert_eq!(third.shows(), "Phone 1 <1001>", "{to} {}", third.story());
                let third = third.answers().await;
                third.hears(t.phone(1)).await;
                assert_eq!(third.shows(), "Phone 1 <1001>", "{to} {}", third.story());
                names_nobody_wrongly(&[&call, &rings, &third]);
                rings.hangs_up().await;
                third.ended().await;
            }
        }),
        row("connected: a number outside that is given to others is shown there", IN, async |t| {
            t.group("600", &[1], json!({})).await;
            t.queue("500", &[(1, 1)], json!({})).await;
            t.agent_is(1, "Available").await;
            let shown = format!("{} <{}>", t.outside(), t.outside());
            for to in ["1001", "600", "500"] {
                let call = t.phone(0).calls(&t.outside());
                let taken = t.carrier(0).rings().await.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
                assert_eq!(call.refers(to).await, 202);
                let third = t.phone(1).rings().await;
                let before = third.shows();
                let third = third.answers().await;
                third.hears(t.carrier(0)).await;
                assert_eq!((before, third.shows()), (shown.clone(), shown.clone()), "{to} {}", third.story());
                names_nobody_wrongly(&[&call, &third]);
                taken.hangs_up().await;
                third.ended().await;
            }
        }),
        row("connected: a conference has a name, and no number of zeros", Needs::phones(1), async |t| {
            t.destination("700", "conference", json!({})).await;
            let call = t.phone(0).calls("700");
            call.answered().await;
            names_nobody_wrongly(&[&call]);
        }),
    ]
}

/// Has the first agent's number lead to something else.
async fn leads_to(t: &super::Table, kind: &str, id: &str) {
    let numbers = t.api("GET", &format!("/v1/phone-numbers?tenant_id={}", t.tenant()), Value::Null).await.json();
    let own = numbers["items"].as_array().unwrap().iter().find(|one| one["number"] == t.number(0)).unwrap();
    let path = format!("/v1/phone-numbers/{}?tenant_id={}", own["id"].as_str().unwrap(), t.tenant());
    t.make("PATCH", &path, json!({ "destination": { "kind": kind, "id": id } })).await;
}

/// An id as switches write it.
fn simple(id: &Value) -> String {
    id.as_str().unwrap().replace('-', "")
}

/// No phone is ever shown what a switch calls a leg for want of a name.
pub(super) fn names_nobody_wrongly(calls: &[&Call]) {
    for message in calls.iter().flat_map(|call| call.received()) {
        for (name, value) in &message.headers {
            let wrong = ["Outbound Call", "0000000000", "conference <"].iter().any(|wrong| value.contains(wrong));
            assert!(!wrong, "{name}: {value}");
        }
    }
}
