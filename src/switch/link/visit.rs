//! What a node does for its switches all the time.

use std::sync::Arc;

use super::holds::Links;
use crate::{node::changes::Changes, switch::live::Live};

/// Holds links to switches, and visits these, for as long as the node runs.
pub async fn watch(changes: Changes, live: Arc<Live>) {
    let Some(poller) = changes.poller().cloned() else { return };
    let (generations, node) = (Arc::clone(poller.generations()), poller.node());
    Links { changes, generations, live, node }.run().await;
}
