//! `cargo ops`: what an operator does by hand to a deployment.
//!
//! Each command is a file. What changes something only says what it would do, until it is given `--yes`; all of it is
//! safe to repeat. Results go to standard output, progress and the name of the deployment to standard error.
//!
//! The commands use the same stores and clients as the functions, and read the same variables.

mod admin;
mod codes;
mod indexes;
mod migrate;
mod status;
mod sweep;

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand};
use mongodb::Database;
use shared::{
    clock::Clock,
    clone_slots::CloneSlots,
    elevenlabs::ElevenLabs,
    env::{Env, EnvError},
    error::Error,
    http_client, mongo,
    object_store::{ObjectStore, S3Error},
    sweeper::Sweeper,
    users::Users,
    voice_name::VoiceNaming,
};

/// Operates a deployment of New Visions, the one that the environment describes: STAGE and MONGODB_URI always,
/// ELEVENLABS_API_KEY and the bucket's variables where a command needs them.
#[derive(Parser)]
#[command(name = "cargo ops", bin_name = "cargo ops")]
#[expect(clippy::doc_markdown, reason = "it is what --help says, too")]
pub struct Ops {
    /// A file of NAME=value lines whose variables win over the environment's, such as .local/lambda.env.
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make activation codes, and print them one a line.
    Codes {
        /// How many.
        #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
        count: u16,
        #[command(flatten)]
        go: Go,
    },
    /// Let an account make activation codes and see the provider's account.
    Admin {
        /// The account's username.
        username: String,
        /// Take the right away.
        #[arg(long)]
        revoke: bool,
        #[command(flatten)]
        go: Go,
    },
    /// Sweep now: delete the voices and free the slots and users that performs left behind.
    Sweep(Go),
    /// Tell what is left at the provider, and what is held.
    Status,
    /// Make the database's indexes that are missing.
    Indexes(Go),
    /// Bring the earlier backend's accounts to today's form, and their recordings to S3.
    Migrate {
        /// Accounts to read at a time.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
        batch: u16,
        #[command(flatten)]
        go: Go,
    },
}

/// Whether a command may change something.
#[derive(Args, Clone, Copy)]
struct Go {
    /// Do it. Without, the command only says what it would do.
    #[arg(long)]
    yes: bool,
}

/// Why a command failed: a sentence for the operator, without a secret.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something that the environment should say.
    #[error("{0}. It is read from the environment, or from the file of --env-file.")]
    Env(#[from] EnvError),
    /// The connection cannot be set up.
    #[error("{0}.")]
    Connect(#[from] mongo::ConnectError),
    /// The database.
    #[error("MongoDB failed: {}.", mongo::redacted(.0))]
    Mongo(#[from] mongodb::error::Error),
    /// The bucket.
    #[error("S3 failed: {0}.")]
    S3(#[from] S3Error),
    /// Something else that the backend asks.
    #[error("{}", plain(.0))]
    Backend(#[from] Error),
    /// Standard output is gone.
    #[error("The result cannot be written: {0}.")]
    Output(#[from] io::Error),
    /// The command's own reason.
    #[error("{0}")]
    Because(String),
}

impl Ops {
    /// Runs the command on the deployment that `env` describes. Its results go to `out`.
    pub async fn run(self, mut env: Env, clock: Clock, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        if let Some(file) = &self.env_file {
            let unreadable = || Failure::Because(format!("{} cannot be read.", file.display()));
            for line in dotenvy::from_path_iter(file).map_err(|_| unreadable())? {
                // The line itself may hold a secret.
                env.extend([line.map_err(|_| unreadable())?]);
            }
        }
        let deployment = Deployment::connect(env, clock).await?;
        match self.command {
            Command::Codes { count, go } => codes::make(&deployment, count, go, out).await,
            Command::Admin { username, revoke, go } => {
                admin::set(&deployment, &username, !revoke, go, out).await
            }
            Command::Sweep(go) => sweep::sweep(&deployment, go, out).await,
            Command::Status => status::tell(&deployment, out).await,
            Command::Indexes(go) => indexes::make(&deployment, go, out).await,
            Command::Migrate { batch, go } => migrate::migrate(&deployment, batch.into(), go, out).await,
        }
    }
}

/// What the commands work on.
struct Deployment {
    env: Env,
    clock: Clock,
    database: Database,
}

impl Deployment {
    /// Says first which deployment it is: the wrong one is the worst mistake that can be made here.
    async fn connect(env: Env, clock: Clock) -> Result<Self, Failure> {
        // Without a default: the name of the stage tells our voices from others'.
        let stage = env.required("STAGE")?;
        let database = mongo::connect(&env).await?;
        eprintln!("Stage {stage}, database {} at {}.", database.name(), host(env.required("MONGODB_URI")?));
        Ok(Self { env, clock, database })
    }

    fn users(&self) -> Users {
        Users::new(&self.database, self.clock.clone())
    }

    fn sweeper(&self) -> Result<Sweeper, Failure> {
        Ok(Sweeper {
            elevenlabs: ElevenLabs::from_env(&self.env, http_client::client().map_err(no_client)?)?,
            slots: CloneSlots::from_env(&self.env, &self.database, self.clock.clone())?,
            users: self.users(),
            names: VoiceNaming::from_env(&self.env),
        })
    }

    fn recordings(&self) -> Result<ObjectStore, Failure> {
        Ok(ObjectStore::from_env(&self.env, http_client::client().map_err(no_client)?)?)
    }
}

fn no_client<E>(_: E) -> Failure {
    Failure::Because(String::from("No HTTPS client can be made."))
}

/// The hosts of a MongoDB URI, without the user and the password before them.
fn host(uri: &str) -> &str {
    let after = uri.rsplit_once('@').or_else(|| uri.split_once("://")).map_or("", |(_, rest)| rest);
    after.split(['/', '?']).next().unwrap_or_default()
}

/// What a performer is not told.
fn plain(error: &Error) -> String {
    match error {
        Error::Mongo(error) => format!("MongoDB failed: {}.", mongo::redacted(error)),
        Error::S3(error) => format!("S3 failed: {error}."),
        Error::ProviderUnavailable(error) => format!("ElevenLabs failed: {error}."),
        other => other.to_string(),
    }
}

/// The last line of what only said what it would do.
fn nothing_was_done(out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out, "Nothing was changed. With --yes it is done.")?;
    Ok(())
}
