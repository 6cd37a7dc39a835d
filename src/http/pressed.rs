//! Whether a request that got no connection to the database came at a bad moment, or the database is away. The pool's error is the same:
//! nobody gave a connection back in time. The node knows, because it asks the database all the time over a connection of its own.

use std::sync::Arc;

type Reaches = Arc<dyn Fn() -> bool + Send + Sync>;

tokio::task_local! {
    static REACHES: Reaches;
}

/// Does the work of a request; `reaches` says whether the node reaches the database.
pub async fn within<T>(reaches: Reaches, work: impl Future<Output = T>) -> T {
    REACHES.scope(reaches, work).await
}

/// Whether all connections are only in use, by other requests. Outside of requests, nobody knows.
pub(super) fn is_only_that() -> bool {
    REACHES.try_with(|reaches| reaches()).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::Problem;

    fn code() -> serde_json::Value {
        serde_json::to_value(Problem::from(sqlx::Error::PoolTimedOut)).unwrap()["code"].clone()
    }

    #[actix_web::test]
    async fn waiting_in_vain_for_a_connection_is_no_outage_while_the_database_answers() {
        assert_eq!(within(Arc::new(|| true), async { code() }).await, "changes_under_way");
        assert_eq!(within(Arc::new(|| false), async { code() }).await, "database_unavailable");
        assert_eq!(code(), "database_unavailable", "outside of requests");
    }
}
