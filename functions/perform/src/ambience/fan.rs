//! The sound of a fan, made up: no recording of one is shipped.
//!
//! Air that rushes is noise with little treble. White noise goes through a filter that keeps what is above the rumble
//! and two that take away from 6 and then from 12 dB per octave above; the blades swell and ebb it a few times a second,
//! and a slow drift keeps that from sounding like a machine's.

use std::f32::consts::TAU;

use fastrand::Rng;

/// Below this no small loudspeaker follows, in Hz.
const RUMBLE: f32 = 60.0;
/// Where the treble begins to go, and where it goes faster, in Hz.
const TREBLE: (f32, f32) = (300.0, 1_500.0);
/// How often a blade passes, in Hz, and how much that swells the sound, of 1.
const BLADES: (f32, f32) = (5.5, 0.12);
/// The same of the drift. In no simple ratio to the blades, so that the sound does not repeat.
const DRIFT: (f32, f32) = (0.17, 0.2);

/// A fan that runs on and on: samples of one channel, at no particular level.
pub struct Fan {
    noise: Rng,
    rumble: LowPass,
    treble: (LowPass, LowPass),
    blades: Swell,
    drift: Swell,
}

impl Fan {
    /// A fan heard at this many samples a second; the same seed makes the same sound.
    pub fn new(seed: u64, rate: u32) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "sample rates are far below 2^23")]
        let rate = rate as f32;
        let mut noise = Rng::with_seed(seed);
        Self {
            rumble: LowPass::new(RUMBLE, rate),
            treble: (LowPass::new(TREBLE.0, rate), LowPass::new(TREBLE.1, rate)),
            blades: Swell::new(BLADES, rate, noise.f32()),
            drift: Swell::new(DRIFT, rate, noise.f32()),
            noise,
        }
    }

    /// The next sample.
    pub fn next(&mut self) -> f32 {
        let white = self.noise.f32() * 2.0 - 1.0;
        let dull = self.treble.1.pass(self.treble.0.pass(white));
        let air = dull - self.rumble.pass(dull);
        air * self.blades.next() * self.drift.next()
    }
}

/// A filter of the first order, 6 dB per octave
/// (<https://ccrma.stanford.edu/~jos/fp/One_Pole.html>).
struct LowPass {
    keep: f32,
    last: f32,
}

impl LowPass {
    fn new(hertz: f32, rate: f32) -> Self {
        Self { keep: (-TAU * hertz / rate).exp(), last: 0.0 }
    }

    fn pass(&mut self, sample: f32) -> f32 {
        self.last = sample + self.keep * (self.last - sample);
        self.last
    }
}

/// A factor around 1 that rises and falls.
struct Swell {
    depth: f32,
    /// Turns for each sample.
    step: f32,
    /// Where in a turn it is, 0 to 1.
    turn: f32,
}

impl Swell {
    fn new((hertz, depth): (f32, f32), rate: f32, turn: f32) -> Self {
        Self { depth, step: hertz / rate, turn }
    }

    fn next(&mut self) -> f32 {
        self.turn = (self.turn + self.step).fract();
        1.0 + self.depth * (TAU * self.turn).sin()
    }
}
