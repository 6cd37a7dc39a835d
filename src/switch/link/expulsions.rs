//! Who was suspended or deleted leaves a switch at once: a registration outlives the right to it until it runs out, a call until
//! somebody hangs up.

use uuid::Uuid;

use super::{
    VisitError,
    socket::Talk,
    store::{self, Leaving},
};
use crate::{model::channel, node::changes::Changes};

/// As many leave in one visit; the next goes on.
const MOST: i64 = 200;

/// Has everybody leave who is to. What the switch does not do is tried again.
pub(super) async fn expel(changes: &Changes, talk: &Talk, switch: Uuid) -> Result<(), VisitError> {
    for leaving in store::leaving(changes.pool(), switch, MOST).await? {
        let mut done = true;
        for command in commands(&leaving) {
            let answer = talk.ask(&command).await?;
            done &= answer.contains("+OK");
            tracing::debug!(%switch, command, answer = answer.trim(), "somebody leaves a switch");
        }
        tracing::info!(%switch, extension = %leaving.extension, calls = leaving.calls, done, "somebody was to leave a switch");
        if done {
            store::left(changes.pool(), &leaving).await?;
        } else {
            store::not_left(changes.pool(), &leaving).await?;
        }
    }
    Ok(())
}

/// The commands have no short form: without its argument `flush_inbound_reg` ends all registrations, `hupall` all calls.
fn commands(leaving: &Leaving) -> Vec<String> {
    let Leaving { extension, sip_username, domain, calls, .. } = leaving;
    let mut commands = vec![format!("sofia profile internal flush_inbound_reg {sip_username}@{domain}")];
    if *calls {
        // Its own calls and those that it took carry the extension, but for a call for help; phones that still ring do not yet.
        commands.push(format!("hupall CALL_REJECTED {} {extension}", channel::EXTENSION));
        commands.push(format!("hupall CALL_REJECTED presence_id {sip_username}@{domain} direction outbound"));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Domain, SipUsername};

    #[test]
    fn calls_end_with_the_right_to_them_and_not_with_a_password() {
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
        let ringing = "hupall CALL_REJECTED presence_id 1000@acme.test direction outbound";
        assert_eq!(commands(&leaving), [flush, own, ringing]);
    }
}
