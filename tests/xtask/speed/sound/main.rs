//! `sound WORK`: repeats one kind of work on the same half minute of speech, and prints as JSON the minimum time (other load
//! on the machine only adds to it), the length of the speech, and the peak memory of the work.
//!
//! One process for each kind, because the peak memory is that of the process.

use std::{
    fs,
    hint::black_box,
    io::Cursor,
    process::ExitCode,
    time::{Duration, Instant},
};

use bytes::Bytes;
use perform::ambience;
use serde_json::json;
use shared::{audio, deadline::Deadline, settings::Percent};
use symphonia::{
    core::{
        codecs::{
            CodecParameters,
            audio::{AudioDecoder as _, AudioDecoderOptions},
        },
        formats::{FormatOptions, FormatReader as _},
        io::{MediaSourceStream, MediaSourceStreamOptions},
    },
    default::{codecs::MpaDecoder, formats::MpaReader},
};

const MP3: &[u8] = include_bytes!("../../../fixtures/recordings/speech-34s.mp3");
const WEBM: &[u8] = include_bytes!("../../../fixtures/recordings/speech-34s.webm");
const M4A: &[u8] = include_bytes!("../../../fixtures/recordings/speech-34s.m4a");
/// Repetitions.
const TIMES: usize = 15;

fn main() -> ExitCode {
    let work: fn() = match std::env::args().nth(1).as_deref() {
        Some("decode-mp3") => decode,
        Some("check-mp3") => || check(MP3),
        Some("check-webm") => || check(WEBM),
        Some("check-m4a") => || check(M4A),
        Some("mix") => mix,
        _ => {
            eprintln!("Usage: sound decode-mp3 | check-mp3 | check-webm | check-m4a | mix");
            return ExitCode::FAILURE;
        }
    };
    let before = peak_kilobytes();
    let times = (0..TIMES).map(|_| {
        let started = Instant::now();
        work();
        started.elapsed()
    });
    let least = times.min().unwrap_or_default();
    let needed = peak_kilobytes().zip(before).map(|(after, before)| (after - before) * 1024);
    let seconds = audio::inspect(&Bytes::from_static(MP3)).map_or(0.0, |audio| audio.duration.as_secs_f64());
    let nanoseconds = u64::try_from(least.as_nanos()).unwrap_or(u64::MAX);
    println!("{}", json!({ "nanoseconds": nanoseconds, "seconds_of_sound": seconds, "peak_bytes": needed }));
    ExitCode::SUCCESS
}

/// The reference: decoding alone.
fn decode() {
    let stream = MediaSourceStream::new(Box::new(Cursor::new(MP3)), MediaSourceStreamOptions::default());
    let mut reader = MpaReader::try_new(stream, FormatOptions::default()).expect("an MP3");
    let Some(CodecParameters::Audio(codec)) = reader.tracks()[0].codec_params.clone() else {
        panic!("an MP3 has a codec")
    };
    let mut decoder = MpaDecoder::try_new(&codec, &AudioDecoderOptions::default()).expect("a decoder");
    while let Some(packet) = reader.next_packet().expect("a whole MP3") {
        black_box(decoder.decode(&packet).expect("sound"));
    }
}

fn check(recording: &'static [u8]) {
    black_box(audio::inspect(&Bytes::from_static(black_box(recording))).expect("a recording"));
}

fn mix() {
    let volume = Percent::try_from(30.0).expect("a percentage");
    let mixed = ambience::mix(black_box(MP3), volume, 1, Deadline::after(Duration::from_mins(1)));
    black_box(mixed.expect("a mix"));
}

/// The peak memory of this process, where the system reports it.
fn peak_kilobytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}
