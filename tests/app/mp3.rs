//! What came out of a perform, as a listener would find it.

use std::io::Cursor;

use symphonia::core::{
    codecs::audio::AudioDecoderOptions,
    formats::{FormatOptions, TrackType, probe::Hint},
    io::MediaSourceStream,
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

/// Decodes an MP3 from its first frame to its last; `None` if that is not what it is.
#[must_use]
pub fn listen(mp3: &[u8]) -> Option<Heard> {
    let stream = MediaSourceStream::new(
        Box::new(Cursor::new(mp3.to_vec())),
        symphonia::core::io::MediaSourceStreamOptions::default(),
    );
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
    let (mut frames, mut squares, mut rate, mut count) = (0_u64, 0.0_f64, 0, 0_u64);
    let mut samples: Vec<f32> = Vec::new();
    while let Some(packet) = format.next_packet().ok()? {
        let sound = decoder.decode(&packet).ok()?;
        rate = sound.spec().rate();
        frames += sound.frames() as u64;
        sound.copy_to_vec_interleaved(&mut samples);
        squares += samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
        count += samples.len() as u64;
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds of audio, not a count")]
    (count > 0 && rate > 0).then(|| Heard {
        seconds: frames as f64 / f64::from(rate),
        rate,
        loudness: (squares / count as f64).sqrt(),
    })
}
