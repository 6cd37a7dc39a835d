//! Signing in, signing up, and the pages that links in mails lead to.

use std::collections::HashMap;

use actix_web::{
    HttpResponse,
    cookie::{Cookie, SameSite, time::Duration},
    get,
    http::{StatusCode, header},
    post,
    web::{self, Query, ServiceConfig},
};
use askama::Template;
use serde::Deserialize;

use super::{Form, Message, Page, Shell, Visitor, again::Again, done, kept::keep_apart, ok, see_other, wrong};
use crate::{
    model::error::Error,
    node::changes::Change,
    people::onboarding::sign_up::{Registration, confirm, is_sign_up, register},
    tenancy::auth::{
        SignIn,
        actor::{COOKIE, peer, source},
        confirm_again, forgot, is_good_link,
        one_time::Purpose,
        reset, session, sign_in, store,
    },
    text::{Code, DisplayName, Domain, Email, token::TokenHash},
};

pub fn pages(config: &mut ServiceConfig) {
    config
        .service(sign_in_page)
        .service(sign_in_send)
        .service(sign_out)
        .service(sign_up_page)
        .service(sign_up_send)
        .service(sign_up_sent)
        .service(verify_page)
        .service(verify_send)
        .service(verify_again_page)
        .service(verify_again_send)
        .service(verify_sent)
        .service(forgot_page)
        .service(forgot_send)
        .service(forgot_sent)
        .service(reset_page)
        .service(reset_send);
}

pub type Sent = web::Form<HashMap<String, String>>;

#[derive(Template)]
#[template(path = "web/sign_in.html")]
pub struct SignInPage<'a> {
    s: &'a Shell,
    form: Form,
    needs_code: bool,
    /// Whether the password is right but the address is not confirmed. Then the link can be sent again.
    unconfirmed: bool,
    /// Where the visitor was, and what they had typed.
    again: &'a Again,
}

impl<'a> SignInPage<'a> {
    /// An empty page.
    pub fn first(s: &'a Shell, again: &'a Again) -> Self {
        Self { s, form: Form::default(), needs_code: false, unconfirmed: false, again }
    }
}

#[derive(Deserialize)]
struct BackQuery {
    #[serde(default)]
    back: String,
    /// Whether a form was sent that is not kept.
    #[serde(default)]
    undone: String,
}

#[get("/sign-in")]
async fn sign_in_page(visitor: Visitor, query: Query<BackQuery>) -> Page {
    let again = Again { undone: !query.undone.is_empty(), ..Again::at(&query.back) };
    if visitor.shell.me.is_some() {
        return Ok(see_other(if again.back.is_empty() { "/" } else { &again.back }));
    }
    ok(&SignInPage::first(&visitor.shell, &again))
}

/// An address that refers to what was typed there.
pub fn typed_at(back: &str, id: uuid::Uuid) -> String {
    let sign = if back.contains('?') { '&' } else { '?' };
    format!("{back}{sign}typed={id}")
}

/// Where to go after signing in.
async fn onward(visitor: &Visitor, session: &str, again: &Again) -> Result<String, Error> {
    if again.back.is_empty() {
        return Ok("/".into());
    }
    let hash = TokenHash::of(session.as_bytes());
    let Some(kept) = again.kept() else { return Ok(again.back.clone()) };
    let Some(live) = store::live_cookie(visitor.api.pool(), &hash).await? else { return Ok("/".into()) };
    match keep_apart(&visitor.api, live.session, &kept).await {
        Ok(id) => Ok(typed_at(&again.back, id)),
        Err(_) => Ok(again.back.clone()),
    }
}

#[post("/sign-in")]
async fn sign_in_send(visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let again = Again::of_sign_in(&form);
    let shown = SignIn {
        email: form.value("email").to_owned(),
        password: form.raw("password").to_owned(),
        code: Some(form.value("code").to_owned()).filter(|code| !code.is_empty()),
        device_token: visitor.request.cookie(DEVICE_COOKIE).map(|cookie| cookie.value().to_owned()),
    };
    let source = source(&visitor.request);
    let open = async |change: &mut Change, account: &_| session::for_browser(change, account, &source).await;
    match sign_in(&visitor.api.auth, &visitor.api.changes, &shown, &source, open).await {
        Ok(signed_in) => {
            let to = onward(&visitor, &signed_in.session, &again).await?;
            // What was typed is shown where it leads. A button that was pressed has to be pressed again.
            let is_lost = again.undone && again.typed.is_empty() && !again.back.is_empty();
            let mut response = if is_lost { done(&to, "form.again") } else { see_other(&to) };
            add_cookie(&mut response, &session_cookie(&signed_in.session));
            if let Some(token) = &signed_in.device {
                add_cookie(&mut response, &device_cookie(token));
            }
            Ok(response)
        }
        Err(Error::SecondFactor) => {
            form.wrong("code", Code::SecondFactorNeeded);
            let again = &again;
            wrong(&SignInPage { s: &visitor.shell, form, needs_code: true, unconfirmed: false, again })
        }
        Err(error @ (Error::Sql(_) | Error::Keyring(_))) => Err(error.into()),
        Err(error) => {
            let (needs_code, wait) = (shown.code.is_some(), wait(&error));
            let unconfirmed = matches!(&error, Error::Refused(why) if why.code == Code::ConfirmEmailFirst);
            form.refuse(error);
            told(wrong(&SignInPage { s: &visitor.shell, form, needs_code, unconfirmed, again: &again }), wait)
        }
    }
}

/// How many seconds the visitor has to wait.
pub fn wait(error: &Error) -> Option<i64> {
    match error {
        Error::TooMany { seconds } => Some(*seconds),
        _ => None,
    }
}

/// A page. If the visitor must wait, it has the same header as for scripts.
pub fn told(page: Page, wait: Option<i64>) -> Page {
    let mut response = page?;
    if let Some(seconds) = wait {
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

/// Marks this browser as one that somebody has signed in from, so that strangers' guesses don't lock it out.
const DEVICE_COOKIE: &str = "dialplane_device";

fn device_cookie(token: &str) -> Cookie<'static> {
    let cookie = Cookie::build(DEVICE_COOKIE, token.to_owned()).path("/sign-in").max_age(Duration::days(180));
    cookie.secure(true).http_only(true).same_site(SameSite::Lax).finish()
}

/// Only sent over TLS (or to this machine), not readable by scripts, and not sent with other sites' forms.
fn session_cookie(value: &str) -> Cookie<'static> {
    Cookie::build(COOKIE, value.to_owned()).path("/").secure(true).http_only(true).same_site(SameSite::Lax).finish()
}

fn add_cookie(response: &mut HttpResponse, cookie: &Cookie<'_>) {
    // A cookie of base64 letters is always a valid header.
    let _ = response.add_cookie(cookie);
}

#[post("/sign-out")]
async fn sign_out(visitor: Visitor, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    if let (Some(live), Some(cookie)) = (&visitor.shell.me, visitor.request.cookie(COOKIE))
        && session::is_csrf_token(cookie.value(), form.raw("csrf"))
    {
        crate::tenancy::auth::store::end_session(visitor.api.pool(), live.session).await?;
    }
    let mut response = done("/sign-in", "sign_out.done");
    add_cookie(&mut response, &Cookie::build(COOKIE, "").path("/").secure(true).max_age(Duration::ZERO).finish());
    Ok(response)
}

#[derive(Template)]
#[template(path = "web/sign_up.html")]
struct SignUpPage<'a> {
    s: &'a Shell,
    form: &'a Form,
}

#[get("/sign-up")]
async fn sign_up_page(visitor: Visitor) -> Page {
    ok(&SignUpPage { s: &visitor.shell, form: &Form::default() })
}

#[post("/sign-up")]
async fn sign_up_send(visitor: Visitor, sent: Sent) -> Page {
    let (mut form, mut to_wait) = (Form::of(sent.into_inner()), None);
    let read = (
        form.read::<DisplayName>("company"),
        form.read::<Domain>("domain"),
        form.read::<DisplayName>("first_name"),
        form.read::<DisplayName>("last_name"),
        form.read::<Email>("email"),
    );
    if let (Some(company), Some(domain), Some(first_name), Some(last_name), Some(email)) = read {
        let password = form.raw("password").to_owned();
        let language = visitor.shell.language;
        let new = Registration { company, domain, first_name, last_name, email, password, language, region: None };
        match register(&visitor.api.auth, &visitor.api.changes, peer(&visitor.request), new).await {
            Ok(()) => return Ok(see_other("/sign-up/sent")),
            Err(error @ (Error::Sql(_) | Error::Keyring(_))) => return Err(error.into()),
            Err(error) => {
                to_wait = wait(&error);
                form.refuse(error);
            }
        }
    }
    told(wrong(&SignUpPage { s: &visitor.shell, form: &form }), to_wait)
}

#[get("/sign-up/sent")]
async fn sign_up_sent(visitor: Visitor) -> Page {
    let next = Some(("/verify/again", "verify.again"));
    let text = visitor.shell.t("sign_up.sent_text");
    ok(&Message { s: &visitor.shell, title: "sign_up.sent", text, id: None, next })
}

/// A page with one field, or only a button.
#[derive(Template)]
#[template(path = "web/one_field.html")]
struct OneField<'a> {
    s: &'a Shell,
    form: &'a Form,
    title: &'static str,
    intro: &'static str,
    action: &'static str,
    field: &'static str,
    kind: &'static str,
    autocomplete: &'static str,
    submit: &'static str,
    token: &'a str,
}

impl<'a> OneField<'a> {
    /// A sign-up's link asks for the password that was chosen then.
    fn verify(s: &'a Shell, form: &'a Form, token: &'a str, signs_up: bool) -> Self {
        let (title, submit) = ("verify.title", "verify.submit");
        let (intro, field, kind, autocomplete) = if signs_up {
            ("verify.intro_password", "password", "password", "current-password")
        } else {
            ("verify.intro", "", "", "")
        };
        Self { s, form, title, intro, action: "/verify", field, kind, autocomplete, submit, token }
    }

    fn verify_again(s: &'a Shell, form: &'a Form) -> Self {
        let (title, intro, submit) = ("verify.again", "verify.again_intro", "forgot.submit");
        let (field, kind, autocomplete) = ("email", "email", "username");
        Self { s, form, title, intro, action: "/verify/again", field, kind, autocomplete, submit, token: "" }
    }

    fn forgot(s: &'a Shell, form: &'a Form) -> Self {
        let (title, intro, submit) = ("forgot.title", "forgot.intro", "forgot.submit");
        let (field, kind, autocomplete) = ("email", "email", "username");
        Self { s, form, title, intro, action: "/forgot", field, kind, autocomplete, submit, token: "" }
    }

    fn reset(s: &'a Shell, form: &'a Form, token: &'a str) -> Self {
        let (title, intro, submit) = ("reset.title", "reset.intro", "reset.submit");
        let (field, kind, autocomplete) = ("password", "password", "new-password");
        Self { s, form, title, intro, action: "/reset", field, kind, autocomplete, submit, token }
    }
}

#[derive(Deserialize)]
struct TokenQuery {
    #[serde(default)]
    token: String,
}

/// The page for a link that was used or has expired. It has no button, but says where to go.
fn expired(visitor: &Visitor, next: (&str, &'static str)) -> Page {
    let text = visitor.shell.t("link.expired_text");
    wrong(&Message { s: &visitor.shell, title: "link.expired", text, id: None, next: Some(next) })
}

const CONFIRM_AGAIN: (&str, &str) = ("/verify/again", "verify.again");
const RESET_AGAIN: (&str, &str) = ("/forgot", "link.new");

fn is_expired(error: &Error) -> bool {
    matches!(error, Error::Invalid { why, .. } if why.code == Code::LinkExpired)
}

/// The link only opens the page. Mail scanners follow links, and must not use them up.
#[get("/verify")]
async fn verify_page(visitor: Visitor, query: Query<TokenQuery>) -> Page {
    if !is_good_link(&visitor.api.changes, peer(&visitor.request), &query.token, &[Purpose::Verify]).await? {
        return expired(&visitor, CONFIRM_AGAIN);
    }
    let signs_up = is_sign_up(&visitor.api.changes, &query.token).await?;
    ok(&OneField::verify(&visitor.shell, &Form::default(), &query.token, signs_up))
}

#[post("/verify")]
async fn verify_send(visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let (api, source) = (&visitor.api, peer(&visitor.request));
    let password = Some(form.value("password")).filter(|password| !password.is_empty());
    match confirm(&api.auth, &api.changes, source, form.value("token"), password).await {
        Ok(()) => Ok(done("/sign-in", "verify.done")),
        Err(error) if is_expired(&error) => expired(&visitor, CONFIRM_AGAIN),
        Err(error @ (Error::Sql(_) | Error::Keyring(_))) => Err(error.into()),
        Err(error) => {
            let wait = wait(&error);
            form.refuse(error);
            let signs_up = is_sign_up(&api.changes, form.value("token")).await?;
            told(wrong(&OneField::verify(&visitor.shell, &form, form.value("token"), signs_up)), wait)
        }
    }
}

#[get("/verify/again")]
async fn verify_again_page(visitor: Visitor) -> Page {
    ok(&OneField::verify_again(&visitor.shell, &Form::default()))
}

/// Sends the link again if the address is not confirmed yet. The answer is always the same.
#[post("/verify/again")]
async fn verify_again_send(visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let email = form.value("email").to_owned();
    match confirm_again(&visitor.api.auth, &visitor.api.changes, peer(&visitor.request), &email).await {
        Ok(()) => Ok(see_other("/verify/sent")),
        Err(error @ (Error::Sql(_) | Error::Keyring(_))) => Err(error.into()),
        Err(error) => {
            let wait = wait(&error);
            form.refuse(error);
            told(wrong(&OneField::verify_again(&visitor.shell, &form)), wait)
        }
    }
}

#[get("/verify/sent")]
async fn verify_sent(visitor: Visitor) -> Page {
    let text = visitor.shell.t("verify.sent_text");
    ok(&Message { s: &visitor.shell, title: "forgot.sent", text, id: None, next: None })
}

#[get("/forgot")]
async fn forgot_page(visitor: Visitor) -> Page {
    ok(&OneField::forgot(&visitor.shell, &Form::default()))
}

#[post("/forgot")]
async fn forgot_send(visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    match forgot(&visitor.api.auth, &visitor.api.changes, peer(&visitor.request), form.value("email")).await {
        Ok(()) => Ok(see_other("/forgot/sent")),
        Err(error @ (Error::Sql(_) | Error::Keyring(_))) => Err(error.into()),
        Err(error) => {
            let wait = wait(&error);
            form.refuse(error);
            told(wrong(&OneField::forgot(&visitor.shell, &form)), wait)
        }
    }
}

#[get("/forgot/sent")]
async fn forgot_sent(visitor: Visitor) -> Page {
    let text = visitor.shell.t("forgot.sent_text");
    ok(&Message { s: &visitor.shell, title: "forgot.sent", text, id: None, next: None })
}

#[get("/reset")]
async fn reset_page(visitor: Visitor, query: Query<TokenQuery>) -> Page {
    if !is_good_link(&visitor.api.changes, peer(&visitor.request), &query.token, &[Purpose::Reset, Purpose::Welcome])
        .await?
    {
        return expired(&visitor, RESET_AGAIN);
    }
    ok(&OneField::reset(&visitor.shell, &Form::default(), &query.token))
}

#[post("/reset")]
async fn reset_send(visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let (api, source) = (&visitor.api, peer(&visitor.request));
    match reset(&api.auth, &api.changes, source, form.value("token"), form.raw("password")).await {
        Ok(()) => Ok(done("/sign-in", "reset.done")),
        Err(error) if is_expired(&error) => expired(&visitor, RESET_AGAIN),
        Err(error @ (Error::Sql(_) | Error::Keyring(_))) => Err(error.into()),
        Err(error) => {
            let wait = wait(&error);
            form.refuse(error);
            told(wrong(&OneField::reset(&visitor.shell, &form, form.value("token"))), wait)
        }
    }
}
