//! What a node does all the time for those who wait to be called back: it has legs wait for them in queues, and follows the calls of agents' phones.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{sync::Notify, task::JoinHandle};
use uuid::Uuid;

use super::{
    CallBackState,
    store::{self, Open},
    turns::{self, Step, Wish},
};
use crate::{
    model::{destination::CallBack, settings::Settings},
    node::changes::Changes,
    switch::{
        agents,
        control::{
            command::Order,
            line::{Lines, Untaken},
            wait::{self, Wait},
        },
        live::{
            Live, Watched,
            said::{Happened, What},
        },
    },
    text::{DialNumber, Domain, E164, SipUsername},
};

/// How often it is looked who waits.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it is looked whether a leg is still there that nothing was said of.
const LOOK_FOR_LEG: Duration = Duration::from_secs(10);
/// How long a leg may not be there yet.
const LOST: chrono::TimeDelta = chrono::TimeDelta::seconds(15);
/// The longest that a call is followed until somebody has answered.
const LONGEST: Duration = Duration::from_mins(10);
/// A leg that ended so soon did not wait.
const SHORT: Duration = Duration::from_secs(2);
/// How many seconds pass before another leg waits, if a switch did not take one or its phone was nobody's.
const AGAIN: i32 = 5;

struct Keeper {
    live: Arc<Live>,
    changes: Changes,
    lines: Lines,
}

/// A wish that is looked after.
struct Kept {
    switch: Uuid,
    /// Whether a leg waits for it.
    is_held: bool,
    let_go: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How far a wish is when somebody begins to look after it.
#[derive(Debug, Clone, Copy)]
enum Begin {
    /// A leg is to wait that has waited so many seconds, as it were.
    Anew(u32),
    Held(Uuid),
    Called(Uuid),
}

/// Runs for as long as the node does.
pub async fn run(live: Arc<Live>, changes: Changes) {
    let Some(node) = changes.poller().map(|poller| poller.node()) else { return };
    let keeper = Arc::new(Keeper { live, changes, lines: Lines::default() });
    let mut kept = HashMap::<Uuid, Kept>::new();
    loop {
        if let Err(error) = keeper.look(node, &mut kept).await {
            tracing::debug!(%error, "the database could not say who waits to be called back");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Keeper {
    async fn look(self: &Arc<Self>, node: Uuid, kept: &mut HashMap<Uuid, Kept>) -> sqlx::Result<()> {
        kept.retain(|_, one| !one.task.is_finished());
        let pool = self.changes.pool();
        let held = agents::store::held(pool, node).await?;
        let is_ours = |switch: Uuid| held.iter().any(|link| link.switch == switch);
        // Another node has the link: it looks after what is there.
        kept.retain(|_, one| is_ours(one.switch));
        if held.is_empty() {
            return Ok(());
        }
        let mut queues = BTreeMap::<(Uuid, Uuid, Uuid), Vec<Open>>::new();
        for wish in store::open(pool, node).await? {
            queues.entry((wish.at, wish.tenant, wish.queue)).or_default().push(wish);
        }
        // Those that somebody has cancelled, or whose queue or tenant is gone.
        let there = |id: &Uuid| queues.values().flatten().any(|wish| wish.id == *id);
        kept.iter().filter(|(id, _)| !there(id)).for_each(|(_, one)| one.let_go.notify_one());
        let switches = self.live.switches();
        for ((at, ..), wishes) in queues {
            let Some(watched) = switches.iter().find(|watched| watched.switch == at) else { continue };
            // What is there is not known yet.
            if watched.known().unknown_since.is_some() {
                continue;
            }
            self.queue(watched, &wishes, kept).await?;
        }
        Ok(())
    }

    /// Looks after those whom one queue calls back at one switch.
    async fn queue(
        self: &Arc<Self>,
        watched: &Arc<Watched>,
        wishes: &[Open],
        kept: &mut HashMap<Uuid, Kept>,
    ) -> sqlx::Result<()> {
        let Some(first) = wishes.first() else { return Ok(()) };
        let (now, is_open) = (first.now, is_open(first));
        // What another node, or this one before it restarted, has begun.
        for wish in wishes {
            if kept.contains_key(&wish.id) {
                continue;
            }
            let is_there = |leg: &Uuid| watched.known().state.calls.leg(*leg).is_some();
            let begun = match (wish.state, wish.place_leg, wish.call) {
                (CallBackState::Calling, _, Some(call)) => Some(Begin::Called(call)),
                (CallBackState::Waiting, Some(leg), _) => {
                    let is_there = wish.switch == Some(watched.switch) && is_there(&leg);
                    if !is_there && now - wish.changed_at > LOST {
                        store::let_go(self.changes.pool(), wish.tenant, wish.id, leg, 0).await?;
                    }
                    is_there.then_some(Begin::Held(leg))
                }
                _ => None,
            };
            if let Some(begun) = begun {
                kept.insert(wish.id, self.begin(watched, wish, begun));
            }
        }
        let waiting = wishes.iter().filter(|wish| wish.state == CallBackState::Waiting && !wish.is_drained);
        let waiting = waiting.filter(|wish| wish.place_leg.is_none() || kept.contains_key(&wish.id)).map(|wish| Wish {
            id: wish.id,
            joined: wish.joined_at,
            ahead: wish.ahead,
            next_at: wish.next_at,
            expires_at: wish.expires_at,
            is_held: kept.get(&wish.id).is_some_and(|one| one.is_held),
        });
        for step in turns::steps(&waiting.collect::<Vec<_>>(), is_open, now) {
            match step {
                Step::Hold(id, waited) => {
                    if let Some(wish) = wishes.iter().find(|wish| wish.id == id && !kept.contains_key(&id)) {
                        kept.insert(id, self.begin(watched, wish, Begin::Anew(waited)));
                    }
                }
                Step::LetGo(id) => {
                    if let Some(one) = kept.get(&id) {
                        one.let_go.notify_one();
                    }
                }
                Step::GiveUp(id) => store::give_up(self.changes.pool(), first.tenant, id).await?,
            }
        }
        Ok(())
    }

    fn begin(self: &Arc<Self>, watched: &Arc<Watched>, wish: &Open, begin: Begin) -> Kept {
        // The queue may call nobody back any more, but did when this one was promised it.
        let call_back = wish.config.0.call_back.as_ref();
        let tries = call_back.map_or((3, 600), |call_back| (call_back.attempts, call_back.retry_seconds));
        let let_go = Arc::new(Notify::new());
        let followed = Followed {
            keeper: Arc::clone(self),
            watched: Arc::clone(watched),
            tenant: wish.tenant,
            id: wish.id,
            queue: wish.queue,
            number: wish.number.clone(),
            domain: wish.domain.clone(),
            shows: call_back.and_then(|call_back| call_back.show.clone()),
            tries,
        };
        // From now on, so that nothing is missed that a command causes.
        let hear = Wait::new(watched);
        let signal = Arc::clone(&let_go);
        let task = tokio::spawn(async move { followed.run(begin, hear, &signal).await });
        Kept { switch: watched.switch, is_held: !matches!(begin, Begin::Called(_)), let_go, task }
    }
}

/// Whether the queue calls anybody now.
fn is_open(wish: &Open) -> bool {
    let Some(CallBack { business_hours_only: true, .. }) = wish.config.0.call_back else { return true };
    let Ok(settings) = Settings::parse(&wish.settings) else { return true };
    let at = Timestamp::from_second(wish.now.timestamp()).unwrap_or_default();
    settings.business_hours.is_open(at, &settings.time_zone.rules())
}

struct Followed {
    keeper: Arc<Keeper>,
    watched: Arc<Watched>,
    tenant: Uuid,
    id: Uuid,
    queue: Uuid,
    number: DialNumber,
    domain: Domain,
    shows: Option<E164>,
    /// How often they are called, and how many seconds pass between.
    tries: (u8, u32),
}

impl Followed {
    async fn run(self, begin: Begin, mut hear: Wait, let_go: &Notify) {
        let done = match begin {
            Begin::Anew(waited) => self.hold(waited, &mut hear, let_go).await,
            Begin::Held(leg) => self.wait(leg, &mut hear, let_go).await,
            Begin::Called(call) => self.ends(call, &mut hear).await,
        };
        if let Err(error) = done {
            tracing::warn!(wish = %self.id, %error, "what became of somebody who is called back could not be kept");
        }
    }

    async fn tell(&self, order: &Order) -> Result<(), Untaken> {
        self.keeper.lines.tell(&self.watched, self.keeper.changes.keyring(), order).await
    }

    fn pool(&self) -> &sqlx::PgPool {
        self.keeper.changes.pool()
    }

    /// Has a leg wait.
    async fn hold(&self, waited: u32, hear: &mut Wait, let_go: &Notify) -> sqlx::Result<()> {
        let leg = Uuid::new_v4();
        if !store::hold(self.pool(), self.tenant, self.id, (self.watched.switch, leg)).await? {
            return Ok(());
        }
        let (queue, domain, number) = (self.queue, self.domain.clone(), self.number.clone());
        match self.tell(&Order::HoldPlace { leg, queue, domain, number, waited }).await {
            // Or it may have been taken: then its events come.
            Ok(()) | Err(Untaken::Unanswered) => self.wait(leg, hear, let_go).await,
            Err(untaken) => {
                tracing::warn!(switch = %self.watched.switch, ?untaken, "a switch did not hold a place in a queue");
                store::let_go(self.pool(), self.tenant, self.id, leg, AGAIN).await
            }
        }
    }

    /// Waits until an agent has answered, and has their phone call.
    async fn wait(&self, leg: Uuid, hear: &mut Wait, let_go: &Notify) -> sqlx::Result<()> {
        let began = Instant::now();
        let mut looks = tokio::time::interval(LOOK_FOR_LEG);
        looks.reset();
        let partner = || self.watched.known().state.calls.leg(leg).and_then(|leg| leg.partner);
        // If nobody followed it meanwhile, it may be connected already.
        let mut agent = partner();
        while agent.is_none() {
            let said = tokio::select! {
                () = let_go.notified() => {
                    let _ = self.tell(&Order::HangUp(leg)).await;
                    return store::let_go(self.pool(), self.tenant, self.id, leg, 0).await;
                }
                _ = looks.tick() => {
                    if self.is_gone(leg) {
                        return store::let_go(self.pool(), self.tenant, self.id, leg, 0).await;
                    }
                    continue;
                }
                said = hear.next() => said,
            };
            let Some(said) = said else { return Ok(()) };
            if wait::ended(&said.what, leg).is_some() {
                // It waited as long as the queue lets anybody wait, for example: another goes on at its place. Or the switch has no such queue yet.
                let pause = if began.elapsed() < SHORT { AGAIN } else { 0 };
                return store::let_go(self.pool(), self.tenant, self.id, leg, pause).await;
            }
            agent = connected(&said.what, leg);
        }
        let Some(agent) = agent else { return Ok(()) };
        let phone = self.watched.known().state.calls.leg(agent).and_then(|leg| leg.about.phone.clone());
        let user = phone.and_then(|(user, _)| SipUsername::parse(&user).ok());
        let Some(user) = user else {
            tracing::warn!(switch = %self.watched.switch, %agent, "a queue connected somebody who is called back with no phone");
            let _ = self.tell(&Order::HangUp(leg)).await;
            return store::let_go(self.pool(), self.tenant, self.id, leg, AGAIN).await;
        };
        if !store::calls(self.pool(), self.tenant, self.id, leg, (agent, user.as_str())).await? {
            // It was cancelled at this moment.
            let _ = self.tell(&Order::HangUp(agent)).await;
            return Ok(());
        }
        let (domain, to, shows) = (self.domain.clone(), self.number.clone(), self.shows.clone());
        let told = self.tell(&Order::CallBack { leg: agent, user, domain, to, shows }).await;
        // The switch ends it itself, unless it was put aside.
        let _ = self.tell(&Order::HangUp(leg)).await;
        if let Err(Untaken::Refused(_) | Untaken::Away) = told {
            return self.not_reached(agent, Some("SWITCH_REFUSED")).await;
        }
        self.ends(agent, hear).await
    }

    /// Waits until whoever is called back has answered, or the agent's call is over.
    async fn ends(&self, call: Uuid, hear: &mut Wait) -> sqlx::Result<()> {
        let ended = tokio::time::timeout(LONGEST, self.reached(call, hear)).await;
        match ended {
            Ok(None) => store::reached(self.pool(), self.tenant, self.id, call).await,
            Ok(Some(cause)) => self.not_reached(call, cause.as_deref()).await,
            Err(_) => self.not_reached(call, None).await,
        }
    }

    /// `Some`: why nobody was reached, if that is known.
    async fn reached(&self, call: Uuid, hear: &mut Wait) -> Option<Option<String>> {
        let mut looks = tokio::time::interval(LOOK_FOR_LEG);
        looks.reset();
        let mut partner = None;
        loop {
            let is_up =
                |leg: Uuid| self.watched.known().state.calls.leg(leg).is_some_and(|leg| leg.about.answered.is_some());
            if partner.is_some_and(is_up) {
                return None;
            }
            let said = tokio::select! {
                said = hear.next() => said?,
                _ = looks.tick() => {
                    if self.is_gone(call) {
                        return Some(None);
                    }
                    partner = self.watched.known().state.calls.leg(call).and_then(|leg| leg.partner).or(partner);
                    continue;
                }
            };
            if let Some(cause) = wait::ended(&said.what, call) {
                return Some(cause.map(ToOwned::to_owned));
            }
            // A carrier may connect them before anybody has answered.
            partner = connected(&said.what, call).or(partner);
            if partner.is_some_and(|partner| wait::of(&said.what, partner) == Some(Happened::Answered)) {
                return None;
            }
        }
    }

    async fn not_reached(&self, call: Uuid, cause: Option<&str>) -> sqlx::Result<()> {
        store::not_reached(self.pool(), self.tenant, self.id, (call, cause), self.tries).await
    }

    /// Whether a leg is nowhere although its switch is heard.
    fn is_gone(&self, leg: Uuid) -> bool {
        let known = self.watched.known();
        known.unknown_since.is_none() && known.state.calls.leg(leg).is_none()
    }
}

/// Whom a leg is connected with now.
fn connected(what: &What, leg: Uuid) -> Option<Uuid> {
    let What::Leg(said) = what else { return None };
    match said.happened {
        Happened::Bridged { a, b } if a == leg => Some(b),
        Happened::Bridged { a, b } if b == leg => Some(a),
        _ => None,
    }
}
