//! The provider's MP3, packet by packet.

use std::io::Cursor;

use shared::deadline::Deadline;
use symphonia::{
    core::{
        codecs::{
            CodecParameters,
            audio::{AudioDecoder as _, AudioDecoderOptions},
        },
        formats::{FormatOptions, FormatReader as _},
        io::{MediaSourceStream, MediaSourceStreamOptions, ReadOnlySource},
    },
    default::{codecs::MpaDecoder, formats::MpaReader},
};

use super::NotMixed;

/// A thousand characters take a minute or two.
const MAX_SECONDS: u32 = 300;

/// An MP3 that is being decoded.
pub struct Voice<'a> {
    reader: MpaReader<'a>,
    decoder: MpaDecoder,
    /// Samples of the latest packet, of all channels in turn.
    samples: Vec<f32>,
    /// Frames that the file says it has, and frames decoded so far.
    declared: Option<u64>,
    decoded: u64,
    /// Channels.
    pub channels: u16,
    /// Frames a second.
    pub rate: u32,
}

impl<'a> Voice<'a> {
    /// Begins at the start.
    pub fn open(mp3: &'a [u8]) -> Result<Self, NotMixed> {
        // Not seekable, or the reader guesses how long a file is that does not say so, and cuts it there.
        let source = ReadOnlySource::new(Cursor::new(mp3));
        let stream = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
        let reader =
            MpaReader::try_new(stream, FormatOptions::default()).map_err(|_| NotMixed::Undecodable)?;
        let track = reader.tracks().first().ok_or(NotMixed::Undecodable)?;
        let Some(CodecParameters::Audio(codec)) = &track.codec_params else {
            return Err(NotMixed::Undecodable);
        };
        let (Some(channels), Some(rate)) = (&codec.channels, codec.sample_rate) else {
            return Err(NotMixed::Undecodable);
        };
        let channels = u16::try_from(channels.count()).map_err(|_| NotMixed::Undecodable)?;
        let declared = track.num_frames;
        // What an encoder put before and after the sound is taken away again, where the file says how much it is.
        let decoder =
            MpaDecoder::try_new(codec, &AudioDecoderOptions::default()).map_err(|_| NotMixed::Undecodable)?;
        Ok(Self { reader, decoder, samples: Vec::new(), declared, decoded: 0, channels, rate })
    }

    /// The samples of the next packet; `None` after the last.
    pub fn next(&mut self, by: Deadline) -> Result<Option<&[f32]>, NotMixed> {
        if by.is_expired() {
            return Err(NotMixed::TimedOut);
        }
        let Some(packet) = self.reader.next_packet().map_err(|_| NotMixed::Undecodable)? else {
            let whole = self.decoded > 0 && self.declared.is_none_or(|declared| declared == self.decoded);
            return if whole { Ok(None) } else { Err(NotMixed::Undecodable) };
        };
        let sound = self.decoder.decode(&packet).map_err(|_| NotMixed::Undecodable)?;
        if sound.spec().rate() != self.rate || sound.num_planes() != usize::from(self.channels) {
            return Err(NotMixed::Undecodable);
        }
        self.decoded += sound.frames() as u64;
        if self.decoded > u64::from(self.rate) * u64::from(MAX_SECONDS) {
            return Err(NotMixed::TooLong);
        }
        sound.copy_to_vec_interleaved(&mut self.samples);
        Ok(Some(&self.samples))
    }
}
