//! A carrier: where it is reached, how numbers are written for it, and how many calls it takes.

use serde::{Deserialize, Serialize};

use crate::{
    model::error::Error,
    model::settings::{Country, Currency},
    text::{CarrierUser, Code, Codecs, DialNumber, E164, HeaderName, Host, Network, Notation},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate setting")]
pub struct CarrierConfig {
    /// Where calls are sent.
    pub host: Host,
    /// The realm in its challenges; `host` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<Host>,
    /// Absent if the carrier recognises the switches by their addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<CarrierUser>,
    #[serde(default)]
    pub register: bool,
    /// Networks that its calls come from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    #[serde(default)]
    pub transport: Transport,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codecs: Option<Codecs>,
    /// How often to probe it with OPTIONS, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_seconds: Option<u16>,
    #[serde(default)]
    pub number_format: NumberFormat,
    #[serde(default)]
    pub caller_id_format: NumberFormat,
    /// Whether From has the caller's number instead of the user name.
    #[serde(default = "yes")]
    pub caller_id_in_from: bool,
    /// Which header has the caller's number besides From.
    #[serde(default, skip_serializing_if = "CallerHeader::is_usual")]
    pub caller_id_header: CallerHeader,
    /// Whether From is anonymous if the caller withholds the number. If not, From has it all the same, for carriers that read it there
    /// and honour the header `Privacy: id`, which they always get.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub anonymous_from: bool,
    /// Whether calls that an extension forwards have the header `History-Info` (RFC 7044) besides `Diversion`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub history_info: bool,
    /// Whether calls that an extension forwards may show the number of whoever calls, which is not the tenant's. Many carriers refuse such
    /// calls, or replace the number: ask yours first. Tenants say by `routing.outbound.forwards_show_caller` whether they want it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded_caller: bool,
    /// How many digits to remove from the beginning of a formatted number.
    #[serde(default)]
    pub strip: u8,
    /// What to put before the number after that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<DialNumber>,
    /// How it writes the numbers of calls from outside.
    #[serde(default, skip_serializing_if = "Inbound::is_usual")]
    pub inbound: Inbound,
    /// The most calls at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_second: Option<u16>,
    /// Whether it takes emergency calls.
    #[serde(default)]
    pub emergency: bool,
    /// The currency of its rates. Absent: that of each tenant whose calls it takes. It takes no calls of tenants with another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// How many seconds a call may take to make progress before the next carrier is tried.
    #[serde(default = "twelve")]
    pub progress_seconds: u8,
}

/// How a carrier writes the numbers of calls from outside: the called number and the caller's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Inbound {
    #[serde(default)]
    pub format: InboundFormat,
    /// The country whose national numbers it writes (ISO 3166). With the format `international`: the country of numbers with a single
    /// leading 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// What it puts before called numbers. This is removed before they are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<DialNumber>,
    /// Where the called number is.
    #[serde(default)]
    pub number_in: NumberPlace,
    /// The SIP header with the called number, if it is in one. A switch only sends the headers that its `xml_curl.conf.xml` names.
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

    /// Reads a called number as this carrier writes it.
    #[must_use]
    pub fn called(&self, text: &str) -> Option<E164> {
        let prefix = self.prefix.as_ref().map_or("", DialNumber::as_str);
        E164::read_after(prefix, text, self.notation())
    }

    /// Reads a caller's number as this carrier writes it.
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

/// The header with the caller's number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallerHeader {
    /// `Remote-Party-ID`, with `privacy=full` if the number is withheld.
    #[default]
    RemotePartyId,
    /// `P-Asserted-Identity` (RFC 3325).
    PAssertedIdentity,
    /// None: the carrier does not get a withheld number, unless in From.
    Absent,
}

impl CallerHeader {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// The value of `sip_cid_type`; `None` for what a switch does by itself (`sofia_cid_name2type` in sofia_glue.c).
    #[must_use]
    pub fn cid_type(self) -> Option<&'static str> {
        match self {
            Self::RemotePartyId => None,
            Self::PAssertedIdentity => Some("pid"),
            Self::Absent => Some("none"),
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
    /// The number in the form that this carrier expects.
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
