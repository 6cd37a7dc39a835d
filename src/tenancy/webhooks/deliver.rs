//! Delivers events to webhooks: at least once, with pauses that grow for three days.
//!
//! Every node does this, and each endpoint has its own few requests at a time: one that is slow delays only itself.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::Utc;
use metrics::counter;
use sqlx::PgPool;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    place,
    sign::Secret,
    store::{self, Came, Due},
    target::{self, PublicOnly},
};
use crate::text::keyring::Keyring;

/// How often due deliveries are looked for, if none ends meanwhile.
const EVERY: Duration = Duration::from_millis(500);
/// How long an endpoint may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most requests of an endpoint at a time, those of a tenant that leave room for one more reading, and all of this node.
const EACH: usize = 8;
const OF_TENANT: usize = 32;
const MOST: usize = 256;
/// The part of what is free that a tenant may have. The more tenants have endpoints that hang, the less each of them gets, and some places
/// stay free for others: a sixth of all beside eight such tenants.
const SHARE: usize = 4;
/// How much of an answer is kept, in bytes.
const KEPT: usize = 4 << 10;
/// Seconds until the next attempt after the first, second, … that failed. About three days in all.
const PAUSES: [i32; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// How events leave this node.
pub struct Deliverer {
    pool: PgPool,
    keyring: Arc<Keyring>,
    client: reqwest::Client,
    private_allowed: bool,
    busy: Mutex<Busy>,
    under_way: AtomicUsize,
    ended: Notify,
}

/// How many requests are under way: of each endpoint and of each tenant.
#[derive(Default)]
struct Busy {
    endpoints: HashMap<Uuid, usize>,
    tenants: HashMap<Uuid, usize>,
}

fn above(counts: &HashMap<Uuid, usize>, limit: usize) -> Vec<Uuid> {
    counts.iter().filter(|(_, count)| **count > limit).map(|(id, _)| *id).collect()
}

fn count_down(counts: &mut HashMap<Uuid, usize>, id: Uuid) {
    if let Some(count) = counts.get_mut(&id) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&id);
        }
    }
}

/// Why nothing can be sent at all.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct WebhooksUnsent(#[from] reqwest::Error);

/// Why an attempt failed.
struct Failure {
    status: Option<u16>,
    why: String,
    answer: Option<String>,
}

impl Deliverer {
    /// `private_allowed`: whether endpoints may be at private addresses.
    pub fn new(pool: PgPool, keyring: Arc<Keyring>, private_allowed: bool) -> Result<Self, WebhooksUnsent> {
        let client = client(PublicOnly::new(private_allowed))?;
        let (busy, under_way, ended) = (Mutex::default(), AtomicUsize::new(0), Notify::new());
        Ok(Self { pool, keyring, client, private_allowed, busy, under_way, ended })
    }

    /// Runs forever.
    pub async fn run(self) {
        let this = Arc::new(self);
        loop {
            this.begin().await;
            tokio::select! {
                () = this.ended.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Begins the attempts that are due.
    async fn begin(self: &Arc<Self>) {
        loop {
            let free = MOST.saturating_sub(self.under_way.load(Ordering::Acquire));
            if free == 0 {
                return;
            }
            let share = share(free);
            let (busy, full) = {
                let all = self.busy();
                (above(&all.endpoints, EACH / 2), above(&all.tenants, share - 1))
            };
            // Half of them at a time, so that one request that hangs leaves room for others. And no more than a share, which may all be
            // one tenant's: the next reading leaves that tenant out.
            let [each, most] = [EACH / 2, share].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
            let due = match store::take(&self.pool, &busy, &full, each, most).await {
                Ok(due) => due,
                Err(error) => return tracing::debug!(%error, "the outbox of webhooks can't be read"),
            };
            let has_more = due.len() >= share;
            self.attempt_all(due);
            if !has_more {
                return;
            }
        }
    }

    fn attempt_all(self: &Arc<Self>, due: Vec<Due>) {
        for due in due {
            {
                let mut all = self.busy();
                *all.endpoints.entry(due.webhook).or_default() += 1;
                if let Some(tenant) = due.tenant {
                    *all.tenants.entry(tenant).or_default() += 1;
                }
            }
            self.under_way.fetch_add(1, Ordering::AcqRel);
            let this = Arc::clone(self);
            tokio::spawn(async move {
                this.attempt(&due).await;
                this.end(&due);
            });
        }
    }

    fn busy(&self) -> std::sync::MutexGuard<'_, Busy> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, due: &Due) {
        let mut all = self.busy();
        count_down(&mut all.endpoints, due.webhook);
        if let Some(tenant) = due.tenant {
            count_down(&mut all.tenants, tenant);
        }
        drop(all);
        self.under_way.fetch_sub(1, Ordering::AcqRel);
        self.ended.notify_one();
    }

    async fn attempt(&self, due: &Due) {
        let began = Instant::now();
        let sent = self.send(due).await;
        let ms = i32::try_from(began.elapsed().as_millis()).unwrap_or(i32::MAX);
        let saved = async {
            let mut db = self.pool.acquire().await?;
            match &sent {
                Ok((status, answer)) => {
                    counter!("dialplane_webhooks_total", "outcome" => "delivered").increment(1);
                    let came = Came { status: Some((*status).into()), error: None, answer: Some(answer), ms };
                    store::delivered(&mut db, due, &came).await
                }
                Err(failure) => {
                    let is_gone = failure.status == Some(410);
                    let again = if is_gone { None } else { pause(due.attempts) };
                    let outcome = if again.is_some() { "delayed" } else { "failed" };
                    counter!("dialplane_webhooks_total", "outcome" => outcome).increment(1);
                    let came = Came {
                        status: failure.status.map(Into::into),
                        error: Some(&failure.why),
                        answer: failure.answer.as_deref(),
                        ms,
                    };
                    store::not_delivered(&mut db, due, &came, again, is_gone).await
                }
            }
        };
        if let Err(error) = saved.await {
            tracing::warn!(webhook = %due.webhook, event = %due.event, %error, "what came of a webhook could not be saved");
        }
    }

    /// Sends the event once. `Ok` is an answer of 2xx.
    async fn send(&self, due: &Due) -> Result<(u16, String), Failure> {
        let failed = |why: String| Failure { status: None, why, answer: None };
        let open = |sealed: &[u8]| self.keyring.open_sealed(place(due.webhook), sealed);
        let secret = open(&due.secret).map_err(|error| failed(error.to_string()))?;
        let previous = due.previous_secret.as_deref().and_then(|sealed| open(sealed).ok());
        let url = target::allowed(&due.url, self.private_allowed).map_err(|error| failed(error.to_string()))?;
        let (id, timestamp) = (due.event.to_string(), Utc::now().timestamp());
        let signatures = std::iter::once(secret)
            .chain(previous)
            .map(|secret| Secret::of(&secret).sign(&id, timestamp, &due.body))
            .collect::<Vec<_>>();
        let request = self
            .client
            .post(url)
            .header("Content-Type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures.join(" "))
            .body(due.body.clone());
        let mut answer = request.send().await.map_err(|error| failed(told(&error)))?;
        let status = answer.status();
        let mut kept = Vec::new();
        while kept.len() < KEPT
            && let Ok(Some(part)) = answer.chunk().await
        {
            kept.extend_from_slice(&part[..part.len().min(KEPT - kept.len())]);
        }
        // Postgres keeps no NUL in a text.
        let text = String::from_utf8_lossy(&kept).replace('\0', "\u{fffd}");
        if status.is_success() {
            return Ok((status.as_u16(), text));
        }
        let why = if status.is_redirection() {
            "it answered with a redirect, which is not followed".to_owned()
        } else {
            format!("it answered {}", status.as_u16())
        };
        Err(Failure { status: Some(status.as_u16()), why, answer: Some(text) })
    }
}

fn client(resolver: PublicOnly) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .user_agent(concat!("Dialplane/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .dns_resolver(Arc::new(resolver))
        .no_proxy()
        .timeout(PATIENCE)
        .pool_idle_timeout(Duration::from_secs(30))
        .build()
}

/// How many requests a tenant may have while so many places are free. At least one, so that nobody is left out while one is.
fn share(free: usize) -> usize {
    (free / SHARE).clamp(1, OF_TENANT)
}

/// Why there was no answer, without the URL: it may hold a secret.
fn told(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let what = if error.is_timeout() { "it did not answer in time".to_owned() } else { cause.to_string() };
    what.chars().take(300).collect()
}

/// Seconds until the next attempt, a tenth more or less; `None`: no more.
fn pause(attempts: i32) -> Option<i32> {
    let pause = *PAUSES.get(usize::try_from(attempts.saturating_sub(1)).ok()?)?;
    let tenth = (pause / 10).max(1);
    Some(pause + rand::random_range(-tenth..=tenth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stay_free_although_many_tenants_have_endpoints_that_hang() {
        for tenants in [1, 8, 16] {
            let mut under_way = vec![0; tenants];
            let free = |under_way: &[usize]| MOST - under_way.iter().sum::<usize>();
            // Each reading is all of one tenant's, as long as it may have more.
            while let Some(tenant) = (0..tenants).find(|tenant| under_way[*tenant] < share(free(&under_way))) {
                under_way[tenant] += share(free(&under_way));
            }
            let left = free(&under_way);
            assert!(left > 0 && share(left) > 0, "{tenants} tenants leave {left}");
            assert!(tenants != 8 || left > 40, "{left}");
        }
    }

    #[tokio::test]
    async fn a_name_that_has_another_address_the_second_time_leads_nowhere_inside() {
        // Only the first one is taken.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Nobody has this address: it is of the network that tried out IPv6, and was given back.
        let outside = std::net::SocketAddr::from((std::net::Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 1), 0));
        let inside = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let resolver = move |private_allowed| {
            let counted = Arc::clone(&counted);
            PublicOnly::asking(private_allowed, move |_| {
                let is_first = counted.fetch_add(1, Ordering::AcqRel) == 0;
                Ok(if is_first { vec![inside, outside] } else { vec![inside] })
            })
        };
        let url = format!("http://rebinds.test:{port}/");
        let sent = async |private_allowed: bool| {
            let client = client(resolver(private_allowed)).unwrap();
            let one = async || told(&client.post(&url).timeout(Duration::from_secs(1)).send().await.unwrap_err());
            [one().await, one().await]
        };
        let errors = tokio::select! {
            _ = listener.accept() => panic!("somebody came to where nothing may be sent"),
            errors = sent(false) => errors,
        };
        assert_eq!(errors[1], target::Forbidden::NotPublic.to_string());
        assert_ne!(errors[0], errors[1], "the first answer had an address to connect to");
        assert_eq!(asked.load(Ordering::Acquire), 2, "a request asks once, and goes to what was checked");
        // The same answers lead to the listener where that is allowed.
        tokio::select! {
            came = listener.accept() => drop(came.unwrap()),
            errors = sent(true) => panic!("nobody came: {errors:?}"),
        }
    }

    #[test]
    fn pauses_grow_for_three_days_and_then_it_is_given_up() {
        let all = (1..).map_while(pause).collect::<Vec<_>>();
        assert_eq!(all.len(), PAUSES.len());
        assert!(all.is_sorted(), "{all:?}");
        let days = f64::from(all.iter().sum::<i32>()) / 86_400.0;
        assert!((2.8..3.6).contains(&days), "{days}");
        assert!(all[0] <= 6);
    }
}
