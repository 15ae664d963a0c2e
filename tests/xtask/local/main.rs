//! `cargo local`: the whole backend on loopback, with one command.
//!
//! - `cargo local` serves the API until Ctrl-C and keeps its data in `.local/`;
//! - `cargo local demo [RECORDING]` runs the main job once on a fresh stack;
//! - `cargo local services` runs the stand-ins alone, for `cargo lambda watch`;
//! - `cargo local event [NAME]` prints a sample event for `cargo lambda invoke`;
//! - `cargo local openapi` prints the description of the API;
//! - `cargo local with COMMAND…` runs a command beside services of its own;
//! - `cargo local key` makes a signing key for a deployment.

mod configuration;
mod demo;
mod event;
mod serve;
mod services;
mod with;

use std::{path::PathBuf, process::ExitCode};

use tests::harness::SigningKey;

const USAGE: &str = "\
Usage:
  cargo local                    serve the API on http://127.0.0.1:9000 until Ctrl-C (PORT=… moves it)
  cargo local demo [RECORDING]   run the main job once: register, record, perform, hear, nothing remains
  cargo local services           run MongoDB, S3 and the providers' stand-ins alone, for cargo lambda watch
  cargo local event [NAME]       print an event of events/ for cargo lambda invoke, with the values of those services
  cargo local openapi            print the description of the API, as the code has it
  cargo local with COMMAND…      run a command beside services and an API of its own; its environment says how to reach them
  cargo local key                make a signing key for a deployment, and the public set that verifies it

ELEVENLABS_API_KEY, GEMINI_API_KEY (with *_BASE_URL), MONGODB_URI, S3_ENDPOINT and RECORDINGS_BUCKET in the
environment or in a file .env replace the stand-ins.";

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ended = match words.as_slice() {
        [] => serve::serve().await,
        ["demo"] => demo::demo(None).await,
        ["demo", recording] => demo::demo(Some(PathBuf::from(recording))).await,
        ["event"] => event::event(None).await,
        ["event", name] => event::event(Some(name)).await,
        ["services"] => services::services().await,
        ["with", program, arguments @ ..] => with::with(program, arguments).await,
        ["key"] => {
            let key = SigningKey::generate();
            println!("JWT_SIGNING_KEY (secret, for auth alone):\n{}\n", key.private);
            println!("JWT_PUBLIC_KEYS:\n{}", key.public_set);
            Ok(())
        }
        ["openapi"] => {
            print!("{}", tests::harness::openapi::text());
            Ok(())
        }
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("This is not a command of cargo local.\n\n{USAGE}")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\n{why}");
            ExitCode::FAILURE
        }
    }
}
