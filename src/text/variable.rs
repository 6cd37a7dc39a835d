//! Channel variables a tenant may give an extension.

use std::collections::BTreeMap;

use super::{
    TextError,
    display::{is_active, is_invisible, no_directive},
    text_type,
};

/// The variables an extension may carry beside those Dialplane sets itself, each with what it does. Not among them,
/// on purpose: anything that names a context, a user, a domain, a file or an application.
pub const VARIABLE_NAMES: &[&str] = &[
    "accountcode",               // copied to the call's record
    "callgroup",                 // pickup group
    "default_language",          // language of prompts
    "fax_enable_t38",            // T.38 for this phone
    "fax_enable_t38_request",    // ask for T.38
    "hold_music",                // a local_stream name
    "jitterbuffer_msec",         // jitter buffer
    "limit_max",                 // concurrent calls
    "presence_data",             // free text in presence
    "record_consent",            // site's own flag
    "rtp_secure_media",          // SRTP: mandatory, optional, forbidden
    "sip-expires-max-deviation", // registrations
    "sip-force-expires",         // registrations
    "sip-force-expires-max",     // registrations
    "sip-force-expires-min",     // registrations
    "suppress_cng",              // comfort noise
    "timezone",                  // of the voicemail box's announcements
    "toll_allow",                // classes of outbound calls
];

text_type!(
    /// The name of one of the variables in [`VARIABLE_NAMES`].
    VariableName, parse_name, "accountcode"
);
text_type!(
    /// The value of a variable: printable text that FreeSWITCH can't expand.
    VariableValue, parse_value, "support-team"
);

/// An extension's extra variables; at most 32.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = BTreeMap<String, String>, example = json!({"accountcode": "support"}))]
pub struct Variables(BTreeMap<VariableName, VariableValue>);

impl Variables {
    pub fn new(map: BTreeMap<VariableName, VariableValue>) -> Result<Self, TextError> {
        if map.len() > 32 { Err(TextError("must have at most 32 entries")) } else { Ok(Self(map)) }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&VariableName, &VariableValue)> {
        self.0.iter()
    }
}

impl<'de> serde::Deserialize<'de> for Variables {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(BTreeMap::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

fn parse_name(text: &str) -> Result<String, TextError> {
    if VARIABLE_NAMES.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(TextError("is not a variable an extension may carry; the documentation lists them"))
    }
}

fn parse_value(text: &str) -> Result<String, TextError> {
    if text.is_empty() || text.chars().count() > 200 {
        return Err(TextError("must have 1 to 200 characters"));
    }
    no_directive(text)?;
    if text.chars().any(|c| is_invisible(c) || is_active(c)) {
        return Err(TextError("must not hold control characters or any of $ { } \\ % < > & \" ' ; ` | ^ [ ]"));
    }
    Ok(text.to_owned())
}
