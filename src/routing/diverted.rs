//! Calls inside that an extension forwards: the next phones are told by whom (RFC 5806). What carriers are told is in `carried`.

use super::{Action, action::action};
use crate::text::{Domain, ExtensionNumber};

/// A variable that a switch gives to the legs that a channel calls, and not to the channel itself, for which a phone or carrier may have
/// written a header of its own (`switch_channel_export_variable_var_check` and `switch_channel_process_export` in switch_channel.c).
pub(super) const DIVERSION: &str = "nolocal:sip_h_Diversion";

/// Has phones that ring from now on say who forwards the call. `number`: none if that extension withholds it.
pub(super) fn by(number: Option<&ExtensionNumber>, domain: &Domain) -> Action {
    match number {
        Some(number) => action("export", format!("{DIVERSION}=<sip:{number}@{domain}>;reason=unknown")),
        None => forgotten(),
    }
}

/// From now on it is another call, or is called out of the house.
#[must_use]
pub fn forgotten() -> Action {
    action("unset", DIVERSION)
}
