//! MP3: a row of frames (ISO/IEC 11172-3, 13818-3) without a container. Tags, zeros and a few kilobytes of junk may
//! stand before and between them, and takes of unlike rate or channels may be joined.

use std::ops::Range;

use super::{Extent, InvalidRecording, after_padding};

/// How much in one place may be neither a frame, a tag nor a zero.
pub(in crate::audio) const MAX_JUNK: usize = 64 * 1024;
/// So many frames must follow each other where a row of them begins.
const ROW: usize = 3;

/// One frame.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::audio) struct Frame {
    pub bytes: Range<usize>,
    pub header: Header,
}

/// What a frame's first four bytes say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::audio) struct Header {
    /// The sample rate, in Hz.
    pub rate: u32,
    pub is_mono: bool,
    /// Samples per channel.
    pub samples: u32,
    len: usize,
}

impl Header {
    /// How long the frame sounds.
    pub fn seconds(&self) -> f64 {
        f64::from(self.samples) / f64::from(self.rate)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        const RATES: [u32; 3] = [44_100, 48_000, 32_000];
        const V1: [usize; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
        const V2: [usize; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

        let [0xff, second, third, fourth] = *bytes.get(..4)? else { return None };
        // Layer III alone, of MPEG 1, 2 or 2.5.
        let shift = match second & 0xfe {
            0xfa => 0,
            0xf2 => 1,
            0xe2 => 2,
            _ => return None,
        };
        let rate = RATES.get(usize::from(third >> 2 & 3))? >> shift;
        let (bitrates, samples) = if shift == 0 { (V1, 1_152) } else { (V2, 576) };
        let bitrate = *bitrates.get(usize::from(third >> 4)).filter(|bitrate| **bitrate > 0)?;
        let padding = usize::from(third >> 1 & 1);
        let len = samples as usize / 8 * bitrate * 1_000 / rate as usize + padding;
        Some(Self { rate, is_mono: fourth >> 6 == 3, samples, len })
    }

    /// Whether frames of both can be of one take.
    fn is_like(&self, other: &Self) -> bool {
        self.rate == other.rate && self.samples == other.samples
    }
}

/// Whether a row of frames begins within the first so many bytes, not counting tags and zeros.
pub(super) fn begins(bytes: &[u8], junk: usize) -> bool {
    next_row(bytes, after_padding(bytes), junk).is_some()
}

/// All frames. Refuses more of them than the longest recording has, before any is decoded.
pub(super) fn extent(bytes: &[u8], max_seconds: f64) -> Result<Extent, InvalidRecording> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut seconds = 0.0;
    let mut at = 0;
    while let Some(start) = next_frame(bytes, at, &frames) {
        let Some(header) = Header::read(&bytes[start..]) else { break };
        let end = start + header.len;
        if end > bytes.len() {
            break; // the last one is cut; how much is missing is counted in samples later
        }
        seconds += header.seconds();
        if seconds > max_seconds + 1.0 {
            return Err(InvalidRecording::TooLong);
        }
        frames.push(Frame { bytes: start..end, header });
        at = end;
    }
    let end = frames.last().ok_or(InvalidRecording::Corrupt)?.bytes.end;
    let has_gaps = frames.windows(2).any(|pair| pair[0].bytes.end != pair[1].bytes.start);
    let rebuilt = (has_gaps || frames[0].bytes.start > 0).then(|| join(bytes, &mut frames));
    Ok(Extent { rebuilt, frames, ..Extent::until(end) })
}

/// The frames alone, without what stands between them.
fn join(bytes: &[u8], frames: &mut [Frame]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(bytes.len());
    for frame in frames {
        let start = joined.len();
        joined.extend_from_slice(&bytes[frame.bytes.clone()]);
        frame.bytes = start..joined.len();
    }
    joined
}

/// Where the next frame begins, at or behind `at`.
fn next_frame(bytes: &[u8], at: usize, frames: &[Frame]) -> Option<usize> {
    let goes_on = |last: &Frame| Header::read(bytes.get(at..)?).filter(|next| next.is_like(&last.header));
    if frames.last().and_then(goes_on).is_some() {
        return Some(at);
    }
    let start = at + after_padding(&bytes[at..]);
    next_row(bytes, start, MAX_JUNK)
}

/// Where a row of frames begins, at or within some junk behind `at`.
fn next_row(bytes: &[u8], at: usize, junk: usize) -> Option<usize> {
    (at..bytes.len().min(at + junk + 1)).find(|start| {
        let mut at = *start;
        let mut first = None;
        for count in 0..ROW {
            // A row may be as short as the file.
            if count > 0 && at == bytes.len() {
                return true;
            }
            let Some(header) = bytes.get(at..).and_then(Header::read) else { return false };
            if !first.get_or_insert(header).is_like(&header) {
                return false;
            }
            at += header.len;
        }
        at <= bytes.len()
    })
}

/// How many frames the encoder says there are, in a first frame that holds nothing else (`Xing`, `Info`).
pub(in crate::audio) fn declared_frames(frame: &[u8], header: Header) -> Option<u32> {
    let side = match (header.samples, header.is_mono) {
        (1_152, false) => 32,
        (1_152, true) | (_, false) => 17,
        (_, true) => 9,
    };
    let tag = frame.get(4 + side..)?;
    if !tag.starts_with(b"Xing") && !tag.starts_with(b"Info") {
        return None;
    }
    let has_count = tag.get(7)? & 1 == 1;
    Some(if has_count { u32::from_be_bytes(tag.get(8..12)?.try_into().ok()?) } else { 0 })
}
