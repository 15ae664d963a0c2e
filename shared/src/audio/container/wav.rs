//! WAV: the length fields are the last thing that its writers fill in, and often they do not, or not rightly. What
//! is there counts: the sound goes on to the end of the file unless its chunk says that it ends before, and only a
//! file that misses more than half a second is cut short.

use super::{Extent, InvalidRecording};

/// A size at least this large was written by someone who did not know it. No upload is as long.
const UNKNOWN: usize = 0x7fff_0000;
const CHUNK_HEADER: usize = 8;

pub(super) fn extent(bytes: &[u8]) -> Result<Extent, InvalidRecording> {
    let mut at = 12;
    let mut format: Option<&[u8]> = None;
    let mut is_honest = bytes.starts_with(b"RIFF");
    let (data, size) = loop {
        let (id, size) = chunk(bytes, at).ok_or(InvalidRecording::Truncated)?;
        let content = at + CHUNK_HEADER;
        if id == b"data" {
            break (content, size);
        }
        let end =
            content.checked_add(size).filter(|end| *end <= bytes.len()).ok_or(InvalidRecording::Truncated)?;
        if id == b"fmt " {
            format = Some(&bytes[content..end]);
        }
        at = end + size % 2;
        if size % 2 == 1 && !is_chunk(bytes, at) && is_chunk(bytes, end) {
            at = end; // its writer forgot the padding
            is_honest = false;
        }
    };
    let format = format.filter(|format| format.len() >= 16).ok_or(InvalidRecording::Corrupt)?;
    let rate = u32::from_le_bytes([format[8], format[9], format[10], format[11]]) as usize;
    let frame = usize::from(u16::from_le_bytes([format[12], format[13]])).max(1);

    let there = bytes.len() - data;
    let is_unknown = size >= UNKNOWN || (size == 0 && there > 0);
    if !is_unknown && size > there && size - there > rate / 2 {
        return Err(InvalidRecording::Truncated);
    }
    let mut size = size;
    if is_unknown || size > there {
        is_honest = false;
        size = there - there % frame;
        if bytes[data..].windows(12).any(|at| at.starts_with(b"RIFF") && at.ends_with(b"WAVE")) {
            return Err(InvalidRecording::MultipleRecordings);
        }
    }
    let sound = &bytes[data..data + size];
    let end = (data + size + size % 2).min(bytes.len());
    let riff = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
    is_honest &= riff + CHUNK_HEADER == end;
    let rebuilt = if is_honest { None } else { Some(rebuild(format, sound)?) };
    Ok(Extent { rebuilt, ..Extent::until(end) })
}

/// The id and the size of the chunk at an offset.
fn chunk(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let header = bytes.get(at..at.checked_add(CHUNK_HEADER)?)?;
    let size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    Some((&header[..4], size as usize))
}

fn is_chunk(bytes: &[u8], at: usize) -> bool {
    chunk(bytes, at).is_some_and(|(id, _)| id.iter().all(|byte| (0x20..0x7f).contains(byte)))
}

/// The file again, of nothing but the format and the sound.
fn rebuild(format: &[u8], sound: &[u8]) -> Result<Vec<u8>, InvalidRecording> {
    let mut content = b"WAVE".to_vec();
    for (id, bytes) in [(b"fmt ", format), (b"data", sound)] {
        content.extend(id);
        content.extend(u32::try_from(bytes.len()).map_err(|_| InvalidRecording::TooLarge)?.to_le_bytes());
        content.extend(bytes);
        content.resize(content.len().next_multiple_of(2), 0);
    }
    let size = u32::try_from(content.len()).map_err(|_| InvalidRecording::TooLarge)?;
    Ok([b"RIFF".as_slice(), &size.to_le_bytes(), &content].concat())
}
