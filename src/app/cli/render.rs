//! `render`: what a switch gets for a request, and why. It reads the database as a fetch does, and changes nothing.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::{ArgGroup, Args};
use serde_json::json;
use sqlx::PgPool;

use super::{file, local::Database};
use crate::{
    app::settings::Settings,
    node::{
        database::Incomplete,
        poller::{Memory, Poller},
    },
    routing::{Dialled, Plan},
    switch::fetch::{
        Fetch, Reply, Source,
        readers::Readers,
        render,
        request::{Request, View},
    },
    text::{Domain, keyring::Keyring},
};

#[derive(Args)]
// Without `skip`, every argument would be in the group, and `--from` would exclude `--call`.
#[group(skip)]
#[command(group = ArgGroup::new("request").required(true).args(["user", "sign_in", "call", "form"]))]
pub struct RenderArgs {
    /// A user, as a switch asks to ring it or for voicemail
    #[arg(long, value_name = "USER@DOMAIN")]
    user: Option<String>,
    /// A user, as a switch asks when it signs in (REGISTER, INVITE)
    #[arg(long, value_name = "USER@DOMAIN")]
    sign_in: Option<String>,
    /// A call: NUMBER@CONTEXT, where the context is a tenant's domain or `public`
    #[arg(long, value_name = "NUMBER@CONTEXT")]
    call: Option<String>,
    /// Who calls
    #[arg(long, value_name = "USER@DOMAIN", requires = "call", conflicts_with_all = ["user", "sign_in", "form"])]
    from: Option<String>,
    /// A file with a form as a switch sends it, or `-` for standard input; a recorded HTTP request works too
    #[arg(long, value_name = "FILE")]
    form: Option<PathBuf>,
}

pub async fn run(settings: &Settings, as_json: bool, args: RenderArgs) -> anyhow::Result<()> {
    let form = args.form()?;
    let request = Request::read(&form)?;
    let mut why = explain(&request);
    let (database, pool, keyring) = Database::open(settings, Incomplete::Refuse).await?;
    let asked = ask(settings, &database, pool, keyring, request).await;
    database.close();
    let (reply, source) = asked?;
    why.push(outcome(&reply, source).to_owned());
    let document = match &reply {
        Reply::Document(document) => String::from_utf8_lossy(document).into_owned(),
        Reply::NotFound => render::NOT_FOUND.to_owned(),
        Reply::Unavailable => String::new(),
    };
    if as_json {
        println!("{}", json!({ "why": why, "document": document }));
    } else {
        for line in why {
            eprintln!("{line}");
        }
        print!("{document}");
    }
    Ok(())
}

async fn ask(
    settings: &Settings,
    database: &Database,
    pool: PgPool,
    keyring: Keyring,
    request: Request<'_>,
) -> anyhow::Result<(Reply, Source)> {
    let keyring = Arc::new(keyring);
    let readers = Readers::new(database.servers.clone(), 1, settings.fill_timeout());
    let fetch = Arc::new(Fetch::new(readers, pool.clone(), keyring, &settings.limits()));
    let memory = Arc::clone(&fetch) as Arc<dyn Memory>;
    let poller =
        Poller::new(fetch.node, Arc::clone(&fetch.generations), memory, database.servers.clone(), pool.clone());
    let following = tokio::spawn(Arc::clone(&poller).run());
    poller.ready().await;
    let asked = match request {
        Request::ChangePin { .. } => Err(anyhow::anyhow!("this request changes a PIN, so it was not carried out")),
        request => Ok(fetch.answer(request, None).await),
    };
    following.abort();
    poller.leave().await?;
    pool.close().await;
    asked
}

impl RenderArgs {
    fn form(&self) -> anyhow::Result<Vec<u8>> {
        if let Some(user) = &self.user {
            let (user, domain) = split(user)?;
            return Ok(directory(domain, &format!("key=id&user={user}&domain={domain}")));
        }
        if let Some(user) = &self.sign_in {
            let (user, domain) = split(user)?;
            let rest = format!("action=sip_auth&sip_auth_realm={domain}&key=id&user={user}&domain={domain}");
            return Ok(directory(domain, &rest));
        }
        if let Some(call) = &self.call {
            let (number, context) = split(call)?;
            let number = number.replace('+', "%2B");
            let form = format!(
                "section=dialplan&tag_name=&key_name=&key_value=&Event-Name=REQUEST_PARAMS&Hunt-Context={context}&Hunt-Destination-Number={number}"
            );
            let caller = match &self.from {
                None => String::new(),
                Some(from) => {
                    let (user, domain) = split(from)?;
                    format!("&variable_user_name={user}&variable_domain_name={domain}")
                }
            };
            return Ok(format!("{form}{caller}").into_bytes());
        }
        let file = self.form.as_deref().unwrap_or_else(|| "-".as_ref());
        Ok(body(&file::read(file)?).to_vec())
    }
}

/// The body of a recorded request, or all of it if it is only a form.
fn body(text: &[u8]) -> &[u8] {
    let is_request = text.starts_with(b"POST ");
    let gap = is_request.then(|| memchr::memmem::find(text, b"\r\n\r\n").map(|at| at + 4)).flatten();
    let gap = gap.or_else(|| is_request.then(|| memchr::memmem::find(text, b"\n\n").map(|at| at + 2)).flatten());
    text[gap.unwrap_or_default()..].trim_ascii()
}

fn split(address: &str) -> anyhow::Result<(&str, &str)> {
    address.split_once('@').with_context(|| format!("{address} is not NAME@DOMAIN"))
}

fn directory(domain: &str, rest: &str) -> Vec<u8> {
    let base = "section=directory&tag_name=domain&key_name=name";
    format!("{base}&key_value={domain}&Event-Name=REQUEST_PARAMS&{rest}").into_bytes()
}

/// How a request was understood.
fn explain(request: &Request<'_>) -> Vec<String> {
    let first = match request {
        Request::User { domain, user, view, .. } => {
            let purpose = match view {
                View::Auth { .. } => "to check the digest of a call",
                View::Help { .. } => "to check the digest of a call for help",
                View::Moved { .. } => "to check the digest of a call on a switch that the tenant has left",
                View::Other { .. } => "to check a digest",
                View::Leaving { .. } => {
                    "to check the digest of a REGISTER at a switch that is being taken out of service"
                }
                View::Register { .. } => "to check the digest of a REGISTER",
                View::Profile => "for its voicemail",
                View::Ring { .. } => "to ring it",
                View::Verto => "to check a login to mod_verto",
                View::ReverseAuth => "to answer its digest challenge",
            };
            format!("asks for user {user} of {domain}, {purpose}")
        }
        Request::Domain { domain } => format!("asks for domain {domain} without users"),
        Request::Group { domain, group, .. } => format!("asks for group {group} of {domain}"),
        Request::Everyone { domain, .. } => format!("asks for all users of {domain}"),
        Request::AllGateways => "asks for the gateways of all domains, of which the directory has none".into(),
        Request::ChangePin { domain, user, .. } => format!("says that {user} of {domain} chose a new PIN"),
        Request::Chatplan { context } => format!("asks where a text message goes, in context {context}"),
        Request::NotOurs { kind } => format!("is a {kind} request that Dialplane leaves to the switch's own files"),
        Request::Configuration { file } => format!("asks for a module's configuration: {file:?}"),
        Request::Dialplan(dialplan) => {
            let (context, destination, caller) = (&dialplan.context, &dialplan.destination, &dialplan.caller);
            let usual = Domain::parse(context).ok().map(Plan::empty);
            let who =
                caller.as_ref().map_or("somebody who is not signed in".into(), |c| format!("{}@{}", c.user, c.domain));
            let dialled = match usual.map(|plan| Dialled::read(destination, &plan)) {
                _ if context == "public" => "a call from outside, routed by phone number",
                Some(Dialled::Emergency(_)) => "an emergency number nearly everywhere",
                Some(Dialled::Feature(_)) => "a feature code, unless the tenant has changed it",
                Some(Dialled::Name(_) | Dialled::Number(_)) => "a number or name of the tenant, or a number outside",
                Some(Dialled::Nonsense) | None => "nothing that can be called",
            };
            format!("asks where a call to {destination} goes, in context {context}, made by {who}; this is {dialled}")
        }
    };
    vec![format!("The request {first}.")]
}

fn outcome(reply: &Reply, source: Source) -> &'static str {
    match (reply, source) {
        (Reply::NotFound, Source::NotOurs) => "Answered \"not found\": Dialplane leaves this to the switch.",
        (Reply::NotFound, _) => "Answered \"not found\": no tenant has this domain or context.",
        (Reply::Unavailable, _) => "Answered 503: the database could not be asked.",
        (Reply::Document(_), Source::Filled) => "Answered from the database:",
        (Reply::Document(_), _) => "Answered from memory:",
    }
}
