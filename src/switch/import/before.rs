//! Where a call went under the static files. Their dialplan is hunted as a switch does it (`dialplan_hunt` and `parse_exten` in
//! mod_dialplan_xml.c). Variables that only a running switch knows count as empty, and conditions on the time count as true.

use std::{cell::RefCell, collections::HashMap};

use regex::{Regex, RegexBuilder};

use super::{directory, tree::Node};

/// How many transfers of a call are followed.
const MOST_TRANSFERS: usize = 5;
const MOST_NESTED: usize = 10;

/// A context, with its elements in file order.
pub struct Context<'a> {
    pub name: &'a str,
    pub node: &'a Node,
}

/// The dialplan of static files.
pub struct Dialplan<'a> {
    pub contexts: Vec<Context<'a>>,
    /// Contexts with the name of an earlier one. A switch finds only the first.
    pub doubles: Vec<&'a Node>,
    /// Extensions in no context.
    pub strays: Vec<&'a Node>,
    patterns: RefCell<HashMap<String, Option<Regex>>>,
}

/// A call that a phone makes.
#[derive(Clone, Copy)]
pub struct PhoneCall<'a> {
    pub number: &'a str,
    /// The user id of the caller.
    pub caller: &'a str,
}

/// What a context does with a call.
pub struct Done<'a> {
    pub extension: &'a Node,
    /// Applications and their data, with the known variables filled in.
    pub actions: Vec<(String, String)>,
}

impl<'a> Dialplan<'a> {
    pub fn read(tree: &'a Node) -> Self {
        let (mut contexts, mut doubles, mut strays) = (Vec::<Context<'a>>::new(), Vec::new(), Vec::new());
        for section in directory::sections(tree, "dialplan") {
            for node in section.all("context") {
                let name = node.attribute("name").unwrap_or_default();
                if contexts.iter().any(|known| known.name == name) {
                    doubles.push(node);
                } else {
                    contexts.push(Context { name, node });
                }
            }
            find_strays(section, &mut strays);
        }
        Self { contexts, doubles, strays, patterns: RefCell::default() }
    }

    pub fn context(&self, name: &str) -> Option<&Context<'a>> {
        self.contexts.iter().find(|context| context.name == name)
    }

    /// What a context does with a call. Extensions with `continue="true"` add their actions to those of the last one.
    pub fn run(&self, context: &str, call: PhoneCall<'_>) -> Option<Done<'a>> {
        let mut so_far = Vec::new();
        for extension in self.context(context)?.node.named("extension") {
            let Some(actions) = self.matches(extension, context, call) else { continue };
            so_far.extend(actions);
            if extension.attribute("continue") != Some("true") {
                return Some(Done { extension, actions: so_far });
            }
        }
        None
    }

    /// The actions of an extension for a call. `None`: the extension does not match.
    pub fn matches(&self, extension: &Node, context: &str, call: PhoneCall<'_>) -> Option<Vec<(String, String)>> {
        let mut actions = Vec::new();
        self.walk(extension, context, call, &mut actions, 0).then_some(actions)
    }

    fn walk(
        &self,
        node: &Node,
        context: &str,
        call: PhoneCall<'_>,
        actions: &mut Vec<(String, String)>,
        depth: usize,
    ) -> bool {
        let mut proceed = false;
        for condition in node.named("condition") {
            let groups = self.holds(condition, context, call);
            let held = groups.is_some();
            proceed = held;
            let wanted = if held { "action" } else { "anti-action" };
            let groups = groups.unwrap_or_default();
            for step in condition.named(wanted) {
                let application = step.attribute("application").unwrap_or_default();
                actions
                    .push((application.to_owned(), filled(step.attribute("data").unwrap_or_default(), &groups, call)));
                proceed = true;
            }
            if held && depth < MOST_NESTED && condition.named("condition").next().is_some() {
                self.walk(condition, context, call, actions, depth + 1);
            }
            let ends = match condition.attribute("break").unwrap_or("on-false") {
                "on-true" => held,
                "always" => true,
                "never" => false,
                _ => !held,
            };
            if ends {
                break;
            }
        }
        proceed
    }

    /// The expression's capture groups, if the condition holds.
    fn holds(&self, condition: &Node, context: &str, call: PhoneCall<'_>) -> Option<Vec<String>> {
        match condition.attribute("regex") {
            None => self.compares(condition, context, call),
            Some(rule) => {
                let found =
                    condition.named("regex").map(|regex| self.compares(regex, context, call)).collect::<Vec<_>>();
                let count = found.iter().flatten().count();
                let holds = match rule {
                    "all" => count == found.len(),
                    "xor" => count == 1,
                    _ => count > 0,
                };
                holds.then(|| found.into_iter().flatten().next_back().unwrap_or_default())
            }
        }
    }

    fn compares(&self, node: &Node, context: &str, call: PhoneCall<'_>) -> Option<Vec<String>> {
        let Some(field) = node.attribute("field") else { return Some(Vec::new()) };
        let value = match field {
            "destination_number" | "${destination_number}" => call.number,
            "caller_id_number" | "username" | "${caller_id_number}" | "${username}" | "ani" => call.caller,
            "context" | "${context}" | "${user_context}" => context,
            "dialplan" => "XML",
            _ => "",
        };
        let expression = node.attribute("expression").unwrap_or_default();
        let mut patterns = self.patterns.borrow_mut();
        let pattern = patterns.entry(expression.to_owned()).or_insert_with(|| compiled(expression));
        let groups = pattern.as_ref()?.captures(value)?;
        Some(groups.iter().map(|group| group.map_or("", |found| found.as_str()).to_owned()).collect())
    }

    /// Describes to a person where a call goes.
    pub fn told(&self, context: &str, call: PhoneCall<'_>) -> String {
        let (mut context, mut number) = (context.to_owned(), call.number.to_owned());
        let mut told = Vec::new();
        for _ in 0..MOST_TRANSFERS {
            let Some(done) = self.run(&context, PhoneCall { number: &number, ..call }) else {
                told.push(format!("nothing in {context}"));
                break;
            };
            let name = done.extension.attribute("name").unwrap_or("unnamed");
            let led = done.actions.iter().find_map(|(application, data)| leads_on(application, data));
            let is_setting = |application: &str| SETTINGS.contains(&application);
            let shown = done.actions.iter().find(|(application, _)| !is_setting(application)).or(done.actions.last());
            let does = shown.map(|(application, data)| format!(": {}", format!("{application} {data}").trim()));
            told.push(format!("{context}/{name}{}", does.unwrap_or_default()));
            let Some(led) = led else { break };
            number = led.number.to_owned();
            if let Some(next) = led.context.filter(|next| !is_own(next)) {
                context = next.to_owned();
            }
        }
        told.join(", then ")
    }
}

/// Applications that only prepare a call.
const SETTINGS: [&str; 14] = [
    "set",
    "export",
    "unset",
    "answer",
    "pre_answer",
    "ring_ready",
    "sleep",
    "hash",
    "db",
    "limit",
    "bind_meta_app",
    "log",
    "info",
    "set_user",
];

/// Where a call is transferred to.
pub struct Led<'a> {
    pub number: &'a str,
    pub context: Option<&'a str>,
}

/// The target of `transfer NUMBER [DIALPLAN [CONTEXT]]` or `execute_extension` (transfer_function and exe_function in
/// mod_dptools.c).
pub fn leads_on<'a>(application: &str, data: &'a str) -> Option<Led<'a>> {
    if !["transfer", "execute_extension"].contains(&application) {
        return None;
    }
    let mut words = data.split_whitespace().filter(|word| !["-bleg", "-both"].contains(word));
    Some(Led { number: words.next()?, context: words.nth(1) })
}

/// Whether a context's name stands for the context that the call is in already.
pub fn is_own(context: &str) -> bool {
    ["${context}", "${user_context}"].contains(&context)
}

fn find_strays<'a>(node: &'a Node, found: &mut Vec<&'a Node>) {
    for child in &node.children {
        match child.name.as_str() {
            "context" => {}
            "extension" => found.push(child),
            _ => find_strays(child, found),
        }
    }
}

/// Compiles an expression as `switch_regex_perform` in switch_regex.c does: one between slashes may have options.
fn compiled(expression: &str) -> Option<Regex> {
    let (pattern, ignores_case) = match expression.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) {
        Some((pattern, options)) => (pattern, options.contains('i')),
        None => (expression, false),
    };
    RegexBuilder::new(pattern).case_insensitive(ignores_case).size_limit(1 << 20).build().ok()
}

fn filled(data: &str, groups: &[String], call: PhoneCall<'_>) -> String {
    let mut data = data.replace("${destination_number}", call.number).replace("${caller_id_number}", call.caller);
    for (at, group) in groups.iter().enumerate().rev() {
        data = data.replace(&format!("${{{at}}}"), group).replace(&format!("${at}"), group);
    }
    data
}
