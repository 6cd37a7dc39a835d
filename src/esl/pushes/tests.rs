//! What a switch is told, by what it has.

use super::*;

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

/// A switch that started in minute 100, looked at in minute 200.
fn has(gateways: &[u128], queues: &[&QueueName], tiers: &[Tier]) -> Has {
    Has {
        booted_at: at(100),
        gateways: gateways.iter().map(|id| Uuid::from_u128(*id)).collect(),
        queues: Some(Queues {
            names: queues.iter().map(|name| (*name).clone()).collect(),
            tiers: tiers.iter().cloned().collect(),
        }),
    }
}

fn gateway(id: u128) -> Thing {
    Thing::Gateway(Uuid::from_u128(id))
}

fn want(fingerprint: u8, changed: i64) -> Want {
    Want { fingerprint: [fingerprint; 32], changed_at: Some(at(changed)) }
}

fn given(fingerprint: u8, since: i64) -> Given {
    Given { fingerprint: Some([fingerprint; 32]), since: at(since) }
}

fn queue() -> QueueName {
    format!("{}.acme.test", Uuid::from_u128(9).simple()).parse().unwrap()
}

fn tier(user: &str) -> Tier {
    (queue(), format!("{user}@acme.test").parse().unwrap())
}

fn plan(wanted: &Wanted, has: &Has, given: &[(Thing, Given)]) -> (Vec<Thing>, Vec<String>) {
    let plan = Plan::new(wanted, has, &given.iter().cloned().collect(), at(200));
    let known = plan.known.into_iter().map(|(thing, _)| thing).collect();
    (known, plan.steps.iter().map(|step| step.command.to_string()).collect())
}

fn wanted(things: &[(Thing, Want)], tiers: &[Tier]) -> Wanted {
    Wanted { things: things.iter().cloned().collect(), tiers: tiers.iter().cloned().collect() }
}

const KILL_1: &str = "sofia profile external killgw c00000000000000000000000000000001";
const RESCAN: &str = "sofia profile external rescan";

#[test]
fn a_changed_gateway_is_killed_and_then_read_again() {
    let wants = wanted(&[(gateway(1), want(7, 150))], &[]);
    let nothing: (Vec<Thing>, Vec<String>) = (vec![], vec![]);
    // It was there as the switch started, and changed since.
    assert_eq!(plan(&wants, &has(&[1], &[], &[]), &[]), (vec![], vec![KILL_1.into()]));
    // It takes a second to go.
    let told = Given { fingerprint: None, since: at(199) };
    assert_eq!(plan(&wants, &has(&[1], &[], &[]), &[(gateway(1), told)]), (vec![], vec![KILL_1.into()]));
    assert_eq!(plan(&wants, &has(&[], &[], &[]), &[(gateway(1), told)]), (vec![], vec![RESCAN.into()]));
    assert_eq!(plan(&wants, &has(&[1], &[], &[]), &[(gateway(1), given(7, 199))]), nothing);
    // Another change, and a gateway that does not come up at all.
    assert_eq!(plan(&wants, &has(&[1], &[], &[]), &[(gateway(1), given(6, 160))]), (vec![], vec![KILL_1.into()]));
    let just_now = Given { since: at(200), ..given(7, 0) };
    assert_eq!(plan(&wants, &has(&[], &[], &[]), &[(gateway(1), just_now)]), nothing);
    assert_eq!(plan(&wants, &has(&[], &[], &[]), &[(gateway(1), given(7, 190))]), (vec![], vec![RESCAN.into()]));
}

#[test]
fn what_a_switch_read_when_it_started_is_not_pushed_again() {
    let wants = wanted(&[(gateway(1), want(7, 50)), (gateway(2), want(7, 50))], &[]);
    // What it was given in an earlier life counts for nothing; what it read when it started does.
    let before = [(gateway(1), given(3, 90))];
    assert_eq!(plan(&wants, &has(&[1, 2], &[], &[]), &before), (vec![gateway(1), gateway(2)], vec![]));
    // A change right before the start may not have been seen.
    let wants = wanted(&[(gateway(1), want(7, 100))], &[]);
    assert_eq!(plan(&wants, &has(&[1], &[], &[]), &[]), (vec![], vec![KILL_1.into()]));
}

#[test]
fn a_gateway_of_no_carrier_is_killed() {
    assert_eq!(plan(&Wanted::default(), &has(&[1], &[], &[]), &[]), (vec![], vec![KILL_1.into()]));
}

#[test]
fn addresses_are_read_again_when_they_changed_and_when_nothing_is_known() {
    let wants = wanted(&[(Thing::Addresses, Want { fingerprint: [1; 32], changed_at: None })], &[]);
    let reload = (vec![], vec!["reloadacl".to_owned()]);
    assert_eq!(plan(&wants, &has(&[], &[], &[]), &[]), reload);
    assert_eq!(plan(&wants, &has(&[], &[], &[]), &[(Thing::Addresses, given(2, 150))]), reload);
    assert_eq!(plan(&wants, &has(&[], &[], &[]), &[(Thing::Addresses, given(1, 150))]), (vec![], vec![]));
}

#[test]
fn a_queue_has_the_agents_that_it_should_have_and_no_others() {
    let (name, thing) = (queue(), Thing::Queue(queue()));
    let load = |what: &str| (vec![], vec![format!("callcenter_config queue {what} {name}")]);
    let wants = wanted(&[(thing.clone(), want(7, 150))], &[tier("1000"), tier("1001")]);
    let both = [tier("1000"), tier("1001")];
    assert_eq!(plan(&wants, &has(&[], &[], &[]), &[]), load("load"));
    assert_eq!(plan(&wants, &has(&[], &[&name], &both), &[]), load("reload"));
    let known = [(thing.clone(), given(7, 180))];
    assert_eq!(plan(&wants, &has(&[], &[&name], &both), &known), (vec![], vec![]));
    // A caller made the switch read the queue, and not its agents (get_queue in mod_callcenter.c).
    assert_eq!(plan(&wants, &has(&[], &[&name], &both[..1]), &known), load("reload"));
    let more = [tier("1000"), tier("1001"), tier("1002")];
    let delete = format!("callcenter_config tier del {name} 1002@acme.test");
    assert_eq!(plan(&wants, &has(&[], &[&name], &more), &known), (vec![], vec![delete.clone()]));
    // It was so when the switch started.
    let old = wanted(&[(thing.clone(), want(7, 50))], &both);
    assert_eq!(plan(&old, &has(&[], &[&name], &both), &[]), (vec![thing], vec![]));
    // There is no such queue any more; the switch keeps agents over a restart.
    let unload = format!("callcenter_config queue unload {name}");
    assert_eq!(plan(&Wanted::default(), &has(&[], &[&name], &more[2..]), &[]), (vec![], vec![unload, delete.clone()]));
    assert_eq!(plan(&Wanted::default(), &has(&[], &[], &more[2..]), &[]), (vec![], vec![delete]));
    // Without mod_callcenter there is nothing to say.
    let without = Has { queues: None, ..has(&[], &[], &[]) };
    assert_eq!(plan(&wants, &without, &[]), (vec![], vec![]));
}

#[test]
fn names_of_another_form_are_nobody_of_ours() {
    for name in ["support@default", "1000.acme.test", "", "00000000000000000000000000000009.two words"] {
        assert!(name.parse::<QueueName>().is_err(), "{name}");
    }
    for name in ["1000", "1000@", "1000@acme.test evil", "a b@acme.test"] {
        assert!(name.parse::<AgentName>().is_err(), "{name}");
    }
    for thing in [gateway(3), Thing::Addresses, Thing::Queue(queue())] {
        assert_eq!(thing.to_string().parse(), Ok(thing));
    }
}
