//! How a visitor looks at a list: what they search for, how it is sorted, and which columns it has. A list comes back as it was left.

use std::collections::BTreeMap;

use actix_web::cookie::{Cookie, SameSite, time::Duration};

use super::{Column, Spec};
use crate::app::web::{Visitor, in_query};

const SIZES: [usize; 4] = [25, 50, 100, 250];

#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    pub search: String,
    /// The path of the column to sort by.
    pub sort: Option<String>,
    pub descending: bool,
    pub columns: Option<Vec<String>>,
    pub filters: BTreeMap<String, String>,
    pub size: usize,
    /// From 1.
    pub page: usize,
    pub cursor: Option<String>,
}

impl View {
    /// From the address, or else as the visitor left it.
    pub fn of(visitor: &Visitor, spec: &Spec) -> Self {
        let query = visitor.request.query_string();
        // A list that was only just changed, or that shows a secret once, is the list as it was left, too.
        let is_bare = query.is_empty() || query.starts_with("shown=");
        let left = visitor.request.cookie(&cookie(spec)).filter(|_| is_bare);
        Self::read(left.as_ref().map_or(query, |left| left.value()), spec)
    }

    fn read(query: &str, spec: &Spec) -> Self {
        let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(query);
        let mut view = Self { size: 50, page: 1, ..Self::default() };
        let is_column = |path: &str| spec.columns.iter().any(|column| column.path == path);
        for (name, value) in pairs.map(actix_web::web::Query::into_inner).unwrap_or_default() {
            let value = value.trim();
            match name.as_str() {
                "q" => view.search = value.chars().take(100).collect(),
                "sort" => {
                    view.descending = value.starts_with('-');
                    view.sort = Some(value.trim_start_matches('-').to_owned()).filter(|path| is_column(path));
                }
                "size" => view.size = value.parse().ok().filter(|size| SIZES.contains(size)).unwrap_or(50),
                "page" => view.page = value.parse().unwrap_or(1).clamp(1, 10_000),
                "cursor" => view.cursor = Some(value.to_owned()),
                "col" => {
                    let columns = view.columns.get_or_insert_default();
                    columns.extend(value.split(',').filter(|path| is_column(path)).map(ToOwned::to_owned));
                }
                _ => {
                    let filter = spec.filters.iter().find(|filter| filter.name == name);
                    if let Some(filter) = filter.filter(|filter| filter.values.contains(&value)) {
                        view.filters.insert(filter.name.to_owned(), value.to_owned());
                    }
                }
            }
        }
        if view.columns.as_ref().is_some_and(Vec::is_empty) {
            view.columns = None;
        }
        view
    }

    pub fn shows(&self, column: &Column) -> bool {
        match &self.columns {
            Some(columns) => columns.iter().any(|path| path == column.path),
            None => column.shown,
        }
    }

    /// Whether the order of rows, or which there are, needs the whole list.
    pub fn needs_all(&self, spec: &Spec) -> bool {
        self.sort.is_some()
            || (!self.search.is_empty() && spec.search.is_none())
            || spec.filters.iter().any(|filter| !filter.asked && self.filters.contains_key(filter.name))
    }

    pub fn is_search(&self) -> bool {
        !self.search.is_empty() || !self.filters.is_empty()
    }

    /// The address of a list that is looked at like this.
    pub fn query(&self) -> String {
        let mut parts = Vec::new();
        let mut add = |name: &str, value: &str| parts.push(format!("{name}={}", in_query(value)));
        if !self.search.is_empty() {
            add("q", &self.search);
        }
        for (name, value) in &self.filters {
            add(name, value);
        }
        if let Some(sort) = &self.sort {
            add("sort", &format!("{}{sort}", if self.descending { "-" } else { "" }));
        }
        if let Some(columns) = &self.columns {
            add("col", &columns.join(","));
        }
        if self.size != 50 {
            add("size", &self.size.to_string());
        }
        if self.page > 1 {
            add("page", &self.page.to_string());
        }
        if let Some(cursor) = &self.cursor {
            add("cursor", cursor);
        }
        parts.join("&")
    }

    /// Sorted by a column, or the other way round.
    pub fn sorted(&self, path: &str) -> Self {
        let again = self.sort.as_deref() == Some(path);
        Self { sort: Some(path.to_owned()), descending: again && !self.descending, ..self.first() }
    }

    /// The first page of it.
    pub fn first(&self) -> Self {
        Self { page: 1, cursor: None, ..self.clone() }
    }

    /// What comes back when the visitor does: not what they searched for, nor where they were.
    pub fn kept(&self, spec: &Spec) -> Cookie<'static> {
        let kept = Self { search: String::new(), ..self.first() };
        Cookie::build(cookie(spec), kept.query())
            .path("/")
            .max_age(Duration::days(365))
            .http_only(true)
            .same_site(SameSite::Lax)
            .finish()
    }
}

fn cookie(spec: &Spec) -> String {
    format!("dialplane_list_{}", spec.name.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::web::resources::GROUPS;

    #[test]
    fn a_view_is_its_address_and_nonsense_in_it_is_ignored() {
        let view = View::read("q=sales&sort=-name&col=name,number&size=100&page=3", &GROUPS);
        assert_eq!((view.search.as_str(), view.sort.as_deref(), view.descending), ("sales", Some("name"), true));
        assert_eq!(View::read(&view.query(), &GROUPS), view);
        let odd = View::read("sort=evil&col=evil&size=7&page=x&status=evil&other=1", &GROUPS);
        assert_eq!(odd, View { size: 50, page: 1, ..View::default() });
        assert!(view.needs_all(&GROUPS) && !odd.needs_all(&GROUPS));
        assert!(!view.sorted("name").descending && view.sorted("number").sort.as_deref() == Some("number"));
    }
}
