//! Authentication and authorisation: passwords, sessions, access tokens, second factors, lockout, and the table of rules.

pub mod access;
pub mod actor;
pub mod api;
pub mod flows;
pub mod one_time;
pub mod password;
pub mod remembered;
pub mod rules;
pub mod second_factor;
mod second_factor_store;
pub mod session;
pub mod standing;
pub mod store;
pub mod throttle;
mod throttle_store;

use std::sync::Arc;

pub use self::flows::{SignIn, SignedIn, change_password, confirm_again, forgot, is_good_link, reset, sign_in};
use self::{access::Signer, password::Passwords, remembered::Remembered};

/// What signing in needs besides the database.
#[derive(Clone)]
pub struct Auth {
    pub passwords: Passwords,
    pub signer: Arc<Signer>,
    /// Who may look at what goes on while the database is away.
    pub remembered: Arc<Remembered>,
    /// Where people reach this node: links in mails begin with it.
    pub public_url: Arc<str>,
}
