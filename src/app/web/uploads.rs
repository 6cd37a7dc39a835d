//! Files and pasted lines: many phone numbers at once, and a carrier's rates, after a look at how their columns are read.

use actix_multipart::Multipart;
use actix_web::{
    get,
    http::{Method, StatusCode},
    post,
    web::{Path, ServiceConfig},
};
use askama::Template;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Form, Page, Shell, Visitor,
    ask::{Ask, Listed, refusal, turned, with},
    done, html,
    import::read,
    kept::{Kept, keep_apart},
    ok, see_other,
};
use crate::{
    http::problem::{Problem, Reason},
    tenancy::auth::rules::{Level, Resource, Role},
    text::{Code, Why},
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(numbers_page).service(numbers_send).service(rates_page).service(rates_send);
}

/// What was typed or uploaded: the file if there is one.
fn given(file: &[u8], form: &Form) -> Vec<u8> {
    if file.is_empty() { form.raw("lines").as_bytes().to_vec() } else { file.to_vec() }
}

/// A reason of a report, in the visitor's language.
fn reason(s: &Shell, line: &Value) -> String {
    let english = line["reason"].as_str().unwrap_or_default();
    let Some(code) = line["code"].as_str().and_then(Code::named) else { return english.to_owned() };
    let parameters = code.parameters().filter_map(|name| Some((name, line["params"][name].as_str()?.to_owned())));
    let why = Why::told(code, parameters.collect());
    let field = line["field"].as_str().map(ToOwned::to_owned);
    let told = Reason::from(match field {
        Some(field) => Problem::of_field(field, why),
        None => Problem::from(why),
    });
    s.reason(&told)
}

/// A line of a report, and why it was refused.
struct Line {
    at: String,
    text: String,
    why: String,
}

#[derive(Template)]
#[template(path = "web/numbers_many.html")]
struct NumbersPage<'a> {
    s: &'a Shell,
    lines: String,
    partial: bool,
    whole: Option<String>,
    refused: Vec<Line>,
}

fn numbers_form(s: &Shell) -> NumbersPage<'_> {
    NumbersPage { s, lines: String::new(), partial: false, whole: None, refused: Vec::new() }
}

fn at_numbers(visitor: &mut Visitor) {
    let s = &mut visitor.shell;
    s.active = "phone-numbers";
    s.crumbs = vec![
        (s.t("nav.numbers").to_owned(), "/phone-numbers".to_owned()),
        (s.t("numbers.many").to_owned(), String::new()),
    ];
}

#[get("/phone-numbers/many")]
async fn numbers_page(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Numbers, Level::Write)?;
    Visitor::in_tenant(&actor)?;
    at_numbers(&mut visitor);
    let typed = visitor.typed().await?.map(|typed| Form::of_sent(&typed)).unwrap_or_default();
    let (lines, partial) = (typed.raw("lines").to_owned(), typed.holds("partial"));
    ok(&NumbersPage { lines, partial, ..numbers_form(&visitor.shell) })
}

#[post("/phone-numbers/many")]
async fn numbers_send(mut visitor: Visitor, sent: Multipart) -> Page {
    let (file, form) = read(sent).await?;
    let actor = visitor.sends(Resource::Numbers, Level::Write, &form).await?;
    let tenant = Visitor::in_tenant(&actor)?;
    at_numbers(&mut visitor);
    let partial = form.holds("partial");
    let mut path = format!("/v1/phone-numbers/bulk?partial={partial}");
    if actor.role == Role::PlatformAdmin {
        path = with(&path, "tenant_id", &tenant.to_string());
    }
    let lines = given(&file, &form);
    let typed = String::from_utf8_lossy(&lines).into_owned();
    let answer = visitor.ask(Ask::new(Method::POST, path).text(lines, "text/csv")).await;
    let s = &visitor.shell;
    let mut page = NumbersPage { lines: typed, partial, ..numbers_form(s) };
    match answer {
        Ok(answer) => {
            let refused = answer.body["lines"].as_array().into_iter().flatten();
            let refused = refused.filter(|line| line["outcome"] == "refused").map(|line| Line {
                at: line["line"].to_string(),
                text: line["number"].as_str().unwrap_or_default().to_owned(),
                why: reason(s, line),
            });
            page.refused = refused.collect();
            let created = answer.body["created"].as_u64().unwrap_or_default();
            if created > 0 && page.refused.is_empty() {
                return Ok(done("/phone-numbers", "numbers.were_added"));
            }
            if created > 0 {
                let report = page.refused.into_iter().map(|line| (format!("{}: {}", line.at, line.text), line.why));
                let report = Kept::Report(report.collect());
                let shown = keep_apart(&visitor.api, visitor.session()?, &report).await?;
                return Ok(see_other(&format!("/phone-numbers?shown={shown}")));
            }
        }
        Err(problem) => {
            page.whole = Some(s.reason(&refusal(problem)?));
        }
    }
    html(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// How a column of a file is read.
struct Column {
    name: String,
    meaning: String,
    /// The first value, and how it is read.
    example: String,
    read_as: String,
}

struct Rate {
    prefix: String,
    price: String,
    seconds: String,
    from: Option<chrono::DateTime<chrono::Utc>>,
}

#[derive(Template)]
#[template(path = "web/rates.html")]
struct RatesPage<'a> {
    s: &'a Shell,
    carrier: String,
    id: Uuid,
    prefix: String,
    rates: Vec<Rate>,
    next: Option<String>,
    /// What was uploaded, to be put in force after the look at it.
    sheet: String,
    columns: Vec<Column>,
    count: u64,
    refused: Vec<Line>,
    warnings: Vec<String>,
    whole: Option<String>,
    gateways: Vec<(String, String)>,
}

/// Millionths as a decimal number, with at least two digits after the point.
fn money(millionths: i64) -> String {
    let sign = if millionths < 0 { "-" } else { "" };
    let (whole, rest) = (millionths.unsigned_abs() / 1_000_000, millionths.unsigned_abs() % 1_000_000);
    let rest = format!("{rest:06}");
    let rest = rest.trim_end_matches('0');
    format!("{sign}{whole}.{rest:0<2}")
}

fn rate(value: &Value) -> Rate {
    let number = |field: &str| value[field].as_i64().unwrap_or_default();
    let from = value["effective_at"].as_str().and_then(|at| chrono::DateTime::parse_from_rfc3339(at).ok());
    Rate {
        prefix: value["prefix"].as_str().unwrap_or_default().to_owned(),
        price: money(number("price")),
        seconds: format!("{}/{}", number("first_seconds"), number("step_seconds")),
        from: from.map(|at| at.to_utc()),
    }
}

async fn rates_of(visitor: &Visitor, id: Uuid) -> Result<RatesPage<'_>, super::Turned> {
    let carrier = visitor.ask(Ask::get(format!("/v1/carriers/{id}"))).await.map_err(turned)?.body;
    let prefix = visitor.in_query("prefix").unwrap_or_default().trim().trim_start_matches('+').to_owned();
    let mut path = format!("/v1/carriers/{id}/rates");
    if !prefix.is_empty() {
        path = with(&path, "prefix", &prefix);
    }
    let cursor = visitor.in_query("cursor");
    let Listed { items, next } = visitor.page_of(&path, 50, cursor.as_deref()).await.map_err(turned)?;
    let gateways = visitor.page_of(&format!("/v1/carriers/{id}/gateways"), 100, None).await.map_err(turned)?.items;
    let gateways = gateways.iter().map(|gateway| {
        let text = |field: &str| gateway[field].as_str().unwrap_or_default().to_owned();
        (text("switch"), text("state"))
    });
    Ok(RatesPage {
        s: &visitor.shell,
        carrier: carrier["name"].as_str().unwrap_or_default().to_owned(),
        id,
        rates: items.iter().map(rate).collect(),
        next: next.map(|cursor| {
            let (prefix, cursor) = (super::in_query(&prefix), super::in_query(&cursor));
            format!("/platform/carriers/{id}/rates?prefix={prefix}&cursor={cursor}")
        }),
        prefix,
        sheet: String::new(),
        columns: Vec::new(),
        count: 0,
        refused: Vec::new(),
        warnings: Vec::new(),
        whole: None,
        gateways: gateways.collect(),
    })
}

async fn at_rates(visitor: &mut Visitor, id: Uuid) -> Result<(), super::Turned> {
    let carrier = visitor.ask(Ask::get(format!("/v1/carriers/{id}"))).await.map_err(turned)?.body;
    let s = &mut visitor.shell;
    s.active = "carriers";
    s.crumbs = vec![
        (s.t("nav.carriers").to_owned(), "/platform/carriers".to_owned()),
        (carrier["name"].as_str().unwrap_or_default().to_owned(), format!("/platform/carriers/{id}")),
        (s.t("rates.title").to_owned(), String::new()),
    ];
    Ok(())
}

#[get("/platform/carriers/{id}/rates")]
async fn rates_page(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    visitor.needs(Resource::Carriers, Level::Read)?;
    at_rates(&mut visitor, *id).await?;
    let typed = visitor.typed().await?.map(|typed| Form::of_sent(&typed));
    let looked = visitor.in_query("looked").and_then(|id| id.parse().ok());
    let looked = visitor.kept(looked).await?;
    let mut page = rates_of(&visitor, *id).await?;
    if let Some(typed) = typed {
        typed.raw("lines").clone_into(&mut page.sheet);
    }
    if let Some(Kept::Rates { carrier, sheet, answer }) = looked
        && carrier == *id
    {
        page.sheet = sheet;
        page.tell(&answer);
    }
    ok(&page)
}

impl RatesPage<'_> {
    /// What the API says of a sheet.
    fn tell(&mut self, answer: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.count = answer["rates"].as_u64().unwrap_or_default();
        self.columns = (answer["columns"].as_array().into_iter().flatten())
            .map(|column| Column {
                name: column["head"].as_str().map_or_else(|| column["column"].to_string(), ToOwned::to_owned),
                meaning: super::fields::word(self.s, "column", &text(&column["meaning"])),
                example: text(&column["example"]),
                read_as: text(&column["read_as"]),
            })
            .collect();
        self.refused = (answer["lines"].as_array().into_iter().flatten())
            .map(|line| Line { at: line["line"].to_string(), text: String::new(), why: text(&line["reason"]) })
            .collect();
        self.warnings = (answer["warnings"].as_array().into_iter().flatten())
            .map(|warning| {
                let prefixes = warning["prefixes"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let prefixes = prefixes.take(12).collect::<Vec<_>>().join(", ");
                let said = super::fields::word(self.s, "rates_warning", &text(&warning["kind"]));
                format!("{}: {prefixes}", said.replace("{count}", &warning["count"].to_string()))
            })
            .collect();
    }
}

/// First shows how a file is read and what it would do, on a page that can be loaded again; the same again, with `sure`, puts it in force.
#[post("/platform/carriers/{id}/rates")]
async fn rates_send(mut visitor: Visitor, id: Path<Uuid>, sent: Multipart) -> Page {
    let (file, form) = read(sent).await?;
    visitor.sends(Resource::Carriers, Level::Write, &form).await?;
    at_rates(&mut visitor, *id).await?;
    let sheet = given(&file, &form);
    let is_sure = form.holds("sure");
    let ask = if is_sure {
        Ask::new(Method::PUT, format!("/v1/carriers/{id}/rates"))
    } else {
        Ask::new(Method::POST, format!("/v1/carriers/{id}/rates/preview"))
    };
    let answer = visitor.ask(ask.text(sheet.clone(), "text/csv")).await;
    let sheet = String::from_utf8_lossy(&sheet).into_owned();
    let refused = match answer {
        Ok(answer) if answer.body["refused"].as_u64() == Some(0) => {
            let page = format!("/platform/carriers/{id}/rates");
            if is_sure {
                return Ok(done(&page, "rates.in_force"));
            }
            let looked = Kept::Rates { carrier: *id, sheet, answer: answer.body };
            let looked = keep_apart(&visitor.api, visitor.session()?, &looked).await?;
            return Ok(see_other(&format!("{page}?looked={looked}")));
        }
        Ok(answer) => Ok(answer.body),
        Err(problem) => Err(visitor.shell.reason(&refusal(problem)?)),
    };
    let mut page = rates_of(&visitor, *id).await?;
    page.sheet = sheet;
    match refused {
        Ok(answer) => page.tell(&answer),
        Err(whole) => page.whole = Some(whole),
    }
    html(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact() {
        assert_eq!((money(1_500_000), money(7_000), money(-1)), ("1.50".into(), "0.007".into(), "-0.000001".into()));
    }
}
