//! `usage`: how much space tables and tenants take.

mod store;

use clap::Args;
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{local::Local, print};
use crate::app::settings::Settings;

#[derive(Args)]
pub struct UsageArgs {
    /// Show tenants, largest first, instead of tables
    #[arg(long)]
    tenants: bool,
}

/// A table, with all its partitions.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct TableUsage {
    pub table: String,
    /// Including indexes.
    pub bytes: i64,
    /// Postgres' estimate.
    pub rows: i64,
}

/// A tenant's share of all tables.
#[derive(Debug, Clone, Serialize)]
pub struct TenantUsage {
    /// `null` for rows of no tenant, or of a deleted one.
    pub tenant_id: Option<Uuid>,
    pub domain: Option<String>,
    pub bytes: i64,
    /// By table.
    pub tables: std::collections::BTreeMap<String, i64>,
}

#[derive(Serialize)]
struct Usage {
    database_bytes: i64,
    tables: Vec<TableUsage>,
    tenants: Vec<TenantUsage>,
}

/// A table larger than this is not read whole. A sample shows how its bytes are divided.
const WHOLE: i64 = 256 << 20;

pub async fn run(settings: &Settings, json: bool, args: UsageArgs) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let place = local.place.clone();
    let measured = async {
        let mut db = local.changes.pool().acquire().await?;
        measure(&mut db).await
    };
    let measured = measured.await;
    local.close().await?;
    let usage = measured?;
    if json {
        return print::one(true, &serde_json::to_value(&usage)?);
    }
    if args.tenants {
        return print::many(false, &usage.tenants, &["domain", "tenant_id", "bytes"], &place);
    }
    print::many(false, &usage.tables, &["table", "bytes", "rows"], &place)?;
    println!("{} bytes in all.", usage.database_bytes);
    Ok(())
}

async fn measure(db: &mut PgConnection) -> sqlx::Result<Usage> {
    let tables = store::tables(&mut *db).await?;
    let mut tenants = std::collections::HashMap::<Option<Uuid>, TenantUsage>::new();
    for name in store::of_tenants(&mut *db).await? {
        let Some(table) = tables.iter().find(|table| table.table == name) else { continue };
        let shares = store::shares(&mut *db, &name, percent(table.bytes)).await?;
        let all = shares.iter().map(|(_, bytes)| i128::from(*bytes)).sum::<i128>().max(1);
        for (tenant, bytes) in shares {
            // The table's indexes and free space are divided like its rows.
            let bytes = i64::try_from(i128::from(table.bytes) * i128::from(bytes) / all).unwrap_or(i64::MAX);
            let usage = tenants.entry(tenant).or_insert_with(|| TenantUsage {
                tenant_id: tenant,
                domain: None,
                bytes: 0,
                tables: std::collections::BTreeMap::new(),
            });
            usage.bytes += bytes;
            usage.tables.insert(name.clone(), bytes);
        }
    }
    for (id, domain) in store::domains(&mut *db).await? {
        if let Some(usage) = tenants.get_mut(&Some(id)) {
            usage.domain = Some(domain);
        }
    }
    let mut tenants = tenants.into_values().collect::<Vec<_>>();
    tenants.sort_by_key(|usage| (std::cmp::Reverse(usage.bytes), usage.tenant_id));
    Ok(Usage { database_bytes: store::database_bytes(db).await?, tables, tenants })
}

/// Which percentage of a table is read.
fn percent(bytes: i64) -> i64 {
    if bytes <= WHOLE { 100 } else { (100 * WHOLE / bytes).max(1) }
}
