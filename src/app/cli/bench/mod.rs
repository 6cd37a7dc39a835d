//! `bench`: the load that switches make, measured. Every request is a TCP connection of its own, as mod_xml_curl's are; the
//! bodies are those a FreeSWITCH sent.

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

use self::{keys::Keys, report::Cpu, request::Requests};

#[derive(Args)]
pub struct BenchArgs {
    /// What to ask
    #[arg(long, default_value = "http://127.0.0.1:8080/fs/xml")]
    url: String,
    /// A switch's NAME:TOKEN
    #[arg(long, env = "DIALPLANE_BENCH_CREDENTIALS", hide_env_values = true, default_value = "none:none")]
    credentials: String,
    #[arg(long, value_enum, default_value_t = Kind::Register)]
    kind: Kind,
    /// The tenants' domains; `%d` stands for the tenant's number
    #[arg(long, default_value = "acme.test")]
    domain: String,
    /// How many tenants
    #[arg(long, default_value_t = 1)]
    domains: u32,
    /// How many users of each, from --first-user on
    #[arg(long, default_value_t = 2)]
    users: u32,
    #[arg(long, default_value_t = 1000)]
    first_user: u32,
    /// In which order keys are asked; `random` asks each once before any is asked again
    #[arg(long, value_enum, default_value_t = Order::Sequential)]
    order: Order,
    /// Connections at once
    #[arg(long, default_value_t = 32)]
    connections: u32,
    /// Threads of the load
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// Seconds to measure, if --requests does not end it
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Stop after so many requests
    #[arg(long)]
    requests: Option<u64>,
    /// Seconds to run before measuring
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// What every answer must hold
    #[arg(long, default_value = "type=\"freeswitch/xml\"")]
    expect: String,
    /// Processes whose CPU time is counted as the server's
    #[arg(long, value_delimiter = ',')]
    server_pid: Vec<u32>,
    /// Load another machine than this one, which must be yours
    #[arg(long)]
    i_own_this_host: bool,
}

/// Which question of a switch.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// REGISTER with credentials
    Register,
    /// `bridge user/…`
    UserCall,
    /// A call enters the dialplan: 6 kB
    Dialplan,
    /// The same with the fields that freeswitch-conf sends
    DialplanTrimmed,
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
    let requests = Requests::new(args.kind, target, &path, &args.credentials, &args.domain);
    let keys = Keys::new(args.domains, args.users, args.first_user, args.order == Order::Random);
    let plan = Arc::new(LoadPlan { target, requests, keys, expect: args.expect, stop: AtomicBool::new(false) });
    if args.warmup > 0.0 && args.requests.is_none() {
        measure(&plan, args.threads, args.connections, Duration::from_secs_f64(args.warmup), None).await?;
    }
    let before = Cpu::read(&args.server_pid);
    // A number of requests takes as long as it takes.
    let seconds = if args.requests.is_some() { 3600.0 } else { args.seconds };
    let limit = Duration::from_secs_f64(seconds);
    let (outcome, elapsed) = measure(&plan, args.threads, args.connections, limit, args.requests).await?;
    report::print(json, &outcome, elapsed, &before, &Cpu::read(&args.server_pid))
}

/// Runs the load until time or number is up, or Ctrl-C says so.
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
                interrupted.context("Ctrl-C can't be waited for")?;
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
    Ok((target.with_context(|| format!("{host} is no address"))?, format!("/{path}")))
}
