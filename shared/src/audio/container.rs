//! Containers: detects the format and checks that the file is complete and its tables plausible.
//!
//! The demuxer accepts truncated files and trusts some numbers that make it loop, so the outermost structure is checked
//! here first. Codecs are not looked at.

use std::ops::Range;

use symphonia::core::{checksum::Crc32, io::Monitor};

use super::{Format, InvalidRecording, decode::MAX_PACKETS};

/// The container of a file by its first bytes, and the file without the `ID3v2` tags that may stand before it.
pub(super) fn detect(mut bytes: &[u8]) -> Option<(Format, &[u8])> {
    while bytes.starts_with(b"ID3") {
        bytes = bytes.get(id3_len(bytes)?..)?;
    }
    let format = match bytes.get(..12)? {
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Format::Webm,
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Format::Mp4,
        [b'O', b'g', b'g', b'S', ..] => Format::Ogg,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E'] => Format::Wav,
        [b'f', b'L', b'a', b'C', ..] => Format::Flac,
        [0xff, second, third, ..] if is_mp3_frame(*second, *third) => Format::Mp3,
        _ => return None,
    };
    Some((format, bytes))
}

/// The length of an `ID3v2` tag: ten bytes and a size in four times seven bits, <https://id3.org/id3v2.4.0-structure>.
fn id3_len(tag: &[u8]) -> Option<usize> {
    let footer = if tag.get(5)? & 0x10 == 0 { 0 } else { 10 };
    Some(tag.get(6..10)?.iter().fold(0, |size, byte| size << 7 | usize::from(byte & 0x7f)) + 10 + footer)
}

/// Whether these are the second and third byte of an MPEG audio frame header: layer III, no reserved values.
fn is_mp3_frame(second: u8, third: u8) -> bool {
    let synced = second & 0xe6 == 0xe2;
    let reserved_version = second & 0x18 == 0x08;
    let bad_bitrate = third & 0xf0 == 0xf0;
    let reserved_rate = third & 0x0c == 0x0c;
    synced && !reserved_version && !bad_bitrate && !reserved_rate
}

/// Rejects a file whose container goes on after its last byte. MP3 and FLAC have no such structure: at most they declare
/// the number of samples, which is checked after decoding.
pub(super) fn check_complete(format: Format, bytes: &[u8]) -> Result<(), InvalidRecording> {
    match format {
        Format::Webm => webm(bytes),
        Format::Mp4 => mp4(bytes),
        Format::Ogg => ogg(bytes),
        Format::Wav => wav(bytes),
        Format::Mp3 | Format::Flac => Ok(()),
    }
}

/// Elements of a known size end inside the file. A recording made live has a segment and clusters of unknown
/// size (RFC 8794, section 6.2); then the blocks inside are checked.
fn webm(bytes: &[u8]) -> Result<(), InvalidRecording> {
    const SEGMENT: u32 = 0x1853_8067;
    const CLUSTER: u32 = 0x1f43_b675;
    /// Four bytes of id and eight of size.
    const MAX_HEADER: usize = 12;

    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let Some((id, size, header)) = element(rest) else {
            let is_truncated = rest.len() < MAX_HEADER;
            return Err(if is_truncated { InvalidRecording::Truncated } else { InvalidRecording::Corrupt });
        };
        at += header;
        match (id, size) {
            // Its size covers the rest of the file; the demuxer checks the inside.
            (SEGMENT, Some(size)) => return checked_end(at, size, bytes.len()).map(|_| ()),
            (SEGMENT | CLUSTER, None) => {}
            (_, Some(size)) => at = checked_end(at, size, bytes.len())?,
            (_, None) => return Err(InvalidRecording::Corrupt),
        }
    }
    Ok(())
}

/// An EBML element's id, its size (`None`: unknown), and the length of both together.
fn element(bytes: &[u8]) -> Option<(u32, Option<u64>, usize)> {
    let id_len = bytes.first()?.leading_zeros() as usize + 1;
    let id = bytes.get(..id_len).filter(|id| id.len() <= 4)?;
    let id = id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    let size_len = bytes.get(id_len)?.leading_zeros() as usize + 1;
    let size = bytes.get(id_len..id_len + size_len).filter(|size| size.len() <= 8)?;
    let unknown = (1 << (7 * size_len)) - 1;
    let size = size.iter().fold(0, |size, byte| size << 8 | u64::from(*byte)) & unknown;
    Some((id, (size != unknown).then_some(size), id_len + size_len))
}

/// Boxes end inside the file, there is a `moov`, and no table has more rows than a minute has packets: the
/// demuxer walks tables once per packet, and counts the rows of a `trun` even where none are stored.
fn mp4(bytes: &[u8]) -> Result<(), InvalidRecording> {
    let mut ends = vec![bytes.len()]; // of the enclosing boxes
    let mut at = 0;
    let mut fragment_rows = 0;
    let mut has_movie = false;
    while let Some(&end) = ends.last() {
        // Less than a header is left: the end, or padding.
        if end - at < 8 {
            if ends.len() == 1 && at < end {
                return Err(InvalidRecording::Truncated);
            }
            at = end;
            ends.pop();
            continue;
        }
        // Only the outermost boxes can be truncated; an inner one that exceeds its parent is corrupt.
        let broken = if ends.len() == 1 { InvalidRecording::Truncated } else { InvalidRecording::Corrupt };
        let (kind, header, size) = box_header(&bytes[at..end]).ok_or(broken)?;
        let next = at.checked_add(size).filter(|next| *next <= end).ok_or(broken)?;
        let row_count = |offset| read_u32_be(bytes, at + header + offset).ok_or(InvalidRecording::Corrupt);
        match kind {
            b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" | b"moof" | b"traf" => {
                has_movie |= kind == b"moov";
                ends.push(next);
                at += header;
                continue;
            }
            b"stts" if row_count(4)? > MAX_PACKETS => return Err(InvalidRecording::Unsupported),
            b"stsz" if row_count(8)? > MAX_PACKETS => return Err(InvalidRecording::Unsupported),
            b"trun" => fragment_rows = row_count(4)?.saturating_add(fragment_rows),
            _ => {}
        }
        if fragment_rows > MAX_PACKETS {
            return Err(InvalidRecording::Unsupported);
        }
        at = next;
    }
    if has_movie { Ok(()) } else { Err(InvalidRecording::Truncated) }
}

/// A box's type, the length of its header, and its size with the header (ISO/IEC 14496-12, section 4.2).
fn box_header(bytes: &[u8]) -> Option<(&[u8; 4], usize, usize)> {
    let kind = bytes.get(4..8)?.try_into().ok()?;
    let (header, size) = match read_u32_be(bytes, 0)? {
        0 => (8, bytes.len()),
        1 => (16, usize::try_from(u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?)).ok()?),
        size => (8, size as usize),
    };
    (size >= header).then_some((kind, header, size))
}

/// Pages follow each other up to the end of the file, each with its checksum (RFC 3533, section 6): the demuxer
/// would search a broken one byte by byte for pages inside it. The last page need not be marked as the last: recorders
/// that are stopped abruptly leave it so, and RFC 7845 (section 5) asks to play such a file.
fn ogg(bytes: &[u8]) -> Result<(), InvalidRecording> {
    const HEADER: usize = 27;
    const CHECKSUM: Range<usize> = 22..26;

    let mut rest = bytes;
    while !rest.is_empty() {
        let header = rest.get(..HEADER).ok_or(InvalidRecording::Truncated)?;
        if !header.starts_with(b"OggS") {
            return Err(InvalidRecording::Corrupt);
        }
        let segments = usize::from(header[HEADER - 1]);
        let lengths = rest.get(HEADER..HEADER + segments).ok_or(InvalidRecording::Truncated)?;
        let body: usize = lengths.iter().map(|length| usize::from(*length)).sum();
        let (page, next) =
            rest.split_at_checked(HEADER + segments + body).ok_or(InvalidRecording::Truncated)?;
        let mut checksum = Crc32::new(0);
        checksum.process_buf_bytes(&page[..CHECKSUM.start]);
        checksum.process_buf_bytes(&[0; 4]); // in place of itself
        checksum.process_buf_bytes(&page[CHECKSUM.end..]);
        if page[CHECKSUM] != checksum.crc().to_le_bytes() {
            return Err(InvalidRecording::Corrupt);
        }
        rest = next;
    }
    Ok(())
}

/// The `data` chunk ends inside the file, or has the largest size, which streaming writers use for an unknown one.
fn wav(bytes: &[u8]) -> Result<(), InvalidRecording> {
    let mut at = 12;
    loop {
        let header = bytes.get(at..at + 8).ok_or(InvalidRecording::Truncated)?;
        let size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        let streamed = header.starts_with(b"data") && size == u32::MAX;
        if streamed {
            return Ok(());
        }
        let end = checked_end(at + 8, u64::from(size), bytes.len())?;
        if header.starts_with(b"data") {
            return Ok(());
        }
        at = end + end % 2;
    }
}

/// The end of something of `size` that begins at `at`; an error if it is after the file's end.
fn checked_end(at: usize, size: u64, len: usize) -> Result<usize, InvalidRecording> {
    usize::try_from(size)
        .ok()
        .and_then(|size| at.checked_add(size))
        .filter(|end| *end <= len)
        .ok_or(InvalidRecording::Truncated)
}

fn read_u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
