//! Ogg (RFC 3533, section 6): pages follow each other, each with its checksum: the demuxer would search a broken one
//! byte by byte for pages inside it. The last need not be marked as the last: a recorder that stops without a word
//! leaves it so, and RFC 7845 (section 5) asks to play such a file.

use std::ops::Range;

use symphonia::core::{checksum::Crc32, io::Monitor};

use super::{Extent, InvalidRecording};

const MARK: &[u8] = b"OggS";
const HEADER: usize = 27;
const CHECKSUM: Range<usize> = 22..26;
const FLAGS: usize = 5;
/// The flag of a page that begins a stream.
const FIRST: u8 = 2;

pub(super) fn extent(bytes: &[u8]) -> Result<Extent, InvalidRecording> {
    let mut at = 0;
    let mut has_sound = false;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if !rest.starts_with(MARK) {
            // Something appended, unless pages go on behind it.
            return match rest.windows(MARK.len()).position(|window| window == MARK) {
                None => Ok(Extent::until(at)),
                Some(page) if has_sound && rest.get(page + FLAGS).is_some_and(|flags| flags & FIRST != 0) => {
                    Err(InvalidRecording::MultipleRecordings)
                }
                Some(_) => Err(InvalidRecording::Corrupt),
            };
        }
        let header = rest.get(..HEADER).ok_or(InvalidRecording::Truncated)?;
        let segments = usize::from(header[HEADER - 1]);
        let lengths = rest.get(HEADER..HEADER + segments).ok_or(InvalidRecording::Truncated)?;
        let body: usize = lengths.iter().map(|length| usize::from(*length)).sum();
        let page = rest.get(..HEADER + segments + body).ok_or(InvalidRecording::Truncated)?;
        let mut checksum = Crc32::new(0);
        checksum.process_buf_bytes(&page[..CHECKSUM.start]);
        checksum.process_buf_bytes(&[0; 4]); // in place of itself
        checksum.process_buf_bytes(&page[CHECKSUM.end..]);
        if page[CHECKSUM] != checksum.crc().to_le_bytes() {
            return Err(InvalidRecording::Corrupt);
        }
        // The first pages of all streams stand together; a later one begins another recording.
        match header[FLAGS] & FIRST {
            0 => has_sound = true,
            _ if has_sound => return Err(InvalidRecording::MultipleRecordings),
            _ => {}
        }
        at += page.len();
    }
    Ok(Extent::until(at))
}
