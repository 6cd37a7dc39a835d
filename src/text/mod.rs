//! Text that reaches a switch, as types that can only be built by parsing. No I/O.
//!
//! A value of such a type can stand anywhere in an answer: it has no `$`, no `<`, no control character and nothing else
//! that FreeSWITCH's preprocessor, XML parser, variable expansion or dial strings could act on. These types are the first
//! line of defence; escaping (`fetch::render`) is the second.

mod codec;
pub mod codes;
mod contact;
mod dial;
mod display;
pub mod escape;
pub mod keyring;
mod name;
mod origin;
mod phone;
mod secret;
pub mod service;
mod stream;
pub mod table_file;
pub mod token;
mod variable;
pub mod zone;

pub use codec::Codecs;
pub use codes::{Code, Why};
pub use contact::{Contact, DeviceId};
pub use dial::{
    CarrierUser, DialNumber, Dialable, FeatureCode, HeaderName, Host, Keys, Network, Prefix, SoundFile, Spoken,
};
pub use display::{CallerName, DisplayName, Email};
pub use name::{Domain, ExtensionNumber, GroupHandle, GroupName, SipUsername, SwitchName};
pub use origin::Origin;
pub use phone::{CallerNumber, E164, Notation};
pub use secret::{CarrierPassword, EventSocketPassword, SipSecret, VoicemailPin};
pub use stream::StreamName;
pub use variable::{
    CallVariable, CallVariableName, Variable, VariableName, Variables, call_variable_names, is_tone, variable_names,
};
pub use zone::TimeZone;

/// Why a text was refused, with a sentence for the person who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.texts().english)]
pub struct TextError(pub Code);

impl TextError {
    /// The sentence with its code in brackets, because serde passes on only text (see `Why::of_serde`).
    #[must_use]
    pub fn for_serde(self) -> impl std::fmt::Display {
        format!("{self} [{}]", self.0)
    }
}

/// Parses an id from the command line.
pub fn id(text: &str) -> Result<uuid::Uuid, TextError> {
    uuid::Uuid::parse_str(text).map_err(|_| TextError(Code::NotAnId))
}

/// Defines a validated text type from a `fn(&str) -> Result<String, TextError>` that returns the canonical form.
///
/// Values from the database are parsed again, so a bad row that somebody wrote by hand is refused and not rendered.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $parse:path, $example:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, utoipa::ToSchema)]
        #[schema(value_type = String, example = $example)]
        pub struct $name(String);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, crate::text::TextError> {
                $parse(text).map(Self)
            }
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        crate::text::text_impls!($name);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Implements what all text types have in common, secret or not.
macro_rules! text_impls {
    ($name:ident) => {
        impl std::str::FromStr for $name {
            type Err = crate::text::TextError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(|error| serde::de::Error::custom(error.for_serde()))
            }
        }
    };
}

/// Makes a text type readable from and writable to a `text` column.
macro_rules! text_column {
    ($($name:ident),+) => {$(
        impl sqlx::Type<sqlx::Postgres> for $name {
            fn type_info() -> sqlx::postgres::PgTypeInfo {
                <str as sqlx::Type<sqlx::Postgres>>::type_info()
            }
            fn compatible(ty: &sqlx::postgres::PgTypeInfo) -> bool {
                <str as sqlx::Type<sqlx::Postgres>>::compatible(ty)
            }
        }
        impl<'r> sqlx::Decode<'r, sqlx::Postgres> for $name {
            fn decode(value: sqlx::postgres::PgValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
                let text = <&str as sqlx::Decode<sqlx::Postgres>>::decode(value)?;
                Self::parse(text).map_err(|e| format!("{}: {e}", stringify!($name)).into())
            }
        }
        impl sqlx::Encode<'_, sqlx::Postgres> for $name {
            fn encode_by_ref(
                &self,
                buffer: &mut sqlx::postgres::PgArgumentBuffer,
            ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
                <&str as sqlx::Encode<sqlx::Postgres>>::encode_by_ref(&self.as_str(), buffer)
            }
        }
    )+};
}

pub(crate) use {text_column, text_impls, text_type};

#[cfg(test)]
mod tests;
