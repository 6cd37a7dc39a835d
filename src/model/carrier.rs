//! What a carrier is: where it is reached, how numbers are written for it, how much it takes.

use serde::{Deserialize, Serialize};

use crate::{
    model::error::Error,
    text::{CarrierUser, Code, Codecs, DialNumber, E164, Host, Network},
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
