//! Commands made from the API's description: every list of things that the API has is a noun with the verbs that it allows. A new
//! resource of the API has commands without a line here.

mod body;
mod description;
mod find;
mod run;
mod words;

use clap::{Arg, ArgAction, ArgMatches, Command};

pub use self::body::read;
pub use self::description::Description;
pub use self::description::Kind as FieldKind;
pub use self::find::{encoded, path_of, tenant_id};
pub use self::run::run;
use self::{
    body::{FILE, SET},
    description::{Noun, Verb},
};

/// The item that a command is about.
const ITEM: &str = "item";
/// The most things that `list` prints.
const LIMIT: &str = "limit";
const YES: &str = "yes";

/// Adds all nouns to the command line.
pub fn add(mut all: Command, description: &Description) -> Command {
    for noun in description.nouns() {
        let verbs = noun.verbs.iter().map(|verb| command(noun, verb)).collect::<Vec<_>>();
        if all.find_subcommand(&noun.name).is_some() {
            all = all.mut_subcommand(&noun.name, |own| {
                // What is written by hand knows more than the description.
                let missing =
                    verbs.into_iter().filter(|verb| own.find_subcommand(verb.get_name()).is_none()).collect::<Vec<_>>();
                own.subcommands(missing)
            });
        } else {
            let own = Command::new(noun.name.clone()).about(noun.about.clone());
            all = all.subcommand(own.subcommand_required(true).arg_required_else_help(true).subcommands(verbs));
        }
    }
    all
}

/// The noun, the verb and the arguments, if the command is not one of those written by hand.
pub fn chosen<'a>(
    description: &'a Description,
    by_hand: &Command,
    matches: &'a ArgMatches,
) -> Option<(&'a Noun, &'a Verb, &'a ArgMatches)> {
    let (noun, matches) = matches.subcommand()?;
    let (verb, matches) = matches.subcommand()?;
    if by_hand.find_subcommand(noun).is_some_and(|own| own.find_subcommand(verb).is_some()) {
        return None;
    }
    let noun = description.noun_named(noun)?;
    Some((noun, noun.verbs.iter().find(|known| known.name == verb)?, matches))
}

fn command(noun: &Noun, verb: &Verb) -> Command {
    let mut command = Command::new(verb.name.clone()).about(verb.about.clone());
    for parent in &noun.parents {
        let help = if parent.name == "tenant" { "Id or domain" } else { "Id or name" };
        command = command.arg(
            Arg::new(parent.name.clone())
                .long(parent.name.clone())
                .required(parent.required)
                .help(help)
                .value_name(parent.name.to_uppercase()),
        );
    }
    if verb.has_item {
        let help = words::item_help(&noun.name, noun.one.as_deref());
        command = command
            .arg(Arg::new(ITEM).value_name(noun.name.to_uppercase().replace('-', "_")).required(true).help(help));
    }
    for field in &verb.query {
        command = command.arg(body::argument(field, false));
    }
    if verb.is_list {
        let number = clap::value_parser!(u32).range(1..);
        command = command.arg(
            Arg::new(LIMIT).long(LIMIT).value_parser(number).value_name("N").help("The most to print; all if absent"),
        );
    }
    if words::asks_first(&noun.name, &verb.name) {
        command = command.arg(Arg::new(YES).long(YES).action(ArgAction::SetTrue).help("Don't ask for confirmation"));
    }
    let Some(fields) = &verb.body else { return words::shortcuts(command, &noun.name, &verb.name) };
    let file = Arg::new(FILE).long(FILE).short('f').value_name("FILE").value_hint(clap::ValueHint::FilePath);
    let file = file.help("Take fields from a JSON or YAML file, or `-` for standard input");
    command = command.arg(file);
    if verb.is_patch {
        let known = fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ");
        let help = if known.is_empty() {
            "Fields to change".to_owned()
        } else {
            format!("Fields to change: {known}; FIELD=null empties one")
        };
        let set = Arg::new(SET).value_name("FIELD=VALUE").num_args(1..).required_unless_present(FILE).help(help);
        command = command.arg(set);
        return command;
    }
    for field in fields {
        command = command.arg(body::argument(field, true));
    }
    words::shortcuts(command, &noun.name, &verb.name)
}
