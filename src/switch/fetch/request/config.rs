//! A fetch of a module's configuration: which file, and which part of it.

use std::borrow::Cow;

use super::{Fields, Request, text};

/// The configuration files that Dialplane provides, and which part of one is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum ConfigFile<'a> {
    Sofia,
    Acl,
    TimeZones,
    /// `None`: all queues of the cluster.
    Callcenter {
        queue: Option<Address<'a>>,
    },
    Ivr {
        menu: Address<'a>,
    },
    Conference {
        profile: Address<'a>,
    },
    /// A file that a cluster may set: voicemail, music streams, call records, modules that are loaded last.
    Other {
        name: &'static str,
    },
}

impl ConfigFile<'_> {
    pub(super) fn domain(&self) -> Option<&str> {
        match self {
            Self::Callcenter { queue: Some(address) }
            | Self::Ivr { menu: address }
            | Self::Conference { profile: address } => Some(&address.domain),
            _ => None,
        }
    }
}

/// A destination's name on the switches, as `routing` makes it: `ID.DOMAIN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address<'a> {
    pub id: uuid::Uuid,
    pub domain: Cow<'a, str>,
}

impl Address<'_> {
    fn read(text: &str) -> Option<Self> {
        let (id, domain) = text.split_once('.')?;
        let id = uuid::Uuid::try_parse(id).ok().filter(|_| id.len() == 32)?;
        Some(Self { id, domain: Cow::Owned(domain.to_owned()) })
    }
}

/// Files that Dialplane doesn't provide are left to the switch.
pub(super) fn read<'a>(fields: &Fields<'a>) -> Request<'a> {
    const NOT_OURS: Request<'static> = Request::NotOurs { kind: "configuration" };
    let address = |field: Option<&'a [u8]>| text(field).and_then(|name| Address::read(&name));
    let file = match fields.key_value {
        Some(b"sofia.conf") => ConfigFile::Sofia,
        Some(b"acl.conf") => ConfigFile::Acl,
        Some(b"timezones.conf") => ConfigFile::TimeZones,
        Some(b"callcenter.conf") => match text(fields.queue) {
            None => ConfigFile::Callcenter { queue: None },
            Some(name) => match Address::read(&name) {
                Some(queue) => ConfigFile::Callcenter { queue: Some(queue) },
                None => return NOT_OURS,
            },
        },
        Some(b"ivr.conf") => match address(fields.menu) {
            Some(menu) => ConfigFile::Ivr { menu },
            None => return NOT_OURS,
        },
        Some(b"conference.conf") => match address(fields.conference_profile) {
            Some(profile) => ConfigFile::Conference { profile },
            None => return NOT_OURS,
        },
        Some(b"voicemail.conf") => ConfigFile::Other { name: "voicemail.conf" },
        Some(b"local_stream.conf") => ConfigFile::Other { name: "local_stream.conf" },
        Some(b"json_cdr.conf") => ConfigFile::Other { name: "json_cdr.conf" },
        Some(b"post_load_modules.conf") => ConfigFile::Other { name: "post_load_modules.conf" },
        _ => return NOT_OURS,
    };
    Request::Configuration { file }
}
