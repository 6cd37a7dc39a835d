//! Module configuration as documents: queues, menus, conferences, trusted addresses.

use std::borrow::Cow;

use askama::Template;
use bytes::Bytes;

use super::{
    config_store::{Callers, ConfigRow, QueueAgent},
    render::{RenderError, xml},
};
use crate::{
    model::agent_status::OnSwitch,
    model::destination::{Conference, Config, Ivr, Prompt, Queue, TargetKind, Tier},
    routing::{self, IN_MENU},
    telephony::destinations,
    text::{Domain, StreamName, keyring::Keyring, zone},
};

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

pub(super) struct QueueXml {
    name: String,
    params: Params,
}

pub(super) struct AgentXml {
    name: String,
    contact: String,
    status: Option<OnSwitch>,
    wrap_up: u16,
    max_no_answers: u8,
}

pub(super) struct TierXml {
    agent: String,
    queue: String,
    level: u8,
    position: u8,
}

#[derive(Template)]
#[template(path = "xml/callcenter.xml")]
pub(super) struct CallcenterConf {
    pub(super) queues: Vec<QueueXml>,
    pub(super) agents: Vec<AgentXml>,
    pub(super) tiers: Vec<TierXml>,
}

#[derive(Template)]
#[template(path = "xml/acl.xml")]
pub(super) struct AclConf {
    pub(super) callers: Callers,
}

/// The document around a module's configuration.
pub(super) fn document(configuration: &str) -> Bytes {
    let text = format!(
        "<document type=\"freeswitch/xml\">\n<section name=\"configuration\">\n{}\n</section>\n</document>\n",
        configuration.trim_end()
    );
    Bytes::from(text)
}

/// Zones with their rules. A switch has no table of its own: of a zone that is not here it can't tell the time
/// (`switch_lookup_timezone` in switch_time.c). It reads them before it can fetch anything, so the same is in
/// `freeswitch-conf`, and once more at `reloadxml`.
#[must_use]
pub fn time_zones() -> String {
    let lines = zone::for_switches().map(|(name, rule)| format!("<zone name=\"{name}\" value=\"{rule}\"/>\n"));
    let lines = lines.collect::<String>();
    format!("<configuration name=\"timezones.conf\">\n<timezones>\n{lines}</timezones>\n</configuration>\n")
}

/// A destination's configuration in the form that its module reads.
pub fn destination_document(domain: &Domain, row: &ConfigRow, keyring: &Keyring) -> Result<Bytes, RenderError> {
    document_of(domain, row, keyring, &format!("{IN_MENU}{}", row.id.simple()))
}

/// The same for static files, in which nobody asks where a number that was dialled in a menu came from.
pub fn static_document(domain: &Domain, row: &ConfigRow, keyring: &Keyring) -> Result<Bytes, RenderError> {
    document_of(domain, row, keyring, "")
}

/// `in_menu`: what is added to a number that was dialled in a menu.
fn document_of(domain: &Domain, row: &ConfigRow, keyring: &Keyring, in_menu: &str) -> Result<Bytes, RenderError> {
    let name = routing::address(row.id, domain);
    match &row.config {
        Config::Ivr(ivr) => xml(&menu(&name, domain, row, ivr, in_menu)),
        Config::Conference(conference) => conference_conf(&name, row, conference, keyring),
        Config::Queue(queue) => {
            let mut conf = CallcenterConf { queues: Vec::new(), agents: Vec::new(), tiers: Vec::new() };
            add_queue(&mut conf, domain, row, queue);
            xml(&conf)
        }
        // No module asks for other kinds.
        _ => Ok(Bytes::from_static(super::render::NOT_FOUND.as_bytes())),
    }
}

fn menu<'a>(name: &'a str, domain: &Domain, row: &ConfigRow, ivr: &Ivr, in_menu: &str) -> IvrConf<'a> {
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
        // `$1` is the number that was dialled (`switch_ivr_menu_execute` in switch_ivr_menu.c).
        entries.push(("/^(\\d{2,15})$/".to_owned(), format!("transfer $1{in_menu} XML {domain}")));
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
    if conference.record && row.may_record {
        // Named after the leg that comes first, so that no conference writes over the recording of another. mod_conference opens the path as it
        // is, and expands it by that leg's variables before (`conference_thread_run` in mod_conference.c): record_session puts sound_prefix
        // in front by itself.
        params.push(("auto-record", format!("${{sound_prefix}}/recordings/${{uuid}}-{}.wav", row.id.simple()).into()));
    }
    xml(&ConferenceConf { name, params })
}

/// The agents of a queue that can take calls, with their tiers.
pub fn agents_of<'a>(row: &'a ConfigRow, queue: &'a Queue) -> impl Iterator<Item = (&'a Tier, &'a QueueAgent)> {
    queue.tiers.iter().filter_map(|tier| {
        let agent = row.agents.iter().find(|agent| agent.extension == tier.extension_id)?;
        agent.takes_calls(queue).then_some((tier, agent))
    })
}

/// An agent's name in mod_callcenter.
pub fn agent_name(agent: &QueueAgent, domain: &Domain) -> String {
    format!("{}@{domain}", agent.sip_username)
}

pub(super) fn add_queue(conf: &mut CallcenterConf, domain: &Domain, row: &ConfigRow, queue: &Queue) {
    let name = routing::address(row.id, domain);
    let mut params: Params = vec![
        ("strategy", queue.strategy.name().into()),
        ("time-base-score", "queue".into()),
        ("max-wait-time", queue.max_wait_seconds.to_string().into()),
        ("tier-rules-apply", (queue.level_wait_seconds > 0).to_string().into()),
        // Those of level n wait n times as long, but nobody waits for a level without an agent (`agents_callback` in mod_callcenter.c).
        ("tier-rule-wait-second", queue.level_wait_seconds.to_string().into()),
        ("tier-rule-wait-multiply-level", "true".into()),
        ("tier-rule-no-agent-no-wait", "true".into()),
        // What counts as a call is what `callcenter_track` has noted on a leg of theirs.
        ("skip-agents-with-external-calls", (!queue.ring_busy_agents).to_string().into()),
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
            conf.agents.push(AgentXml {
                name: agent_name.clone(),
                contact,
                status: row.with_status.then(|| agent.on_switch()),
                wrap_up: queue.wrap_up_seconds,
                max_no_answers: queue.max_no_answers,
            });
        }
        conf.tiers.push(TierXml { agent: agent_name, queue: name.clone(), level: tier.level, position: tier.position });
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_shipped_time_zones_are_those_of_this_version() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../freeswitch-conf/autoload_configs/timezones.conf.xml");
        let made = super::time_zones();
        if std::env::var_os("DIALPLANE_WRITE_TIMEZONES").is_some() {
            std::fs::write(file, &made).unwrap();
        }
        assert_eq!(std::fs::read_to_string(file).unwrap(), made, "run script/time-zones");
    }
}
