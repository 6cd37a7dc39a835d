//! Listens to all switches, so that every node knows by itself what goes on.
//!
//! Other nodes are not asked: what happens at a switch is known while the database is away, a node that dies takes nothing with it, and an
//! event reaches a client over no second hop. It costs each switch a copy of each event for each node. Nothing is told a switch here: commands
//! are for whoever holds its link ([`crate::switch::link::holds`]), and so is what must happen once for an event.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Notify, task::JoinHandle, time::Instant as Moment};
use uuid::Uuid;

use super::{
    Live, Watched,
    ends::Ends,
    reads,
    said::{Headers, Said},
    store::{self, Listed},
};
use crate::{
    node::changes::Changes,
    switch::link::{
        ear::{Ear, Heard, Pace},
        holds, place,
        socket::{Talk, Unanswered},
    },
    text::keyring::KeyringError,
};

/// The events that live state follows. Those of `CUSTOM` come last.
const EVENTS: &str = "API BACKGROUND_JOB HEARTBEAT SHUTDOWN CHANNEL_CREATE CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_HOLD \
CHANNEL_UNHOLD CHANNEL_PARK CHANNEL_UUID CHANNEL_HANGUP CHANNEL_HANGUP_COMPLETE RECORD_START RECORD_STOP MEDIA_BUG_START MEDIA_BUG_STOP CUSTOM sofia::register sofia::unregister sofia::expire \
sofia::sip_user_state sofia::gateway_state sofia::gateway_add sofia::gateway_delete callcenter::info valet_parking::info conference::maintenance";

/// How often a node looks which switches there are. While the database is away, it listens to those that it knows.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// mod_callcenter fires no event when a queue is new or somebody begins to serve one. So its lists are read again soon after it was told so: one
/// change is often several commands.
const SOON: Duration = Duration::from_millis(300);

/// Lost events can't be seen, so everything is read again from time to time.
const READ_EVERY: Duration = Duration::from_mins(5);

impl Headers for Heard {
    fn header(&self, name: &str) -> Option<&str> {
        self.get(name)
    }

    fn body(&self) -> Option<&str> {
        Self::body(self)
    }
}

struct Listening {
    listed: Listed,
    task: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    #[error("its password can't be opened")]
    Keyring(#[from] KeyringError),
}

/// Listens to every switch that has its event socket set, for as long as the returned future is polled. When this returns, all of them are
/// known by name, so that nobody is told of fewer.
pub async fn begin(live: Arc<Live>, changes: Changes) -> impl Future<Output = ()> {
    let mut listening = HashMap::<Uuid, Listening>::new();
    look(&live, &changes, &mut listening).await;
    async move {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            look(&live, &changes, &mut listening).await;
        }
    }
}

async fn look(live: &Arc<Live>, changes: &Changes, listening: &mut HashMap<Uuid, Listening>) {
    match store::switches(changes.pool()).await {
        Ok(listed) => keep(live, changes, listening, listed),
        Err(error) => tracing::debug!(%error, "the database could not say which switches there are"),
    }
}

fn keep(live: &Arc<Live>, changes: &Changes, listening: &mut HashMap<Uuid, Listening>, listed: Vec<Listed>) {
    listening.retain(|switch, one| {
        let stays = listed.contains(&one.listed) && !one.task.is_finished();
        if !stays {
            live.forget(*switch);
        }
        stays
    });
    for listed in listed {
        listening.entry(listed.switch).or_insert_with(|| {
            let watched = live.watch(&listed);
            let link = Link { live: Arc::clone(live), watched, changes: changes.clone(), listed: listed.clone() };
            Listening { listed, task: tokio::spawn(link.run()) }
        });
    }
}

struct Link {
    live: Arc<Live>,
    watched: Arc<Watched>,
    changes: Changes,
    listed: Listed,
}

impl Link {
    async fn run(self) {
        let (mut tries, mut told) = (0, String::new());
        loop {
            let began = Instant::now();
            let error = self.listen().await.to_string();
            self.live.lost(&self.watched);
            if began.elapsed() > holds::STEADY {
                (tries, told) = (0, String::new());
            }
            if told != error {
                tracing::warn!(switch = %self.listed.switch, error, "nothing is known any more of what goes on at a switch");
                told = error;
            }
            tokio::time::sleep(holds::pause(tries)).await;
            tries += 1;
        }
    }

    /// Listens until the link ends.
    async fn listen(&self) -> LinkError {
        let Listed { switch, address, password, .. } = &self.listed;
        let opened = async {
            let password = self.changes.keyring().open_sealed(place(*switch), password)?;
            let ear = Ear::open(address, &password, EVENTS, Pace::default()).await?;
            let talk = Talk::open(address, &password, None).await?;
            Ok::<_, LinkError>((ear, talk))
        };
        let (ear, talk) = match opened.await {
            Ok(opened) => opened,
            Err(error) => return error,
        };
        let (ends, moved) = (Ends::default(), Notify::new());
        let tell = |said| self.live.heard(&self.watched, said);
        let heard = |event: &Heard| {
            if moves_queues(event) {
                moved.notify_one();
            }
            if let Some(said) = Said::read(event).and_then(|said| ends.hear(said, Instant::now())) {
                tell(said);
            }
        };
        tokio::select! {
            never = ends.tell(tell) => match never {},
            ended = ear.listen(heard) => ended.into(),
            ended = self.read(&talk, &moved) => ended.into(),
        }
    }

    /// Reads everything at once and then from time to time. `moved`: that queues, or who serves them, are others than before.
    async fn read(&self, talk: &Talk, moved: &Notify) -> Unanswered {
        loop {
            let began = Instant::now();
            self.watched.reading();
            let is_known = |leg| {
                let known = self.watched.known();
                known.state.calls.leg(leg).is_some_and(|leg| leg.about.phone.is_some())
            };
            let lists = match reads::all(talk, is_known).await {
                Ok(lists) => lists,
                Err(error) => return error,
            };
            if !self.live.read(&self.watched, lists) {
                return Unanswered::Lost;
            }
            tracing::debug!(switch = %self.listed.switch, took = ?began.elapsed(), "a switch's lists were read");
            let next = Moment::now() + READ_EVERY;
            while tokio::time::timeout_at(next, moved.notified()).await.is_ok() {
                tokio::time::sleep(SOON).await;
                match reads::queues(talk).await {
                    Ok((queues, tiers)) => self.live.read_queues(&self.watched, queues, tiers),
                    Err(error) => return error,
                }
            }
        }
    }
}

/// Whether the switch was told of queues, or of who serves them, by whomever (`switch_api_execute` in switch_loadable_module.c fires an event of
/// each command when it is done).
fn moves_queues(event: &impl Headers) -> bool {
    let is = |name: &str, value: &str| event.header(name) == Some(value);
    let told = event.header("API-Command-Argument").unwrap_or_default();
    let mut words = told.split_whitespace();
    is("Event-Name", "API")
        && is("API-Command", "callcenter_config")
        && matches!(
            (words.next(), words.next()),
            (Some("queue"), Some("load" | "reload" | "unload"))
                | (Some("tier"), Some("add" | "del" | "reload"))
                | (Some("agent"), Some("del" | "reload"))
        )
}
