//! Pages of a list: `?limit=` and `?cursor=`, the cursor being the last id of the page before.

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
}

/// One page, in the order of creation.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Send it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl PageQuery {
    pub fn window(&self) -> Result<Window> {
        let limit = self.limit.unwrap_or(DEFAULT);
        if !(1..=MOST).contains(&limit) {
            return Err(Error::query("limit", Code::range(1, MOST)));
        }
        let after = match &self.cursor {
            None => Uuid::nil(),
            Some(cursor) => {
                let wrong = || Error::query("cursor", Code::WrongCursor);
                let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
                Uuid::from_slice(&bytes).map_err(|_| wrong())?
            }
        };
        Ok(Window { after, limit })
    }
}

impl Window {
    /// The first window of a list, as large as one can be.
    pub const FIRST: Self = Self { after: Uuid::nil(), limit: MOST };

    /// Everything, for lists that rules keep short.
    pub const ALL: Self = Self { after: Uuid::nil(), limit: i64::MAX - 1 };

    /// What a statement's `limit` must be.
    #[must_use]
    pub fn fetch(self) -> i64 {
        self.limit + 1
    }

    /// Makes the page of what the statement found.
    pub fn page<T>(self, mut items: Vec<T>, id: impl Fn(&T) -> Uuid) -> Page<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more).map(id);
        Page { items, next_cursor: last.map(|id| URL_SAFE_NO_PAD.encode(id.as_bytes())) }
    }
}
