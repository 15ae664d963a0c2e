//! The entry point of `cargo ops`.

use std::{io, process::ExitCode};

use clap::Parser as _;
use ops::Ops;
use shared::{clock::Clock, env::Env};
use tracing_subscriber::{EnvFilter, fmt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let ops = Ops::parse();
    let env = Env::from_process();
    let filter = EnvFilter::new(env.get("LOG_LEVEL").unwrap_or("warn"));
    let _ = fmt().compact().with_target(false).with_env_filter(filter).with_writer(io::stderr).try_init();
    shared::telemetry::hide_panic_messages();
    match ops.run(env, Clock::system(), &mut io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
