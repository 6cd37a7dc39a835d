//! What lets several nodes share one database: generations and polling, changes and their acknowledgement, and connections.
//! Nothing here knows what is changed or fetched.

pub mod apart;
pub mod change_store;
pub mod changes;
pub mod clock_store;
pub mod database;
pub mod disk;
pub mod disk_store;
pub mod epoch_store;
pub mod fitness;
pub mod fitness_store;
pub mod generations;
pub mod histogram;
pub mod history;
pub mod jobs;
pub mod lease;
pub mod months_store;
pub mod poller;
pub mod poller_store;
pub mod schema;
pub mod seals;
pub mod seals_store;
pub mod servers;
mod servers_store;
pub mod trace;
