//! How a tenant's calls are routed: feature codes, who may call where and how much, emergencies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Country, SettingsError, Words, wrong};
use crate::{
    model::refusal::Announcements,
    text::{Code, DialNumber, E164, Email, FeatureCode, Prefix, Spoken},
};

/// Millionths of a currency's unit.
pub type Micros = i64;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    pub codes: FeatureCodes,
    pub outbound: OutboundRules,
    pub emergency: Emergency,
    pub record: Recording,
    /// What callers from outside, or inside, must not begin with or be.
    pub blocked_callers: Vec<Prefix>,
    /// Two digits, dialled behind the code for speed dials.
    #[schema(value_type = BTreeMap<String, DialNumber>)]
    pub speed_dials: BTreeMap<String, DialNumber>,
    /// What callers hear before a call ends that goes nowhere, by the reason; tones where there is none.
    #[schema(value_type = BTreeMap<String, crate::model::destination::Prompt>)]
    pub announcements: Announcements,
}

/// What is dialled for a feature. Codes of digits alone can't be a number of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeatureCodes {
    /// Hear yourself.
    pub echo: FeatureCode,
    /// The caller's own mailbox.
    pub own_voicemail: FeatureCode,
    /// A mailbox that is asked for, or the one whose number follows.
    pub voicemail: FeatureCode,
    /// Forward all calls to the number that follows.
    pub forward: FeatureCode,
    pub forward_off: FeatureCode,
    pub do_not_disturb: FeatureCode,
    pub do_not_disturb_off: FeatureCode,
    /// Take the call that rings at the number that follows.
    pub pickup: FeatureCode,
    /// Speak to the number that follows at once.
    pub intercom: FeatureCode,
    /// Park a call, or take it back from the slot that follows.
    pub park: FeatureCode,
    /// The speed dial whose two digits follow.
    pub speed_dial: FeatureCode,
}

impl Default for FeatureCodes {
    fn default() -> Self {
        // Texts of this list parse; a test reads them.
        let code = |text| FeatureCode::parse(text).unwrap_or_else(|error| unreachable!("{text}: {error}"));
        Self {
            echo: code("9196"),
            own_voicemail: code("*97"),
            voicemail: code("*98"),
            forward: code("*72"),
            forward_off: code("*73"),
            do_not_disturb: code("*78"),
            do_not_disturb_off: code("*79"),
            pickup: code("*8"),
            intercom: code("*80"),
            park: code("*68"),
            speed_dial: code("*0"),
        }
    }
}

impl FeatureCodes {
    #[must_use]
    pub fn all(&self) -> [&FeatureCode; 11] {
        [
            &self.echo,
            &self.own_voicemail,
            &self.voicemail,
            &self.forward,
            &self.forward_off,
            &self.do_not_disturb,
            &self.do_not_disturb_off,
            &self.pickup,
            &self.intercom,
            &self.park,
            &self.speed_dial,
        ]
    }

    /// Codes that a number of the tenant could be.
    pub fn that_are_numbers(&self) -> impl Iterator<Item = &str> {
        self.all().into_iter().map(FeatureCode::as_str).filter(|code| !code.starts_with('*'))
    }
}

/// Who may be called, and how much. Limits that are absent are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutboundRules {
    /// Dialled before a number outside; it is needed when it is set.
    pub prefix: Option<Prefix>,
    /// Besides the tenant's own; counts with `features.international_calls`. Empty: all.
    pub countries: Vec<Country>,
    /// What numbers, without `+`, must not begin with.
    pub blocked_prefixes: Vec<Prefix>,
    /// What may be called of what is blocked by default: premium rates and ranges known for revenue sharing.
    pub allowed_prefixes: Vec<Prefix>,
    /// Calls at once.
    pub concurrent_calls: Option<u16>,
    pub calls_per_second: Option<u16>,
    /// Of a day in the tenant's time zone, in millionths of its currency.
    pub spend_per_day: Option<Micros>,
    /// The dearest rate, for a minute, in millionths of the currency.
    pub price_per_minute: Option<Micros>,
}

/// Calls to emergency numbers always pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Emergency {
    /// Shown to them, for callers who have no number of their own.
    pub caller_id: Option<E164>,
    /// Where the tenant is, said to the carrier.
    pub location: Option<Spoken>,
    /// Told of each such call.
    pub contacts: Vec<Email>,
    /// Beside those of the country.
    pub numbers: Vec<Prefix>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "a switch each")]
pub struct Recording {
    pub inbound: bool,
    pub outbound: bool,
    pub internal: bool,
    /// Those who are recorded hear a tone before.
    pub consent_tone: bool,
}

const MOST: usize = 500;

impl Routing {
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        self.codes.check()?;
        let outbound = &self.outbound;
        for (name, length) in [
            ("blocked_callers", self.blocked_callers.len()),
            ("outbound.countries", outbound.countries.len()),
            ("outbound.blocked_prefixes", outbound.blocked_prefixes.len()),
            ("outbound.allowed_prefixes", outbound.allowed_prefixes.len()),
        ] {
            if length > MOST {
                return Err(wrong(&format!("routing.{name}"), Code::entries(500)));
            }
        }
        for (name, amount) in
            [("spend_per_day", outbound.spend_per_day), ("price_per_minute", outbound.price_per_minute)]
        {
            if amount.is_some_and(|amount| !(0..=1_000_000_000_000).contains(&amount)) {
                return Err(wrong(
                    &format!("routing.outbound.{name}"),
                    Code::AmountOutOfRange.with("most", 1_000_000_000_000_i64),
                ));
            }
        }
        if self.emergency.contacts.len() > 20 || self.emergency.numbers.len() > 20 {
            return Err(wrong("routing.emergency", Code::TooManyContacts.with("most", 20)));
        }
        // Whoever dials one is asked for nothing, so none can be a telephone number.
        if !self.emergency.numbers.iter().all(|number| (2..=6).contains(&number.as_str().len())) {
            return Err(wrong("routing.emergency.numbers", Code::EmergencyDigits));
        }
        let two_digits = |key: &String| key.len() == 2 && key.bytes().all(|b| b.is_ascii_digit());
        if !self.speed_dials.keys().all(two_digits) {
            return Err(wrong("routing.speed_dials", Code::SpeedDialKeys));
        }
        Ok(())
    }

    /// Where the tenant's people are, as a line of words; for mails.
    #[must_use]
    pub fn location(&self) -> Option<Words> {
        self.emergency.location.as_ref().and_then(|location| Words::parse(location.as_str()).ok())
    }
}

impl FeatureCodes {
    fn check(&self) -> Result<(), SettingsError> {
        let mut codes = self.all().map(FeatureCode::as_str);
        codes.sort_unstable();
        if let Some(twice) = codes.windows(2).find(|pair| pair.first() == pair.last()) {
            return Err(wrong("routing.codes", Code::FeatureCodeTwice.with("code", twice.first().unwrap_or(&""))));
        }
        Ok(())
    }
}
