//! How commands reach the API: over the network, or in this process at the database. Either way they get the same answers.

mod here;
mod profiles;
mod remote;

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

pub use self::profiles::{login, logout};
use self::{here::Here, remote::Remote};
use super::failure::{Answered, Refused};
use crate::app::settings::Settings;

/// Where the API is. Without any of these, commands work at the database.
#[derive(Args, Debug, Default, Clone)]
pub struct Place {
    /// Work over the API of this node, such as `https://pbx.example.com`
    #[arg(long, global = true, value_name = "URL", env = "DIALPLANE_URL", help_heading = "Over the API")]
    pub url: Option<String>,
    /// The API key for it; better in the environment, where nobody else sees it
    #[arg(
        long,
        global = true,
        value_name = "KEY",
        env = "DIALPLANE_KEY",
        hide_env_values = true,
        help_heading = "Over the API"
    )]
    pub key: Option<String>,
    /// The URL and key that `dialplane login --profile NAME` keeps
    #[arg(long, global = true, value_name = "NAME", env = "DIALPLANE_PROFILE", help_heading = "Over the API")]
    pub profile: Option<String>,
}

impl Place {
    /// Refuses a command that only works at the database.
    pub fn refuse(&self, at_database: bool) -> anyhow::Result<()> {
        match profiles::known(self, at_database)? {
            None => Ok(()),
            Some((url, _)) => {
                let why = format!(
                    "this command works at the database only, not over {url}: run it on a node, with --data-dir"
                );
                Err(Refused::because(why).into())
            }
        }
    }
}

/// A request to the API.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: &'static str,
    /// With its query.
    pub path: String,
    pub body: Option<Body>,
}

#[derive(Debug, Clone)]
pub enum Body {
    Json(Value),
    Csv(Vec<u8>),
}

impl Call {
    pub fn csv(method: &'static str, path: impl Into<String>, sheet: Vec<u8>) -> Self {
        Self { method, path: path.into(), body: Some(Body::Csv(sheet)) }
    }

    /// The bytes of the body with their type, if there is one.
    fn content(&self) -> anyhow::Result<Option<(Vec<u8>, &'static str)>> {
        Ok(match &self.body {
            None => None,
            Some(Body::Json(value)) => Some((serde_json::to_vec(value)?, "application/json")),
            Some(Body::Csv(sheet)) => Some((sheet.clone(), "text/csv")),
        })
    }

    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), body: None }
    }

    pub fn new(method: &'static str, path: impl Into<String>, body: Option<Value>) -> Self {
        Self { method, path: path.into(), body: body.map(Body::Json) }
    }
}

enum Way {
    Remote(Remote),
    Here(Box<Here>),
}

/// The API, open for requests.
pub struct Api {
    way: Way,
    /// Describes to a person where it is.
    pub place: String,
}

impl Api {
    /// Over the network if the command line, the environment or a profile says where to. `at_database`: the command line names a
    /// node's own settings, so that a profile is not meant.
    pub async fn open(
        place: &Place,
        at_database: bool,
        settings: impl FnOnce() -> anyhow::Result<Settings>,
    ) -> anyhow::Result<Self> {
        if let Some((url, key)) = profiles::known(place, at_database)? {
            let remote = Remote::new(&url, key)?;
            return Ok(Self { place: url, way: Way::Remote(remote) });
        }
        let here = Here::open(&settings()?).await?;
        Ok(Self { place: here.place().to_owned(), way: Way::Here(Box::new(here)) })
    }

    /// Makes a request. An answer without a body is `Null`.
    pub async fn call(&self, call: &Call) -> anyhow::Result<Value> {
        let (status, body) = match &self.way {
            Way::Remote(remote) => remote.call(call)?,
            Way::Here(here) => here.call(call).await?,
        };
        if !(200..300).contains(&status) {
            return Err(Answered::new(status, &body).into());
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|_| Answered::new(status, &body).into())
    }

    /// Where switches and people reach it, if that is known here.
    pub fn settings(&self) -> Option<&Settings> {
        match &self.way {
            Way::Remote(_) => None,
            Way::Here(here) => Some(here.settings()),
        }
    }

    /// Reads all pages of a list, or as many as `most` things need. `seen` is told how many there are.
    pub async fn all(
        &self,
        path: &str,
        most: Option<usize>,
        mut seen: impl FnMut(usize),
    ) -> anyhow::Result<Vec<Value>> {
        const PAGE: usize = 500;
        let most = most.unwrap_or(usize::MAX);
        let and = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let limit = PAGE.min(most - items.len());
            let mut answer = self.call(&Call::get(format!("{path}{and}limit={limit}{cursor}"))).await?;
            items.extend(taken(&mut answer));
            seen(items.len());
            match answer["next_cursor"].as_str() {
                Some(next) if items.len() < most => cursor = format!("&cursor={next}"),
                _ => return Ok(items),
            }
        }
    }

    /// Reads a short list that has no pages.
    pub async fn whole(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        Ok(taken(&mut self.call(&Call::get(path)).await?))
    }

    pub async fn close(self) -> anyhow::Result<()> {
        match self.way {
            Way::Remote(_) => Ok(()),
            Way::Here(here) => here.close().await,
        }
    }
}

/// The things of a list.
fn taken(answer: &mut Value) -> Vec<Value> {
    let items = match answer {
        Value::Array(items) => Some(items),
        Value::Object(page) => page.get_mut("items").and_then(Value::as_array_mut),
        _ => None,
    };
    items.map(std::mem::take).unwrap_or_default()
}

/// The user's own folder for settings.
fn folder() -> anyhow::Result<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = named("XDG_CONFIG_HOME").or_else(|| named("HOME").map(|home| home.join(".config")));
    let folder =
        folder.ok_or_else(|| Refused::because("there is no HOME: give --url and --key instead of a profile"))?;
    Ok(folder.join("dialplane"))
}
