//! `demo`: a node with a sample tenant, two phones, a phone number and a switch's credentials, ready to use.

use std::{
    borrow::Cow,
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    local::Database,
    next, serve,
    stop::{self, Stop},
};
use crate::{
    app::{App, reached, renewal::Source, service::Sockets, settings::Settings, telemetry},
    model::destination::Target,
    node::changes::{Author, Change},
    people::onboarding::{self, NewTenancy},
    switch::fetch::exchange::{CDR_PATH, XML_PATH},
    telephony::{
        extensions::{self, NewExtension},
        numbers::{self, NewNumber},
    },
    tenancy::{
        auth::password::Passwords,
        keys::{self, NewKey},
        switches::{self, NewSwitch, SwitchPatch},
        tenants, users,
    },
    text::{DisplayName, Domain, E164, ExtensionNumber, SipUsername, SwitchName},
};

const DOMAIN: &str = "acme.test";
const DID: &str = "+12025550100";
const ADMIN: &str = "admin@dialplane.test";

/// What the demo made, with its secrets. It is kept in the data directory, so that a second start shows the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Made {
    switch: SwitchLogin,
    admin: Admin,
    api_key: String,
    tenant: TenantMade,
    extensions: Vec<Phone>,
    did: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct SwitchLogin {
    name: String,
    token: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Admin {
    email: String,
    password: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct TenantMade {
    id: Uuid,
    domain: String,
    context: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Phone {
    number: String,
    sip_username: String,
    sip_password: String,
}

/// What scripts read: what was made, and where the node listens.
#[derive(Serialize)]
struct Ready<'a> {
    switch_url: String,
    cdr_url: String,
    app_url: String,
    #[serde(flatten)]
    made: &'a Made,
    /// Whether they were made just now.
    #[serde(skip)]
    is_first: bool,
}

pub async fn run(settings: &Settings, source: Source, json: bool) -> anyhow::Result<()> {
    telemetry::set_level(settings.log.as_deref())?;
    let (hang_ups, mut stop) = (stop::hang_ups()?, Stop::catch()?);
    let Some(database) = Database::own(settings, &mut stop).await? else { return Ok(()) };
    let started = tokio::select! {
        started = start(settings, source, &database) => Some(started),
        () = stop.told() => None,
    };
    let (app, made, is_first) = match started {
        Some(Ok(started)) => started,
        stopped => {
            database.close();
            return stopped.map_or(Ok(()), |failed| failed.map(drop));
        }
    };
    let switch = settings.switch_url(app.switch_address);
    let ready = Ready {
        switch_url: format!("{switch}{XML_PATH}"),
        cdr_url: format!("{switch}{CDR_PATH}"),
        app_url: settings.app_url(app.app_address),
        made: &made,
        is_first,
    };
    if json {
        println!("{}", serde_json::to_string(&ready)?);
    } else {
        print!("{}", for_a_person(&ready, settings));
    }
    std::io::stdout().flush()?;
    tokio::select! {
        () = stop.told() => {}
        () = serve::renew_on(hang_ups, &app) => {}
    }
    serve::leave(app, &mut stop).await;
    database.close();
    Ok(())
}

async fn start(settings: &Settings, source: Source, database: &Database) -> anyhow::Result<(App, Made, bool)> {
    let app = App::start_on(Sockets::default(), settings, Some(source), database.servers.clone()).await?;
    match make(&settings.data_dir.join("demo.json"), &app).await {
        Ok((made, is_first)) => Ok((app, made, is_first)),
        Err(error) => {
            app.stop().await;
            Err(error)
        }
    }
}

/// Makes what is missing. What is there stays as it is. Says whether it was made just now.
async fn make(file: &Path, app: &App) -> anyhow::Result<(Made, bool)> {
    let changes = &app.changes;
    let domain = Domain::parse(DOMAIN)?;
    let kept = fs::read(file).ok().and_then(|text| serde_json::from_slice::<Made>(&text).ok());
    let tenant = tenants::store::by_domain(changes.pool(), &domain).await?;
    if let (Some(kept), Some(tenant)) = (kept, &tenant)
        && kept.tenant.id == tenant.id
    {
        return Ok((kept, false));
    }
    if tenant.is_some() {
        anyhow::bail!(
            "the database has a tenant {DOMAIN} that this demo did not create: use `dialplane serve`, or another data directory"
        );
    }
    let mut change = changes.begin(Author { name: "demo".into(), source: None, within: None }).await?;
    let made = make_all(&mut change, &app.auth.passwords, domain).await?;
    // The file first: if it can't be written, nothing is created.
    keep(file, &made).with_context(|| format!("{} can't be written", file.display()))?;
    change.commit().await?;
    Ok((made, true))
}

async fn make_all(change: &mut Change, passwords: &Passwords, domain: Domain) -> anyhow::Result<Made> {
    let tenant = onboarding::create("", change, NewTenancy::plain(Some(DisplayName::parse("Acme")?), domain), None)
        .await?
        .tenant;
    let mut phones = Vec::new();
    let mut first = None;
    for (number, name) in [("1000", "Ada Lovelace"), ("1001", "Grace Hopper")] {
        let mut new = NewExtension::with_number(ExtensionNumber::parse(number)?, DisplayName::parse(name)?);
        // The same with each start, so that a phone may be set up once.
        new.sip_username = Some(SipUsername::parse(number)?);
        let created = extensions::create(change, tenant.id, new).await?;
        first.get_or_insert(created.extension.id);
        phones.push(Phone {
            number: created.extension.number.to_string(),
            sip_username: created.extension.sip_username.to_string(),
            sip_password: created.sip_password,
        });
    }
    let new = NewNumber::leading(&E164::parse(DID)?, first.map(Target::extension));
    numbers::create(change, tenant.id, new).await?;
    let switch = make_switch(change).await?;
    let key = NewKey {
        name: DisplayName::parse("demo")?,
        tenant_id: None,
        expires_at: None,
        scopes: keys::all_scopes(),
        origins: Vec::new(),
    };
    let api_key = keys::create(change, key).await?.token;
    let password: String = rand::rng().sample_iter(rand::distr::Alphanumeric).take(20).map(char::from).collect();
    users::create_platform_admin(change, passwords, ADMIN, &password).await?;
    Ok(Made {
        switch,
        admin: Admin { email: ADMIN.into(), password },
        api_key,
        tenant: TenantMade { id: tenant.id, domain: tenant.domain.to_string(), context: tenant.context.to_string() },
        extensions: phones,
        did: DID.into(),
    })
}

async fn make_switch(change: &mut Change) -> anyhow::Result<SwitchLogin> {
    let name = SwitchName::parse("fs1")?;
    let made = match switches::store::by_name(change.db(), &name).await? {
        None => switches::create(change, NewSwitch::named(name)).await?,
        Some(switch) => {
            let patch = SwitchPatch { new_token: true, ..SwitchPatch::default() };
            switches::update(change, switch.id, patch, None).await?
        }
    };
    Ok(SwitchLogin { name: made.switch.name.to_string(), token: made.token.unwrap_or_default() })
}

fn keep(file: &Path, made: &Made) -> anyhow::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(&serde_json::to_vec_pretty(made)?)?;
    Ok(file.sync_all()?)
}

/// The options with which curl believes a certificate of our own, and shows one if it has to.
fn curl_trusts(certificate: Option<&Path>, shows_own: bool) -> String {
    let trusted = certificate.map(|file| format!(" --cacert {}", as_typed(&absolute(file)))).unwrap_or_default();
    if shows_own { format!("{trusted} --cert SWITCH.crt --key SWITCH.key") } else { trusted }
}

/// A path as it is typed into a shell, which would take it apart at a blank.
fn as_typed(path: &Path) -> String {
    let path = path.display().to_string();
    // Only a path with a NUL can't be quoted, and no system has one.
    shlex::try_quote(&path).map(Cow::into_owned).unwrap_or(path)
}

/// A path that also works from another folder.
fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn for_a_person(ready: &Ready<'_>, settings: &Settings) -> String {
    use std::fmt::Write as _;
    let made = ready.made;
    let (url, name, token) = (&ready.switch_url, &made.switch.name, &made.switch.token);
    let directory = absolute(&settings.data_dir);
    let mut text = String::new();
    // Writing to a String can't fail.
    let _ = write!(
        text,
        "Dialplane is ready.{since}

Phones of {domain} (SIP user, password):
{phones}
{did} from outside rings {first}.

Put this into your FreeSWITCH's autoload_configs/xml_curl.conf.xml, inside <bindings>:

{binding}{unnamed}
or use all of freeswitch-conf/ and set dialplane_url and dialplane_credentials in its site.xml.

Try a fetch as a switch does it:

  curl{switch_tls} -u {name}:{token} {url} \\
    -d 'section=directory&tag_name=domain&key_name=name&key_value={domain}&key=id&user={first}&domain={domain}'

The pages, for the platform's administrator:

  {app}/sign-in  {email}  {password}

The API, described at {app}/openapi.json:

  curl{app_tls} -H 'X-API-Key: {key}' {app}/v1/tenants/{tenant}/extensions

The command line, with this database:

  dialplane{directory} tenant list

Ctrl-C stops it. Its data is kept.
",
        since = if ready.is_first {
            ""
        } else {
            " These are the names and secrets of its first start: what was changed since is not shown."
        },
        unnamed = next::unnamed(settings),
        directory = if settings.database_url.is_some() {
            String::new()
        } else {
            format!(" --data-dir {}", as_typed(&directory))
        },
        binding = reached::binding(url, name, token, &settings.switch_checks(url)),
        switch_tls = curl_trusts(settings.switch_tls_certificate.as_deref(), settings.switch_tls_client_ca.is_some()),
        app_tls = curl_trusts(settings.app_tls_certificate.as_deref(), false),
        domain = made.tenant.domain,
        phones = made
            .extensions
            .iter()
            .fold(String::new(), |text, phone| format!("{text}  {}  {}\n", phone.sip_username, phone.sip_password)),
        did = made.did,
        first = made.extensions.first().map_or("", |phone| phone.sip_username.as_str()),
        app = ready.app_url,
        email = made.admin.email,
        password = made.admin.password,
        key = made.api_key,
        tenant = made.tenant.id,
    );
    text
}
