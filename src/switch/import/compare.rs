//! Typical calls from a tenant's phones: where they went under the files and where they go now. Also finds entries that would take
//! calls from other extensions.

use std::collections::HashSet;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Dial,
    before::{Dialplan, PhoneCall, leads_on},
    directory::Domain,
    is_for,
    tree::Node,
};
use crate::{
    model::error::Result,
    routing::emergency,
    switch::simulate::{self, explain},
    telephony::destinations,
    text::ExtensionNumber,
};

/// How many calls the report shows.
const SHOWN: usize = 10;
/// How many users' numbers each entry is tested with.
const MOST_USERS: usize = 2000;
/// Numbers outside, as they are dialled in various countries.
const OUTSIDE: [&str; 6] =
    ["+493012345678", "00493012345678", "011493012345678", "03012345678", "2025550123", "12025550123"];

/// The extensions that became entries. XML entries are tried before all others.
#[derive(Default)]
pub struct Taken {
    as_xml: HashSet<usize>,
    as_conditions: HashSet<usize>,
}

impl Taken {
    pub fn add(&mut self, extension: &Node, is_xml: bool) {
        let entries = if is_xml { &mut self.as_xml } else { &mut self.as_conditions };
        entries.insert(key(extension));
    }

    /// Whether this extension became an entry that is tried before a later one of the files.
    fn has_before(&self, extension: &Node, later_is_xml: bool) -> bool {
        let key = key(extension);
        self.as_xml.contains(&key) || (!later_is_xml && self.as_conditions.contains(&key))
    }
}

/// Identifies an element by its address, since equal elements may stand in one line. The tree doesn't change meanwhile.
fn key(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

/// Whether an extension, as an entry, would match the number that it transfers to.
pub enum Circle {
    None,
    /// It sends each number to itself, which the tenant's extensions do without an entry.
    Own,
    /// It would send a call in an endless loop, for example to this number.
    Endless(String),
}

/// Numbers that probably nobody has, to test patterns that match any number.
const PROBES: [&str; 4] = ["77", "777", "7777", "77777"];

/// The calls that an import is tested with.
pub struct Dials {
    users: Vec<String>,
    /// Feature codes and emergency numbers.
    built_in: Vec<String>,
    /// Numbers that conditions of the files name literally.
    literal: Vec<String>,
    /// The user id of the caller.
    caller: String,
}

impl Dials {
    pub async fn of(
        db: &mut PgConnection,
        tenant: Uuid,
        domain: Option<&Domain<'_>>,
        old: &Dialplan<'_>,
        context: &str,
    ) -> Result<Self> {
        let users = domain.map(|domain| &domain.users[..]).unwrap_or_default();
        let numbers = users.iter().filter(|user| ExtensionNumber::parse(user.id).is_ok());
        let users = numbers.take(MOST_USERS).map(|user| user.id.to_owned()).collect::<Vec<_>>();
        let plan = destinations::store::plan(&mut *db, tenant).await?;
        let country = plan.as_ref().and_then(|plan| plan.country());
        let mut built_in = plan
            .iter()
            .flat_map(|plan| {
                let codes = &plan.settings.routing.codes;
                [&codes.voicemail, &codes.echo, &codes.park].map(|code| code.as_str().to_owned())
            })
            .collect::<Vec<_>>();
        built_in.extend(emergency::numbers(country).iter().map(|number| (*number).to_owned()));
        let mut literal = Vec::new();
        let extensions = old.context(context).into_iter().flat_map(|context| context.node.named("extension"));
        for condition in extensions.flat_map(|extension| extension.all("condition")) {
            let expression = condition.attribute("expression").unwrap_or_default();
            let digits = expression.trim_start_matches('^').trim_end_matches('$').replace('\\', "");
            let is_literal = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || "*#".contains(c));
            if is_literal && condition.attribute("field") == Some("destination_number") && !literal.contains(&digits) {
                literal.push(digits);
            }
        }
        let caller = users.last().cloned().unwrap_or_default();
        Ok(Self { users, built_in, literal, caller })
    }

    /// Whether an extension matches the numbers that it transfers to. As an entry it would be tried again and again.
    pub fn circles(&self, old: &Dialplan<'_>, context: &str, extension: &Node) -> Circle {
        let leads = |number: &str| {
            let actions = old.matches(extension, context, PhoneCall { number, caller: &self.caller })?;
            actions.iter().rev().find_map(|(application, data)| match application.as_str() {
                "bridge" => Some(data.strip_prefix("user/")?.split('@').next()?.to_owned()),
                _ => leads_on(application, data).map(|led| led.number.to_owned()),
            })
        };
        let mut circle = Circle::None;
        let others = PROBES.map(str::to_owned);
        for number in self.users.iter().chain(&self.literal).chain(&others) {
            let Some(to) = leads(number) else { continue };
            circle = match circle {
                Circle::None | Circle::Own if to == *number => Circle::Own,
                Circle::None if leads(&to).as_ref() != Some(&to) => return Circle::None,
                _ => return Circle::Endless(number.clone()),
            };
        }
        circle
    }

    /// Why an extension must not become an entry: it would take calls from others. `taken` has the entries before it.
    pub fn shadowed(
        &self,
        old: &Dialplan<'_>,
        context: &str,
        extension: &Node,
        is_xml: bool,
        taken: &Taken,
    ) -> Option<String> {
        let meets = |number: &str| is_for(old, extension, context, number, &self.caller);
        let built_in = if is_xml { &self.built_in[..] } else { &[] };
        if let Some(number) = built_in.iter().find(|number| meets(number)) {
            return Some(format!(
                "its pattern also matches {number}, which would no longer work: make the pattern narrower"
            ));
        }
        for number in
            self.users.iter().chain(&self.literal).map(String::as_str).chain(OUTSIDE).filter(|number| meets(number))
        {
            if is_xml && OUTSIDE.contains(&number) {
                return Some(format!(
                    "its pattern also matches numbers outside, such as {number}, which now go to carriers, within limits: make the pattern narrower"
                ));
            }
            let Some(first) = old.run(context, PhoneCall { number, caller: &self.caller }) else { continue };
            let is_before = taken.has_before(first.extension, is_xml);
            if !std::ptr::eq(first.extension, extension) && !is_before {
                let name = first.extension.attribute("name").unwrap_or("unnamed");
                return Some(format!(
                    "its pattern also matches {number}, which {context}/{name} took before it, and entries are tried first: make the pattern narrower"
                ));
            }
        }
        None
    }

    /// Typical calls before and after the import.
    pub async fn compared(
        &self,
        db: &mut PgConnection,
        tenant: Uuid,
        old: &Dialplan<'_>,
        context: &str,
        taken: &Taken,
    ) -> Result<Vec<Dial>> {
        let mut numbers: Vec<&str> = Vec::new();
        let users = self.users.iter().take(2).map(String::as_str);
        let literal = self.literal.iter().take(3).map(String::as_str);
        let built_in = self.built_in.first().into_iter().chain(self.built_in.last()).map(String::as_str);
        let outside = [OUTSIDE[3], OUTSIDE[4], OUTSIDE[0]];
        let more = self.literal.iter().skip(3).map(String::as_str);
        for number in users.chain(literal).chain(built_in).chain(outside).chain(more) {
            if !numbers.contains(&number) && numbers.len() < SHOWN {
                numbers.push(number);
            }
        }
        let caller = simulate::caller(&mut *db, tenant, &self.caller).await?;
        let mut dials = Vec::new();
        for number in numbers {
            let call = PhoneCall { number, caller: &self.caller };
            let extensions = old.context(context).into_iter().flat_map(|context| context.node.named("extension"));
            let mut kept = extensions.filter(|extension| taken.as_xml.contains(&key(extension)));
            let after = match kept.find(|extension| old.matches(extension, context, call).is_some()) {
                Some(xml) => format!("entry {} (XML)", xml.attribute("name").unwrap_or("unnamed")),
                None => explained(&mut *db, tenant, number, caller.as_ref()).await?,
            };
            dials.push(Dial { dialled: number.to_owned(), before: old.told(context, call), after });
        }
        Ok(dials)
    }
}

async fn explained(
    db: &mut PgConnection,
    tenant: Uuid,
    number: &str,
    caller: Option<&crate::text::SipUsername>,
) -> Result<String> {
    let at = jiff::Timestamp::now();
    let ask = explain::Question { tenant, number, caller, caller_number: None, at };
    let Some(explained) = explain::explain(db, &ask).await? else { return Ok(String::new()) };
    let steps = explained.steps.iter().map(|step| {
        let bridge = step.actions.iter().find(|action| ["bridge", "transfer"].contains(&action.application));
        let entry = step.tried.iter().find(|tried| tried.rule == "entry" && tried.matched);
        // After the variables, up to the first space.
        let to = bridge.map(|action| action.data.rsplit(['}', ']']).next().unwrap_or_default());
        let to = to.map(|to| to.split(' ').next().unwrap_or_default());
        match (entry, to) {
            (Some(entry), Some(to)) => format!("entry {}: {to}", entry.detail),
            (Some(entry), None) => format!("entry {}", entry.detail),
            (None, Some(to)) => format!("{}: {to}", step.route),
            (None, None) => step.route.clone(),
        }
    });
    Ok(steps.collect::<Vec<_>>().join(", then "))
}
