//! A form that is sent twice does its work once: by a double click, or because a browser gave up and its person tried again. Every form
//! has a number of its own. What came of sending it is kept for some minutes, and whoever sends the same again is led to the same page.

use std::time::Duration as Patience;

use actix_web::{
    HttpMessage as _,
    body::MessageBody,
    dev::ServiceResponse,
    http::{StatusCode, header},
    web::Data,
};
use chrono::Duration;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Form, Shell, Turned, Visitor,
    kept::{Kept, Led, seal_for},
    kept_store as store,
};
use crate::{http::problem::Problem, model::error::Error, node::clock_store, tenancy::Api, text::Code};

/// For how long the same form is answered in the same way.
const SAME: Duration = Duration::minutes(5);
/// How long the work for a form may take, before somebody who sends it again has it done anew: a node that was killed answers nobody.
const WORK: Duration = Duration::seconds(60);
/// How long the second waits for the first.
const WAIT: Patience = Patience::from_secs(20);
/// How often it looks.
const LOOK: Patience = Patience::from_millis(100);

/// A form whose work this request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    id: Uuid,
    session: Uuid,
}

impl Turn {
    /// The same form with other input is another: who goes back and corrects something wants that done.
    fn of(session: Uuid, path: &str, form: &Form) -> Option<Self> {
        if form.raw("once").is_empty() {
            return None;
        }
        let mut hash = Sha256::new().chain_update(session.as_bytes());
        let mut add = |text: &str| {
            hash.update(text.len().to_be_bytes());
            hash.update(text);
        };
        add(path);
        for (name, value) in form.sent() {
            add(name);
            add(value);
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        Some(Self { id: uuid::Builder::from_custom_bytes(bytes).into_uuid(), session })
    }
}

impl Shell {
    /// A number for a form. A form with what was typed before has the same however often its page is loaded: sent again, it was sent before.
    #[must_use]
    pub fn once(&self) -> Uuid {
        self.typed_before.unwrap_or_else(Uuid::now_v7)
    }
}

impl Visitor {
    /// Goes on if the form is sent for the first time. Else it leads to where the first time led.
    pub async fn is_first(&self, form: &Form) -> Result<(), Turned> {
        let Some(turn) = Turn::of(self.session()?, self.request.path(), form) else { return Ok(()) };
        // Its changes collided with others', so that it is done again.
        if self.request.extensions().get::<Turn>() == Some(&turn) {
            return Ok(());
        }
        let began = Instant::now();
        while !claim(&self.api, turn).await? {
            match self.kept(Some(turn.id)).await? {
                Some(Kept::Led(led)) => {
                    let now = clock_store::now(self.api.pool()).await?;
                    return Err(Turned::Led(Box::new(led.for_the_same_form(now))));
                }
                _ if began.elapsed() > WAIT => {
                    return Err(Problem::from(Code::ChangesUnderWay.with("seconds", WAIT.as_secs())).into());
                }
                _ => tokio::time::sleep(LOOK).await,
            }
        }
        self.request.extensions_mut().insert(turn);
        Ok(())
    }
}

async fn claim(api: &Api, turn: Turn) -> Result<bool, Error> {
    let sealed = seal_for(api.changes.keyring(), turn.session, turn.id, &Kept::UnderWay)?;
    let until = clock_store::now(api.pool()).await? + WORK;
    Ok(store::claim(api.pool(), turn.id, turn.session, &sealed, until).await?)
}

/// Keeps where a form led. If it was refused, or showed something at once, it may be sent again.
pub async fn settle<B: MessageBody>(answer: &ServiceResponse<B>) {
    let turn = answer.request().extensions().get::<Turn>().copied();
    let (Some(turn), Some(api)) = (turn, answer.request().app_data::<Data<Api>>()) else { return };
    if let Err(error) = settled(api, turn, answer).await {
        tracing::warn!(%error, "where a form led could not be kept");
    }
}

async fn settled<B: MessageBody>(api: &Api, turn: Turn, answer: &ServiceResponse<B>) -> Result<(), Error> {
    let response = answer.response();
    let text = |value: &header::HeaderValue| value.to_str().map(ToOwned::to_owned).ok();
    let to = response.headers().get(header::LOCATION).and_then(text);
    let to = to.filter(|_| response.status() == StatusCode::SEE_OTHER && response.error().is_none());
    let Some(to) = to else { return Ok(store::give_back(api.pool(), turn.id, turn.session).await?) };
    let cookies = response.headers().get_all(header::SET_COOKIE).filter_map(text).collect();
    let at = clock_store::now(api.pool()).await?;
    let led = Kept::Led(Led { to, cookies, at });
    let sealed = seal_for(api.changes.keyring(), turn.session, turn.id, &led)?;
    Ok(store::settle(api.pool(), turn.id, turn.session, &sealed, at + SAME).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_that_comes_again_later_says_that_nothing_was_done() {
        let at = chrono::DateTime::UNIX_EPOCH;
        let cookies = vec!["dialplane_flash=thing.was_saved; Path=/".to_owned(), "theme=dark".to_owned()];
        let led = || Led { to: "/app/extensions".into(), cookies: cookies.clone(), at };
        assert_eq!(led().for_the_same_form(at + Duration::seconds(19)).cookies, cookies);
        let later = led().for_the_same_form(at + Duration::seconds(21));
        assert_eq!((&*later.to, &later.cookies[0], later.cookies.len()), ("/app/extensions", &cookies[1], 2));
        assert!(later.cookies[1].starts_with("dialplane_flash=form.was_sent_before; "), "{}", later.cookies[1]);
    }

    #[test]
    fn the_same_form_with_other_input_or_in_another_session_is_another() {
        let (session, other) = (Uuid::now_v7(), Uuid::now_v7());
        let form = |once: &str, name: &str| Form::filled([("once", once), ("name", name)]);
        let of = |session, path, once, name| Turn::of(session, path, &form(once, name));
        let first = of(session, "/app/keys/new", "1", "a");
        assert!(first.is_some());
        assert_eq!(first, of(session, "/app/keys/new", "1", "a"));
        for another in [
            of(other, "/app/keys/new", "1", "a"),
            of(session, "/app/webhooks/new", "1", "a"),
            of(session, "/app/keys/new", "2", "a"),
            of(session, "/app/keys/new", "1", "b"),
        ] {
            assert_ne!(first, another);
        }
        assert_eq!(
            of(session, "/app/keys/new", "", "a"),
            None,
            "a form without a number is sent as often as one likes"
        );
        // A name that is there twice counts twice.
        let several = |values: &[&str]| {
            let sent = values.iter().map(|value| ("scopes".to_owned(), (*value).to_owned()));
            let sent = sent.chain([("once".to_owned(), "1".to_owned())]).collect::<Vec<_>>();
            Turn::of(session, "/app/keys/new", &Form::of_sent(&sent))
        };
        assert_ne!(several(&["a", "b"]), several(&["b"]));
    }
}
