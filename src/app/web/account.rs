//! The visitor's own account: password and second factor.

use actix_web::{
    HttpResponse, get, post,
    web::{Query, ServiceConfig},
};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Form, Page, Shell, Turned, Visitor,
    kept::{Kept, keep},
    ok, see_other,
    sign_in::{Sent, told, wait},
    wrong,
};
use crate::{
    http::problem::Problem,
    model::error::Error,
    telephony::extensions,
    tenancy::{
        auth::{
            actor::Actor,
            api::{change_own_password, own_account, own_change},
            rules::{Level, Resource},
            second_factor, session, store,
        },
        clusters,
        tenants::domains,
    },
    text::{Code, keyring::Place},
};

pub fn pages(config: &mut ServiceConfig) {
    config
        .service(account_page)
        .service(send_password)
        .service(begin_two_factor)
        .service(two_factor_svg)
        .service(confirm_two_factor)
        .service(disable_two_factor);
}

/// An extension of the visitor.
struct Phone {
    id: Uuid,
    number: String,
    sip_username: String,
    domain: String,
    websocket_url: String,
    /// Shown only to the user whose extension it is.
    password: String,
}

/// A domain at which the tenant's phones still work.
struct Former {
    domain: String,
    /// The last day.
    until: String,
    /// The domain to use instead.
    home: String,
}

#[derive(Template)]
#[template(path = "web/account.html")]
struct AccountPage<'a> {
    s: &'a Shell,
    /// The form to change the password.
    form: &'a Form,
    /// The form of the second factor.
    factor: &'a Form,
    two_factor: bool,
    /// Set up, but not confirmed yet.
    secret: Option<String>,
    recovery_codes: Vec<String>,
    must_set_up: bool,
    extensions: Vec<Phone>,
    former: Vec<Former>,
}

fn may(visitor: &Visitor) -> Result<Actor, Turned> {
    visitor.needs(Resource::Account, Level::Own)
}

async fn page(visitor: &Visitor, actor: &Actor, form: &Form, factor: &Form, codes: Vec<String>) -> Page {
    let mut change = own_change(&visitor.api, actor, &visitor.request).await?;
    let account = session::account(&mut change, actor.id).await?;
    let secret = second_factor::pending(&change, &account)?.map(|setup| setup.secret);
    let (mut phones, mut former) = (Vec::new(), Vec::new());
    if let Some(tenant) = account.tenant_id {
        let home = crate::tenancy::tenants::store::get(change.db(), tenant).await?;
        let Some(home) = home else { return Err(Error::NotFound("tenant").into()) };
        let kept = domains::store::of_all(change.db(), &[tenant]).await?.into_iter();
        former = kept
            .map(|kept| Former {
                domain: kept.domain,
                until: kept.until.format("%Y-%m-%d").to_string(),
                home: home.domain.to_string(),
            })
            .collect();
        let cluster = clusters::store::get(change.db(), home.cluster_id).await?;
        let websocket_url = cluster.and_then(|cluster| cluster.websocket_url).unwrap_or_default();
        for own in extensions::store::phones_of(change.db(), tenant, actor.id).await? {
            let place = Place { column: "sip_secret", tenant, row: own.id };
            let secret = change.keyring().open_sealed(place, &own.sip_secret).map_err(Error::from)?;
            phones.push(Phone {
                id: own.id,
                number: own.number.to_string(),
                sip_username: own.sip_username.to_string(),
                domain: home.domain.to_string(),
                websocket_url: websocket_url.clone(),
                password: secret.to_string(),
            });
        }
    }
    let view = AccountPage {
        s: &visitor.shell,
        form,
        factor,
        two_factor: account.totp_enabled,
        secret,
        recovery_codes: codes,
        must_set_up: account.totp_required && !account.totp_enabled,
        extensions: phones,
        former,
    };
    if form.has_errors() || factor.has_errors() { wrong(&view) } else { ok(&view) }
}

#[derive(Deserialize)]
struct ShownQuery {
    shown: Option<Uuid>,
}

#[get("/account")]
async fn account_page(visitor: Visitor, query: Query<ShownQuery>) -> Page {
    let actor = may(&visitor)?;
    let codes = match visitor.kept(query.shown).await? {
        Some(Kept::RecoveryCodes(codes)) => codes,
        _ => vec![],
    };
    page(&visitor, &actor, &Form::default(), &Form::default(), codes).await
}

#[post("/account/password")]
async fn send_password(visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Account, Level::Own, &form).await?;
    let (old, new) = (form.raw("old_password"), form.raw("password"));
    match change_own_password(&visitor.api, &actor, &visitor.request, old, new).await {
        Ok(()) => Ok(super::done("/account", "account.password_changed")),
        Err(error @ (Error::Sql(_) | Error::Keyring(_))) => Err(error.into()),
        Err(error) => {
            let wait = wait(&error);
            form.refuse(error);
            told(page(&visitor, &actor, &form, &Form::default(), vec![]).await, wait)
        }
    }
}

#[post("/account/two-factor")]
async fn begin_two_factor(visitor: Visitor, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Account, Level::Own, &form).await?;
    let mut change = own_change(&visitor.api, &actor, &visitor.request).await?;
    let account = session::account(&mut change, actor.id).await?;
    second_factor::begin(&mut change, &account).await?;
    change.commit_quietly().await?;
    Ok(see_other("/account"))
}

/// The QR code, which exists only while the factor is being set up.
#[get("/account/two-factor.svg")]
async fn two_factor_svg(visitor: Visitor) -> Page {
    let actor = may(&visitor)?;
    let mut change = own_change(&visitor.api, &actor, &visitor.request).await?;
    let account = session::account(&mut change, actor.id).await?;
    let setup = second_factor::pending(&change, &account)?.ok_or_else(|| Problem::from(Code::PageNotFound))?;
    let code = qrcode::QrCode::new(setup.url.as_bytes()).map_err(|_| Problem::from(Code::PageNotFound))?;
    let svg = code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(200, 200).build();
    Ok(HttpResponse::Ok().content_type("image/svg+xml").body(svg))
}

#[post("/account/two-factor/confirm")]
async fn confirm_two_factor(visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Account, Level::Own, &form).await?;
    let mut change = own_change(&visitor.api, &actor, &visitor.request).await?;
    let account: store::Account = session::account(&mut change, actor.id).await?;
    let code = form.value("code").to_owned();
    match second_factor::confirm(&mut change, &account, &code).await {
        Ok(codes) => {
            let keyring = change.keyring();
            let shown = keep(change.db(), &keyring, visitor.session()?, &Kept::RecoveryCodes(codes)).await?;
            change.commit_quietly().await?;
            Ok(see_other(&format!("/account?shown={shown}")))
        }
        Err(error @ (Error::Sql(_) | Error::Keyring(_))) => Err(error.into()),
        Err(error) => {
            form.refuse(error);
            drop(change);
            page(&visitor, &actor, &Form::default(), &form, vec![]).await
        }
    }
}

#[post("/account/two-factor/disable")]
async fn disable_two_factor(visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Account, Level::Own, &form).await?;
    let shown = form.raw("current_password");
    let account = match own_account(&visitor.api, &actor, &visitor.request, "current_password", shown).await {
        Ok(account) => account,
        Err(error @ (Error::Sql(_) | Error::Keyring(_))) => return Err(error.into()),
        Err(error) => {
            let wait = wait(&error);
            form.refuse(error);
            return told(page(&visitor, &actor, &Form::default(), &form, vec![]).await, wait);
        }
    };
    if account.totp_required {
        form.refuse(Error::from(Code::SecondFactorRequired));
        return page(&visitor, &actor, &Form::default(), &form, vec![]).await;
    }
    let mut change = own_change(&visitor.api, &actor, &visitor.request).await?;
    second_factor::disable(&mut change, &account).await?;
    change.commit_quietly().await?;
    Ok(super::done("/account", "account.two_factor_disabled"))
}
