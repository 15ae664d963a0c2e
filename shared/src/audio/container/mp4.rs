//! MP4 and MOV (ISO/IEC 14496-12): boxes end inside the file, there is one `moov`, and no table has more rows than a
//! recording has packets: the demuxer walks tables once per packet, and counts the rows of a `trun` even where none
//! are stored.

use super::{super::decode::MAX_PACKETS, Extent, InvalidRecording};

/// A part of the track that is played, in seconds of its own time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::audio) struct Edit {
    pub start: f64,
    pub end: f64,
}

/// The outermost boxes. Whatever else comes is not a part of the file.
const OUTERMOST: [&[u8; 4]; 18] = [
    b"ftyp", b"moov", b"mdat", b"moof", b"styp", b"sidx", b"ssix", b"mfra", b"free", b"skip", b"wide",
    b"uuid", b"meta", b"udta", b"emsg", b"prft", b"pdin", b"pnot",
];
/// More edits than anyone makes.
const MAX_EDITS: u32 = 1_000;

/// What is known of the track that is being walked.
#[derive(Default)]
struct Track {
    timescale: Option<u32>,
    is_sound: bool,
    /// In the movie's time how long, and in the track's time from where.
    edits: Vec<(u64, i64)>,
}

pub(super) fn extent(bytes: &[u8]) -> Result<Extent, InvalidRecording> {
    let mut ends = vec![bytes.len()]; // of the boxes that we are in
    let mut at = 0;
    let mut fragment_rows = 0;
    let mut movies = 0;
    let mut movie_timescale = 0;
    let mut sound_end = 0;
    let mut track = Track::default();
    let mut edits = Vec::new();
    while let Some(&end) = ends.last() {
        let outermost = ends.len() == 1;
        // Less than a header is left: the end, or padding.
        if end - at < 8 {
            at = end;
            ends.pop();
            continue;
        }
        let kind: &[u8; 4] = bytes[at + 4..at + 8].try_into().map_err(|_| InvalidRecording::Corrupt)?;
        if outermost && !OUTERMOST.contains(&kind) {
            break;
        }
        // Only the outermost boxes can be cut; an inner one that leaves its parent is nonsense.
        let broken = if outermost { InvalidRecording::Truncated } else { InvalidRecording::Corrupt };
        let (header, size) = box_header(&bytes[at..end]).ok_or(broken)?;
        let next = at.checked_add(size).filter(|next| *next <= end).ok_or(broken)?;
        if outermost {
            match kind {
                b"ftyp" if movies > 0 => return Err(InvalidRecording::MultipleRecordings),
                b"moov" => movies += 1,
                _ => {}
            }
            if [b"moov", b"mdat", b"moof", b"mfra"].contains(&kind) {
                sound_end = next;
            }
        }
        let content = &bytes[at + header..next];
        let rows = |offset| number(content, offset).ok_or(InvalidRecording::Corrupt);
        match kind {
            b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" | b"edts" | b"moof" | b"traf" => {
                if kind == b"trak" {
                    edits.extend(std::mem::take(&mut track).played(movie_timescale));
                }
                ends.push(next);
                at += header;
                continue;
            }
            b"mvhd" => movie_timescale = timescale(content).ok_or(InvalidRecording::Corrupt)?,
            b"mdhd" => track.timescale = timescale(content),
            b"hdlr" => track.is_sound |= content.get(8..12) == Some(b"soun"),
            b"elst" => track.edits = edit_list(content)?,
            b"stts" if rows(4)? > MAX_PACKETS => return Err(InvalidRecording::Unsupported),
            // With one size for all samples, as of PCM, there are no rows.
            b"stsz" if rows(4)? == 0 && rows(8)? > MAX_PACKETS => return Err(InvalidRecording::Unsupported),
            b"trun" => fragment_rows = rows(4)?.saturating_add(fragment_rows),
            _ => {}
        }
        if fragment_rows > MAX_PACKETS {
            return Err(InvalidRecording::Unsupported);
        }
        at = next;
    }
    edits.extend(track.played(movie_timescale));
    match movies {
        0 => Err(InvalidRecording::Truncated),
        1 => Ok(Extent { edits, ..Extent::until(sound_end) }),
        _ => Err(InvalidRecording::MultipleRecordings),
    }
}

impl Track {
    fn played(self, movie_timescale: u32) -> Vec<Edit> {
        let (Some(timescale), true) = (self.timescale.filter(|scale| *scale > 0), self.is_sound) else {
            return Vec::new();
        };
        let seconds = |ticks: u64, scale: u32| {
            u32::try_from(ticks).map_or(f64::INFINITY, f64::from) / f64::from(scale.max(1))
        };
        let edit = |(length, start): (u64, i64)| {
            // -1 stands for a pause, in which nothing is heard.
            let start = seconds(u64::try_from(start).ok()?, timescale);
            // Fragments come after their list was written, which therefore does not know how long they are.
            let length = if length == 0 { f64::INFINITY } else { seconds(length, movie_timescale) };
            Some(Edit { start, end: start + length })
        };
        self.edits.into_iter().filter_map(edit).collect()
    }
}

/// A box's header length and its size with the header (ISO/IEC 14496-12, section 4.2).
fn box_header(bytes: &[u8]) -> Option<(usize, usize)> {
    let (header, size) = match number(bytes, 0)? {
        0 => (8, bytes.len()),
        1 => (16, usize::try_from(long(bytes, 8)?).ok()?),
        size => (8, size as usize),
    };
    (size >= header).then_some((header, size))
}

/// The time scale of a movie or media header, which stands behind two times of 32 or 64 bits.
fn timescale(header: &[u8]) -> Option<u32> {
    number(header, if *header.first()? == 1 { 20 } else { 12 })
}

fn edit_list(content: &[u8]) -> Result<Vec<(u64, i64)>, InvalidRecording> {
    let read = || {
        let wide = *content.first()? == 1;
        let count = number(content, 4).filter(|count| *count <= MAX_EDITS)?;
        let row = |row: u32| {
            let at = 8 + row as usize * if wide { 20 } else { 12 };
            Some(if wide {
                (long(content, at)?, long(content, at + 8)?.cast_signed())
            } else {
                (u64::from(number(content, at)?), i64::from(number(content, at + 4)?.cast_signed()))
            })
        };
        (0..count).map(row).collect::<Option<Vec<_>>>()
    };
    read().ok_or(InvalidRecording::Corrupt)
}

/// The big-endian number of 32 bits at an offset.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// The big-endian number of 64 bits at an offset.
fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
