//! The sheet of a phone's settings, shown for a few minutes: to read, and as codes that a phone reads with its camera. One code has the
//! settings in it; the other leads to them, and whoever comes first gets them, once.

use actix_web::{
    HttpRequest, HttpResponse, get, post,
    web::{Data, Path, Query, ServiceConfig},
};
use askama::Template;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Form, Message, Page, Shell, Turned, Visitor,
    kept::{Kept, keep, keep_as, take},
    ok, see_other,
    sign_in::Sent,
};
use crate::{
    http::problem::Problem,
    model::error::Error,
    people::agents::NewPhone,
    telephony::extensions::{self, ExtensionStatus},
    tenancy::{
        Api,
        auth::rules::{Level, Resource},
        tenants,
    },
    text::{
        Code,
        keyring::{Keyring, Place},
        token::{self, TokenHash},
    },
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(fetched).service(own).service(own_shown);
}

const PREFIX: &str = "dpf";

/// Where the settings of a token are kept.
fn id_of(token: &str) -> Uuid {
    let mut half = [0; 16];
    half.copy_from_slice(&TokenHash::of(token.as_bytes()).0[..16]);
    uuid::Builder::from_custom_bytes(half).into_uuid()
}

/// Keeps new phones for the page that shows them, and each for itself to fetch.
pub async fn keep_phones(
    db: &mut PgConnection,
    keyring: &Keyring,
    session: Uuid,
    name: String,
    phones: Vec<NewPhone>,
) -> Result<Uuid, Error> {
    let mut tokens = Vec::new();
    for phone in &phones {
        let token = token::generate(PREFIX);
        keep_as(db, keyring, session, id_of(&token), &Kept::Fetched(Box::new(phone.clone()))).await?;
        tokens.push(token.to_string());
    }
    keep(db, keyring, session, &Kept::Phones { name, phones, tokens }).await
}

/// Settings as Linphone takes them from an address: a file of its own configuration. `reg_proxy` and `reg_identity` are an account,
/// `auth_info_0` its password (linphone_proxy_config_new_from_config_file and linphone_auth_info_new_from_config_file in liblinphone).
#[derive(Template)]
#[template(path = "phone/linphone.xml")]
struct Linphone<'a> {
    phone: &'a NewPhone,
}

/// Settings as Grandstream Wave, and others that do it likewise, read them in a code.
#[derive(Template)]
#[template(path = "phone/wave.xml")]
struct Wave<'a> {
    phone: &'a NewPhone,
}

/// A text as a picture that a camera reads, within an address of its own: nothing asks for it over the network.
fn code(text: &str) -> Result<String, Problem> {
    // A screen is not scratched: the least repair makes the coarsest picture, which cheap cameras read.
    let code = qrcode::QrCode::with_error_correction_level(text.as_bytes(), qrcode::EcLevel::L);
    let code = code.map_err(|error| Problem::internal(&error))?;
    let svg = code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(200, 200).build();
    Ok(format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg)))
}

/// Where one goes on from the sheet.
pub enum Onward {
    /// To the agent whose phones they are.
    Agent(Uuid),
    Account,
}

struct Phone {
    new: NewPhone,
    /// A code that leads to the settings, and the address in it.
    leads: Option<(String, String)>,
    /// A code that has them in it.
    holds: Option<String>,
}

impl Phone {
    /// Catalogue key, id in the page, and value. Values that were not made anew are left out.
    fn settings(&self) -> impl Iterator<Item = (&'static str, &'static str, &str)> {
        [
            ("phone.user", "user", &*self.new.sip_username),
            ("phone.password", "password", &self.new.sip_password),
            ("phone.domain", "domain", &self.new.domain),
            ("phone.display_name", "name", &self.new.display_name),
            ("phone.pin", "pin", &self.new.voicemail_pin),
        ]
        .into_iter()
        .filter(|(_, _, value)| !value.is_empty())
    }
}

#[derive(Template)]
#[template(path = "web/phone_sheet.html")]
pub struct SheetPage<'a> {
    s: &'a Shell,
    onward: Onward,
    name: String,
    phones: Vec<Phone>,
    /// Is there nothing to do with a PIN?
    no_voicemail: bool,
}

impl<'a> SheetPage<'a> {
    pub fn of(
        visitor: &'a Visitor,
        onward: Onward,
        name: String,
        phones: Vec<NewPhone>,
        tokens: Vec<String>,
        no_voicemail: bool,
    ) -> Result<Self, Problem> {
        let mut tokens = tokens.into_iter();
        let mut shown = Vec::new();
        for new in phones {
            let url = &visitor.api.auth.public_url;
            let link = tokens.next().map(|token| format!("{url}/phone-settings?token={token}"));
            let leads = match link {
                Some(link) => Some((code(&link)?, link)),
                None => None,
            };
            let wave = Wave { phone: &new }.render().map_err(|error| Problem::internal(&error))?;
            // What has no password now is no phone to set up.
            let holds = if new.sip_password.is_empty() { None } else { Some(code(&wave)?) };
            shown.push(Phone { new, leads, holds });
        }
        Ok(Self { s: &visitor.shell, onward, name, phones: shown, no_voicemail })
    }
}

#[derive(Deserialize)]
struct TokenQuery {
    #[serde(default)]
    token: String,
}

/// A phone fetches its settings. It has no session but the token, which is in the query, as queries are not logged.
#[get("/phone-settings")]
async fn fetched(request: HttpRequest, query: Query<TokenQuery>) -> Result<HttpResponse, Turned> {
    let gone = || Problem::from(Code::PageNotFound);
    let api = request.app_data::<Data<Api>>().ok_or_else(gone)?;
    if !query.token.starts_with(PREFIX) {
        return Err(gone().into());
    }
    let Some(Kept::Fetched(phone)) = take(api, id_of(&query.token)).await? else { return Err(gone().into()) };
    let file = Linphone { phone: &phone }.render().map_err(|error| Problem::internal(&error))?;
    Ok(HttpResponse::Ok().content_type("application/xml; charset=utf-8").body(file))
}

/// One's own phone: people see their passwords at any time, and so the sheet.
#[post("/account/phones/{id}")]
async fn own(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Account, Level::Own, &form).await?;
    let gone = || Problem::not_found("extension");
    let me = visitor.shell.me.as_ref().ok_or(Turned::Away)?;
    let tenant = me.tenant.ok_or_else(gone)?;
    let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
    let home = tenants::store::get(change.db(), tenant).await?.ok_or_else(gone)?;
    let phones = extensions::store::phones_of(change.db(), tenant, me.user).await?;
    let phone = phones.into_iter().find(|phone| phone.id == *id).ok_or_else(gone)?;
    let keyring = change.keyring();
    let place = Place { column: "sip_secret", tenant, row: phone.id };
    let secret = keyring.open_sealed(place, &phone.sip_secret).map_err(Error::from)?;
    let phone = NewPhone {
        id: phone.id,
        number: phone.number.to_string(),
        sip_username: phone.sip_username.to_string(),
        sip_password: secret.to_string(),
        domain: home.domain.to_string(),
        display_name: phone.display_name.to_string(),
        voicemail_pin: String::new(),
        status: ExtensionStatus::Active,
    };
    let shown = keep_phones(change.db(), &keyring, me.session, me.name.clone(), vec![phone]).await?;
    change.commit_quietly().await?;
    Ok(see_other(&format!("/account/phones?shown={shown}")))
}

#[derive(Deserialize)]
struct ShownQuery {
    shown: Option<Uuid>,
}

#[get("/account/phones")]
async fn own_shown(visitor: Visitor, query: Query<ShownQuery>) -> Page {
    visitor.needs(Resource::Account, Level::Own)?;
    if let Some(Kept::Phones { name, phones, tokens }) = visitor.kept(query.shown).await? {
        return ok(&SheetPage::of(&visitor, Onward::Account, name, phones, tokens, false)?);
    }
    let next = Some(("/account", "problem.to_account"));
    let text = visitor.shell.t("account.sheet_gone");
    ok(&Message { s: &visitor.shell, title: "created.gone", text, id: None, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(display_name: &str) -> NewPhone {
        NewPhone {
            id: Uuid::nil(),
            number: "1000".into(),
            sip_username: "1000".into(),
            sip_password: "s&<cret".into(),
            domain: "acme.test".into(),
            display_name: display_name.into(),
            voicemail_pin: String::new(),
            status: ExtensionStatus::Active,
        }
    }

    #[test]
    fn settings_are_whole_files_whatever_is_in_them() {
        let phone = phone("Ada \"O'\" <b>&Радія");
        for file in [Linphone { phone: &phone }.render().unwrap(), Wave { phone: &phone }.render().unwrap()] {
            let mut reader = quick_xml::Reader::from_str(&file);
            let mut texts = String::new();
            loop {
                match reader.read_event().unwrap() {
                    quick_xml::events::Event::Eof => break,
                    quick_xml::events::Event::Text(text) => texts += &text,
                    quick_xml::events::Event::GeneralRef(name) => texts += &name,
                    _ => {}
                }
            }
            assert!(texts.contains("acme.test") && texts.contains("1000"), "{texts}");
            assert!(!file.contains("<cret") && !file.contains("<b>"), "{file}");
            assert!(code(&file).unwrap().starts_with("data:image/svg+xml;base64,"));
        }
    }

    #[test]
    fn the_longest_settings_fit_a_code() {
        let long = NewPhone { domain: "d".repeat(253), sip_password: "p".repeat(128), ..phone(&"Ж".repeat(60)) };
        assert!(code(&Wave { phone: &long }.render().unwrap()).is_ok());
    }
}
