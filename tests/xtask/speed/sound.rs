//! The time of audio processing: validating a recording, and mixing the ambience under a voice.
//!
//! The reference is decoding the same half minute of MP3 in the same run. All of it is CPU time.

use std::{process::Command, time::Duration};

use ::tests::harness::LambdaBinaries;
use serde::Deserialize;

use super::report::{Report, megabytes, milliseconds};

/// The output of the program `sound`.
#[derive(Deserialize)]
struct SoundTiming {
    nanoseconds: u64,
    seconds_of_sound: f64,
    peak_bytes: Option<u64>,
}

pub fn measure(binaries: &LambdaBinaries, report: &mut Report) -> Result<(), String> {
    let decode = run(binaries, "decode-mp3")?;
    let check = run(binaries, "check-mp3")?;
    let mix = run(binaries, "mix")?;
    report.ratio("checking a recording ÷ decoding it", 1.5, check.time(), decode.time());
    report.ratio("mixing the ambience ÷ decoding the voice", 20.0, mix.time(), decode.time());
    if let Some(bytes) = mix.peak_bytes {
        report.bytes("memory of mixing half a minute", 8.0, bytes);
    }
    let others = [
        ("decoding an MP3", decode),
        ("checking an MP3", check),
        ("checking a WebM with Opus", run(binaries, "check-webm")?),
        ("checking an M4A with AAC", run(binaries, "check-m4a")?),
        ("mixing the ambience", mix),
    ];
    for (what, measured) in others {
        let a_second = Duration::from_secs_f64(measured.time().as_secs_f64() / measured.seconds_of_sound);
        let memory =
            measured.peak_bytes.map_or_else(String::new, |bytes| format!(", {:.1} MB", megabytes(bytes)));
        report.raw(what, format!("{} per second of sound{memory}", milliseconds(a_second)));
    }
    Ok(())
}

fn run(binaries: &LambdaBinaries, work: &str) -> Result<SoundTiming, String> {
    let failed = |why: String| format!("Audio processing could not be measured ({work}): {why}.");
    let output = Command::new(binaries.path("sound")?).arg(work).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}

impl SoundTiming {
    fn time(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds)
    }
}
