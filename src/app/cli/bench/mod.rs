//! `bench`: makes the load of many switches and measures it. Every request has its own TCP connection, as with mod_xml_curl;
//! the bodies were recorded from a FreeSWITCH.

mod keys;
mod load;
mod report;
mod request;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use uuid::Uuid;

use self::{keys::Keys, report::Cpu, request::Requests};

#[derive(Args)]
pub struct BenchArgs {
    /// The URL to fetch from
    #[arg(long, default_value = "http://127.0.0.1:8080/fs/xml")]
    url: String,
    /// A switch's NAME:TOKEN
    #[arg(long, env = "DIALPLANE_BENCH_CREDENTIALS", hide_env_values = true, default_value = "none:none")]
    credentials: String,
    #[arg(long, value_enum, default_value_t = Kind::Register)]
    kind: Kind,
    /// The tenants' domain; `%d` is replaced by the tenant's number
    #[arg(long, default_value = "acme.test")]
    domain: String,
    /// How many tenants
    #[arg(long, default_value_t = 1)]
    domains: u32,
    /// How many users per tenant, from --first-user on
    #[arg(long, default_value_t = 2)]
    users: u32,
    #[arg(long, default_value_t = 1000)]
    first_user: u32,
    /// The order of requests; `random` asks for every user once before it repeats one
    #[arg(long, value_enum, default_value_t = Order::Sequential)]
    order: Order,
    /// How many connections at once
    #[arg(long, default_value_t = 32)]
    connections: u32,
    /// How many threads make the load
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// How many seconds to measure, unless --requests is given
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Stop after this many requests
    #[arg(long)]
    requests: Option<u64>,
    /// How many seconds to run before measuring
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// Text that every answer must contain [default: what each answer of the kind has]
    #[arg(long)]
    expect: Option<String>,
    /// The id of the tenant whose calls the records are about
    #[arg(long, default_value_t = Uuid::nil())]
    tenant: Uuid,
    /// Processes whose CPU time is counted as the server's
    #[arg(long, value_delimiter = ',')]
    server_pid: Vec<u32>,
    /// Allow loading another machine than this one; it must be yours
    #[arg(long)]
    i_own_this_host: bool,
}

/// What to ask.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// REGISTER with credentials
    Register,
    /// The user of `bridge user/…`
    UserCall,
    /// A call that enters the dialplan, 6 kB
    Dialplan,
    /// The same, with only the fields that freeswitch-conf sends
    DialplanTrimmed,
    /// The record of a leg, 12 kB, each of another one; for a URL that ends with /fs/cdr
    CallRecord,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    Sequential,
    Random,
}

/// What a load needs to know.
struct LoadPlan {
    target: SocketAddr,
    requests: Requests,
    keys: Keys,
    expect: String,
    stop: AtomicBool,
}

pub async fn run(json: bool, args: BenchArgs) -> anyhow::Result<()> {
    let (target, path) = target(&args.url)?;
    if !target.ip().is_loopback() && !args.i_own_this_host {
        anyhow::bail!("{target} is another machine: add --i-own-this-host if it is yours to load");
    }
    let requests = Requests::new(args.kind, target, &path, &args.credentials, &args.domain, args.tenant);
    // A record is answered with nothing.
    let usual = if args.kind == Kind::CallRecord { "" } else { "type=\"freeswitch/xml\"" };
    let keys = Keys::new(args.domains, args.users, args.first_user, args.order == Order::Random);
    let plan = Arc::new(LoadPlan {
        target,
        requests,
        keys,
        expect: args.expect.unwrap_or_else(|| usual.to_owned()),
        stop: AtomicBool::new(false),
    });
    if args.warmup > 0.0 && args.requests.is_none() {
        measure(&plan, args.threads, args.connections, Duration::from_secs_f64(args.warmup), None).await?;
    }
    let before = Cpu::read(&args.server_pid);
    // A given number of requests may take as long as it needs.
    let seconds = if args.requests.is_some() { 3600.0 } else { args.seconds };
    let limit = Duration::from_secs_f64(seconds);
    let (outcome, elapsed) = measure(&plan, args.threads, args.connections, limit, args.requests).await?;
    report::print(json, &outcome, elapsed, &before, &Cpu::read(&args.server_pid))
}

/// Runs the load until the time or the requests are used up, or Ctrl-C is pressed.
async fn measure(
    plan: &Arc<LoadPlan>,
    threads: u32,
    connections: u32,
    limit: Duration,
    requests: Option<u64>,
) -> anyhow::Result<(load::Outcome, Duration)> {
    plan.stop.store(false, Ordering::Relaxed);
    plan.keys.restart(requests);
    let running = load::start(plan, threads, connections);
    let progress = report::progress(limit, requests);
    let began = std::time::Instant::now();
    while began.elapsed() < limit && !running.is_finished() {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("can't wait for Ctrl-C")?;
                break;
            }
        }
        report::advance(&progress, began.elapsed(), plan.keys.asked());
    }
    plan.stop.store(true, Ordering::Relaxed);
    let outcome = tokio::task::spawn_blocking(move || running.join()).await??;
    let elapsed = began.elapsed();
    progress.finish_and_clear();
    Ok((outcome, elapsed))
}

fn target(url: &str) -> anyhow::Result<(SocketAddr, String)> {
    use std::net::ToSocketAddrs as _;
    let rest = url.strip_prefix("http://").context("the URL must begin with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let target = host.to_socket_addrs().ok().and_then(|mut found| found.next());
    Ok((target.with_context(|| format!("{host} is not an address"))?, format!("/{path}")))
}
