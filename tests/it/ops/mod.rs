//! The operators' command line, `cargo ops`.

mod commands;
mod migrate;
