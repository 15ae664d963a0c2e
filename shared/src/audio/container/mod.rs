//! Containers from the outside: which one it is, where its sound ends, and whether its tables are sane.
//!
//! Writers get length fields wrong, append tags and pages of HTML, and join files; demuxers trust the numbers. So the
//! outermost structure is walked here first, and what it does not cover is neither decoded nor kept. Nothing here
//! knows codecs.

mod flac;
pub(super) mod mp3;
mod mp4;
mod ogg;
mod wav;
mod webm;

pub(super) use mp4::Edit;

use super::{Format, InvalidRecording};

/// The part of a file that is one recording.
#[derive(Default)]
pub(super) struct Extent {
    /// Where it ends.
    pub end: usize,
    /// The same sound under honest headers, where the file's own cannot stay.
    pub rebuilt: Option<Vec<u8>>,
    /// What an MP4 says is played of it; empty: everything.
    pub edits: Vec<Edit>,
    /// The frames of an MP3, in what is kept.
    pub frames: Vec<mp3::Frame>,
}

impl Extent {
    fn until(end: usize) -> Self {
        Self { end, ..Self::default() }
    }
}

/// The container of a file, and where it begins: tags and, before MP3, junk may stand in front.
pub(super) fn detect(bytes: &[u8]) -> Option<(Format, usize)> {
    let start = after_tags(bytes);
    let stream = bytes.get(start..)?;
    if let Some(format) = by_magic(stream) {
        return Some((format, start));
    }
    mp3::begins(stream, mp3::MAX_JUNK).then_some((Format::Mp3, start))
}

/// Whether another recording begins right behind the first, or behind padding and tags.
pub(super) fn is_recording(tail: &[u8]) -> bool {
    let at = after_padding(tail);
    // An MP4 begins with a size, whose first bytes are zeros too.
    (at.saturating_sub(3)..=at).any(|at| by_magic(&tail[at..]).is_some()) || mp3::begins(&tail[at..], 0)
}

/// Whether the file begins as MPEG audio of a kind that is not read: another layer, a free bit rate, or bare AAC.
pub(super) fn is_other_mpeg(bytes: &[u8]) -> bool {
    let start = after_padding(bytes);
    matches!(bytes.get(start..start + 3), Some([0xff, second, third]) if *second >= 0xf0 && *third & 0x0c != 0x0c)
}

fn by_magic(bytes: &[u8]) -> Option<Format> {
    Some(match bytes.get(..12)? {
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Format::Webm,
        // QuickTime files may begin with another box than the type.
        [_, _, _, _, kind @ ..]
            if [b"ftyp", b"moov", b"wide"].iter().any(|known| kind.starts_with(*known)) =>
        {
            Format::Mp4
        }
        [b'O', b'g', b'g', b'S', ..] => Format::Ogg,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E']
        | [b'R', b'F', b'6', b'4', _, _, _, _, b'W', b'A', b'V', b'E'] => Format::Wav,
        [b'f', b'L', b'a', b'C', ..] => Format::Flac,
        _ => return None,
    })
}

/// Finds where the sound of a file ends, and refuses a file of which a part is missing.
pub(super) fn extent(format: Format, bytes: &[u8], max_seconds: f64) -> Result<Extent, InvalidRecording> {
    match format {
        Format::Webm => webm::extent(bytes),
        Format::Mp4 => mp4::extent(bytes),
        Format::Ogg => ogg::extent(bytes),
        Format::Wav => wav::extent(bytes),
        Format::Mp3 => mp3::extent(bytes, max_seconds),
        Format::Flac => flac::extent(bytes),
    }
}

/// Where the `ID3v2` tags at the beginning end.
fn after_tags(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(size) = bytes.get(at..).and_then(id3_len) {
        at += size;
    }
    at.min(bytes.len())
}

/// Where zeros and tags of any kind end.
fn after_padding(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        let Some(size) = tag_len(&rest[zeros..]) else { return (at + zeros).min(bytes.len()) };
        at += zeros + size;
    }
}

/// The length of the tag that begins here: `ID3v2`, `ID3v1` or APE.
fn tag_len(bytes: &[u8]) -> Option<usize> {
    const ID3V1: usize = 128;
    const APE_HEADER: usize = 32;

    if bytes.starts_with(b"TAG") && bytes.len() >= ID3V1 {
        return Some(ID3V1);
    }
    if bytes.starts_with(b"APETAGEX") {
        let size = bytes.get(12..16)?;
        return Some(APE_HEADER + u32::from_le_bytes(size.try_into().ok()?) as usize);
    }
    id3_len(bytes)
}

/// The length of an `ID3v2` tag: ten bytes and a size in four times seven bits, <https://id3.org/id3v2.4.0-structure>.
fn id3_len(tag: &[u8]) -> Option<usize> {
    if !tag.starts_with(b"ID3") {
        return None;
    }
    let footer = if tag.get(5)? & 0x10 == 0 { 0 } else { 10 };
    Some(tag.get(6..10)?.iter().fold(0, |size, byte| size << 7 | usize::from(byte & 0x7f)) + 10 + footer)
}

/// Where something of `size` that begins at `at` ends, or that the file is cut short before.
fn fits(at: usize, size: u64, len: usize) -> Result<usize, InvalidRecording> {
    usize::try_from(size)
        .ok()
        .and_then(|size| at.checked_add(size))
        .filter(|end| *end <= len)
        .ok_or(InvalidRecording::Truncated)
}

/// Whether `mark` is anywhere in `bytes`.
fn holds(bytes: &[u8], mark: &[u8]) -> bool {
    bytes.windows(mark.len()).any(|window| window == mark)
}
