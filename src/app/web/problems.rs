//! A page for each problem code: what it means and what to do. Everybody can read it without signing in.

use actix_web::{
    get,
    web::{Path, ServiceConfig},
};
use askama::Template;

use super::{Page, Shell, Visitor, ok};
use crate::{
    http::problem::{PAGES, Problem},
    model::language::Language,
    text::{
        Code,
        codes::{Heading, Texts},
    },
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(list).service(show);
}

#[derive(Template)]
#[template(path = "web/problems.html")]
struct ListPage<'a> {
    s: &'a Shell,
    codes: &'static [Code],
}

#[derive(Template)]
#[template(path = "web/problem.html")]
struct CodePage<'a> {
    s: &'a Shell,
    code: Code,
    heading: String,
    parameters: Vec<&'static str>,
}

impl Shell {
    fn of(&self, texts: Texts) -> &'static str {
        match self.language {
            Language::En => texts.english,
            Language::De => texts.german,
        }
    }

    fn headed(&self, heading: Heading) -> String {
        match self.language {
            Language::En => heading.english,
            Language::De => heading.german,
        }
    }

    /// A sentence with the names of its values instead of values.
    fn template(&self, code: Code) -> String {
        let text = self.of(code.texts()).to_owned();
        code.parameters().fold(text, |text, name| text.replace(&format!("{{{name}}}"), &format!("‹{name}›")))
    }
}

#[get("/problems")]
async fn list(visitor: Visitor) -> Page {
    ok(&ListPage { s: &visitor.shell, codes: Code::ALL })
}

#[get("/problems/{code}")]
async fn show(visitor: Visitor, code: Path<String>) -> Page {
    let code = Code::named(&code).ok_or_else(|| Problem::from(Code::PageNotFound))?;
    let heading = visitor.shell.headed(code.heading());
    ok(&CodePage { s: &visitor.shell, code, heading, parameters: code.parameters().collect() })
}
