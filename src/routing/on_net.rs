//! On-net calls: to phone numbers of the platform itself, without a carrier, and not counted.

use super::{
    Action, Hops,
    action::{action, set},
    callee::Callee,
    carried::offered_codecs,
    outbound::Caller,
};
use crate::{model::channel, text::Domain};

/// Where the called number's tenant is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnNet {
    /// On the caller's own cluster. The call comes in like one from outside.
    Here,
    /// On another cluster, whose switches are reached at this domain, from one `external` profile to the other.
    At(Domain),
}

impl OnNet {
    #[must_use]
    pub fn actions(&self, callee: &Callee, caller: Option<&Caller>, hops: Hops, withheld: bool) -> Vec<Action> {
        let shown = caller.and_then(|caller| caller.numbers.iter().find(|held| held.active)).map(|held| &held.number);
        let mut run = Vec::new();
        if let Some(number) = shown {
            run.extend(["effective_caller_id_number", "effective_caller_id_name"].map(|name| set(name, number)));
        }
        match self {
            Self::Here => {
                // Where the call comes in, the caller is not one of the house.
                run.push(match shown {
                    Some(number) => set(channel::NUMBER, number),
                    None => action("unset", channel::NUMBER),
                });
                run.push(action("unset", channel::NAME));
                run.push(hops.on(callee.number.as_str()));
                run.push(action("transfer", format!("{} XML public", callee.number)));
            }
            Self::At(domain) => {
                run.extend(["call_timeout", "ignore_early_media"].map(|name| action("unset", name)));
                run.extend([set("hangup_after_bridge", true), set("continue_on_fail", false)]);
                let mut variables = offered_codecs(None);
                if withheld {
                    // The other cluster is told, and withholds it from phones.
                    run.push(action("privacy", "full"));
                    variables.push_str(",sip_cid_type=pid");
                }
                run.push(action("bridge", format!("[{variables}]sofia/external/{}@{domain}", callee.number)));
            }
        }
        run
    }
}
