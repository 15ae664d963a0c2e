//! The commands of development: `cargo local`, `cargo faults` and `cargo speed`, which are aliases in
//! `.cargo/config.toml` for this one program.

mod faults;
mod local;
mod speed;

use std::process::ExitCode;

use clap::Parser;

// Named as it is called: through cargo's aliases.
#[derive(Parser)]
#[command(name = "cargo", bin_name = "cargo", about = "Development commands of the New Visions backend")]
enum Command {
    Local(local::Arguments),
    Faults(faults::Arguments),
    Speed(speed::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let ended = match Command::parse() {
        Command::Local(arguments) => local::run(arguments).await,
        Command::Faults(arguments) => faults::run(arguments).await,
        Command::Speed(arguments) => speed::run(arguments).await,
    };
    ended.unwrap_or_else(|message| {
        eprintln!("\n{message}");
        ExitCode::FAILURE
    })
}
