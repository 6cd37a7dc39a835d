//! A subject's list: searched, sorted, filtered, in pages, as a CSV file.

use std::collections::{BTreeMap, HashMap};

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web::Path,
};
use askama::Template;
use serde_json::Value;
use uuid::Uuid;

use super::{
    At, Cell, Column, Filter, Spec,
    cells::{self, Shown},
    id_of,
    view::View,
};
use crate::{
    app::web::{
        NavItem, Page, Shell, Turned, Visitor,
        ask::{Listed, MOST, turned, with},
        catalogue, html,
        kept::Kept,
    },
    tenancy::{audit, auth::rules::Level},
};

struct Row {
    id: String,
    version: i64,
    title: String,
    href: String,
    cells: Vec<Shown>,
    acts: Vec<NavItem>,
    /// What is done at once, by a form.
    steps: Vec<NavItem>,
    /// The links by which it is called, and the numbers.
    dials: Vec<(String, String)>,
}

struct Head {
    label: String,
    sort: &'static str,
    href: String,
}

struct Pick {
    path: &'static str,
    label: String,
    shown: bool,
}

struct Chosen {
    name: &'static str,
    label: String,
    options: Vec<(String, String, bool)>,
}

#[derive(Template)]
#[template(path = "web/list.html")]
struct ListPage<'a> {
    s: &'a Shell,
    spec: &'static Spec,
    title: String,
    intro: String,
    add: String,
    none: String,
    view: &'a View,
    rows: Vec<Row>,
    heads: Vec<Head>,
    picks: Vec<Pick>,
    filters: Vec<Chosen>,
    can_add: bool,
    can_write: bool,
    /// From which to which, of how many, if that is known.
    range: Option<(usize, usize, usize)>,
    is_cut: bool,
    previous: Option<String>,
    next: Option<String>,
    export: String,
    plain: String,
    report: Vec<(String, String)>,
    once: Vec<(String, String)>,
}

impl ListPage<'_> {
    fn may_select(&self) -> bool {
        self.can_write && (self.spec.deletes || !self.spec.bulks.is_empty())
    }

    fn is_empty_case(&self) -> bool {
        self.rows.is_empty() && !self.view.is_search()
    }
}

/// One thing at a glance, which lists show at their side: what their columns say of it, and where it leads.
#[derive(Template)]
#[template(path = "web/look.html")]
struct LookPage<'a> {
    s: &'a Shell,
    spec: &'static Spec,
    title: String,
    facts: Vec<(String, Shown)>,
    row: Row,
    can_write: bool,
}

/// What a list shows: the things themselves, in order.
struct Things {
    items: Vec<Value>,
    names: HashMap<Uuid, String>,
    range: Option<(usize, usize, usize)>,
    is_cut: bool,
    next: Option<View>,
}

/// The API's path, with what it can filter by itself.
fn path(at: &At, view: &View) -> String {
    let mut path = at.list_path();
    if let Some(search) = at.spec.search.filter(|_| !view.search.is_empty()) {
        path = with(&path, search, &view.search);
    }
    for filter in at.spec.filters.iter().filter(|filter| filter.asked) {
        if let Some(value) = view.filters.get(filter.name) {
            path = with(&path, filter.name, value);
        }
    }
    path
}

/// The present names of what cells mention.
async fn names(at: &At, items: &[Value], view: &View) -> Result<HashMap<Uuid, String>, Turned> {
    let mut ids = Vec::new();
    for column in at.spec.columns.iter().filter(|column| view.shows(column)) {
        for item in items {
            cells::ids(column.cell, column.path, item, &mut ids);
        }
    }
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let tenants = at.tenant.into_iter().collect::<Vec<_>>();
    let found = audit::store::names(&mut *at.visitor.api.read(&at.actor).await?, &tenants, &ids).await?;
    Ok(found.into_iter().collect())
}

fn text(at: &At, column: &Column, item: &Value, names: &HashMap<Uuid, String>) -> String {
    column.cell.show(&at.visitor.shell, column.path, item, names).text
}

/// Filters and sorts what the API did not.
async fn arranged(at: &At, view: &View, mut items: Vec<Value>) -> Result<(Vec<Value>, HashMap<Uuid, String>), Turned> {
    let own = |filter: &&Filter| !filter.asked && view.filters.contains_key(filter.name);
    for filter in at.spec.filters.iter().filter(own) {
        let wanted = &view.filters[filter.name];
        items.retain(|item| match super::schema::at(item, filter.name) {
            Value::String(text) => text == wanted,
            Value::Null => wanted == "none",
            Value::Bool(flag) => wanted == if *flag { "true" } else { "false" },
            _ => wanted == "some",
        });
    }
    let names = names(at, &items, view).await?;
    if !view.search.is_empty() && at.spec.search.is_none() {
        let wanted = view.search.to_lowercase();
        items.retain(|item| {
            at.spec.columns.iter().any(|column| text(at, column, item, &names).to_lowercase().contains(&wanted))
        });
    }
    if let Some(column) = at.spec.columns.iter().find(|column| Some(column.path) == view.sort.as_deref()) {
        items.sort_by_cached_key(|item| Sorted(text(at, column, item, &names)));
        if view.descending {
            items.reverse();
        }
    }
    Ok((items, names))
}

#[derive(PartialEq, Eq)]
struct Sorted(String);

impl Ord for Sorted {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        cells::order(&self.0, &other.0)
    }
}

impl PartialOrd for Sorted {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

async fn things(at: &At, view: &View) -> Result<Things, Turned> {
    let path = path(at, view);
    if !view.needs_all(at.spec) {
        let page = at.visitor.page_of(&path, view.size, view.cursor.as_deref()).await.map_err(turned)?;
        let names = names(at, &page.items, view).await?;
        let next = page.next.map(|cursor| View { cursor: Some(cursor), ..view.clone() });
        let count = page.items.len();
        let range = (view.cursor.is_none() && next.is_none() && count > 0).then_some((1, count, count));
        return Ok(Things { items: page.items, names, range, is_cut: false, next });
    }
    let Listed { items, next } = at.visitor.all_of(&path).await.map_err(turned)?;
    let (items, names) = arranged(at, view, items).await?;
    let (total, is_cut) = (items.len(), next.is_some());
    let from = (view.page - 1).saturating_mul(view.size).min(total);
    let items = items.into_iter().skip(from).take(view.size).collect::<Vec<_>>();
    let to = from + items.len();
    let next = (to < total).then(|| View { page: view.page + 1, ..view.clone() });
    Ok(Things { range: (total > 0).then_some((from + 1, to, total)), items, names, is_cut, next })
}

fn heading(at: &At, path: &str) -> String {
    if let Some((_, key)) = at.spec.labels.iter().find(|(known, _)| *known == path) {
        return catalogue::text(key, at.visitor.shell.language).to_owned();
    }
    let name = path.rsplit('.').next().unwrap_or(path);
    crate::app::web::fields::word(&at.visitor.shell, "field", name)
}

fn row(at: &At, view: &View, item: &Value, names: &HashMap<Uuid, String>) -> Row {
    let (spec, s) = (at.spec, &at.visitor.shell);
    let id = id_of(spec, item);
    let href = format!("{}/{}", spec.base, crate::app::web::in_path(&id));
    let shown = spec.columns.iter().filter(|column| view.shows(column));
    let acts = spec.acts.iter().filter(|act| at.may_write() && (act.when)(item)).map(|act| NavItem {
        name: act.name,
        label: act.label,
        href: format!("{href}/{}", act.name).into(),
        icon: act.icon,
    });
    let further = spec.further.iter().map(|(name, label, icon)| NavItem {
        name,
        label,
        href: format!("{href}/{name}").into(),
        icon,
    });
    let steps = spec.steps.iter().filter(|step| at.may_write() && (step.when)(item)).map(|step| NavItem {
        name: step.name,
        label: step.label,
        href: format!("{href}/{}", step.name).into(),
        icon: step.icon,
    });
    Row {
        steps: steps.collect(),
        cells: shown.map(|column| column.cell.show(s, column.path, item, names)).collect(),
        title: at.title(item),
        version: super::version(item).unwrap_or_default(),
        acts: acts.chain(further).collect(),
        dials: super::dials(super::schema::at(item, spec.dials)),
        href,
        id,
    }
}

pub async fn page(visitor: Visitor, spec: &'static Spec) -> Page {
    let at = At::new(visitor, spec, Level::Read)?;
    let view = View::of(&at.visitor, spec);
    let found = things(&at, &view).await?;
    let shown = at.visitor.in_query("shown").and_then(|id| id.parse().ok());
    let (report, once) = match at.visitor.kept(shown).await? {
        Some(Kept::Report(lines)) => (lines, Vec::new()),
        Some(Kept::Shown(values)) => (Vec::new(), values),
        _ => (Vec::new(), Vec::new()),
    };
    let s = &at.visitor.shell;
    let address = |view: &View| format!("{}?{}", spec.base, view.query());
    let heads = spec.columns.iter().filter(|column| view.shows(column)).map(|column| {
        let is_sorted = view.sort.as_deref() == Some(column.path);
        let sort = if !is_sorted {
            ""
        } else if view.descending {
            "descending"
        } else {
            "ascending"
        };
        Head { label: heading(&at, column.path), sort, href: address(&view.sorted(column.path)) }
    });
    let picks = spec.columns.iter().filter(|column| !column.is_title());
    let picks =
        picks.map(|column| Pick { path: column.path, label: heading(&at, column.path), shown: view.shows(column) });
    let filters = spec.filters.iter().map(|filter| Chosen {
        name: filter.name,
        label: heading(&at, filter.name),
        options: filter
            .values
            .iter()
            .map(|value| {
                let chosen = view.filters.get(filter.name).is_some_and(|chosen| chosen == value);
                ((*value).to_owned(), s.t_of(filter.words, value), chosen)
            })
            .collect(),
    });
    let previous = match (view.page, &view.cursor) {
        (1, None) => None,
        (1, Some(_)) => Some(address(&view.first())),
        (page, _) => Some(address(&View { page: page - 1, ..view.clone() })),
    };
    let list = ListPage {
        s,
        spec,
        title: at.t("title"),
        intro: at.t("intro"),
        add: at.t("add"),
        none: at.t("none"),
        rows: found.items.iter().map(|item| row(&at, &view, item, &found.names)).collect(),
        heads: heads.collect(),
        picks: picks.collect(),
        filters: filters.collect(),
        can_add: at.may_write() && spec.new.is_some(),
        can_write: at.may_write(),
        range: found.range,
        is_cut: found.is_cut,
        previous,
        next: found.next.as_ref().map(address),
        export: format!("{}/export.csv?{}", spec.base, view.first().query()),
        plain: address(&View { search: String::new(), filters: BTreeMap::new(), ..view.first() }),
        report,
        once,
        view: &view,
    };
    let mut answer = html(StatusCode::OK, &list)?;
    if !at.visitor.request.query_string().is_empty() {
        let _ = answer.add_cookie(&view.kept(spec));
    }
    Ok(answer)
}

pub async fn look(visitor: Visitor, id: Path<String>, spec: &'static Spec) -> Page {
    let mut at = At::new(visitor, spec, Level::Read)?;
    let thing = at.one(&id).await?;
    let title = cells::formatted(&at.title(&thing));
    at.visitor.shell.crumbs.push((title.clone(), String::new()));
    // Also the columns that the list does not show now.
    let all = spec.columns.iter().map(|column| column.path.to_owned()).collect();
    let view = View { columns: Some(all), ..View::default() };
    let things = std::slice::from_ref(&thing);
    let names = names(&at, things, &view).await?;
    let mut row = row(&at, &view, &thing, &names);
    let labels = spec.columns.iter().map(|column| heading(&at, column.path));
    let facts = labels.zip(std::mem::take(&mut row.cells)).filter(|(_, shown)| !shown.title && !shown.is_empty());
    let (facts, can_write) = (facts.collect(), at.may_write());
    html(StatusCode::OK, &LookPage { s: &at.visitor.shell, spec, title, facts, row, can_write })
}

/// All rows that the list has, with the columns that it shows.
pub async fn export(visitor: Visitor, spec: &'static Spec) -> Page {
    let at = At::new(visitor, spec, Level::Read)?;
    let view = View { size: MOST, ..View::of(&at.visitor, spec).first() };
    let listed = at.visitor.all_of(&path(&at, &view)).await.map_err(turned)?;
    let (items, names) = arranged(&at, &view, listed.items).await?;
    let columns = spec.columns.iter().filter(|column| view.shows(column)).collect::<Vec<_>>();
    let line = |cells: Vec<String>| cells.iter().map(|cell| cells::csv(cell)).collect::<Vec<_>>().join(",") + "\r\n";
    let mut file = "\u{feff}".to_owned() + &line(columns.iter().map(|column| heading(&at, column.path)).collect());
    for item in &items {
        let cell = |column: &&Column| match column.cell {
            // As programs write it, so that it can be uploaded again.
            Cell::Number | Cell::Time => super::schema::at(item, column.path).as_str().unwrap_or_default().to_owned(),
            _ => text(&at, column, item, &names),
        };
        file += &line(columns.iter().map(cell).collect());
    }
    let name = format!("attachment; filename=\"{}.csv\"", spec.name);
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, name))
        .body(file))
}
