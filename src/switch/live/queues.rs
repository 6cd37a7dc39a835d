//! Who waits in which queue, and how its agents are, by mod_callcenter.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
};

use uuid::Uuid;

use super::{
    change::Change,
    gone::{self, Gone},
    said::{Micros, OfQueue, short},
};

/// A caller in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: Uuid,
    /// `ID.DOMAIN`
    pub queue: String,
    pub leg: Uuid,
    pub name: String,
    pub number: String,
    pub joined: Micros,
    /// How many seconds they are put ahead (`cc_base_score`); known from a list only.
    pub ahead: i64,
    /// Whose phone rings for them, or who serves them.
    pub agent: Option<String>,
    pub is_served: bool,
}

/// How an agent is, as mod_callcenter names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agent {
    /// `Available`, `On Break`, `Logged Out`
    pub status: Option<(String, Micros)>,
    /// `Waiting`, `Receiving`, `In a queue call`
    pub state: Option<(String, Micros)>,
    /// When their last call of a queue ended.
    pub ended: Option<Micros>,
    /// When the switch paused them last because they did not answer.
    pub did_not_answer: Option<Micros>,
    /// How many seconds the switch lets them rest after a call; known from a list, or because it was told.
    pub wrap_up: Option<u32>,
    /// Until when, in seconds since 1970, the switch gives them no call.
    pub ready_at: Option<i64>,
}

/// A row of mod_callcenter's list of members.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct MemberRow {
    pub queue: String,
    pub uuid: Uuid,
    pub session_uuid: Uuid,
    #[serde(default)]
    pub cid_name: String,
    #[serde(default)]
    pub cid_number: String,
    #[serde(default)]
    pub joined_epoch: String,
    #[serde(default)]
    pub base_score: String,
    #[serde(default)]
    pub serving_agent: String,
    #[serde(default)]
    pub state: String,
}

#[derive(Debug, Clone, serde::Deserialize)]
pub struct AgentRow {
    pub name: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub state: String,
    /// These are in seconds since 1970, and numbers of calls; 0 stands for never.
    #[serde(default)]
    pub last_status_change: String,
    #[serde(default)]
    pub last_bridge_end: String,
    #[serde(default)]
    pub no_answer_count: String,
    #[serde(default)]
    pub max_no_answer: String,
    #[serde(default)]
    pub wrap_up_time: String,
    #[serde(default)]
    pub ready_time: String,
}

impl AgentRow {
    fn moment(seconds: &str) -> Option<Micros> {
        seconds.parse::<i64>().ok().filter(|at| *at > 0).map(|at| at.saturating_mul(1_000_000))
    }

    /// When the switch paused them because they did not answer: the count begins anew when they are available again
    /// (`cc_agent_update` in mod_callcenter.c).
    fn did_not_answer(&self) -> Option<Micros> {
        let (count, most) = (self.no_answer_count.parse::<u32>().ok()?, self.max_no_answer.parse::<u32>().ok()?);
        (self.status == "On Break" && most > 0 && count >= most)
            .then(|| Self::moment(&self.last_status_change))
            .flatten()
    }
}

#[derive(Debug, Clone, serde::Deserialize)]
pub struct TierRow {
    pub queue: String,
    pub agent: String,
}

#[derive(Debug, Clone, serde::Deserialize)]
pub struct QueueRow {
    pub name: String,
}

/// What mod_callcenter lists.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    pub queues: Vec<QueueRow>,
    pub agents: Vec<AgentRow>,
    pub tiers: Vec<TierRow>,
    pub members: Vec<MemberRow>,
}

type Seen = (Vec<(Uuid, Option<String>)>, BTreeSet<String>);

#[derive(Debug, Default)]
pub struct Queues {
    names: BTreeSet<String>,
    members: HashMap<Uuid, Member>,
    agents: BTreeMap<String, Agent>,
    tiers: BTreeSet<(String, String)>,
    gone: Gone<Uuid>,
}

impl Queues {
    /// Every queue that was heard of.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The names of a queue, under whichever domain the switch has it.
    pub fn names_of(&self, id: Uuid) -> impl Iterator<Item = &str> {
        let begins = id.simple().to_string();
        let from = (Bound::Included(begins.clone()), Bound::Unbounded);
        self.names.range(from).take_while(move |name| name.starts_with(&begins)).map(String::as_str)
    }

    /// How many wait in all queues.
    #[must_use]
    pub fn count_waiting(&self) -> usize {
        self.members.values().filter(|one| !one.is_served && self.names.contains(&one.queue)).count()
    }

    /// Who waits in a queue and is not served yet, whoever is next first.
    #[must_use]
    pub fn waiting(&self, queue: &str) -> Vec<&Member> {
        let mut all = self.members.values().filter(|one| one.queue == queue && !one.is_served).collect::<Vec<_>>();
        all.sort_by_key(|one| (one.joined - one.ahead * 1_000_000, one.id));
        all
    }

    #[must_use]
    pub fn agent_named(&self, name: &str) -> Option<&Agent> {
        self.agents.get(name)
    }

    pub fn agents(&self) -> impl Iterator<Item = (&str, &Agent)> {
        self.agents.iter().map(|(name, agent)| (name.as_str(), agent))
    }

    /// Notes what the switch was told of an agent, for it says nothing of these.
    pub fn was_told(&mut self, name: &str, change: impl FnOnce(&mut Agent)) {
        if let Some(agent) = self.agents.get_mut(name) {
            change(agent);
        }
    }

    /// The agents of a queue.
    pub fn of_queue<'a>(&'a self, queue: &'a str) -> impl Iterator<Item = &'a str> {
        let from = (Bound::Included((queue.to_owned(), String::new())), Bound::Unbounded);
        self.tiers.range(from).take_while(move |(of, _)| of == queue).map(|(_, agent)| agent.as_str())
    }

    /// The queues of an agent.
    pub fn of_agent<'a>(&'a self, agent: &'a str) -> impl Iterator<Item = &'a str> {
        self.tiers.iter().filter(move |(_, of)| of == agent).map(|(queue, _)| queue.as_str())
    }

    pub fn heard(&mut self, at: Micros, said: &OfQueue) -> Vec<Change> {
        let changed = |queue: &str| vec![Change::Queue(queue.to_owned())];
        match said {
            OfQueue::Joined { queue, member, leg, name, number } => {
                if self.gone.is_gone(member, at) {
                    return Vec::new();
                }
                self.names.insert(queue.clone());
                let known = self.members.entry(*member).or_insert_with(|| Member {
                    id: *member,
                    queue: queue.clone(),
                    leg: *leg,
                    name: name.clone(),
                    number: number.clone(),
                    joined: at,
                    ahead: 0,
                    agent: None,
                    is_served: false,
                });
                known.leg = *leg;
                changed(queue)
            }
            OfQueue::Left { queue, member } => {
                self.gone.note(*member, at);
                self.members.remove(member);
                changed(queue)
            }
            OfQueue::Offered { queue, member, agent } => {
                self.with(*member, |member| member.agent = Some(agent.clone()));
                changed(queue)
            }
            OfQueue::Served { queue, member, agent, .. } => {
                self.with(*member, |member| (member.agent, member.is_served) = (Some(agent.clone()), true));
                changed(queue)
            }
            OfQueue::NotServed { queue, member, agent } => {
                self.with(*member, |member| {
                    if !member.is_served && member.agent.as_deref() == Some(agent) {
                        member.agent = None;
                    }
                });
                changed(queue)
            }
            OfQueue::Ended { agent } => self.note(agent, at, |known| &mut known.ended),
            OfQueue::DidNotAnswer { agent } => self.note(agent, at, |known| &mut known.did_not_answer),
            OfQueue::Added { agent } => {
                let known = self.agents.entry(agent.clone()).or_default();
                known.status.get_or_insert(("Logged Out".to_owned(), 0));
                vec![Change::Agent(agent.clone())]
            }
            OfQueue::Status { agent, status } => self.agent(agent, at, |known| (&mut known.status, status)),
            OfQueue::State { agent, state } => self.agent(agent, at, |known| (&mut known.state, state)),
        }
    }

    /// Notes the last time that something happened to an agent.
    fn note(&mut self, name: &str, at: Micros, which: impl FnOnce(&mut Agent) -> &mut Option<Micros>) -> Vec<Change> {
        let last = which(self.agents.entry(name.to_owned()).or_default());
        *last = (*last).max(Some(at));
        vec![Change::Agent(name.to_owned())]
    }

    /// Events repeat values, so only others are changes (`cc_agent_update` in mod_callcenter.c).
    fn agent<'s>(
        &mut self,
        name: &str,
        at: Micros,
        which: impl FnOnce(&mut Agent) -> (&mut Option<(String, Micros)>, &'s String),
    ) -> Vec<Change> {
        let known = self.agents.entry(name.to_owned()).or_default();
        let (part, said) = which(known);
        if part.as_ref().is_some_and(|(now, since)| now == said || *since > at) {
            return Vec::new();
        }
        *part = Some((said.clone(), at));
        vec![Change::Agent(name.to_owned())]
    }

    /// Takes over what mod_callcenter lists. `began`: when it was asked.
    pub fn read(&mut self, lists: Lists, began: Micros) -> Vec<Change> {
        let mut changes = Vec::new();
        let before = self.names.iter().map(|name| (name.clone(), self.seen(name))).collect::<HashMap<_, _>>();
        self.names = lists.queues.into_iter().map(|row| short(&row.name)).collect();
        self.tiers = lists.tiers.into_iter().map(|row| (short(&row.queue), short(&row.agent))).collect();
        let names = lists.agents.iter().map(|row| row.name.as_str()).collect::<BTreeSet<_>>();
        changes.extend(self.agents.keys().filter(|name| !names.contains(name.as_str())).cloned().map(Change::Agent));
        self.agents.retain(|name, _| names.contains(name.as_str()));
        for row in lists.agents {
            let known = self.agents.entry(short(&row.name)).or_default();
            // The list is in whole seconds: what was heard is more exact.
            let ended = AgentRow::moment(&row.last_bridge_end).filter(|at| known.ended < Some(at - 2_000_000));
            known.ended = ended.or(known.ended);
            known.wrap_up = row.wrap_up_time.parse().ok().or(known.wrap_up);
            known.ready_at = row.ready_time.parse().ok().or(known.ready_at);
            let paused = row.did_not_answer().filter(|at| known.did_not_answer < Some(at - 2_000_000));
            known.did_not_answer = paused.or(known.did_not_answer);
            let status_since = AgentRow::moment(&row.last_status_change).unwrap_or_default();
            for (part, said, since) in
                [(&mut known.status, row.status, status_since), (&mut known.state, row.state, began)]
            {
                let differs = part.as_ref().is_none_or(|(now, since)| *now != said && *since < began - 5_000_000);
                if differs {
                    *part = Some((said, since));
                    changes.push(Change::Agent(row.name.clone()));
                }
            }
        }
        let mut listed = HashMap::new();
        for row in lists.members {
            // Abandoned ones stay in the list for a while.
            let is_served = row.state == "Answered";
            if !(is_served || matches!(row.state.as_str(), "Waiting" | "Trying")) || self.gone.has(&row.uuid) {
                continue;
            }
            // While several ring, the word for the queue's strategy (`cc_member_thread_run` in mod_callcenter.c).
            let agent = Some(row.serving_agent).filter(|agent| agent.contains('@'));
            let joined = row.joined_epoch.parse::<i64>().unwrap_or_default().saturating_mul(1_000_000);
            let known = self.members.remove(&row.uuid);
            let ahead = row.base_score.parse().unwrap_or_default();
            let member = known.map_or_else(
                || Member {
                    id: row.uuid,
                    queue: short(&row.queue),
                    leg: row.session_uuid,
                    name: short(&row.cid_name),
                    number: short(&row.cid_number),
                    joined,
                    ahead,
                    agent,
                    is_served,
                },
                |known| Member { ahead, ..known },
            );
            listed.insert(row.uuid, member);
        }
        for (id, known) in self.members.drain() {
            if gone::may_be_unlisted(known.joined, began) {
                listed.insert(id, known);
            }
        }
        self.members = listed;
        // What is as it was is no news.
        let news = self.names.iter().filter(|name| before.get(*name) != Some(&self.seen(name)));
        changes.extend(news.cloned().map(Change::Queue));
        changes
    }

    /// Takes over which queues there are, and who serves them. Of who waits, and of how agents are, events say more.
    pub fn served(&mut self, queues: Vec<QueueRow>, tiers: Vec<TierRow>) -> Vec<Change> {
        let before = self.names.iter().map(|name| (name.clone(), self.seen(name))).collect::<HashMap<_, _>>();
        let tiers = tiers.into_iter().map(|row| (short(&row.queue), short(&row.agent))).collect::<BTreeSet<_>>();
        let moved = tiers.symmetric_difference(&self.tiers).map(|(_, agent)| agent.clone()).collect::<BTreeSet<_>>();
        self.tiers = tiers;
        self.names = queues.into_iter().map(|row| short(&row.name)).collect();
        let news = self.names.iter().filter(|name| before.get(*name) != Some(&self.seen(name)));
        news.cloned().map(Change::Queue).chain(moved.into_iter().map(Change::Agent)).collect()
    }

    /// What is shown of a queue: who waits, who is offered or served by whom, and who serves it.
    fn seen(&self, queue: &str) -> Seen {
        let waiting = self.waiting(queue).into_iter().map(|member| (member.id, member.agent.clone()));
        (waiting.collect(), self.of_queue(queue).map(ToOwned::to_owned).collect())
    }

    fn with(&mut self, member: Uuid, change: impl FnOnce(&mut Member)) {
        if let Some(member) = self.members.get_mut(&member) {
            change(member);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = 1_790_000_000_000_000;
    const QUEUE: &str = "00000000000000000000000000000001.acme.test";

    fn joined(number: u128) -> OfQueue {
        let member = Uuid::from_u128(number);
        OfQueue::Joined { queue: QUEUE.into(), member, leg: member, name: "N".into(), number: number.to_string() }
    }

    fn numbers(queues: &Queues) -> Vec<&str> {
        queues.waiting(QUEUE).into_iter().map(|member| member.number.as_str()).collect()
    }

    #[test]
    fn a_queue_and_its_agents_are_found_among_others_that_begin_alike() {
        let names = ["00000000000000000000000000000001.acme.test", "00000000000000000000000000000001.new.test"];
        let other = "00000000000000000000000000000002.acme.test";
        let tier = |queue: &str, agent: &str| (queue.to_owned(), agent.to_owned());
        let queues = Queues {
            names: names.into_iter().chain([other]).map(ToOwned::to_owned).collect(),
            tiers: [tier(names[0], "b"), tier(names[0], "a"), tier(names[1], "c"), tier(other, "d")].into(),
            ..Queues::default()
        };
        assert_eq!(queues.names_of(Uuid::from_u128(1)).collect::<Vec<_>>(), names);
        assert_eq!(queues.names_of(Uuid::from_u128(3)).count(), 0);
        assert_eq!(queues.of_queue(names[0]).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(queues.of_queue("0000").count(), 0);
    }

    #[test]
    fn callers_wait_in_their_order_until_somebody_serves_them() {
        let mut queues = Queues::default();
        queues.heard(NOW + 2, &joined(2));
        queues.heard(NOW + 1, &joined(1));
        assert_eq!(numbers(&queues), ["1", "2"]);
        assert_eq!(queues.count_waiting(), 2);
        let (queue, member, agent) = (QUEUE.to_owned(), Uuid::from_u128(1), "1001@acme.test".to_owned());
        queues.heard(NOW + 3, &OfQueue::Offered { queue: queue.clone(), member, agent: agent.clone() });
        assert_eq!(queues.waiting(QUEUE)[0].agent.as_deref(), Some("1001@acme.test"));
        let fails = OfQueue::NotServed { queue: queue.clone(), member, agent: agent.clone() };
        queues.heard(NOW + 4, &fails);
        assert_eq!(queues.waiting(QUEUE)[0].agent, None);
        queues.heard(NOW + 5, &OfQueue::Served { queue: queue.clone(), member, agent, agent_leg: None });
        assert_eq!(numbers(&queues), ["2"]);
        queues.heard(NOW + 7, &OfQueue::Left { queue, member });
        assert!(queues.heard(NOW + 6, &joined(1)).is_empty(), "late news of who is gone");
        assert_eq!(numbers(&queues), ["2"]);
    }

    #[test]
    fn an_agents_state_changes_only_if_it_is_another_and_newer() {
        let mut queues = Queues::default();
        let says = |status: &str| OfQueue::Status { agent: "1001@acme.test".into(), status: status.into() };
        assert_eq!(queues.heard(NOW, &says("Available")).len(), 1);
        assert!(queues.heard(NOW + 1, &says("Available")).is_empty());
        assert!(queues.heard(NOW - 1, &says("On Break")).is_empty(), "older");
        assert_eq!(queues.heard(NOW + 2, &says("On Break")).len(), 1);
        let (_, agent) = queues.agents().next().unwrap();
        assert_eq!(agent.status, Some(("On Break".into(), NOW + 2)));
    }

    #[test]
    fn a_list_says_when_calls_ended_and_who_was_paused_for_not_answering() {
        let mut queues = Queues::default();
        let seconds = NOW / 1_000_000;
        let row = |name: &str, status: &str, count: u32| {
            serde_json::from_value::<AgentRow>(serde_json::json!({
                "name": name, "status": status, "state": "Waiting", "last_status_change": (seconds - 60).to_string(),
                "last_bridge_end": (seconds - 30).to_string(), "no_answer_count": count.to_string(), "max_no_answer": "3",
            }))
            .unwrap()
        };
        let agents = vec![row("a", "On Break", 3), row("b", "On Break", 2), row("c", "Available", 3)];
        queues.read(Lists { agents, ..Lists::default() }, NOW);
        let known = |name: &str| queues.agent_named(name).unwrap().clone();
        assert_eq!(known("a").did_not_answer, Some(NOW - 60_000_000));
        assert_eq!((known("b").did_not_answer, known("c").did_not_answer), (None, None));
        assert_eq!(known("a").ended, Some(NOW - 30_000_000));
        assert_eq!(known("b").status, Some(("On Break".into(), NOW - 60_000_000)));
        // What was heard is more exact than the list's whole seconds.
        queues.heard(NOW - 29_500_000, &OfQueue::Ended { agent: "a".into() });
        queues.read(Lists { agents: vec![row("a", "On Break", 3)], ..Lists::default() }, NOW);
        assert_eq!(queues.agent_named("a").unwrap().ended, Some(NOW - 29_500_000));
        assert!(queues.agent_named("b").is_none());
    }

    #[test]
    fn who_serves_is_taken_over_and_who_waits_stays() {
        let mut queues = Queues::default();
        queues.heard(NOW, &joined(1));
        let row = |name: &str| QueueRow { name: name.into() };
        let tier = |agent: &str| TierRow { queue: QUEUE.into(), agent: agent.into() };
        let changes = queues.served(vec![row(QUEUE), row("other")], vec![tier("a"), tier("b")]);
        let queue = |name: &str| Change::Queue(name.into());
        let agent = |name: &str| Change::Agent(name.into());
        assert_eq!(changes, [queue(QUEUE), queue("other"), agent("a"), agent("b")]);
        assert_eq!(numbers(&queues), ["1"]);
        let changes = queues.served(vec![row(QUEUE)], vec![tier("b")]);
        assert_eq!(changes, [queue(QUEUE), agent("a")]);
        assert_eq!(queues.of_queue(QUEUE).collect::<Vec<_>>(), ["b"]);
        assert!(queues.served(vec![row(QUEUE)], vec![tier("b")]).is_empty());
    }

    #[test]
    fn a_list_leaves_out_those_who_gave_up() {
        let mut queues = Queues::default();
        let row = |number: u128, state: &str, joined: &str| {
            serde_json::from_value::<MemberRow>(serde_json::json!({
                "queue": QUEUE, "uuid": Uuid::from_u128(number), "session_uuid": Uuid::from_u128(number), "cid_number": number.to_string(),
                "cid_name": "a|b", "joined_epoch": joined, "base_score": "0", "serving_agent": "", "state": state,
            }))
            .unwrap()
        };
        queues.heard(NOW - 60_000_000, &joined(7));
        queues.heard(NOW, &joined(8));
        let members =
            vec![row(1, "Waiting", "1789999950"), row(2, "Abandoned", "1789999900"), row(3, "Trying", "1789999940")];
        let queue = QueueRow { name: QUEUE.into() };
        queues.read(Lists { queues: vec![queue], members, ..Lists::default() }, NOW);
        // Number 7 is lost, and number 8 came just before.
        assert_eq!(numbers(&queues), ["3", "1", "8"]);
    }
}
