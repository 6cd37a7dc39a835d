//! A visit, which is a node's turn over the link to a switch: asks how its gateways are, and gives it what it lacks.

use std::{collections::BTreeMap, time::Duration};

use super::{
    VisitError, announcements, callcenter, calls, cleanups, expulsions, first_line, gateways, lamps,
    pushes::{Command, Errands, Given, Has, Known, Step, Thing, Wanted},
    socket::{Talk, Unanswered},
    store::{self, Due},
    wanted::{self},
};
use crate::node::changes::Changes;

/// The longest that a visit takes. The next one continues.
const LONGEST: Duration = Duration::from_secs(100);

/// The most commands in one visit. The next visit continues.
const MOST_STEPS: usize = 500;

/// Visits a switch. An error ends the link.
pub(super) async fn visit(changes: &Changes, due: &Due, talk: &Talk) -> Result<(), Unanswered> {
    let visited = tokio::time::timeout(LONGEST, Box::pin(call_on(changes, due, talk))).await;
    let (came_to, ends) = match visited.unwrap_or(Err(VisitError::Unanswered(Unanswered::Slow))) {
        // Not held: another node has it, or nobody can be asked. The next renewal says which.
        Ok(()) | Err(VisitError::Unanswered(Unanswered::NotHeld)) => (Ok(()), Ok(())),
        Err(VisitError::Unanswered(error)) => {
            (store::not_heard(changes.pool(), due.switch, &error.to_string()).await, Err(error))
        }
        Err(error) => {
            tracing::error!(switch = %due.switch, %error, "a visit to a switch failed");
            (store::not_heard(changes.pool(), due.switch, UNMADE).await, Ok(()))
        }
    };
    if let Err(error) = came_to {
        tracing::warn!(switch = %due.switch, %error, "the result of a visit could not be saved");
    }
    ends
}

/// What an operator is told when the fault is ours.
pub(super) const UNMADE: &str = "Dialplane could not work out what this switch should have; the node's log says why";

async fn call_on(changes: &Changes, due: &Due, talk: &Talk) -> Result<(), VisitError> {
    let gateways = gateways::ask(talk).await?;
    store::heard(changes.pool(), due.switch, &gateways).await?;
    expulsions::expel(changes, talk, due.switch).await?;
    lamps::tell_changes(changes, talk, due.cluster, due.switch).await?;
    close_unused_handles(talk).await?;
    calls::watch(changes, talk, due.switch).await?;
    cleanups::clean_up(changes, talk, due).await?;
    let wanted = {
        let mut db = changes.pool().acquire().await?;
        wanted::of(&mut db, changes.keyring(), due.cluster).await?
    };
    let trusts = match &wanted.trusted {
        Some(address) => talk.ask(&format!("acl {address} carriers")).await?.trim() == "true",
        None => true,
    };
    let queues = callcenter::ask(talk).await?;
    let up = uptime(&talk.ask("uptime s").await?)?;
    let Some((booted_at, now)) = store::booted(changes.pool(), due.switch, up).await? else { return Ok(()) };
    let gateways = gateways.iter().map(|gateway| gateway.carrier).collect();
    let has = Has { booted_at, gateways, trusts, queues };
    let given = given(changes, due, &wanted).await?;
    let plan = Errands::new(&wanted, &has, &given, now);
    note(changes, due, &plan.known, None).await?;
    for step in plan.steps.iter().take(MOST_STEPS) {
        take(changes, due, talk, step).await?;
    }
    announcements::tell(talk, &wanted.announcing).await?;
    let pending = i32::try_from(plan.steps.len() + plan.waiting).unwrap_or(i32::MAX);
    Ok(store::pending(changes.pool(), due.switch, pending).await?)
}

/// Has the switch close connections to its own databases that nobody uses, every two seconds.
///
/// A profile that starts changes its database's journal (`switch_user_sql_thread` in switch_core_sqldb.c). As long as any other connection
/// is open to a database with a write-ahead log, SQLite refuses that, and the switch tries for half a minute and answers no phone. After a
/// profile has stopped, its connections stay open for as long (`SQL_CACHE_TIMEOUT`).
async fn close_unused_handles(talk: &Talk) -> Result<(), Unanswered> {
    const GROUP: &str = "dialplane_handles";
    if !talk.ask("show tasks").await?.contains(GROUP) {
        talk.ask(&format!("sched_api @2 {GROUP} fsctl flush_db_handles")).await?;
    }
    Ok(())
}

/// Sends one command to the switch and notes the result.
async fn take(changes: &Changes, due: &Due, talk: &Talk, step: &Step) -> Result<(), VisitError> {
    let then = step.then.as_slice();
    match &step.command {
        // Noted in advance: the switch may have the gateway although its answer is late.
        Command::StartGateway(_) => note(changes, due, then, None).await?,
        // Callers who still wait in the queue would wait forever.
        Command::UnloadQueue(queue) if callcenter::waiting(talk, queue).await? => return Ok(()),
        _ => {}
    }
    let answer = talk.ask(&step.command.to_string()).await?;
    if answer.contains("+OK") {
        tracing::info!(switch = %due.switch, command = %step.command, "a switch carried out a command");
        return note(changes, due, then, None).await;
    }
    let answer = first_line(&answer);
    tracing::warn!(switch = %due.switch, command = %step.command, answer, "a switch refused a command");
    let untaken = step.then.iter().map(|(thing, _)| (thing.clone(), None)).collect::<Vec<_>>();
    note(changes, due, &untaken, Some(&answer)).await
}

async fn note(changes: &Changes, due: &Due, known: &[Known], error: Option<&str>) -> Result<(), VisitError> {
    if known.is_empty() {
        return Ok(());
    }
    let things = known.iter().map(|(thing, print)| (thing.to_string(), *print)).collect::<Vec<_>>();
    Ok(store::note(changes.pool(), due.switch, &things, error).await?)
}

async fn given(changes: &Changes, due: &Due, wanted: &Wanted) -> Result<BTreeMap<Thing, Given>, VisitError> {
    let names = wanted.things.keys().map(ToString::to_string).collect::<Vec<_>>();
    let noted = store::given(changes.pool(), due.switch, &names).await?;
    let given = noted.into_iter().filter_map(|noted| {
        let fingerprint = noted.fingerprint.and_then(|print| print.try_into().ok());
        Some((noted.thing.parse().ok()?, Given { fingerprint, since: noted.since, refused: noted.refused }))
    });
    Ok(given.collect())
}

fn uptime(text: &str) -> Result<i32, Unanswered> {
    text.trim().parse().map_err(|_| Unanswered::Strange("its uptime is not a number of seconds".into()))
}
