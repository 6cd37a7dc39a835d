//! Asks for confirmation before something that can't be undone or that ends calls.

use askama::Template;

use super::{Page, Shell, html, ok};
use crate::{
    model::{
        error::Error,
        used::{self, Used},
    },
    text::Why,
};
use actix_web::http::StatusCode;

/// Something that must be changed first, with the form that does it, if a page can.
pub struct Obstacle {
    pub text: String,
    /// The address that the form is sent to.
    pub action: Option<String>,
    /// The page where it can be changed.
    pub page: Option<String>,
}

/// The page that asks.
#[derive(Template)]
#[template(path = "web/confirm.html")]
pub struct Confirm<'a> {
    pub s: &'a Shell,
    pub title: &'static str,
    /// The name of what it is about.
    pub what: String,
    pub text: &'static str,
    pub obstacles: Vec<Obstacle>,
    pub action: String,
    pub submit: &'static str,
    pub back: String,
    /// The version that is shown, so that a yes does not apply to somebody else's later change.
    pub version: i64,
    pub error: Option<Why>,
    /// Whether it has changed since the question was asked.
    pub changed: bool,
}

impl Confirm<'_> {
    /// The question.
    pub fn ask(&self) -> Page {
        ok(self)
    }

    /// Whether there is an obstacle that no page can remove.
    fn has_others(&self) -> bool {
        self.obstacles.iter().any(|obstacle| obstacle.action.is_none() && obstacle.page.is_none())
    }

    /// Asks again, with the reason why the answer was refused. Internal errors, and things that no longer exist, are not asked about.
    pub fn again(mut self, error: Error) -> Page {
        match error {
            Error::Changed(_) => self.changed = true,
            Error::Refused(why) | Error::Taken(why, _) => self.error = Some(why),
            Error::InUse(users) => self.error = Some(used::why(&users)),
            error => return Err(error.into()),
        }
        let status = if self.changed { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY };
        html(status, &self)
    }
}

/// Names what uses something.
#[must_use]
pub fn user_of(s: &Shell, user: &Used) -> String {
    format!("{} {}", s.t_of("kind", user.kind.as_str()), user.name)
}

/// Whether the error says that something else uses it.
#[must_use]
pub fn is_in_use(error: &Error) -> bool {
    matches!(error, Error::InUse(_))
}
