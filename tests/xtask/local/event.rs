//! `cargo local event NAME`: prints a sample event of `events/` with its placeholders filled in.
//!
//! For `cargo lambda invoke`, with the services that `cargo local services` runs in another terminal.

use std::{fs, path::Path};

use shared::{clock::Clock, env::Env};
use tests::harness::{Backend, sample_events};

use super::configuration;

/// Prints the event, or the names of all events.
pub async fn event(name: Option<&str>) -> Result<(), String> {
    let env = configuration::load_env()?;
    configuration::init_logs(&env, "error");
    let folder = configuration::workspace(&env).join("events");
    let Some(name) = name else {
        println!("{}", names(&folder)?.join("\n"));
        return Ok(());
    };
    let event = fs::read_to_string(folder.join(format!("{name}.json")))
        .map_err(|error| format!("There is no event {name} ({error}). `cargo local event` lists them."))?;
    let recording = configuration::recording(&configuration::sample_recording(&env))?;
    let backend = Backend::start(&services_env(&configuration::lambda_env(&env))?, &Clock::system()).await?;
    println!("{}", sample_events::whole(&backend, &event, &recording).await?);
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>, String> {
    let unreadable =
        |error: std::io::Error| format!("The folder {} cannot be read: {error}.", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        names.extend(file.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// The environment of the running services.
fn services_env(file: &Path) -> Result<Env, String> {
    let not_running =
        |_| "The services are not running: start `cargo local services` in another terminal.".to_owned();
    let lines = dotenvy::from_path_iter(file).map_err(not_running)?;
    lines.collect::<Result<Env, _>>().map_err(|_| format!("{} cannot be read.", file.display()))
}
