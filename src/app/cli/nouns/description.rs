//! Reads nouns, verbs and fields from the API's description.

use std::collections::BTreeSet;

use actix_web::App;
use serde_json::Value;
use utoipa::OpenApi as _;
use utoipa_actix_web::AppExt as _;

use super::words;
use crate::app::{contract, router};

/// What commands know about the API.
pub struct Description {
    document: Value,
    nouns: Vec<Noun>,
}

/// Things of one kind, such as extensions.
#[derive(Debug)]
pub struct Noun {
    pub name: String,
    pub about: String,
    pub parents: Vec<Parent>,
    /// The path of the list, with the parents' parameters.
    pub list: String,
    /// The path of one; for a singleton the same as `list`.
    pub one: Option<String>,
    /// The query parameters of the list.
    pub filters: Vec<String>,
    /// Whether the list comes in pages.
    pub is_paged: bool,
    pub verbs: Vec<Verb>,
}

/// What a thing belongs to.
#[derive(Debug)]
pub struct Parent {
    pub name: String,
    /// The parameter that names it.
    pub parameter: String,
    /// Whether the parameter is in the query, and not in the path.
    pub in_query: bool,
    pub required: bool,
    /// The path of the parents' list.
    pub list: String,
}

#[derive(Debug)]
pub struct Verb {
    pub name: String,
    pub about: String,
    pub method: &'static str,
    pub path: String,
    pub has_item: bool,
    pub is_list: bool,
    pub is_patch: bool,
    /// The fields of the body; `None` without a body.
    pub body: Option<Vec<Field>>,
    pub query: Vec<Field>,
    /// The fields of what `list` prints.
    pub columns: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub about: String,
    pub required: bool,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Text,
    Choice(Vec<String>),
    Id,
    Moment,
    Integer,
    /// A flag without a value: it is false if absent.
    Flag,
    Boolean,
    List(Box<Kind>),
    /// Written as JSON.
    Json,
}

const METHODS: [(&str, &str); 5] =
    [("get", "GET"), ("post", "POST"), ("patch", "PATCH"), ("put", "PUT"), ("delete", "DELETE")];
const BASE: &str = "/v1/";

impl Description {
    /// The description of the API of this program.
    pub fn own() -> Self {
        let app = App::new().into_utoipa_app().openapi(router::ApiDescription::openapi()).configure(router::described);
        // It consists of names and texts, so this can't fail.
        let mut described = serde_json::to_value(app.split_for_parts().1).unwrap_or_default();
        contract::add_labels(&mut described);
        Self::of(described)
    }

    fn of(document: Value) -> Self {
        let mut description = Self { document, nouns: Vec::new() };
        let mut lists = description.paths().map(ToOwned::to_owned).collect::<BTreeSet<_>>();
        // Things that are shown one by one, and not listed.
        lists.extend(description.paths().filter_map(|path| {
            let (list, parameter) = path.strip_prefix(BASE)?.split_once('/')?;
            parameter.starts_with('{').then(|| format!("{BASE}{list}"))
        }));
        let mut nouns = lists.iter().filter_map(|path| description.noun(path)).collect::<Vec<_>>();
        nouns.sort_by(|one, other| one.name.cmp(&other.name));
        description.nouns = nouns;
        description
    }

    pub fn nouns(&self) -> &[Noun] {
        &self.nouns
    }

    pub fn noun_named(&self, name: &str) -> Option<&Noun> {
        self.nouns.iter().find(|noun| noun.name == name)
    }

    fn paths(&self) -> impl Iterator<Item = &str> {
        self.document["paths"].as_object().into_iter().flatten().map(|(path, _)| path.as_str())
    }

    /// The noun whose list, or whose only thing, is at a path.
    fn noun(&self, list: &str) -> Option<Noun> {
        let segments = list.strip_prefix(BASE)?.split('/').collect::<Vec<_>>();
        let noun = words::noun(&segments)?;
        let own = &self.document["paths"][list];
        let deeper =
            |path: &str| path.strip_prefix(list)?.strip_prefix("/{")?.strip_suffix('}').map(|name| !name.contains('/'));
        let one = self.paths().find(|path| deeper(path) == Some(true)).map(ToOwned::to_owned);
        let (mut parents, base) = Self::parents(&segments);
        let mut verbs = Vec::new();
        let mut filters = Vec::new();
        let mut is_paged = false;
        for (method, upper) in METHODS {
            let Some(operation) = own.get(method) else { continue };
            let is_many = self.is_many(operation);
            let mut verb = self.verb(operation, upper, list);
            let name = match (method, is_many, &one) {
                ("get", true, _) => "list",
                ("get", false, _) => "show",
                ("post", ..) => "create",
                ("patch", ..) => "update",
                ("put", ..) => "set",
                _ => "delete",
            };
            name.clone_into(&mut verb.name);
            if verb.name == "list" {
                verb.is_list = true;
                verb.columns = self.columns(operation, &noun);
                is_paged = operation["parameters"].as_array().into_iter().flatten().any(|one| one["name"] == "limit");
                filters = verb.query.iter().map(|field| field.name.clone()).collect();
            }
            verbs.push(verb);
        }
        for (method, upper) in METHODS {
            let Some((path, operation)) =
                one.as_ref().and_then(|one| Some((one, self.document["paths"][one].get(method)?)))
            else {
                continue;
            };
            let mut verb = self.verb(operation, upper, path);
            verb.has_item = true;
            let name = match method {
                "get" => "show",
                "patch" => "update",
                "put" => "set",
                "delete" => "delete",
                _ => continue,
            };
            name.clone_into(&mut verb.name);
            verbs.push(verb);
        }
        // What can be done to one: `POST …/{id}/assign`.
        let below = one.as_ref().map(|one| format!("{one}/"));
        for path in self.paths() {
            let Some(action) = below.as_ref().and_then(|below| path.strip_prefix(below.as_str())) else { continue };
            let Some(operation) = self.document["paths"][path].get("post").filter(|_| !action.contains('/')) else {
                continue;
            };
            let is_list_too = self.document["paths"][path].get("get").is_some();
            if is_list_too {
                continue;
            }
            let mut verb = self.verb(operation, "POST", path);
            verb.has_item = true;
            action.clone_into(&mut verb.name);
            verbs.push(verb);
        }
        // A list that is only a step to something else, such as a page for one agent.
        if verbs.is_empty() {
            return None;
        }
        let mentions = |verb: &Verb| verb.query.iter().any(|field| field.name == "tenant_id");
        // Of the platform's things, only the list takes a tenant: as a filter.
        let is_filter = |verb: &Verb| verb.is_list && verbs.iter().any(|other| !other.is_list && !mentions(other));
        if verbs.iter().any(|verb| mentions(verb) && !is_filter(verb)) {
            parents.push(Parent {
                name: "tenant".into(),
                parameter: "tenant_id".into(),
                in_query: true,
                required: false,
                list: "/v1/tenants".into(),
            });
            for verb in &mut verbs {
                verb.query.retain(|field| field.name != "tenant_id");
            }
            filters.retain(|filter| filter != "tenant_id");
        }
        let about = words::about(&noun, &base);
        Some(Noun { name: noun, about, parents, list: list.to_owned(), one, filters, is_paged, verbs })
    }

    /// What the things of a path belong to, and the path's last word.
    fn parents(segments: &[&str]) -> (Vec<Parent>, String) {
        let mut parents = Vec::new();
        let mut base = String::new();
        for (at, segment) in segments.iter().enumerate() {
            match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                None => (*segment).clone_into(&mut base),
                Some(parameter) => parents.push(Parent {
                    name: words::singular(&base),
                    parameter: parameter.to_owned(),
                    in_query: false,
                    required: true,
                    list: match segments[..at].join("/").as_str() {
                        // People are listed by whoever may see their accounts.
                        "agents" => format!("{BASE}admin/agents"),
                        list => format!("{BASE}{list}"),
                    },
                }),
            }
        }
        (parents, base)
    }

    fn verb(&self, operation: &Value, method: &'static str, path: &str) -> Verb {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let query = parameters.filter(|parameter| parameter["in"] == "query");
        let query = query.filter(|parameter| {
            !["limit", "cursor", "fields"].contains(&parameter["name"].as_str().unwrap_or_default())
        });
        let query = query.map(|parameter| {
            let schema = self.resolved(&parameter["schema"]);
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            let kind = match self.kind(schema) {
                // Both answers mean something else than none.
                Kind::Boolean | Kind::Flag if method == "GET" => Kind::Boolean,
                Kind::Boolean => Kind::Flag,
                kind => kind,
            };
            Field {
                name,
                about: words::sentence(parameter["description"].as_str()),
                required: parameter["required"] == true,
                kind,
            }
        });
        let body = operation
            .pointer("/requestBody/content/application~1json/schema")
            .map(|schema| self.fields(self.resolved(schema)));
        Verb {
            name: String::new(),
            about: words::sentence(operation["summary"].as_str()),
            method,
            path: path.to_owned(),
            has_item: false,
            is_list: false,
            is_patch: method == "PATCH",
            query: query.collect(),
            body,
            columns: Vec::new(),
        }
    }

    /// Whether an operation answers with a list.
    fn is_many(&self, operation: &Value) -> bool {
        let answer = self.resolved(&operation["responses"]["200"]["content"]["application/json"]["schema"]);
        answer["type"] == "array" || answer["properties"].get("items").is_some()
    }

    /// The columns of a table of these things.
    fn columns(&self, operation: &Value, noun: &str) -> Vec<String> {
        if let Some(known) = words::columns(noun) {
            return known.iter().map(|column| (*column).to_owned()).collect();
        }
        let answer = self.resolved(&operation["responses"]["200"]["content"]["application/json"]["schema"]);
        let items = if answer["type"] == "array" { answer } else { &answer["properties"]["items"] };
        let fields = self.fields(self.resolved(&items["items"]));
        let is_short = |field: &&Field| {
            !matches!(field.kind, Kind::Json | Kind::List(_)) && field.name != "version" && field.name != "updated_at"
        };
        let (ids, others): (Vec<_>, Vec<_>) = fields.iter().filter(is_short).partition(|field| field.kind == Kind::Id);
        let own_id = ids.into_iter().filter(|field| field.name == "id");
        others.into_iter().take(6).chain(own_id).map(|field| field.name.clone()).collect()
    }

    /// A schema without references, and of one that may be null the other.
    fn resolved<'a>(&'a self, mut schema: &'a Value) -> &'a Value {
        for _ in 0..8 {
            if let Some(reference) = schema["$ref"].as_str() {
                let name = reference.rsplit('/').next().unwrap_or_default();
                schema = &self.document["components"]["schemas"][name];
            } else if let Some(other) = schema["oneOf"].as_array().and_then(|all| nullable(all)) {
                schema = other;
            } else {
                break;
            }
        }
        schema
    }

    /// The fields of an object.
    fn fields(&self, schema: &Value) -> Vec<Field> {
        let mut fields = Vec::new();
        for part in schema["allOf"].as_array().into_iter().flatten() {
            fields.extend(self.fields(self.resolved(part)));
        }
        let required =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
        for (name, own) in schema["properties"].as_object().into_iter().flatten() {
            let resolved = self.resolved(own);
            let is_nullable =
                own["type"].as_array().is_some() || own["oneOf"].as_array().is_some_and(|all| nullable(all).is_some());
            let kind = match self.kind(resolved) {
                Kind::Flag if is_nullable || own["default"] == true => Kind::Boolean,
                kind => kind,
            };
            let alternatives = own["oneOf"].as_array().and_then(|all| nullable(all));
            let about = own["description"]
                .as_str()
                .or_else(|| alternatives?["description"].as_str())
                .or_else(|| resolved["description"].as_str());
            fields.push(Field {
                name: name.clone(),
                about: words::sentence(about),
                required: required.contains(&name.as_str()),
                kind,
            });
        }
        fields
    }

    fn kind(&self, schema: &Value) -> Kind {
        if let Some(choices) = schema["enum"].as_array() {
            return Kind::Choice(choices.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect());
        }
        let kinds = match &schema["type"] {
            Value::Array(all) => {
                all.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect::<Vec<_>>()
            }
            Value::String(one) => vec![one.as_str()],
            _ => Vec::new(),
        };
        match (kinds.as_slice(), schema["format"].as_str()) {
            (["string"], Some("uuid")) => Kind::Id,
            (["string"], Some("date-time")) => Kind::Moment,
            (["string"], _) => Kind::Text,
            (["integer"], _) => Kind::Integer,
            (["boolean"], _) => Kind::Flag,
            (["array"], _) => match self.kind(self.resolved(&schema["items"])) {
                Kind::Json | Kind::List(_) => Kind::Json,
                kind => Kind::List(Box::new(kind)),
            },
            _ => Kind::Json,
        }
    }
}

/// Of two schemas, one of which is null, the other.
fn nullable(all: &[Value]) -> Option<&Value> {
    let (nulls, others): (Vec<_>, Vec<_>) = all.iter().partition(|schema| schema["type"] == "null");
    (nulls.len() == 1 && others.len() == 1).then(|| others[0])
}
