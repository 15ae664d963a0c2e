//! Recording validation: 30 to 120 seconds of audible speech in a supported container and codec.
//!
//! Everything is determined from the bytes; a media type or a duration from the client is ignored. The checks run from
//! cheap to expensive:
//!
//! 1. Size: at most 10 MB.
//! 2. Container: `WebM`, MP4, Ogg, WAV, MP3 or FLAC, by the first bytes (`container/`).
//! 3. Extent: where the recording ends. The container must not go on after the last byte, its tables must be plausible,
//!    and no second recording may follow (`container/`). What is appended is cut off: what was validated is what is kept.
//! 4. Tracks: exactly one of audio and none of video, in Opus, AAC, MP3, FLAC, Vorbis or PCM (`decode.rs`).
//! 5. Sound: every packet is decoded, because headers are not trusted and live recordings of browsers have no duration.
//!    It must last 30 to 120 seconds, have at least 3 seconds above -50 dBFS, and at most 15 % of those at full scale.
//!
//! The bytes may be hostile: decoding is bounded in packets, table sizes and time, and a panicking decoder makes a file
//! [`InvalidRecording::Corrupt`]. A minute of audio takes about 0.1 s.

mod container;
mod decode;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    time::Duration,
};

use bytes::Bytes;

/// The provider's own limit is 11 MB.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;
pub const SECONDS: std::ops::RangeInclusive<f64> = 30.0..=120.0;
/// Seconds by which a recording may miss [`SECONDS`]: encoders pad the sound by up to a tenth of a second.
const TOLERANCE: f64 = 0.25;
/// Seconds that must be louder than silence. Speech with pauses has ten or more; a click before a muted microphone stays
/// below.
const MIN_AUDIBLE: f64 = 3.0;
/// The maximum ratio of clipped to audible sound, 0 to 1. Loud speech clips for moments; above this, a clone learns the
/// distortion.
const MAX_CLIPPED: f64 = 0.15;

/// A valid recording.
#[derive(Clone, PartialEq)]
pub struct Audio {
    pub format: Format,
    /// What is heard: without what an MP4's edit list cuts away, with the pauses that were not transmitted.
    pub duration: Duration,
    /// What was validated and is to be kept: the file up to the end of its sound, its headers corrected where needed.
    pub bytes: Bytes,
}

impl fmt::Debug for Audio {
    /// Without the recording itself, which must not appear in any log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, duration, bytes } = self;
        write!(f, "{format:?} of {duration:?} in {} bytes", bytes.len())
    }
}

/// A container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `WebM` (Matroska), with Opus or Vorbis: `MediaRecorder` in Chrome.
    Webm,
    /// MP4 or MOV, plain or fragmented, with AAC, Opus or PCM: `MediaRecorder` in Safari, phones.
    Mp4,
    /// Ogg, with Opus, Vorbis or FLAC: `MediaRecorder` in Firefox.
    Ogg,
    /// With PCM.
    Wav,
    Mp3,
    Flac,
}

impl Format {
    /// Such as `audio/webm`.
    #[must_use]
    pub fn mime_type(self) -> &'static str {
        match self {
            Self::Webm => "audio/webm",
            Self::Mp4 => "audio/mp4",
            Self::Ogg => "audio/ogg",
            Self::Wav => "audio/wav",
            Self::Mp3 => "audio/mpeg",
            Self::Flac => "audio/flac",
        }
    }
}

/// Why a file is not a valid recording. The messages are shown to the user.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum InvalidRecording {
    /// An unknown container.
    #[error("This is not a sound recording: send WebM, MP4, Ogg, WAV, MP3 or FLAC.")]
    NotAudio,
    #[error("This recording is larger than 10 MB.")]
    TooLarge,
    /// A codec, or a variant of one, that cannot be decoded.
    #[error(
        "The sound in this file is encoded in a way that we cannot read: use Opus, AAC, MP3, FLAC or PCM."
    )]
    Unsupported,
    /// A supported codec in a variant that cannot be decoded, such as 5.1 channels; the container.
    #[error(
        "The sound in this file is encoded in a rare form that we cannot read: save it as {} and send that.",
        if *.0 == Format::Mp3 { "WAV" } else { "MP3" }
    )]
    UnsupportedVariant(Format),
    /// Video is rejected for privacy: a face must not be sent to the provider.
    #[error("This is a video: send the sound alone.")]
    Video,
    #[error("There is no sound in this file.")]
    NoAudioTrack,
    /// Several tracks, of which the provider might clone any.
    #[error("There is more than one sound track in this file: send a single one.")]
    MultipleTracks,
    /// Concatenated recordings, such as the parts of a recorder that was stopped and started.
    #[error("There is more than one recording in this file: send a single one, made in one go.")]
    MultipleRecordings,
    /// The container goes on after the last byte.
    #[error("This recording is cut short: a part of the file is missing.")]
    Truncated,
    /// The container or the audio in it is malformed.
    #[error("This recording is damaged and cannot be played.")]
    Corrupt,
    /// Shorter than [`SECONDS`]; the actual duration.
    #[error("This recording is {:.1} seconds long: record 30 to 120 seconds of speech.", .0.as_secs_f64())]
    TooShort(Duration),
    /// Longer than [`SECONDS`]. Without the duration, because decoding stops at the limit.
    #[error("This recording is longer than two minutes: record 30 to 120 seconds of speech.")]
    TooLong,
    /// Less than [`MIN_AUDIBLE`] seconds are audible.
    #[error("This recording is silent: check the microphone and record again.")]
    Silent,
    /// More than [`MAX_CLIPPED`] of the audible sound is at full scale.
    #[error(
        "This recording is distorted, because it is too loud: step back from the microphone and record again."
    )]
    Clipped,
}

/// Validates a file on a thread for blocking work, because decoding keeps a core busy.
pub async fn validate(bytes: Bytes) -> Result<Audio, InvalidRecording> {
    let validation = tokio::task::spawn_blocking(move || inspect(&bytes));
    validation.await.unwrap_or(Err(InvalidRecording::Corrupt))
}

/// Validates a file. Takes seconds at most, and at most a dozen times the file's size in memory, whatever the bytes are.
pub fn inspect(file: &Bytes) -> Result<Audio, InvalidRecording> {
    // Demuxers and decoders have a history of panicking on crafted files.
    panic::catch_unwind(AssertUnwindSafe(|| check(file))).unwrap_or(Err(InvalidRecording::Corrupt))
}

fn check(file: &Bytes) -> Result<Audio, InvalidRecording> {
    if file.len() > MAX_BYTES {
        return Err(InvalidRecording::TooLarge);
    }
    let max_seconds = SECONDS.end() + TOLERANCE;
    let (format, start) = container::detect(file).ok_or_else(|| unknown(file))?;
    let mut extent = container::extent(format, &file[start..], max_seconds)?;
    if container::is_recording(&file[start + extent.end..]) {
        return Err(InvalidRecording::MultipleRecordings);
    }
    let (bytes, start) = match extent.rebuilt.take() {
        Some(rebuilt) => (Bytes::from(rebuilt), 0),
        None => (file.slice(..start + extent.end), start),
    };
    let stats = decode::analyze(format, &bytes[start..], &extent, max_seconds)?;
    let duration = Duration::from_secs_f64(stats.seconds);
    if stats.seconds < SECONDS.start() - TOLERANCE {
        return Err(InvalidRecording::TooShort(duration));
    }
    if stats.audible < MIN_AUDIBLE {
        return Err(InvalidRecording::Silent);
    }
    if stats.clipped > stats.audible * MAX_CLIPPED {
        return Err(InvalidRecording::Clipped);
    }
    Ok(Audio { format, duration, bytes })
}

/// The error for a file of no known container.
fn unknown(file: &[u8]) -> InvalidRecording {
    if container::is_other_mpeg(file) {
        InvalidRecording::UnsupportedVariant(Format::Mp3)
    } else {
        InvalidRecording::NotAudio
    }
}
