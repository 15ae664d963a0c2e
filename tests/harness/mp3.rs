//! What came out of a perform, as a listener would find it.

use std::io::Cursor;

use symphonia::core::{
    codecs::audio::AudioDecoderOptions,
    formats::{FormatOptions, TrackType, probe::Hint},
    io::{MediaSourceStream, MediaSourceStreamOptions, ReadOnlySource},
    meta::MetadataOptions,
};

/// A decoded MP3.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    /// Length in seconds.
    pub seconds: f64,
    /// Samples a second.
    pub rate: u32,
    /// Root mean square over the whole, of a full scale of 1; silence is 0.
    pub loudness: f64,
}

/// The sound of a decoded MP3.
#[derive(Debug, Clone)]
pub struct Sound {
    /// Samples of all channels in turn, of a full scale of 1.
    pub samples: Vec<f32>,
    /// Samples a second, of each channel.
    pub rate: u32,
    /// Channels.
    pub channels: usize,
}

/// Decodes an MP3 from its first frame to its last, without what the encoder put around the sound where the file says
/// how much that is; `None` if it is no MP3.
#[must_use]
pub fn decode(mp3: &[u8]) -> Option<Sound> {
    let source = ReadOnlySource::new(Cursor::new(mp3.to_vec()));
    let stream = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
    let mut hint = Hint::new();
    hint.with_extension("mp3");
    let mut format = symphonia::default::get_probe()
        .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
        .ok()?;
    let track = format.default_track(TrackType::Audio)?;
    let parameters = track.codec_params.as_ref()?.audio()?.clone();
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(&parameters, &AudioDecoderOptions::default())
        .ok()?;
    let mut heard = Sound { samples: Vec::new(), rate: 0, channels: 0 };
    let mut samples: Vec<f32> = Vec::new();
    while let Some(packet) = format.next_packet().ok()? {
        let sound = decoder.decode(&packet).ok()?;
        (heard.rate, heard.channels) = (sound.spec().rate(), sound.num_planes());
        sound.copy_to_vec_interleaved(&mut samples);
        heard.samples.extend(&samples);
    }
    (!heard.samples.is_empty() && heard.rate > 0).then_some(heard)
}

/// Decodes an MP3 and measures it; `None` if it is no MP3.
#[must_use]
pub fn listen(mp3: &[u8]) -> Option<Heard> {
    let sound = decode(mp3)?;
    #[expect(clippy::cast_precision_loss, reason = "seconds of audio, not a count")]
    let frames = (sound.samples.len() / sound.channels) as f64;
    Some(Heard { seconds: frames / f64::from(sound.rate), rate: sound.rate, loudness: rms(&sound.samples) })
}

/// The root mean square of samples; 0 of none.
#[must_use]
pub fn rms(samples: &[f32]) -> f64 {
    let squares: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    #[expect(clippy::cast_precision_loss, reason = "minutes of samples, far below 2^52")]
    let count = samples.len().max(1) as f64;
    (squares / count).sqrt()
}

/// A well-formed MP3 without any sound: MPEG-1 Layer III frames of 26 ms, mono, 44.1 kHz, 128 kbit/s, all of whose
/// side information is zero.
#[must_use]
pub fn silence(frames: usize) -> Vec<u8> {
    let mut frame = [0; 417];
    frame[..4].copy_from_slice(&[0xff, 0xfb, 0x90, 0xc0]);
    frame.repeat(frames)
}
