//! A call that leaves the platform, as the route says so. Whether it is let out is decided in `outgoing`.

use crate::routing::{Route, callee::Callee};

/// A call that leaves the platform.
#[derive(Debug, Clone, PartialEq)]
pub enum Outgoing {
    Emergency(String),
    Outside(Callee),
}

impl Outgoing {
    /// Returns the route as `Err` if it stays on the platform.
    pub(super) fn of(route: Route) -> Result<Self, Route> {
        match route {
            Route::Emergency { number } => Ok(Self::Emergency(number)),
            Route::Outside(callee) => Ok(Self::Outside(callee)),
            route => Err(route),
        }
    }
}
