//! `WebM` (RFC 8794, RFC 9559): elements of a known size end inside the file. A recording made live has a segment and
//! clusters of unknown size; then it ends where something comes that is no element of theirs.

use super::{Extent, InvalidRecording, fits, holds};

const HEADER: u32 = 0x1a45_dfa3;
const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1f43_b675;
/// What else may be in a segment or a cluster: Void, CRC-32, `SeekHead`, Info, Tracks, Cues, Chapters, Tags,
/// Attachments; Timestamp, Position, `PrevSize`, `SimpleBlock`, `BlockGroup`, `SilentTracks`, `EncryptedBlock`.
const INNER: [u32; 16] = [
    0xec,
    0xbf,
    0x114d_9b74,
    0x1549_a966,
    0x1654_ae6b,
    0x1c53_bb6b,
    0x1043_a770,
    0x1254_c367,
    0x1941_a469,
    0xe7,
    0xa7,
    0xab,
    0xa3,
    0xa0,
    0x5854,
    0xaf,
];
/// Four bytes of id and eight of size.
const MAX_HEADER: usize = 12;

pub(super) fn extent(bytes: &[u8]) -> Result<Extent, InvalidRecording> {
    let mut at = 0;
    let mut in_segment = false;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let known = element(rest)
            .filter(|(id, ..)| [SEGMENT, CLUSTER, HEADER].contains(id) || INNER.contains(id) || !in_segment);
        let Some((id, size, header)) = known else {
            return behind(bytes, at);
        };
        let content = at + header;
        match (id, size) {
            (HEADER | SEGMENT, _) if in_segment => return Err(InvalidRecording::MultipleRecordings),
            // Its size covers everything: how the inside is divided is the demuxer's business.
            (SEGMENT, Some(size)) => return fits(content, size, bytes.len()).map(Extent::until),
            (SEGMENT | CLUSTER, None) => {
                in_segment = true;
                at = content;
            }
            (_, Some(size)) => at = fits(content, size, bytes.len())?,
            (_, None) => return Err(InvalidRecording::Corrupt),
        }
    }
    Ok(Extent::until(at))
}

/// What to make of bytes that are no element: a header that is cut, damage in the middle, or something appended.
fn behind(bytes: &[u8], at: usize) -> Result<Extent, InvalidRecording> {
    let rest = &bytes[at..];
    let zeros = rest.iter().all(|byte| *byte == 0);
    if rest.len() < MAX_HEADER && !zeros && element(rest).is_none() {
        return Err(InvalidRecording::Truncated);
    }
    if holds(rest, &HEADER.to_be_bytes()) {
        return Err(InvalidRecording::MultipleRecordings);
    }
    if holds(rest, &CLUSTER.to_be_bytes()) {
        return Err(InvalidRecording::Corrupt);
    }
    Ok(Extent::until(at))
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
