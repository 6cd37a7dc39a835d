//! The contract with scripts: what `/openapi.json` says, and what is refused because it does not stand there.
//!
//! Handlers describe what is theirs: paths, parameters, bodies. What holds for all of them is added here, so that it is said once and
//! the same everywhere.

mod complete;
mod deprecated;
mod examples;
mod formats;
mod guard;
mod labels;
mod members;
mod plain;

use std::{
    collections::{BTreeMap, HashMap},
    sync::OnceLock,
};

use actix_web::{HttpResponse, get, http::header::CONTENT_SECURITY_POLICY, web::Data};
use serde_json::Value;
use utoipa::OpenApi as _;
use utoipa_actix_web::AppExt as _;

pub use guard::{known, nothing};

use super::{router, web::assets};
use crate::tenancy::Api;

/// The description of the API.
struct Contract {
    json: String,
    document: Value,
    /// What each path takes, by method.
    routes: HashMap<String, BTreeMap<String, Takes>>,
}

/// What an operation takes.
#[derive(Default)]
struct Takes {
    /// The names of its query parameters.
    parameters: Vec<String>,
    /// The types of its body.
    bodies: Vec<String>,
    /// The members of its items, if it is a list.
    members: Vec<String>,
}

/// The description is made once, as making it takes megabytes of memory and many milliseconds: when a node starts, or by a command that
/// needs it.
fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| {
        let app = actix_web::App::new().into_utoipa_app().openapi(router::ApiDescription::openapi());
        let described = app.configure(router::described).split_for_parts().1;
        // The description consists of names and texts, so this can't fail.
        let mut described = serde_json::to_value(described).unwrap_or_default();
        complete::complete(&mut described);
        Contract::of(described)
    })
}

impl Contract {
    fn of(described: Value) -> Self {
        let mut routes = HashMap::<_, BTreeMap<_, _>>::new();
        for (path, method, operation) in complete::operations(&described) {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let parameters = parameters.filter(|parameter| parameter["in"] == "query");
            let parameters = parameters.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect();
            let bodies = operation["requestBody"]["content"].as_object();
            let bodies = bodies.into_iter().flatten().map(|(media, _)| media.clone()).collect();
            let members = members(&described, operation);
            let route = routes.entry(path.to_owned()).or_default();
            route.insert(method.to_uppercase(), Takes { parameters, bodies, members });
        }
        Self { json: described.to_string(), document: described, routes }
    }
}

/// The members of what an operation lists.
fn members(described: &Value, operation: &Value) -> Vec<String> {
    let named = |schema: &Value| -> Option<Value> {
        let name = schema["$ref"].as_str()?.rsplit('/').next()?;
        Some(described["components"]["schemas"][name].clone())
    };
    let page = named(&operation["responses"]["200"]["content"]["application/json"]["schema"]);
    let item = page.and_then(|page| named(&page["properties"]["items"]["items"]));
    let members = item.as_ref().and_then(|item| item["properties"].as_object());
    members.into_iter().flat_map(|members| members.keys().cloned()).collect()
}

/// Adds what no type of a subject says, for commands that are made from the description: it takes them less time than the whole of it.
pub fn add_labels(described: &mut Value) {
    if let Some(schemas) = described["components"]["schemas"].as_object_mut() {
        labels::add(schemas);
    }
}

/// What `/docs` may load: the description and the program that shows it, which sets styles of its own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The description, to read.
#[get("/docs")]
pub async fn docs() -> HttpResponse {
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>The API · Dialplane</title>\n\
         <link rel=\"icon\" href=\"{}\" type=\"image/svg+xml\">\n</head>\n<body>\n<div id=\"docs\"></div>\n\
         <script src=\"{}\"></script>\n<script src=\"{}\"></script>\n</body>\n</html>\n",
        assets::path("icon.svg"),
        assets::path("redoc.js"),
        assets::path("docs.js"),
    );
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(page)
}

/// The description as this node says it: whoever runs the node is asked, at the address that its mails lead to.
fn of_node(description: &str, public_url: &str) -> String {
    let contact = |url: &str| format!("\"url\":{}", Value::from(url));
    description.replacen(&contact(complete::ASKED_AT), &contact(public_url), 1)
}

/// The description, for pages that ask for what it says.
pub fn document() -> &'static Value {
    &contract().document
}

/// Makes the description on a thread that serves nobody, so that no request has to wait for it.
pub fn prepare() {
    tokio::task::spawn_blocking(contract);
}

#[get("/openapi.json")]
pub async fn openapi_json(api: Data<Api>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(of_node(&contract().json, &api.auth.public_url))
}
