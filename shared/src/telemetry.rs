//! Logging: one JSON object per line on standard output, which CloudWatch indexes.

use tracing_subscriber::{EnvFilter, fmt};

use crate::env::Env;

/// Starts logging at `LOG_LEVEL` (a `tracing` filter; default `info`) and writing metrics, and hides panic messages.
pub fn init(env: &Env) {
    let filter = EnvFilter::new(env.get("LOG_LEVEL").unwrap_or("info"));
    // Fails if a logger is set already, when two functions run in one process; then the first one stays.
    let _ = fmt().json().flatten_event(true).with_env_filter(filter).with_target(false).try_init();
    crate::metrics::write_to(std::io::stdout());
    hide_panic_messages();
}

/// Logs only the location of a panic: its message can contain anything, such as a password.
pub fn hide_panic_messages() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "panicked");
    }));
}
