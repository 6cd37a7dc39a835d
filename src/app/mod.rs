//! The top group: the application as a value that is built from settings and a database; its router and pages, its command line, the API's
//! description, and the jobs of a whole node (retention, monitoring, backups). No rule of a subject lives here: handlers and commands ask the
//! groups below, and nothing imports this group.

mod backlog_store;
pub mod backup;
pub mod cli;
mod collisions;
mod contract;
mod cors;
pub mod embedded;
mod inside;
pub mod jobs;
mod limits;
mod metrics_token;
mod monitoring;
mod process;
mod reached;
pub mod renewal;
pub mod retention;
mod router;
mod scrape;
pub mod service;
pub mod settings;
mod statements;
mod status;
pub mod telemetry;
mod timing;
mod tls;
pub mod traces;
pub mod web;

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    HttpServer,
    dev::{ServerHandle, Service as _},
    middleware::from_fn,
    web::Data,
};
use arc_swap::ArcSwap;
use tokio::{sync::watch, task::JoinHandle};

use self::{
    metrics_token::MetricsToken,
    renewal::{InForce, Renewal, Source, note_expiry},
    service::Sockets,
    settings::Settings,
    status::Health,
    tls::{Files, Swapped, TlsError},
};
use crate::{
    http::{left, pressed, turns::Turns},
    node::{
        changes::Changes,
        database::{self, DatabaseError, Pools},
        disk::Disk,
        epoch_store, fitness,
        poller::{Memory, Poller},
        schema::{self, Step},
        seals,
        servers::{Servers, Session},
    },
    switch::{
        agents, call_backs,
        control::Control,
        fetch::{
            Fetch,
            listener::{Listener, Place},
            readers::Readers,
            served::Served,
        },
        link,
        live::{self, Live},
        messages as chat, sandbox, voicemail,
    },
    telephony::{
        calls, carriers, erasures, history,
        recordings::{self, arrival::Arrivals},
    },
    tenancy::{
        Api,
        auth::{Auth, access::Signer, password::Passwords, remembered::Remembered, standing},
        mail::deliver::{Deliverer, MailError, Outlet},
        webhooks::{self, deliver::WebhooksUnsent},
    },
};

/// How long a stopping node waits for the database when it signs off.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long the database may be away while a node starts.
const PATIENCE: Duration = Duration::from_secs(10);

/// One running node.
pub struct App {
    pub switch_address: SocketAddr,
    pub app_address: SocketAddr,
    pub changes: Changes,
    pub auth: Auth,
    pub fetch: Arc<Fetch>,
    pub renewal: Arc<Renewal>,
    poller: Arc<Poller>,
    pools: Pools,
    listener: Listener,
    stop: watch::Sender<bool>,
    server: ServerHandle,
    bus: Arc<live::events::Bus>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{what} can't listen on {address}: {source}")]
    Listen { what: &'static str, address: SocketAddr, source: io::Error },
    #[error(
        "another process listens on the switch address {0}: stop it, or give this node another with --switch-listen. A node that is to \
         share the address is started with share_switch_address = true"
    )]
    SwitchAddressInUse(SocketAddr),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("the database can't be used: {0}")]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error("webhooks can't be sent: {0}")]
    Webhooks(WebhooksUnsent),
    #[error(transparent)]
    Changes(#[from] crate::model::error::Error),
    #[error("TLS of {whom}: {source}")]
    Tls { whom: &'static str, source: TlsError },
    #[error("recordings can't be kept: {0}")]
    Vault(io::Error),
    #[error("{}: {source}", path.display())]
    MetricsToken { path: PathBuf, source: io::Error },
}

/// Finds the server, checks it, and brings the tables up to date.
async fn prepare(servers: &Servers) -> Result<(), DatabaseError> {
    let found = servers.choose().await;
    drop(found.map_err(|source| DatabaseError::Server { names: servers.names(), source })?);
    fitness::check_pooler(servers).await?;
    schema::migrate(&servers.options(), log_step).await?;
    Ok(())
}

/// Waits until the database is complete. A node that starts during a restore must write nothing, nor make a key file.
async fn await_restore(servers: &Servers) -> sqlx::Result<()> {
    let mut db = servers.connect(&Session::default()).await?;
    let mut was_told = false;
    while !epoch_store::is_whole(&mut db).await? {
        if !std::mem::replace(&mut was_told, true) {
            tracing::warn!("{}. This node waits for that", DatabaseError::NotWhole);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}

impl App {
    /// Starts a node. When this returns, it is in step with the database and listens.
    pub async fn start(settings: &Settings, servers: impl Into<Servers>) -> Result<Self, StartError> {
        Self::start_on(Sockets::default(), settings, None, servers.into()).await
    }

    /// The same on sockets that already listen. Missing ones are bound as the settings say. `source`: how the settings are
    /// read again.
    pub async fn start_on(
        sockets: Sockets,
        settings: &Settings,
        source: Option<Source>,
        servers: Servers,
    ) -> Result<Self, StartError> {
        let of = |whom| move |source| StartError::Tls { whom, source };
        let switch_tls = Files::of_switches(settings).and_then(|files| files.map(|files| files.load()).transpose());
        let switch_tls = switch_tls.map_err(of("the switch listener"))?;
        let app_tls = Files::of_people(settings).and_then(|files| files.map(|files| files.load()).transpose());
        let app_tls = app_tls.map_err(of("the app listener"))?;
        let outlet = Arc::new(ArcSwap::from_pointee(Outlet::new(&settings.mail_from, &settings.smtp)?));
        let token = Arc::new(ArcSwap::from_pointee(MetricsToken::open(&settings.metrics_token_file())?));
        let calls_at_once = u32::try_from(settings.fill_connections).unwrap_or(u32::MAX);
        let needed = database::connections_needed(settings.api_connections, calls_at_once);
        let since = Instant::now();
        // A Postgres that is just being stopped or started may answer once and then not: it is asked again.
        while let Err(error) = prepare(&servers).await {
            if !error.may_pass() || since.elapsed() > PATIENCE {
                return Err(error.into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        await_restore(&servers).await?;
        let pools = Pools::open(&servers, settings.api_connections, calls_at_once);
        let keyring = database::recognise(&mut *pools.work.acquire().await?, &settings.key_file()).await?;
        let keyring = Arc::new(keyring);
        let counters = telemetry::counters();
        process::note_start();
        let readers = Readers::new(servers.clone(), settings.fill_connections, settings.fill_timeout());
        let fetch = Arc::new(Fetch::new(readers, pools.calls.clone(), Arc::clone(&keyring), &settings.limits()));
        let memory = Arc::clone(&fetch) as Arc<dyn Memory>;
        let mut looking = servers.connect(&Session::default()).await?;
        fitness::check_connections(&mut looking, fetch.node, needed).await.map_err(DatabaseError::from)?;
        drop(looking);
        let poller = Poller::new(fetch.node, Arc::clone(&fetch.generations), memory, servers, pools.watch.clone());
        let mut tasks = vec![tokio::spawn(Arc::clone(&poller).run()), tokio::spawn(Arc::clone(&poller).listen())];
        poller.ready().await;
        tasks.push(tokio::spawn(seals::watch(pools.work.clone(), Arc::clone(&keyring), fetch.node)));
        let changes = Changes::new(pools.api.clone(), Some(Arc::clone(&poller)), Arc::clone(&keyring));
        let by_the_clock = Changes::new(pools.work.clone(), Some(Arc::clone(&poller)), Arc::clone(&keyring));
        tasks.push(tokio::spawn(jobs::run(by_the_clock.clone())));
        tasks.push(tokio::spawn(erasures::work::run(by_the_clock.clone())));
        let mails = settings.data_dir.join("mail");
        tasks.push(tokio::spawn(retention::run(pools.work.clone(), settings.retention(), mails)));
        tasks.push(tokio::spawn(jobs::probe_carriers(by_the_clock.clone())));
        tasks.push(tokio::spawn(carriers::hosts::watch(pools.work.clone())));
        let (live, noted) = Live::new(Arc::clone(&fetch.generations), Arc::clone(&fetch.phones));
        let live = Arc::new(live);
        tasks.push(tokio::spawn(live::publish::Publisher::new(Arc::clone(&live), pools.work.clone()).run(noted)));
        tasks.push(tokio::spawn(Arc::clone(&live.access).watch(pools.work.clone())));
        let (bus, told) = (Arc::clone(&live.bus), Arc::clone(&live));
        tasks.push(tokio::spawn(live::listen::begin(Arc::clone(&live), by_the_clock.clone()).await));
        tasks.push(tokio::spawn(agents::keep::run(Arc::clone(&live), by_the_clock.clone())));
        tasks.push(tokio::spawn(call_backs::keep::run(Arc::clone(&live), by_the_clock.clone())));
        tasks.push(tokio::spawn(chat::tell::run(Arc::clone(&live), pools.work.clone())));
        tasks.push(tokio::spawn(link::visit::watch(by_the_clock, Arc::clone(&live))));
        let links = Arc::new(link::states::LinkStates::default());
        tasks.push(tokio::spawn(Arc::clone(&links).watch(pools.work.clone())));
        let backlogs = Arc::new(scrape::Backlogs::default());
        tasks.push(tokio::spawn(Arc::clone(&backlogs).watch(pools.work.clone())));
        let folder = settings.data_dir.join("mail");
        let deliverer = Deliverer::new(pools.work.clone(), Arc::clone(&keyring), Arc::clone(&outlet), folder);
        tasks.push(tokio::spawn(deliverer.run()));
        // A second one is refused: the command line, or another node of this process, has set it already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let to_private = settings.webhooks_to_private_addresses;
        let webhooks = webhooks::deliver::Deliverer::new(pools.work.clone(), Arc::clone(&keyring), to_private)
            .map_err(StartError::Webhooks)?;
        tasks.push(tokio::spawn(webhooks.run()));
        tasks.push(tokio::spawn(live::outbox::run(told, pools.work.clone())));
        let signer = Arc::new(Signer::open(&pools.work, &keyring).await?);
        let (maintained, keys) = ((Arc::clone(&signer), pools.work.clone()), Arc::clone(&keyring));
        tasks.push(tokio::spawn(async move { maintained.0.maintain(&maintained.1, &keys).await }));
        let disk = Arc::new(Disk::default());
        tasks.push(tokio::spawn(Arc::clone(&disk).watch(pools.work.clone())));
        let remembered = Arc::<Remembered>::default();
        tasks.push(tokio::spawn(standing::confirm(Arc::clone(&remembered), pools.work.clone())));
        let auth =
            Auth { passwords: Passwords::default(), signer, remembered, public_url: settings.public_url().into() };

        let (stop, stopped) = watch::channel(false);
        let inbox = calls::inbox::Inbox::new(pools.calls.clone());
        tasks.push(tokio::spawn(history::worker::run(pools.work.clone(), Arc::clone(&inbox.has_legs))));
        let has_legs = Arc::clone(&inbox.has_legs);
        tasks.push(tokio::spawn(sandbox::player::run(Arc::clone(&live), pools.work.clone(), has_legs)));
        let vault = settings.vault().map_err(StartError::Vault)?;
        tasks.push(tokio::spawn(recordings::work::run(pools.work.clone(), vault.clone())));
        let recordings = Arrivals::new(pools.work.clone(), vault.clone(), Arc::clone(&keyring));
        let messages = voicemail::arrival::Messages::new(pools.work.clone(), vault.clone(), Arc::clone(&keyring));
        let control = Arc::new(Control::default());
        let asks = (Arc::clone(&control), Arc::clone(&live), changes.clone(), pools.work.clone(), vault.clone());
        tasks.push(tokio::spawn(voicemail::work::run(asks.0, asks.1, asks.2, asks.3, asks.4)));
        let served = Served { fetch: Arc::clone(&fetch), calls: inbox, recordings, messages };
        let tls = switch_tls.as_ref().map(|loaded| {
            note_expiry("switch", loaded);
            Arc::new(ArcSwap::new(Arc::clone(&loaded.config)))
        });
        let app_tls = app_tls.as_ref().map(|loaded| {
            note_expiry("app", loaded);
            Swapped::new(loaded)
        });
        let proxies = Arc::new(ArcSwap::from_pointee(settings.trusted_proxies.clone()));
        let metrics_from = Arc::new(ArcSwap::from_pointee(settings.metrics_from.clone()));
        let in_force = InForce {
            switch_tls: tls.clone(),
            app_tls: app_tls.clone(),
            outlet,
            token: Arc::clone(&token),
            proxies: Arc::clone(&proxies),
            metrics_from: Arc::clone(&metrics_from),
            fetch: Arc::clone(&fetch),
            keyring: Arc::clone(&keyring),
        };
        let renewal = Renewal::new(settings, source, in_force);
        tasks.push(tokio::spawn(Arc::clone(&renewal).run()));
        let place = match sockets.switch {
            Some(socket) => Place::Socket(socket),
            None if settings.share_switch_address => Place::Shared(settings.switch_listen),
            None => Place::Address(settings.switch_listen),
        };
        let listener =
            Listener::start(place, settings.workers(), tls.as_ref(), &served, &stopped).map_err(|source| {
                let address = settings.switch_listen;
                match source.kind() {
                    io::ErrorKind::AddrInUse => StartError::SwitchAddressInUse(address),
                    _ => StartError::Listen { what: "the switch listener", address, source },
                }
            })?;

        let switch_url = settings.switch_url(listener.address);
        let state = (
            Data::new(Api {
                changes: changes.clone(),
                auth: auth.clone(),
                switch_checks: settings.switch_checks(&switch_url).into(),
                switch_url_is_missing: settings.switch_url_is_missing(),
                switch_url: switch_url.into(),
                proxies,
                turns: Turns::new(settings.api_connections),
                retention: settings.retention(),
            }),
            Data::new(Health { fetch: Arc::clone(&fetch), disk, renewal: Arc::clone(&renewal) }),
            Data::new(status::Counters {
                handle: counters,
                token,
                from: metrics_from,
                pools: pools.clone(),
                links,
                backlogs,
            }),
            Data::new(timing::Timing::default()),
            Data::from(live),
            Data::from(control),
            Data::new(vault),
        );
        contract::prepare();
        let generations = Arc::clone(&fetch.generations);
        let reaches: Arc<dyn Fn() -> bool + Send + Sync> = Arc::new(move || generations.reaches_the_database());
        let server = HttpServer::new(move || {
            let api = state.0.clone();
            let own = inside::OfNode {
                health: state.1.clone(),
                counters: state.2.clone(),
                timing: state.3.clone(),
                live: state.4.clone(),
                control: state.5.clone(),
            };
            let reaches = Arc::clone(&reaches);
            actix_web::App::new()
                .data_factory(move || inside::Inside::open(api.clone(), Some(own.clone())))
                .app_data(state.0.clone())
                .app_data(state.1.clone())
                .app_data(state.2.clone())
                .app_data(state.3.clone())
                .app_data(state.4.clone())
                .app_data(state.5.clone())
                .app_data(state.6.clone())
                .configure(router::api)
                .configure(router::error_handlers)
                .configure(router::status)
                .service(contract::openapi_json)
                .service(contract::docs)
                .configure(web::pages)
                .default_service(actix_web::web::to(contract::nothing))
                .wrap(collisions::Again)
                .wrap_fn(move |request, routes| pressed::within(Arc::clone(&reaches), routes.call(request)))
                .wrap_fn(|request, routes| {
                    let work = left::within(routes.call(request));
                    async move {
                        let (answer, noted) = work.await;
                        answer.map(|mut answer| {
                            left::tell(answer.headers_mut(), &noted);
                            answer
                        })
                    }
                })
                .wrap(from_fn(contract::known))
                .wrap(from_fn(router::large_bodies))
                .wrap(from_fn(cors::pages_of_others))
                .wrap(from_fn(status::notice_refusals))
                .wrap(from_fn(limits::bodies))
                // Outside of all that refuses something, so that a person never gets an answer for machines.
                .wrap(from_fn(web::as_pages))
                .wrap(router::default_headers())
                .wrap(from_fn(telemetry::name_requests))
                .wrap(from_fn(timing::requests))
                .wrap(tracing_actix_web::TracingLogger::<telemetry::Requests>::new())
        })
        .workers(2)
        .on_connect(limits::on_connect)
        .client_request_timeout(limits::HEAD)
        .client_disconnect_timeout(limits::CLOSE)
        .max_connections(limits::MOST_CONNECTIONS)
        // If the client closes the connection, the work for it is dropped together with its transaction.
        .h1_allow_half_closed(false)
        .disable_signals()
        .shutdown_timeout(5);
        let server = match (sockets.app, app_tls) {
            (Some(socket), None) => server.listen(socket),
            (None, None) => server.bind(settings.app_listen),
            (Some(socket), Some(tls)) => server.listen_rustls_0_23(socket, tls.config()),
            (None, Some(tls)) => server.bind_rustls_0_23(settings.app_listen, tls.config()),
        };
        let server = server.map_err(|source| StartError::Listen {
            what: "the app listener",
            address: settings.app_listen,
            source,
        })?;
        let app_address = server.addrs().first().copied().unwrap_or(settings.app_listen);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Ok(Self {
            switch_address: listener.address,
            app_address,
            changes,
            auth,
            fetch,
            renewal,
            poller,
            pools,
            listener,
            stop,
            server: handle,
            bus,
            tasks,
        })
    }

    /// Whether all threads that serve switches still run.
    #[must_use]
    pub fn serves_switches(&self) -> bool {
        self.listener.is_running()
    }

    /// Tells balancers to leave this node out. It keeps serving until it stops.
    pub fn leave_soon(&self) {
        self.fetch.leave_soon();
    }

    /// Stops listening, lets what is under way end, and signs the node off.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.bus.close();
        self.server.stop(true).await;
        for task in self.tasks {
            task.abort();
        }
        let listener = self.listener;
        let _ = tokio::task::spawn_blocking(move || listener.join()).await;
        let left = tokio::time::timeout(GOODBYE, self.poller.leave()).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::debug!("the node could not sign off; its lease will run out");
        }
        // Not longer: if the database is gone, this would wait in vain.
        let _ = tokio::time::timeout(GOODBYE, self.pools.close()).await;
    }
}

/// Logs the steps of a migration, since it may take a while.
fn log_step(step: Step<'_>) {
    match step {
        Step::Queued => tracing::info!("another node is bringing the tables up to date: waiting for it"),
        Step::Applies { version, name, at, total } => {
            tracing::info!(version, name, at, total, "bringing the tables up to date");
        }
        Step::Locked { version } => {
            tracing::warn!(
                version,
                "a long transaction holds a lock on a table that a migration changes: trying again"
            );
        }
        Step::Newer { found, own } => {
            tracing::warn!(
                found,
                own,
                "the tables are newer than this program, which works with them: upgrade this node soon"
            );
        }
    }
}
