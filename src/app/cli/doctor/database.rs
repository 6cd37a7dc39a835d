//! Checks what a restore may have left out: encoding, migrations, the role and its rights, and the language of triggers.

use sqlx::PgConnection;

use super::{Report, Seen, store};
use crate::node::schema::{self, rights};

pub async fn check(db: &mut PgConnection, is_current: bool, report: &mut Report) {
    report.add("encoding", encoding(db).await);
    report.add("migrations", migrations(db).await);
    report.add("languages", languages(db).await);
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
            "{role} is missing, or {user} may not become it, so tenants get no answers. Run as an administrator of the database: create role {role} nologin; grant {role} to \"{user}\"; then run `dialplane doctor` again"
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
