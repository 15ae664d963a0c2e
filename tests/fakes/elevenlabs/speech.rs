//! Synthetic speech: no intelligible words, but a voice that can be told from others.
//!
//! Every pitch period adds one damped grain with the formants of the current letter (formant wave function synthesis).
//! Fricatives are noise; stops, spaces and punctuation are short silences. This costs two additions per sample, which is
//! fast even in an unoptimised build.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "times, samples and levels are small numbers that change between the real and the whole all the time"
)]

use std::f64::consts::{PI, TAU};
use std::hash::{DefaultHasher, Hash, Hasher};

use mp3lame_encoder::{Bitrate, Builder, FlushNoGap, Mode, MonoPcm, Quality, max_required_buffer_size};

use super::error::ApiError;

/// The speaking rate of every voice.
const CHARACTERS_PER_SECOND: f64 = 14.0;
const GRAIN_SECONDS: f64 = 0.02;
/// Hiss and silence advance in steps of this length.
const STEP_SECONDS: f64 = 0.005;
/// The loudest sample, as a fraction of full scale.
const PEAK: f64 = 0.6;

/// A supported `output_format`.
#[derive(Clone, Copy)]
pub(super) enum Format {
    /// MP3, 44.1 kHz mono.
    Mp3(Bitrate),
    /// Signed 16-bit little-endian samples, mono, at this rate in Hz.
    Pcm(u32),
}

/// Formats of the vendor that this file does not support.
const UNSUPPORTED_FORMATS: [&str; 17] = [
    "mp3_22050_32",
    "mp3_24000_48",
    "opus_48000_32",
    "opus_48000_64",
    "opus_48000_96",
    "opus_48000_128",
    "opus_48000_192",
    "pcm_8000",
    "pcm_32000",
    "pcm_48000",
    "ulaw_8000",
    "alaw_8000",
    "wav_16000",
    "wav_22050",
    "wav_24000",
    "wav_44100",
    "wav_48000",
];

impl Format {
    /// Reads the query's `output_format`, for a Creator plan.
    pub fn parse(name: &str) -> Result<Self, ApiError> {
        match name {
            "mp3_44100_32" => Ok(Self::Mp3(Bitrate::Kbps32)),
            "mp3_44100_64" => Ok(Self::Mp3(Bitrate::Kbps64)),
            "mp3_44100_96" => Ok(Self::Mp3(Bitrate::Kbps96)),
            "mp3_44100_128" => Ok(Self::Mp3(Bitrate::Kbps128)),
            "mp3_44100_192" => Ok(Self::Mp3(Bitrate::Kbps192)),
            "pcm_16000" => Ok(Self::Pcm(16_000)),
            "pcm_22050" => Ok(Self::Pcm(22_050)),
            "pcm_24000" => Ok(Self::Pcm(24_000)),
            "pcm_44100" => Err(ApiError::output_format_not_allowed(name)),
            name if UNSUPPORTED_FORMATS.contains(&name) => Err(ApiError::unsupported_by_fake(name)),
            name => Err(ApiError::invalid_output_format(name)),
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Mp3(_) => "audio/mpeg",
            Self::Pcm(_) => "audio/pcm",
        }
    }

    fn sample_rate(self) -> u32 {
        match self {
            Self::Mp3(_) => 44_100,
            Self::Pcm(rate) => rate,
        }
    }
}

/// Speaks `text` in the voice of `voice_id`. Takes milliseconds of computing; not for an async thread.
pub(super) fn render(voice_id: &str, text: &str, speed: f64, format: Format) -> Vec<u8> {
    let samples = Speaker::new(voice_id, format.sample_rate()).speak(text, speed);
    match format {
        Format::Pcm(_) => samples.iter().flat_map(|sample| sample.to_le_bytes()).collect(),
        Format::Mp3(bitrate) => mp3(&samples, format.sample_rate(), bitrate),
    }
}

fn mp3(samples: &[i16], rate: u32, bitrate: Bitrate) -> Vec<u8> {
    let mut encoder = Builder::new()
        .expect("memory for an encoder")
        .with_num_channels(1)
        .and_then(|builder| builder.with_mode(Mode::Mono))
        .and_then(|builder| builder.with_sample_rate(rate))
        .and_then(|builder| builder.with_brate(bitrate))
        .and_then(|builder| builder.with_quality(Quality::Ok))
        .and_then(|builder| builder.with_to_write_vbr_tag(false))
        .and_then(Builder::build)
        .expect("44.1 kHz mono at these bitrates");
    // The second part is for the flush, which never needs more.
    let mut mp3 = Vec::with_capacity(max_required_buffer_size(samples.len()) + 7_200);
    encoder.encode_to_vec(MonoPcm(samples), &mut mp3).expect("room for the frames");
    encoder.flush_to_vec::<FlushNoGap>(&mut mp3).expect("room for the last frames");
    mp3
}

/// What a letter sounds like.
#[derive(Clone, Copy, PartialEq)]
enum Sound {
    /// A row of [`RESONANCES`].
    Voiced(usize),
    Hiss,
    Stop,
    Silence,
}

/// Three formants each, in Hz, of the vowels a e i o u, of the nasals and of the liquids.
const RESONANCES: [[f64; 3]; 7] = [
    [730.0, 1_090.0, 2_440.0],
    [530.0, 1_840.0, 2_480.0],
    [290.0, 2_250.0, 2_950.0],
    [570.0, 840.0, 2_410.0],
    [320.0, 870.0, 2_240.0],
    [250.0, 1_200.0, 2_100.0],
    [380.0, 1_300.0, 2_600.0],
];
const BANDWIDTHS: [f64; 3] = [80.0, 100.0, 140.0];
const LEVELS: [f64; 3] = [1.0, 0.5, 0.25];

fn sound(letter: char) -> Sound {
    match letter.to_lowercase().next().unwrap_or(letter) {
        'a' | 'á' | 'à' | 'â' | 'ã' | 'ä' | 'å' => Sound::Voiced(0),
        'e' | 'é' | 'è' | 'ê' | 'ë' | 'ö' | 'œ' => Sound::Voiced(1),
        'i' | 'í' | 'ì' | 'î' | 'ï' | 'y' | 'ü' | 'j' => Sound::Voiced(2),
        'o' | 'ó' | 'ò' | 'ô' | 'õ' => Sound::Voiced(3),
        'u' | 'ú' | 'ù' | 'û' | 'w' => Sound::Voiced(4),
        'm' | 'n' | 'ñ' => Sound::Voiced(5),
        'l' | 'r' | 'v' | 'b' | 'd' | 'g' => Sound::Voiced(6),
        'p' | 't' | 'k' | 'q' => Sound::Stop,
        'c' | 'ç' | 'f' | 'h' | 's' | 'ß' | 'x' | 'z' => Sound::Hiss,
        other if other.is_alphanumeric() => Sound::Voiced(other as usize % RESONANCES.len()),
        _ => Sound::Silence,
    }
}

/// A voice, distinguished by its pitch and the length of its vocal tract.
struct Speaker {
    rate: f64,
    pitch: f64,
    /// One pitch period's answer of each row of [`RESONANCES`].
    grains: Vec<Vec<f64>>,
    noise: u64,
}

impl Speaker {
    fn new(voice_id: &str, rate: u32) -> Self {
        let mut hasher = DefaultHasher::new();
        voice_id.hash(&mut hasher);
        let seed = hasher.finish();
        let rate = f64::from(rate);
        let tract = 0.88 + 0.28 * (seed >> 32 & 0xff) as f64 / 255.0;
        Self {
            rate,
            pitch: 95.0 + 120.0 * (seed & 0xff) as f64 / 255.0,
            grains: RESONANCES.map(|formants| grain(formants.map(|hertz| hertz * tract), rate)).into(),
            noise: seed | 1,
        }
    }

    fn speak(mut self, text: &str, speed: f64) -> Vec<i16> {
        let sounds: Vec<Sound> = text.chars().map(sound).collect();
        let per_letter = self.rate / CHARACTERS_PER_SECOND / speed;
        let length = (sounds.len().max(1) as f64 * per_letter) as usize;
        let mut wave = vec![0.0; length + (GRAIN_SECONDS * self.rate) as usize + 1];
        let step = STEP_SECONDS * self.rate;
        let mut at = 0.0;
        while (at as usize) < length {
            let letter = (at / per_letter) as usize;
            let through = at / per_letter - letter as f64;
            match sounds.get(letter).copied().unwrap_or(Sound::Silence) {
                Sound::Voiced(row) => {
                    let swell = 0.7 + 0.3 * (PI * through).sin();
                    for (sample, grain) in wave[at as usize..].iter_mut().zip(&self.grains[row]) {
                        *sample += swell * grain;
                    }
                    at += self.rate / self.melody(at);
                }
                sound => {
                    // A stop is a silence with a burst at its end.
                    if sound == Sound::Hiss || sound == Sound::Stop && through > 0.6 {
                        let end = length.min((at + step) as usize);
                        wave[at as usize..end].fill_with(|| 0.12 * self.hiss());
                    }
                    at += step;
                }
            }
        }
        wave.truncate(length);
        let loudest = wave.iter().fold(0.01_f64, |most, sample| most.max(sample.abs()));
        wave.iter().map(|sample| (sample / loudest * PEAK * f64::from(i16::MAX)) as i16).collect()
    }

    /// The pitch in Hz: it falls every two seconds, as in a sentence, with a little vibrato.
    fn melody(&self, at: f64) -> f64 {
        let seconds = at / self.rate;
        let fall = 1.12 - 0.12 * (seconds % 2.0);
        self.pitch * fall * (1.0 + 0.02 * (TAU * 5.0 * seconds).sin())
    }

    /// White noise by xorshift, -1 to 1.
    fn hiss(&mut self) -> f64 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        (self.noise >> 32) as f64 / f64::from(u32::MAX) * 2.0 - 1.0
    }
}

fn grain(formants: [f64; 3], rate: f64) -> Vec<f64> {
    let length = (GRAIN_SECONDS * rate) as usize;
    let at = |index: usize| {
        let seconds = index as f64 / rate;
        let ring = |formant: usize| {
            let damping = (-PI * BANDWIDTHS[formant] * seconds).exp();
            LEVELS[formant] * damping * (TAU * formants[formant] * seconds).sin()
        };
        // The last tenth fades, so that cutting the grain off does not click.
        let fade = (10.0 * (1.0 - index as f64 / length as f64)).min(1.0);
        fade * (ring(0) + ring(1) + ring(2))
    };
    (0..length).map(at).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use symphonia::core::codecs::audio::AudioDecoderOptions;
    use symphonia::core::formats::probe::Hint;
    use symphonia::core::formats::{FormatOptions, TrackType};
    use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
    use symphonia::core::meta::MetadataOptions;

    use super::*;

    const SENTENCE: &str = "I just woke up from the strangest dream, and the Queen of Hearts was in it.";

    /// Samples of an MP3, its rate and its channels.
    fn decode(mp3: Vec<u8>) -> (Vec<f32>, u32, usize) {
        let stream = MediaSourceStream::new(Box::new(Cursor::new(mp3)), MediaSourceStreamOptions::default());
        let mut format = symphonia::default::get_probe()
            .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
            .expect("an MP3");
        let track = format.default_track(TrackType::Audio).expect("a track");
        let parameters =
            track.codec_params.as_ref().and_then(|params| params.audio()).expect("audio").clone();
        let mut decoder = symphonia::default::get_codecs()
            .make_audio_decoder(&parameters, &AudioDecoderOptions::default())
            .expect("a decoder");
        let (mut samples, mut channels) = (Vec::new(), 0);
        while let Some(packet) = format.next_packet().expect("a whole MP3") {
            let buffer = decoder.decode(&packet).expect("sound frames");
            let mut part = vec![0.0_f32; buffer.samples_interleaved()];
            buffer.copy_to_slice_interleaved(&mut part);
            channels = buffer.spec().channels().count();
            samples.extend(part);
        }
        (samples, parameters.sample_rate.expect("a rate"), channels)
    }

    fn seconds(text: &str, speed: f64) -> f64 {
        let (samples, rate, channels) =
            decode(render("somebody", text, speed, Format::Mp3(Bitrate::Kbps128)));
        assert_eq!((rate, channels), (44_100, 1));
        samples.len() as f64 / f64::from(rate)
    }

    #[test]
    fn speech_length_follows_the_text_and_the_speed() {
        let expected = SENTENCE.len() as f64 / CHARACTERS_PER_SECOND;
        // LAME pads the beginning and the end; together they stay below a tenth of a second.
        assert!((seconds(SENTENCE, 1.0) - expected).abs() < 0.1);
        assert!((seconds(&SENTENCE.repeat(3), 1.0) - 3.0 * expected).abs() < 0.1);
        assert!((seconds(SENTENCE, 0.7) - expected / 0.7).abs() < 0.1);
    }

    #[test]
    fn speech_is_loud_enough_to_hear_and_pauses_are_silent() {
        let (samples, ..) = decode(render("somebody", SENTENCE, 1.0, Format::Mp3(Bitrate::Kbps128)));
        let power = samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32;
        assert!(power.sqrt() > 0.05, "{}", power.sqrt());
        assert!(samples.iter().all(|sample| sample.abs() < 1.0));
        let silence = render("somebody", "   ", 1.0, Format::Pcm(16_000));
        assert!(silence.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn speech_differs_by_voice_and_is_deterministic() {
        let speak = |voice| render(voice, SENTENCE, 1.0, Format::Pcm(16_000));
        assert_eq!(speak("one"), speak("one"));
        assert_ne!(speak("one"), speak("other"));
    }

    #[test]
    fn speech_has_the_requested_bitrate() {
        for (name, kilobits) in [("mp3_44100_32", 32.0), ("mp3_44100_128", 128.0), ("mp3_44100_192", 192.0)] {
            let format = Format::parse(name).expect("a format of the Creator plan");
            let mp3 = render("somebody", &SENTENCE.repeat(4), 1.0, format);
            let seconds = 4.0 * SENTENCE.len() as f64 / CHARACTERS_PER_SECOND;
            let measured = mp3.len() as f64 * 8.0 / 1_000.0 / seconds;
            assert!((measured / kilobits - 1.0).abs() < 0.05, "{name}: {measured}");
        }
    }
}
