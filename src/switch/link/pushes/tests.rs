//! Which commands a switch gets, depending on what it has.

use super::*;

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

/// The time of all these comparisons.
const NOW: i64 = 200;

/// A switch that started in minute 100.
fn has(gateways: &[u128], queues: &[&QueueName], tiers: &[Tier]) -> Has {
    Has {
        booted_at: at(100),
        gateways: gateways.iter().map(|id| Uuid::from_u128(*id)).collect(),
        trusts: true,
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
    Given { fingerprint: Some([fingerprint; 32]), since: at(since), refused: false }
}

fn killed(since: i64) -> Given {
    Given { fingerprint: None, since: at(since), refused: false }
}

fn queue() -> QueueName {
    format!("{}.acme.test", Uuid::from_u128(9).simple()).parse().unwrap()
}

fn tier(user: &str) -> Tier {
    (queue(), format!("{user}@acme.test").parse().unwrap())
}

/// What the switch is found to have, the commands it gets, and how many things wait.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    known: Vec<Thing>,
    told: Vec<String>,
    waiting: usize,
}

fn plan(wanted: &Wanted, has: &Has, given: &[(Thing, Given)]) -> Said {
    let plan = Errands::new(wanted, has, &given.iter().cloned().collect(), at(NOW));
    Said {
        known: plan.known.into_iter().map(|(thing, _)| thing).collect(),
        told: plan.steps.iter().map(|step| step.command.to_string()).collect(),
        waiting: plan.waiting,
    }
}

fn told(commands: &[&str]) -> Said {
    Said { told: commands.iter().map(|command| (*command).to_owned()).collect(), ..Said::default() }
}

fn waits() -> Said {
    Said { waiting: 1, ..Said::default() }
}

fn known(things: &[Thing]) -> Said {
    Said { known: things.to_vec(), ..Said::default() }
}

fn wanted(things: &[(Thing, Want)], tiers: &[Tier]) -> Wanted {
    Wanted {
        announcing: Vec::new(),
        things: things.iter().cloned().collect(),
        trusted: Some("192.0.2.1".into()),
        tiers: tiers.iter().cloned().collect(),
    }
}

const KILL: &str = "sofia profile external killgw c00000000000000000000000000000001";
const START: &str = "sofia profile external startgw c00000000000000000000000000000001";

#[test]
fn a_changed_gateway_is_killed_and_started_when_it_is_gone() {
    let wants = wanted(&[(gateway(1), want(7, 150))], &[]);
    let (there, gone) = (has(&[1], &[], &[]), has(&[], &[], &[]));
    assert_eq!(plan(&wants, &there, &[(gateway(1), given(6, 120))]), told(&[KILL]));
    // It takes a second or two to go.
    assert_eq!(plan(&wants, &there, &[(gateway(1), killed(NOW))]), waits());
    assert_eq!(plan(&wants, &there, &[(gateway(1), killed(NOW - 1))]), told(&[KILL]));
    assert_eq!(plan(&wants, &gone, &[(gateway(1), killed(NOW))]), told(&[START]));
    // A moment after the command, the gateway is there; or it is not, and the command is repeated.
    assert_eq!(plan(&wants, &there, &[(gateway(1), given(7, NOW))]), Said::default());
    assert_eq!(plan(&wants, &gone, &[(gateway(1), given(7, NOW))]), waits());
    assert_eq!(plan(&wants, &gone, &[(gateway(1), given(7, NOW - 1))]), told(&[START]));
    // The switch refused.
    let refused = Given { refused: true, ..killed(NOW) };
    assert_eq!(plan(&wants, &gone, &[(gateway(1), refused)]), waits());
    let refused = Given { refused: true, ..killed(NOW - 1) };
    assert_eq!(plan(&wants, &gone, &[(gateway(1), refused)]), told(&[START]));
    // A new gateway, and another that is being replaced.
    let wants = wanted(&[(gateway(1), want(7, 150)), (gateway(2), want(7, 150))], &[]);
    let start_2 = START.replace("0001", "0002");
    assert_eq!(plan(&wants, &there, &[(gateway(1), given(6, 120))]), told(&[KILL, &start_2]));
}

#[test]
fn a_gateway_that_works_is_not_killed_because_a_note_is_missing() {
    let wants = wanted(&[(gateway(1), want(7, 150))], &[]);
    let there = has(&[1], &[], &[]);
    assert_eq!(plan(&wants, &there, &[]), known(&[gateway(1)]));
    // Given before the switch restarted: it has read the same again, whatever else of the carrier was written since.
    assert_eq!(plan(&wants, &there, &[(gateway(1), given(7, 90))]), known(&[gateway(1)]));
    // Another version was given before the restart, and the change was before it too.
    let old = wanted(&[(gateway(1), want(7, 98))], &[]);
    assert_eq!(plan(&old, &there, &[(gateway(1), given(6, 90))]), known(&[gateway(1)]));
    // Changed right before the restart or after it: the switch may not have read the change.
    let close = wanted(&[(gateway(1), want(7, 100))], &[]);
    assert_eq!(plan(&close, &there, &[(gateway(1), given(6, 90))]), told(&[KILL]));
}

#[test]
fn a_gateway_of_no_carrier_is_killed() {
    assert_eq!(plan(&Wanted::default(), &has(&[1], &[], &[]), &[]), told(&[KILL]));
}

#[test]
fn addresses_are_read_again_until_the_switch_trusts_them() {
    let wants = wanted(&[(Thing::Addresses, Want { fingerprint: [1; 32], changed_at: None })], &[]);
    let trusts = has(&[], &[], &[]);
    assert_eq!(plan(&wants, &trusts, &[]), told(&["reloadacl"]));
    assert_eq!(plan(&wants, &trusts, &[(Thing::Addresses, given(2, 150))]), told(&["reloadacl"]));
    assert_eq!(plan(&wants, &trusts, &[(Thing::Addresses, given(1, 150))]), Said::default());
    let does_not = Has { trusts: false, ..has(&[], &[], &[]) };
    assert_eq!(plan(&wants, &does_not, &[(Thing::Addresses, given(1, 150))]), told(&["reloadacl"]));
    assert_eq!(plan(&wants, &does_not, &[(Thing::Addresses, given(1, NOW))]), waits());
}

#[test]
fn a_queue_has_the_agents_that_it_should_have_and_no_others() {
    let (name, thing) = (queue(), Thing::Queue(queue()));
    let wants = wanted(&[(thing.clone(), want(7, 150))], &[tier("1000"), tier("1001")]);
    let both = [tier("1000"), tier("1001")];
    let load = format!("callcenter_config queue load {name}");
    assert_eq!(plan(&wants, &has(&[], &[], &[]), &[]), told(&[&load]));
    assert_eq!(plan(&wants, &has(&[], &[&name], &both), &[(thing.clone(), given(6, 120))]), told(&[&load]));
    let current = [(thing.clone(), given(7, 180))];
    assert_eq!(plan(&wants, &has(&[], &[&name], &both), &current), Said::default());
    assert_eq!(plan(&wants, &has(&[], &[&name], &both), &[]), known(std::slice::from_ref(&thing)));
    // A caller made the switch read the queue without its agents (get_queue in mod_callcenter.c).
    assert_eq!(plan(&wants, &has(&[], &[&name], &both[..1]), &current), told(&[&load]));
    assert_eq!(plan(&wants, &has(&[], &[&name], &both[..1]), &[]), told(&[&load]));
    // It was told just now, or refused.
    assert_eq!(plan(&wants, &has(&[], &[&name], &both[..1]), &[(thing.clone(), given(7, NOW))]), waits());
    let refused = Given { refused: true, ..killed(NOW) };
    assert_eq!(plan(&wants, &has(&[], &[], &[]), &[(thing.clone(), refused)]), waits());
    let more = [tier("1000"), tier("1001"), tier("1002")];
    let delete = format!("callcenter_config tier del {name} 1002@acme.test");
    assert_eq!(plan(&wants, &has(&[], &[&name], &more), &current), told(&[&delete]));
    // The queue no longer exists; the switch keeps its agents across a restart.
    let unload = format!("callcenter_config queue unload {name}");
    assert_eq!(plan(&Wanted::default(), &has(&[], &[&name], &more[2..]), &[]), told(&[&unload, &delete]));
    assert_eq!(plan(&Wanted::default(), &has(&[], &[], &more[2..]), &[]), told(&[&delete]));
    // Without mod_callcenter, there is nothing to do.
    let without = Has { queues: None, ..has(&[], &[], &[]) };
    assert_eq!(plan(&wants, &without, &[]), Said::default());
}

#[test]
fn names_of_another_form_are_not_ours() {
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
