//! Logs: one JSON object a line on standard output, which CloudWatch indexes.

use tracing_subscriber::{EnvFilter, fmt};

use crate::env::Env;

/// Starts logging at `LOG_LEVEL` (a `tracing` filter; default `info`), and writing metrics.
///
/// Also replaces Rust's panic message, which repeats the panic's text, by its place alone: a text can hold
/// anything, a password or a recording included.
pub fn init(env: &Env) {
    let filter = EnvFilter::new(env.get("LOG_LEVEL").unwrap_or("info"));
    // A second start (two functions in one process) keeps the first one's logger.
    let _ = fmt().json().flatten_event(true).with_env_filter(filter).with_target(false).try_init();
    crate::metrics::write_to(std::io::stdout());
    hide_panic_texts();
}

/// Logs panics by their place alone.
pub fn hide_panic_texts() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}
