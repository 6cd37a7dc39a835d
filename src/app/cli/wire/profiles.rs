//! `login` and `logout`: URLs and keys by name, in a file that only this user can read.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::PathBuf,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::{Call, Place, folder, remote::Remote};
use crate::app::cli::failure::{Answered, Missing, Refused};

const USUAL: &str = "default";

#[derive(Serialize, Deserialize)]
struct Profile {
    url: String,
    key: String,
}

type Profiles = BTreeMap<String, Profile>;

fn file() -> anyhow::Result<PathBuf> {
    Ok(folder()?.join("profiles.json"))
}

fn read() -> anyhow::Result<Profiles> {
    let file = file()?;
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Profiles::new()),
        Err(error) => return Err(error).with_context(|| format!("{} can't be read", file.display())),
    };
    let mode = fs::metadata(&file)?.permissions().mode();
    if mode & 0o077 != 0 {
        let why = format!("others can read the keys in {0}: chmod 600 {0}", file.display());
        return Err(Refused::because(why).into());
    }
    serde_json::from_slice(&text).with_context(|| format!("{} is not what `dialplane login` writes", file.display()))
}

fn write(profiles: &Profiles) -> anyhow::Result<()> {
    let (folder, file) = (folder()?, file()?);
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.with_context(|| format!("{} can't be created", folder.display()))?;
    // A new file in place of the old one, so that a crash leaves one of them whole.
    let new = file.with_extension(format!("{}.new", std::process::id()));
    let written = || -> io::Result<()> {
        let mut output = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        output.write_all(&serde_json::to_vec_pretty(profiles)?)?;
        output.sync_all()?;
        fs::rename(&new, &file)
    };
    written().with_context(|| format!("{} can't be written", file.display()))
}

/// The URL and the key to use, or `None` to work at the database.
pub fn known(place: &Place, at_database: bool) -> anyhow::Result<Option<(String, Option<String>)>> {
    let Place { url, key, profile } = place;
    if let Some(url) = url.clone().filter(|url| !url.is_empty()) {
        let kept = || Some(read().ok()?.remove(profile.as_deref().unwrap_or(USUAL))?).filter(|kept| kept.url == url);
        let key = key.clone().or_else(|| Some(kept()?.key));
        return Ok(Some((url, key)));
    }
    match profile {
        Some(name) => {
            let found = read()?.remove(name);
            let found = found.ok_or_else(|| {
                Missing(format!("there is no profile {name}: `dialplane login --profile {name} --url URL` makes one"))
            })?;
            Ok(Some((found.url, key.clone().or(Some(found.key)))))
        }
        None if at_database => Ok(None),
        // Whoever has no home has no profile either.
        None if folder().is_err() => Ok(None),
        None => Ok(read()?.remove(USUAL).map(|found| (found.url, key.clone().or(Some(found.key))))),
    }
}

pub fn login(place: &Place, json: bool) -> anyhow::Result<()> {
    let name = place.profile.clone().unwrap_or_else(|| USUAL.to_owned());
    let url =
        place.url.clone().ok_or_else(|| Refused::because("say where to sign in: --url https://pbx.example.com"))?;
    let url = url.trim_end_matches('/').to_owned();
    let key = match &place.key {
        Some(key) => key.clone(),
        None => ask()?,
    };
    let call = Call::get("/v1/tenants?limit=1");
    let (status, body) = Remote::new(&url, Some(key.clone()))?.call(&call)?;
    // A key that may not list tenants is a good one, too.
    if !matches!(status, 200..=299 | 403) {
        return Err(Answered::new(status, &body).into());
    }
    let mut profiles = read()?;
    profiles.insert(name.clone(), Profile { url: url.clone(), key });
    write(&profiles)?;
    if json {
        println!("{}", serde_json::json!({ "profile": name, "url": url }));
    } else if name == USUAL {
        println!("Commands now work over {url}. `dialplane logout` ends that.");
    } else {
        println!("Commands with --profile {name} work over {url}.");
    }
    Ok(())
}

/// Reads the key from standard input. Everybody on the machine could see an argument.
fn ask() -> anyhow::Result<String> {
    let input = io::stdin();
    if input.is_terminal() {
        eprint!("API key: ");
        io::stderr().flush()?;
    }
    let mut line = String::new();
    input.lock().read_line(&mut line).context("standard input can't be read")?;
    let key = line.trim().to_owned();
    if key.is_empty() {
        return Err(Refused::because("no key: give it in DIALPLANE_KEY or on standard input").into());
    }
    Ok(key)
}

pub fn logout(place: &Place, json: bool) -> anyhow::Result<()> {
    let name = place.profile.clone().unwrap_or_else(|| USUAL.to_owned());
    let mut profiles = read()?;
    if profiles.remove(&name).is_none() {
        return Err(Missing(format!("there is no profile {name}")).into());
    }
    write(&profiles)?;
    if json {
        println!("{}", serde_json::json!({ "deleted": true }));
    } else {
        println!("The profile {name} is deleted. The key stays valid: `dialplane key delete` ends it.");
    }
    Ok(())
}
