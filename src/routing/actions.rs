//! A route as the applications a switch runs for it.
//!
//! FreeSWITCH expands every argument (`switch_core_session_exec`), some twice (`set`), and dial strings once more. So
//! arguments are built from validated texts and constants alone, and hold no `$` at all.

use super::{Route, Tenant};
use crate::text::{Domain, SipUsername};

/// One application and its argument.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Action {
    pub application: &'static str,
    pub data: String,
}

fn action(application: &'static str, data: impl Into<String>) -> Action {
    Action { application, data: data.into() }
}

fn set(name: &str, value: impl std::fmt::Display) -> Action {
    action("set", format!("{name}={value}"))
}

fn user(extension: &SipUsername, domain: &Domain) -> String {
    format!("user/{extension}@{domain}")
}

impl Route {
    #[must_use]
    pub fn actions(&self, tenant: &Tenant) -> Vec<Action> {
        let domain = &tenant.domain;
        match self {
            Self::Echo => vec![action("answer", ""), action("echo", "")],
            Self::Ring { extension, seconds, then_voicemail } => {
                let mut actions = ring(&user(extension, domain), *seconds, *then_voicemail);
                if *then_voicemail {
                    actions.push(action("answer", ""));
                    actions.push(action("sleep", "500"));
                    actions.push(action("voicemail", format!("default {domain} {extension}")));
                }
                actions
            }
            Self::RingAll { members, seconds } => {
                let legs = members.iter().map(|member| user(member, domain)).collect::<Vec<_>>().join(",");
                ring(&legs, *seconds, false)
            }
            Self::Voicemail { mailbox } => {
                let mailbox = mailbox.as_ref().map(|mailbox| format!(" {mailbox}")).unwrap_or_default();
                let check = action("voicemail", format!("check default {domain}{mailbox}"));
                vec![action("answer", ""), action("sleep", "500"), check]
            }
            Self::Refused(refusal) => vec![action("hangup", refusal.cause())],
        }
    }
}

/// Rings for so long; what follows runs only if nobody took the call.
fn ring(dial_string: &str, seconds: u16, continue_on_fail: bool) -> Vec<Action> {
    vec![
        set("call_timeout", seconds),
        set("hangup_after_bridge", true),
        set("continue_on_fail", continue_on_fail),
        action("bridge", dial_string),
    ]
}
