//! What integrators note on a thing: an id of their own, by which they find it again, and some texts by key. No switch is given any of it.

use std::{collections::BTreeMap, marker::PhantomData, ops::Deref};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, IntoDeserializer as _, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::error::{self, Error};
use crate::text::{Code, TextError, text_column, text_type};

text_type!(
    /// The id that a thing has in somebody else's system: 1 to 128 characters.
    ExternalId, parse_external_id, "crm-4711"
);
text_column!(ExternalId);

/// The most keys of a thing's metadata.
pub const MOST_KEYS: usize = 20;
/// The most characters of a key.
pub const MOST_OF_KEY: usize = 40;
/// The most characters of a value.
pub const MOST_OF_VALUE: usize = 500;
/// The most characters of an external id.
pub const MOST_OF_ID: usize = 128;

/// It is compared as it is, so it is not trimmed; what nobody sees at its ends is refused.
fn parse_external_id(text: &str) -> Result<String, TextError> {
    let is_fine = (1..=MOST_OF_ID).contains(&text.chars().count())
        && text.trim().len() == text.len()
        && !text.chars().any(char::is_control);
    if is_fine { Ok(text.to_owned()) } else { Err(TextError(Code::NotAnExternalId)) }
}

/// What can have labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Tenant,
    Cluster,
    Switch,
    Carrier,
    Key,
    Webhook,
    Extension,
    Agent,
    Group,
    Destination,
    DialplanEntry,
    Number,
    Pool,
    Contact,
}

impl Kind {
    /// As the table of labels names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Cluster => "cluster",
            Self::Switch => "switch",
            Self::Carrier => "carrier",
            Self::Key => "key",
            Self::Webhook => "webhook",
            Self::Extension => "extension",
            Self::Agent => "agent",
            Self::Group => "group",
            Self::Destination => "destination",
            Self::DialplanEntry => "dialplan_entry",
            Self::Number => "number",
            Self::Pool => "pool",
            Self::Contact => "contact",
        }
    }

    /// As the audit log names it.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::Tenant => "tenants",
            Self::Cluster => "clusters",
            Self::Switch => "switches",
            Self::Carrier => "carriers",
            Self::Key => "keys",
            Self::Webhook => "webhooks",
            Self::Extension => "extensions",
            Self::Agent => "agents",
            Self::Group => "groups",
            Self::Destination => "destinations",
            Self::DialplanEntry => "dialplan-entries",
            Self::Number => "numbers",
            Self::Pool => "pools",
            Self::Contact => "contacts",
        }
    }
}

/// What is noted on a thing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Labels {
    pub external_id: Option<ExternalId>,
    pub metadata: BTreeMap<String, String>,
}

/// Reads metadata that is given whole.
pub fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let said = BTreeMap::<String, Option<String>>::deserialize(deserializer)?;
    Ok(said.into_iter().filter_map(|(key, value)| Some((key, value.filter(|value| !value.is_empty())?))).collect())
}

/// What a request says of them.
#[derive(Debug, Clone, Default)]
pub struct LabelsPatch {
    pub external_id: Option<Option<ExternalId>>,
    /// A key with `null` or an empty text is removed.
    pub metadata: Option<Option<BTreeMap<String, Option<String>>>>,
}

impl LabelsPatch {
    /// Whether a request says nothing of them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.external_id.is_none() && self.metadata.is_none()
    }

    /// The name of a field that it has.
    #[must_use]
    pub fn first(&self) -> Option<&'static str> {
        self.external_id.as_ref().map(|_| "external_id").or(self.metadata.as_ref().map(|_| "metadata"))
    }
}

impl Labels {
    /// A merge patch over what there is.
    pub fn patched(&self, patch: LabelsPatch) -> error::Result<Self> {
        let mut after = self.clone();
        if let Some(external_id) = patch.external_id {
            after.external_id = external_id;
        }
        match patch.metadata {
            None => {}
            Some(None) => after.metadata.clear(),
            Some(Some(changes)) => {
                for (key, value) in changes {
                    match value.filter(|value| !value.is_empty()) {
                        None => after.metadata.remove(&key),
                        Some(value) => after.metadata.insert(key, value),
                    };
                }
            }
        }
        after.check()?;
        Ok(after)
    }

    pub fn check(&self) -> error::Result<()> {
        if self.metadata.len() > MOST_KEYS {
            return Err(Error::invalid("metadata", Code::entries(MOST_KEYS)));
        }
        for (key, value) in &self.metadata {
            let wrong = |why| Err(Error::InvalidAt { field: format!("metadata.{key}"), why });
            if !(1..=MOST_OF_KEY).contains(&key.chars().count()) || key.chars().any(char::is_control) {
                return wrong(Code::NotAMetadataKey.into());
            }
            if value.chars().count() > MOST_OF_VALUE || value.contains('\0') {
                return wrong(Code::NotAMetadataValue.into());
            }
        }
        Ok(())
    }
}

/// A body with what it says of labels, which the type of the body itself does not know.
#[derive(Debug, Clone)]
pub struct With<T> {
    pub body: T,
    pub labels: LabelsPatch,
}

impl<T> From<T> for With<T> {
    fn from(body: T) -> Self {
        Self { body, labels: LabelsPatch::default() }
    }
}

impl<T> Deref for With<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.body
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for With<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Whole(PhantomData))
    }
}

struct Whole<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Whole<T> {
    type Value = With<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<With<T>, A::Error> {
        let mut labels = LabelsPatch::default();
        let body = T::deserialize(MapAccessDeserializer::new(Others { map, labels: &mut labels }))?;
        Ok(With { body, labels })
    }
}

/// The fields of a body but for those of labels, which are noted.
struct Others<'a, A> {
    map: A,
    labels: &'a mut LabelsPatch,
}

/// A field's name: one of ours, with what reads the next name; or another, as it was read.
enum Name<K, S> {
    ExternalId(S),
    Metadata(S),
    Other(K),
}

/// Names are read within the reader of the body, so that its errors have their place.
struct Named<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Named<S> {
    type Value = Name<S::Value, S>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(match name.as_str() {
            "external_id" => Name::ExternalId(self.0),
            "metadata" => Name::Metadata(self.0),
            _ => Name::Other(self.0.deserialize(name.into_deserializer())?),
        })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Others<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, mut seed: K) -> Result<Option<K::Value>, A::Error> {
        loop {
            match self.map.next_key_seed(Named(seed))? {
                None => return Ok(None),
                Some(Name::Other(key)) => return Ok(Some(key)),
                Some(Name::ExternalId(next)) => {
                    self.labels.external_id = Some(self.map.next_value()?);
                    seed = next;
                }
                Some(Name::Metadata(next)) => {
                    self.labels.metadata = Some(self.map.next_value()?);
                    seed = next;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        name: String,
        #[serde(default)]
        seconds: u8,
    }

    fn read(text: &str) -> Result<With<Body>, (String, String)> {
        let mut json = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(&mut json)
            .map_err(|error| (error.path().to_string(), error.into_inner().to_string()))
    }

    #[test]
    fn labels_stand_among_the_fields_of_a_body_in_any_order_and_errors_keep_their_place() {
        let with =
            read(r#"{"external_id": "x-1", "name": "a", "metadata": {"k": "v", "gone": null}, "seconds": 4}"#).unwrap();
        assert_eq!((with.body.name.as_str(), with.body.seconds), ("a", 4));
        assert_eq!(with.labels.external_id.unwrap().unwrap().as_str(), "x-1");
        assert_eq!(with.labels.metadata.unwrap().unwrap().len(), 2);
        assert!(read(r#"{"name": "a"}"#).unwrap().labels.is_empty());
        assert_eq!(read(r#"{"name": "a", "external_id": null}"#).unwrap().labels.external_id, Some(None));
        for (wrong, place) in [
            (r#"{"name": "a", "nmae": 1}"#, "nmae"),
            (r#"{"name": "a", "seconds": "x"}"#, "seconds"),
            (r#"{"name": "a", "external_id": 7}"#, "external_id"),
            (r#"{"name": "a", "external_id": ""}"#, "external_id"),
            (r#"{"name": "a", "metadata": {"k": 7}}"#, "metadata.k"),
            (r#"{"name": "a", "metadata": []}"#, "metadata"),
            (r#"{"external_id": "x"}"#, "."),
        ] {
            assert_eq!(read(wrong).unwrap_err().0, place, "{wrong}");
        }
    }

    fn patch(value: serde_json::Value) -> LabelsPatch {
        #[derive(Deserialize)]
        struct Nothing {}
        serde_json::from_value::<With<Nothing>>(value).unwrap().labels
    }

    #[test]
    fn metadata_is_merged_and_a_key_with_null_or_nothing_is_removed() {
        let before = Labels::default().patched(patch(json!({ "metadata": { "a": "1", "b": "2" } }))).unwrap();
        let after = before.patched(patch(json!({ "metadata": { "b": "", "c": "3", "d": null } }))).unwrap();
        assert_eq!(
            after.metadata.into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), "1".to_owned()), ("c".to_owned(), "3".to_owned())]
        );
        assert!(before.patched(patch(json!({ "metadata": null }))).unwrap().metadata.is_empty());
        let many = (0..21).map(|n| (n.to_string(), "x".to_owned())).collect::<BTreeMap<_, _>>();
        for (wrong, place) in [
            (json!({ "metadata": many }), "metadata"),
            (json!({ "metadata": { "k".repeat(41): "x" } }), "metadata."),
            (json!({ "metadata": { "k": "x".repeat(501) } }), "metadata.k"),
            (json!({ "metadata": { "": "x" } }), "metadata."),
        ] {
            let error = Labels::default().patched(patch(wrong)).unwrap_err().to_string();
            assert!(error.starts_with(place), "{error}");
        }
    }
}
