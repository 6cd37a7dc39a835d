//! Withheld numbers: what phones and carriers get, and what they must not get.

use serde_json::{Value, json};

use super::{Needs, Row, Table, row};
use crate::phone::{Call, Message};

const TWO: Needs = Needs::phones(2);
const OUT: Needs = Needs::phones(1).agents(1).carriers(1);
const IN: Needs = Needs::phones(2).agents(2).carriers(1);
const EVE: &str = "\"Eve\" <sip:+4915112345678@carrier.test>";
const EVES_ASSERTED: &str = "P-Asserted-Identity: \"Eve\" <sip:+4915112345678@carrier.test>";
const EVES: [&str; 2] = ["4915112345678", "Eve"];
/// What phones write who know their name.
const OWN: [&str; 3] = [
    "P-Asserted-Identity: \"Zero\" <sip:1000@zero.test>",
    "P-Preferred-Identity: \"Zero\" <sip:1000@zero.test>",
    "Remote-Party-ID: \"Zero\" <sip:1000@zero.test>;party=calling;screen=yes;privacy=off",
];
const NOBODY: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

pub fn rows() -> Vec<Row> {
    vec![
        row("withheld by the phone: a colleague's phone gets no trace of the number", TWO, async |t| {
            t.phone(0).says("Privacy: id");
            stays_hidden(&t, "1001", &["1000", "Phone 0"]).await;
        }),
        row("withheld by the extension: a colleague's phone gets no trace of the number", TWO, async |t| {
            t.handle(0, json!({ "withhold_number": true })).await;
            stays_hidden(&t, "1001", &["1000", "Phone 0"]).await;
        }),
        row("withheld by *31 before a number", TWO, async |t| {
            for dialled in ["*311001", "*31#1001", "#31#1001"] {
                stays_hidden(&t, dialled, &["1000", "Phone 0"]).await;
            }
        }),
        row("withheld for one call: the next shows the number again", TWO, async |t| {
            stays_hidden(&t, "*311001", &["1000", "Phone 0"]).await;
            let (_call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.shows(), "Phone 0 <1000>");
        }),
        row("withheld by the extension, but shown with *32", TWO, async |t| {
            t.handle(0, json!({ "withhold_number": true })).await;
            let _call = t.phone(0).calls("*321001");
            let rings = t.phone(1).rings().await;
            assert_eq!((rings.shows(), rings.invite().from().to_string()), twice("Phone 0 <1000>"));
            assert_eq!(privacy(rings.invite()), "");
        }),
        row("withheld by the phone, but shown with *32", TWO, async |t| {
            t.phone(0).says("Privacy: id");
            let _call = t.phone(0).calls("*321001");
            let rings = t.phone(1).rings().await;
            assert_eq!((rings.shows(), rings.invite().from().to_string()), twice("Phone 0 <1000>"));
        }),
        row(
            "withheld, and forwarded: the next phone gets no trace of the number either",
            Needs::phones(3),
            async |t| {
                t.phone(0).says("Privacy: id");
                t.handle(1, json!({ "forward_always": "1002" })).await;
                let _call = t.phone(0).calls("1001");
                is_hidden(&t.phone(2).rings().await, &["1000", "Phone 0"]);
            },
        ),
        row("withheld, and to a group: no member gets a trace of the number", Needs::phones(3), async |t| {
            let members = [1, 2].map(|n| t.extension_id(n).to_owned());
            t.create("groups", json!({ "name": "Both", "number": "600", "members": members })).await;
            let _call = t.phone(0).calls("*31600");
            is_hidden(&t.phone(1).rings().await, &["1000", "Phone 0"]);
            is_hidden(&t.phone(2).rings().await, &["1000", "Phone 0"]);
        }),
        row("withheld, and transferred blind: the third gets no trace of the number", Needs::phones(3), async |t| {
            t.phone(0).says("Privacy: id");
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("1002").await, 202);
            let third = t.phone(2).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&third, t.phone(2))).await;
            is_hidden(&third, &["1000", "Phone 0"]);
        }),
        row(
            "withheld, and transferred after a question: the third gets no trace of the number",
            Needs::phones(3),
            async |t| {
                t.phone(0).says("Privacy: id");
                let (call, first) = t.connect(0, 1).await;
                first.holds().await;
                let (second, third) = t.connect(1, 2).await;
                assert_eq!(first.refers_to_call(&second).await, 202);
                t.talk((&call, t.phone(0)), (&third, t.phone(2))).await;
                first.ended().await;
                is_hidden(&third, &["1000", "Phone 0"]);
            },
        ),
        row("withheld by the US's code", OUT, async |t| by_code(&t, "US", "*67").await),
        row("withheld by Britain's code", OUT, async |t| by_code(&t, "GB", "141").await),
        row("withheld by a phone that says its name all the same: the colleague's gets no trace", TWO, async |t| {
            for header in OWN {
                let call = t.phone(0).calls_with("1001", &[header, "Privacy: id"]);
                let rings = t.phone(1).rings().await.answers().await;
                call.answered().await;
                t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
                is_hidden(&rings, &["1000", "Phone 0", "Zero"]);
                call.hangs_up().await;
                rings.ended().await;
            }
        }),
        row(
            "withheld by a phone that says its name all the same: a carrier gets the agent's number where it wants it",
            OUT,
            async |t| {
                for header in OWN {
                    let call = t.phone(0).calls_with(&t.outside(), &[header, "Privacy: id"]);
                    let taken = t.carrier(0).rings().await;
                    let invite = taken.invite();
                    assert_eq!(invite.from().to_string(), "Anonymous <anonymous>", "{header}");
                    assert_eq!((&*invite.remote_party().unwrap().number, privacy(invite)), (t.number(0), "id".into()));
                    is_hidden(&taken, &["1000", "Phone 0", "Zero"]);
                    call.hangs_up().await;
                    taken.ended().await;
                }
            },
        ),
        row(
            "withheld by a phone that says its name all the same: a carrier of P-Asserted-Identity gets the agent's number there",
            pai(),
            async |t| {
                for header in OWN {
                    let call = t.phone(0).calls_with(&t.outside(), &[header, "Privacy: id"]);
                    let taken = t.carrier(0).rings().await;
                    let invite = taken.invite();
                    assert_eq!(invite.from().to_string(), "Anonymous <anonymous>", "{header}");
                    assert_eq!((&*invite.asserted().unwrap().number, privacy(invite)), (t.number(0), "id".into()));
                    is_hidden(&taken, &["1000", "Phone 0", "Zero"]);
                    call.hangs_up().await;
                    taken.ended().await;
                }
            },
        ),
        row("withheld: whoever watches the colleague is not told who calls", Needs::phones(3), async |t| {
            let mut lamp = t.phone(2).watches("1001").await;
            t.phone(0).says("Privacy: id");
            let (call, rings) = t.connect(0, 1).await;
            lamp.says("<state>confirmed</state>").await;
            // Also who begins to watch now.
            let mut later = t.phone(2).watches("1001").await;
            later.says("<state>confirmed</state>").await;
            call.hangs_up().await;
            rings.ended().await;
            lamp.says("<state>terminated</state>").await;
            later.says("<state>terminated</state>").await;
            let user = t.extension(0)["sip_username"].as_str().unwrap();
            for body in lamp.all().iter().chain(&later.all()) {
                for trace in ["1000", "Phone 0", user] {
                    assert!(!body.contains(trace), "{trace}: {body}");
                }
            }
        }),
        row("withheld, and picked up in a group: whoever takes the call gets no trace", Needs::phones(3), async |t| {
            let group = t.group("600", &[1, 2], json!({ "pickup": true })).await;
            t.phone(0).says("Privacy: id");
            let call = t.phone(0).calls("600");
            let _rings = t.phone(1).rings().await;
            t.can_be_picked_up(&format!("group+{}", group["id"].as_str().unwrap().replace('-', ""))).await;
            let picks = t.phone(2).calls("*8");
            picks.answered().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&picks, t.phone(2))).await;
            is_hidden(&picks, &["1000", "Phone 0"]);
        }),
        row("withheld, parked and fetched: whoever fetches the call gets no trace", Needs::phones(3), async |t| {
            t.phone(0).says("Privacy: id");
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("*687").await, 202);
            super::parking::is_parked(&t, 7).await;
            let fetched = t.phone(2).calls("*687");
            fetched.answered().await;
            t.talk((&call, t.phone(0)), (&fetched, t.phone(2))).await;
            is_hidden(&fetched, &["1000", "Phone 0"]);
        }),
        row("withheld, and a transfer that comes back: nobody gets a trace", Needs::phones(3), async |t| {
            t.phone(0).says("Privacy: id");
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("1002").await, 202);
            let third = t.phone(2).rings().await;
            third.declines(486).await;
            let back = t.phone(1).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&back, t.phone(1))).await;
            is_hidden(&third, &["1000", "Phone 0"]);
            is_hidden(&back, &["1000", "Phone 0"]);
        }),
        row("withheld, and by intercom: the phone gets no trace", TWO, async |t| {
            stays_hidden(&t, "#31#*801001", &["1000", "Phone 0"]).await;
        }),
        row("withheld, and to a page: no phone gets a trace", TWO, async |t| {
            t.destination("750", "page", json!({ "members": [t.extension_id(1)] })).await;
            let page = t.phone(0).calls("*31750");
            let member = t.phone(1).rings().await.answers().await;
            page.answered().await;
            member.hears_only(&[t.phone(0)]).await;
            is_hidden(&member, &["1000", "Phone 0"]);
        }),
        row(
            "withheld from outside: an agent of a queue gets no trace, nor whoever the call is transferred to",
            IN,
            async |t| {
                t.queue("500", &[(0, 1)], json!({})).await;
                leads_to_queue(&t).await;
                let call = t.comes_in(EVE, t.number(0), &["Privacy: id"]);
                let agent = t.phone(0).rings().await.answers().await;
                t.talk((&call, t.carrier(0)), (&agent, t.phone(0))).await;
                is_hidden(&agent, &EVES);
                assert_eq!(agent.refers("1001").await, 202);
                let third = t.phone(1).rings().await.answers().await;
                t.talk((&call, t.carrier(0)), (&third, t.phone(1))).await;
                is_hidden(&third, &EVES);
            },
        ),
        row("withheld from outside, and transferred after a question: the third gets no trace", IN, async |t| {
            let call = t.comes_in(EVE, t.number(0), &["Privacy: id"]);
            let first = t.phone(0).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.carrier(0)), (&first, t.phone(0))).await;
            first.holds().await;
            let (second, third) = t.connect(0, 1).await;
            assert_eq!(first.refers_to_call(&second).await, 202);
            t.talk((&call, t.carrier(0)), (&third, t.phone(1))).await;
            is_hidden(&third, &EVES);
            is_hidden(&first, &EVES);
        }),
        row("withheld from outside, parked and fetched: whoever fetches the call gets no trace", IN, async |t| {
            let call = t.comes_in(EVE, t.number(0), &["Privacy: id"]);
            let rings = t.phone(0).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.carrier(0)), (&rings, t.phone(0))).await;
            assert_eq!(rings.refers("*687").await, 202);
            super::parking::is_parked(&t, 7).await;
            let fetched = t.phone(1).calls("*687");
            fetched.answered().await;
            t.talk((&call, t.carrier(0)), (&fetched, t.phone(1))).await;
            is_hidden(&fetched, &EVES);
        }),
        row("withheld from outside, and picked up: whoever takes the call gets no trace", IN, async |t| {
            t.handle(0, json!({ "pickup": true })).await;
            let call = t.comes_in(EVE, t.number(0), &["Privacy: id"]);
            let _rings = t.phone(0).rings().await;
            t.can_be_picked_up(t.extension(0)["sip_username"].as_str().unwrap()).await;
            let picks = t.phone(1).calls("*81000");
            picks.answered().await;
            call.answered().await;
            t.talk((&call, t.carrier(0)), (&picks, t.phone(1))).await;
            is_hidden(&picks, &EVES);
        }),
        row("withheld from outside: P-Asserted-Identity with Privacy does not reach the phone", IN, async |t| {
            let _call = t.comes_in(NOBODY, t.number(0), &[EVES_ASSERTED, "Privacy: id"]);
            is_hidden(&t.phone(0).rings().await, &["4915112345678", "Eve"]);
        }),
        row("withheld from outside: P-Asserted-Identity and an anonymous From do not reach the phone", IN, async |t| {
            let _call = t.comes_in(NOBODY, t.number(0), &[EVES_ASSERTED]);
            is_hidden(&t.phone(0).rings().await, &["4915112345678", "Eve"]);
        }),
        row("withheld from outside: a number in From with Privacy does not reach the phone", IN, async |t| {
            let _call = t.comes_in(EVE, t.number(0), &["Privacy: user;id"]);
            is_hidden(&t.phone(0).rings().await, &["4915112345678", "Eve"]);
        }),
        row("withheld from outside: Remote-Party-ID with privacy does not reach the phone", IN, async |t| {
            let header =
                "Remote-Party-ID: \"Eve\" <sip:+4915112345678@carrier.test>;party=calling;privacy=full;screen=yes";
            let _call = t.comes_in(NOBODY, t.number(0), &[header]);
            is_hidden(&t.phone(0).rings().await, &["4915112345678", "Eve"]);
        }),
        row("withheld from outside, but a blocked caller is refused all the same", IN, async |t| {
            t.settings(json!({ "routing": { "blocked_callers": ["4915112345678"] } })).await;
            let call = t.comes_in(NOBODY, t.number(0), &[EVES_ASSERTED, "Privacy: id"]);
            assert_ne!(call.ended().await.status, 200);
            assert!(t.phone(0).rang().is_none());
        }),
        row("not withheld from outside: the asserted number is shown", IN, async |t| {
            let _call = t.comes_in(EVE, t.number(0), &[EVES_ASSERTED, "Privacy: none"]);
            assert_eq!(t.phone(0).rings().await.shows(), "Eve <+4915112345678>");
        }),
        row("withheld between two numbers of the platform: the phone gets no trace of the number", IN, async |t| {
            t.phone(0).says("Privacy: id");
            let _call = t.phone(0).calls(t.number(1));
            is_hidden(&t.phone(1).rings().await, &["1000", "Phone 0", t.number(0).trim_start_matches('+')]);
        }),
        row(
            "withheld to a carrier: From is anonymous, Remote-Party-ID has the number, Privacy says so",
            OUT,
            async |t| {
                let taken = withheld_out(&t).await;
                let invite = taken.invite();
                assert_eq!(
                    (invite.from().to_string(), invite.from().host),
                    ("Anonymous <anonymous>".into(), "anonymous.invalid".into())
                );
                assert_eq!(invite.remote_party().unwrap().number, t.number(0));
                assert!(invite.header("Remote-Party-ID").contains("privacy=full"), "{invite:?}");
                assert_eq!((privacy(invite), invite.asserted()), ("id".into(), None));
                let record = t.outbound(|record| record["caller_id"].is_string()).await;
                assert_eq!(record["caller_id"], t.number(0), "the record keeps it: {record}");
            },
        ),
        row("withheld to a carrier that takes P-Asserted-Identity", pai(), async |t| {
            let taken = withheld_out(&t).await;
            let invite = taken.invite();
            assert_eq!(invite.from().to_string(), "Anonymous <anonymous>");
            assert_eq!(invite.asserted().unwrap().number, t.number(0));
            assert_eq!((privacy(invite), invite.remote_party()), ("id".into(), None));
        }),
        row("withheld to a carrier that takes the number from From", from(), async |t| {
            let taken = withheld_out(&t).await;
            let invite = taken.invite();
            assert_eq!(invite.from().number, t.number(0));
            assert_eq!((privacy(invite), invite.asserted(), invite.remote_party()), ("id".into(), None, None));
        }),
        row("withheld to a carrier that gets no number at all", neither(), async |t| {
            let taken = withheld_out(&t).await;
            is_hidden(&taken, &["1000", "Phone 0", t.number(0).trim_start_matches('+')]);
        }),
        row("not withheld to a carrier that takes P-Asserted-Identity", pai(), async |t| {
            let _call = t.phone(0).calls(&t.outside());
            let taken = t.carrier(0).rings().await;
            let invite = taken.invite();
            assert_eq!((&*invite.from().number, &*invite.asserted().unwrap().number), (t.number(0), t.number(0)));
            assert_eq!((privacy(invite), invite.remote_party()), (String::new(), None));
        }),
        row("withheld, but an emergency call shows the number and asks for no privacy", OUT, async |t| {
            t.phone(0).says("Privacy: id");
            t.handle(0, json!({ "withhold_number": true })).await;
            for dialled in ["112", "*31112", "#31#112"] {
                let call = t.phone(0).calls(dialled);
                let taken = t.carrier(0).rings().await;
                let invite = taken.invite();
                assert_eq!((invite.called(), &*invite.from().number), ("112", t.number(0)), "{dialled}");
                assert!(["", "none"].contains(&&*privacy(invite)), "{dialled}: {}", privacy(invite));
                assert!(invite.header("Remote-Party-ID").contains("privacy=off"), "{dialled}: {invite:?}");
                call.hangs_up().await;
                taken.ended().await;
            }
        }),
        row("withheld for a call out with *31, from a number dialled as 00", OUT, async |t| {
            let _call = t.phone(0).calls(&format!("*310049{}", &t.outside()[3..]));
            let taken = t.carrier(0).rings().await;
            assert_eq!(
                (taken.invite().from().host, privacy(taken.invite())),
                ("anonymous.invalid".into(), "id".into())
            );
        }),
        row("withheld for a call out with *31 before a speed dial", OUT, async |t| {
            t.settings(json!({ "routing": { "speed_dials": { "07": t.outside() } } })).await;
            for code in ["*31*007", "#31#*007"] {
                let call = t.phone(0).calls(code);
                let taken = t.carrier(0).rings().await;
                assert_eq!(
                    (taken.invite().from().host, privacy(taken.invite())),
                    ("anonymous.invalid".into(), "id".into()),
                    "{code}"
                );
                taken.declines(486).await;
                call.ended().await;
            }
        }),
    ]
}

/// What leads to the queue: the number of the first agent.
async fn leads_to_queue(t: &Table) {
    let queue = t.api("GET", &format!("/v1/tenants/{}/destinations", t.tenant()), Value::Null).await.json();
    let numbers = t.api("GET", &format!("/v1/phone-numbers?tenant_id={}", t.tenant()), Value::Null).await.json();
    let own = numbers["items"].as_array().unwrap().iter().find(|one| one["number"] == t.number(0)).unwrap();
    let path = format!("/v1/phone-numbers/{}?tenant_id={}", own["id"].as_str().unwrap(), t.tenant());
    t.make("PATCH", &path, json!({ "destination": { "kind": "queue", "id": queue["items"][0]["id"] } })).await;
}

/// A call out with the code of a country before a number as it is dialled there.
async fn by_code(t: &Table, country: &str, code: &str) {
    t.settings(json!({ "country": country, "features": { "international_calls": true } })).await;
    let call = t.phone(0).calls(&format!("{code}00{}", &t.outside()[1..]));
    let taken = t.carrier(0).rings().await;
    assert_eq!(taken.invite().called(), &t.outside()[1..]);
    assert_eq!((taken.invite().from().host, privacy(taken.invite())), ("anonymous.invalid".into(), "id".into()));
    call.hangs_up().await;
    taken.ended().await;
    let _call = t.phone(0).calls(&format!("00{}", &t.outside()[1..]));
    let taken = t.carrier(0).rings().await;
    assert_eq!((&*taken.invite().from().number, &*privacy(taken.invite())), (t.number(0), ""));
}

fn pai() -> Needs {
    OUT.carriers_with(1, || json!({ "caller_id_header": "p_asserted_identity" }))
}

fn from() -> Needs {
    OUT.carriers_with(1, || json!({ "caller_id_header": "absent", "anonymous_from": false }))
}

fn neither() -> Needs {
    OUT.carriers_with(1, || json!({ "caller_id_header": "absent" }))
}

fn twice(text: &str) -> (String, String) {
    (text.to_owned(), text.to_owned())
}

fn privacy(message: &Message) -> String {
    message.header("Privacy").to_owned()
}

/// A call out, with the number withheld by the phone.
async fn withheld_out(t: &Table) -> Call {
    t.phone(0).says("Privacy: id");
    let call = t.phone(0).calls(&t.outside());
    let taken = t.carrier(0).rings().await.answers().await;
    call.answered().await;
    t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
    taken
}

/// The first phone calls; the second is not told who, neither when it rings nor when it answers.
async fn stays_hidden(t: &Table, dialled: &str, traces: &[&str]) {
    let call = t.phone(0).calls(dialled);
    let rings = t.phone(1).rings().await.answers().await;
    call.answered().await;
    t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
    is_hidden(&rings, traces);
    assert_eq!(rings.shows(), "Anonymous <anonymous>");
    call.hangs_up().await;
    rings.ended().await;
}

/// Nothing that came in this call has a trace of the caller, wherever it is, except in who was called.
pub(super) fn is_hidden(call: &Call, traces: &[&str]) {
    for message in call.received() {
        for (name, value) in &message.headers {
            let found = traces.iter().find(|trace| value.contains(**trace));
            // Random tags and ids may hold the same digits.
            let is_random = matches!(&**name, "Call-ID" | "Via" | "CSeq" | "X-FS-Support");
            let value = value.split(";tag=").next().unwrap_or_default();
            assert!(
                is_random || found.is_none_or(|trace| !value.contains(*trace)),
                "{name}: {value}\n{}",
                call.story()
            );
        }
        assert!(traces.iter().all(|trace| !message.body.contains(&format!("\"{trace}\""))), "{}", message.body);
    }
}
