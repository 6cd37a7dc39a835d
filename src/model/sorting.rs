//! The order of a list: `?sort=name`, `?sort=-created_at`. A cursor then holds the order, the last thing's key in it, and its id.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    error::{Error, Result},
    paging::{Page, PageQuery, Window, wrong_cursor},
};
use crate::text::Code;

/// What lists are sorted by if nothing is asked for: ids grow in the order of creation.
pub const CREATED: &str = "created_at";

/// In which order a list is wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SortQuery {
    /// The field that the list is sorted by, with `-` in front for the other direction; `created_at` if absent. A cursor belongs to the order that
    /// it was given for.
    pub sort: Option<String>,
}

/// What a sorted statement should read.
#[derive(Debug, Clone)]
pub struct Sorted {
    pub by: &'static str,
    /// From the last to the first.
    pub is_down: bool,
    /// The key of the last thing before; `None` on the first page.
    pub key: Option<String>,
    /// The id of the last thing before, and how many are wanted. On the first page, the id is one that all others come after.
    pub window: Window,
}

impl From<Window> for Sorted {
    fn from(window: Window) -> Self {
        Self { by: CREATED, is_down: false, key: None, window }
    }
}

impl SortQuery {
    /// `allowed`: what this list can be sorted by.
    pub fn sorted(&self, page: &PageQuery, allowed: &[&'static str]) -> Result<Sorted> {
        let asked = self.sort.as_deref().unwrap_or(CREATED);
        let (name, is_down) = asked.strip_prefix('-').map_or((asked, false), |name| (name, true));
        let unknown = || {
            let known = allowed.iter().flat_map(|name| [(*name).to_owned(), format!("-{name}")]);
            Error::query("sort", Code::UnknownSort.with("known", known.collect::<Vec<_>>().join(", ")))
        };
        let by = *allowed.iter().find(|known| **known == name).ok_or_else(unknown)?;
        if by == CREATED && !is_down {
            return Ok(page.window()?.into());
        }
        let (cursor, first) = (page.cursor.as_deref(), PageQuery { limit: page.limit, cursor: None });
        let window = first.window()?;
        let Some(cursor) = cursor else {
            let after = if is_down { Uuid::max() } else { Uuid::nil() };
            return Ok(Sorted { by, is_down, key: None, window: Window { after, ..window } });
        };
        let said = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong_cursor())?;
        let (of, key, after) = serde_json::from_slice::<(String, String, Uuid)>(&said).map_err(|_| wrong_cursor())?;
        // Postgres knows no text with NUL.
        if of != asked || key.contains('\0') {
            return Err(wrong_cursor());
        }
        Ok(Sorted { by, is_down, key: Some(key), window: Window { after, ..window } })
    }
}

impl Sorted {
    /// Whether it is the usual order, for which every list has an index. Lists that rules keep short need none for the others: they are sorted as
    /// they are found.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.by == CREATED && !self.is_down
    }

    /// Makes the page of what the statement found.
    pub fn page<T>(self, items: Vec<T>, id: impl Fn(&T) -> Uuid, key: impl Fn(&T, &'static str) -> String) -> Page<T> {
        if self.is_plain() {
            return self.window.page(items, id);
        }
        let order = format!("{}{}", if self.is_down { "-" } else { "" }, self.by);
        let cursor = |last: &T| serde_json::to_vec(&(&order, key(last, self.by), id(last))).unwrap_or_default();
        self.window.page_by(items, cursor)
    }
}

/// Runs a statement in the order that a list is wanted in, after the last thing of the page before. `$rows`: a macro that makes the statement
/// with this end of its conditions and its order. `$id`: the column, `$after`, `$key` and `$down`: the parameters with `window.after`, `key`
/// and `is_down`. The statement names the keys to compare `k.key` and `k.after`.
macro_rules! in_order {
    ($sorted:expr, $rows:ident, $id:tt, $after:tt, $key:tt, $down:tt) => {
        if $sorted.is_plain() {
            $rows!($id " > " $after " and (" $key "::text is null or " $down "::bool) order by " $id)
        } else {
            $rows!(
                "(" $key "::text is null or case when " $down " then (k.key, " $id ") < (k.after, " $after ") else (k.key, " $id
                ") > (k.after, " $after ") end)\n             order by case when " $down " then null else k.key end, case when " $down
                " then null else " $id " end, k.key desc, " $id " desc"
            )
        }
    };
}
pub(crate) use in_order;

/// A number as a key that is compared as text, also below zero, as statements write it.
#[must_use]
pub fn number_key(number: i32) -> String {
    format!("{:012}", i64::from(number) + 3_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: [&str; 2] = [CREATED, "name"];

    fn asked(sort: Option<&str>, cursor: Option<String>) -> Result<Sorted> {
        let page = PageQuery { limit: Some(2), cursor };
        SortQuery { sort: sort.map(ToOwned::to_owned) }.sorted(&page, &ALLOWED)
    }

    #[test]
    fn numbers_are_sorted_as_numbers() {
        let keys = [i32::MIN, -10, -9, 0, 7, 10, i32::MAX].map(number_key);
        assert!(keys.is_sorted(), "{keys:?}");
    }

    #[test]
    fn a_cursor_belongs_to_the_order_that_it_was_given_for() {
        let items = || ["c", "b", "a"].map(|name| (Uuid::now_v7(), name)).to_vec();
        let next = |sort: Option<&str>| {
            asked(sort, None).unwrap().page(items(), |item| item.0, |item, _| item.1.to_owned()).next_cursor
        };
        let down = next(Some("-name"));
        let sorted = asked(Some("-name"), down.clone()).unwrap();
        assert_eq!((sorted.by, sorted.is_down, sorted.key.as_deref()), ("name", true, Some("b")));
        assert!(next(None).is_some());
        for (sort, cursor) in [
            (Some("name"), down.clone()),
            (None, down),
            (Some("name"), next(None)),
            (Some("-created_at"), next(None)),
            (Some("name"), Some("nonsense".into())),
        ] {
            assert!(asked(sort, cursor).is_err(), "{sort:?}");
        }
        assert!(asked(Some("created_at"), next(None)).is_ok());
        let refused = asked(Some("colour"), None).unwrap_err().to_string();
        assert!(refused.contains("created_at, -created_at, name, -name"), "{refused}");
    }
}
