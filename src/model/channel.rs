//! The channel variables that this service sets on calls and reads from them and from their records. Nothing else begins with
//! `dialplane_`.

/// Whose call it is: the tenant's id. On every leg that a tenant's routing made.
pub const TENANT: &str = "dialplane_tenant";
/// The extension that a leg belongs to: its id. Legs of who is suspended are found and ended by it.
pub const EXTENSION: &str = "dialplane_extension";
/// Who forwarded or transferred the call, and pays for where it goes: a SIP user name of the tenant.
pub const ON_BEHALF: &str = "dialplane_on_behalf";
/// How often the call was led on: circles end by it.
pub const HOPS: &str = "dialplane_hops";
/// On a leg to a carrier: which.
pub const CARRIER: &str = "dialplane_carrier";
/// On a leg to a carrier: the call that it was admitted for.
pub const CALL: &str = "dialplane_call";
/// On a leg to a carrier: the number called, as it was admitted. A call may be admitted for several, one after the other.
pub const CALLEE: &str = "dialplane_callee";
