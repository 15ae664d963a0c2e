//! Judges the provider's audio by its bytes, whatever its label says: frames of MPEG-1 layer III at 44.1 kHz and tags,
//! enough of them for the text, and nothing else.
//!
//! The check takes the bytes in pieces of any size, so that audio can be judged while it arrives.

/// Far more than a thousand characters take at 128 kbit/s.
const MAX_BYTES: usize = 6 * 1024 * 1024;
/// A tenth of a second: less is no speech, not even of one letter.
const MIN_FRAMES: u64 = 4;
/// Nobody speaks faster.
const MAX_LETTERS_PER_SECOND: u64 = 30;
const SAMPLES_PER_FRAME: u64 = 1152;
const SAMPLES_PER_SECOND: u64 = 44_100;
/// In kbit/s, by the header's index. Index 0 means "free" and 15 is invalid.
const BITRATES: [usize; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
/// The longest header that has to be seen whole: that of an `ID3v2` tag.
const MAX_HEADER: usize = 10;

/// Why audio is not accepted; for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mp3Flaw {
    #[error("it is not MP3 of 44.1 kHz")]
    NotMp3,
    #[error("it is larger than any take")]
    TooLarge,
    #[error("it ends within a frame")]
    Cut,
    #[error("it is too short for its text")]
    TooShort,
}

/// Audio that is arriving.
#[derive(Debug, Default)]
pub struct Mp3Check {
    bytes: usize,
    frames: u64,
    /// The beginning of the next frame or tag, while it is too short to be read.
    header: Vec<u8>,
    /// What is still missing of the frame or tag that was begun.
    rest: usize,
}

impl Mp3Check {
    /// Takes the next bytes. After an error the audio is not worth reading on.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Mp3Flaw> {
        self.bytes += bytes.len();
        if self.bytes > MAX_BYTES {
            return Err(Mp3Flaw::TooLarge);
        }
        loop {
            let skipped = self.rest.min(bytes.len());
            (self.rest, bytes) = (self.rest - skipped, &bytes[skipped..]);
            if bytes.is_empty() {
                return Ok(());
            }
            let (known, taken) = (self.header.len(), bytes.len().min(MAX_HEADER - self.header.len()));
            self.header.extend_from_slice(&bytes[..taken]);
            let Some(part) = Part::read(&self.header)? else { return Ok(()) };
            self.frames += u64::from(part.is_frame);
            // `bytes` still begins where the buffered part ended.
            self.rest = part.length - known;
            self.header.clear();
        }
    }

    /// Judges the whole: whether it can be `text`, spoken.
    pub fn finish(self, text: &str) -> Result<(), Mp3Flaw> {
        if self.frames == 0 {
            return Err(Mp3Flaw::NotMp3);
        }
        if self.rest > 0 || !self.header.is_empty() {
            return Err(Mp3Flaw::Cut);
        }
        // Spaces and punctuation take no time, or not of their own.
        let letters = text.chars().filter(|letter| letter.is_alphanumeric()).count() as u64;
        let is_plausible =
            self.frames * SAMPLES_PER_FRAME * MAX_LETTERS_PER_SECOND >= letters * SAMPLES_PER_SECOND;
        if self.frames >= MIN_FRAMES && is_plausible { Ok(()) } else { Err(Mp3Flaw::TooShort) }
    }
}

/// A frame or a tag.
struct Part {
    is_frame: bool,
    /// Header included.
    length: usize,
}

impl Part {
    /// Reads the header at the start of `bytes`; `None` if it is not whole yet.
    fn read(bytes: &[u8]) -> Result<Option<Self>, Mp3Flaw> {
        match *bytes {
            [0xff, second, ..] if second & 0xfe != 0xfa => Err(Mp3Flaw::NotMp3),
            [0xff, _, third, fourth, ..] => {
                let bitrate = usize::from(third >> 4).checked_sub(1).and_then(|index| BITRATES.get(index));
                let (rate, padding, emphasis) = (third >> 2 & 3, usize::from(third >> 1 & 1), fourth & 3);
                match bitrate {
                    Some(kilobits) if rate == 0 && emphasis != 2 => {
                        Ok(Some(Self { is_frame: true, length: 144_000 * kilobits / 44_100 + padding }))
                    }
                    _ => Err(Mp3Flaw::NotMp3),
                }
            }
            // ID3v1, <https://id3.org/ID3v1>.
            [b'T', b'A', b'G', ..] => Ok(Some(Self { is_frame: false, length: 128 })),
            // ID3v2, <https://id3.org/id3v2.4.0-structure>.
            [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] => {
                let size = [a, b, c, d].iter().fold(0, |size, byte| size << 7 | usize::from(byte & 0x7f));
                let footer = if flags & 0x10 == 0 { 0 } else { 10 };
                Ok(Some(Self { is_frame: false, length: 10 + size + footer }))
            }
            // The beginning of any of them.
            [0xff | b'I' | b'T']
            | [b'I', b'D']
            | [b'I', b'D', b'3', ..]
            | [b'T', b'A']
            | [0xff, _]
            | [0xff, _, _] => Ok(None),
            _ => Err(Mp3Flaw::NotMp3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of 128 kbit/s, every other one padded.
    fn mp3(frames: usize) -> Vec<u8> {
        let frame = |number: usize| {
            let padding = number % 2;
            let mut frame = vec![0x55; 417 + padding];
            frame[..4].copy_from_slice(&[0xff, 0xfb, if padding == 1 { 0x92 } else { 0x90 }, 0xc4]);
            frame
        };
        (0..frames).flat_map(frame).collect()
    }

    fn check(bytes: &[u8], piece: usize, text: &str) -> Result<(), Mp3Flaw> {
        let mut check = Mp3Check::default();
        bytes.chunks(piece).try_for_each(|piece| check.push(piece))?;
        check.finish(text)
    }

    #[test]
    fn mp3_is_judged_by_its_bytes_in_pieces_of_any_size() {
        let id3v2 = [&b"ID3\x04\x00\x00\x00\x00\x01\x02"[..], &[0; 130]].concat();
        let id3v1 = [&b"TAG"[..], &[0x20; 125]].concat();
        let good = [mp3(40), [id3v2.clone(), mp3(40), id3v1].concat()];
        let html = b"<html><body>Please log in to the hotel's network</body></html>".repeat(20);
        let wav = [&b"RIFF\x24\x00\x00\x00WAVEfmt "[..], &[0; 4000]].concat();
        let mut other_rate = mp3(40);
        other_rate[2] = 0x94;
        let bad = [
            (html, Mp3Flaw::NotMp3),
            (br#"{"detail":{"status":"ok"}}"#.to_vec(), Mp3Flaw::NotMp3),
            (vec![0; 20_000], Mp3Flaw::NotMp3),
            (vec![0xff; 20_000], Mp3Flaw::NotMp3),
            (vec![0xff, 0xfb, 0x90], Mp3Flaw::NotMp3),
            (Vec::new(), Mp3Flaw::NotMp3),
            (wav, Mp3Flaw::NotMp3),
            (other_rate, Mp3Flaw::NotMp3),
            (id3v2, Mp3Flaw::NotMp3),
            ([mp3(40), vec![0; 100]].concat(), Mp3Flaw::NotMp3),
            (mp3(40)[..10_000].to_vec(), Mp3Flaw::Cut),
            ([mp3(40), vec![0xff, 0xfb]].concat(), Mp3Flaw::Cut),
            (mp3(3), Mp3Flaw::TooShort),
            (mp3(16_000), Mp3Flaw::TooLarge),
        ];
        for piece in [1, 3, 9, 10, 11, 417, 1000, usize::MAX] {
            for good in &good {
                assert_eq!(check(good, piece, "Good morning."), Ok(()), "{piece}");
            }
            for (bytes, flaw) in &bad {
                let result = check(bytes, piece, "Hi.");
                assert_eq!(result, Err(*flaw), "{piece}: {:?}", &bytes[..bytes.len().min(20)]);
            }
        }
    }

    #[test]
    fn mp3_is_long_enough_for_the_letters_of_its_text() {
        // A second is 38.3 frames.
        assert_eq!(check(&mp3(39), 1000, &"a".repeat(30)), Ok(()));
        assert_eq!(check(&mp3(38), 1000, &"a".repeat(30)), Err(Mp3Flaw::TooShort));
        assert_eq!(check(&mp3(39), 1000, &format!("{} …!?", "a ".repeat(30))), Ok(()));
        assert_eq!(check(&mp3(4), 1000, "a"), Ok(()));
    }
}
