//! The module configurations that a cluster sets for its switches: XML from platform administrators, parsed, checked and
//! written anew. It may use the switches' global variables (`$${name}`) and nothing else that a switch's preprocessor acts on.

use askama::filters::Escaper as _;
use quick_xml::{Reader, events::Event};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use uuid::Uuid;

use super::{Configuration, store};
use crate::{
    model::{
        diff::diff,
        error::{Error, NOT_THERE, Result, same_version},
    },
    node::{
        apart::apart,
        changes::{Audit, Change},
    },
    routing::raw::{not_well_formed, short},
    text::{Code, Why, escape::SwitchXml},
};

/// The files that a cluster may set.
pub const FILES: [&str; 5] =
    ["sofia.conf", "voicemail.conf", "local_stream.conf", "json_cdr.conf", "post_load_modules.conf"];

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConfiguration {
    /// One `<configuration>` element. Carriers' gateways are added to sofia.conf's profile `external`.
    pub xml: String,
}

/// A configuration with the line-by-line difference.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChangedConfiguration {
    #[serde(flatten)]
    pub configuration: Configuration,
    pub diff: String,
}

pub async fn put(
    change: &mut Change,
    cluster: Uuid,
    name: &str,
    new: &NewConfiguration,
    if_match: Option<i64>,
) -> Result<ChangedConfiguration> {
    known(name)?;
    store::get(change.db(), cluster).await?.ok_or(Error::NotFound("cluster"))?;
    let (file, sent) = (name.to_owned(), new.xml.clone());
    let xml = apart(move || canonical(&file, &sent)).await?;
    let xml = xml.map_err(|error| Error::invalid("xml", Code::XmlRefused.because(error)))?;
    // One after the other, so that the version that is compared is the one that is replaced.
    store::alone(change.db(), cluster).await?;
    let before = store::configuration(change.db(), cluster, name).await?;
    same_version(if_match, before.as_ref().map_or(NOT_THERE, |before| before.version))?;
    let before = before.map(|before| before.xml);
    if before.as_ref() != Some(&xml) {
        store::put_configuration(change.db(), cluster, name, &xml).await?;
        audit(change, cluster, name, before.clone(), Some(&xml)).await?;
    }
    let (old, new) = (before.unwrap_or_default(), xml);
    let diff = apart(move || diff(&old, &new)).await?;
    let configuration =
        store::configuration(change.db(), cluster, name).await?.ok_or(Error::NotFound("configuration"))?;
    Ok(ChangedConfiguration { configuration, diff })
}

pub async fn delete(change: &mut Change, cluster: Uuid, name: &str, if_match: Option<i64>) -> Result<()> {
    known(name)?;
    store::alone(change.db(), cluster).await?;
    let before = store::configuration(change.db(), cluster, name).await?.ok_or(Error::NotFound("configuration"))?;
    same_version(if_match, before.version)?;
    store::delete_configuration(change.db(), cluster, name).await?;
    audit(change, cluster, name, Some(before.xml), None).await
}

fn known(name: &str) -> Result<()> {
    if FILES.contains(&name) { Ok(()) } else { Err(Error::NotFound("configuration")) }
}

async fn audit(
    change: &mut Change,
    cluster: Uuid,
    name: &str,
    before: Option<String>,
    after: Option<&str>,
) -> Result<()> {
    let resource = format!("clusters/{cluster}/configuration/{name}");
    let (before, after) = (before.map(Into::into), after.map(Into::into));
    change.audit(Audit { tenant: None, action: "update", resource, before, after }).await
}

/// The largest configuration. Larger ones are refused before they are parsed.
const MOST_BYTES: usize = 256 << 10;
/// How deep elements may be nested, and how many attributes one may have: quick-xml compares each name with all before it.
const MOST_DEPTH: usize = 20;
const MOST_ATTRIBUTES: usize = 40;

/// Checks one `<configuration>` element and returns it as it is kept.
pub fn canonical(name: &str, text: &str) -> std::result::Result<String, Why> {
    if text.len() > MOST_BYTES {
        return Err(Code::XmlTooLarge.with("most", MOST_BYTES >> 10));
    }
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut out = String::with_capacity(text.len());
    let mut open = Vec::<String>::new();
    let mut roots = 0;
    loop {
        match reader.read_event().map_err(not_well_formed)? {
            Event::Start(start) | Event::Empty(start) => {
                let element = start.name().0.to_owned();
                if open.is_empty() {
                    roots += 1;
                    let named = start.attributes().flatten().any(|a| a.key.0 == "name" && a.value == name);
                    if element != "configuration" || !named {
                        return Err(Code::XmlNotOneConfiguration.with("name", name));
                    }
                }
                if open.len() >= MOST_DEPTH {
                    return Err(Code::XmlTooDeep.with("most", MOST_DEPTH));
                }
                write_start(&mut out, &element, &start)?;
                open.push(element);
            }
            Event::End(_) => {
                let _ = writeln!(out, "</{}>", open.pop().unwrap_or_default());
            }
            Event::Eof => break,
            Event::Text(text) if text.trim_ascii().is_empty() => {}
            Event::Comment(_) => {}
            _ => return Err(Code::XmlHasText.into()),
        }
    }
    if !open.is_empty() || roots != 1 {
        return Err(Code::XmlNotOneConfiguration.with("name", name));
    }
    if name == "sofia.conf" && !out.contains("<profile name=\"external\">\n") {
        return Err(Code::XmlWithoutExternal.into());
    }
    Ok(out)
}

fn write_start(
    out: &mut String,
    element: &str,
    start: &quick_xml::events::BytesStart<'_>,
) -> std::result::Result<(), Why> {
    let plain = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
            && !name.contains("pre-process")
            && name != "include"
    };
    if !plain(element) {
        return Err(Code::XmlElementRefused.with("element", short(element)));
    }
    let _ = write!(out, "<{element}");
    for (at, attribute) in start.attributes().enumerate() {
        if at >= MOST_ATTRIBUTES {
            return Err(Code::XmlTooManyAttributes.with("element", element).with("most", MOST_ATTRIBUTES));
        }
        let attribute = attribute.map_err(not_well_formed)?;
        let key = attribute.key.0;
        if !plain(key) {
            return Err(Code::XmlAttributeRefused.with("attribute", short(key)).with("element", element));
        }
        let value = quick_xml::escape::unescape(&attribute.value).map_err(not_well_formed)?;
        let _ = write!(out, " {key}=\"");
        write_value(out, &value).map_err(|_| Code::XmlControlCharacter.with("attribute", key))?;
        out.push('"');
    }
    out.push_str(">\n");
    Ok(())
}

/// Writes a value so that a switch takes every character literally, except in its global variables.
fn write_value(out: &mut String, value: &str) -> std::fmt::Result {
    let mut rest = value;
    while let Some(at) = rest.find("$${") {
        let name = rest[at + 3..].split('}').next().unwrap_or_default();
        let whole = format!("$${{{name}}}");
        let fine = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        SwitchXml.write_escaped_str(&mut *out, &rest[..at])?;
        if fine && rest[at..].starts_with(&whole) {
            out.push_str(&whole);
            rest = &rest[at + whole.len()..];
        } else {
            SwitchXml.write_escaped_str(&mut *out, "$${")?;
            rest = &rest[at + 3..];
        }
    }
    SwitchXml.write_escaped_str(&mut *out, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stock_profiles_are_kept_with_their_variables() {
        let stock = include_str!("../../../freeswitch-conf/autoload_configs/sofia.conf.xml");
        let kept = canonical("sofia.conf", stock).unwrap();
        assert!(kept.contains("value=\"$${sip_ip}\"") && !kept.contains("<!--"), "{kept}");
        assert_eq!(canonical("sofia.conf", &kept).unwrap(), kept);
    }

    #[test]
    fn text_that_a_switch_would_act_on_is_refused_or_taken_literally() {
        for wrong in [
            "<configuration name=\"other.conf\"/>",
            "<configuration name=\"voicemail.conf\"><X-PRE-PROCESS cmd=\"exec\" data=\"id\"/></configuration>",
            "<configuration name=\"voicemail.conf\"><x-pre-process cmd=\"exec\" data=\"id\"/></configuration>",
            "<configuration name=\"voicemail.conf\"><include/></configuration>",
            "<configuration name=\"voicemail.conf\">text</configuration>",
            "<configuration name=\"voicemail.conf\"><![CDATA[x]]></configuration>",
            "<configuration name=\"voicemail.conf\">",
        ] {
            assert!(canonical("voicemail.conf", wrong).is_err(), "{wrong}");
        }
        let sly = "<configuration name=\"voicemail.conf\"><param name=\"x\" value=\"${system id} $${a b} &lt;!-- $${ok}\"/></configuration>";
        let kept = canonical("voicemail.conf", sly).unwrap();
        assert!(kept.contains("$${ok}") && kept.matches('$').count() == 2 && !kept.contains("<!"), "{kept}");
        assert!(canonical("sofia.conf", "<configuration name=\"sofia.conf\"/>").is_err());
    }
}
