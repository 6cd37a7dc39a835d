//! Calls as the switches report them. A record is kept whole, once per leg, before the switch is told that it may forget it.

mod store;

use actix_web::web::Bytes;
use sqlx::PgPool;
use uuid::Uuid;

/// A call record as a switch posted it.
#[derive(Debug)]
pub struct Posted {
    pub leg: String,
    pub switch: Uuid,
    pub body: Bytes,
}

impl Posted {
    /// The leg's UUID from `?uuid=…`; mod_xml_cdr may put `a_` before it.
    #[must_use]
    pub fn leg(query: &str) -> Option<String> {
        let value = query.split('&').find_map(|pair| pair.strip_prefix("uuid="))?;
        Uuid::parse_str(value.strip_prefix("a_").unwrap_or(value)).ok()?;
        Some(value.to_owned())
    }
}

/// Where records arrive.
#[derive(Clone)]
pub struct Inbox {
    pool: PgPool,
}

impl Inbox {
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Keeps a record. A switch that had no answer posts it again: the first one stays.
    pub async fn keep(&self, posted: &Posted) -> sqlx::Result<()> {
        store::keep(&self.pool, posted).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leg_is_named_in_the_url() {
        let uuid = "f70a3b66-5105-4e1e-8913-485896181d48";
        assert_eq!(Posted::leg(&format!("uuid={uuid}")).unwrap(), uuid);
        assert_eq!(Posted::leg(&format!("x=1&uuid=a_{uuid}")).unwrap(), format!("a_{uuid}"));
        for query in ["", "uuid=", "uuid=1", "uuid='; drop", "leg=1"] {
            assert!(Posted::leg(query).is_none(), "{query}");
        }
    }
}
