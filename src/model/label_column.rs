//! Labels in table files: a column `external_id`, and one `metadata.KEY` for each key or one `metadata` with all of them as JSON.

use std::collections::BTreeMap;

use super::{
    error::{Error, Result},
    labels::{ExternalId, Labels, LabelsPatch},
};
use crate::text::{Code, Why, table_file};

/// What a column of labels has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelColumn {
    ExternalId,
    Metadata,
    Key(String),
}

impl LabelColumn {
    /// The meaning of a heading, if it is one of labels.
    #[must_use]
    pub fn of(head: &str) -> Option<Self> {
        let head = head.trim();
        if let Some((first, key)) = head.split_once('.')
            && first.eq_ignore_ascii_case("metadata")
        {
            return Some(Self::Key(key.trim().to_owned()));
        }
        match &*table_file::plain(head) {
            "externalid" => Some(Self::ExternalId),
            "metadata" => Some(Self::Metadata),
            _ => None,
        }
    }

    /// Reads a cell. An empty one says nothing.
    pub fn read(&self, cell: &str, labels: &mut LabelsPatch) -> Result<()> {
        if cell.is_empty() {
            return Ok(());
        }
        let mut add = |more: BTreeMap<String, Option<String>>| {
            labels.metadata.get_or_insert_default().get_or_insert_default().extend(more);
        };
        match self {
            Self::ExternalId => {
                let id = ExternalId::parse(cell).map_err(|why| Error::invalid("external_id", why))?;
                labels.external_id = Some(Some(id));
            }
            Self::Metadata => add(serde_json::from_str(cell).map_err(|error| {
                let why = Why::of_serde(&error.to_string());
                Error::InvalidAt { field: "metadata".to_owned(), why }
            })?),
            Self::Key(key) => add(BTreeMap::from([(key.clone(), Some(cell.to_owned()))])),
        }
        Ok(())
    }
}

/// The labels of a new thing that columns say this of.
pub fn of_new(said: LabelsPatch) -> Result<Labels> {
    Labels::default().patched(said)
}

/// Two columns, as they are read: `external_id` and `metadata`.
#[must_use]
pub fn written(labels: &Labels) -> [String; 2] {
    let metadata = Some(&labels.metadata).filter(|metadata| !metadata.is_empty());
    let metadata = metadata.and_then(|metadata| serde_json::to_string(metadata).ok()).unwrap_or_default();
    [labels.external_id.as_ref().map(ToString::to_string).unwrap_or_default(), metadata]
}

/// The refusal of an id that stands in two lines.
#[must_use]
pub fn twice() -> Error {
    Error::invalid("external_id", Code::LineTwice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_are_written_are_read_as_they_were() {
        let mut said = LabelsPatch::default();
        for (head, cell) in [
            ("External ID", "crm-1"),
            ("metadata.Cost Center", "47;11"),
            ("METADATA.b", "say \"x\"; y=z"),
            ("metadata.none", ""),
        ] {
            LabelColumn::of(head).unwrap().read(cell, &mut said).unwrap();
        }
        let labels = of_new(said).unwrap();
        assert_eq!(labels.metadata.keys().collect::<Vec<_>>(), ["Cost Center", "b"]);
        let mut again = LabelsPatch::default();
        for (head, cell) in ["external_id", "metadata"].iter().zip(written(&labels)) {
            LabelColumn::of(head).unwrap().read(&cell, &mut again).unwrap();
        }
        assert_eq!(of_new(again).unwrap(), labels);
        assert_eq!(written(&Labels::default()), ["", ""]);
        assert_eq!(LabelColumn::of("meta"), None);
    }

    #[test]
    fn what_is_wrong_with_a_cell_names_its_field() {
        for (head, cell, field) in [
            ("external_id", "x".repeat(129), "external_id"),
            ("metadata", "{".into(), "metadata"),
            ("metadata", r#"{"a":1}"#.into(), "metadata"),
            ("metadata.k", "x".repeat(501), "metadata.k"),
            ("metadata.", "x".into(), "metadata."),
        ] {
            let mut said = LabelsPatch::default();
            let read = LabelColumn::of(head).unwrap().read(&cell, &mut said).and_then(|()| of_new(said));
            let error = read.unwrap_err().to_string();
            assert!(error.starts_with(field), "{head}: {error}");
        }
    }
}
