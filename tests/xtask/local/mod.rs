//! `cargo local`: the whole backend on loopback, with one command.

mod configuration;
mod demo;
mod event;
mod serve;
mod services;
mod with;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use tests::harness::{SigningKey, openapi};

/// Run the whole backend on this machine.
///
/// Without a command: serve the API on port 9000 (or PORT) of 127.0.0.1 until Ctrl-C, and store the data in .local/.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
ELEVENLABS_API_KEY, GEMINI_API_KEY (with *_BASE_URL), MONGODB_URI, S3_ENDPOINT and RECORDINGS_BUCKET,
in the environment or in a file .env, replace the fakes with the real services."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the main job once on a fresh stack: register, record, perform, listen, check that no clone is left
    Demo {
        /// The voice to clone [default: the sample recording of the tests]
        recording: Option<PathBuf>,
    },
    /// Run MongoDB, S3 and the fake providers without the functions, for `cargo lambda watch`
    Services,
    /// Print a sample event of events/ for `cargo lambda invoke`, with values of the running services
    Event {
        /// The event's file name without .json; all names are listed if it is left out
        name: Option<String>,
    },
    /// Print the API's description (OpenAPI), generated from the code
    Openapi,
    /// Run a command with services and an API of its own; its environment says how to reach them
    With {
        /// The program and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Generate a signing key for a deployment, and the public key set that verifies it
    Key,
}

pub async fn run(arguments: Arguments) -> Result<ExitCode, String> {
    match arguments.command {
        None => serve::serve().await?,
        Some(Command::Demo { recording }) => demo::demo(recording).await?,
        Some(Command::Services) => services::services().await?,
        Some(Command::Event { name }) => event::event(name.as_deref()).await?,
        Some(Command::Openapi) => print!("{}", openapi::text()),
        Some(Command::With { command }) => with::with(&command).await?,
        Some(Command::Key) => {
            let key = SigningKey::generate();
            println!("JWT_SIGNING_KEY (secret, for auth alone):\n{}\n", key.private);
            println!("JWT_PUBLIC_KEYS:\n{}", key.public_set);
        }
    }
    Ok(ExitCode::SUCCESS)
}
