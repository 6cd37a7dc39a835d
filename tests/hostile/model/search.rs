//! `switch_xml_locate_user()` and `find_user_in_tag()`: which user of an answer the switch takes.

use super::Element;

impl Element {
    /// Searches a user in an answer, as a switch does that asked for `name` by `key`.
    pub fn user(&self, domain: &str, key: &str, name: &str) -> Option<&Element> {
        let section = self.all("section").find(|section| has(section, "name", "directory"))?;
        let domain = section.all("domain").find(|known| has(known, "name", domain))?;
        let in_groups = domain.child("groups").into_iter().flat_map(|groups| groups.all("group"));
        let in_groups = in_groups.filter_map(|group| group.child("users")).find_map(|users| in_tag(users, key, name));
        in_groups.or_else(|| in_tag(domain.child("users").unwrap_or(domain), key, name))
    }
}

/// The first user that matches any condition: by key, by number-alias, or by a `type` other than "pointer".
fn in_tag<'a>(users: &'a Element, key: &str, name: &str) -> Option<&'a Element> {
    users.all("user").find(|user| {
        is(user, key, name)
            || (key.eq_ignore_ascii_case("id") && is(user, "number-alias", name))
            || is(user, "type", "!pointer")
    })
}

/// A wanted value that begins with '!' matches any other value (`switch_xml_find_child_multi`).
fn is(element: &Element, attribute: &str, wanted: &str) -> bool {
    match wanted.strip_prefix('!') {
        Some(unwanted) => element.bytes_of(attribute).is_some() && !has(element, attribute, unwanted),
        None => has(element, attribute, wanted),
    }
}

/// Ignores case (`switch_xml_find_child`).
fn has(element: &Element, attribute: &str, wanted: &str) -> bool {
    element.bytes_of(attribute).is_some_and(|value| value.eq_ignore_ascii_case(wanted.as_bytes()))
}
