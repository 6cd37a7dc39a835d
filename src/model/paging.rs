//! Pages of a list: `?limit=` and `?cursor=`, the cursor being what the page before ended with: an id, or the key of lists in another order.

use crate::text::Code;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::{Error, Result};

const DEFAULT: i64 = 50;
const MOST: i64 = 500;

/// Which page is asked for.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// The most items on a page, 1 to 500; 50 if absent.
    pub limit: Option<i64>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// What a statement should read: ids above `after`, and one more than `limit` to see whether there is a next page.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub after: Uuid,
    pub limit: i64,
    /// The only thing that is shown of what is found.
    pub only: Option<Uuid>,
}

/// The same for a list that is not in the order of ids: the key of the last thing before, if there is one.
#[derive(Debug, Clone)]
pub struct KeyWindow {
    pub after: Option<String>,
    pub limit: i64,
}

/// One page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Send it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// The refusal of a cursor that no page ended with.
#[must_use]
pub fn wrong_cursor() -> Error {
    Error::query("cursor", Code::WrongCursor)
}

impl PageQuery {
    fn limit(&self) -> Result<i64> {
        let limit = self.limit.unwrap_or(DEFAULT);
        if (1..=MOST).contains(&limit) { Ok(limit) } else { Err(Error::query("limit", Code::range(1, MOST))) }
    }

    fn after(&self) -> Result<Option<Vec<u8>>> {
        self.cursor.as_ref().map(|cursor| URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong_cursor())).transpose()
    }

    pub fn window(&self) -> Result<Window> {
        let after = self.after()?.map_or(Ok(Uuid::nil()), |bytes| Uuid::from_slice(&bytes).map_err(|_| wrong_cursor()));
        Ok(Window { after: after?, limit: self.limit()?, only: None })
    }

    pub fn key_window(&self) -> Result<KeyWindow> {
        let after = self.after()?.map(|bytes| String::from_utf8(bytes).map_err(|_| wrong_cursor())).transpose()?;
        Ok(KeyWindow { after, limit: self.limit()? })
    }
}

impl KeyWindow {
    /// What a statement's `limit` must be.
    #[must_use]
    pub fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// Makes the page of what was found.
    pub fn page<T>(&self, items: Vec<T>, key: impl Fn(&T) -> String) -> Page<T> {
        page(items, self.limit, |item| key(item).into_bytes())
    }
}

/// A page of what was found, with one item more if there is a next page.
fn page<T>(mut items: Vec<T>, limit: i64, key: impl Fn(&T) -> Vec<u8>) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more).map(key);
    Page { items, next_cursor: last.map(|key| URL_SAFE_NO_PAD.encode(key)) }
}

impl Window {
    /// The first window of a list, as large as one can be.
    pub const FIRST: Self = Self { after: Uuid::nil(), limit: MOST, only: None };

    /// Everything, for lists that rules keep short.
    pub const ALL: Self = Self { after: Uuid::nil(), limit: i64::MAX - 1, only: None };

    /// The window in which this thing is the first, for a list in the order of ids; without one, the window in which there is none.
    #[must_use]
    pub fn of_one(id: Option<Uuid>) -> Self {
        let before = |id: Uuid| Uuid::from_u128(id.as_u128().saturating_sub(1));
        Self { after: id.map_or(Uuid::max(), before), limit: 1, only: id }
    }

    /// What a statement's `limit` must be.
    #[must_use]
    pub fn fetch(self) -> i64 {
        self.limit + 1
    }

    /// The same for a list in another order, with what its next cursor says.
    pub fn page_by<T>(self, items: Vec<T>, cursor: impl Fn(&T) -> Vec<u8>) -> Page<T> {
        page(items, self.limit, cursor)
    }

    /// Makes the page of what the statement found.
    pub fn page<T>(self, mut items: Vec<T>, id: impl Fn(&T) -> Uuid) -> Page<T> {
        items.retain(|item| self.only.is_none_or(|only| id(item) == only));
        page(items, self.limit, |item| id(item).as_bytes().to_vec())
    }
}
