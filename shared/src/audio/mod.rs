//! What a recording is: 30 to 60 seconds of somebody's voice in a container and a codec that we can read, told
//! by the bytes and never by a label.
//!
//! [`inspect`] goes from cheap to dear: size, container ([`container`]), wholeness ([`container`]), and then the
//! sound itself ([`listen`]). Every packet is decoded, because only the sound says how long it lasts and whether
//! there is any: headers lie, and what a browser records has no duration to begin with. It is pure and synchronous and
//! keeps a core busy for some 2 ms per second of sound: call it off the async threads. It knows nothing of
//! users, storage or HTTP.

mod container;
mod decode;
#[cfg(test)]
mod tests;

use std::{panic, time::Duration};

/// The largest recording, in bytes. The provider's own limit is 11 MB.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;
/// The shortest and the longest recording, in seconds.
pub const SECONDS: std::ops::RangeInclusive<f64> = 30.0..=60.0;
/// How far a recording may miss [`SECONDS`], in seconds: encoders pad the sound with up to a tenth of a second.
const TOLERANCE: f64 = 0.25;
/// How many seconds must be louder than silence. Speech with pauses has ten and more; a click at the start of a
/// muted microphone does not reach it.
const MIN_AUDIBLE: f64 = 3.0;
/// How much of what is audible may be at full scale, 0 to 1. Speech touches it for moments; at a seventh of the time a
/// clone would learn the distortion.
const MAX_CLIPPED: f64 = 0.15;

/// A recording that can be cloned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Audio {
    /// Its container.
    pub format: Format,
    /// How long its sound lasts, counted in decoded samples.
    pub duration: Duration,
}

/// The container of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `WebM` (Matroska), with Opus or Vorbis: `MediaRecorder` in Chrome.
    Webm,
    /// MP4, whole or fragmented, with AAC or Opus: `MediaRecorder` in Safari, phones.
    Mp4,
    /// Ogg, with Opus, Vorbis or FLAC: `MediaRecorder` in Firefox.
    Ogg,
    /// WAV with PCM.
    Wav,
    /// MP3.
    Mp3,
    /// FLAC.
    Flac,
}

impl Format {
    /// Its media type, such as `audio/webm`.
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

/// Why some bytes cannot serve as a recording, said to the person who made it.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum InvalidRecording {
    /// No container that we know.
    #[error("This is not a sound recording: send WebM, MP4, Ogg, WAV, MP3 or FLAC.")]
    NotAudio,
    /// More than [`MAX_BYTES`].
    #[error("This recording is larger than 10 MB.")]
    TooLarge,
    /// A codec, or a use of one, that cannot be decoded.
    #[error(
        "The sound in this file is encoded in a way that we cannot read: use Opus, AAC, MP3, FLAC or PCM."
    )]
    Unsupported,
    /// There is a picture in it. A face is nobody's business here, and is not to be sent on.
    #[error("This is a video: send the sound alone.")]
    Video,
    /// A container without sound.
    #[error("There is no sound in this file.")]
    NoAudioTrack,
    /// Several tracks, or several recordings in a row: which one the provider would clone is anyone's guess.
    #[error("There is more than one sound track in this file: send a single one.")]
    MultipleTracks,
    /// The container says that it goes on after the last byte.
    #[error("This recording is cut short: a part of the file is missing.")]
    Truncated,
    /// The container or the sound in it makes no sense.
    #[error("This recording is damaged and cannot be played.")]
    Corrupt,
    /// Shorter than [`SECONDS`]; how long it is.
    #[error("This recording is {:.1} seconds long: record 30 to 60 seconds of speech.", .0.as_secs_f64())]
    TooShort(Duration),
    /// Longer than [`SECONDS`]. How much longer is not found out: whatever comes after is not decoded.
    #[error("This recording is longer than a minute: record 30 to 60 seconds of speech.")]
    TooLong,
    /// Next to nothing to hear.
    #[error("This recording is silent: check the microphone and record again.")]
    Silent,
    /// So loud that the microphone cut off much of it.
    #[error(
        "This recording is distorted, because it is too loud: step back from the microphone and record again."
    )]
    Clipped,
}

/// Judges the bytes of a file.
///
/// Any bytes are answered within seconds, and in memory of a dozen times their length at the very worst.
pub fn inspect(bytes: &[u8]) -> Result<Audio, InvalidRecording> {
    // Demuxers and decoders have a history of panicking on bytes made to do so; what makes them panic is not a
    // recording, and its sender gets the answer that any other nonsense gets.
    panic::catch_unwind(|| validate(bytes)).unwrap_or(Err(InvalidRecording::Corrupt))
}

fn validate(bytes: &[u8]) -> Result<Audio, InvalidRecording> {
    if bytes.len() > MAX_BYTES {
        return Err(InvalidRecording::TooLarge);
    }
    let (format, stream) = container::detect(bytes).ok_or(InvalidRecording::NotAudio)?;
    container::check_complete(format, stream)?;
    let heard = decode::analyze(format, stream, SECONDS.end() + TOLERANCE)?;
    let duration = Duration::from_secs_f64(heard.seconds);
    if heard.seconds < SECONDS.start() - TOLERANCE {
        return Err(InvalidRecording::TooShort(duration));
    }
    if heard.audible < MIN_AUDIBLE {
        return Err(InvalidRecording::Silent);
    }
    if heard.clipped > heard.audible * MAX_CLIPPED {
        return Err(InvalidRecording::Clipped);
    }
    Ok(Audio { format, duration })
}
