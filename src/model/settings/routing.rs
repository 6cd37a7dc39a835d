//! How a tenant's calls are routed: feature codes, limits of outbound calls, emergency calls.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Country, SettingsError, Words, wrong};
use crate::{
    model::refusal::Announcements,
    text::{Code, DialNumber, E164, Email, FeatureCode, Prefix, Spoken},
};

/// Millionths of a currency unit.
pub type Micros = i64;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    pub codes: FeatureCodes,
    pub outbound: OutboundRules,
    pub emergency: Emergency,
    pub record: Recording,
    /// Calls from numbers that begin with one of these are refused, from outside and inside.
    pub blocked_callers: Vec<Prefix>,
    /// By two digits, which are dialled after the code for speed dials.
    #[schema(value_type = BTreeMap<String, DialNumber>)]
    pub speed_dials: BTreeMap<String, DialNumber>,
    /// For how many seconds a call is parked before it comes back to who parked it: 10 to 3600; 120 if absent.
    // Absent where it is not set: programs that don't know it read the settings, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub park_seconds: Option<u16>,
    /// What callers hear if their call goes nowhere, by reason. They hear a tone if there is no announcement.
    #[schema(value_type = BTreeMap<String, crate::model::destination::Prompt>)]
    pub announcements: Announcements,
}

/// What is dialled to use a feature. If a code has only digits, the tenant can't use it as a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeatureCodes {
    /// Plays the caller's own voice back.
    pub echo: FeatureCode,
    /// Opens the caller's own mailbox.
    pub own_voicemail: FeatureCode,
    /// Opens the mailbox whose number follows, or asks for a number.
    pub voicemail: FeatureCode,
    /// Forwards all calls to the number that follows.
    pub forward: FeatureCode,
    pub forward_off: FeatureCode,
    pub do_not_disturb: FeatureCode,
    pub do_not_disturb_off: FeatureCode,
    /// Picks up the call that rings at the number that follows; alone, the first that rings in a group of the caller's that allows it, or at a
    /// colleague there.
    pub pickup: FeatureCode,
    /// Calls the number that follows, whose phone answers by itself.
    pub intercom: FeatureCode,
    /// Parks a call, or takes it back from the slot that follows.
    pub park: FeatureCode,
    /// Calls the speed dial whose two digits follow.
    pub speed_dial: FeatureCode,
    /// The caller takes calls of queues again, also if the switch has paused them because they answered none.
    pub queue_log_in: FeatureCode,
    /// The caller takes no calls of queues.
    pub queue_log_out: FeatureCode,
    /// The same for a while.
    pub queue_pause: FeatureCode,
    /// Calls the number that follows, with the caller's own number withheld.
    pub withhold_number: FeatureCode,
    /// Calls the number that follows, and shows the caller's own number even if the extension withholds it.
    pub show_number: FeatureCode,
}

impl Default for FeatureCodes {
    fn default() -> Self {
        // All texts in this list parse; a test checks that.
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
            queue_log_in: code("*44"),
            queue_log_out: code("*45"),
            queue_pause: code("*46"),
            withhold_number: code("*31"),
            show_number: code("*32"),
        }
    }
}

impl FeatureCodes {
    /// Those that the number of somebody follows.
    #[must_use]
    pub fn before_names(&self) -> [&FeatureCode; 5] {
        [&self.voicemail, &self.pickup, &self.intercom, &self.withhold_number, &self.show_number]
    }

    /// The names that somebody may mean who dials this: itself, and what stands behind a code.
    #[must_use]
    pub fn names_in(&self, dialled: &str) -> Vec<String> {
        let behind = self.before_names().into_iter().filter_map(|code| dialled.strip_prefix(code.as_str()));
        std::iter::once(dialled).chain(behind).map(str::to_owned).collect()
    }

    #[must_use]
    pub fn all(&self) -> [&FeatureCode; 16] {
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
            &self.queue_log_in,
            &self.queue_log_out,
            &self.queue_pause,
            &self.withhold_number,
            &self.show_number,
        ]
    }

    /// The codes that could be a number of the tenant.
    pub fn that_are_numbers(&self) -> impl Iterator<Item = &str> {
        self.all().into_iter().map(FeatureCode::as_str).filter(|code| !code.starts_with('*'))
    }
}

/// Who may be called, and how much. An absent limit means no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutboundRules {
    /// Must be dialled before a number outside, if set.
    pub prefix: Option<Prefix>,
    /// The area whose numbers are dialled without it, for example `030` in Berlin. Without one, a number of the own country is dialled
    /// whole.
    // Absent where it is not set: programs that don't know it read the settings, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area_code: Option<Prefix>,
    /// The countries that may be called besides the tenant's own, if `features.international_calls` is on. Empty: all.
    pub countries: Vec<Country>,
    /// Numbers that begin with one of these can't be called. Written without `+`.
    pub blocked_prefixes: Vec<Prefix>,
    /// Exceptions from what is blocked by default: premium rates, and ranges known for revenue-share fraud.
    pub allowed_prefixes: Vec<Prefix>,
    /// The most calls at the same time.
    pub concurrent_calls: Option<u16>,
    pub calls_per_second: Option<u16>,
    /// The most that calls of a day may cost, in millionths of the tenant's currency. Days are those of its time zone.
    pub spend_per_day: Option<Micros>,
    /// The highest price per minute, in millionths of the currency.
    pub price_per_minute: Option<Micros>,
    /// Whether calls that an extension forwards outside show the number of whoever calls, where the carrier takes that
    /// (`config.forwarded_caller`). Otherwise they show a number of the extension that forwards.
    // Absent where it is not set: programs that don't know it read the settings, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forwards_show_caller: bool,
}

/// Settings for emergency calls, which always pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Emergency {
    /// The caller ID of emergency calls from extensions that have no number of their own.
    pub caller_id: Option<E164>,
    /// The tenant's location, which the carrier is told.
    pub location: Option<Spoken>,
    /// These people get a mail about each emergency call.
    pub contacts: Vec<Email>,
    /// Emergency numbers besides those of the country.
    pub numbers: Vec<Prefix>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate setting")]
pub struct Recording {
    pub inbound: bool,
    pub outbound: bool,
    pub internal: bool,
    /// Callers hear a tone before the recording starts.
    pub consent_tone: bool,
    /// Agents may hear the recordings of their own calls.
    // Absent where it is not set: programs that don't know it read the settings, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub agents_listen: bool,
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
        // No rule applies to calls to these numbers, so none may be long enough for a telephone number.
        if !self.emergency.numbers.iter().all(|number| (2..=6).contains(&number.as_str().len())) {
            return Err(wrong("routing.emergency.numbers", Code::EmergencyDigits));
        }
        if self.park_seconds.is_some_and(|seconds| !(10..=3600).contains(&seconds)) {
            return Err(wrong("routing.park_seconds", Code::range(10, 3600)));
        }
        let two_digits = |key: &String| key.len() == 2 && key.bytes().all(|b| b.is_ascii_digit());
        if !self.speed_dials.keys().all(two_digits) {
            return Err(wrong("routing.speed_dials", Code::SpeedDialKeys));
        }
        Ok(())
    }

    /// The location of the tenant as one line, for mails.
    #[must_use]
    pub fn location(&self) -> Option<Words> {
        let short = |location: &Spoken| location.as_str().chars().take(200).collect::<String>();
        self.emergency.location.as_ref().and_then(|location| Words::parse(&short(location)).ok())
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
