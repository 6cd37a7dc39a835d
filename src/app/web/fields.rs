//! The fields of a form, as HTML. Each is drawn by how it is typed in; what is within another is drawn first.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use askama::Template;
use serde_json::Value;

use super::{
    Shell, catalogue,
    schema::{self, DAYS, Field, Kind, at},
};
use crate::text::Why;

/// The most things to choose from in a list; of more, one types a part.
const MOST_CHOICES: usize = 100;

/// The things of a kind, to choose from.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    /// What is sent, what is shown, and the heading that it is below.
    pub items: Vec<(String, String, String)>,
}

/// What a form's fields are drawn from.
pub struct Drawing<'a> {
    pub s: &'a Shell,
    pub draft: &'a Value,
    /// What was refused, by path.
    pub errors: &'a [(String, Why)],
    /// What somebody else has saved meanwhile, by path.
    pub others: &'a BTreeMap<String, String>,
    pub choices: &'a HashMap<&'static str, Choices>,
    /// Labels and hints of this form's own, by path: keys of the catalogue.
    pub labels: &'a [(&'a str, &'a str)],
    pub hints: &'a [(&'a str, &'a str)],
    /// Where to go on after a row was added.
    pub focus: Option<String>,
    /// Which errors are shown at a field.
    pub shown: RefCell<BTreeSet<String>>,
}

#[derive(Debug, Default)]
pub struct Choice {
    value: String,
    label: String,
    chosen: bool,
}

#[derive(Debug, Default)]
pub struct Group {
    label: String,
    options: Vec<Choice>,
}

pub enum Body {
    Flag {
        on: bool,
    },
    Input {
        kind: &'static str,
        value: String,
        mode: &'static str,
    },
    Area {
        value: String,
        rows: usize,
    },
    Choice {
        options: Vec<Group>,
    },
    Combo {
        value: String,
        list: String,
    },
    Checks {
        options: Vec<Choice>,
    },
    Group {
        children: Vec<String>,
        optional: Option<bool>,
    },
    /// Fields beside each other, without a frame.
    Pair {
        children: Vec<String>,
    },
    Rows {
        rows: Vec<String>,
    },
}

#[derive(Template)]
#[template(path = "web/field.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is about something else")]
struct FieldView<'a> {
    s: &'a Shell,
    id: String,
    label: String,
    hint: Option<String>,
    error: Option<String>,
    other: Option<String>,
    required: bool,
    /// The label is only read aloud.
    quiet: bool,
    focus: bool,
    /// The form has other fields after another choice.
    reload: bool,
    body: Body,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"{% if let Some(hint) = hint %}<p class="hint" id="{{ id }}-hint">{{ hint }}</p>{% endif %}{% if let Some(error) = error %}<p class="error" id="{{ id }}-error">{{ error }}</p>{% endif %}{% if let Some(other) = other %}<p class="other">{{ s.t("form.theirs") }} <strong>{{ other }}</strong></p>{% endif %}"#
)]
struct Notes<'a> {
    s: &'a Shell,
    id: &'a str,
    hint: Option<&'a str>,
    error: Option<&'a str>,
    other: Option<&'a str>,
}

impl FieldView<'_> {
    /// What a screen reader reads with the field.
    fn described(&self) -> String {
        let mut parts = Vec::new();
        if self.hint.is_some() {
            parts.push(format!("{}-hint", self.id));
        }
        if self.error.is_some() {
            parts.push(format!("{}-error", self.id));
        }
        let invalid = if self.error.is_some()
            && !matches!(self.body, Body::Group { .. } | Body::Rows { .. } | Body::Checks { .. })
        {
            " aria-invalid=\"true\""
        } else {
            ""
        };
        // Paths consist of the API's names of fields, numbers and dots.
        if parts.is_empty() { String::new() } else { format!(" aria-describedby=\"{}\"{invalid}", parts.join(" ")) }
    }

    fn notes(&self) -> String {
        let (hint, error, other) = (self.hint.as_deref(), self.error.as_deref(), self.other.as_deref());
        Notes { s: self.s, id: &self.id, hint, error, other }.render().unwrap_or_default()
    }
}

/// A path without the numbers of rows.
fn plain(path: &str) -> String {
    path.split('.').filter(|part| part.parse::<usize>().is_err()).collect::<Vec<_>>().join(".")
}

/// Each row of a list, drawn.
fn rows(path: &str, draft: &Value, draw: impl Fn(&str) -> String) -> Vec<String> {
    (0..draft.as_array().map_or(0, Vec::len)).map(|at| draw(&format!("{path}.{at}"))).collect()
}

/// A value's word: of the audit log's words, or as it is.
#[must_use]
pub fn word(s: &Shell, group: &str, value: &str) -> String {
    let key = format!("{group}.{value}");
    let text = catalogue::text(&key, s.language);
    if text == key { value.to_owned() } else { text.to_owned() }
}

impl Drawing<'_> {
    #[must_use]
    pub fn label(&self, path: &str) -> String {
        let plain = plain(path);
        if let Some((_, key)) = self.labels.iter().find(|(known, _)| *known == plain) {
            return catalogue::text(key, self.s.language).to_owned();
        }
        let name = path.rsplit('.').find(|part| part.parse::<usize>().is_err()).unwrap_or(path);
        word(self.s, "field", name)
    }

    fn error(&self, path: &str, is_leaf: bool) -> Option<String> {
        let below = format!("{path}.");
        let found = self.errors.iter().filter(|(at, _)| at == path || (is_leaf && at.starts_with(&below)));
        let found = found.collect::<Vec<_>>();
        self.shown.borrow_mut().extend(found.iter().map(|(at, _)| at.clone()));
        found.first().map(|(_, why)| self.s.why(why).into_owned())
    }

    fn view(&self, path: &str, required: bool, body: Body) -> String {
        let is_leaf = !matches!(body, Body::Group { .. } | Body::Rows { .. } | Body::Pair { .. });
        let hint = self.hints.iter().find(|(known, _)| *known == plain(path));
        let view = FieldView {
            s: self.s,
            id: path.to_owned(),
            label: self.label(path),
            hint: hint.map(|(_, key)| catalogue::text(key, self.s.language).to_owned()),
            error: self.error(path, is_leaf),
            other: self.others.get(path).cloned(),
            required,
            quiet: false,
            focus: self.focus.as_deref() == Some(path),
            reload: false,
            body,
        };
        view.render().unwrap_or_default()
    }

    /// Draws a field of the form.
    #[must_use]
    pub fn field(&self, path: &str, field: &Field) -> String {
        let draft = at(self.draft, path);
        match &field.kind {
            // What may be absent as a whole is chosen first.
            Kind::Object(fields) if field.nullable => {
                let children = self.children(path, fields);
                self.view(path, field.required, Body::Group { children, optional: Some(!draft.is_null()) })
            }
            kind => self.draw(path, kind, field.required, field.nullable),
        }
    }

    fn children(&self, path: &str, fields: &[Field]) -> Vec<String> {
        fields.iter().map(|field| self.field(&format!("{path}.{}", field.name), field)).collect()
    }

    fn draw(&self, path: &str, kind: &Kind, required: bool, nullable: bool) -> String {
        let draft = at(self.draft, path);
        let text = match draft {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let text_is_empty = text.is_empty();
        let input = |kind, mode| Body::Input { kind, value: text.clone(), mode };
        let body = match kind {
            Kind::Text => input("text", ""),
            Kind::Secret => Body::Input { kind: "password", value: String::new(), mode: "" },
            Kind::Integer => input("text", "numeric"),
            Kind::Moment => input("datetime-local", ""),
            Kind::Date => input("date", ""),
            Kind::Long => {
                Body::Area { rows: if text.lines().count() > 6 || path.ends_with("xml") { 16 } else { 3 }, value: text }
            }
            Kind::Lines => Body::Area { rows: text.lines().count().clamp(2, 12), value: text },
            Kind::Flag => Body::Flag { on: draft == true },
            Kind::Choice(choices) => {
                Body::Choice { options: self.choice(path, choices, &text, nullable || text.is_empty()) }
            }
            Kind::Checks(choices) => {
                let chosen = |choice: &String| draft.as_array().is_some_and(|all| all.iter().any(|one| one == choice));
                let options = choices.iter().map(|choice| Choice {
                    value: choice.clone(),
                    label: word(self.s, "value", choice),
                    chosen: chosen(choice),
                });
                Body::Checks { options: options.collect() }
            }
            Kind::Ref(what) => self.thing(what, &text),
            Kind::Target => self.thing("target", &text),
            Kind::Object(fields) => Body::Group { children: self.children(path, fields), optional: None },
            Kind::Prompt => Body::Pair { children: self.prompt(path) },
            Kind::Hours => Body::Group { children: self.hours(path, draft), optional: Some(!draft.is_null()) },
            Kind::Rows(item) => Body::Rows { rows: rows(path, draft, |path| self.item(path, item)) },
            Kind::Map(item) => Body::Rows {
                rows: rows(path, draft, |path| {
                    let key = self.draw(&format!("{path}.key"), &Kind::Text, true, false);
                    let value = self.draw(&format!("{path}.value"), item, true, false);
                    self.view(path, true, Body::Pair { children: vec![key, value] })
                }),
            },
            Kind::Tagged(tag, shapes) => Body::Pair { children: self.tagged(path, tag, shapes) },
        };
        // What is never empty is not called optional.
        self.view(path, required || !(nullable || text_is_empty), body)
    }

    /// One row of a list. Its fields stand beside each other.
    fn item(&self, path: &str, kind: &Kind) -> String {
        match kind {
            Kind::Object(fields) => self.view(path, true, Body::Pair { children: self.children(path, fields) }),
            Kind::Ref(_) | Kind::Target | Kind::Text => {
                let draft = at(self.draft, path).as_str().unwrap_or_default();
                let body = match kind {
                    Kind::Ref(what) => self.thing(what, draft),
                    Kind::Target => self.thing("target", draft),
                    _ => Body::Input { kind: "text", value: draft.to_owned(), mode: "" },
                };
                let number = path.rsplit('.').next().and_then(|at| at.parse::<usize>().ok()).unwrap_or_default() + 1;
                let view = FieldView {
                    s: self.s,
                    id: path.to_owned(),
                    label: format!("{} {number}", self.label(path)),
                    hint: None,
                    error: self.error(path, true),
                    other: None,
                    required: true,
                    quiet: true,
                    focus: self.focus.as_deref() == Some(path),
                    reload: false,
                    body,
                };
                view.render().unwrap_or_default()
            }
            kind => self.draw(path, kind, true, false),
        }
    }

    fn choice(&self, path: &str, choices: &[String], chosen: &str, may_be_empty: bool) -> Vec<Group> {
        let name = path.rsplit('.').next().unwrap_or_default();
        let group = if matches!(name, "status" | "role") { name } else { "value" };
        let option = |value: &String| Choice {
            value: value.clone(),
            label: word(self.s, group, value),
            chosen: value == chosen,
        };
        let none = Choice { value: String::new(), label: "–".to_owned(), chosen: chosen.is_empty() };
        let options = may_be_empty.then_some(none).into_iter().chain(choices.iter().map(option)).collect();
        vec![Group { label: String::new(), options }]
    }

    /// One of the things of a kind.
    fn thing(&self, what: &'static str, value: &str) -> Body {
        let none = Choices::default();
        let items = &self.choices.get(what).unwrap_or(&none).items;
        if items.len() > MOST_CHOICES {
            let label = items.iter().find(|(known, ..)| known == value).map_or(value, |(_, label, _)| label);
            return Body::Combo { value: label.to_owned(), list: format!("list-{what}") };
        }
        let empty = Choice { value: String::new(), label: "–".into(), chosen: value.is_empty() };
        let mut groups = vec![Group { label: String::new(), options: vec![empty] }];
        let mut is_known = value.is_empty();
        for (known, label, heading) in items {
            if groups.last().is_none_or(|group| group.label != *heading) {
                groups.push(Group { label: heading.clone(), options: Vec::new() });
            }
            is_known |= known == value;
            if let Some(group) = groups.last_mut() {
                group.options.push(Choice { value: known.clone(), label: label.clone(), chosen: known == value });
            }
        }
        // What was typed and is not there stays, so that the refusal can be read beside it.
        if !is_known && let Some(first) = groups.first_mut() {
            first.options.push(Choice { value: value.to_owned(), label: value.to_owned(), chosen: true });
        }
        Body::Choice { options: groups }
    }

    fn prompt(&self, path: &str) -> Vec<String> {
        let draft = at(self.draft, path);
        let by = if draft.get("file").is_some() { "file" } else { "text" };
        let text = draft[by].as_str().unwrap_or_default().to_owned();
        let label = self.label(path);
        let plain = |id: String, label: String, quiet, error, body| FieldView {
            s: self.s,
            id,
            label,
            hint: None,
            error,
            other: None,
            required: true,
            quiet,
            focus: false,
            reload: false,
            body,
        };
        let options = ["text", "file"].map(|one| Choice {
            value: one.to_owned(),
            label: self.s.t_of("prompt", one),
            chosen: one == by,
        });
        let options = vec![Group { label: String::new(), options: options.into() }];
        let error = self.error(path, true);
        let by = plain(format!("{path}._by"), label.clone(), false, None, Body::Choice { options });
        let value = plain(format!("{path}.value"), label, true, error, Body::Area { value: text, rows: 2 });
        [by, value].iter().map(|view| view.render().unwrap_or_default()).collect()
    }

    fn hours(&self, path: &str, draft: &Value) -> Vec<String> {
        let text = |name: &str| draft[name].as_str().unwrap_or_default().to_owned();
        let day = |day: &&str| {
            self.view(&format!("{path}.{day}"), true, Body::Input { kind: "text", value: text(day), mode: "" })
        };
        let mut days = DAYS.iter().map(day).collect::<Vec<_>>();
        let holidays = text("holidays");
        let rows = holidays.lines().count().clamp(2, 14);
        days.push(self.view(&format!("{path}.holidays"), false, Body::Area { value: holidays, rows }));
        let hint = Notes { s: self.s, id: path, hint: Some(self.s.t("thing.hours_hint")), error: None, other: None };
        days.insert(0, hint.render().unwrap_or_default());
        days
    }

    fn tagged(&self, path: &str, tag: &str, shapes: &[(String, Vec<Field>)]) -> Vec<String> {
        let chosen = at(self.draft, path)[tag].as_str().unwrap_or_default().to_owned();
        let names = shapes.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let own = format!("{path}.{tag}");
        let view = FieldView {
            s: self.s,
            label: self.label(&own),
            hint: None,
            error: self.error(&own, true),
            other: None,
            required: true,
            quiet: false,
            focus: self.focus.as_deref() == Some(own.as_str()),
            reload: true,
            body: Body::Choice { options: self.choice(&own, &names, &chosen, chosen.is_empty()) },
            id: own,
        };
        let mut drawn = vec![view.render().unwrap_or_default()];
        drawn.extend(self.children(path, schema::shape(shapes, Some(&chosen))));
        drawn
    }
}
