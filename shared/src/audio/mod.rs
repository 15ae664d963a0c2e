//! Recording validation: 30 to 60 seconds of audible speech in a supported container and codec.
//!
//! Everything is determined from the bytes; a media type or a duration from the client is ignored. The checks run from
//! cheap to expensive:
//!
//! 1. Size: at most 10 MB.
//! 2. Container: `WebM`, MP4, Ogg, WAV, MP3 or FLAC, by the first bytes (`container.rs`).
//! 3. Completeness: the container must not go on after the last byte, and its tables must be plausible (`container.rs`).
//! 4. Tracks: exactly one of audio and none of video, in Opus, AAC, MP3, FLAC, Vorbis or PCM (`decode.rs`).
//! 5. Sound: every packet is decoded, because headers are not trusted and live recordings of browsers have no duration.
//!    It must last 30 to 60 seconds, have at least 3 seconds above -50 dBFS, and at most 15 % of those at full scale.
//!
//! The bytes may be hostile: decoding is bounded in packets, table sizes and time, and a panicking decoder makes a file
//! [`InvalidRecording::Corrupt`]. A minute of audio takes about 0.1 s.

mod container;
mod decode;
#[cfg(test)]
mod tests;

use std::{panic, time::Duration};

use bytes::Bytes;

/// The provider's own limit is 11 MB.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;
pub const SECONDS: std::ops::RangeInclusive<f64> = 30.0..=60.0;
/// Seconds by which a recording may miss [`SECONDS`]: encoders pad the sound by up to a tenth of a second.
const TOLERANCE: f64 = 0.25;
/// Seconds that must be louder than silence. Speech with pauses has ten or more; a click before a muted microphone stays
/// below.
const MIN_AUDIBLE: f64 = 3.0;
/// The maximum ratio of clipped to audible sound, 0 to 1. Loud speech clips for moments; above this, a clone learns the
/// distortion.
const MAX_CLIPPED: f64 = 0.15;

/// A valid recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Audio {
    pub format: Format,
    /// Counted in decoded samples.
    pub duration: Duration,
}

/// A container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `WebM` (Matroska), with Opus or Vorbis: `MediaRecorder` in Chrome.
    Webm,
    /// MP4, plain or fragmented, with AAC or Opus: `MediaRecorder` in Safari, phones.
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
    /// Video is rejected for privacy: a face must not be sent to the provider.
    #[error("This is a video: send the sound alone.")]
    Video,
    #[error("There is no sound in this file.")]
    NoAudioTrack,
    /// Several tracks or concatenated recordings, of which the provider might clone any.
    #[error("There is more than one sound track in this file: send a single one.")]
    MultipleTracks,
    /// The container goes on after the last byte.
    #[error("This recording is cut short: a part of the file is missing.")]
    Truncated,
    /// The container or the audio in it is malformed.
    #[error("This recording is damaged and cannot be played.")]
    Corrupt,
    /// Shorter than [`SECONDS`]; the actual duration.
    #[error("This recording is {:.1} seconds long: record 30 to 60 seconds of speech.", .0.as_secs_f64())]
    TooShort(Duration),
    /// Longer than [`SECONDS`]. Without the duration, because decoding stops at the limit.
    #[error("This recording is longer than a minute: record 30 to 60 seconds of speech.")]
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
pub fn inspect(bytes: &[u8]) -> Result<Audio, InvalidRecording> {
    // Demuxers and decoders have a history of panicking on crafted files.
    panic::catch_unwind(|| check(bytes)).unwrap_or(Err(InvalidRecording::Corrupt))
}

fn check(bytes: &[u8]) -> Result<Audio, InvalidRecording> {
    if bytes.len() > MAX_BYTES {
        return Err(InvalidRecording::TooLarge);
    }
    let (format, stream) = container::detect(bytes).ok_or(InvalidRecording::NotAudio)?;
    container::check_complete(format, stream)?;
    let stats = decode::analyze(format, stream, SECONDS.end() + TOLERANCE)?;
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
    Ok(Audio { format, duration })
}
