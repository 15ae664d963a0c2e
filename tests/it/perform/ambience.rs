//! The fan under the voice: how loud it is, what it leaves alone, and that the voice goes out whatever happens to it.

use std::{
    panic::catch_unwind,
    time::{Duration, Instant},
};

use axum::http::{HeaderValue, Response, header::CONTENT_TYPE};
use bytes::Bytes;
use http::Method;
use mp3lame_encoder::{Bitrate, Builder, FlushNoGap, InterleavedPcm, Quality, max_required_buffer_size};
use perform::ambience::{BackgroundSound, MixError, MixTask, mix};
use serde_json::{Value, json};
use shared::{
    deadline::{Deadline, OutOfTime},
    settings::{Percent, Settings},
};
use tests::{
    fakes::faults::{Fault, Operation},
    harness::{
        TestApp, User,
        mp3::{self, Sound, rms},
        send,
    },
};

/// Real speech with pauses, mono at 48 kHz.
const SPEECH: &[u8] = include_bytes!("../../fixtures/recordings/speech-34s.mp3");
/// A second of it.
const SNIPPET: &[u8] = include_bytes!("../../fixtures/recordings/snippets/mp3.mp3");
/// Quieter than this is a pause: -50 dB.
const PAUSE: f64 = 0.003;
/// Nothing takes so long on any machine.
const HANG: Duration = Duration::from_mins(1);

#[test]
fn ambience_keeps_the_voice_and_fills_the_pauses() {
    let voice = mp3::decode(SPEECH).expect("an MP3");
    let mixed = mixed(SPEECH, 30);
    assert_eq!((mixed.rate, mixed.channels), (48_000, 1));
    assert_eq!(mixed.samples.len(), voice.samples.len(), "not a sample longer");
    // How much of the voice is in the mix, whatever else is.
    let gain = product(&mixed.samples, &voice.samples) / product(&voice.samples, &voice.samples);
    assert!(decibels(gain).abs() < 0.1, "the voice is {} dB louder", decibels(gain));
    let level = rms(&mixed.samples) / rms(&voice.samples);
    assert!(decibels(level).abs() < 0.5, "the whole is {} dB louder", decibels(level));
    assert!(peak(&mixed) < 1.0);

    let (before, after) = in_pauses(&voice, &mixed);
    assert!(before < PAUSE && after > 2.0 * before, "{before} {after}");
    // 24 LU below the voice; the fan's treble counts for more than its level says.
    let below = decibels(after / rms(&voice.samples));
    assert!((-30.0..-18.0).contains(&below), "{below} dB");
}

#[test]
fn volume_step_is_a_fifth_of_a_decibel() {
    let voice = mp3::decode(SPEECH).expect("an MP3");
    let ambience = |volume| rms(&difference(&mixed(SPEECH, volume), &voice));
    let (quiet, loud) = (ambience(20), ambience(80));
    assert!((decibels(loud / quiet) - 12.0).abs() < 0.5, "{}", decibels(loud / quiet));
}

#[test]
fn fan_is_dull_and_swells_and_never_repeats() {
    let voice = mp3::decode(SPEECH).expect("an MP3");
    let fan = difference(&mixed(SPEECH, 100), &voice);
    let second = &fan[5 * 48_000..6 * 48_000];
    let (rumble, air, treble) = (band(second, 20.0), band(second, 250.0), band(second, 6_000.0));
    assert!(air > rumble && decibels(air / treble) > 20.0, "{rumble} {air} {treble}");
    // Tenths of a second differ in loudness, but not as speech does.
    let loudness: Vec<f64> = second.chunks_exact(4_800).map(rms).collect();
    let (least, most) =
        (loudness.iter().copied().fold(1.0, f64::min), loudness.iter().copied().fold(0.0, f64::max));
    assert!((1.05..3.0).contains(&(most / least)), "{loudness:?}");
    let other = &fan[20 * 48_000..21 * 48_000];
    assert!((product(second, other) / product(second, second)).abs() < 0.1);
}

#[test]
fn fan_fades_in_and_out() {
    let voice = mp3::decode(SPEECH).expect("an MP3");
    let fan = difference(&mixed(SPEECH, 100), &voice);
    let tenth = 4_800;
    let level = |from: usize| rms(&fan[from..from + tenth]);
    let (first, early, middle, last) =
        (level(0), level(4 * tenth), level(15 * 48_000), level(fan.len() - tenth));
    assert!(first < middle / 5.0 && last < middle / 5.0, "{first} {middle} {last}");
    assert!(first < early && early < middle * 1.5, "{first} {early} {middle}");
}

#[test]
fn seed_makes_the_same_bytes_and_another_seed_others() {
    let make = |seed| mix(SNIPPET, percent(50), seed, soon()).expect("a mix");
    assert_eq!(make(1), make(1));
    assert_ne!(make(1), make(2));
}

#[test]
fn voice_at_full_scale_is_not_clipped_and_stays_as_loud() {
    let mut loud = mp3::decode(SNIPPET).expect("an MP3");
    let most = peak(&loud);
    loud.samples.iter_mut().for_each(|sample| *sample *= 0.999 / most);
    for channels in [1, 2] {
        let voice = encode(&loud, channels);
        let before = mp3::decode(&voice).expect("an MP3");
        let after = mixed(&voice, 100);
        assert_eq!(after.channels, channels);
        assert!(peak(&after) <= 1.0, "{}", peak(&after));
        let gain = product(&after.samples, &before.samples) / product(&before.samples, &before.samples);
        assert!(decibels(gain).abs() < 0.5, "{} dB", decibels(gain));
        // What is not marked with its length, as the provider's, is not made longer by more than an encoder's frames.
        let longer = (after.samples.len() - before.samples.len()) / channels;
        assert!(longer < 48_000 * 60 / 1000, "{longer} samples longer");
    }
}

#[test]
fn word_of_a_tenth_of_a_second_has_ambience_too() {
    let word = mp3::decode(SNIPPET).expect("an MP3");
    let word = Sound { samples: word.samples[12_000..17_000].to_vec(), ..word };
    let mixed = mixed(&encode(&word, 1), 60);
    assert!(rms(&mixed.samples) > 0.001);
}

#[test]
fn truncated_mp3_is_not_mixed() {
    let silence = Sound { samples: vec![0.0; 48_000], rate: 48_000, channels: 1 };
    for (voice, why) in [
        (b"".as_slice(), MixError::Undecodable),
        (b"<html>Please log in to the hotel's network</html>", MixError::Undecodable),
        (&[0xff; 5_000], MixError::Undecodable),
        (&SPEECH[..SPEECH.len() / 2], MixError::Undecodable),
        (&encode(&silence, 1), MixError::Silent),
    ] {
        assert_eq!(mix(voice, percent(50), 1, soon()), Err(why));
    }
    assert_eq!(
        mix(SPEECH, percent(50), 1, Deadline::after(Duration::ZERO)),
        Err(MixError::OutOfTime(OutOfTime))
    );
}

#[test]
fn mutated_mp3_does_not_hang() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..60 {
        let mut voice = SNIPPET.to_vec();
        for _ in 0..random.usize(1..9) {
            let at = random.usize(..voice.len());
            voice[at] = random.u8(..);
        }
        let began = Instant::now();
        // A decoder that panics does so on a thread of its own.
        let _ = catch_unwind(|| mix(&voice, percent(50), 1, soon()));
        assert!(began.elapsed() < HANG);
    }
}

#[tokio::test]
async fn mix_that_is_late_is_left_out() {
    let voice = Bytes::from_static(SPEECH);
    let settings =
        serde_json::from_value::<Settings>(json!({ "voice_stability": 50, "background_sound": true }))
            .unwrap();
    let mixing = MixTask::spawn(voice.clone(), &settings, 1, soon());
    let (audio, background_sound) = mixing.join(Deadline::after(Duration::from_millis(1))).await;
    assert_eq!((audio == voice, background_sound), (true, BackgroundSound::Failed));
}

#[tokio::test]
async fn ambience_follows_the_settings_and_their_override() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let on = json!({ "background_sound": true, "background_volume": 70 });
    for (settings, over, expected) in [
        (json!({}), json!({}), "off"),
        (json!({}), on.clone(), "mixed"),
        (json!({}), json!({ "background_sound": true, "background_volume": 0 }), "off"),
        (on.clone(), json!({}), "mixed"),
        (on.clone(), json!({ "background_sound": false }), "off"),
    ] {
        let saved = app.send_as(&ada, Method::PUT, "/users/me/settings", &settings).await;
        assert_eq!(saved.status, 200, "{saved:?}");
        let response = say(&app, &ada, "own", &over).await;
        assert_eq!(response.0["backgroundSound"], expected, "{settings} {over}");
        app.assert_nothing_remains(&ada).await;
    }
    // The stock voice says the same thing in the same way each time, so the ambience is all the difference.
    let (_, voice) = say(&app, &ada, "default", &json!({ "background_sound": false })).await;
    let (_, silent) = say(&app, &ada, "default", &json!({ "background_volume": 0 })).await;
    assert!(voice == silent, "a volume of 0 leaves the voice as it came");
    let (response, mixed) = say(&app, &ada, "default", &on).await;
    let (voice, mixed) = (mp3::decode(&voice).unwrap(), mp3::decode(&mixed).unwrap());
    let longer = mixed.samples.len() - voice.samples.len();
    assert!(longer < 44_100 * 60 / 1000, "{longer} samples longer");
    let (before, after) = in_pauses(&voice, &mixed);
    assert!(after > 3.0 * before, "{before} {after}");
    assert_eq!(response["charsUsedRaw"], 33, "an ambience costs no characters");
}

#[tokio::test]
async fn ambience_of_a_repeated_request_is_the_same() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let body = json!({ "text": "Good morning.", "voice": "default", "settings_override": { "background_sound": true } });
    let ask = async |accept: &str| {
        let request = app.request(Method::POST, "/perform", Some(&ada)).header("idempotency-key", "k");
        send(request.header("accept", accept).json(&body)).await
    };
    let (first, again) = (ask("application/json").await, ask("application/json").await);
    assert_eq!(first.json()["backgroundSound"], "mixed");
    assert!(first.body == again.body);
    let alone = ask("audio/mpeg").await;
    assert_eq!(alone.header("x-background-sound"), "mixed");
    assert!(alone.body == first.audio());
}

#[tokio::test]
async fn ambience_failure_returns_the_plain_voice() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    // There is nothing for the ambience to be quieter than.
    let silence = mp3::silence(200);
    let mut speech = Response::new(Bytes::from(silence.clone()));
    speech.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("audio/mpeg"));
    app.elevenlabs().faults().next(Operation::Synthesize, Fault::Respond(speech));
    let (response, audio) = say(&app, &ada, "own", &json!({ "background_sound": true })).await;
    assert_eq!(response["backgroundSound"], "failed");
    assert!(audio == silence);
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn clone_is_deleted_before_the_ambience_is_mixed() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    // More than a minute of speech, which takes an unoptimised decoder seconds.
    let body = json!({ "text": "Good night. ".repeat(80).trim(), "settings_override": { "background_sound": true } });
    // On a busy machine a single deletion may take long; what waits for the mix takes long every time.
    let mut times = Vec::new();
    for _ in 0..3 {
        app.elevenlabs().requests().clear();
        let response = app.post_as(&ada, "/perform", &body).await;
        let end = Instant::now();
        assert_eq!(response.json()["backgroundSound"], "mixed", "{:?}", response.status);
        let spans = app.elevenlabs().requests().spans();
        let span = |operation| spans.iter().find(|span| span.operation == operation).expect("a request");
        let (spoken, deleted) = (span(Operation::Synthesize).ended, span(Operation::Delete).ended);
        if deleted - spoken < (end - spoken) / 2 {
            return;
        }
        times.push((deleted - spoken, end - spoken));
    }
    panic!("deleted, and responded, after {times:?}");
}

/// Says something with a pause in it; the response and its audio.
async fn say(app: &TestApp, user: &User, voice: &str, over: &Value) -> (Value, Vec<u8>) {
    let body =
        json!({ "text": "Good morning…            Ada, hi!", "voice": voice, "settings_override": over });
    let response = app.post_as(user, "/perform", &body).await;
    assert_eq!(response.status, 200, "{response:?}");
    (response.json(), response.audio())
}

fn mixed(voice: &[u8], volume: u8) -> Sound {
    let mp3 = mix(voice, percent(volume), 1, soon()).expect("a mix");
    mp3::decode(&mp3).expect("an MP3")
}

fn percent(value: u8) -> Percent {
    Percent::try_from(f64::from(value)).expect("a percentage")
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_mins(1))
}

/// MP3 by another encoder than the one that is tested, without a mark of its length, as the provider's.
fn encode(sound: &Sound, channels: usize) -> Vec<u8> {
    let mut encoder = Builder::new()
        .expect("memory for an encoder")
        .with_num_channels(u8::try_from(channels).expect("one or two"))
        .and_then(|builder| builder.with_sample_rate(sound.rate))
        .and_then(|builder| builder.with_brate(Bitrate::Kbps128))
        .and_then(|builder| builder.with_quality(Quality::Ok))
        .and_then(|builder| builder.with_to_write_vbr_tag(false))
        .and_then(Builder::build)
        .expect("an encoder");
    let samples: Vec<f32> =
        sound.samples.iter().flat_map(|sample| std::iter::repeat_n(*sample, channels)).collect();
    let mut mp3 = Vec::with_capacity(max_required_buffer_size(samples.len()) + 7_200);
    encoder.encode_to_vec(InterleavedPcm(&samples), &mut mp3).expect("room for the frames");
    encoder.flush_to_vec::<FlushNoGap>(&mut mp3).expect("room for the last frames");
    mp3
}

/// The level in the pauses of the voice, before and after, away from the fades.
fn in_pauses(voice: &Sound, mixed: &Sound) -> (f64, f64) {
    let step = 1_000;
    let ends = voice.samples.len() / 5;
    let windows = (ends..voice.samples.len() - ends).step_by(step);
    let pauses: Vec<usize> =
        windows.filter(|at| rms(&voice.samples[at - step..at + 2 * step]) < PAUSE).collect();
    assert!(pauses.len() > 3, "{} pauses", pauses.len());
    let level = |sound: &Sound| {
        rms(&pauses.iter().flat_map(|at| &sound.samples[*at..at + step]).copied().collect::<Vec<_>>())
    };
    (level(voice), level(mixed))
}

fn difference(mixed: &Sound, voice: &Sound) -> Vec<f32> {
    assert_eq!(mixed.samples.len(), voice.samples.len());
    mixed.samples.iter().zip(&voice.samples).map(|(mixed, voice)| mixed - voice).collect()
}

fn product(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
}

fn peak(sound: &Sound) -> f32 {
    sound.samples.iter().fold(0.0, |most, sample| most.max(sample.abs()))
}

fn decibels(ratio: f64) -> f64 {
    20.0 * ratio.log10()
}

/// The level around a frequency, in Hz of 48,000: the mean of a few neighbours, each by Goertzel's algorithm
/// (<https://doi.org/10.2307/2310304>).
fn band(samples: &[f32], hertz: f64) -> f64 {
    let at = |hertz: f64| {
        let coefficient = 2.0 * (std::f64::consts::TAU * hertz / 48_000.0).cos();
        let (one, two) = samples
            .iter()
            .fold((0.0, 0.0), |(one, two), sample| (f64::from(*sample) + coefficient * one - two, one));
        (one * one + two * two - coefficient * one * two).sqrt()
    };
    (0..10_i32).map(|step| at(hertz * (0.9 + 0.02 * f64::from(step)))).sum::<f64>() / 10.0
}
