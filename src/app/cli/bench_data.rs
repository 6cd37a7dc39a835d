//! `bench-data`: many tenants with many extensions, to measure with.

use clap::Args;
use uuid::Uuid;

use super::{
    local::{Local, author},
    progress,
};
use crate::{
    app::settings::Settings,
    people::onboarding::{self, NewTenancy},
    telephony::extensions::store::{self, Many},
    tenancy::tenants,
    text::{
        Domain, SipSecret, VoicemailPin,
        keyring::{Keyring, Place},
    },
};

#[derive(Args)]
pub struct BenchDataArgs {
    /// Tenants t0.bench.test, t1.bench.test, …
    #[arg(long, default_value_t = 1)]
    tenants: u32,
    /// Extensions of each: 1000, 1001, …
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
            let many = extensions(tenant.id, args.extensions_per_tenant, local.changes.keyring());
            store::insert_many(change.db(), &many).await?;
            change.commit().await?;
        }
        progress.inc(1);
    }
    store::vacuum(&mut *local.changes.pool().acquire().await?).await?;
    progress.finish_and_clear();
    Ok(())
}

fn extensions(tenant: Uuid, count: u32, keyring: &Keyring) -> Many {
    let mut many = Many { tenant, ids: vec![], numbers: vec![], secrets: vec![], pins: vec![] };
    for number in FIRST_NUMBER..FIRST_NUMBER + count {
        let row = Uuid::now_v7();
        let (secret, pin) = (SipSecret::generate(), VoicemailPin::generate());
        many.ids.push(row);
        many.numbers.push(number.to_string());
        many.secrets.push(keyring.seal(Place { column: "sip_secret", tenant, row }, secret.reveal()));
        many.pins.push(keyring.seal(Place { column: "voicemail_pin", tenant, row }, pin.reveal()));
    }
    many
}
