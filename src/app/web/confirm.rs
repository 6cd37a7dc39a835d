//! Asks once more, before something is done that can't be taken back or that ends calls.

use askama::Template;

use super::{Page, Shell, html, ok};
use crate::{
    model::error::Error,
    text::{Code, Why},
};
use actix_web::http::StatusCode;

/// What stands in the way, and the form that takes it out of it, if a page can.
pub struct Obstacle {
    pub text: String,
    /// Where the form is sent to.
    pub action: Option<String>,
}

/// Asks once more.
#[derive(Template)]
#[template(path = "web/confirm.html")]
pub struct Confirm<'a> {
    pub s: &'a Shell,
    pub title: &'static str,
    /// What it is about, by its name.
    pub what: String,
    pub text: &'static str,
    pub obstacles: Vec<Obstacle>,
    pub action: String,
    pub submit: &'static str,
    pub back: String,
    /// Of what is seen here: somebody else's change is not answered with this question.
    pub version: i64,
    pub error: Option<Why>,
    /// It was changed since the question was asked.
    pub changed: bool,
}

impl Confirm<'_> {
    /// The question.
    pub fn ask(&self) -> Page {
        ok(self)
    }

    /// Is something in the way that no page can take out of it?
    fn has_others(&self) -> bool {
        self.obstacles.iter().any(|obstacle| obstacle.action.is_none())
    }

    /// The question again, with why the answer was not taken. Faults, and what is not there any more, are no question.
    pub fn again(mut self, error: Error) -> Page {
        match error {
            Error::Changed(_) => self.changed = true,
            Error::Refused(why) => self.error = Some(why),
            error => return Err(error.into()),
        }
        let status = if self.changed { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY };
        html(status, &self)
    }
}

/// What uses something, as the telephony subjects name it: the kind, and the name.
#[must_use]
pub fn user_of(s: &Shell, user: &str) -> String {
    let (kind, name) = user.split_once(' ').unwrap_or((user, ""));
    format!("{} {name}", s.t_of("kind", kind))
}

/// Does it say that something else uses it?
#[must_use]
pub fn is_in_use(error: &Error) -> bool {
    matches!(error, Error::Refused(why) if why.code == Code::InUse)
}
