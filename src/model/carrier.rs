//! What a carrier is: where it is reached, how numbers are written for it, how much it takes.

use serde::{Deserialize, Serialize};

use crate::{
    model::error::Error,
    model::settings::Country,
    text::{CarrierUser, Code, Codecs, DialNumber, E164, HeaderName, Host, Network, Notation},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CarrierConfig {
    /// Where calls are sent.
    pub host: Host,
    /// What it calls itself in its challenges; `host` when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<Host>,
    /// Absent: it knows the switches by their addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<CarrierUser>,
    #[serde(default)]
    pub register: bool,
    /// Addresses that its calls come from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    #[serde(default)]
    pub transport: Transport,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codecs: Option<Codecs>,
    /// Seconds between OPTIONS that see whether it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_seconds: Option<u16>,
    #[serde(default)]
    pub number_format: NumberFormat,
    #[serde(default)]
    pub caller_id_format: NumberFormat,
    /// The caller's number stands in From, instead of the user name.
    #[serde(default = "yes")]
    pub caller_id_in_from: bool,
    /// Digits taken away from the beginning of a number, once it is in its format,
    #[serde(default)]
    pub strip: u8,
    /// and what is put before it then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<DialNumber>,
    /// How it writes the numbers of the calls that it brings.
    #[serde(default, skip_serializing_if = "Inbound::is_usual")]
    pub inbound: Inbound,
    /// Calls at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_second: Option<u16>,
    /// It takes emergency calls.
    #[serde(default)]
    pub emergency: bool,
    /// Seconds until a call must make progress, before the next carrier is tried.
    #[serde(default = "twelve")]
    pub progress_seconds: u8,
}

/// How a carrier writes the numbers of the calls that it brings: of who is called, and of who calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Inbound {
    #[serde(default)]
    pub format: InboundFormat,
    /// Whose national numbers it writes, as ISO 3166 has it. With the format `international`: those with a single 0 in front.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// What it puts before the numbers called. It is taken away before they are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<DialNumber>,
    /// Where the number called stands.
    #[serde(default)]
    pub number_in: NumberPlace,
    /// The header, when it stands in one. A switch sends those that its `xml_curl.conf.xml` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderName>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InboundFormat {
    /// The country code first: `+12025550123`, `12025550123` or `0012025550123`.
    #[default]
    International,
    /// As numbers are dialled in `country`: `2025550123` or `12025550123` in the US, `0255501234` in Australia.
    National,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NumberPlace {
    /// In the address that the call is sent to.
    #[default]
    Request,
    /// In To.
    To,
    /// In a header of its own.
    Header,
}

impl Inbound {
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    fn notation(&self) -> Notation<'_> {
        match (self.format, self.country.as_ref().map(Country::as_str)) {
            (InboundFormat::National, Some(country)) => Notation::National(country),
            (_, country) => Notation::International(country),
        }
    }

    /// The number called, as this carrier wrote it.
    #[must_use]
    pub fn called(&self, text: &str) -> Option<E164> {
        let prefix = self.prefix.as_ref().map_or("", DialNumber::as_str);
        E164::read_after(prefix, text, self.notation())
    }

    /// The number that calls, as this carrier wrote it.
    #[must_use]
    pub fn caller(&self, text: &str) -> Option<E164> {
        E164::read(text, self.notation())
    }

    fn check(&self) -> Result<(), Error> {
        if self.format == InboundFormat::National && self.country.is_none() {
            return Err(Error::invalid("config.inbound.country", Code::NationalNeedsCountry));
        }
        if (self.number_in == NumberPlace::Header) != self.header.is_some() {
            return Err(Error::invalid("config.inbound.header", Code::HeaderMustBeNamed));
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    #[default]
    Udp,
    Tcp,
    Tls,
}

impl Transport {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// How a number is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NumberFormat {
    /// `+12025550123`
    #[default]
    E164,
    /// `12025550123`
    Digits,
    /// `0012025550123`
    DoubleZero,
    /// As it is dialled inside its country.
    National,
}

fn yes() -> bool {
    true
}
fn twelve() -> u8 {
    12
}

impl NumberFormat {
    #[must_use]
    pub fn write(self, number: &E164) -> String {
        let digits = number.as_str().trim_start_matches('+');
        match self {
            Self::E164 => format!("+{digits}"),
            Self::Digits => digits.to_owned(),
            Self::DoubleZero => format!("00{digits}"),
            Self::National => number.national(),
        }
    }
}

impl CarrierConfig {
    /// The number as this carrier wants it dialled.
    #[must_use]
    pub fn dialled(&self, number: &E164) -> String {
        self.adapt(&self.number_format.write(number))
    }

    fn adapt(&self, number: &str) -> String {
        let rest = number.get(usize::from(self.strip)..).unwrap_or_default();
        format!("{}{rest}", self.prefix.as_ref().map_or("", DialNumber::as_str))
    }

    pub fn check(&self, has_password: bool) -> Result<(), Error> {
        if self.username.is_some() != has_password {
            return Err(Error::invalid("password", Code::PasswordWithoutUsername));
        }
        if self.register && self.username.is_none() {
            return Err(Error::invalid("config.register", Code::RegisterNeedsPassword));
        }
        if self.strip > 8 {
            return Err(Error::invalid("config.strip", Code::at_most(8)));
        }
        if self.ping_seconds.is_some_and(|seconds| !(5..=3600).contains(&seconds)) {
            return Err(Error::invalid("config.ping_seconds", Code::range(5, 3600)));
        }
        if !(3..=60).contains(&self.progress_seconds) {
            return Err(Error::invalid("config.progress_seconds", Code::range(3, 60)));
        }
        self.inbound.check()?;
        if self.networks.len() > 100 {
            return Err(Error::invalid("config.networks", Code::at_most(100)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_each_carrier_wants_them() {
        let number = E164::parse("+493012345678").unwrap();
        let base = serde_json::json!({ "host": "sip.carrier.example" });
        for (patch, dialled) in [
            (serde_json::json!({}), "+493012345678"),
            (serde_json::json!({ "number_format": "digits" }), "493012345678"),
            (serde_json::json!({ "number_format": "double_zero" }), "00493012345678"),
            (serde_json::json!({ "number_format": "national" }), "03012345678"),
            (serde_json::json!({ "number_format": "digits", "strip": 2, "prefix": "0" }), "03012345678"),
            (serde_json::json!({ "number_format": "digits", "prefix": "9911#" }), "9911#493012345678"),
        ] {
            let mut config = base.clone();
            config.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
            let config: CarrierConfig = serde_json::from_value(config).unwrap();
            assert_eq!(config.dialled(&number), dialled);
        }
    }
}
