//! The operators' command line, `cargo ops`.

mod commands;
mod earlier_database;
mod migrate;
mod smoke;
