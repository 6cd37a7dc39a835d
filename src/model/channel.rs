//! The channel variables that Dialplane sets on calls, and reads from them and from call records. No other variable begins with
//! `dialplane_`.

/// The tenant's id, on every leg that its routing made.
pub const TENANT: &str = "dialplane_tenant";
/// The id of the extension that a leg belongs to. By this, the legs of suspended people are found and ended.
pub const EXTENSION: &str = "dialplane_extension";
/// On a call of a phone that may only call for help, because its extension or its tenant is suspended.
pub const HELP_ONLY: &str = "dialplane_help_only";
/// On a call of a phone: a number of its agent, which its calls for help show even if the database can't be asked.
pub const OWN_NUMBER: &str = "dialplane_own_number";
/// On a channel of a phone: its extension's number and name, as colleagues see them. The number is what rules about callers compare; the
/// switch itself knows the SIP username only.
pub const NUMBER: &str = "dialplane_number";
pub const NAME: &str = "dialplane_name";
/// On a call of a phone: the area code of its extension, if it has one of its own.
pub const AREA: &str = "dialplane_area";
/// The SIP username of the extension that forwarded or transferred the call, and so pays for it.
pub const ON_BEHALF: &str = "dialplane_on_behalf";
/// On a leg that rings outside besides a phone, or instead of a group's member: a number of whoever calls, if they are one of the tenant.
pub const ORIGINAL: &str = "dialplane_original";
/// The SIP username of the extension that forwarded the call, `:`, and where to. Its mailbox takes the call if nobody there does.
pub const FORWARDER: &str = "dialplane_forwarder";
/// On a channel of a phone that makes calls: the phone, as `user@domain`. Whoever it is connected with is told when they are connected.
pub const MADE_BY: &str = "dialplane_made_by";
/// The same of a phone that takes a call.
pub const TAKEN_BY: &str = "dialplane_taken_by";
/// Whoever transferred the call gets it back if nobody takes it: their SIP username.
pub const BACK: &str = "dialplane_back";
/// On a caller who waits in a queue that calls back: the number to call.
pub const CALL_BACK: &str = "dialplane_call_back";
/// On a phone's channel that calls a number of another tenant of its cluster: its own tenant, its extension, and the number. From then on, all
/// else on the channel is the other tenant's.
pub const ON_NET: &str = "dialplane_on_net";
/// On a caller who waits in a queue: when they were last told their place, in seconds since 1970.
pub const ANNOUNCED_AT: &str = "dialplane_told";
/// How often the call was led on, so that circles end.
pub const HOPS: &str = "dialplane_hops";
/// Its value on a call of a phone that may only call for help.
pub const HELP_HOPS: &str = "help";
/// Whether the caller's number is withheld: `true` or `false`. The directory sets it for an extension, a code for one call.
pub const WITHHOLD: &str = "dialplane_withhold";
/// On a phone's leg that Dialplane called first: the number that it calls then.
pub const PLACES: &str = "dialplane_places";
/// On a call that is to show a certain number of its caller's: that number. Others than the caller's own are not shown.
pub const SHOWS: &str = "dialplane_shows";
/// On a leg to a carrier: the carrier.
pub const CARRIER: &str = "dialplane_carrier";
/// On a leg to a carrier: the call that it was admitted for.
pub const CALL: &str = "dialplane_call";
/// On a leg to a carrier: the called number, as it was admitted. A call may be admitted for several numbers in turn.
pub const CALLEE: &str = "dialplane_callee";
