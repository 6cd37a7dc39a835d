//! The channel variables that Dialplane sets on calls, and reads from them and from call records. No other variable begins with
//! `dialplane_`.

/// The tenant's id, on every leg that its routing made.
pub const TENANT: &str = "dialplane_tenant";
/// The id of the extension that a leg belongs to. By this, the legs of suspended people are found and ended.
pub const EXTENSION: &str = "dialplane_extension";
/// The SIP username of the extension that forwarded or transferred the call, and so pays for it.
pub const ON_BEHALF: &str = "dialplane_on_behalf";
/// How often the call was led on, so that circles end.
pub const HOPS: &str = "dialplane_hops";
/// On a leg to a carrier: the carrier.
pub const CARRIER: &str = "dialplane_carrier";
/// On a leg to a carrier: the call that it was admitted for.
pub const CALL: &str = "dialplane_call";
/// On a leg to a carrier: the called number, as it was admitted. A call may be admitted for several numbers in turn.
pub const CALLEE: &str = "dialplane_callee";
