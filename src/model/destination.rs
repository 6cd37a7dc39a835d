//! The configuration of each kind of destination: typed, bounded, and made of texts that are safe on a switch.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil;
use serde::{Deserialize, Serialize};
use utoipa::openapi::{Ref, RefOr, Schema, schema::AnyOfBuilder};
use uuid::Uuid;

use crate::{
    model::{
        error::Error,
        settings::{BusinessHours, Prose},
    },
    text::{Code, DialNumber, E164, Email, Keys, Prefix, SoundFile, Spoken, StreamName, TimeZone, Why},
};

/// What something leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub kind: TargetKind,
    pub id: Uuid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    Extension,
    Group,
    Queue,
    Ivr,
    Conference,
    Mailbox,
    Schedule,
    Announcement,
    External,
    Page,
}

impl TargetKind {
    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extension => "extension",
            Self::Group => "group",
            Self::Queue => "queue",
            Self::Ivr => "ivr",
            Self::Conference => "conference",
            Self::Mailbox => "mailbox",
            Self::Schedule => "schedule",
            Self::Announcement => "announcement",
            Self::External => "external",
            Self::Page => "page",
        }
    }
}

impl Target {
    #[must_use]
    pub fn extension(id: Uuid) -> Self {
        Self { kind: TargetKind::Extension, id }
    }

    #[must_use]
    pub fn group(id: Uuid) -> Self {
        Self { kind: TargetKind::Group, id }
    }
}

/// What is played: a recording on the switch, or text that it speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Prompt {
    File(SoundFile),
    Text(Spoken),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", content = "config", rename_all = "snake_case")]
pub enum Config {
    Queue(Queue),
    Ivr(Ivr),
    Conference(Conference),
    Mailbox(Mailbox),
    Schedule(Schedule),
    Announcement(Announcement),
    External(External),
    Page(Page),
}

/// For the description of the API: the settings of a destination whose kind stands beside them.
pub struct KindConfig;

impl utoipa::PartialSchema for KindConfig {
    fn schema() -> RefOr<Schema> {
        let kinds = ["Queue", "Ivr", "Conference", "Mailbox", "Schedule", "Announcement", "External", "Page"];
        let any = kinds.into_iter().fold(AnyOfBuilder::new(), |any, kind| any.item(Ref::from_schema_name(kind)));
        any.description(Some("The settings of a destination; which ones depends on its kind.")).into()
    }
}

impl utoipa::ToSchema for KindConfig {}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueStrategy {
    RingAll,
    #[default]
    LongestIdle,
    RoundRobin,
    FewestCalls,
    LeastTalkTime,
    Random,
    InOrder,
}

impl QueueStrategy {
    /// The name in mod_callcenter (`cc_strategy`, in its callers_callback).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RingAll => "ring-all",
            Self::LongestIdle => "longest-idle-agent",
            Self::RoundRobin => "round-robin",
            Self::FewestCalls => "agent-with-fewest-calls",
            Self::LeastTalkTime => "agent-with-least-talk-time",
            Self::Random => "random",
            Self::InOrder => "sequentially-by-agent-order",
        }
    }
}

/// Callers wait, agents answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate setting")]
pub struct Queue {
    #[serde(default)]
    pub strategy: QueueStrategy,
    #[serde(default)]
    pub tiers: Vec<Tier>,
    /// How many seconds an agent rests after a call.
    #[serde(default)]
    pub wrap_up_seconds: u16,
    /// Seconds that an agent's phone rings.
    #[serde(default = "twenty")]
    pub ring_seconds: u16,
    /// How many seconds a caller may wait; 0 for no limit.
    #[serde(default)]
    pub max_wait_seconds: u16,
    /// Where a caller goes after that, or if there is no agent.
    pub overflow: Option<Target>,
    /// A local_stream of the switch.
    pub music: Option<StreamName>,
    pub announcement: Option<Prompt>,
    /// Seconds between announcements.
    #[serde(default = "sixty")]
    pub announcement_seconds: u16,
    #[serde(default)]
    pub record: bool,
    /// Whether callers are told at which place they are, as often as announcements come. The switch needs its event socket set, and
    /// FreeSWITCH's prompts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub announce_place: bool,
    /// Whether they are told about how long they will wait, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub announce_wait: bool,
    /// Whether agents who are on do not disturb or in a call with somebody else are rung, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ring_busy_agents: bool,
    /// How many calls an agent may leave unanswered in a row before they are paused; 0 for any number. They log in again by their code.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_no_answers: u8,
    /// Agents by skill: those of the next level are rung only after a caller has waited this many seconds for each level before; 0: at once,
    /// if all of lower levels are busy.
    #[serde(default, skip_serializing_if = "is_zero_too")]
    pub level_wait_seconds: u16,
    /// What agents read while a call of this queue rings and while they talk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Prose>,
    /// Callers who come before others. The first that fits counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub priorities: Vec<Priority>,
    /// Lets callers be called back instead of waiting. The switch needs its event socket set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_back: Option<CallBack>,
}

/// Who presses a key is called back when it is their turn: an agent's phone rings first, and then calls them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallBack {
    /// The key, one of 0 to 9, `*` and `#`. Callers whose number is withheld can't be called back: it does nothing for them.
    pub key: Keys,
    /// What they hear then; tones if there is no prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Prompt>,
    /// The number that they see, one of the tenant's. If absent, one of the agent's. The agent's rights and limits count in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show: Option<E164>,
    /// How often they are called before nobody tries again, 1 to 10.
    #[serde(default = "three")]
    pub attempts: u8,
    /// How many seconds pass before the next attempt, 5 to 86400.
    #[serde(default = "ten_minutes")]
    pub retry_seconds: u32,
    /// After how many hours nobody calls any more, 1 to 168.
    #[serde(default = "a_day")]
    pub keep_hours: u8,
    /// Whether they are called in the tenant's business hours only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub business_hours_only: bool,
}

/// A caller whose number begins with this is served as if they had waited that much longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Priority {
    /// Absent: every caller, so that this queue comes before others with the same agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callers: Option<Prefix>,
    pub seconds: u16,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero_too(number: &u16) -> bool {
    *number == 0
}

/// An extension as an agent of a queue. Lower levels ring first; within a level, lower positions do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    pub extension_id: Uuid,
    #[serde(default = "one")]
    pub level: u8,
    #[serde(default = "one")]
    pub position: u8,
}

/// A menu: digits lead to destinations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ivr {
    pub greeting: Prompt,
    pub short_greeting: Option<Prompt>,
    pub invalid: Option<Prompt>,
    /// One digit, `*` or `#`, and where it leads.
    #[schema(value_type = BTreeMap<String, Target>)]
    pub entries: BTreeMap<String, Target>,
    /// Whether callers may dial an extension's number.
    #[serde(default)]
    pub direct_dial: bool,
    #[serde(default = "ten")]
    pub timeout_seconds: u8,
    #[serde(default = "three")]
    pub max_failures: u8,
    /// Where a caller goes who chooses nothing.
    pub otherwise: Option<Target>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Conference {
    pub max_members: Option<u16>,
    pub record: bool,
    pub announce: bool,
    pub muted: bool,
    pub music: Option<StreamName>,
    /// The others wait until somebody calls from this extension.
    pub moderator: Option<Uuid>,
}

/// A voicemail box that belongs to no extension.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mailbox {
    pub email: Option<Email>,
}

/// Leads on depending on the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The tenant's time zone if absent.
    pub time_zone: Option<TimeZone>,
    /// The tenant's business hours if absent.
    pub hours: Option<BusinessHours>,
    /// Days (from and to inclusive) that lead elsewhere. The first that matches counts.
    #[serde(default)]
    pub dates: Vec<Dates>,
    pub open: Target,
    pub closed: Target,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dates {
    #[schema(value_type = String, example = "2026-12-24")]
    pub from: civil::Date,
    #[schema(value_type = String, example = "2026-12-26")]
    pub to: civil::Date,
    pub target: Target,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Announcement {
    pub prompt: Prompt,
    pub then: Option<Target>,
}

/// A number outside; calls to it count as those of `on_behalf_of`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct External {
    pub number: DialNumber,
    pub on_behalf_of: Uuid,
}

/// Extensions that all speak at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Page {
    pub members: Vec<Uuid>,
    /// Whether they can talk back.
    #[serde(default)]
    pub two_way: bool,
}

fn one() -> u8 {
    1
}
fn three() -> u8 {
    3
}
fn ten() -> u8 {
    10
}
fn twenty() -> u16 {
    20
}
fn sixty() -> u16 {
    60
}
fn ten_minutes() -> u32 {
    600
}
fn a_day() -> u8 {
    24
}

impl Config {
    /// Are its calls recorded?
    #[must_use]
    pub fn records(&self) -> bool {
        match self {
            Self::Queue(queue) => queue.record,
            Self::Conference(conference) => conference.record,
            _ => false,
        }
    }

    #[must_use]
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Queue(_) => TargetKind::Queue,
            Self::Ivr(_) => TargetKind::Ivr,
            Self::Conference(_) => TargetKind::Conference,
            Self::Mailbox(_) => TargetKind::Mailbox,
            Self::Schedule(_) => TargetKind::Schedule,
            Self::Announcement(_) => TargetKind::Announcement,
            Self::External(_) => TargetKind::External,
            Self::Page(_) => TargetKind::Page,
        }
    }

    /// Reads a configuration of a kind. Errors name the field.
    pub fn read(kind: TargetKind, value: &serde_json::Value) -> Result<Self, Error> {
        fn typed<'de, T: Deserialize<'de>>(value: &'de serde_json::Value) -> Result<T, Error> {
            serde_path_to_error::deserialize(value).map_err(|error| {
                let path = error.path().to_string();
                let (field, why) = Why::of_serde_at(&path, &error.into_inner().to_string());
                let field = if field == "." { "config".to_owned() } else { format!("config.{field}") };
                Error::InvalidAt { field, why }
            })
        }
        Ok(match kind {
            TargetKind::Queue => Self::Queue(typed(value)?),
            TargetKind::Ivr => Self::Ivr(typed(value)?),
            TargetKind::Conference => Self::Conference(typed(value)?),
            TargetKind::Mailbox => Self::Mailbox(typed(value)?),
            TargetKind::Schedule => Self::Schedule(typed(value)?),
            TargetKind::Announcement => Self::Announcement(typed(value)?),
            TargetKind::External => Self::External(typed(value)?),
            TargetKind::Page => Self::Page(typed(value)?),
            TargetKind::Extension | TargetKind::Group => {
                return Err(Error::invalid("kind", Code::MadeElsewhere));
            }
        })
    }

    /// What it leads to, each once.
    #[must_use]
    pub fn targets(&self) -> BTreeSet<Target> {
        match self {
            Self::Queue(queue) => {
                let agents = queue.tiers.iter().map(|tier| Target::extension(tier.extension_id));
                agents.chain(queue.overflow).collect()
            }
            Self::Ivr(ivr) => ivr.entries.values().copied().chain(ivr.otherwise).collect(),
            Self::Conference(conference) => conference.moderator.map(Target::extension).into_iter().collect(),
            Self::Mailbox(_) => BTreeSet::new(),
            Self::Schedule(schedule) => {
                schedule.dates.iter().map(|dates| dates.target).chain([schedule.open, schedule.closed]).collect()
            }
            Self::Announcement(announcement) => announcement.then.into_iter().collect(),
            Self::External(external) => [Target::extension(external.on_behalf_of)].into(),
            Self::Page(page) => page.members.iter().copied().map(Target::extension).collect(),
        }
    }

    /// What it leads to by itself, without a person's action. A circle of these would never end.
    #[must_use]
    pub fn leads_on(&self) -> BTreeSet<Target> {
        match self {
            Self::Queue(queue) => queue.overflow.into_iter().collect(),
            Self::Ivr(ivr) => ivr.otherwise.into_iter().collect(),
            Self::Schedule(_) | Self::Announcement(_) => self.targets(),
            Self::Conference(_) | Self::Mailbox(_) | Self::External(_) | Self::Page(_) => BTreeSet::new(),
        }
    }

    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Queue(queue) => queue.check(),
            Self::Ivr(ivr) => ivr.check(),
            Self::Schedule(schedule) => schedule.check(),
            Self::Conference(conference) if conference.max_members.is_some_and(|most| !(2..=500).contains(&most)) => {
                Err(Error::invalid("max_members", Code::range(2, 500)))
            }
            Self::Page(page) if !(1..=50).contains(&page.members.len()) => {
                Err(Error::invalid("members", Code::range(1, 50)))
            }
            _ => Ok(()),
        }
    }
}

impl Queue {
    fn check(&self) -> Result<(), Error> {
        if self.tiers.len() > 200 {
            return Err(Error::invalid("tiers", Code::at_most(200)));
        }
        let agents = self.tiers.iter().map(|tier| tier.extension_id).collect::<BTreeSet<_>>();
        if agents.len() != self.tiers.len() {
            return Err(Error::invalid("tiers", Code::NamesExtensionTwice));
        }
        if self.tiers.iter().any(|tier| tier.level == 0 || tier.position == 0) {
            return Err(Error::invalid("tiers", Code::LevelsFromOne));
        }
        if !(5..=300).contains(&self.ring_seconds) {
            return Err(Error::invalid("ring_seconds", Code::range(5, 300)));
        }
        if !(10..=3600).contains(&self.announcement_seconds) {
            return Err(Error::invalid("announcement_seconds", Code::range(10, 3600)));
        }
        if self.level_wait_seconds > 3600 {
            return Err(Error::invalid("level_wait_seconds", Code::range(0, 3600)));
        }
        if self.priorities.len() > 50 {
            return Err(Error::invalid("priorities", Code::at_most(50)));
        }
        self.call_back.as_ref().map_or(Ok(()), CallBack::check)
    }
}

impl CallBack {
    fn check(&self) -> Result<(), Error> {
        let key = self.key.to_string();
        // One that the switch compares with what is pressed (`moh_on_dtmf` in mod_callcenter.c).
        if key.len() != 1 || !key.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#')) {
            return Err(Error::invalid("call_back.key", Code::MenuKeys));
        }
        if !(1..=10).contains(&self.attempts) {
            return Err(Error::invalid("call_back.attempts", Code::range(1, 10)));
        }
        if !(5..=86_400).contains(&self.retry_seconds) {
            return Err(Error::invalid("call_back.retry_seconds", Code::range(5, 86_400)));
        }
        if !(1..=168).contains(&self.keep_hours) {
            return Err(Error::invalid("call_back.keep_hours", Code::range(1, 168)));
        }
        Ok(())
    }
}

impl Ivr {
    fn check(&self) -> Result<(), Error> {
        // mod_dptools refuses a menu with an entry without digits (ivr_application_function).
        let key = |key: &String| key.len() == 1 && key.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#'));
        if self.entries.is_empty() || !self.entries.keys().all(key) {
            return Err(Error::invalid("entries", Code::MenuKeys));
        }
        if !(1..=60).contains(&self.timeout_seconds) {
            return Err(Error::invalid("timeout_seconds", Code::range(1, 60)));
        }
        if !(1..=10).contains(&self.max_failures) {
            return Err(Error::invalid("max_failures", Code::range(1, 10)));
        }
        Ok(())
    }
}

impl Schedule {
    fn check(&self) -> Result<(), Error> {
        if let Some(hours) = &self.hours {
            hours.check().map_err(|error| Error::InvalidAt {
                field: error.field.replacen("business_hours", "hours", 1),
                why: error.why,
            })?;
        }
        if self.dates.len() > 200 {
            return Err(Error::invalid("dates", Code::at_most(200)));
        }
        if self.dates.iter().any(|dates| dates.to < dates.from) {
            return Err(Error::invalid("dates", Code::EndsBeforeItBegins));
        }
        Ok(())
    }
}
