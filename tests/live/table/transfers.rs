//! Transfers, and calls that others take.

use serde_json::json;

use super::{Needs, Row, Table, row};
use crate::phone::Call;

const EVE: &str = "\"Eve\" <sip:+4915112345678@carrier.test>";
/// The first phone is an agent's, and so is the second.
const TWO_AGENTS: Needs = Needs::phones(2).agents(2).carriers(1);
const THREE_AGENTS: Needs = Needs::phones(3).agents(3).carriers(1);

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
            t.can_be_picked_up(t.extension(1)["sip_username"].as_str().unwrap()).await;
            let picks = t.phone(2).calls("*81001");
            picks.answered().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&picks, t.phone(2))).await;
            assert_eq!(rings.ended().await.status, 487);
        }),
        row(
            "pays: an agent who transfers a caller from outside to outside",
            Needs::phones(1).agents(1).carriers(2),
            async |t| {
                let customer = t.comes_in(EVE, t.number(0), &[]);
                let agent = t.phone(0).rings().await.answers().await;
                customer.answered().await;
                t.talk((&customer, t.carrier(0)), (&agent, t.phone(0))).await;
                goes_out(&t, &customer, &agent, 0).await;
            },
        ),
        row("pays: a caller who transfers the colleague that they called", TWO_AGENTS, async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(call.refers(&t.outside()).await, 202);
            let taken = t.carrier(0).rings().await;
            assert_eq!(taken.invite().from().number, t.number(0), "it shows the transferor's number");
            let taken = taken.answers().await;
            t.talk((&rings, t.phone(1)), (&taken, t.carrier(0))).await;
            is_charged_to(&t, 0).await;
        }),
        row("pays: a group's member who transfers the caller", Needs::phones(2).agents(2).carriers(1), async |t| {
            t.group("600", &[1], json!({})).await;
            let call = t.phone(0).calls("600");
            let rings = t.phone(1).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
            goes_out_over(&t, 0, &call, t.phone(0), &rings, 1).await;
            call.hangs_up().await;
            let record = t.outbound(|record| record["cost"].is_i64()).await;
            assert_eq!((&record["cost"], &record["extension_id"]), (&json!(10_000), &t.extension(1)["id"]), "{record}");
        }),
        row("pays: whoever picked a call up and transfers the caller", THREE_AGENTS, async |t| {
            t.handle(1, json!({ "pickup": true })).await;
            let call = t.phone(0).calls("1001");
            let _rings = t.phone(1).rings().await;
            t.can_be_picked_up(t.extension(1)["sip_username"].as_str().unwrap()).await;
            let picks = t.phone(2).calls("*81001");
            picks.answered().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&picks, t.phone(2))).await;
            goes_out_over(&t, 0, &call, t.phone(0), &picks, 2).await;
        }),
        row("pays: whoever fetched a call from its slot and transfers the caller", THREE_AGENTS, async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("*687").await, 202);
            super::parking::is_parked(&t, 7).await;
            let fetched = t.phone(2).calls("*687");
            fetched.answered().await;
            t.talk((&call, t.phone(0)), (&fetched, t.phone(2))).await;
            goes_out_over(&t, 0, &call, t.phone(0), &fetched, 2).await;
        }),
        row("pays: a queue's agent who transfers the caller", TWO_AGENTS, async |t| {
            t.queue("500", &[(1, 1)], json!({})).await;
            let call = t.phone(0).calls("500");
            let rings = t.phone(1).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
            goes_out_over(&t, 0, &call, t.phone(0), &rings, 1).await;
        }),
        row(
            "a transfer to somebody who does not answer comes back with the party's name",
            Needs::phones(3),
            async |t| {
                let (call, rings) = t.connect(0, 1).await;
                assert_eq!(rings.refers("1002").await, 202);
                assert_eq!(t.phone(2).rings().await.ended().await.status, 487);
                let back = t.phone(1).rings().await;
                assert_eq!(back.invite().from().name, "Recall Phone 0", "{}", back.story());
                let back = back.answers().await;
                t.talk((&call, t.phone(0)), (&back, t.phone(1))).await;
            },
        ),
        row("a transfer to somebody who declines comes back", Needs::phones(3), async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("1002").await, 202);
            t.phone(2).rings().await.declines(486).await;
            let back = t.phone(1).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&back, t.phone(1))).await;
        }),
        row("a transfer to a number outside that is busy comes back with the party's name", TWO_AGENTS, async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers(&t.outside()).await, 202);
            t.carrier(0).rings().await.declines(486).await;
            comes_back(&t, &call, 1).await;
        }),
        row("a transfer to a number outside that no carrier reaches comes back", TWO_AGENTS, async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers(&t.outside()).await, 202);
            t.carrier(0).rings().await.declines(503).await;
            comes_back(&t, &call, 1).await;
        }),
        row("a transfer to a group whose phones all decline comes back", Needs::phones(4), async |t| {
            t.group("600", &[2, 3], json!({})).await;
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("600").await, 202);
            t.phone(2).rings().await.declines(486).await;
            t.phone(3).rings().await.declines(486).await;
            comes_back(&t, &call, 1).await;
        }),
        row("a transfer of a queue's caller that nobody takes comes back to the agent", Needs::phones(3), async |t| {
            t.queue("500", &[(1, 1)], json!({})).await;
            let call = t.phone(0).calls("500");
            let agent = t.phone(1).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&agent, t.phone(1))).await;
            assert_eq!(agent.refers("1002").await, 202);
            t.phone(2).rings().await.declines(486).await;
            comes_back(&t, &call, 1).await;
        }),
        row("a transfer to a number that nobody has comes back", Needs::phones(2), async |t| {
            let (call, rings) = t.connect(0, 1).await;
            assert_eq!(rings.refers("1777").await, 202);
            let back = t.phone(1).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&back, t.phone(1))).await;
        }),
        row(
            "a transfer to outside by somebody who may not call there comes back",
            Needs::phones(2).agents(1).carriers(1),
            async |t| {
                let (call, rings) = t.connect(0, 1).await;
                assert_eq!(rings.refers(&t.outside()).await, 202);
                let back = t.phone(1).rings().await.answers().await;
                t.talk((&call, t.phone(0)), (&back, t.phone(1))).await;
                let record = t.outbound(|record| record["admitted"] == false).await;
                assert_eq!(
                    (&record["reason"], &record["extension_id"]),
                    (&json!("no_number"), &t.extension(1)["id"]),
                    "{record}"
                );
                assert!(t.carrier(0).rang().is_none());
            },
        ),
        row(
            "a transfer of a caller from outside that nobody takes comes back, and they are not cut off",
            Needs::phones(2).agents(1).carriers(1),
            async |t| {
                let customer = t.comes_in(EVE, t.number(0), &[]);
                let agent = t.phone(0).rings().await.answers().await;
                customer.answered().await;
                t.talk((&customer, t.carrier(0)), (&agent, t.phone(0))).await;
                assert_eq!(agent.refers("1001").await, 202);
                t.phone(1).rings().await.declines(486).await;
                agent.ended().await;
                let back = tokio::select! {
                    back = t.phone(0).rings() => back,
                    end = customer.ended() => panic!("cut off: {end:?} {}", customer.story()),
                };
                assert_eq!(back.invite().from().name, "Recall Eve", "{}", back.story());
                let back = back.answers().await;
                t.talk((&customer, t.carrier(0)), (&back, t.phone(0))).await;
            },
        ),
        row("a transfer to a group and to a queue", Needs::phones(4), async |t| {
            t.group("600", &[2], json!({})).await;
            t.queue("500", &[(3, 1)], json!({})).await;
            for (number, who) in [("600", 2), ("500", 3)] {
                let (call, rings) = t.connect(0, 1).await;
                assert_eq!(rings.refers(number).await, 202);
                let third = t.phone(who).rings().await.answers().await;
                t.talk((&call, t.phone(0)), (&third, t.phone(who))).await;
                call.hangs_up().await;
                third.ended().await;
            }
        }),
        row(
            "limit: an attended transfer to outside keeps its line until the call is over",
            Needs::phones(2).agents(2).carriers(1),
            async |t| {
                t.settings(json!({ "routing": { "outbound": { "concurrent_calls": 1 } } })).await;
                let (call, rings) = t.connect(0, 1).await;
                rings.holds().await;
                let asks = t.phone(1).calls(&t.outside());
                let taken = t.carrier(0).rings().await.answers().await;
                asks.answered().await;
                assert_eq!(rings.refers_to_call(&asks).await, 202);
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
                asks.ended().await;
                rings.ended().await;
                assert_eq!(t.phone(1).calls(&t.outside()).ended().await.status, 503, "the line is taken");
                let refused = t.outbound(|record| record["admitted"] == false).await;
                assert_eq!(refused["reason"], "concurrent_calls", "{refused}");
                call.hangs_up().await;
                taken.ended().await;
                is_free_again(&t).await;
            },
        ),
        row(
            "limit: a blind transfer of a call out keeps its line until the call is over",
            Needs::phones(2).agents(2).carriers(1),
            async |t| {
                t.settings(json!({ "routing": { "outbound": { "concurrent_calls": 1 } } })).await;
                let call = t.phone(0).calls(&t.outside());
                let taken = t.carrier(0).rings().await.answers().await;
                call.answered().await;
                // A REFER that comes after the answer but before the switch has connected the two is lost there
                // (`switch_ivr_multi_threaded_bridge` in switch_ivr_bridge.c): nobody is so quick.
                t.talk((&call, t.phone(0)), (&taken, t.carrier(0))).await;
                assert_eq!(call.refers("1001").await, 202);
                let colleague = t.phone(1).rings().await.answers().await;
                t.talk((&colleague, t.phone(1)), (&taken, t.carrier(0))).await;
                assert_eq!(call.transferred().await, 200);
                call.hangs_up().await;
                assert_eq!(t.phone(0).calls(&t.outside()).ended().await.status, 503, "the line is taken");
                colleague.hangs_up().await;
                taken.ended().await;
                is_free_again(&t).await;
            },
        ),
        row("a held call has music for the other, and is taken back", Needs::phones(3), async |t| {
            let (call, rings) = t.connect(0, 1).await;
            call.holds().await;
            rings.does_not_hear(t.phone(0)).await;
            let (second, third) = t.connect(0, 2).await;
            second.hangs_up().await;
            third.ended().await;
            call.resumes().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
        }),
    ]
}

/// The first phone's call rings whoever transferred it, who takes it.
async fn comes_back(t: &Table, call: &Call, to: usize) {
    let back = t.phone(to).rings().await;
    assert_eq!(back.invite().from().name, "Recall Phone 0", "{}", back.story());
    let back = back.answers().await;
    t.talk((call, t.phone(0)), (&back, t.phone(to))).await;
}

async fn goes_out(t: &Table, customer: &Call, agent: &Call, pays: usize) {
    assert_eq!(agent.refers(&t.outside()).await, 202);
    // The cheaper carrier is the customer's as well.
    let taken = t.carrier(0).rings().await;
    assert_eq!(taken.invite().from().number, t.number(pays), "it shows the transferor's number");
    let taken = taken.answers().await;
    customer.hears(t.carrier(0)).await;
    is_charged_to(t, pays).await;
    taken.hangs_up().await;
}

async fn goes_out_over(t: &Table, carrier: usize, call: &Call, phone: &crate::phone::Phone, rings: &Call, pays: usize) {
    assert_eq!(rings.refers(&t.outside()).await, 202);
    let taken = t.carrier(carrier).rings().await;
    assert_eq!(taken.invite().from().number, t.number(pays), "it shows the transferor's number");
    let taken = taken.answers().await;
    t.talk((call, phone), (&taken, t.carrier(carrier))).await;
    is_charged_to(t, pays).await;
}

async fn is_charged_to(t: &Table, which: usize) {
    let record = t.outbound(|record| record["admitted"] == true).await;
    assert_eq!(record["extension_id"], t.extension(which)["id"], "{record}");
}

/// The record of the call may be a moment behind.
async fn is_free_again(t: &Table) {
    let since = std::time::Instant::now();
    loop {
        let call = t.phone(0).calls(&t.outside());
        tokio::select! {
            taken = t.carrier(0).rings() => return taken.declines(486).await,
            _ = call.ended() => {}
        }
        assert!(since.elapsed() < std::time::Duration::from_secs(40), "the line is not free");
    }
}
