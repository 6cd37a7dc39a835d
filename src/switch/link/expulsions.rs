//! Ends the registrations and calls of those who were suspended or deleted. On its own, a registration would last until it
//! expires, and a call until somebody hangs up.

use uuid::Uuid;

use super::{
    VisitError,
    socket::Talk,
    store::{self, Leaving},
};
use crate::{model::channel, node::changes::Changes};

/// The most expulsions in one visit. The next visit continues.
const MOST: i64 = 200;

/// Works off a switch's expulsions. Those that the switch does not carry out are tried again.
pub(super) async fn expel(changes: &Changes, talk: &Talk, switch: Uuid) -> Result<(), VisitError> {
    for leaving in store::leaving(changes.pool(), switch, MOST).await? {
        let mut done = true;
        for command in commands(&leaving) {
            let answer = talk.ask(&command).await?;
            done &= answer.contains("+OK");
            tracing::debug!(%switch, command, answer = answer.trim(), "a switch was told to expel an extension");
        }
        tracing::info!(%switch, extension = %leaving.extension, calls = leaving.calls, done, "an extension was expelled from a switch");
        if done {
            store::left(changes.pool(), &leaving).await?;
        } else {
            store::not_left(changes.pool(), &leaving).await?;
        }
    }
    Ok(())
}

/// The commands always have their arguments: without one, `flush_inbound_reg` ends all registrations and `hupall` all calls.
fn commands(leaving: &Leaving) -> Vec<String> {
    let Leaving { extension, sip_username, domain, calls, .. } = leaving;
    let mut commands = vec![format!("sofia profile internal flush_inbound_reg {sip_username}@{domain}")];
    if *calls {
        // Calls that it made or answered have the extension as a variable (emergency calls don't, so they go on). Phones that
        // still ring don't have it yet, but know whom they ring for (`user_outgoing_channel` in mod_dptools.c).
        commands.push(format!("hupall CALL_REJECTED {} {extension}", channel::EXTENSION));
        commands
            .push(format!("hupall CALL_REJECTED dialed_user {sip_username} dialed_domain {domain} direction outbound"));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Domain, SipUsername};

    #[test]
    fn a_suspension_ends_calls_and_a_new_password_does_not() {
        let mut leaving = Leaving {
            id: 1,
            extension: Uuid::from_u128(7),
            sip_username: SipUsername::parse("1000").unwrap(),
            domain: Domain::parse("acme.test").unwrap(),
            calls: false,
            since: chrono::DateTime::UNIX_EPOCH,
        };
        let flush = "sofia profile internal flush_inbound_reg 1000@acme.test";
        assert_eq!(commands(&leaving), [flush]);
        leaving.calls = true;
        let own = "hupall CALL_REJECTED dialplane_extension 00000000-0000-0000-0000-000000000007";
        let ringing = "hupall CALL_REJECTED dialed_user 1000 dialed_domain acme.test direction outbound";
        assert_eq!(commands(&leaving), [flush, own, ringing]);
    }
}
