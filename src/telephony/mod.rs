//! What a tenant makes calls with: pools, extensions, groups, destinations, dialplan entries, phone numbers, carriers; and what calls leave:
//! calls that leave the platform, rates of exchange for what they cost, their history, recordings, reports, usage, contacts, and their erasure; `names` says what can be dialled. Each subject is a folder with rules in `mod.rs`, all its SQL in `store.rs` and thin handlers
//! in `api.rs`. XML belongs to `switch`.

pub mod calls;
pub mod carriers;
pub mod contacts;
pub mod destinations;
pub mod dialplan;
pub mod erasures;
pub mod exchange;
pub mod extensions;
pub mod groups;
pub mod history;
pub mod names;
pub mod numbers;
pub mod pools;
pub mod recordings;
pub mod reports;
pub mod usage;
