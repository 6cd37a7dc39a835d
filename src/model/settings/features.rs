//! The features that a tenant may use. If one is off, it can't be set up, and calls to it are not answered.

use serde::{Deserialize, Serialize};

use super::{Settings, SettingsError, wrong};
use crate::{
    model::destination::{Config, TargetKind},
    model::error::Error,
    text::Code,
};

/// The features that a tenant may use. Those that cost money or can be abused are off by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate feature")]
pub struct Features {
    pub voicemail: bool,
    pub call_recording: bool,
    pub international_calls: bool,
    pub voice_agent: bool,
    pub messaging: bool,
    pub queues: bool,
    pub conferences: bool,
    pub reports: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            voicemail: true,
            call_recording: false,
            international_calls: false,
            voice_agent: false,
            messaging: false,
            queues: true,
            conferences: true,
            reports: true,
        }
    }
}

/// One feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    Voicemail,
    CallRecording,
    VoiceAgent,
    Messaging,
    Queues,
    Conferences,
    Reports,
}

impl Feature {
    /// Its name in the settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Voicemail => "voicemail",
            Self::CallRecording => "call_recording",
            Self::VoiceAgent => "voice_agent",
            Self::Messaging => "messaging",
            Self::Queues => "queues",
            Self::Conferences => "conferences",
            Self::Reports => "reports",
        }
    }

    /// The feature that a destination of this kind needs.
    #[must_use]
    pub fn of_kind(kind: TargetKind) -> Option<Self> {
        match kind {
            TargetKind::Queue => Some(Self::Queues),
            TargetKind::Conference => Some(Self::Conferences),
            TargetKind::Mailbox => Some(Self::Voicemail),
            _ => None,
        }
    }
}

impl Features {
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        match feature {
            Feature::Voicemail => self.voicemail,
            Feature::CallRecording => self.call_recording,
            Feature::VoiceAgent => self.voice_agent,
            Feature::Messaging => self.messaging,
            Feature::Queues => self.queues,
            Feature::Conferences => self.conferences,
            Feature::Reports => self.reports,
        }
    }

    /// Refuses a change that needs a feature which is off.
    pub fn need(&self, feature: Feature) -> Result<(), Error> {
        if self.has(feature) { Ok(()) } else { Err(Error::from(Code::FeatureOff.with("feature", feature.name()))) }
    }

    /// Checks whether a destination may become this. It may stay what it was `before`.
    pub fn allow(&self, before: Option<&Config>, after: &Config) -> Result<(), Error> {
        if let Some(feature) = Feature::of_kind(after.kind()).filter(|_| before != Some(after)) {
            self.need(feature)?;
        }
        let is_new = after.records() && !before.is_some_and(Config::records);
        if is_new { self.need(Feature::CallRecording) } else { Ok(()) }
    }
}

impl Settings {
    /// Settings that need a feature which is off. New ones are refused; those of `before` stay but have no effect.
    pub fn need_features(&self, before: Option<&Self>) -> Result<(), SettingsError> {
        let record = &self.routing.record;
        let was = before.map(|before| before.routing.record).unwrap_or_default();
        let needs = [
            ("routing.record.inbound", Feature::CallRecording, record.inbound && !was.inbound),
            ("routing.record.outbound", Feature::CallRecording, record.outbound && !was.outbound),
            ("routing.record.internal", Feature::CallRecording, record.internal && !was.internal),
            (
                "voice_agent.enabled",
                Feature::VoiceAgent,
                self.voice_agent.enabled && !before.is_some_and(|before| before.voice_agent.enabled),
            ),
            (
                "reports.mails",
                Feature::Reports,
                !self.reports.mails.is_empty() && before.is_none_or(|before| before.reports != self.reports),
            ),
        ];
        let is_off = |(_, feature, is_new): &&(&str, Feature, bool)| *is_new && !self.features.has(*feature);
        match needs.iter().find(is_off) {
            Some((field, feature, _)) => Err(wrong(field, Code::NeedsFeature.with("feature", feature.name()))),
            None => Ok(()),
        }
    }
}
