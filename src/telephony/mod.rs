//! What a tenant telephones with: numbers of its own and of the world, extensions, groups, destinations, dialplan entries, carriers, the
//! calls that leave. A folder each: rules in `mod.rs`, all its SQL in `store.rs`, thin handlers in `api.rs`. No XML: that is the switch's.

pub mod calls;
pub mod carriers;
pub mod destinations;
pub mod dialplan;
pub mod extensions;
pub mod groups;
pub mod names;
pub mod numbers;
pub mod pools;
