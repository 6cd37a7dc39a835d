//! Module configuration that Dialplane owns: trusted addresses, queues, menus, conferences, and what a cluster says about the rest;
//! profiles and gateways are made in [`sofia`].
//!
//! Menus and conferences are read at each use, and kept like any answer of their tenant. The rest is read when a module loads or
//! when it is told to, and made each time.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use actix_web::web::Bytes;
use askama::Template;
use uuid::Uuid;

use super::{
    Answer, Fetch, Reply, Source,
    answer::{RenderError, render},
    config_store::{self, Callers, QueueAgent},
    fill::Question,
    key::KeyText,
    reply,
    request::{Address, ConfigFile},
    sofia,
};
use crate::{
    model::destination::{Conference, Config, Ivr, Prompt, Queue, TargetKind, Tier},
    routing,
    telephony::destinations,
    text::{Domain, StreamName, keyring::Keyring},
};

/// A destination's configuration as one statement saw it, with the names of what it leads to.
pub struct ConfigRow {
    pub tenant_id: Uuid,
    pub id: Uuid,
    pub config: Config,
    pub pin: Option<Vec<u8>>,
    /// Of extensions and groups: what they are dialled by.
    pub targets: BTreeMap<Uuid, String>,
    pub agents: Vec<QueueAgent>,
}

type Params = Vec<(&'static str, Cow<'static, str>)>;

#[derive(Template)]
#[template(path = "xml/ivr.xml")]
struct IvrConf<'a> {
    name: &'a str,
    greeting: String,
    short: String,
    invalid: Option<String>,
    timeout: u32,
    max_failures: u8,
    digits: u8,
    entries: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "xml/conference.xml")]
struct ConferenceConf<'a> {
    name: &'a str,
    params: Params,
}

struct QueueXml {
    name: String,
    params: Params,
}

struct AgentXml {
    name: String,
    contact: String,
    wrap_up: u16,
}

struct TierXml {
    agent: String,
    queue: String,
    level: u8,
    position: u8,
}

#[derive(Template)]
#[template(path = "xml/callcenter.xml")]
struct CallcenterConf {
    queues: Vec<QueueXml>,
    agents: Vec<AgentXml>,
    tiers: Vec<TierXml>,
}

#[derive(Template)]
#[template(path = "xml/acl.xml")]
struct AclConf {
    callers: Callers,
}

impl Fetch {
    pub(super) async fn configuration(self: &Arc<Self>, file: ConfigFile<'_>, of: Option<Uuid>) -> (Reply, Source) {
        match file {
            ConfigFile::Ivr { menu } => self.of_destination(&menu, TargetKind::Ivr).await,
            ConfigFile::Conference { profile } => self.of_destination(&profile, TargetKind::Conference).await,
            ConfigFile::Callcenter { queue: Some(queue) } => self.of_destination(&queue, TargetKind::Queue).await,
            ConfigFile::Callcenter { queue: None } => self.made(self.queues(of).await),
            ConfigFile::Sofia => self.made(self.sofia(of).await),
            ConfigFile::Acl => self.made(self.acl(of).await),
            ConfigFile::Other { name } => match self.of_cluster(of, name).await {
                Ok(None) => {
                    self.metrics.not_ours("configuration");
                    (Reply::NotFound, Source::NotOurs)
                }
                Ok(Some(document)) => (Reply::Document(document), Source::Filled),
                Err(error) => self.made(Err(error)),
            },
        }
    }

    fn made(&self, made: Result<Bytes, ConfigError>) -> (Reply, Source) {
        match made {
            Ok(document) => (Reply::Document(document), Source::Filled),
            Err(error) => {
                self.metrics.fill_failed();
                tracing::warn!(%error, "a configuration could not be made");
                (Reply::Unavailable, Source::Unavailable)
            }
        }
    }

    async fn of_destination(self: &Arc<Self>, address: &Address<'_>, kind: TargetKind) -> (Reply, Source) {
        let mut buffer = Uuid::encode_buffer();
        let id = address.id.simple().encode_lower(&mut buffer);
        // A menu that is asked for as a conference is nobody; it stays a menu.
        let key = KeyText::new(b'C').raw(kind.as_str().as_bytes()).folded(&address.domain).raw(id.as_bytes());
        let Some(key) = key.finish() else { return (Reply::NotFound, Source::Memory) };
        let kept = self.cache.get(&key);
        let fresh = self.generations.is_fresh();
        match &kept {
            // A queue is read when the switch is told to, which may be before this node has heard of the change.
            Some(entry) if fresh && entry.is_current() && kind != TargetKind::Queue => {
                return (reply(entry), Source::Hit);
            }
            _ if !fresh => return self.stale(kept),
            _ => {}
        }
        let Some(slot) = self.generations.domain(&address.domain) else { return self.unknown_domain() };
        match self.fill(&key, slot, Question::Config { id: address.id, kind }, kept).await {
            Answer::Reply(reply, source) => (reply, source),
            Answer::Leaves(_) => (Reply::Unavailable, Source::Unavailable),
        }
    }

    /// Every queue of a cluster's tenants, for the moment that mod_callcenter loads.
    async fn queues(&self, of: Option<Uuid>) -> Result<Bytes, ConfigError> {
        let rows = self.readers.read(|db, _| Box::pin(config_store::queues(db, of))).await?;
        let mut conf = CallcenterConf { queues: Vec::new(), agents: Vec::new(), tiers: Vec::new() };
        for config_store::QueueRow { domain, row, .. } in &rows {
            if let Config::Queue(queue) = &row.config {
                add_queue(&mut conf, domain, row, queue);
            }
        }
        let document = render(&conf)?;
        if document.len() > 1024 * 1024 {
            tracing::error!(
                bytes = document.len(),
                "the cluster's queues are more than a switch takes at once (1 MiB)"
            );
        }
        Ok(document)
    }

    async fn acl(&self, of: Option<Uuid>) -> Result<Bytes, ConfigError> {
        let callers = self.readers.read(|db, _| Box::pin(config_store::callers(db, of))).await?;
        Ok(render(&AclConf { callers })?)
    }

    /// The profiles, as `freeswitch-conf` or the cluster has them, with the carriers' gateways in the one called external.
    async fn sofia(&self, of: Option<Uuid>) -> Result<Bytes, ConfigError> {
        let rows =
            self.readers.read(|db, _| Box::pin(config_store::carriers(db, config_store::Whose::Cluster(of)))).await?;
        let own = self.readers.read(|db, _| Box::pin(config_store::cluster_config(db, of, "sofia.conf"))).await?;
        Ok(sofia::document_of(own.as_deref().unwrap_or(&sofia::PROFILES), rows, &self.keyring)?)
    }

    /// What a cluster says about a file; `None`: nothing.
    async fn of_cluster(&self, of: Option<Uuid>, name: &'static str) -> Result<Option<Bytes>, ConfigError> {
        let text = self.readers.read(|db, _| Box::pin(config_store::cluster_config(db, of, name))).await?;
        Ok(text.map(|text| document(&text)))
    }
}

#[derive(Debug, thiserror::Error)]
enum ConfigError {
    #[error(transparent)]
    Read(#[from] super::readers::ReadError),
    #[error(transparent)]
    Render(#[from] RenderError),
}

pub(super) fn document(configuration: &str) -> Bytes {
    let text = format!(
        "<document type=\"freeswitch/xml\">\n<section name=\"configuration\">\n{}\n</section>\n</document>\n",
        configuration.trim_end()
    );
    Bytes::from(text)
}

/// A destination's configuration, as its module reads it.
pub fn destination_document(domain: &Domain, row: &ConfigRow, keyring: &Keyring) -> Result<Bytes, RenderError> {
    let name = routing::address(row.id, domain);
    match &row.config {
        Config::Ivr(ivr) => render(&menu(&name, domain, row, ivr)),
        Config::Conference(conference) => conference_conf(&name, row, conference, keyring),
        Config::Queue(queue) => {
            let mut conf = CallcenterConf { queues: Vec::new(), agents: Vec::new(), tiers: Vec::new() };
            add_queue(&mut conf, domain, row, queue);
            render(&conf)
        }
        // Nobody asks for the others.
        _ => Ok(Bytes::from_static(super::answer::NOT_FOUND.as_bytes())),
    }
}

fn menu<'a>(name: &'a str, domain: &Domain, row: &ConfigRow, ivr: &Ivr) -> IvrConf<'a> {
    let sound = |prompt: &Prompt| routing::sound(prompt);
    let to = |target: &crate::model::destination::Target| match target.kind {
        TargetKind::Extension | TargetKind::Group => row.targets.get(&target.id).cloned(),
        _ => Some(target.id.simple().to_string()),
    };
    let mut entries = ivr
        .entries
        .iter()
        .filter_map(|(digits, target)| Some((digits.clone(), format!("transfer {} XML {domain}", to(target)?))))
        .collect::<Vec<_>>();
    if ivr.direct_dial {
        // What is left of an expression's match is the number that was dialled (`switch_ivr_menu_execute`).
        entries.push(("/^(\\d{2,15})$/".to_owned(), format!("transfer $1 XML {domain}")));
    }
    IvrConf {
        name,
        greeting: sound(&ivr.greeting),
        short: sound(ivr.short_greeting.as_ref().unwrap_or(&ivr.greeting)),
        invalid: ivr.invalid.as_ref().map(sound),
        timeout: u32::from(ivr.timeout_seconds) * 1000,
        max_failures: ivr.max_failures,
        digits: if ivr.direct_dial { 15 } else { 1 },
        entries,
    }
}

fn conference_conf(
    name: &str,
    row: &ConfigRow,
    conference: &Conference,
    keyring: &Keyring,
) -> Result<Bytes, RenderError> {
    let mut params: Params = Vec::new();
    if let Some(sealed) = &row.pin {
        let pin = keyring.open_sealed(destinations::place(row.tenant_id, row.id), sealed)?;
        params.push(("pin", Cow::Owned(pin.to_string())));
    }
    if let Some(most) = conference.max_members {
        params.push(("max-members", most.to_string().into()));
    }
    if conference.announce {
        params.push(("enter-sound", "tone_stream://%(150,0,500,600)".into()));
        params.push(("exit-sound", "tone_stream://%(150,0,400,300)".into()));
    }
    if let Some(music) = &conference.music {
        params.push(("moh-sound", music.source().into()));
    }
    if conference.moderator.is_some() {
        params.push(("conference-flags", "wait-mod".into()));
    }
    if conference.muted {
        params.push(("member-flags", "mute".into()));
    }
    if conference.record {
        // Its own name is the file's: a conference has one at a time.
        params.push(("auto-record", format!("recordings/{}.wav", row.id.simple()).into()));
    }
    render(&ConferenceConf { name, params })
}

/// The agents of a queue that can take calls, with their places.
pub fn agents_of<'a>(row: &'a ConfigRow, queue: &'a Queue) -> impl Iterator<Item = (&'a Tier, &'a QueueAgent)> {
    queue.tiers.iter().filter_map(|tier| {
        let agent = row.agents.iter().find(|agent| agent.extension == tier.extension_id)?;
        Some((tier, agent))
    })
}

/// How mod_callcenter knows an agent.
pub fn agent_name(agent: &QueueAgent, domain: &Domain) -> String {
    format!("{}@{domain}", agent.sip_username)
}

fn add_queue(conf: &mut CallcenterConf, domain: &Domain, row: &ConfigRow, queue: &Queue) {
    let name = routing::address(row.id, domain);
    let mut params: Params = vec![
        ("strategy", queue.strategy.name().into()),
        ("time-base-score", "queue".into()),
        ("max-wait-time", queue.max_wait_seconds.to_string().into()),
        ("tier-rules-apply", "false".into()),
        ("discard-abandoned-after", "60".into()),
        ("abandoned-resume-allowed", "false".into()),
    ];
    let music = queue.music.as_ref().map_or_else(|| "local_stream://default".to_owned(), StreamName::source);
    params.push(("moh-sound", music.into()));
    if let Some(prompt) = &queue.announcement {
        params.push(("announce-sound", routing::sound(prompt).into()));
        params.push(("announce-frequency", queue.announcement_seconds.to_string().into()));
    }
    conf.queues.push(QueueXml { name: name.clone(), params });
    for (tier, agent) in agents_of(row, queue) {
        let agent_name = agent_name(agent, domain);
        if !conf.agents.iter().any(|known| known.name == agent_name) {
            let contact = format!("[leg_timeout={}]user/{}@{domain}", queue.ring_seconds, agent.sip_username);
            conf.agents.push(AgentXml { name: agent_name.clone(), contact, wrap_up: queue.wrap_up_seconds });
        }
        conf.tiers.push(TierXml { agent: agent_name, queue: name.clone(), level: tier.level, position: tier.position });
    }
}
