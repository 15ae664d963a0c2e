//! `cargo speed`: what the shipped programs cost, measured in one run against the stand-ins.
//!
//! Times on somebody's machine say little, so each of them stands beside a reference that was measured in the same
//! run, and the goal is for their ratio. Sizes and counts are what they are anywhere.
//!
//! - `stage`: the stand-ins, a performer, and the provider's usual slowness;
//! - `perform_time`: what a perform adds to the time of those it waits for, and what the first one adds to that;
//! - `sound`: checking a recording, and mixing the ambience under a voice;
//! - `cold_start`: from the execution of a program to its first question for an event;
//! - `footprint`: memory after many performs, and the size of the deployment packages;
//! - `round_trips`: commands to the database for each call;
//! - `report`: what is printed.

mod bench_env;
mod cold_start;
mod footprint;
mod perform_time;
mod report;
mod round_trips;
mod sound;

use std::process::ExitCode;

use bench_env::BenchEnv;
use report::Report;
use tests::harness::LambdaBinaries;

/// Every function.
const FUNCTIONS: [&str; 7] = ["auth", "users", "activation", "thought", "perform", "usage", "sweep"];
/// The function that does nothing: the yardstick of cold starts.
const EMPTY: &str = "empty";
/// The program that works on sound as the functions do.
const SOUND: &str = "sound";

const USAGE: &str = "\
Usage:
  cargo speed            build the release programs, measure, and say which goals are met
  cargo speed --strict   the same, and fail if one is missed";

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let strict = match words.as_slice() {
        [] => false,
        ["--strict"] => true,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    match measure().await {
        Ok(report) => {
            println!("{report}");
            if strict && !report.all_met() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(why) => {
            eprintln!("\n{why}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<Report, String> {
    println!("Building the release programs (some minutes at first):");
    let binaries = LambdaBinaries::build(Some("--release"), &[&FUNCTIONS[..], &[EMPTY, SOUND]].concat())?;
    println!("Built in {:.0} s.", binaries.built_in.as_secs_f64());

    println!("Starting the stand-ins and registering a performer …");
    let stage = BenchEnv::set(&binaries).await?;
    let mut report = Report::default();
    println!("Measuring performs, first and warm …");
    perform_time::measure(&binaries, &stage, &mut report).await?;
    println!("Measuring the work on sound …");
    sound::measure(&binaries, &mut report)?;
    println!("Measuring cold starts …");
    cold_start::measure(&binaries, &stage, &mut report).await?;
    println!("Measuring memory over {} performs, and package sizes …", footprint::PERFORMS);
    footprint::measure(&binaries, &stage, &mut report).await?;
    println!("Counting commands to the database …");
    round_trips::measure(&binaries, stage, &mut report).await?;
    Ok(report)
}
