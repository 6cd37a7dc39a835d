//! After signing in (again), visitors continue where they were, with their input.

use std::collections::BTreeMap;

use super::{Form, kept::Kept};

/// The largest form that is kept while somebody signs in.
const MOST: usize = 64 * 1024;
/// Fields that are not kept: no secret must wait in a page until somebody signs in.
const NOT_KEPT: [&str; 13] = [
    "csrf",
    "password",
    "old_password",
    "current_password",
    "code",
    "token",
    "version",
    "was",
    "_do",
    "pin",
    "voicemail_pin",
    "sip_password",
    "credential",
];

/// Where pages are that one must be signed in for.
const PAGES: [&str; 8] =
    ["/app", "/platform", "/account", "/audit", "/retention", "/phone-numbers", "/agent-assignments", "/search"];

/// Where a visitor was, and what they had typed.
#[derive(Debug, Clone, Default)]
pub struct Again {
    pub back: String,
    pub typed: BTreeMap<String, String>,
}

/// Whether a visitor may be redirected to this address after signing in: it must be one of our pages.
#[must_use]
pub fn is_ours(address: &str) -> bool {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    let page = |page: &str| path.strip_prefix(page).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    address.len() <= 500
        && address.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
        && !path.contains("//")
        && PAGES.into_iter().any(page)
}

/// The page of a form, derived from the address that it is sent to.
#[must_use]
pub fn page_of(path: &str) -> &str {
    if path.starts_with("/account/") {
        return "/account";
    }
    if path.starts_with("/app/agents/import") {
        return "/app/agents/import";
    }
    if let Some(list) = path.strip_suffix("/bulk") {
        return list;
    }
    if path.starts_with("/agent-assignments/") {
        return "/agent-assignments";
    }
    if path.ends_with("/enter") {
        return "/platform/tenants";
    }
    let own = ["/suspend", "/activate", "/invite", "/leave"].iter().any(|end| path.ends_with(end));
    match path.strip_prefix("/app/agents/").and_then(|rest| rest.find('/')).filter(|_| own) {
        Some(end) => &path[.."/app/agents/".len() + end],
        None => path.strip_suffix("/activate").map_or(path, |_| "/platform/tenants"),
    }
}

impl Again {
    /// For a requested page.
    #[must_use]
    pub fn at(address: &str) -> Self {
        let back = if is_ours(address) { address.to_owned() } else { String::new() };
        Self { back, typed: BTreeMap::new() }
    }

    /// For a form that was sent.
    #[must_use]
    pub fn of_form(path: &str, form: &Form) -> Self {
        let is_kept = |name: &str| {
            let last = name.rsplit('.').next().unwrap_or(name);
            !NOT_KEPT.contains(&last) && !name.starts_with("was_")
        };
        let fields = form.values().filter(|(name, _)| is_kept(name));
        let typed = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { typed, ..Self::at(page_of(path)) }.within_bounds()
    }

    /// As the sign-in page passes it on.
    #[must_use]
    pub fn of_sign_in(form: &Form) -> Self {
        let typed = serde_json::from_str(form.raw("typed")).unwrap_or_default();
        Self { typed, ..Self::at(form.value("back")) }.within_bounds()
    }

    fn within_bounds(mut self) -> Self {
        let size = self.typed.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if size > MOST || self.back.is_empty() {
            self.typed.clear();
        }
        self
    }

    /// The fields for the sign-in page.
    #[must_use]
    pub fn typed_json(&self) -> String {
        if self.typed.is_empty() { String::new() } else { serde_json::to_string(&self.typed).unwrap_or_default() }
    }

    /// What to keep in the new session.
    #[must_use]
    pub fn kept(&self) -> Option<Kept> {
        (!self.typed.is_empty()).then(|| Kept::Typed(self.typed.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_another_site_by_signing_in() {
        for ours in
            ["/app", "/app/agents?search=a%20b", "/platform/tenants", "/account", "/audit?actor=x", "/retention"]
        {
            assert!(is_ours(ours), "{ours}");
        }
        for other in [
            "",
            "//evil.test",
            "/\\evil.test",
            "https://evil.test/app",
            "/app//evil",
            "/application",
            "/sign-in",
            "/language/de",
            "/app/\r\nLocation: x",
            "app",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }

    #[test]
    fn every_form_stands_on_a_page() {
        let pages = [
            ("/app/agents/new", "/app/agents/new"),
            ("/app/agents/7", "/app/agents/7"),
            ("/app/agents/7/suspend", "/app/agents/7"),
            ("/app/agents/7/groups/8/leave", "/app/agents/7"),
            ("/app/agents/7/delete", "/app/agents/7/delete"),
            ("/app/agents/import/7", "/app/agents/import"),
            ("/account/two-factor/confirm", "/account"),
            ("/platform/tenants/7/suspend", "/platform/tenants/7/suspend"),
            ("/platform/tenants/7/activate", "/platform/tenants"),
            ("/platform/switches/7/token", "/platform/switches/7/token"),
        ];
        for (form, page) in pages {
            assert_eq!(page_of(form), page);
        }
    }

    #[test]
    fn what_was_typed_is_kept_and_no_secret_is() {
        let form = Form::filled([("first_name", "Ada"), ("csrf", "x"), ("password", "y"), ("was_role", "z")]);
        let again = Again::of_form("/app/agents/new", &form);
        assert_eq!(again.back, "/app/agents/new");
        assert_eq!(again.typed.into_iter().collect::<Vec<_>>(), [("first_name".into(), "Ada".into())]);
        let large = "x".repeat(MOST + 1);
        assert!(Again::of_form("/app/agents/new", &Form::filled([("first_name", &large)])).typed.is_empty());
    }
}
