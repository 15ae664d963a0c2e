//! The sound of a fan, synthesized: no recording of one is shipped.
//!
//! White noise through a high-pass against rumble and two low-passes (6, then 12 dB per octave). One LFO is the passing
//! of the blades; a second, slow one keeps the sound from being too regular.

use std::f32::consts::TAU;

use fastrand::Rng;

/// In Hz; small loudspeakers reproduce nothing below.
const RUMBLE_CUTOFF: f32 = 60.0;
/// In Hz, of the two low-passes.
const TREBLE_CUTOFF: f32 = 300.0;
const HIGH_TREBLE_CUTOFF: f32 = 1_500.0;
/// How often a blade passes, in Hz, and by what part of 1 that changes the level.
const BLADES_HZ: f32 = 5.5;
const BLADES_DEPTH: f32 = 0.12;
/// In no simple ratio to the blades, so that the sound does not repeat.
const DRIFT_HZ: f32 = 0.17;
const DRIFT_DEPTH: f32 = 0.2;

/// An endless mono signal, at no particular level.
pub struct Fan {
    noise: Rng,
    rumble: LowPass,
    treble: LowPass,
    high_treble: LowPass,
    blades: Lfo,
    drift: Lfo,
}

impl Fan {
    /// `rate` in samples per second. Deterministic for a seed.
    pub fn new(seed: u64, rate: u32) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "sample rates are far below 2^23")]
        let rate = rate as f32;
        let mut noise = Rng::with_seed(seed);
        Self {
            rumble: LowPass::new(RUMBLE_CUTOFF, rate),
            treble: LowPass::new(TREBLE_CUTOFF, rate),
            high_treble: LowPass::new(HIGH_TREBLE_CUTOFF, rate),
            blades: Lfo::new(BLADES_HZ, BLADES_DEPTH, rate, noise.f32()),
            drift: Lfo::new(DRIFT_HZ, DRIFT_DEPTH, rate, noise.f32()),
            noise,
        }
    }

    /// The next sample.
    pub fn next(&mut self) -> f32 {
        let white = self.noise.f32() * 2.0 - 1.0;
        let dull = self.high_treble.process(self.treble.process(white));
        let air = dull - self.rumble.process(dull);
        air * self.blades.next() * self.drift.next()
    }
}

/// A one-pole low-pass filter, 6 dB per octave
/// (<https://ccrma.stanford.edu/~jos/fp/One_Pole.html>).
struct LowPass {
    keep: f32,
    last: f32,
}

impl LowPass {
    fn new(hertz: f32, rate: f32) -> Self {
        Self { keep: (-TAU * hertz / rate).exp(), last: 0.0 }
    }

    fn process(&mut self, sample: f32) -> f32 {
        self.last = sample + self.keep * (self.last - sample);
        self.last
    }
}

/// A low-frequency oscillator: a sine around 1.
struct Lfo {
    depth: f32,
    /// Phase per sample.
    step: f32,
    /// 0–1.
    phase: f32,
}

impl Lfo {
    fn new(hertz: f32, depth: f32, rate: f32, phase: f32) -> Self {
        Self { depth, step: hertz / rate, phase }
    }

    fn next(&mut self) -> f32 {
        self.phase = (self.phase + self.step).fract();
        1.0 + self.depth * (TAU * self.phase).sin()
    }
}
