//! The ambience: a fan in the room, under the voice (`background_sound` and `background_volume`).
//!
//! The provider's MP3 is decoded twice, once to measure how loud the voice is and once to mix, so that no more than a
//! packet of sound is in memory at a time; the fan (`fan`) is made up on the way. The voice keeps its level; how loud the
//! fan is follows from the voice's own loudness as ITU-R BS.1770 measures it
//! (<https://www.itu.int/rec/R-REC-BS.1770>). The result is an MP3 of the same rate, channels and length.
//!
//! A voice without its ambience is a show, and an ambience without a voice is none: whatever fails here, the voice goes
//! out as it is, and the answer says so.

mod fan;
mod voice;

use bytes::Bytes;
use ebur128::{EbuR128, Mode};
use rusty_mp3::{Mp3Encoder, Mp3EncoderConfig};
use serde::{Deserialize, Serialize};
use shared::{
    deadline::Deadline,
    settings::{Percent, Settings},
};
use tokio::task::JoinHandle;

use fan::Fan;
use utoipa::ToSchema;
use voice::Voice;

/// As the provider's MP3s, in kbit/s.
const BITRATE: u32 = 128;
/// How far below the voice the ambience is at a volume of 0 and of 100, in LU. Between them each step of the slider is
/// as audible as the next, because a LU is a dB. At the default of 30, it is 24 LU below.
const BELOW_VOICE: (f64, f64) = (30.0, 10.0);
/// How long the ambience takes to come and to go, in seconds; a short voice gives it a quarter of its length for each.
const FADE: (f64, f64) = (0.8, 1.5);
/// Below this level samples are left alone, and above it they are bent towards [`CEILING`], where full scale is 1.
const KNEE: f32 = 0.85;
/// What no sample reaches; the rest of the full scale is for what the encoder adds.
const CEILING: f32 = 0.97;
/// What loudness is measured over (BS.1770, annex 1); a shorter voice is followed by silence to be measurable.
const GATING_BLOCK: f64 = 0.4;

/// What became of the ambience of an audio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackgroundSound {
    /// It is in the audio.
    Mixed,
    /// It was asked for, and the audio is the voice alone.
    Failed,
    /// It was not asked for.
    #[default]
    Off,
}

impl BackgroundSound {
    /// The word in an answer.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Failed => "failed",
            Self::Off => "off",
        }
    }
}

/// Why there is no ambience, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMixed {
    /// The voice cannot be decoded, or is cut short.
    #[error("the voice is no whole MP3")]
    Undecodable,
    /// There is nothing to be louder than.
    #[error("the voice is silent")]
    Silent,
    /// Longer than anything that is spoken here.
    #[error("the voice is too long")]
    TooLong,
    /// The encoder does not take this rate.
    #[error("the mix cannot be encoded")]
    Unencodable,
    /// There was no time left.
    #[error("the time was up")]
    TimedOut,
}

/// A voice that may be getting its ambience, on a thread of its own.
pub struct Mixing {
    voice: Bytes,
    mixed: Option<JoinHandle<Result<Bytes, NotMixed>>>,
}

impl Mixing {
    /// Begins to mix, if these settings ask for it.
    #[must_use]
    pub fn begin(voice: Bytes, settings: &Settings, seed: u64, by: Deadline) -> Self {
        let volume = settings.background_volume;
        let wanted = settings.background_sound && volume != Percent::ZERO;
        let mixed = wanted.then(|| {
            let voice = voice.clone();
            tokio::task::spawn_blocking(move || mix(&voice, volume, seed, by).map(Bytes::from))
        });
        Self { voice, mixed }
    }

    /// The audio to be sent, by the deadline at the latest.
    pub async fn finish(self, by: Deadline) -> (Bytes, BackgroundSound) {
        let Some(mixed) = self.mixed else { return (self.voice, BackgroundSound::Off) };
        let why = match by.timeout(mixed).await {
            Some(Ok(Ok(mixed))) => return (mixed, BackgroundSound::Mixed),
            Some(Ok(Err(why))) => why.to_string(),
            Some(Err(_)) => String::from("mixing panicked"),
            None => NotMixed::TimedOut.to_string(),
        };
        tracing::warn!(why, "the voice goes out without its ambience");
        (self.voice, BackgroundSound::Failed)
    }
}

/// Mixes the ambience under a voice. The same seed makes the same bytes. Keeps a core busy for some 12 ms per second of
/// sound: call it off the async threads.
pub fn mix(voice: &[u8], volume: Percent, seed: u64, by: Deadline) -> Result<Vec<u8>, NotMixed> {
    let (frames, gain) = measure(voice, volume, seed, by)?;
    let mut voice = Voice::open(voice)?;
    let (channels, rate) = (voice.channels, voice.rate);
    let mut fan = Fan::new(seed, rate);
    let fades = Fades::new(frames, rate);
    let mut encoder = Mp3Encoder::new(Mp3EncoderConfig { bitrate_kbps: BITRATE, vbr_quality: None });
    let mut mixed = Vec::new();
    let mut at = 0;
    while let Some(packet) = voice.next(by)? {
        mixed.clear();
        for frame in packet.chunks_exact(channels.into()) {
            let ambience = fan.next() * gain * fades.at(at);
            mixed.extend(frame.iter().map(|voice| limited(voice + ambience)));
            at += 1;
        }
        encoder.push_pcm_f32(&mixed, channels, rate).map_err(|_| NotMixed::Unencodable)?;
    }
    encoder.finish();
    let mut mp3 = Vec::new();
    while let Ok(packet) = encoder.next_packet() {
        mp3.extend(packet);
    }
    Ok(mp3)
}

/// How many frames the voice has, and what the fan's samples are to be multiplied by.
fn measure(voice: &[u8], volume: Percent, seed: u64, by: Deadline) -> Result<(u64, f32), NotMixed> {
    let mut voice = Voice::open(voice)?;
    let (channels, rate) = (voice.channels, voice.rate);
    let mut fan = Fan::new(seed, rate);
    let meter = |channels| EbuR128::new(channels, rate, Mode::I).map_err(|_| NotMixed::Undecodable);
    let (mut voice_meter, mut fan_meter) = (meter(channels.into())?, meter(1)?);
    let mut fan_sound = Vec::new();
    let mut frames = 0;
    while let Some(packet) = voice.next(by)? {
        let length = packet.len() / usize::from(channels);
        fan_sound.clear();
        fan_sound.extend(std::iter::repeat_with(|| fan.next()).take(length));
        add(&mut voice_meter, packet)?;
        add(&mut fan_meter, &fan_sound)?;
        frames += length as u64;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "less than a second of samples"
    )]
    let block = (f64::from(rate) * GATING_BLOCK) as usize;
    if frames < block as u64 {
        add(&mut voice_meter, &vec![0.0; block * usize::from(channels)])?;
        add(&mut fan_meter, &std::iter::repeat_with(|| fan.next()).take(block).collect::<Vec<_>>())?;
    }
    let loudness = |meter: &EbuR128| meter.loudness_global().map_err(|_| NotMixed::Undecodable);
    let (quiet, loud) = BELOW_VOICE;
    let below = quiet + (loud - quiet) * volume.fraction();
    let decibels = loudness(&voice_meter)? - below - loudness(&fan_meter)?;
    if !decibels.is_finite() {
        return Err(NotMixed::Silent);
    }
    #[expect(clippy::cast_possible_truncation, reason = "samples are f32")]
    Ok((frames, 10_f64.powf(decibels / 20.0) as f32))
}

fn add(meter: &mut EbuR128, samples: &[f32]) -> Result<(), NotMixed> {
    meter.add_frames_f32(samples).map_err(|_| NotMixed::Undecodable)
}

/// A sample that fits: what is loud is bent, smoothly, so that nothing is cut off.
fn limited(sample: f32) -> f32 {
    let loud = sample.abs() - KNEE;
    if loud <= 0.0 {
        return sample;
    }
    let room = CEILING - KNEE;
    (KNEE + room * (loud / room).tanh()).copysign(sample)
}

/// How the ambience comes and goes.
struct Fades {
    frames: f64,
    /// In frames.
    rise: f64,
    fall: f64,
}

impl Fades {
    #[expect(clippy::cast_precision_loss, reason = "minutes of samples, far below 2^52")]
    fn new(frames: u64, rate: u32) -> Self {
        let frames = frames as f64;
        let within = |seconds: f64| (seconds * f64::from(rate)).min(frames / 4.0).max(1.0);
        Self { frames, rise: within(FADE.0), fall: within(FADE.1) }
    }

    /// From 0 to 1: half a cosine up at the beginning and one down at the end.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "see new; samples are f32"
    )]
    fn at(&self, frame: u64) -> f32 {
        let frame = frame as f64;
        let through = (frame / self.rise).min((self.frames - frame) / self.fall).clamp(0.0, 1.0);
        ((1.0 - (std::f64::consts::PI * through).cos()) / 2.0) as f32
    }
}
