//! FLAC (RFC 9639): frames have no length. Each ends with a checksum, before the next one's header, which has one too;
//! the last ends where the checksum of what was read of it comes out.

use symphonia::core::{
    checksum::{Crc8Ccitt, Crc16Ansi},
    io::Monitor,
};

use super::{Extent, InvalidRecording};

/// The shortest frame: a header of six bytes, one subframe of two, and the checksum.
const MIN_FRAME: usize = 10;

pub(super) fn extent(bytes: &[u8]) -> Result<Extent, InvalidRecording> {
    let mut start = first_frame(bytes).ok_or(InvalidRecording::Truncated)?;
    let mut checksum = Crc16Ansi::new(0);
    // Where the current frame may end: the checksum of a frame with its own checksum is 0, and stays so over zeros.
    let (mut first_end, mut latest_end) = (None, bytes.len());
    let mut was_zero = true;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        if checksum.crc() == 0 && at >= start + MIN_FRAME && is_header(&bytes[at..]) {
            (start, first_end, was_zero) = (at, None, true);
        }
        checksum.process_byte(*byte);
        let is_zero = checksum.crc() == 0;
        if is_zero && !was_zero && at + 1 >= start + MIN_FRAME {
            latest_end = at + 1;
            first_end = first_end.or(Some(latest_end));
        }
        was_zero = is_zero;
    }
    // A last frame that never ends is cut; how much is missing is counted in samples later. A checksum whose second
    // half is zero is complete one byte late.
    let end = if checksum.crc() == 0 {
        (latest_end + 1).min(bytes.len())
    } else {
        first_end.unwrap_or(bytes.len())
    };
    Ok(Extent::until(end))
}

/// Where the metadata ends.
fn first_frame(bytes: &[u8]) -> Option<usize> {
    let mut at = 4;
    loop {
        let header = bytes.get(at..at + 4)?;
        at += 4 + (usize::from(header[1]) << 16 | usize::from(header[2]) << 8 | usize::from(header[3]));
        if header[0] & 0x80 != 0 {
            return (at < bytes.len()).then_some(at);
        }
    }
}

/// Whether a frame's header with its checksum begins here (RFC 9639, section 9.1).
fn is_header(bytes: &[u8]) -> bool {
    let Some([0xff, 0xf8 | 0xf9, sizes, channels]) = bytes.get(..4) else { return false };
    // The frame's or the sample's number, coded as in UTF-8.
    let number = match bytes.get(4).map_or(0, |byte| byte.leading_ones()) {
        0 => 1,
        ones @ 2..=7 => ones as usize,
        _ => return false,
    };
    let block_size = match sizes >> 4 {
        0 => return false,
        6 => 1,
        7 => 2,
        _ => 0,
    };
    let rate = match sizes & 0x0f {
        12 => 1,
        13 | 14 => 2,
        15 => return false,
        _ => 0,
    };
    let len = 4 + number + block_size + rate;
    let Some((header, [checksum, ..])) = bytes.split_at_checked(len) else { return false };
    let mut expected = Crc8Ccitt::new(0);
    expected.process_buf_bytes(header);
    channels & 1 == 0 && expected.crc() == *checksum
}
