//! On-net calls: to phone numbers of the platform itself, without a carrier, and not counted.

use std::fmt;

use uuid::Uuid;

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
    pub fn actions(
        &self,
        tenant: Uuid,
        callee: &Callee,
        caller: Option<&Caller>,
        hops: Hops,
        withheld: bool,
    ) -> Vec<Action> {
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
                if let Some(caller) = caller {
                    let made = Made { tenant, extension: caller.extension, number: callee.number.to_string() };
                    run.push(set(channel::ON_NET, made));
                }
                run.push(hops.on(callee.number.as_str()));
                run.push(action("transfer", format!("{} XML public", callee.number)));
            }
            Self::At(domain) => {
                run.extend(["call_timeout", "ignore_early_media"].map(|name| action("unset", name)));
                run.extend([set("hangup_after_bridge", true), set("continue_on_fail", false)]);
                let mut variables = format!("{}={},{}", channel::CALLEE, callee.number, offered_codecs(None));
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

/// Who called a number of another tenant, and which, as the channel says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub tenant: Uuid,
    pub extension: Uuid,
    pub number: String,
}

impl Made {
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (tenant, extension, number) =
            (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.to_owned());
        parts.next().is_none().then_some(Self { tenant, extension, number })
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.extension, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_called_is_read_as_it_is_written() {
        let made = Made { tenant: Uuid::from_u128(1), extension: Uuid::from_u128(2), number: "+12025550112".into() };
        assert_eq!(Made::read(&made.to_string()), Some(made));
        for wrong in ["", "a/b/c", "+12025550112", &format!("{0}/{0}/1/2", Uuid::nil())] {
            assert_eq!(Made::read(wrong), None, "{wrong}");
        }
    }
}
