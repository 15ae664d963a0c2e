//! What holds for all functions: routes, authentication, errors, the API's description, the template, logs and metrics.

mod access;
mod alarms;
mod app_journey;
mod bad_input;
mod base_path;
mod configuration;
mod dependencies;
pub mod events;
mod http_client;
pub mod lambda_binaries;
mod languages;
pub mod openapi;
mod page;
mod policies;
mod round_trips;
pub mod routes;
pub mod secrets;
mod security_log;
mod smoke;
pub mod template;
