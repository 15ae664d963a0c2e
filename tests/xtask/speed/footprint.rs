//! The memory of `perform` after many performs, and the size of every function's deployment package.

use std::{fs, path::Path, process::Command};

use tests::harness::LambdaBinaries;

use super::{
    FUNCTIONS,
    bench_env::{BenchEnv, Delays},
    report::{Report, megabytes},
};

/// Performs of one process.
pub const PERFORMS: usize = 1000;
/// After so many, further growth is a leak or a pool that never shrinks.
const WARM: usize = 10;

pub async fn measure(binaries: &LambdaBinaries, bench: &BenchEnv, report: &mut Report) -> Result<(), String> {
    memory(binaries, bench, report).await?;
    packages(binaries, report)
}

async fn memory(binaries: &LambdaBinaries, bench: &BenchEnv, report: &mut Report) -> Result<(), String> {
    let no_proc = "The memory of a process cannot be read here: there is no /proc.";
    bench.reset(&Delays::NONE)?;
    let perform = bench.function(binaries, "perform").await?;
    perform.time_to_first_next().await.map_err(|failure| failure.to_string())?;
    report.raw(
        "memory of perform at its start",
        format!("{:.1} MB", megabytes(perform.resident_bytes().ok_or(no_proc)?)),
    );
    for performed in 1..=PERFORMS {
        bench.perform(&perform).await?;
        if performed == WARM {
            let bytes = perform.resident_bytes().ok_or(no_proc)?;
            report.raw(format!("memory of perform after {WARM}"), format!("{:.1} MB", megabytes(bytes)));
        }
    }
    let bytes = perform.resident_bytes().ok_or(no_proc)?;
    report.bytes(&format!("memory of perform after {PERFORMS}"), 16.0, bytes);
    let peak = perform.peak_resident_bytes().ok_or(no_proc)?;
    report.raw(format!("memory of perform, the most in {PERFORMS}"), format!("{:.1} MB", megabytes(peak)));
    Ok(())
}

fn packages(binaries: &LambdaBinaries, report: &mut Report) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| format!("No temporary folder: {error}."))?;
    for name in FUNCTIONS {
        let program = binaries.path(name)?;
        let package = folder.path().join(name).with_extension("zip");
        zip(program, &package)?;
        report.bytes(&format!("package of {name}"), 7.0, length(&package)?);
        report.raw(format!("program of {name}"), format!("{:.1} MB", megabytes(length(program)?)));
    }
    Ok(())
}

/// Packs with deflate, as the platform requires. Python, which CI needs too, has it built in.
fn zip(program: &Path, package: &Path) -> Result<(), String> {
    let zipped = Command::new("python3").args(["-m", "zipfile", "-c"]).args([package, program]).status();
    match zipped {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("python3 could not pack {}: {status}.", program.display())),
        Err(error) => Err(format!("python3 is needed to measure the packages: {error}.")),
    }
}

fn length(file: &Path) -> Result<u64, String> {
    let metadata = fs::metadata(file).map_err(|error| format!("{}: {error}.", file.display()))?;
    Ok(metadata.len())
}
