//! Reads everything that goes on at a switch, over a connection that gives no commands.

use quick_xml::{Reader, events::Event};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{
    queues, registrations,
    said::{PHONES, page_of, short},
    state::Lists,
};
use crate::{
    model::channel,
    switch::link::{
        gateways,
        socket::{Talk, Unanswered},
    },
};

/// The most channels that are asked for one by one: from outside, and of phones.
const MOST_ASKED: usize = 500;
const MOST_PHONES_ASKED: usize = 2000;
/// The most phones whose profile is asked about them: its answer has a kilobyte for each, which the switch writes while it holds its table.
const MOST_DESCRIBED: usize = 2000;

/// Reads all lists of a switch. `is_known`: whether it is known already whose phone a leg is.
pub async fn all(talk: &Talk, is_known: impl Fn(Uuid) -> bool) -> Result<Lists, Unanswered> {
    let now = talk.ask("strepoch").await?;
    let began = now.trim().parse::<i64>().map_err(|_| Unanswered::Strange("its clock says no number".into()))?;
    let mut registrations: Vec<registrations::Row> = rows(&talk.ask("show registrations as json").await?)?;
    if !registrations.is_empty() && registrations.len() <= MOST_DESCRIBED {
        let text = talk.ask(&format!("sofia status profile {PHONES} reg")).await?;
        let mut described = registrations::described(&text);
        for row in &mut registrations {
            row.described = described.remove(&row.call_id).unwrap_or_default();
        }
    }
    let mut lists = Lists {
        began: began.saturating_mul(1_000_000),
        channels: rows(&talk.ask("show channels as json").await?)?,
        pairs: rows(&talk.ask("show bridged_calls as json").await?)?,
        registrations,
        queues: queues::Lists {
            queues: of_callcenter(talk, "queue list").await?,
            agents: of_callcenter(talk, "agent list").await?,
            tiers: of_callcenter(talk, "tier list").await?,
            members: of_callcenter(talk, "member list").await?,
        },
        conferences: conferences(&talk.ask("conference json_list").await?),
        parked: parked(&talk.ask("valet_info").await?),
        gateways: gateways::ask(talk).await?,
        tenants: Vec::new(),
        phones: Vec::new(),
        dialogs: Vec::new(),
    };
    // It alone says whose a conference is: anybody may be in it (`conf_api_sub_get` in conference_api.c).
    for conference in &mut lists.conferences {
        if let Ok(id) = Uuid::try_parse(&conference.conference_name) {
            let profile = talk.ask(&format!("conference {} get profile_name", id.simple())).await?;
            conference.profile = Some(short(profile.trim())).filter(|profile| profile.contains('.'));
        }
    }
    // Of a phone's call, the phone can choose the channel's name (`X-FS-Channel-Name` in `sofia_handle_sip_i_invite` in sofia.c).
    for row in lists.channels.iter_mut().filter(|row| !row.name.starts_with("sofia/")).take(MOST_ASKED) {
        let profile = talk.ask(&format!("uuid_getvar {} sofia_profile_name", row.uuid)).await?;
        let profile = profile.trim();
        if profile.bytes().all(|b| b.is_ascii_alphanumeric()) && !profile.is_empty() {
            row.name = format!("sofia/{profile}/");
        }
    }
    // A list has no variables. A call from outside has its tenant there only, and a carrier's leg whose routing made it; whoever is rung is
    // known by the dial string.
    let outside = lists.channels.iter().filter(|row| row.name.starts_with("sofia/external/"));
    for leg in outside.map(|row| row.uuid).take(MOST_ASKED).collect::<Vec<_>>() {
        let tenant = talk.ask(&format!("uuid_getvar {leg} {}", channel::TENANT)).await?;
        lists.tenants.extend(tenant.trim().parse::<Uuid>().ok().map(|tenant| (leg, tenant)));
    }
    // Its presence id is the extension's number, which may be another's SIP username.
    let of_phones = lists.channels.iter().filter(|row| row.name.starts_with("sofia/internal/") && !is_known(row.uuid));
    let of_phones = of_phones.map(|row| (row.uuid, row.direction == "inbound")).take(MOST_PHONES_ASKED);
    for (leg, is_caller) in of_phones.collect::<Vec<_>>() {
        let Some(phone) = phone(talk, leg, is_caller).await? else { continue };
        lists.phones.push((leg, phone));
        if let Some(sip_call_id) = value(talk, leg, "sip_call_id").await? {
            let contact = value(talk, leg, "sip_contact_uri").await?;
            lists.dialogs.push((leg, sip_call_id, contact.as_deref().and_then(page_of)));
        }
    }
    Ok(lists)
}

/// Reads which queues a switch has, and who serves them.
pub async fn queues(talk: &Talk) -> Result<(Vec<queues::QueueRow>, Vec<queues::TierRow>), Unanswered> {
    Ok((of_callcenter(talk, "queue list").await?, of_callcenter(talk, "tier list").await?))
}

/// A variable of a channel.
async fn value(talk: &Talk, leg: Uuid, name: &str) -> Result<Option<String>, Unanswered> {
    let value = talk.ask(&format!("uuid_getvar {leg} {name}")).await?;
    let value = value.trim();
    // What a channel lacks, and a channel that is gone (`uuid_getvar_function` in mod_commands.c).
    let is_there = !value.is_empty() && value != "_undef_" && !value.starts_with("-ERR");
    Ok(is_there.then(|| short(value)))
}

/// Whose phone a leg is, as the directory or the dial string says: the SIP username and the domain.
async fn phone(talk: &Talk, leg: Uuid, is_caller: bool) -> Result<Option<(String, String)>, Unanswered> {
    let value = |name: &'static str| value(talk, leg, name);
    if !is_caller {
        let taken = value(channel::TAKEN_BY).await?;
        let phone = taken.as_deref().and_then(|taken| taken.split_once('@'));
        return Ok(phone.map(|(user, domain)| (user.to_owned(), domain.to_ascii_lowercase())));
    }
    // Nobody who is not signed in has an extension.
    if value(channel::EXTENSION).await?.is_none() {
        return Ok(None);
    }
    let (user, domain) = (value("user_name").await?, value("domain_name").await?);
    // Of a call to another tenant, whose context has put its own domain there.
    if user.is_none() {
        let made = value(channel::MADE_BY).await?;
        let phone = made.as_deref().and_then(|made| made.split_once('@'));
        return Ok(phone.map(|(user, domain)| (user.to_owned(), domain.to_ascii_lowercase())));
    }
    Ok(user.zip(domain).map(|(user, domain)| (user, domain.to_ascii_lowercase())))
}

/// The rows of a `show … as json`. Without any, there is no `rows` (`show_as_json_callback` in mod_commands.c). Rows of another shape are left
/// out: other programs may write there, too.
fn rows<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, Unanswered> {
    let list = serde_json::from_str::<serde_json::Value>(text);
    let mut list = list.map_err(|error| Unanswered::Strange(format!("a list is not JSON: {error}")))?;
    Ok(each(list.get_mut("rows").map(serde_json::Value::take).unwrap_or_default()))
}

fn each<T: DeserializeOwned>(rows: serde_json::Value) -> Vec<T> {
    let serde_json::Value::Array(rows) = rows else { return Vec::new() };
    rows.into_iter().filter_map(|row| serde_json::from_value(row).ok()).collect()
}

/// A list of mod_callcenter, as JSON: in its other lists, a caller's name may shift the columns. Empty if the switch has no mod_callcenter.
async fn of_callcenter<T: DeserializeOwned>(talk: &Talk, list: &str) -> Result<Vec<T>, Unanswered> {
    let command = serde_json::json!({ "command": "callcenter_config", "data": { "arguments": list } });
    let answer = talk.ask(&format!("json {command}")).await?;
    let mut answer = serde_json::from_str::<serde_json::Value>(&answer).unwrap_or_default();
    Ok(each(answer.get_mut("response").map(serde_json::Value::take).unwrap_or_default()))
}

/// It says so in words if there are none.
fn conferences(text: &str) -> Vec<super::conferences::Row> {
    each(serde_json::from_str(text).unwrap_or_default())
}

/// Lots, slots and channels in `valet_info` (`valet_info_function` in mod_valet_parking.c).
fn parked(text: &str) -> Vec<(String, String, Uuid)> {
    let mut reader = Reader::from_str(text);
    let (mut found, mut lot, mut leg) = (Vec::new(), String::new(), None);
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                let value = |name: &str| {
                    let attribute = start.try_get_attribute(name).ok().flatten()?;
                    Some(attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok()?.into_owned())
                };
                match start.name().as_ref() {
                    "lot" => lot = value("name").unwrap_or_default(),
                    "extension" => leg = value("uuid").and_then(|leg| leg.parse::<Uuid>().ok()),
                    _ => {}
                }
            }
            Ok(Event::Text(slot)) => {
                if let Some(leg) = leg.take() {
                    found.push((lot.clone(), slot.trim().to_owned(), leg));
                }
            }
            Ok(Event::Eof) | Err(_) => return found,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_also_if_they_are_empty_and_strange_rows_are_left_out() {
        assert!(rows::<super::super::calls::Row>("{\"row_count\":0}").unwrap().is_empty());
        let uuid = Uuid::from_u128(1);
        let text = format!(
            "{{\"row_count\":2,\"rows\":[{{\"uuid\":\"{uuid}\",\"callstate\":\"ACTIVE\"}},{{\"uuid\":\"x\"}}]}}"
        );
        assert_eq!(rows::<super::super::calls::Row>(&text).unwrap().len(), 1);
        assert!(rows::<super::super::calls::Row>("-ERR no").is_err());
        assert!(conferences("-OK No active conferences.\n").is_empty());
    }

    #[test]
    fn parking_lots_are_read() {
        let leg = Uuid::from_u128(7);
        let text = format!(
            "<lots>\n  <lot name=\"park@acme.test\">\n    <extension uuid=\"{leg}\">5</extension>\n  </lot>\n</lots>\n"
        );
        assert_eq!(parked(&text), [("park@acme.test".into(), "5".into(), leg)]);
        assert!(parked("<lots>\n</lots>\n").is_empty() && parked("-ERR").is_empty());
    }
}
