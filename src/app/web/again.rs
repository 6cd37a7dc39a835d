//! After signing in (again), visitors continue where they were, with their input.

use super::{
    Form, in_query,
    kept::{Kept, LEFT_OUT},
};

/// The largest form that is kept while somebody signs in, as their browser sends it: the page takes 64 KiB, with address and password.
const MOST: usize = 60 * 1024;
/// Fields that are not kept: no secret must wait in a page until somebody signs in.
const NOT_KEPT: [&str; 13] = [
    "csrf",
    "once",
    "password",
    "old_password",
    "current_password",
    "code",
    "token",
    "file",
    "_do",
    "pin",
    "voicemail_pin",
    "sip_password",
    "credential",
];
/// Of these, what nobody types.
const NOT_TYPED: [&str; 4] = ["csrf", "once", "file", "_do"];
/// Fields that nobody types: what the form was opened with. They are kept with what was typed, so that what somebody else saves meanwhile is
/// not undone.
fn is_of_the_page(name: &str) -> bool {
    name == LEFT_OUT || name == "version" || name == "was" || name.starts_with("was_")
}

/// Where pages are that one must be signed in for.
const PAGES: [&str; 8] =
    ["/app", "/platform", "/account", "/audit", "/retention", "/phone-numbers", "/agent-assignments", "/search"];

/// Where a visitor was, and what they had typed.
#[derive(Debug, Clone, Default)]
pub struct Again {
    pub back: String,
    pub typed: Vec<(String, String)>,
    /// Whether something was to be done, and was not.
    pub undone: bool,
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

/// The page that a form stands on, derived from the address that it is sent to, and whether it puts into its form again what was typed.
#[must_use]
pub fn page_of(path: &str) -> (&str, bool) {
    let parts = path.split('/').skip(1).collect::<Vec<_>>();
    // The address up to a part.
    let up_to = |count: usize| {
        let length = parts.iter().take(count).map(|part| part.len() + 1).sum::<usize>();
        &path[..length]
    };
    match parts[..] {
        // What is undone is known by its session alone.
        ["account", ..] | ["undo"] => ("/account", false),
        ["app", "agents", "import", ..] => ("/app/agents/import", false),
        ["agent-assignments", ..] => ("/agent-assignments", true),
        ["platform", "tenants", _, "enter" | "activate"] => ("/platform/tenants", false),
        ["platform", "records", ..] => ("/platform/records", false),
        ["platform", "switches", _, "service", ..] => (up_to(4), false),
        // What the scripts of these pages send.
        ["app", "live", ..] => ("/app/live", false),
        ["app", "dial"] => ("/app", false),
        ["app", "agents", _, "extensions"] => (up_to(3), true),
        ["app", "agents", _, "suspend" | "activate" | "invite"] | ["app", "agents", _, "groups", _, "leave"] => {
            (up_to(3), false)
        }
        ["app", "voicemail", _, "mark" | "forward" | "greeting"] => ("/app/voicemail", false),
        ["app", "recordings", _, "hold" | "release" | "link"] => ("/app/recordings", false),
        ["app", "webhooks", _, "test"] => (up_to(3), false),
        ["app", "webhooks", _, "deliveries", _, "replay"] => (up_to(5), false),
        // What was picked in a list, or a question that is asked again.
        [.., "bulk"] => (up_to(parts.len() - 1), false),
        [.., "delete"] => (path, false),
        _ => (path, true),
    }
}

impl Again {
    /// For a requested page.
    #[must_use]
    pub fn at(address: &str) -> Self {
        let back = if is_ours(address) { address.to_owned() } else { String::new() };
        Self { back, ..Self::default() }
    }

    /// For a form that was sent.
    #[must_use]
    pub fn of_form(path: &str, form: &Form) -> Self {
        let (page, is_typed_in_again) = page_of(path);
        let is_one_of = |names: &[&str], name: &str| names.contains(&name.rsplit('.').next().unwrap_or(name));
        let (kept, left) = form.sent().into_iter().partition::<Vec<_>, _>(|(name, _)| !is_one_of(&NOT_KEPT, name));
        let is_secret = |name: &str| !is_one_of(&NOT_TYPED, name);
        let mut typed = Vec::new();
        if is_typed_in_again {
            typed.extend(kept.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
            if left.iter().any(|(name, value)| is_secret(name) && !value.trim().is_empty()) {
                typed.push((LEFT_OUT.to_owned(), "1".to_owned()));
            }
        }
        Self { typed, undone: true, ..Self::at(page) }.within_bounds()
    }

    /// As the sign-in page passes it on.
    #[must_use]
    pub fn of_sign_in(form: &Form) -> Self {
        let typed = serde_json::from_str(form.raw("typed")).unwrap_or_default();
        Self { typed, undone: !form.raw("undone").is_empty(), ..Self::at(form.value("back")) }.within_bounds()
    }

    fn within_bounds(mut self) -> Self {
        let nobody_typed = self.typed.iter().all(|(name, _)| is_of_the_page(name));
        if nobody_typed || self.back.is_empty() || in_query(&self.typed_json()).len() > MOST {
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
            ("/app/agents/7/extensions", "/app/agents/7"),
            ("/app/agents/7/extensions/8/rotate", "/app/agents/7/extensions/8/rotate"),
            ("/app/extensions/bulk", "/app/extensions"),
            ("/app/webhooks/7/test", "/app/webhooks/7"),
            ("/app/webhooks/7/deliveries/8/replay", "/app/webhooks/7/deliveries/8"),
            ("/app/recordings/7/hold", "/app/recordings"),
            ("/platform/records/read-again", "/platform/records"),
            ("/agent-assignments/7/choice", "/agent-assignments"),
            ("/app/agents/7", "/app/agents/7"),
            ("/app/agents/7/suspend", "/app/agents/7"),
            ("/app/agents/7/groups/8/leave", "/app/agents/7"),
            ("/app/agents/7/delete", "/app/agents/7/delete"),
            ("/app/agents/import/7", "/app/agents/import"),
            ("/account/two-factor/confirm", "/account"),
            ("/platform/tenants/7/suspend", "/platform/tenants/7/suspend"),
            ("/platform/tenants/7/activate", "/platform/tenants"),
            ("/platform/switches/7/token", "/platform/switches/7/token"),
            ("/platform/switches/7/service/drain", "/platform/switches/7/service"),
            ("/app/live/calls/7/act", "/app/live"),
        ];
        for (form, page) in pages {
            assert_eq!(page_of(form).0, page);
        }
    }

    #[test]
    fn what_was_typed_is_kept_and_no_secret_is() {
        let sent =
            [("first_name", "Ada"), ("scopes", "a"), ("scopes", "b"), ("csrf", "x"), ("password", "y"), ("once", "z")];
        let page = [("was_role", "agent"), ("version", "3"), ("was", "{}")];
        let owned = |fields: &[(&str, &str)]| {
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
        };
        let form = Form::of_sent(&owned(&[&sent[..], &page[..]].concat()));
        let again = Again::of_form("/app/agents/new", &form);
        assert_eq!(again.back, "/app/agents/new");
        assert_eq!(
            again.typed,
            owned(&[&sent[..3], &page[..], &[(LEFT_OUT, "1")]].concat()),
            "each of several values, what the page had, and that a secret was there"
        );
        // What only the page had is nobody's input.
        let question = Again::of_form("/app/keys/7/rotate", &Form::of_sent(&owned(&page)));
        assert_eq!((question.back.as_str(), question.typed.len()), ("/app/keys/7/rotate", 0));
        // What would not fit through the page that one signs in at is not promised.
        let of = |text: String| Again::of_form("/app/agents/new", &Form::filled([("first_name", &text)])).typed.len();
        assert_eq!((of("x".repeat(MOST - 100)), of("x".repeat(MOST + 1)), of("<".repeat(MOST / 2))), (1, 0, 0));
    }

    /// The routes of pages with one of these methods, with an id wherever one stands.
    fn routes(method: &str) -> Vec<String> {
        let mut files = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/app/web")];
        let mut found = Vec::new();
        while let Some(path) = files.pop() {
            if path.is_dir() {
                files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                let routes = text.lines().filter_map(|line| line.strip_prefix(&format!("#[{method}(\"")));
                found.extend(routes.map(|rest| rest.split('"').next().unwrap().to_owned()));
            }
        }
        found.extend(crate::app::web::resource::routes(method));
        let id = |part: &str| if part.starts_with('{') { "7".to_owned() } else { part.to_owned() };
        found.iter().map(|route| route.split('/').map(id).collect::<Vec<_>>().join("/")).collect()
    }

    #[test]
    fn whoever_signs_in_again_is_led_from_every_form_to_a_page_that_is_there() {
        let pages = routes("get");
        let mut forms = routes("post");
        // Nobody is signed in at these.
        let open = ["/sign-in", "/sign-up", "/sign-out", "/verify", "/verify/again", "/forgot", "/reset"];
        forms.retain(|form| !open.contains(&form.as_str()));
        assert!(forms.len() > 100 && pages.len() > 100, "{} forms, {} pages", forms.len(), pages.len());
        let lost = forms.iter().map(|form| (form, page_of(form).0));
        let lost = lost.filter(|(_, page)| !is_ours(page) || !pages.iter().any(|known| known == page));
        assert_eq!(lost.collect::<Vec<_>>(), []);
    }
}
