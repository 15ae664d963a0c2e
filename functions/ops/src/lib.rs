//! `cargo ops`: the operators' command line. Not a Lambda.
//!
//! Each command is a file. A command that changes something is a dry run unless it is given `--yes`, and is safe to
//! repeat. Results go to standard output; progress and the name of the deployment go to standard error.
//!
//! The commands use the same stores and clients as the functions, and read the same environment variables.

mod admin;
mod clone_limit;
mod codes;
mod indexes;
mod migrate;
mod smoke;
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
    http_client,
    migration::MigrationCheck,
    mongo,
    object_store::{ObjectStore, S3Error},
    sweeper::Sweeper,
    users::Users,
    voice_name::VoiceNaming,
};
use smoke::Smoke;

/// Admin tasks for the deployment of New Visions that the environment names: STAGE and MONGODB_URI always,
/// ELEVENLABS_API_KEY and the bucket's variables where a command needs them.
#[derive(Parser)]
#[command(name = "cargo ops", bin_name = "cargo ops")]
#[expect(clippy::doc_markdown, reason = "it is printed by --help")]
pub struct Ops {
    /// A file of NAME=value lines that override the environment's variables, such as .local/lambda.env.
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Issue activation codes and print them, one per line.
    Codes {
        /// How many.
        #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
        count: u16,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Make an account an admin, who may issue activation codes and see the provider's account.
    Admin {
        /// The account's username.
        username: String,
        /// Revoke the role instead.
        #[arg(long)]
        revoke: bool,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Set an account's voice creations per month.
    CloneLimit {
        /// The account's username.
        username: String,
        /// Voice creations per month. Without it, the deployment's limit applies again.
        #[arg(value_parser = clap::value_parser!(i64).range(0..=1_000_000))]
        limit: Option<i64>,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Run the scheduled sweep now: delete leftover voices, free their slots and users.
    Sweep(Confirm),
    /// Show the provider's quotas, the voices, the slots in use and the running performs.
    Status,
    /// Create the database's missing indexes.
    Indexes(Confirm),
    /// Convert the earlier backend's accounts and activation codes, and move recordings to S3.
    Migrate {
        /// Documents to read per query, without their recordings.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
        batch: u16,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Do the main job against a deployed API: register, upload, perform, delete the account.
    Smoke(Smoke),
}

#[derive(Args, Clone, Copy)]
struct Confirm {
    /// Apply the changes. Without it, the command is a dry run.
    #[arg(long)]
    yes: bool,
}

/// Why a command failed: a message for the operator, without secrets.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}. It is read from the environment, or from the file of --env-file.")]
    Env(#[from] EnvError),
    #[error("{0}.")]
    Connect(#[from] mongo::ConnectError),
    #[error("MongoDB failed: {}.", mongo::redacted(.0))]
    Mongo(#[from] mongodb::error::Error),
    #[error("S3 failed: {0}.")]
    S3(#[from] S3Error),
    #[error("{}", describe(.0))]
    Backend(#[from] Error),
    #[error("The result cannot be written: {0}.")]
    Output(#[from] io::Error),
    #[error("{0}")]
    Other(String),
}

impl Ops {
    /// Runs the command on the deployment that `env` names, and prints its results to `out`.
    pub async fn run(self, mut env: Env, clock: Clock, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        if let Some(file) = &self.env_file {
            let unreadable = || Failure::Other(format!("{} cannot be read.", file.display()));
            for line in dotenvy::from_path_iter(file).map_err(|_| unreadable())? {
                // The error is dropped: it quotes the line, which may hold a secret.
                env.extend([line.map_err(|_| unreadable())?]);
            }
        }
        // With a code, all that this needs is the API.
        if let Command::Smoke(smoke) = &self.command
            && smoke.code.is_some()
        {
            return smoke.run(None, out).await;
        }
        let deployment = Deployment::connect(env, clock).await?;
        match self.command {
            Command::Smoke(smoke) => smoke.run(Some(&deployment), out).await,
            Command::Codes { count, confirm } => codes::issue(&deployment, count, confirm, out).await,
            Command::Admin { username, revoke, confirm } => {
                admin::set_role(&deployment, &username, !revoke, confirm, out).await
            }
            Command::CloneLimit { username, limit, confirm } => {
                clone_limit::set(&deployment, &username, limit, confirm, out).await
            }
            Command::Sweep(confirm) => sweep::sweep(&deployment, confirm, out).await,
            Command::Status => status::print(&deployment, out).await,
            Command::Indexes(confirm) => indexes::create(&deployment, confirm, out).await,
            Command::Migrate { batch, confirm } => {
                migrate::migrate(&deployment, batch.into(), confirm, out).await
            }
        }
    }
}

struct Deployment {
    env: Env,
    clock: Clock,
    database: Database,
}

impl Deployment {
    /// Prints which deployment it is before anything else, so that an operator notices the wrong one.
    async fn connect(env: Env, clock: Clock) -> Result<Self, Failure> {
        // No default: under a wrong stage, the deployment's own voices would count as foreign.
        let stage = env.required("STAGE")?;
        let database = mongo::connect(&env).await?;
        eprintln!("Stage {stage}, database {} at {}.", database.name(), host(env.required("MONGODB_URI")?));
        Ok(Self { env, clock, database })
    }

    fn users(&self) -> Users {
        Users::new(&self.database, self.clock.clone())
    }

    /// Fails if the database still has documents that the command would not find.
    async fn require_migrated(&self) -> Result<(), Failure> {
        if MigrationCheck::new(&self.database).is_pending().await? {
            return Err(Failure::Other(String::from(
                "The database is in the earlier backend's form: run `cargo ops migrate` first.",
            )));
        }
        Ok(())
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
    Failure::Other(String::from("The HTTPS client cannot be created."))
}

/// The hosts of a MongoDB URI, without the credentials.
fn host(uri: &str) -> &str {
    let after = uri.rsplit_once('@').or_else(|| uri.split_once("://")).map_or("", |(_, rest)| rest);
    after.split(['/', '?']).next().unwrap_or_default()
}

/// Includes the cause, which API responses hide.
fn describe(error: &Error) -> String {
    match error {
        Error::Mongo(error) => format!("MongoDB failed: {}.", mongo::redacted(error)),
        Error::S3(error) => format!("S3 failed: {error}."),
        Error::ProviderUnavailable(error) => format!("ElevenLabs failed: {error}."),
        other => other.to_string(),
    }
}

fn print_dry_run_hint(out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out, "Dry run: pass --yes to apply.")?;
    Ok(())
}
