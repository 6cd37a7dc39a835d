//! The order of a list: `?sort=name`, `?sort=-created_at`. A cursor then holds the order, the last thing's key in it, and its id.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    error::{Error, Result},
    paging::{KeyWindow, Page, PageQuery, Window, wrong_cursor},
};
use crate::text::Code;

/// What lists are sorted by if nothing is asked for: ids grow in the order of creation.
pub const CREATED: &str = "created_at";

/// In which order a list is wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SortQuery {
    /// The field that the list is sorted by, with `-` in front for the other direction. If absent, `created_at`, or as the operation says. A cursor
    /// belongs to the order that it was given for.
    pub sort: Option<String>,
}

/// A list that has one order, from its first to its last and back.
#[derive(Debug, Clone)]
pub struct Way {
    /// From the last to the first.
    pub is_down: bool,
    is_usual: bool,
    window: KeyWindow,
}

/// What cursors of another order than the usual one begin with. No key does.
const OTHER: char = '~';

impl Way {
    /// The key of the last thing on the page before.
    #[must_use]
    pub fn after(&self) -> Option<&str> {
        self.window.after.as_deref()
    }

    /// The same, if the key is an id.
    pub fn after_id(&self) -> Result<Option<Uuid>> {
        self.after().map(|id| id.parse().map_err(|_| wrong_cursor())).transpose()
    }

    /// What a statement's `limit` must be.
    #[must_use]
    pub fn fetch(&self) -> i64 {
        self.window.fetch()
    }

    /// Makes the page of what was found.
    pub fn page<T>(&self, items: Vec<T>, key: impl Fn(&T) -> String) -> Page<T> {
        let mark = if self.is_usual { String::new() } else { OTHER.to_string() };
        self.window.page(items, |item| format!("{mark}{}", key(item)))
    }
}

/// A moment as a key that is compared as text.
#[must_use]
pub fn moment_key(at: Option<DateTime<Utc>>) -> String {
    format!("{:020}", at.map_or(0, |at| at.timestamp_micros().max(0)))
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
    /// By what the list is sorted, and whether from the last to the first.
    fn chosen<'a>(asked: &str, allowed: &[&'a str]) -> Result<(&'a str, bool)> {
        let (name, is_down) = asked.strip_prefix('-').map_or((asked, false), |name| (name, true));
        let unknown = || {
            let known = allowed.iter().flat_map(|name| [(*name).to_owned(), format!("-{name}")]);
            Error::query("sort", Code::UnknownSort.with("known", known.collect::<Vec<_>>().join(", ")))
        };
        Ok((*allowed.iter().find(|known| **known == name).ok_or_else(unknown)?, is_down))
    }

    /// The way through a list that has one order. `usual`: which it is if nothing is asked for, such as `-at` for the newest first.
    pub fn way(&self, page: &PageQuery, usual: &str) -> Result<Way> {
        let asked = self.sort.as_deref().unwrap_or(usual);
        let (_, is_down) = Self::chosen(asked, &[usual.trim_start_matches('-')])?;
        let mut window = page.key_window()?;
        let is_usual = asked == usual;
        window.after = after(window.after, is_usual)?;
        Ok(Way { is_down, is_usual, window })
    }

    /// The page of a list that is at hand whole. `key`: of one of the items, by one of the names, or by none if nothing is asked for; no two items
    /// have the same.
    pub fn of_all<T>(
        &self,
        page: &PageQuery,
        allowed: &[&'static str],
        mut items: Vec<T>,
        key: impl Fn(&T, &str) -> String,
    ) -> Result<Page<T>> {
        let (by, is_down) = self.sort.as_deref().map_or(Ok(("", false)), |asked| Self::chosen(asked, allowed))?;
        let mut window = page.key_window()?;
        let order =
            if self.sort.is_some() { format!("{}{by} ", if is_down { "-" } else { "" }) } else { String::new() };
        window.after = match after(window.after, self.sort.is_none())? {
            Some(said) => Some(said.strip_prefix(&order).ok_or_else(wrong_cursor)?.to_owned()),
            None => None,
        };
        items.sort_by_cached_key(|item| key(item, by));
        if is_down {
            items.reverse();
        }
        items.retain(|item| {
            let is_next = |after: &String| if is_down { key(item, by) < *after } else { key(item, by) > *after };
            window.after.as_ref().is_none_or(is_next)
        });
        let mark = if self.sort.is_some() { format!("{OTHER}{order}") } else { String::new() };
        Ok(window.page(items, |item| format!("{mark}{}", key(item, by))))
    }

    /// `allowed`: what this list can be sorted by.
    pub fn sorted(&self, page: &PageQuery, allowed: &[&'static str]) -> Result<Sorted> {
        let asked = self.sort.as_deref().unwrap_or(CREATED);
        let (by, is_down) = Self::chosen(asked, allowed)?;
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

/// The key in a cursor, which has to be of the order that is asked for.
fn after(said: Option<String>, is_usual: bool) -> Result<Option<String>> {
    let Some(said) = said else { return Ok(None) };
    match (said.strip_prefix(OTHER), is_usual) {
        (None, true) => Ok(Some(said)),
        (Some(key), false) => Ok(Some(key.to_owned())),
        _ => Err(wrong_cursor()),
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

    /// All items of a list of letters, read in pages of two.
    fn letters(sort: Option<&str>, letters: &str) -> String {
        let sort = SortQuery { sort: sort.map(ToOwned::to_owned) };
        let (mut read, mut cursor) = (String::new(), None);
        loop {
            let page = PageQuery { limit: Some(2), cursor };
            let key = |letter: &char, by: &str| {
                if by == "size" { format!("{} {letter}", letter.is_uppercase()) } else { letter.to_string() }
            };
            let page = sort.of_all(&page, &["name", "size"], letters.chars().collect(), key).unwrap();
            read.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return read;
            }
        }
    }

    #[test]
    fn a_list_that_is_at_hand_is_paged_in_each_order_and_has_every_item_once() {
        for (sort, order) in [
            (None, "ABcde"),
            (Some("name"), "ABcde"),
            (Some("-name"), "edcBA"),
            (Some("size"), "cdeAB"),
            (Some("-size"), "BAedc"),
        ] {
            assert_eq!(letters(sort, "cAedB"), order, "{sort:?}");
        }
        let next = |sort: Option<&str>, cursor: Option<String>| {
            let sort = SortQuery { sort: sort.map(ToOwned::to_owned) };
            let page = PageQuery { limit: Some(2), cursor };
            sort.of_all(&page, &["name", "size"], vec!['a', 'b', 'c'], |letter, _| letter.to_string())
        };
        let down = next(Some("-name"), None).unwrap().next_cursor;
        for other in [None, Some("name"), Some("-size")] {
            assert!(next(other, down.clone()).is_err(), "{other:?}");
        }
        assert!(next(Some("colour"), None).is_err());
        assert!(next(Some("-name"), next(None, None).unwrap().next_cursor).is_err());
    }

    #[test]
    fn a_list_with_one_order_can_be_read_from_either_end() {
        let way = |sort: Option<&str>, cursor: Option<String>| {
            SortQuery { sort: sort.map(ToOwned::to_owned) }.way(&PageQuery { limit: Some(2), cursor }, "-at")
        };
        let next = |sort| way(sort, None).unwrap().page(vec!["a", "b", "c"], |key| (*key).to_owned()).next_cursor;
        for (sort, is_down) in [(None, true), (Some("-at"), true), (Some("at"), false)] {
            let way = way(sort, next(sort)).unwrap();
            assert_eq!((way.is_down, way.after()), (is_down, Some("b")), "{sort:?}");
        }
        assert!(way(Some("at"), next(None)).is_err() && way(None, next(Some("at"))).is_err());
        assert!(way(Some("name"), None).is_err());
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
