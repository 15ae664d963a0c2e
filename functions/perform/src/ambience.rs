//! The ambience: a fan in the room, under the voice (`background_sound` and `background_volume`).
//!
//! The provider's MP3 is decoded twice, once to measure the voice's loudness and once to mix, so that only one packet of
//! samples is in memory at a time; the fan (`fan`) is synthesized on the way. The voice keeps its level; the fan's level
//! is relative to the voice's loudness by ITU-R BS.1770 (<https://www.itu.int/rec/R-REC-BS.1770>). The result is an MP3
//! with the same sample rate, channels and length.
//!
//! Ambience is optional: any failure falls back to the plain voice, and the response says so.

mod fan;
mod mp3_stream;

use std::ops::RangeInclusive;

use bytes::Bytes;
use ebur128::{EbuR128, Mode};
use rusty_mp3::{Mp3Encoder, Mp3EncoderConfig};
use serde::{Deserialize, Serialize};
use shared::{
    deadline::{Deadline, OutOfTime},
    settings::{Percent, Settings},
};
use tokio::task::JoinHandle;

use utoipa::ToSchema;

use fan::Fan;
use mp3_stream::Mp3Stream;

/// In kbit/s, like the provider's MP3s.
const BITRATE: u32 = 128;
/// How far the ambience is below the voice, in LU: the start at volume 100, the end at volume 0. Linear in between, which
/// is even to the ear, because a LU is a dB. At the default volume of 30 it is 24 LU.
const ATTENUATION_LU: RangeInclusive<f64> = 10.0..=30.0;
/// In seconds; at most a quarter of a short voice.
const FADE_IN: f64 = 0.8;
const FADE_OUT: f64 = 1.5;
/// The level above which samples are bent towards [`CEILING`]; full scale is 1.
const KNEE: f32 = 0.85;
/// No sample reaches this; the rest of full scale is headroom for the encoder.
const CEILING: f32 = 0.97;
/// The gating block of BS.1770 (annex 1), in seconds; a shorter voice is padded with silence to be measurable.
const GATING_BLOCK: f64 = 0.4;

/// Whether the ambience is in an audio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackgroundSound {
    /// It is mixed in.
    Mixed,
    /// It was requested, but the audio is the plain voice.
    Failed,
    /// It was not requested.
    #[default]
    Off,
}

impl BackgroundSound {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Failed => "failed",
            Self::Off => "off",
        }
    }
}

/// Why there is no ambience; for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MixError {
    /// The voice cannot be decoded, or is truncated.
    #[error("the voice is not a complete MP3")]
    Undecodable,
    /// Its loudness cannot be measured.
    #[error("the voice is silent")]
    Silent,
    #[error("the voice is too long")]
    TooLong,
    /// The encoder does not support the sample rate.
    #[error("the mix cannot be encoded")]
    Unencodable,
    #[error(transparent)]
    OutOfTime(#[from] OutOfTime),
}

/// A voice, and the blocking task that mixes its ambience if the settings ask for it.
pub struct MixTask {
    voice: Bytes,
    task: Option<JoinHandle<Result<Bytes, MixError>>>,
}

impl MixTask {
    #[must_use]
    pub fn spawn(voice: Bytes, settings: &Settings, seed: u64, deadline: Deadline) -> Self {
        let volume = settings.background_volume;
        let is_requested = settings.background_sound && volume != Percent::ZERO;
        let task = is_requested.then(|| {
            let voice = voice.clone();
            tokio::task::spawn_blocking(move || mix(&voice, volume, seed, deadline).map(Bytes::from))
        });
        Self { voice, task }
    }

    /// The audio with ambience, or without it if the mixing failed or takes longer than `deadline`.
    pub async fn join(self, deadline: Deadline) -> (Bytes, BackgroundSound) {
        let Some(task) = self.task else { return (self.voice, BackgroundSound::Off) };
        let error = match deadline.timeout(task).await {
            Ok(Ok(Ok(mixed))) => return (mixed, BackgroundSound::Mixed),
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(_)) => String::from("mixing panicked"),
            Err(error) => error.to_string(),
        };
        tracing::warn!(error, "failed to mix the ambience; returning the plain voice");
        (self.voice, BackgroundSound::Failed)
    }
}

/// Mixes the ambience under a voice. Deterministic for a seed. Uses about 12 ms of CPU per second of audio: do not call it
/// on an async thread.
pub fn mix(voice: &[u8], volume: Percent, seed: u64, deadline: Deadline) -> Result<Vec<u8>, MixError> {
    let (frames, gain) = measure(voice, volume, seed, deadline)?;
    let mut voice = Mp3Stream::open(voice)?;
    let (channels, rate) = (voice.channels, voice.rate);
    let mut fan = Fan::new(seed, rate);
    let envelope = Envelope::new(frames, rate);
    let mut encoder = Mp3Encoder::new(Mp3EncoderConfig { bitrate_kbps: BITRATE, vbr_quality: None });
    let mut mixed = Vec::new();
    let mut frame = 0;
    while let Some(packet) = voice.next(deadline)? {
        mixed.clear();
        for samples in packet.chunks_exact(channels.into()) {
            let ambience = fan.next() * gain * envelope.at(frame);
            mixed.extend(samples.iter().map(|voice| soft_clip(voice + ambience)));
            frame += 1;
        }
        encoder.push_pcm_f32(&mixed, channels, rate).map_err(|_| MixError::Unencodable)?;
    }
    encoder.finish();
    let mut mp3 = Vec::new();
    while let Ok(packet) = encoder.next_packet() {
        mp3.extend(packet);
    }
    Ok(mp3)
}

/// The voice's length in frames, and the gain of the fan.
fn measure(voice: &[u8], volume: Percent, seed: u64, deadline: Deadline) -> Result<(u64, f32), MixError> {
    let mut voice = Mp3Stream::open(voice)?;
    let (channels, rate) = (voice.channels, voice.rate);
    let mut fan = Fan::new(seed, rate);
    let meter = |channels| EbuR128::new(channels, rate, Mode::I).map_err(|_| MixError::Undecodable);
    let (mut voice_meter, mut fan_meter) = (meter(channels.into())?, meter(1)?);
    let mut fan_sound = Vec::new();
    let mut frames = 0;
    while let Some(packet) = voice.next(deadline)? {
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
    let loudness = |meter: &EbuR128| meter.loudness_global().map_err(|_| MixError::Undecodable);
    let (min, max) = (ATTENUATION_LU.start(), ATTENUATION_LU.end());
    let attenuation = max + (min - max) * volume.fraction();
    let decibels = loudness(&voice_meter)? - attenuation - loudness(&fan_meter)?;
    if !decibels.is_finite() {
        return Err(MixError::Silent);
    }
    #[expect(clippy::cast_possible_truncation, reason = "samples are f32")]
    Ok((frames, 10_f64.powf(decibels / 20.0) as f32))
}

fn add(meter: &mut EbuR128, samples: &[f32]) -> Result<(), MixError> {
    meter.add_frames_f32(samples).map_err(|_| MixError::Undecodable)
}

/// Compresses samples above [`KNEE`] smoothly below [`CEILING`].
fn soft_clip(sample: f32) -> f32 {
    let excess = sample.abs() - KNEE;
    if excess <= 0.0 {
        return sample;
    }
    let room = CEILING - KNEE;
    (KNEE + room * (excess / room).tanh()).copysign(sample)
}

/// The fade-in and fade-out of the ambience; all in frames.
struct Envelope {
    length: f64,
    fade_in: f64,
    fade_out: f64,
}

impl Envelope {
    #[expect(clippy::cast_precision_loss, reason = "minutes of samples, far below 2^52")]
    fn new(frames: u64, rate: u32) -> Self {
        let length = frames as f64;
        let capped = |seconds: f64| (seconds * f64::from(rate)).min(length / 4.0).max(1.0);
        Self { length, fade_in: capped(FADE_IN), fade_out: capped(FADE_OUT) }
    }

    /// The gain at a frame, 0–1: raised cosines at both ends.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "see new; samples are f32"
    )]
    fn at(&self, frame: u64) -> f32 {
        let frame = frame as f64;
        let progress = (frame / self.fade_in).min((self.length - frame) / self.fade_out).clamp(0.0, 1.0);
        ((1.0 - (std::f64::consts::PI * progress).cos()) / 2.0) as f32
    }
}
