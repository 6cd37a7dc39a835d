//! What mod_voicemail is asked and told, and what it answers.
//!
//! Its older commands name a message by its UUID alone, whoever's it is (`vm_delete`, `vm_read`), and write lists without escaping anything
//! (`vm_list`). So the newer ones are used wherever there is one: they name the mailbox too, and answer in JSON (`vm_fsdb_…` in mod_voicemail.c).

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::text::{Domain, SipUsername};

/// A mailbox, as switches name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    pub user: SipUsername,
    pub domain: Domain,
}

/// The file of a message on a switch: an absolute path that an argument can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(String);

/// The longest path that mod_voicemail keeps.
const LONGEST: usize = 250;

impl Path {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-' | b'@');
        let fine = text.starts_with('/') && text.len() <= LONGEST && !text.contains("..") && text.bytes().all(is_plain);
        fine.then(|| Self(text.to_owned()))
    }

    /// Without its folder.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

/// Who left a message, as an argument can hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    number: String,
    name: String,
}

impl Caller {
    /// Strangers choose these texts, so what could end an argument or begin another is left out.
    #[must_use]
    pub fn of(number: &str, name: &str) -> Self {
        let some = |text: String| if text.is_empty() { "anonymous".to_owned() } else { text };
        let is_of_number = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '*' | '#' | '.' | '_' | '-');
        let is_of_name = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '+' | '.' | '_' | '-');
        let number = some(number.chars().filter(is_of_number).take(60).collect());
        let name = name.chars().filter(is_of_name).take(60).collect::<String>();
        Self { number, name: some(name.trim().to_owned()) }
    }
}

/// A question or a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order<'a> {
    /// The messages that were heard, or those that were not.
    List {
        mailbox: &'a Mailbox,
        read: bool,
    },
    Show {
        mailbox: &'a Mailbox,
        message: Uuid,
    },
    Mark {
        mailbox: &'a Mailbox,
        message: Uuid,
        read: bool,
    },
    /// Notes that it goes with the next [`Order::Purge`].
    Delete {
        mailbox: &'a Mailbox,
        message: Uuid,
    },
    Purge {
        mailbox: &'a Mailbox,
    },
    /// Puts a copy of a file into a mailbox. `mark` is kept as who forwarded it, and tells the copy from others.
    Put {
        into: &'a Mailbox,
        file: &'a Path,
        caller: &'a Caller,
        mark: Uuid,
        urgent: bool,
    },
    /// The greeting that callers hear.
    Greeting {
        mailbox: &'a Mailbox,
    },
    /// Has callers hear one of those that were recorded.
    Greet {
        mailbox: &'a Mailbox,
        number: u8,
    },
}

/// The flags of messages (`URGENT_FLAG_STRING` and `NORMAL_FLAG_STRING` in mod_voicemail.c).
const URGENT: &str = "A_URGENT";
const NORMAL: &str = "B_NORMAL";

impl fmt::Display for Order<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List { mailbox: Mailbox { user, domain }, read } => {
                let which = if *read { "read" } else { "not-read" };
                write!(f, "vm_fsdb_msg_list json default {domain} {user} inbox {which}")
            }
            Self::Show { mailbox: Mailbox { user, domain }, message } => {
                write!(f, "vm_fsdb_msg_get json default {domain} {user} {message}")
            }
            Self::Mark { mailbox: Mailbox { user, domain }, message, read } => {
                let how = if *read { "read" } else { "unread" };
                write!(f, "vm_read {user}@{domain}/default {how} {message}")
            }
            Self::Delete { mailbox: Mailbox { user, domain }, message } => {
                write!(f, "vm_fsdb_msg_delete default {domain} {user} {message}")
            }
            Self::Purge { mailbox: Mailbox { user, domain } } => write!(f, "vm_fsdb_msg_purge default {domain} {user}"),
            Self::Put { into: Mailbox { user, domain }, file, caller: Caller { number, name }, mark, urgent } => {
                let flag = if *urgent { URGENT } else { NORMAL };
                write!(f, "vm_inject {user}@{domain}@default {} {number} '{name}' {mark} {flag}", file.0)
            }
            Self::Greeting { mailbox: Mailbox { user, domain } } => {
                write!(f, "vm_fsdb_pref_greeting_get json default {domain} {user}")
            }
            Self::Greet { mailbox: Mailbox { user, domain }, number } => {
                write!(f, "vm_fsdb_pref_greeting_set default {domain} {user} {number}")
            }
        }
    }
}

/// A message, as a switch tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub message: Uuid,
    pub path: Path,
    pub caller_number: String,
    pub caller_name: String,
    pub received_at: DateTime<Utc>,
    pub seconds: i32,
    pub is_urgent: bool,
    pub read_at: Option<DateTime<Utc>>,
    /// What [`Order::Put`] marked it with.
    pub mark: Option<Uuid>,
}

/// The JSON of an answer: names and texts. Names that come twice count with their last text.
fn fields(answer: &str) -> Option<BTreeMap<String, String>> {
    let read = serde_json::from_str::<BTreeMap<String, Value>>(answer.trim()).ok()?;
    Some(read.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect())
}

/// The messages of a list; `None` if the answer is none.
#[must_use]
pub fn listed(answer: &str) -> Option<Vec<Uuid>> {
    let fields = fields(answer)?;
    fields.get("VM-List-Count")?;
    let messages = fields.iter().filter(|(name, _)| name.starts_with("VM-List-Message-") && name.ends_with("-UUID"));
    let mut messages = messages.filter_map(|(_, text)| text.parse().ok()).collect::<Vec<_>>();
    messages.sort_unstable();
    messages.dedup();
    Some(messages)
}

/// A text that a stranger chose, for people to read.
fn readable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect::<String>().trim().to_owned()
}

/// What is told of a message; `None` if there is none.
#[must_use]
pub fn told(answer: &str) -> Option<Told> {
    let fields = fields(answer)?;
    let text = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let time = |name: &str| DateTime::from_timestamp(text(name).parse().ok()?, 0);
    Some(Told {
        message: text("VM-Message-UUID").parse().ok()?,
        path: Path::parse(text("VM-Message-File-Path"))?,
        caller_number: readable(text("VM-Message-Caller-Number")),
        caller_name: readable(text("VM-Message-Caller-Name")),
        received_at: time("VM-Message-Received-Epoch")?,
        seconds: text("VM-Message-Duration").parse().unwrap_or_default(),
        is_urgent: text("VM-Message-Read-Flags") == URGENT,
        read_at: time("VM-Message-Read-Epoch").filter(|at| at.timestamp() > 0),
        mark: text("VM-Message-Forwarded-By").parse().ok(),
    })
}

/// The number of the greeting that callers hear; `None` for the usual one.
#[must_use]
pub fn greeting(answer: &str) -> Option<u8> {
    let fields = fields(answer)?;
    let name = fields.get("VM-Preference-Greeting-File-Path")?.rsplit('/').next()?;
    name.strip_prefix("greeting_")?.strip_suffix(".wav")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox() -> Mailbox {
        Mailbox { user: SipUsername::parse("u7k").unwrap(), domain: Domain::parse("acme.test").unwrap() }
    }

    #[test]
    fn every_command_but_one_names_the_mailbox_and_the_message() {
        let (mailbox, message, mark) = (&mailbox(), Uuid::nil(), Uuid::max());
        let said = |order: Order<'_>| order.to_string();
        assert_eq!(
            said(Order::List { mailbox, read: false }),
            "vm_fsdb_msg_list json default acme.test u7k inbox not-read"
        );
        assert_eq!(
            said(Order::Delete { mailbox, message }),
            format!("vm_fsdb_msg_delete default acme.test u7k {message}"),
            "vm_delete would delete every message of this UUID"
        );
        assert_eq!(said(Order::Purge { mailbox }), "vm_fsdb_msg_purge default acme.test u7k");
        assert_eq!(
            said(Order::Mark { mailbox, message, read: true }),
            format!("vm_read u7k@acme.test/default read {message}")
        );
        let file = &Path::parse("/var/lib/vm/default/acme.test/u7k/msg_1.wav").unwrap();
        let caller = &Caller::of("+493012345678", "Ann");
        assert_eq!(
            said(Order::Put { into: mailbox, file, caller, mark, urgent: true }),
            format!("vm_inject u7k@acme.test@default {} +493012345678 'Ann' {mark} A_URGENT", file.0)
        );
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_caller_is_called_the_command_has_the_same_arguments(number: String, name: String) {
            let (mailbox, file) = (&mailbox(), &Path::parse("/a.wav").unwrap());
            let caller = &Caller::of(&number, &name);
            let said = Order::Put { into: mailbox, file, caller, mark: Uuid::nil(), urgent: false }.to_string();
            let parts = said.split('\'').collect::<Vec<_>>();
            proptest::prop_assert_eq!(parts.len(), 3, "{}", &said);
            proptest::prop_assert_eq!(parts[0].split(' ').count(), 5, "{}", &said);
            proptest::prop_assert!(!said.contains(['\n', '\r', '"', '\\', '$']));
        }

        #[test]
        fn whatever_a_switch_answers_is_read_or_not(answer: String) {
            let _ = (listed(&answer), told(&answer), greeting(&answer));
        }
    }

    #[test]
    fn what_a_switch_tells_of_a_message_is_read_whatever_its_caller_is_called() {
        let answer = serde_json::json!({
            "VM-Message-Received-Epoch": "1795215283", "VM-Message-Read-Epoch": "0", "VM-Message-UUID": Uuid::max(),
            "VM-Message-Caller-Name": "Ann \"x\":\n<y>", "VM-Message-Caller-Number": "1000", "VM-Message-Folder": "inbox",
            "VM-Message-File-Path": "/s/voicemail/default/acme.test/u7k/msg_1.wav", "VM-Message-Duration": "7",
            "VM-Message-Flags": "", "VM-Message-Read-Flags": "A_URGENT", "VM-Message-Forwarded-By": "",
        });
        let told = told(&answer.to_string()).unwrap();
        assert_eq!((told.seconds, told.is_urgent, told.read_at, told.mark), (7, true, None, None));
        assert_eq!((told.caller_name.as_str(), told.path.name()), ("Ann \"x\":<y>", "msg_1.wav"));
        assert_eq!(super::told("{\"Event-Name\":\"REQUEST_PARAMS\"}"), None, "there is no such message");
        assert_eq!(super::told("-ERR Profile not found\n"), None);
        let list = serde_json::json!({ "VM-List-Message-1-UUID": Uuid::nil(), "VM-List-Message-2-UUID": Uuid::nil(), "VM-List-Count": "2" });
        assert_eq!(listed(&list.to_string()), Some(vec![Uuid::nil()]), "two messages of one leg have one UUID");
        assert_eq!(listed("{\"VM-List-Count\":\"0\"}"), Some(Vec::new()));
        assert_eq!(listed("-ERR vm_fsdb_msg_list Command not found!\n"), None);
        let greeted = serde_json::json!({ "VM-Preference-Greeting-File-Path": "/s/greeting_3.wav" });
        assert_eq!((greeting(&greeted.to_string()), greeting("-ERR No greeting found\n")), (Some(3), None));
    }

    #[test]
    fn only_plain_paths_are_given_to_a_switch() {
        for bad in [
            "",
            "a.wav",
            "/a b.wav",
            "/a'.wav",
            "/../etc/x.wav",
            "/a\n.wav",
            "/${x}.wav",
            &format!("/{}", "a".repeat(250)),
        ] {
            assert_eq!(Path::parse(bad), None, "{bad}");
        }
        assert!(Path::parse("/s/acme.test/u7k/msg_1_broadcast_msg_2.wav").is_some());
    }
}
