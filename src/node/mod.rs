//! What makes a node one of several: generations and how it learns of them, changes and how they are acknowledged, its connections to
//! the database. Knows nothing of what is changed or fetched.

pub mod apart;
pub mod change_store;
pub mod changes;
pub mod database;
pub mod database_store;
pub mod disk;
pub mod disk_store;
pub mod epoch_store;
pub mod generations;
pub mod history;
pub mod lease;
pub mod poller;
pub mod poller_store;
pub mod schema;
