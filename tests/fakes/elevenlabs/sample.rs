//! Validates an uploaded recording: its container must be readable to the end, and its packets give its length.
//!
//! Nothing is decoded: the vendor's documented errors are about the container.

use std::io::{Cursor, ErrorKind};

use bytes::Bytes;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use super::error::ApiError;

/// The vendor rejects larger files.
const MAX_BYTES: usize = 11 * 1024 * 1024;
/// Shorter ones are rejected.
const MIN_SECONDS: f64 = 1.0;

/// A recording that was accepted.
pub(super) struct Sample {
    pub bytes: usize,
}

/// Validates the recordings of one request. All are rejected if one is invalid.
pub(super) fn check(files: &[Bytes]) -> Result<Vec<Sample>, ApiError> {
    if files.iter().any(|file| file.len() > MAX_BYTES) {
        return Err(ApiError::upload_file_size_exceeded());
    }
    if (1..files.len()).any(|at| files[..at].contains(&files[at])) {
        return Err(ApiError::duplicated_files());
    }
    files.iter().map(read).collect()
}

fn read(file: &Bytes) -> Result<Sample, ApiError> {
    match seconds(file.clone()) {
        None => Err(ApiError::invalid_audio()),
        Some(seconds) if seconds < MIN_SECONDS => Err(ApiError::voice_sample_too_short()),
        Some(_) => Ok(Sample { bytes: file.len() }),
    }
}

/// The length by the packets' timestamps; `None` if it is not audio or truncated.
fn seconds(file: Bytes) -> Option<f64> {
    let is_mp4 = file.get(4..8) == Some(b"ftyp");
    let stream = MediaSourceStream::new(Box::new(Cursor::new(file)), MediaSourceStreamOptions::default());
    let mut format = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
        .ok()?;
    let track = format.default_track(TrackType::Audio)?;
    let (id, time_base) = (track.id, track.time_base?);
    let (mut first, mut end) = (None, None);
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // The segment and the clusters of a live WebM have no size, so they end with the file. Only an MP4 names
            // packets that may be missing.
            Err(Error::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof && !is_mp4 => break,
            Err(_) => return None,
        };
        if packet.track_id == id {
            first = first.or(Some(packet.pts));
            end = end.max(Some(packet.pts.saturating_add(packet.dur)));
        }
    }
    let length = first?.duration_to(end?)?;
    Some(time_base.calc_duration(length)?.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(files: &[Bytes]) -> String {
        check(files).err().expect("an error").vendor_status()
    }

    /// 8-bit mono PCM at 8 kHz.
    fn wav(samples: u32) -> Bytes {
        let mut file = Vec::new();
        file.extend(b"RIFF");
        file.extend((36 + samples).to_le_bytes());
        file.extend(b"WAVEfmt ");
        file.extend(16_u32.to_le_bytes());
        file.extend([1, 0, 1, 0]);
        file.extend(8_000_u32.to_le_bytes());
        file.extend(8_000_u32.to_le_bytes());
        file.extend([1, 0, 8, 0]);
        file.extend(b"data");
        file.extend(samples.to_le_bytes());
        file.resize(44 + samples as usize, 128);
        file.into()
    }

    #[test]
    fn recording_is_measured_by_its_packets() {
        let seconds = seconds(wav(24_000)).expect("readable");
        assert!((seconds - 3.0).abs() < 0.01, "{seconds}");
    }

    #[test]
    fn recording_that_the_upload_accepts_is_accepted() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/recordings");
        let files = [folder.to_owned(), format!("{folder}/reported")]
            .map(|folder| std::fs::read_dir(folder).unwrap());
        let mut accepted = 0;
        for file in files.into_iter().flatten().map(|file| file.unwrap().path()).filter(|path| path.is_file())
        {
            let bytes = Bytes::from(std::fs::read(&file).unwrap());
            if let Ok(audio) = shared::audio::inspect(&bytes) {
                assert!(check(&[audio.bytes]).is_ok(), "{}", file.display());
                accepted += 1;
            }
        }
        assert!(accepted > 20, "{accepted}");
    }

    #[test]
    fn invalid_recording_gets_the_vendors_error() {
        assert_eq!(error(&[Bytes::from(vec![7; 50_000])]), "invalid_audio");
        assert_eq!(error(&[Bytes::new()]), "invalid_audio");
        assert_eq!(error(&[wav(4_000)]), "voice_sample_too_short");
        assert_eq!(error(&[wav(16_000), wav(16_000)]), "duplicated_files");
        assert_eq!(error(&[Bytes::from(vec![0; MAX_BYTES + 1])]), "upload_file_size_exceeded");
    }
}
