//! Checks what a restore may have left out: encoding, migrations, the role and its rights, and the language of triggers.

use sqlx::PgConnection;

use super::{Report, Seen, store};
use crate::{
    app::settings::Settings,
    node::{
        database, fitness,
        schema::{self, rights},
    },
    text::{TimeZone, zone},
};

/// For how many days the rules of zones are compared.
const DAYS_COMPARED: i64 = 400;

pub async fn check(db: &mut PgConnection, is_current: bool, report: &mut Report) {
    report.add("encoding", encoding(db).await);
    report.add("migrations", migrations(db).await);
    report.add("languages", languages(db).await);
    report.add("time zones", time_zones(db).await);
    if report.add("role", role(db).await) && is_current {
        report.add("policies and grants", rights_of_tenants(db).await);
    }
}

async fn encoding(db: &mut PgConnection) -> Seen {
    match store::encoding(db).await.map_err(|error| error.to_string())?.as_str() {
        "UTF8" => Ok("UTF8".into()),
        other => Err(format!(
            "it is {other}, but only UTF8 can store every name: run `dialplane backup`, create a database with encoding 'UTF8' template template0, and run `dialplane restore` into it"
        )),
    }
}

/// The connections that all nodes open at most must be there.
pub async fn connections(db: &mut PgConnection, settings: &Settings) -> Seen {
    let fills = u32::try_from(settings.fill_connections).unwrap_or(u32::MAX);
    let needed = database::connections_needed(settings.api_connections, fills);
    let balance = fitness::balance(db, needed).await.map_err(|error| error.to_string())?;
    if balance.is_enough() { Ok(balance.to_string()) } else { Err(balance.to_string()) }
}

/// All of this program's migrations must have been applied, each completely.
async fn migrations(db: &mut PgConnection) -> Seen {
    let applied = store::migrations(db).await.map_err(|error| error.to_string())?;
    if let Some((version, _)) = applied.iter().find(|(_, success)| !success) {
        return Err(format!(
            "migration {version} began but did not finish: restore the backup from before it, and run `dialplane migrate`"
        ));
    }
    let newest = applied.last().map_or(0, |(version, _)| *version);
    let is_missing = |version: &i64| *version < newest && applied.iter().all(|(applied, _)| applied != version);
    let gaps = schema::known_versions().filter(is_missing).map(|version| version.to_string()).collect::<Vec<_>>();
    if !gaps.is_empty() {
        return Err(format!(
            "{} of {newest} are missing: the database was put together from parts. Restore a whole backup",
            gaps.join(", ")
        ));
    }
    Ok(format!("{} in sequence, the last is {newest}", applied.len()))
}

/// The database has a table of zones of its own, which may be older or newer than ours.
async fn time_zones(db: &mut PgConnection) -> Seen {
    // Both sides of every change of clocks in the years to come, to the day.
    let noon = jiff::Timestamp::now().as_second() / 86_400 * 86_400 + 43_200;
    let moments = (0..DAYS_COMPARED).map(|day| noon + day * 86_400).collect::<Vec<_>>();
    let names = TimeZone::all().map(|zone| zone.to_string()).collect::<Vec<_>>();
    let known = store::zone_offsets(db, &names, &moments).await.map_err(|error| error.to_string())?;
    let differs = |zone: &TimeZone| {
        let Some(theirs) = known.get(zone.as_str()) else { return true };
        let rules = zone.rules();
        let ours = |moment: &i64| {
            jiff::Timestamp::from_second(*moment).map_or(0, |at| i64::from(rules.to_offset(at).seconds()))
        };
        moments.iter().map(ours).ne(theirs.iter().copied())
    };
    let differing = TimeZone::all().filter(differs).map(|zone| zone.to_string()).collect::<Vec<_>>();
    let version = zone::version();
    let used = store::zones_in_use(db).await.unwrap_or_default();
    let (used, others): (Vec<_>, Vec<_>) = differing.into_iter().partition(|zone| used.contains(zone));
    let unused = if others.is_empty() {
        String::new()
    } else {
        let some = others.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
        format!("; {} that no tenant uses differ: {some}", others.len())
    };
    if used.is_empty() {
        return Ok(format!("those of tenants are in the database as in this program ({version}){unused}"));
    }
    Err(format!(
        "the database knows other rules than this program ({version}) for {}, where tenants are, so days of limits end at other times than schedules say: update the older, which is the package tzdata on the database's machine or Dialplane{unused}",
        used.join(", ")
    ))
}

async fn languages(db: &mut PgConnection) -> Seen {
    let has = store::has_extension(db, "plpgsql").await.map_err(|error| error.to_string())?;
    if has {
        return Ok("plpgsql is there; nothing else is needed".into());
    }
    Err("the extension plpgsql is missing, so all triggers are missing too: run `create extension plpgsql`, and restore the backup again".into())
}

async fn role(db: &mut PgConnection) -> Seen {
    let (role, user) = (rights::ROLE, store::user(db).await.map_err(|error| error.to_string())?);
    if !rights::has_role(db).await.map_err(|error| error.to_string())? {
        return Err(format!(
            "{role} is missing, or {user} may not become it, so tenants get no answers. Run as an administrator of the database: create role {role} nologin; grant {role} to \"{user}\" (`dialplane migrate --print-roles` prints all of it); then run `dialplane doctor` again"
        ));
    }
    if rights::is_unbound(db).await.map_err(|error| error.to_string())? {
        return Err(format!("{role} can see every tenant's rows: run alter role {role} nosuperuser nobypassrls"));
    }
    Ok(format!("{role}, and {user} may become it"))
}

async fn rights_of_tenants(db: &mut PgConnection) -> Seen {
    let missing = rights::missing(db).await.map_err(|error| error.to_string())?;
    if missing.is_empty() {
        return Ok("complete".into());
    }
    let some = missing.iter().take(3).copied().collect::<Vec<_>>().join("; ");
    Err(format!(
        "{} are missing ({some} …), so tenants get no answers: the dump was restored before the role {} existed. Restore it again with `dialplane restore`, or after `create role {} nologin`",
        missing.len(),
        rights::ROLE,
        rights::ROLE
    ))
}
