//! Builds the programs that the platform would run, and knows where they are.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde::Deserialize;
use shared::env::Env;

/// The built programs.
pub struct LambdaBinaries {
    programs: Vec<(String, PathBuf)>,
    /// How long cargo took.
    pub built_in: Duration,
}

/// The messages of cargo that are of interest here.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact {
        target: Target,
        executable: Option<PathBuf>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

impl LambdaBinaries {
    /// Has cargo build these packages, with its own progress; `profile` is `--release` or nothing. The packages are
    /// named, because cargo gives all that it builds at once the features that any of them asks for.
    pub fn build(profile: Option<&str>, packages: &[&str]) -> Result<Self, String> {
        let started = Instant::now();
        let output = Command::new(Env::from_process().get("CARGO").unwrap_or("cargo"))
            .args(["build", "--locked", "--message-format=json-render-diagnostics"])
            .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")])
            .args(profile)
            .args(packages.iter().flat_map(|name| ["--package", *name]))
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cargo cannot be started: {error}."))?;
        if !output.status.success() {
            return Err(format!("cargo could not build the programs ({}).", output.status));
        }
        let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Message>();
        let programs = messages.filter_map(|message| match message {
            Ok(Message::CompilerArtifact { target, executable: Some(path) }) => Some(Ok((target.name, path))),
            Ok(_) => None,
            Err(error) => Some(Err(format!("Cargo's messages cannot be read: {error}."))),
        });
        Ok(Self { programs: programs.collect::<Result<_, _>>()?, built_in: started.elapsed() })
    }

    /// Where a program is.
    pub fn path(&self, name: &str) -> Result<&Path, String> {
        let found = self.programs.iter().find(|(known, _)| known == name);
        found.map(|(_, path)| path.as_path()).ok_or_else(|| format!("Cargo built no program {name}."))
    }
}
