//! `bench-data`: many tenants with many extensions, for measurements.

use clap::Args;
use uuid::Uuid;

use super::{
    local::{Local, author},
    progress,
};
use crate::{
    app::settings::Settings,
    node::changes::Change,
    people::onboarding::{self, NewTenancy},
    telephony::extensions::{
        self, Extension, Sealed,
        store::{self, NewRows},
    },
    tenancy::tenants::{self, templates},
    text::{Domain, ExtensionNumber, SipSecret, SipUsername, VoicemailPin},
};

#[derive(Args)]
pub struct BenchDataArgs {
    /// How many tenants (t0.bench.test, t1.bench.test, …)
    #[arg(long, default_value_t = 1)]
    tenants: u32,
    /// How many extensions per tenant (1000, 1001, …)
    #[arg(long, default_value_t = 1000)]
    extensions_per_tenant: u32,
}

const FIRST_NUMBER: u32 = 1000;

pub async fn run(settings: &Settings, args: BenchDataArgs) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let done = load(&local, &args).await;
    let closed = local.close().await;
    done.and(closed)
}

async fn load(local: &Local, args: &BenchDataArgs) -> anyhow::Result<()> {
    let progress = progress::bar("tenants", usize::try_from(args.tenants)?);
    for number in 0..args.tenants {
        let domain = Domain::parse(&format!("t{number}.bench.test"))?;
        if tenants::store::by_domain(local.changes.pool(), &domain).await?.is_none() {
            let mut change = local.changes.begin(author()).await?;
            let tenant = onboarding::create("", &mut change, NewTenancy::plain(None, domain), None).await?.tenant;
            let new = rows(&mut change, tenant.id, args.extensions_per_tenant).await?;
            change.hold(tenant.id).await?;
            extensions::insert(&mut change, tenant.id, &new).await?;
            change.commit().await?;
        }
        progress.inc(1);
    }
    store::vacuum(&mut *local.changes.pool().acquire().await?).await?;
    progress.finish_and_clear();
    Ok(())
}

async fn rows(change: &mut Change, tenant: Uuid, count: u32) -> anyhow::Result<NewRows> {
    let (usual, keyring) = (templates::usual(change.db(), tenant).await?, change.keyring());
    let mut rows = NewRows::default();
    for number in FIRST_NUMBER..FIRST_NUMBER + count {
        let id = Uuid::now_v7();
        let number = ExtensionNumber::parse(&number.to_string())?;
        let sealed = Sealed::new(&keyring, tenant, id, &SipSecret::generate(), &VoicemailPin::generate());
        // Loads ask for phones by number: who signs in would be unknown by any other name.
        let sip_username = SipUsername::parse(number.as_str())?;
        rows.push(Extension { sip_username, ..Extension::usual(tenant, id, number, &usual)? }, sealed);
    }
    Ok(rows)
}
