//! What a page must still show after a form was sent. After every change, a form redirects to another page, so that a reload does not
//! repeat the change. What only that page can show is kept for it, sealed, in the sender's session.

use std::collections::HashMap;

use actix_web::{HttpResponse, http::header};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{FLASH_COOKIE, Form, Turned, Visitor, flash_cookie, kept_store as store, preview::Preview};
use crate::{
    http::problem::Problem,
    model::error::Error,
    node::clock_store,
    people::agents::NewPhone,
    tenancy::Api,
    text::keyring::{Keyring, Place},
};

/// How long secrets are shown, however often their page is loaded.
const SECRETS: Duration = Duration::minutes(5);
/// How long something can be undone.
const UNDO: Duration = Duration::minutes(1);
/// How long typed input is kept.
const WORK: Duration = Duration::hours(12);

/// What is kept.
#[derive(Debug, Serialize, Deserialize)]
pub enum Kept {
    /// Phones, with their passwords, and the token by which each fetches its settings.
    Phones {
        name: String,
        phones: Vec<NewPhone>,
        #[serde(default)]
        tokens: Vec<String>,
    },
    /// A phone's settings, which it fetches itself. Kept under the hash of its token.
    Fetched(Box<NewPhone>),
    /// A switch's token.
    Token {
        switch: Uuid,
        token: String,
    },
    RecoveryCodes(Vec<String>),
    /// A form that was sent without being signed in.
    Typed(Vec<(String, String)>),
    /// A form that was sent, whose work goes on.
    UnderWay,
    /// How a change is undone.
    Undo(Inverse),
    /// Where a form led.
    Led(Led),
    /// A carrier's rates, before they are put in force: the sheet, and what the API says of it.
    Rates {
        carrier: Uuid,
        sheet: String,
        answer: Value,
    },
    /// A link to a recording.
    Link {
        recording: Uuid,
        url: String,
        ends: Option<DateTime<Utc>>,
    },
    /// Values that are shown once, with their labels.
    Shown(Vec<(String, String)>),
    /// The result of something, with labels.
    Told(Vec<(String, String)>),
    /// Of several things, those that were refused, and why.
    Report(Vec<(String, String)>),
    /// A file of agents, with its preview or result.
    Import(Box<Preview>),
}

/// What makes something as it was: what the API is asked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Inverse {
    pub method: String,
    pub path: String,
    pub body: Value,
    /// The version that the change left.
    pub version: Option<i64>,
    /// The page that shows the thing.
    pub to: String,
}

/// Where a form led, with the cookies that were set on the way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Led {
    pub to: String,
    pub cookies: Vec<String>,
    #[serde(default)]
    pub at: DateTime<Utc>,
}

/// How soon the same form comes again after a double click, or from a browser that tried again by itself. Whoever sends it later means
/// to do something anew, and must read that nothing was done: a colleague may have changed the thing since.
const AGAIN_AT_ONCE: Duration = Duration::seconds(20);

impl Led {
    /// The answer for the same form, which came again at `now`.
    pub fn for_the_same_form(mut self, now: DateTime<Utc>) -> Self {
        if now - self.at > AGAIN_AT_ONCE {
            let says = format!("{FLASH_COOKIE}=");
            self.cookies.retain(|cookie| !cookie.starts_with(&says));
            self.cookies.push(flash_cookie("form.was_sent_before").to_string());
        }
        self
    }

    pub fn answer(&self) -> HttpResponse {
        let mut answer = HttpResponse::SeeOther();
        answer.insert_header((header::LOCATION, self.to.as_str()));
        for cookie in &self.cookies {
            answer.append_header((header::SET_COOKIE, cookie.as_str()));
        }
        answer.finish()
    }
}

/// The field that says that something secret was typed, and is not kept.
pub const LEFT_OUT: &str = "_left_out";

impl Kept {
    fn lifetime(&self) -> Duration {
        match self {
            Self::Phones { .. }
            | Self::Fetched(_)
            | Self::Token { .. }
            | Self::RecoveryCodes(_)
            | Self::Shown(_)
            | Self::UnderWay
            | Self::Led(_)
            | Self::Link { .. } => SECRETS,
            Self::Undo(_) => UNDO,
            Self::Typed(_) | Self::Import(_) | Self::Report(_) | Self::Told(_) | Self::Rates { .. } => WORK,
        }
    }
}

fn place(session: Uuid, id: Uuid) -> Place {
    Place { column: "kept_pages.sealed", tenant: session, row: id }
}

/// Something to be kept, sealed for its session and its id.
pub fn seal_for(keyring: &Keyring, session: Uuid, id: Uuid, kept: &Kept) -> Result<Vec<u8>, Error> {
    let json = serde_json::to_string(kept).map_err(|_| Error::Fault("what a page shows could not be kept"))?;
    Ok(keyring.seal(place(session, id), &json))
}

/// The same over a connection of its own.
pub async fn keep_apart(api: &Api, session: Uuid, kept: &Kept) -> Result<Uuid, Problem> {
    let mut db = api.pool().acquire().await?;
    Ok(keep(&mut db, api.changes.keyring(), session, kept).await?)
}

/// Keeps something for a session; its id is part of the address that shows it.
pub async fn keep(db: &mut PgConnection, keyring: &Keyring, session: Uuid, kept: &Kept) -> Result<Uuid, Error> {
    let id = Uuid::now_v7();
    keep_as(db, keyring, session, id, kept).await?;
    Ok(id)
}

/// The same under an id of one's own.
pub async fn keep_as(
    db: &mut PgConnection,
    keyring: &Keyring,
    session: Uuid,
    id: Uuid,
    kept: &Kept,
) -> Result<(), Error> {
    let sealed = seal_for(keyring, session, id, kept)?;
    let now = clock_store::now(&mut *db).await?;
    store::insert(db, id, session, &sealed, now + kept.lifetime()).await?;
    Ok(())
}

/// What is kept under an id, whoever asks for it. Afterwards it is gone.
pub async fn take(api: &Api, id: Uuid) -> Result<Option<Kept>, Error> {
    let Some((session, sealed)) = store::take(api.pool(), id).await? else { return Ok(None) };
    let json = api.changes.keyring().open_sealed(place(session, id), &sealed)?;
    Ok(serde_json::from_str(&json).ok())
}

impl Visitor {
    /// What the visitor's own session keeps under an id. Other sessions' things are not found.
    pub async fn kept(&self, id: Option<Uuid>) -> Result<Option<Kept>, Turned> {
        let (Some(id), Some(me)) = (id, &self.shell.me) else { return Ok(None) };
        let Some(sealed) = store::get(self.api.pool(), id, me.session).await? else { return Ok(None) };
        let json = self.api.changes.keyring().open_sealed(place(me.session, id), &sealed).map_err(Error::from)?;
        Ok(serde_json::from_str(&json).ok())
    }

    /// A page's form, with what was typed before the session had ended, if the address refers to it.
    pub async fn form(&mut self, mut form: Form) -> Result<Form, Turned> {
        if let Some(typed) = self.typed().await? {
            form.type_in(typed);
        }
        Ok(form)
    }

    /// What was typed before the session had ended, if the address refers to it. The page says that it is still there.
    pub async fn typed(&mut self) -> Result<Option<Vec<(String, String)>>, Turned> {
        let id = self.in_query("typed").and_then(|id| id.parse().ok());
        let Some(Kept::Typed(mut typed)) = self.kept(id).await? else { return Ok(None) };
        self.shell.typed_before = id;
        let all = typed.len();
        typed.retain(|(name, _)| name != LEFT_OUT);
        self.shell.flash = Some(if typed.len() == all { "form.was_kept" } else { "form.was_kept_but_secrets" });
        Ok(Some(typed))
    }

    /// A parameter of the address.
    pub fn in_query(&self, name: &str) -> Option<String> {
        let query = actix_web::web::Query::<HashMap<String, String>>::from_query(self.request.query_string()).ok()?;
        query.into_inner().remove(name)
    }
}
