//! The phone numbers of all tenants, for platform administrators: whose one is, and where it comes from.

use actix_web::{
    get,
    web::{Query, ServiceConfig},
};
use askama::Template;
use serde::Deserialize;

use super::{Page, Shell, Visitor, in_query, ok, resource};
use crate::{
    telephony::numbers::{
        NumberStatus,
        store::{self, Anywhere, AnywhereFilter},
    },
    tenancy::auth::rules::{Level, Resource},
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(list);
}

const SIZE: i64 = 50;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
    status: String,
    tenant: String,
    provider: String,
    /// The last number of the page before.
    cursor: String,
}

impl Asked {
    fn fields(&self) -> [(&'static str, &str); 4] {
        [("q", &self.q), ("status", &self.status), ("tenant", &self.tenant), ("provider", &self.provider)]
    }

    fn is_search(&self) -> bool {
        self.fields().iter().any(|(_, text)| !text.trim().is_empty())
    }

    fn query(&self) -> String {
        let given = self.fields().into_iter().filter(|(_, text)| !text.trim().is_empty());
        given.map(|(name, text)| format!("{name}={}", in_query(text.trim()))).collect::<Vec<_>>().join("&")
    }

    fn filter(&self) -> AnywhereFilter {
        let given = |text: &str| Some(text.trim().chars().take(100).collect()).filter(|text: &String| !text.is_empty());
        // People write numbers with spaces and brackets.
        let digits = self.q.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect::<String>();
        AnywhereFilter {
            // What has no digit is in no number.
            number: given(if digits.is_empty() { &self.q } else { &digits }),
            status: match &*self.status {
                "active" => Some(NumberStatus::Active),
                "suspended" => Some(NumberStatus::Suspended),
                _ => None,
            },
            tenant: given(&self.tenant),
            provider: given(&self.provider),
        }
    }
}

struct Row {
    number: String,
    status: &'static str,
    of: Anywhere,
}

#[derive(Template)]
#[template(path = "web/numbers_all.html")]
struct NumbersPage<'a> {
    s: &'a Shell,
    asked: &'a Asked,
    rows: Vec<Row>,
    next: Option<String>,
}

#[get("/platform/numbers")]
async fn list(visitor: Visitor, asked: Query<Asked>) -> Page {
    let actor = visitor.needs(Resource::Platform, Level::Read)?;
    let mut db = visitor.api.read(&actor).await?;
    let mut found = store::anywhere(&mut *db, &asked.filter(), &asked.cursor, SIZE + 1).await?;
    drop(db);
    let size = usize::try_from(SIZE).unwrap_or(usize::MAX);
    let more = found.len() > size;
    found.truncate(size);
    let last = found.last().filter(|_| more).map(|last| in_query(&last.number));
    let next = last.map(|last| format!("/platform/numbers?{}&cursor={last}", asked.query()));
    let rows = found.into_iter().map(|of| Row {
        number: resource::formatted(&of.number),
        status: if of.status == NumberStatus::Active { "active" } else { "suspended" },
        of,
    });
    ok(&NumbersPage { s: &visitor.shell.on("platform-numbers"), asked: &asked, rows: rows.collect(), next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_as_people_write_it() {
        let number = |q: &str| Asked { q: q.into(), ..Asked::default() }.filter().number;
        assert_eq!(number(" +49 (30) 1234-5 ").as_deref(), Some("+493012345"));
        assert_eq!((number("sales").as_deref(), number("  ")), (Some("sales"), None));
    }
}
