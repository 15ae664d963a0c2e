//! The fake over HTTP.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::super::faults::{Fault, Operation};
use super::speech::{Format, render};
use super::{Config, Delays, ElevenLabs};

const PREMADE: &str = "21m00Tcm4TlvDq8ikWAM";

struct Fixture {
    provider: ElevenLabs,
    client: Client,
    recording: Bytes,
}

impl Fixture {
    async fn with(config: Config) -> Self {
        let provider = ElevenLabs::start(config).await.expect("a free port");
        let format = Format::parse("mp3_44100_32").expect("a format");
        let recording = render("a person", "Some words, spoken into a phone.", 1.0, format).into();
        Self { provider, client: Client::new(), recording }
    }

    async fn new() -> Self {
        Self::with(Config::default()).await
    }

    fn get(&self, path: &str) -> RequestBuilder {
        with_key(self.client.get(self.provider.url() + path))
    }

    fn create(&self, name: &str) -> RequestBuilder {
        let file = Part::bytes(self.recording.to_vec()).file_name("voice.mp3");
        let form = Form::new().text("name", name.to_owned()).text("labels", "null").part("files", file);
        with_key(self.client.post(self.provider.url() + "/v1/voices/add").multipart(form))
    }

    async fn created(&self, name: &str) -> String {
        let answer = body(self.create(name).send().await.expect("an answer")).await;
        answer["voice_id"].as_str().expect("a voice id").to_owned()
    }

    fn delete(&self, id: &str) -> RequestBuilder {
        with_key(self.client.delete(format!("{}/v1/voices/{id}", self.provider.url())))
    }

    fn synthesize(&self, voice: &str, body: &Value) -> RequestBuilder {
        let url = format!("{}/v1/text-to-speech/{voice}", self.provider.url());
        with_key(self.client.post(url).json(body))
    }
}

fn with_key(request: RequestBuilder) -> RequestBuilder {
    request.header("xi-api-key", Config::default().api_key)
}

/// Waits for a condition that must come true.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_mins(1), "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn body(response: Response) -> Value {
    response.json().await.expect("JSON")
}

/// The HTTP status and the code of the error.
async fn error_of(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, body(response).await["detail"]["status"].as_str().unwrap_or_default().to_owned())
}

fn error(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn slot_is_free_after_a_deletion_but_the_add_edit_stays_used() {
    let fixture = Fixture::with(Config { voice_limit: 2, ..Config::default() }).await;
    let first = fixture.created("one").await;
    fixture.created("two").await;
    assert_eq!(error_of(fixture.create("three")).await, error(400, "voice_limit_reached"));

    assert_eq!(
        body(fixture.delete(&first).send().await.expect("an answer")).await,
        json!({ "status": "ok" })
    );
    assert_eq!(error_of(fixture.delete(&first)).await, error(404, "voice_not_found"));
    fixture.created("three").await;

    let state = fixture.provider.state();
    assert_eq!((state.created.len(), state.deleted.len(), state.existing.len()), (3, 1, 2));
    assert_eq!((state.max_existing, state.add_edits_used), (2, 3));
}

#[tokio::test]
async fn add_edit_operations_of_the_month_run_out() {
    let fixture = Fixture::with(Config { max_voice_add_edits: Some(1), ..Config::default() }).await;
    let only = fixture.created("one").await;
    fixture.delete(&only).send().await.expect("an answer");
    assert_eq!(error_of(fixture.create("two")).await, error(400, "voice_add_edit_limit_reached"));
    let subscription = body(fixture.get("/v1/user/subscription").send().await.expect("an answer")).await;
    assert_eq!(
        (&subscription["voice_add_edit_counter"], &subscription["voice_slots_used"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn slots_cannot_be_exceeded_by_concurrent_creations() {
    let delays = Delays { create: Duration::from_millis(50), ..Delays::default() };
    let fixture = Fixture::with(Config { voice_limit: 3, delays, ..Config::default() }).await;
    let attempts = (0..8).map(|at| error_of(fixture.create(&format!("voice {at}"))));
    let results = futures::future::join_all(attempts).await;
    assert_eq!(results.iter().filter(|(status, _)| *status == 400).count(), 5);
    assert_eq!(fixture.provider.state().max_existing, 3);
}

#[tokio::test]
async fn synthesis_validates_the_body_before_the_key_and_the_key_before_the_voice() {
    let fixture = Fixture::new().await;
    let url = format!("{}/v1/text-to-speech/nobody", fixture.provider.url());
    let no_text = fixture.client.post(&url).json(&json!({ "voice_settings": { "stability": 2 } }));
    let response = no_text.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problems = body(response).await["detail"].clone();
    assert_eq!(problems[0]["loc"], json!(["body", "text"]));
    assert_eq!(problems[1]["type"], "less_than_equal");

    let no_key = fixture.client.post(&url).json(&json!({ "text": "Hello" }));
    assert_eq!(error_of(no_key).await, error(401, "needs_authorization"));
    let wrong_key = fixture.client.post(&url).json(&json!({ "text": "Hello" })).header("xi-api-key", "wrong");
    assert_eq!(error_of(wrong_key).await, error(401, "invalid_api_key"));
    assert_eq!(
        error_of(fixture.synthesize("nobody", &json!({ "text": "Hello" }))).await,
        error(404, "voice_not_found")
    );
    assert_eq!(
        error_of(fixture.synthesize("no-id", &json!({ "text": "Hello" }))).await,
        error(400, "invalid_uid")
    );

    let unknown_model = json!({ "text": "Hello", "model_id": "eleven_gone" });
    assert_eq!(error_of(fixture.synthesize(PREMADE, &unknown_model)).await, error(400, "model_not_found"));
    let bad_format =
        fixture.synthesize(PREMADE, &json!({ "text": "Hello" })).query(&[("output_format", "mp3")]);
    assert_eq!(error_of(bad_format).await, error(403, "invalid_output_format"));
}

#[tokio::test]
async fn invalid_recording_uses_no_add_edit() {
    let mut fixture = Fixture::new().await;
    fixture.recording = Bytes::from_static(b"this is not a recording, whatever its name says");
    assert_eq!(error_of(fixture.create("x")).await, error(400, "invalid_audio"));
    assert_eq!(fixture.provider.state().add_edits_used, 0);
}

#[tokio::test]
async fn synthesis_is_charged_by_the_models_factor() {
    let fixture = Fixture::with(Config { character_limit: 20, ..Config::default() }).await;
    let flash = json!({ "text": "Good evening.", "model_id": "eleven_flash_v2_5" });
    let response = fixture.synthesize(PREMADE, &flash).send().await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "audio/mpeg");
    assert_eq!(response.headers()["character-cost"], "7");
    assert_eq!(response.headers()["maximum-concurrent-requests"], "10");
    assert!(response.bytes().await.expect("a body").len() > 10_000);

    let other = json!({ "text": "Good evening.", "model_id": "eleven_multilingual_v2" });
    assert!(fixture.synthesize(PREMADE, &other).send().await.expect("an answer").status().is_success());
    assert_eq!(error_of(fixture.synthesize(PREMADE, &flash)).await, error(401, "quota_exceeded"));
    assert_eq!(fixture.provider.state().characters_used, 20);
}

#[tokio::test]
async fn synthesis_beyond_the_plans_concurrency_is_rejected() {
    let fixture = Fixture::with(Config { concurrency: 1, ..Config::default() }).await;
    let synthesize = || status_of(fixture.synthesize(PREMADE, &json!({ "text": "Hello" })));
    // The response is never sent, so the request counts until its client gives up.
    fixture.provider.faults().next(Operation::Synthesize, Fault::TimeoutAfterEffect);
    let first = tokio::spawn(synthesize());
    fixture.provider.faults().triggered().wait().await;
    assert_eq!(synthesize().await, 429);
    first.abort();
    eventually("the first request no longer counts", async || synthesize().await == 200).await;
}

async fn status_of(request: RequestBuilder) -> u16 {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    response.bytes().await.expect("a body");
    status
}

#[tokio::test]
async fn list_pages_have_every_voice_once_and_the_premade_ones_on_the_first() {
    let fixture = Fixture::with(Config { voice_limit: 100, ..Config::default() }).await;
    for at in 0..5 {
        let _ = fixture.provider.seed_voice(&format!("dev-{at}"), "cloned", Some(1_000 + at));
    }
    let _ = fixture.provider.seed_voice("by hand", "cloned", None);
    let (mut pages, mut token) = (Vec::new(), None::<String>);
    loop {
        let mut request = fixture.get("/v2/voices").query(&[("page_size", "4"), ("sort", "created_at_unix")]);
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

    let cloned = fixture.get("/v2/voices").query(&[("search", "DEV-"), ("category", "cloned")]);
    assert_eq!(names(&body(cloned.send().await.expect("an answer")).await).len(), 5);
    let too_large = fixture.get("/v2/voices").query(&[("page_size", "101")]).send().await.expect("an answer");
    assert_eq!(too_large.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

fn names(page: &Value) -> Vec<String> {
    let voices = page["voices"].as_array().expect("voices");
    voices.iter().map(|voice| voice["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn new_voice_is_listed_late_but_found_by_id_at_once() {
    let fixture = Fixture::new().await;
    let is_listed = async |name: &str| {
        let page = fixture.get("/v2/voices").query(&[("search", name)]).send().await.expect("an answer");
        names(&body(page).await) == [name]
    };
    fixture.provider.set_list_lag(Duration::from_millis(200));
    fixture.created("soon").await;
    fixture.provider.set_list_lag(Duration::from_hours(1));
    let id = fixture.created("late").await;
    eventually("the first voice is listed", async || is_listed("soon").await).await;
    assert!(!is_listed("late").await);
    let by_id = fixture.get(&format!("/v1/voices/{id}")).send().await.expect("an answer");
    assert_eq!(body(by_id).await["name"], "late");
}

#[tokio::test]
async fn voice_is_created_although_its_client_has_gone() {
    let fixture = Fixture::new().await;
    fixture.provider.faults().next(Operation::Create, Fault::DelayBeforeEffect(Duration::from_secs(2)));
    tokio::select! {
        answer = fixture.create("orphan").send() => panic!("{answer:?}"),
        () = fixture.provider.faults().triggered().wait() => {}
    }
    eventually("the voice exists", async || fixture.provider.state().existing.len() == 1).await;
    assert_eq!(fixture.provider.requests().spans()[0].status, None);
}

#[tokio::test]
async fn reset_is_a_connection_error_before_or_after_the_voice_exists() {
    let fixture = Fixture::new().await;
    for (fault, existing) in [(Fault::ResetBeforeEffect, 0), (Fault::ResetAfterEffect, 1)] {
        fixture.provider.faults().next(Operation::Create, fault);
        let error = fixture.create("x").send().await.expect_err("no answer");
        assert!(error.is_request() && !error.is_timeout(), "{error:?}");
        assert_eq!(fixture.provider.state().existing.len(), existing);
    }
}

#[tokio::test]
async fn timeout_comes_before_or_after_the_deletion() {
    let fixture = Fixture::new().await;
    let id = fixture.created("x").await;
    for (fault, existing) in [(Fault::TimeoutBeforeEffect, 1), (Fault::TimeoutAfterEffect, 0)] {
        fixture.provider.faults().next(Operation::Delete, fault);
        tokio::select! {
            answer = fixture.delete(&id).send() => panic!("{answer:?}"),
            () = fixture.provider.faults().triggered().wait() => {}
        }
        fixture.provider.faults().clear();
        assert_eq!(fixture.provider.state().existing.len(), existing);
    }
}

#[tokio::test]
async fn speech_can_be_truncated_or_slow() {
    let fixture = Fixture::new().await;
    let hello = json!({ "text": "Hello" });
    fixture.provider.faults().next(Operation::Synthesize, Fault::TruncatedBody);
    let response = fixture.synthesize(PREMADE, &hello).send().await.expect("headers");
    assert!(response.content_length().is_some_and(|length| length > 1_000));
    response.bytes().await.expect_err("a body cut off");

    fixture.provider.faults().next(Operation::Synthesize, Fault::SlowDrip(Duration::from_millis(300)));
    let started = Instant::now();
    assert_eq!(status_of(fixture.synthesize(PREMADE, &hello)).await, 200);
    assert!(started.elapsed() >= Duration::from_millis(250));
}

#[tokio::test]
async fn faults_for_the_next_calls_run_out_and_permanent_ones_do_not() {
    let fixture = Fixture::new().await;
    fixture.provider.faults().next_n(Operation::Create, 2, &Fault::voice_limit_reached());
    fixture.provider.faults().always(Operation::Delete, Fault::html_503());
    assert_eq!(error_of(fixture.create("x")).await, error(400, "voice_limit_reached"));
    assert_eq!(error_of(fixture.create("x")).await, error(400, "voice_limit_reached"));
    let id = fixture.created("x").await;
    for _ in 0..3 {
        let response = fixture.delete(&id).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.text().await.expect("HTML").starts_with("<html>"));
    }
    fixture.provider.faults().clear();
    assert!(fixture.delete(&id).send().await.expect("an answer").status().is_success());
}

#[tokio::test]
async fn spans_measure_the_time_to_the_last_byte() {
    let fixture = Fixture::new().await;
    fixture.provider.set_delays(Delays { first_byte: Duration::from_millis(100), ..Delays::default() });
    status_of(fixture.synthesize(PREMADE, &json!({ "text": "Hello" }))).await;
    fixture.provider.requests().finished().await;
    let spans = fixture.provider.requests().spans();
    assert_eq!((spans.len(), spans[0].operation, spans[0].status), (1, Operation::Synthesize, Some(200)));
    assert!(spans[0].duration() >= Duration::from_millis(100));
}

#[tokio::test]
async fn state_is_readable_over_http_without_a_key() {
    let fixture = Fixture::new().await;
    let id = fixture.created("somebody").await;
    let url = fixture.provider.url() + "/_fake/state";
    let state = body(fixture.client.get(url).send().await.expect("an answer")).await;
    assert_eq!(state["existing"][0]["voice_id"], id);
    assert_eq!(state["existing"][0]["sample_bytes"], fixture.recording.len());
}

#[tokio::test]
async fn dropped_fake_is_gone() {
    let fixture = Fixture::new().await;
    let url = fixture.provider.url();
    drop(fixture.provider);
    eventually("connections are refused", async || {
        fixture.client.get(&url).send().await.is_err_and(|error| error.is_connect())
    })
    .await;
}

#[tokio::test]
async fn history_holds_each_synthesis_until_it_is_deleted_from_it() {
    let fixture = Fixture::new().await;
    let spoken = fixture.synthesize(PREMADE, &json!({ "text": "Hello." })).send().await.expect("an answer");
    let id = spoken.headers()["history-item-id"].to_str().expect("letters and digits").to_owned();
    let path = format!("/v1/history/{id}");
    let item = body(fixture.get(&path).send().await.expect("an answer")).await;
    assert_eq!((&item["text"], &item["voice_id"]), (&json!("Hello."), &json!(PREMADE)));

    let delete = || with_key(fixture.client.delete(format!("{}{path}", fixture.provider.url())));
    fixture.provider.faults().next(Operation::DeleteHistory, Fault::missing_permissions());
    assert_eq!(error_of(delete()).await, error(401, "missing_permissions"));
    assert_eq!(fixture.provider.state().history.len(), 1);
    assert_eq!(status_of(delete()).await, 200);
    assert_eq!(fixture.provider.state().history.len(), 0);
    assert_eq!(error_of(delete()).await, error(404, "history_item_not_found"));
}

#[tokio::test]
async fn odd_voice_is_on_the_first_page_whatever_is_searched_for() {
    let fixture = Fixture::new().await;
    fixture.provider.seed_odd_voice(json!({ "voice_id": "x", "name": null }));
    fixture.provider.seed_odd_voice(json!("a voice"));
    let page = body(fixture.get("/v2/voices?search=newvisions").send().await.expect("an answer")).await;
    assert_eq!(page["voices"], json!([{ "voice_id": "x", "name": null }, "a voice"]));
}

#[tokio::test]
async fn response_of_a_fault_can_hide_the_effect_or_come_before_it() {
    let fixture = Fixture::new().await;
    let faults = fixture.provider.faults();
    faults.next(Operation::Create, Fault::html(408, "<html>").after_effect());
    assert_eq!(status_of(fixture.create("one")).await, 408);
    faults.next(Operation::Create, Fault::created_without_id());
    assert_eq!(body(fixture.create("two").send().await.expect("an answer")).await["voice_id"], "");
    assert_eq!(fixture.provider.state().existing.len(), 2);
    faults.next(Operation::Create, Fault::html_503().before_effect(Duration::from_millis(50)));
    assert_eq!(status_of(fixture.create("three")).await, 503);
    eventually("it is created", async || fixture.provider.state().existing.len() == 3).await;
}

#[tokio::test]
async fn speech_can_be_replaced_or_labelled_otherwise_and_is_charged() {
    let fixture = Fixture::new().await;
    let speak = || fixture.synthesize(PREMADE, &json!({ "text": "Hello." })).send();
    let forms = Fault::no_speech_forms();
    for (name, form) in forms.clone() {
        fixture.provider.faults().next(Operation::Synthesize, form);
        let response = speak().await.expect("an answer");
        let headers = response.headers().clone();
        assert!(headers.contains_key("history-item-id"), "{name}");
        assert_eq!(headers["content-type"], "audio/mpeg", "{name}");
        assert_eq!(response.bytes().await.expect("a body").is_empty(), name == "nothing", "{name}");
    }
    fixture.provider.faults().next(Operation::Synthesize, Fault::speech_labelled("Audio/MPEG"));
    assert_eq!(speak().await.expect("an answer").headers()["content-type"], "Audio/MPEG");
    assert_eq!(fixture.provider.state().synthesized.len(), forms.len() + 1);
}

#[tokio::test]
async fn frozen_connection_swallows_requests_and_a_new_one_serves_them() {
    let fixture = Fixture::new().await;
    let old = fixture.client.clone();
    let subscription = |client: &Client| {
        with_key(client.get(fixture.provider.url() + "/v1/user/subscription"))
            .timeout(Duration::from_millis(200))
    };
    let response = subscription(&old).timeout(Duration::from_mins(1)).send().await.expect("an answer");
    // Read to the end, so that the connection is used again.
    body(response).await;
    fixture.provider.freeze_connections();
    assert!(subscription(&old).send().await.is_err_and(|error| error.is_timeout()));
    let fresh = subscription(&Client::new()).timeout(Duration::from_mins(1));
    assert_eq!(status_of(fresh).await, 200);
}
