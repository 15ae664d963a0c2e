//! The stand-in over HTTP, as its clients meet it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::super::faults::{Fault, Operation};
use super::speech::{Format, render};
use super::{Config, Delays, ElevenLabs};

const PREMADE: &str = "21m00Tcm4TlvDq8ikWAM";

struct World {
    standin: ElevenLabs,
    client: Client,
    recording: Bytes,
}

impl World {
    async fn with(config: Config) -> Self {
        let standin = ElevenLabs::start(config).await.expect("a free port");
        let format = Format::parse("mp3_44100_32").expect("a format");
        let recording = render("a person", "Some words, spoken into a phone.", 1.0, format).into();
        Self { standin, client: Client::new(), recording }
    }

    async fn new() -> Self {
        Self::with(Config::default()).await
    }

    fn get(&self, path: &str) -> RequestBuilder {
        with_key(self.client.get(self.standin.url() + path))
    }

    fn create(&self, name: &str) -> RequestBuilder {
        let file = Part::bytes(self.recording.to_vec()).file_name("voice.mp3");
        let form = Form::new().text("name", name.to_owned()).text("labels", "null").part("files", file);
        with_key(self.client.post(self.standin.url() + "/v1/voices/add").multipart(form))
    }

    async fn created(&self, name: &str) -> String {
        let answer = body(self.create(name).send().await.expect("an answer")).await;
        answer["voice_id"].as_str().expect("a voice id").to_owned()
    }

    fn delete(&self, id: &str) -> RequestBuilder {
        with_key(self.client.delete(format!("{}/v1/voices/{id}", self.standin.url())))
    }

    fn speak(&self, voice: &str, body: &Value) -> RequestBuilder {
        let url = format!("{}/v1/text-to-speech/{voice}", self.standin.url());
        with_key(self.client.post(url).json(body))
    }
}

fn with_key(request: RequestBuilder) -> RequestBuilder {
    request.header("xi-api-key", Config::default().api_key)
}

async fn body(response: Response) -> Value {
    response.json().await.expect("JSON")
}

/// The HTTP status and the word of the error.
async fn refused(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, body(response).await["detail"]["status"].as_str().unwrap_or_default().to_owned())
}

fn refusal(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

#[tokio::test]
async fn a_slot_is_free_again_after_a_deletion_but_the_operation_stays_spent() {
    let world = World::with(Config { voice_limit: 2, ..Config::default() }).await;
    let first = world.created("one").await;
    world.created("two").await;
    assert_eq!(refused(world.create("three")).await, refusal(400, "voice_limit_reached"));

    assert_eq!(body(world.delete(&first).send().await.expect("an answer")).await, json!({ "status": "ok" }));
    assert_eq!(refused(world.delete(&first)).await, refusal(404, "voice_not_found"));
    world.created("three").await;

    let ledger = world.standin.ledger();
    assert_eq!((ledger.created.len(), ledger.deleted.len(), ledger.living.len()), (3, 1, 2));
    assert_eq!((ledger.most_living, ledger.add_edits_used), (2, 3));
}

#[tokio::test]
async fn the_months_operations_run_out() {
    let world = World::with(Config { max_voice_add_edits: Some(1), ..Config::default() }).await;
    let only = world.created("one").await;
    world.delete(&only).send().await.expect("an answer");
    assert_eq!(refused(world.create("two")).await, refusal(400, "voice_add_edit_limit_reached"));
    let subscription = body(world.get("/v1/user/subscription").send().await.expect("an answer")).await;
    assert_eq!(
        (&subscription["voice_add_edit_counter"], &subscription["voice_slots_used"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn simultaneous_creations_cannot_exceed_the_slots() {
    let delays = Delays { create: Duration::from_millis(50), ..Delays::default() };
    let world = World::with(Config { voice_limit: 3, delays, ..Config::default() }).await;
    let attempts = (0..8).map(|at| refused(world.create(&format!("voice {at}"))));
    let refusals = futures::future::join_all(attempts).await;
    assert_eq!(refusals.iter().filter(|(status, _)| *status == 400).count(), 5);
    assert_eq!(world.standin.ledger().most_living, 3);
}

#[tokio::test]
async fn a_body_is_validated_before_the_key_and_the_key_before_the_voice() {
    let world = World::new().await;
    let url = format!("{}/v1/text-to-speech/nobody", world.standin.url());
    let no_text = world.client.post(&url).json(&json!({ "voice_settings": { "stability": 2 } }));
    let response = no_text.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problems = body(response).await["detail"].clone();
    assert_eq!(problems[0]["loc"], json!(["body", "text"]));
    assert_eq!(problems[1]["type"], "less_than_equal");

    let no_key = world.client.post(&url).json(&json!({ "text": "Hello" }));
    assert_eq!(refused(no_key).await, refusal(401, "needs_authorization"));
    let wrong_key = world.client.post(&url).json(&json!({ "text": "Hello" })).header("xi-api-key", "wrong");
    assert_eq!(refused(wrong_key).await, refusal(401, "invalid_api_key"));
    assert_eq!(
        refused(world.speak("nobody", &json!({ "text": "Hello" }))).await,
        refusal(404, "voice_not_found")
    );
    assert_eq!(refused(world.speak("no-id", &json!({ "text": "Hello" }))).await, refusal(400, "invalid_uid"));

    let unknown_model = json!({ "text": "Hello", "model_id": "eleven_gone" });
    assert_eq!(refused(world.speak(PREMADE, &unknown_model)).await, refusal(400, "model_not_found"));
    let bad_format = world.speak(PREMADE, &json!({ "text": "Hello" })).query(&[("output_format", "mp3")]);
    assert_eq!(refused(bad_format).await, refusal(403, "invalid_output_format"));
}

#[tokio::test]
async fn a_recording_that_is_none_costs_nothing() {
    let mut world = World::new().await;
    world.recording = Bytes::from_static(b"this is not a recording, whatever its name says");
    assert_eq!(refused(world.create("x")).await, refusal(400, "invalid_audio"));
    assert_eq!(world.standin.ledger().add_edits_used, 0);
}

#[tokio::test]
async fn speech_is_paid_for_by_the_models_factor() {
    let world = World::with(Config { character_limit: 20, ..Config::default() }).await;
    let flash = json!({ "text": "Good evening.", "model_id": "eleven_flash_v2_5" });
    let response = world.speak(PREMADE, &flash).send().await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "audio/mpeg");
    assert_eq!(response.headers()["character-cost"], "7");
    assert_eq!(response.headers()["maximum-concurrent-requests"], "10");
    assert!(response.bytes().await.expect("a body").len() > 10_000);

    let other = json!({ "text": "Good evening.", "model_id": "eleven_multilingual_v2" });
    assert!(world.speak(PREMADE, &other).send().await.expect("an answer").status().is_success());
    assert_eq!(refused(world.speak(PREMADE, &flash)).await, refusal(401, "quota_exceeded"));
    assert_eq!(world.standin.ledger().characters_used, 20);
}

#[tokio::test]
async fn more_syntheses_at_once_than_the_plan_allows_are_refused() {
    let world = World::with(Config { concurrency: 1, ..Config::default() }).await;
    let slow = Delays { first_byte: Duration::from_millis(500), ..Delays::default() };
    world.standin.set_delays(slow);
    let say = || refused_or_spoken(world.speak(PREMADE, &json!({ "text": "Hello" })));
    let mut statuses: [u16; 2] = futures::future::join(say(), say()).await.into();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429]);
    assert_eq!(say().await, 200);
}

async fn refused_or_spoken(request: RequestBuilder) -> u16 {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    response.bytes().await.expect("a body");
    status
}

#[tokio::test]
async fn pages_show_every_voice_once_and_the_premade_ones_on_top_of_the_first() {
    let world = World::with(Config { voice_limit: 100, ..Config::default() }).await;
    for at in 0..5 {
        let _ = world.standin.seed_voice(&format!("dev-{at}"), "cloned", Some(1_000 + at));
    }
    let _ = world.standin.seed_voice("by hand", "cloned", None);
    let (mut pages, mut token) = (Vec::new(), None::<String>);
    loop {
        let mut request = world.get("/v2/voices").query(&[("page_size", "4"), ("sort", "created_at_unix")]);
        if let Some(token) = &token {
            request = request.query(&[("next_page_token", token)]);
        }
        let page = body(request.send().await.expect("an answer")).await;
        assert_eq!(page["total_count"], 10);
        pages.push(names(&page));
        token = page["next_page_token"].as_str().map(str::to_owned);
        assert_eq!(page["has_more"], token.is_some());
        if token.is_none() {
            break;
        }
    }
    let expected = [
        vec!["Rachel", "Sarah", "George", "Adam", "dev-4", "dev-3", "dev-2", "dev-1"],
        vec!["dev-0", "by hand"],
    ];
    assert_eq!(pages, expected);

    let cloned = world.get("/v2/voices").query(&[("search", "DEV-"), ("category", "cloned")]);
    assert_eq!(names(&body(cloned.send().await.expect("an answer")).await).len(), 5);
    let too_large = world.get("/v2/voices").query(&[("page_size", "101")]).send().await.expect("an answer");
    assert_eq!(too_large.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

fn names(page: &Value) -> Vec<String> {
    let voices = page["voices"].as_array().expect("voices");
    voices.iter().map(|voice| voice["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn a_new_voice_is_listed_late_but_found_by_id_at_once() {
    let world = World::new().await;
    world.standin.set_list_lag(Duration::from_millis(800));
    let id = world.created("late").await;
    let search = || async {
        names(&body(world.get("/v2/voices?search=late").send().await.expect("an answer")).await).len()
    };
    assert_eq!(search().await, 0);
    let by_id = world.get(&format!("/v1/voices/{id}")).send().await.expect("an answer");
    assert_eq!(body(by_id).await["name"], "late");
    tokio::time::sleep(Duration::from_millis(850)).await;
    assert_eq!(search().await, 1);
}

#[tokio::test]
async fn a_voice_comes_to_exist_although_its_client_has_gone() {
    let world = World::new().await;
    world.standin.faults().next(Operation::Create, Fault::DelayBeforeEffect(Duration::from_millis(800)));
    let hasty = world.create("orphan").timeout(Duration::from_millis(400)).send().await;
    assert!(hasty.expect_err("a timeout").is_timeout());
    assert_eq!(world.standin.ledger().living.len(), 0);
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(world.standin.ledger().living.len(), 1);
    assert_eq!(world.standin.journal().spans()[0].status, None);
}

#[tokio::test]
async fn a_reset_is_a_connection_error_before_or_after_the_voice_exists() {
    let world = World::new().await;
    for (fault, living) in [(Fault::ResetBeforeEffect, 0), (Fault::ResetAfterEffect, 1)] {
        world.standin.faults().next(Operation::Create, fault);
        let error = world.create("x").send().await.expect_err("no answer");
        assert!(error.is_request() && !error.is_timeout(), "{error:?}");
        assert_eq!(world.standin.ledger().living.len(), living);
    }
}

#[tokio::test]
async fn timeouts_hang_before_or_after_the_deletion() {
    let world = World::new().await;
    let id = world.created("x").await;
    for (fault, living) in [(Fault::TimeoutBeforeEffect, 1), (Fault::TimeoutAfterEffect, 0)] {
        world.standin.faults().next(Operation::Delete, fault);
        let error =
            world.delete(&id).timeout(Duration::from_millis(500)).send().await.expect_err("no answer");
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(world.standin.ledger().living.len(), living);
    }
}

#[tokio::test]
async fn speech_can_be_cut_off_or_trickle() {
    let world = World::new().await;
    let hello = json!({ "text": "Hello" });
    world.standin.faults().next(Operation::Synthesize, Fault::TruncatedBody);
    let response = world.speak(PREMADE, &hello).send().await.expect("headers");
    assert!(response.content_length().is_some_and(|length| length > 1_000));
    response.bytes().await.expect_err("a body cut off");

    world.standin.faults().next(Operation::Synthesize, Fault::SlowDrip(Duration::from_millis(300)));
    let began = Instant::now();
    assert_eq!(refused_or_spoken(world.speak(PREMADE, &hello)).await, 200);
    assert!(began.elapsed() >= Duration::from_millis(250));
}

#[tokio::test]
async fn ordered_refusals_run_out_and_standing_ones_do_not() {
    let world = World::new().await;
    world.standin.faults().next_n(Operation::Create, 2, &Fault::voice_limit_reached());
    world.standin.faults().always(Operation::Delete, Fault::html_503());
    assert_eq!(refused(world.create("x")).await, refusal(400, "voice_limit_reached"));
    assert_eq!(refused(world.create("x")).await, refusal(400, "voice_limit_reached"));
    let id = world.created("x").await;
    for _ in 0..3 {
        let response = world.delete(&id).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.text().await.expect("HTML").starts_with("<html>"));
    }
    world.standin.faults().clear();
    assert!(world.delete(&id).send().await.expect("an answer").status().is_success());
}

#[tokio::test]
async fn the_journal_measures_the_standins_own_time_to_the_last_byte() {
    let world = World::new().await;
    world.standin.set_delays(Delays { first_byte: Duration::from_millis(100), ..Delays::default() });
    refused_or_spoken(world.speak(PREMADE, &json!({ "text": "Hello" }))).await;
    let spans = world.standin.journal().spans();
    assert_eq!((spans.len(), spans[0].operation, spans[0].status), (1, Operation::Synthesize, Some(200)));
    assert!(spans[0].duration() >= Duration::from_millis(100));
}

#[tokio::test]
async fn the_books_are_open_over_http_without_a_key() {
    let world = World::new().await;
    let id = world.created("somebody").await;
    let url = world.standin.url() + "/_standin/ledger";
    let ledger = body(world.client.get(url).send().await.expect("an answer")).await;
    assert_eq!(ledger["living"][0]["voice_id"], id);
    assert_eq!(ledger["living"][0]["sample_bytes"], world.recording.len());
}

#[tokio::test]
async fn a_dropped_standin_is_gone() {
    let world = World::new().await;
    let url = world.standin.url();
    drop(world.standin);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(world.client.get(url).send().await.expect_err("nobody there").is_connect());
}
