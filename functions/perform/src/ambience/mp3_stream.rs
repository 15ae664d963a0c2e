//! Decodes the provider's MP3 packet by packet.

use std::io::Cursor;

use shared::deadline::{Deadline, OutOfTime};
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

use super::MixError;

/// A thousand characters take one or two minutes.
const MAX_SECONDS: u32 = 300;

pub struct Mp3Stream<'a> {
    reader: MpaReader<'a>,
    decoder: MpaDecoder,
    /// Of the latest packet, interleaved.
    samples: Vec<f32>,
    /// Frames that the file declares.
    declared: Option<u64>,
    /// Frames decoded so far.
    decoded: u64,
    pub channels: u16,
    /// Frames per second.
    pub rate: u32,
}

impl<'a> Mp3Stream<'a> {
    pub fn open(mp3: &'a [u8]) -> Result<Self, MixError> {
        // Not seekable: otherwise the reader guesses the length of a file that declares none, and truncates it there.
        let source = ReadOnlySource::new(Cursor::new(mp3));
        let stream = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
        let reader =
            MpaReader::try_new(stream, FormatOptions::default()).map_err(|_| MixError::Undecodable)?;
        let track = reader.tracks().first().ok_or(MixError::Undecodable)?;
        let Some(CodecParameters::Audio(codec)) = &track.codec_params else {
            return Err(MixError::Undecodable);
        };
        let (Some(channels), Some(rate)) = (&codec.channels, codec.sample_rate) else {
            return Err(MixError::Undecodable);
        };
        let channels = u16::try_from(channels.count()).map_err(|_| MixError::Undecodable)?;
        let declared = track.num_frames;
        // The decoder trims the encoder's padding where the file declares it.
        let decoder =
            MpaDecoder::try_new(codec, &AudioDecoderOptions::default()).map_err(|_| MixError::Undecodable)?;
        Ok(Self { reader, decoder, samples: Vec::new(), declared, decoded: 0, channels, rate })
    }

    /// The samples of the next packet; `None` after the last.
    pub fn next(&mut self, deadline: Deadline) -> Result<Option<&[f32]>, MixError> {
        if deadline.is_expired() {
            return Err(MixError::OutOfTime(OutOfTime));
        }
        let Some(packet) = self.reader.next_packet().map_err(|_| MixError::Undecodable)? else {
            let is_complete =
                self.decoded > 0 && self.declared.is_none_or(|declared| declared == self.decoded);
            return if is_complete { Ok(None) } else { Err(MixError::Undecodable) };
        };
        let audio = self.decoder.decode(&packet).map_err(|_| MixError::Undecodable)?;
        if audio.spec().rate() != self.rate || audio.num_planes() != usize::from(self.channels) {
            return Err(MixError::Undecodable);
        }
        self.decoded += audio.frames() as u64;
        if self.decoded > u64::from(self.rate) * u64::from(MAX_SECONDS) {
            return Err(MixError::TooLong);
        }
        audio.copy_to_vec_interleaved(&mut self.samples);
        Ok(Some(&self.samples))
    }
}
