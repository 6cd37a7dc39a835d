//! The domains and users of a directory, with the params and variables that users inherit.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::Node;

/// A user, with the params and variables of its group and domain. The nearest value counts (`switch_xml_merge_user` in
/// switch_xml.c).
pub struct User<'a> {
    pub id: &'a str,
    pub node: &'a Node,
    pub params: BTreeMap<&'a str, &'a str>,
    pub variables: BTreeMap<&'a str, &'a str>,
    /// The names of the params and variables that the user itself has.
    pub own: BTreeSet<&'a str>,
}

/// All domain elements with one name, in whatever case: a switch finds them in any (`switch_xml_find_child` in switch_xml.c).
pub struct Domain<'a> {
    pub name: &'a str,
    pub nodes: Vec<&'a Node>,
    pub users: Vec<User<'a>>,
}

impl<'a> Domain<'a> {
    /// Whether this is its name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Its name, and how many users it has, for people.
    pub fn told(&self) -> String {
        let users = self.users.len();
        format!("{} ({users} {})", self.name, if users == 1 { "user" } else { "users" })
    }

    pub fn groups(&self) -> Vec<&'a Node> {
        let groups = self.nodes.iter().flat_map(|node| node.all("group"));
        groups.filter(|group| !group.all("user").is_empty()).collect()
    }

    /// The context of most of its users, if any has one.
    pub fn usual_context(&self) -> Option<&'a str> {
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for context in self.users.iter().filter_map(User::context) {
            match counts.iter_mut().find(|(name, _)| *name == context) {
                Some((_, count)) => *count += 1,
                None => counts.push((context, 1)),
            }
        }
        // In a tie, the first one wins.
        counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(name, _)| name)
    }
}

impl<'a> User<'a> {
    pub fn context(&self) -> Option<&'a str> {
        self.variables.get("user_context").copied()
    }
}

/// The domains of a configuration, and the users outside of any domain.
pub fn read(tree: &Node) -> (Vec<Domain<'_>>, Vec<&Node>) {
    let sections = sections(tree, "directory");
    let mut domains: Vec<Domain<'_>> = Vec::new();
    let mut strays = Vec::new();
    for section in sections {
        find(section, &mut domains, &mut strays);
    }
    (domains, strays)
}

/// The sections with a name. A configuration may have several.
pub fn sections<'a>(tree: &'a Node, name: &str) -> Vec<&'a Node> {
    tree.all("section").into_iter().filter(|section| section.attribute("name") == Some(name)).collect()
}

fn find<'a>(node: &'a Node, domains: &mut Vec<Domain<'a>>, strays: &mut Vec<&'a Node>) {
    for child in &node.children {
        match child.name.as_str() {
            "domain" => {
                let name = child.attribute("name").unwrap_or_default();
                let at = domains.iter().position(|domain| domain.is(name)).unwrap_or_else(|| {
                    domains.push(Domain { name, nodes: Vec::new(), users: Vec::new() });
                    domains.len() - 1
                });
                domains[at].nodes.push(child);
                users(child, &BTreeMap::new(), &BTreeMap::new(), &mut domains[at].users);
            }
            "user" => strays.push(child),
            _ => find(child, domains, strays),
        }
    }
}

fn users<'a>(
    node: &'a Node,
    params: &BTreeMap<&'a str, &'a str>,
    variables: &BTreeMap<&'a str, &'a str>,
    found: &mut Vec<User<'a>>,
) {
    let (own_params, own_variables) = (pairs(node, "params", "param"), pairs(node, "variables", "variable"));
    let merged = |inherited: &BTreeMap<&'a str, &'a str>, own: &BTreeMap<&'a str, &'a str>| {
        let mut all = inherited.clone();
        all.extend(own);
        all
    };
    let (params, variables) = (merged(params, &own_params), merged(variables, &own_variables));
    if node.name == "user" {
        if node.attribute("type") != Some("pointer") {
            let own = own_params.into_keys().chain(own_variables.into_keys()).collect();
            found.push(User { id: node.attribute("id").unwrap_or_default(), node, params, variables, own });
        }
        return;
    }
    for child in node.children.iter().filter(|child| !["params", "variables"].contains(&child.name.as_str())) {
        users(child, &params, &variables, found);
    }
}

fn pairs<'a>(node: &'a Node, list: &'a str, item: &'a str) -> BTreeMap<&'a str, &'a str> {
    let items = node.named(list).flat_map(move |list| list.named(item));
    items.filter_map(|item| Some((item.attribute("name")?, item.attribute("value")?))).collect()
}
