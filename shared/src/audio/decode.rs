//! Decodes a recording and measures its duration, loudness and clipping.
//!
//! `symphonia` demuxes, and decodes all codecs except Opus, which `rusty-opus` decodes. The bytes may be hostile, so
//! everything is bounded: by the maximum duration (decoding stops there), the number of packets, the size of decoder
//! tables, and finally time. Nothing is allocated by a size that a header declares.

use std::{
    io::{self, Cursor, Read, Seek, SeekFrom},
    time::{Duration, Instant},
};

use rusty_opus::OpusDecoder;
use symphonia::{
    core::{
        codecs::{
            CodecParameters,
            audio::{
                AudioCodecParameters, AudioDecoder, AudioDecoderOptions,
                well_known::{CODEC_ID_AAC, CODEC_ID_MP3, CODEC_ID_OPUS, CODEC_ID_VORBIS},
            },
        },
        errors::Error,
        formats::{FormatOptions, FormatReader, Track, TrackType},
        io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions},
        packet::Packet,
        units::{Duration as TrackDuration, Timestamp},
    },
    default::{
        formats::{FlacReader, IsoMp4Reader, MkvReader, OggReader, WavReader},
        get_codecs,
    },
};

use super::{
    Format, InvalidRecording,
    container::{
        Edit, Extent,
        mp3::{Frame, declared_frames},
    },
};

/// Two minutes of the shortest packets, 2.5 ms of Opus, have 48,000.
pub(super) const MAX_PACKETS: u32 = 60_000;
/// Hard time limit per file. Two minutes of audio take about 0.2 s, and many times that in an unoptimised build.
const MAX_TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 3 });
/// The power below which a packet is silence: -50 dBFS, where full scale is 1.
const SILENCE: f64 = 1e-5;
/// A sample at least this large is at full scale, where a microphone's amplifier cuts off what is louder.
const FULL_SCALE: f32 = 0.99;
/// Sample rates for speech, in Hz. With lower ones, a few bytes could pass for a minute.
const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
/// Seconds by which the sound may be shorter than the container declares.
const MAX_MISSING: f64 = 0.5;
/// What encoders pad at most, in seconds.
const PADDING: f64 = 0.25;
/// At most one in this many packets may fail to decode: a flipped bit is inaudible, a broken file is not.
const MAX_FAILED: u32 = 20;

#[derive(Default)]
pub(super) struct AudioStats {
    /// Duration.
    pub seconds: f64,
    /// Seconds that are louder than [`SILENCE`].
    pub audible: f64,
    /// Audible seconds at full scale.
    pub clipped: f64,
}

/// Decodes the only audio track of a file. Stops with an error once it is longer than `max_seconds`.
pub(super) fn analyze(
    format: Format,
    bytes: &[u8],
    extent: &Extent,
    max_seconds: f64,
) -> Result<AudioStats, InvalidRecording> {
    let deadline = Instant::now() + MAX_TIME;
    let meter =
        Meter { stats: AudioStats::default(), decoded: 0.0, packets: 0, failed: 0, max_seconds, deadline };
    if format == Format::Mp3 {
        decode_mp3(bytes, &extent.frames, meter)
    } else {
        demux(format, bytes, extent, meter)
    }
}

/// Decodes MP3 frame by frame: the demuxer accepts neither junk between frames nor a change of rate or channels.
fn decode_mp3(bytes: &[u8], frames: &[Frame], mut meter: Meter) -> Result<AudioStats, InvalidRecording> {
    let mut decoder: Option<(u32, bool, Decoder)> = None;
    let mut declared = 0.0;
    for Frame { bytes: range, header } in frames {
        let data = &bytes[range.clone()];
        if let Some(count) = declared_frames(data, *header) {
            declared += f64::from(count) * header.seconds();
            continue;
        }
        let is_same =
            |(rate, is_mono, _): &(u32, bool, Decoder)| (*rate, *is_mono) == (header.rate, header.is_mono);
        let (_, _, decoder) = if let Some(same) = decoder.take().filter(is_same) {
            decoder.insert(same)
        } else {
            let mut codec = AudioCodecParameters::default();
            codec.for_codec(CODEC_ID_MP3);
            decoder.insert((header.rate, header.is_mono, Decoder::new(&codec, Format::Mp3)?))
        };
        let packet = Packet::new(0, Timestamp::ZERO, TrackDuration::ZERO, data);
        meter.count(decoder, &packet, 1.0)?;
    }
    if declared - meter.decoded > MAX_MISSING {
        return Err(InvalidRecording::Truncated);
    }
    meter.finish()
}

fn demux(
    format: Format,
    bytes: &[u8],
    extent: &Extent,
    mut meter: Meter,
) -> Result<AudioStats, InvalidRecording> {
    let mut reader = open(format, FileSource { bytes: Cursor::new(bytes), format, deadline: meter.deadline })
        .map_err(|error| match map_error(&error) {
            // All pages are there, but none is of a codec that the demuxer knows.
            InvalidRecording::Truncated if format == Format::Ogg => InvalidRecording::Unsupported,
            error => error,
        })?;
    let track = only_track(reader.tracks())?;
    let Some(CodecParameters::Audio(codec)) = &track.codec_params else {
        return Err(InvalidRecording::Unsupported);
    };
    let mut decoder = Decoder::new(codec, format)?;

    let mut timeline = Timeline::default();
    let end = loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break Ok(()),
            // Live recordings have no other end, and completeness was checked before. Only an MP4 can still refer to
            // data after its last byte.
            Err(error) if at_end(&error) && format != Format::Mp4 => break Ok(()),
            Err(error) => break Err(map_error(&error)),
        };
        if packet.track_id != track.id {
            meter.tick()?;
            continue;
        }
        let (start, end) = timeline.add(&track, &packet);
        meter.count(&mut decoder, &packet, played(&extent.edits, start, end))?;
        // Both the sound and its timestamps count, so that neither overlapping packets nor long gaps pass.
        meter.stats.seconds = meter.stats.seconds.max(timeline.seconds(&extent.edits));
    };
    // Every encoder pads the sound, but only some containers have edits to hide that. The padding counts in all alike.
    let whole = timeline.seconds(&[]).max(meter.decoded);
    if whole - meter.stats.seconds < PADDING {
        meter.stats.seconds = whole.max(meter.stats.seconds);
    }
    // In an MP4 the tables locate every packet, so a missing one is an error of the demuxer.
    let declared = if format == Format::Mp4 { 0.0 } else { declared_seconds(&track, codec) };
    if declared - whole > MAX_MISSING {
        return Err(InvalidRecording::Truncated);
    }
    end?;
    meter.finish()
}

/// Sums up the packets, within the limits.
struct Meter {
    stats: AudioStats,
    /// Seconds decoded, whether played or not.
    decoded: f64,
    packets: u32,
    failed: u32,
    max_seconds: f64,
    deadline: Instant,
}

impl Meter {
    fn tick(&mut self) -> Result<(), InvalidRecording> {
        self.packets += 1;
        if self.packets > MAX_PACKETS {
            return Err(InvalidRecording::TooLong);
        }
        if Instant::now() > self.deadline {
            return Err(InvalidRecording::Corrupt);
        }
        Ok(())
    }

    /// Decodes a packet that is played `times` times.
    fn count(&mut self, decoder: &mut Decoder, packet: &Packet, times: f64) -> Result<(), InvalidRecording> {
        self.tick()?;
        match decoder.decode(packet) {
            Ok(sound) => {
                let seconds = sound.seconds()?;
                self.decoded += seconds;
                self.stats.seconds += seconds * times;
                if times > 0.0 && sound.power() > SILENCE {
                    self.stats.audible += seconds * times;
                    self.stats.clipped += seconds * times * sound.clipped_ratio();
                }
            }
            Err(Error::Unsupported(_)) => return Err(InvalidRecording::Unsupported),
            Err(_) => self.failed += 1,
        }
        self.check_length()
    }

    fn check_length(&self) -> Result<(), InvalidRecording> {
        if self.stats.seconds > self.max_seconds { Err(InvalidRecording::TooLong) } else { Ok(()) }
    }

    fn finish(self) -> Result<AudioStats, InvalidRecording> {
        if self.packets == 0 {
            return Err(InvalidRecording::NoAudioTrack);
        }
        self.check_length()?;
        if self.failed * MAX_FAILED > self.packets {
            return Err(InvalidRecording::Corrupt);
        }
        Ok(self.stats)
    }
}

/// How many times the edits play what is between two points of the track: once if there are no edits.
fn played(edits: &[Edit], start: f64, end: f64) -> f64 {
    if edits.is_empty() || end <= start {
        return 1.0;
    }
    let overlap = |edit: &Edit| (edit.end.min(end) - edit.start.max(start)).max(0.0);
    edits.iter().map(overlap).sum::<f64>() / (end - start)
}

fn open(format: Format, source: FileSource<'_>) -> Result<Box<dyn FormatReader + '_>, Error> {
    let stream = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
    let options = FormatOptions::default();
    Ok(match format {
        Format::Webm => Box::new(MkvReader::try_new(stream, options)?),
        Format::Mp4 => Box::new(IsoMp4Reader::try_new(stream, options)?),
        Format::Ogg => Box::new(OggReader::try_new(stream, options)?),
        Format::Wav => Box::new(WavReader::try_new(stream, options)?),
        Format::Mp3 => return Err(Error::Unsupported("MP3 has no container")),
        Format::Flac => Box::new(FlacReader::try_new(stream, options)?),
    })
}

fn only_track(tracks: &[Track]) -> Result<Track, InvalidRecording> {
    if tracks.iter().any(|track| track.track_type() == Some(TrackType::Video)) {
        return Err(InvalidRecording::Video);
    }
    let mut sounds = tracks.iter().filter(|track| track.track_type() == Some(TrackType::Audio));
    match (sounds.next(), sounds.next()) {
        (Some(only), None) => Ok(only.clone()),
        (Some(_), Some(_)) => Err(InvalidRecording::MultipleTracks),
        // A track of unknown type is most likely audio in a rare codec.
        (None, _) if !tracks.is_empty() => Err(InvalidRecording::Unsupported),
        (None, _) => Err(InvalidRecording::NoAudioTrack),
    }
}

/// The duration that the container declares; 0 if none.
fn declared_seconds(track: &Track, codec: &AudioCodecParameters) -> f64 {
    let frames = track.num_frames.and_then(|frames| u32::try_from(frames).ok());
    match (frames, codec.sample_rate) {
        (Some(frames), Some(rate)) if rate > 0 => f64::from(frames) / f64::from(rate),
        _ => 0.0,
    }
}

fn map_error(error: &Error) -> InvalidRecording {
    match error {
        Error::Unsupported(_) => InvalidRecording::Unsupported,
        // In Ogg, another recording begins after the first.
        Error::ResetRequired => InvalidRecording::MultipleRecordings,
        error if at_end(error) => InvalidRecording::Truncated,
        _ => InvalidRecording::Corrupt,
    }
}

fn at_end(error: &Error) -> bool {
    matches!(error, Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof)
}

/// From the first packet's timestamp to the end of the latest.
#[derive(Default)]
struct Timeline {
    first: Option<f64>,
    end: f64,
}

impl Timeline {
    /// Adds a packet. Returns when it begins and ends.
    fn add(&mut self, track: &Track, packet: &Packet) -> (f64, f64) {
        let time =
            |at| track.time_base.and_then(|base| base.calc_time(at)).map_or(0.0, |time| time.as_secs_f64());
        let (start, end) = (time(packet.pts), time(packet.pts.saturating_add(packet.dur)));
        self.first.get_or_insert(start);
        self.end = self.end.max(end);
        (start, end)
    }

    /// Its length, or that of what the edits play of it.
    fn seconds(&self, edits: &[Edit]) -> f64 {
        if edits.is_empty() {
            return self.end - self.first.unwrap_or(self.end);
        }
        edits.iter().map(|edit| (edit.end.min(self.end) - edit.start).max(0.0)).sum()
    }
}

/// The sound of one packet: interleaved samples, full scale 1.
struct Sound<'a> {
    samples: &'a [f32],
    channels: usize,
    rate: u32,
}

impl Sound<'_> {
    fn seconds(&self) -> Result<f64, InvalidRecording> {
        if !SAMPLE_RATES.contains(&self.rate) {
            return Err(InvalidRecording::Unsupported);
        }
        let frames =
            u32::try_from(self.samples.len() / self.channels).map_err(|_| InvalidRecording::Corrupt)?;
        Ok(f64::from(frames) / f64::from(self.rate))
    }

    /// The ratio of samples at full scale, 0 to 1.
    fn clipped_ratio(&self) -> f64 {
        let clipped = self.samples.iter().filter(|sample| sample.abs() >= FULL_SCALE).count();
        let count = |samples: usize| f64::from(u32::try_from(samples).unwrap_or(u32::MAX));
        count(clipped) / count(self.samples.len()).max(1.0)
    }

    /// The variance of the loudest channel. Unlike the mean square, it ignores a constant offset.
    fn power(&self) -> f64 {
        let variance = |channel| {
            let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
            for sample in self.samples.iter().skip(channel).step_by(self.channels) {
                let sample = f64::from(*sample);
                count += 1.0;
                sum += sample;
                squares += sample * sample;
            }
            let mean = sum / count;
            squares / count - mean * mean
        };
        (0..self.channels).map(variance).fold(0.0, f64::max)
    }
}

/// A decoder and the samples of its latest packet.
enum Decoder {
    Opus { decoder: Box<OpusDecoder>, channels: usize, samples: Vec<f32> },
    Other { decoder: Box<dyn AudioDecoder>, samples: Vec<f32> },
}

impl Decoder {
    /// 120 ms, the longest Opus packet, at 48 kHz (RFC 6716, section 3.2.5).
    const OPUS_FRAMES: usize = 5_760;
    const OPUS_RATE: i32 = 48_000;

    fn new(codec: &AudioCodecParameters, format: Format) -> Result<Self, InvalidRecording> {
        let setup = codec.extra_data.as_deref().unwrap_or_default();
        if codec.codec == CODEC_ID_OPUS {
            // The channel count in the identification header (RFC 7845, section 5.1). More than two come in
            // several streams per packet, which no microphone sends.
            let channels = setup.get(9).map_or(2, |count| usize::from(*count));
            let decoder = OpusDecoder::new(Self::OPUS_RATE, channels)
                .map_err(|_| InvalidRecording::UnsupportedVariant(format))?;
            let samples = vec![0.0; Self::OPUS_FRAMES * channels];
            return Ok(Self::Opus { decoder: Box::new(decoder), channels, samples });
        }
        if codec.codec == CODEC_ID_VORBIS && vorbis_table_size(setup) > MAX_VORBIS_TABLE_SIZE {
            return Err(InvalidRecording::Corrupt);
        }
        let mut codec = codec.clone();
        if codec.codec == CODEC_ID_AAC {
            let config = low_complexity(setup).ok_or(InvalidRecording::UnsupportedVariant(format))?;
            codec.extra_data = Some(config.into());
        }
        // Padding counts as sound, because trimming it would trust a number in a header.
        let options = AudioDecoderOptions::default().gapless(false);
        let is_known = get_codecs().get_audio_decoder(codec.codec).is_some();
        let decoder =
            get_codecs().make_audio_decoder(&codec, &options).map_err(|error| match map_error(&error) {
                InvalidRecording::Unsupported if is_known => InvalidRecording::UnsupportedVariant(format),
                error => error,
            })?;
        Ok(Self::Other { decoder, samples: Vec::new() })
    }

    fn decode(&mut self, packet: &Packet) -> Result<Sound<'_>, Error> {
        match self {
            // The decoder would treat an empty packet as a lost one and conceal it.
            Self::Opus { .. } if packet.data.is_empty() => Err(Error::DecodeError("empty packet")),
            Self::Opus { decoder, channels, samples } => {
                let frames = decoder
                    .decode(&packet.data, Self::OPUS_FRAMES, samples)
                    .map_err(|_| Error::DecodeError("invalid Opus packet"))?;
                let samples =
                    samples.get(..frames * *channels).ok_or(Error::DecodeError("invalid Opus packet"))?;
                Ok(Sound { samples, channels: *channels, rate: Self::OPUS_RATE.unsigned_abs() })
            }
            Self::Other { decoder, samples } => {
                let sound = decoder.decode(packet)?;
                sound.copy_to_vec_interleaved(samples);
                Ok(Sound { samples, channels: sound.num_planes().max(1), rate: sound.spec().rate() })
            }
        }
    }
}

/// An AAC configuration (ISO/IEC 14496-3, section 1.6.2.1) without the extensions of HE-AAC. Its high frequencies (SBR)
/// and second channel (PS) extend an AAC-LC stream of half the rate, which is of the same length and all that the decoder
/// can decode. `None` if the stream is no AAC-LC.
fn low_complexity(config: &[u8]) -> Option<Vec<u8>> {
    const LC: u128 = 2;
    const SBR: u128 = 5;
    const PS: u128 = 29;
    /// Instead of an index: the rate itself follows.
    const EXPLICIT_RATE: u128 = 15;

    let bits =
        config.iter().chain(&[0; 16]).take(16).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let mut at = 0;
    let mut read = |count: u32| {
        let value = bits << at >> (128 - count);
        at += count;
        value
    };
    let kind = read(5);
    let rate_index = read(4);
    let rate = (rate_index == EXPLICIT_RATE).then(|| read(24));
    let channels = read(4);
    let mut core = kind;
    if kind == SBR || kind == PS {
        if read(4) == EXPLICIT_RATE {
            read(24);
        }
        core = read(5);
    }
    let has_short_frames = read(1) == 1;
    if core != LC || has_short_frames || config.len() < 2 {
        return None;
    }
    let (rate, rate_bits) = rate.map_or((0, 0), |rate| (rate, 24));
    // The channels, and three flags that are not set.
    let plain = (((LC << 4 | rate_index) << rate_bits | rate) << 4 | channels) << 3;
    let len = 2 + rate_bits / 8;
    Some(plain.to_be_bytes()[16 - len..].to_vec())
}

/// 16 MB of `f32`. Encoders build tables of some 100,000 numbers.
const MAX_VORBIS_TABLE_SIZE: u64 = 4 * 1024 * 1024;

/// How many numbers the decoder would unpack the codebooks of a Vorbis setup header to: their dimensions times
/// their entries, which is up to four million each for a handful of bytes. Codebooks have no length and begin at
/// any bit, so they are found by the pattern that each begins with (Vorbis I, section 3.2.1).
pub(super) fn vorbis_table_size(setup: &[u8]) -> u64 {
    const SYNC: u64 = 0x56_4342;

    let mut size = 0;
    let mut window = 0; // the latest 64 bits, the newest on top: 24 of sync, 16 of dimensions, 24 of entries
    for byte in setup {
        for bit in 0..8 {
            window = window >> 1 | u64::from(byte >> bit & 1) << 63;
            let (dimensions, entries) = (window >> 24 & 0xffff, window >> 40);
            // The decoder itself refuses larger ones.
            if window & 0xff_ffff == SYNC && dimensions <= 32 && entries <= 128 * 1024 {
                size += dimensions * entries;
            }
        }
    }
    size
}

/// The file as the demuxer reads it.
struct FileSource<'a> {
    bytes: Cursor<&'a [u8]>,
    format: Format,
    deadline: Instant,
}

impl Read for FileSource<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A looping demuxer keeps reading, so the deadline is enforced here.
        if Instant::now() > self.deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.bytes.read(buffer)
    }
}

impl Seek for FileSource<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

impl MediaSource for FileSource<'_> {
    /// Only MP4 can have its index at the end. In other formats a demuxer would follow the file's own pointers back and
    /// forth, of which a hostile file can have very many.
    fn is_seekable(&self) -> bool {
        self.format == Format::Mp4
    }

    fn byte_len(&self) -> Option<u64> {
        u64::try_from(self.bytes.get_ref().len()).ok()
    }
}
