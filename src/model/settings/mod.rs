//! A tenant's settings and the templates that they come from: typed, limited, and merged by RFC 7396.
//!
//! Only values of text types reach a switch.

mod agents;
mod contacts;
mod features;
pub mod hours;
mod merge;
mod reports;
pub mod routing;
mod words;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::{
    agents::{AgentSettings, PHONE_GONE_SECONDS, StatusReason},
    contacts::{ContactField, ContactFieldKind, ContactSettings},
    features::{Feature, Features},
    hours::{BusinessHours, Holiday, Span},
    merge::merge_patch,
    reports::{ReportEvery, ReportMail, ReportMailBy, ReportSettings},
    routing::Routing,
    words::{CallerPage, Country, Currency, Prose, TemplateName, Words},
};
use crate::{
    model::{
        error::Error,
        labels::{ExternalId, Labels, MOST_KEYS, metadata},
        language::Language,
    },
    text::Codecs,
    text::{Code, TimeZone, Why},
};

/// The version of the JSON layout of templates.
pub const SCHEMA: u8 = 1;

/// Why settings or a template are invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// Such as `business_hours.monday[0].close`.
    pub field: String,
    pub why: Why,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.why)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The language of mails and pages, unless a user chose another.
    pub language: Language,
    pub time_zone: TimeZone,
    pub currency: Currency,
    pub country: Country,
    #[serde(default)]
    pub business_hours: BusinessHours,
    #[serde(default)]
    pub voice_agent: VoiceAgent,
    #[serde(default)]
    pub messaging: Messaging,
    #[serde(default)]
    pub features: Features,
    #[serde(default)]
    pub integrations: Vec<IntegrationSettings>,
    #[serde(default)]
    pub calling: Calling,
    #[serde(default)]
    pub routing: Routing,
    /// What became of a call, for people to choose from: such as "Sold" or "Call back".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dispositions: Vec<Words>,
    // Absent where it is not set: programs that don't know it read the settings, too.
    #[serde(default, skip_serializing_if = "AgentSettings::is_usual")]
    pub agents: AgentSettings,
    /// Reports that come by mail.
    #[serde(default, skip_serializing_if = "ReportSettings::is_usual")]
    pub reports: ReportSettings,
    /// What is kept of contacts.
    #[serde(default, skip_serializing_if = "ContactSettings::is_usual")]
    pub contacts: ContactSettings,
}

/// The assistant that answers calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VoiceAgent {
    pub enabled: bool,
    /// Its voice.
    pub voice: Option<Words>,
    /// Its first words.
    pub opening_message: Option<Prose>,
    /// The description of its task.
    pub assistant_prompt: Option<Prose>,
    /// Minutes after which it hands the call over or ends it, 1 to 60.
    pub max_minutes: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    Sms,
    Whatsapp,
    WebChat,
    Email,
}

impl ChannelKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Whatsapp => "whatsapp",
            Self::WebChat => "web_chat",
            Self::Email => "email",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Messaging {
    /// Created with the tenant if it has the messaging feature. Each is inactive until it is set up.
    pub channels: Vec<ChannelKind>,
    pub opening_message: Option<Prose>,
    /// The reply outside business hours.
    pub away_message: Option<Prose>,
    pub signature: Option<Words>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationKind {
    Crm,
    Calendar,
    Webhook,
    Helpdesk,
}

/// Another system. It is created with the tenant and inactive until it is set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IntegrationSettings {
    pub kind: IntegrationKind,
    pub name: Words,
    #[serde(default)]
    pub config: BTreeMap<String, Words>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Calling {
    /// How many seconds an extension rings before voicemail takes the call.
    pub ring_seconds: i16,
    /// How many phones may be registered with one extension.
    pub max_registrations: i16,
    pub codecs: Option<Codecs>,
    /// How many numbers the first extension pool has, 10 to 10,000.
    pub pool_size: i64,
    /// Whether managers may listen to calls, and talk along.
    // Absent where it is not set: programs that don't know it read the settings, too.
    #[serde(skip_serializing_if = "Supervision::is_usual")]
    pub supervision: Supervision,
    /// When an agent's browser phone loses its connection: for how many seconds the caller hears music before they go back to their queue,
    /// or where the extension's unanswered calls go. 10 to 600; 0 means that they stay.
    #[serde(skip_serializing_if = "is_usual_return")]
    pub return_seconds: u16,
}

const RETURNS: u16 = 60;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_usual_return(seconds: &u16) -> bool {
    *seconds == RETURNS
}

/// Whether managers may take part in calls of others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Supervision {
    #[default]
    Allowed,
    /// Both sides hear a tone when it begins.
    Announced,
    Forbidden,
}

impl Supervision {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_usual(&self) -> bool {
        *self == Self::Allowed
    }
}

impl Default for Calling {
    fn default() -> Self {
        Self {
            ring_seconds: 25,
            max_registrations: 5,
            codecs: None,
            pool_size: 1000,
            supervision: Supervision::Allowed,
            return_seconds: RETURNS,
        }
    }
}

/// What new tenants start with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The version of this document's layout: 1.
    #[serde(default = "schema_number")]
    pub schema: u8,
    pub name: TemplateName,
    pub title: Words,
    #[serde(default)]
    pub description: Option<Prose>,
    /// Goes up with each change.
    #[serde(default)]
    pub version: i32,
    pub settings: Settings,
    /// The id that it has in another system. No other template has the same.
    #[serde(default)]
    pub external_id: Option<ExternalId>,
    /// Up to 20 texts by key, for another system. No secrets belong here.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
}

fn schema_number() -> u8 {
    SCHEMA
}

fn read<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, SettingsError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let (field, why) = Why::of_serde_at(&path, &error.into_inner().to_string());
        SettingsError { field, why }
    })
}

fn wrong(field: &str, why: impl Into<Why>) -> SettingsError {
    SettingsError { field: field.to_owned(), why: why.into() }
}

impl Settings {
    pub fn parse(value: &Value) -> Result<Self, SettingsError> {
        let settings: Self = read(value)?;
        settings.check()?;
        Ok(settings)
    }

    /// Applies a merge patch to these settings. The result must be valid.
    pub fn patched(&self, patch: &Value) -> Result<Self, SettingsError> {
        if !patch.is_object() {
            return Err(wrong(".", Code::NotAPatch));
        }
        let whole = serde_json::to_value(self).map_err(|error| wrong(".", Code::Unreadable.with("reason", error)))?;
        let patched = Self::parse(&merge_patch(&whole, patch))?;
        patched.need_features(Some(self))?;
        Ok(patched)
    }

    fn check(&self) -> Result<(), SettingsError> {
        self.business_hours.check()?;
        self.routing.check()?;
        self.agents.check()?;
        self.reports.check()?;
        self.contacts.check()?;
        if self.voice_agent.max_minutes.is_some_and(|minutes| !(1..=60).contains(&minutes)) {
            return Err(wrong("voice_agent.max_minutes", Code::range(1, 60)));
        }
        let mut channels = self.messaging.channels.clone();
        channels.sort_unstable();
        channels.dedup();
        if channels.len() != self.messaging.channels.len() {
            return Err(wrong("messaging.channels", Code::NamesOneTwice));
        }
        if self.integrations.len() > 20 {
            return Err(wrong("integrations", Code::entries(20)));
        }
        for (at, integration) in self.integrations.iter().enumerate() {
            let fine = |key: &String| {
                (1..=40).contains(&key.len())
                    && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
            };
            if integration.config.len() > 20 || !integration.config.keys().all(fine) {
                let field = format!("integrations[{at}].config");
                return Err(wrong(&field, Code::WrongConfigKeys));
            }
        }
        let calling = &self.calling;
        if !(5..=300).contains(&calling.ring_seconds) {
            return Err(wrong("calling.ring_seconds", Code::range(5, 300)));
        }
        if !(1..=20).contains(&calling.max_registrations) {
            return Err(wrong("calling.max_registrations", Code::range(1, 20)));
        }
        if calling.return_seconds != 0 && !(10..=600).contains(&calling.return_seconds) {
            return Err(wrong("calling.return_seconds", Code::WrongReturnSeconds));
        }
        if !(10..=10_000).contains(&calling.pool_size) {
            return Err(wrong("calling.pool_size", Code::range(10, 10_000)));
        }
        Ok(())
    }
}

impl Template {
    pub fn parse(value: &Value) -> Result<Self, SettingsError> {
        let template: Self = read(value)?;
        if template.schema != SCHEMA {
            return Err(wrong("schema", Code::UnknownSchema));
        }
        template.settings.check().map_err(|error| wrong(&format!("settings.{}", error.field), error.why))?;
        // A new tenant has none of the people who are named there.
        if !template.settings.reports.is_usual() {
            return Err(wrong("settings.reports.mails", Code::entries(0)));
        }
        let labels = Labels { external_id: None, metadata: template.metadata.clone() };
        labels.check().map_err(|error| match error {
            Error::InvalidAt { field, why } => wrong(&field, why),
            _ => wrong("metadata", Code::entries(MOST_KEYS)),
        })?;
        Ok(template)
    }
}

const BUILTIN: [&str; 2] = [
    include_str!("../../../templates/tenants/default.json"),
    include_str!("../../../templates/tenants/dental-practice.json"),
];

/// The templates that every platform has.
#[must_use]
pub fn builtin() -> Vec<Template> {
    let parse = |text: &str| {
        let value = serde_json::from_str(text).ok()?;
        Template::parse(&value).ok()
    };
    // A test parses each of them.
    BUILTIN.iter().filter_map(|text| parse(text)).collect()
}

/// The JSON schema of templates.
#[must_use]
pub fn schema() -> Value {
    use utoipa::{PartialSchema as _, ToSchema as _};
    let mut definitions = Vec::new();
    Template::schemas(&mut definitions);
    let definitions = definitions
        .into_iter()
        .filter_map(|(name, schema)| Some((name, serde_json::to_value(schema).ok()?)))
        .collect::<serde_json::Map<_, _>>();
    let mut schema = serde_json::to_value(Template::schema()).unwrap_or_default();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        schema.insert("components".into(), serde_json::json!({ "schemas": definitions }));
    }
    schema
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn default_settings() -> Settings {
        builtin().remove(0).settings
    }

    #[test]
    fn the_built_in_templates_read_and_are_kept_as_they_are() {
        let templates = builtin();
        assert_eq!(templates.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["default", "dental-practice"]);
        for template in templates {
            assert!(!template.settings.features.international_calls);
            let value = serde_json::to_value(&template).unwrap();
            assert_eq!(Template::parse(&value).unwrap(), template);
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let base = default_settings();
        for (patch, field) in [
            (json!({ "time_zone": "Mars/Olympus" }), "time_zone"),
            (json!({ "time_zone": "Etc/Unknown" }), "time_zone"),
            (json!({ "currency": "XXXX" }), "currency"),
            (json!({ "country": "Germany" }), "country"),
            (json!({ "language": "fr" }), "language"),
            (json!({ "language": null }), "language"),
            (json!({ "calling": { "pool_size": 5 } }), "calling.pool_size"),
            (json!({ "calling": { "ring_seconds": "ten" } }), "calling.ring_seconds"),
            (json!({ "features": { "teleport": true } }), "features.teleport"),
            (json!({ "voice_agent": { "max_minutes": 0 } }), "voice_agent.max_minutes"),
            (json!({ "voice_agent": { "assistant_prompt": "x".repeat(9000) } }), "voice_agent.assistant_prompt"),
            (json!({ "messaging": { "channels": ["sms", "sms"] } }), "messaging.channels"),
            (json!({ "messaging": { "channels": ["pigeon"] } }), "messaging.channels[0]"),
            (
                json!({ "business_hours": { "monday": [{ "open": "9", "close": "17:00" }] } }),
                "business_hours.monday[0].open",
            ),
            (json!({ "integrations": [{ "kind": "crm", "name": "a\u{0}b" }] }), "integrations[0].name"),
            (json!({ "agents": { "phone_gone_seconds": 5 } }), "agents.phone_gone_seconds"),
            (
                json!({ "agents": { "status_reasons": [{ "status": "asleep", "name": "x" }] } }),
                "agents.status_reasons[0].status",
            ),
            (
                json!({ "agents": { "status_reasons": [{ "status": "away", "name": "x" }, { "status": "away", "name": "x" }] } }),
                "agents.status_reasons",
            ),
            (json!([]), "."),
            (json!({ "surprise": 1 }), "surprise"),
        ] {
            let error = base.patched(&patch).unwrap_err();
            assert_eq!(error.field, field, "{patch}: {error}");
        }
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let base = default_settings();
        assert_eq!(base.patched(&json!({})).unwrap(), base);
        let patched = base.patched(&json!({ "language": "de", "features": { "messaging": true } })).unwrap();
        assert_eq!((patched.language, patched.features.messaging), (Language::De, true));
        assert_eq!(Settings { language: base.language, features: base.features.clone(), ..patched }, base);
    }

    #[test]
    fn the_schema_names_every_field() {
        let text = schema().to_string();
        for field in ["time_zone", "business_hours", "assistant_prompt", "pool_size", "integrations"] {
            assert!(text.contains(field), "{field}");
        }
    }

    proptest::proptest! {
        #[test]
        fn valid_settings_survive_being_written_and_read(
            ring in 5_i16..=300, phones in 1_i16..=20, pool in 10_i64..=10_000, prompt in "[a-z \\n.,!äöü]{1,200}",
            recording: bool, open in 0_u16..12, length in 1_u16..12,
        ) {
            let patch = json!({
                "calling": { "ring_seconds": ring, "max_registrations": phones, "pool_size": pool },
                "features": { "call_recording": recording },
                "voice_agent": { "assistant_prompt": format!("x{prompt}") },
                "business_hours": { "friday": [{ "open": format!("{open:02}:30"), "close": format!("{:02}:00", open + length) }] },
            });
            if length > 0 && let Ok(settings) = default_settings().patched(&patch) {
                let value = serde_json::to_value(&settings).unwrap();
                proptest::prop_assert_eq!(Settings::parse(&value).unwrap(), settings);
            }
        }
    }
}
