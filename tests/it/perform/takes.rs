//! Several takes by one clone: each is charged and fails by itself, and all share one lease, one slot and one voice.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tests::{
    fakes::{
        elevenlabs::Delays,
        faults::{Fault, Operation},
    },
    harness::{PASSWORD, Response, Setup, TestApp, User, mp3, send},
};

/// What a Lambda function may respond with, in bytes.
const LARGEST_ANSWER: usize = 6 * 1024 * 1024;

#[tokio::test]
async fn takes_share_one_clone_and_one_lease() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().set_delays(Delays { first_byte: Duration::from_millis(100), ..Delays::default() });
    let takes: Vec<Value> = (1..=9)
        .map(|number| json!({ "routine_type": "nums", "value": format!("{number}7") }))
        .chain([json!({ "text": "Good morning." })])
        .collect();
    app.wire().reset();
    let response = ask(&app, &ada, &json!({ "takes": takes })).await;
    let mut commands: Vec<String> = app.wire().commands().into_iter().map(|command| command.name).collect();
    commands.sort();
    assert_eq!(
        commands.join(" "),
        "findAndModify findAndModify update update update update",
        "as for one take"
    );

    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.deleted.len(), ledger.synthesized.len()), (1, 1, 10));
    assert!(ledger.synthesized.iter().all(|said| said.voice_id == ledger.created[0].voice_id));
    app.assert_nothing_remains(&ada).await;

    let response = response.json();
    let said = response["takes"].as_array().unwrap();
    assert_eq!(said.len(), 10);
    for (number, take) in (1..).zip(&said[..9]) {
        assert_eq!((&take["status"], &take["routine_type"]), (&json!("ok"), &json!("numbers")), "{take}");
        assert!(
            take["text"].as_str().unwrap().contains(&format!("{number}7")),
            "in the order of asking: {take}"
        );
        assert_eq!(
            (&take["filename"], &take["thoughtSource"]),
            (&json!(format!("{number}-numbers.mp3")), &json!("gemini"))
        );
        assert_eq!((&take["backgroundSound"], take.as_object().unwrap().len()), (&json!("off"), 10));
    }
    let last = &said[9];
    assert_eq!((&last["text"], &last["filename"]), (&json!("Good morning."), &json!("10-voice-note.mp3")));
    assert_eq!(
        (&last["thoughtSource"], &last["charsUsedRaw"], &last["charsUsedEffective"]),
        (&Value::Null, &json!(13), &json!(7))
    );

    // Each audio is its own text's, which takes its time to say.
    for take in said {
        let seconds = mp3::listen(&audio(take)).expect("an MP3").seconds;
        let spoken_in = take["charsUsedRaw"].as_f64().unwrap() / 14.0;
        assert!((seconds - spoken_in).abs() < 0.2, "{seconds} s for {take}");
    }
    let sum = |member: &str| said.iter().map(|take| take[member].as_i64().unwrap()).sum::<i64>();
    assert_eq!(response["charsUsedRaw"], sum("charsUsedRaw"));
    assert_eq!(response["charsUsedEffective"], sum("charsUsedEffective"));
    assert_eq!(response["charCount"], response["charsUsedEffective"]);
    assert_eq!(
        (&response["voiceSource"], &response["monthlyLimit"]),
        (&json!("ephemeral_clone"), &json!(4000))
    );
    assert_eq!(app.char_count(&ada).await, sum("charsUsedEffective"));

    let spans = app.elevenlabs().requests().spans();
    let spans: Vec<_> = spans.iter().filter(|span| span.operation == Operation::Synthesize).collect();
    let at_once = spans.iter().map(|one| {
        spans.iter().filter(|other| other.started <= one.started && one.started < other.ended).count()
    });
    assert_eq!(at_once.max(), Some(2), "two at a time, which every plan allows");
}

#[tokio::test]
async fn take_that_fails_is_reported_and_not_charged() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let faults = app.elevenlabs().faults();
    faults.next_n(Operation::Synthesize, 2, &Fault::Pass);
    faults.next(Operation::Synthesize, Fault::text_too_long());
    let response = ask(&app, &ada, &texts(&["One one.", "Two two.", "Three.", "Four four."])).await.json();
    let takes = response["takes"].as_array().unwrap();
    let states: Vec<&str> = takes.iter().map(|take| take["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["ok", "ok", "failed", "ok"]);
    let failed = &takes[2];
    assert_eq!(
        (&failed["code"], failed.as_object().unwrap().len()),
        (&json!("synthesis_failed"), 3),
        "{failed}"
    );
    assert!(failed["detail"].as_str().unwrap().contains("Nothing was charged"));
    assert_eq!((&response["charsUsedRaw"], &response["charsUsedEffective"]), (&json!(26), &json!(13)));
    assert_eq!(app.char_count(&ada).await, 13);
    assert_eq!(takes[3]["filename"], "4-voice-note.mp3", "named by its place");
    assert!(mp3::listen(&audio(&takes[3])).is_some());
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn takes_that_all_fail_fail_as_one_would() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let body = texts(&["One.", "Two.", "Three."]);
    for (fault, status, code) in
        [(Fault::text_too_long(), 502, "synthesis_failed"), (Fault::unprocessable(), 502, "synthesis_failed")]
    {
        app.elevenlabs().faults().next_n(Operation::Synthesize, 3, &fault);
        app.post_as(&ada, "/perform", &body).await.assert_problem(status, code);
        app.assert_nothing_remains(&ada).await;
    }
    app.elevenlabs().faults().next(Operation::Create, Fault::invalid_api_key());
    app.post_as(&ada, "/perform", &body).await.assert_problem(502, "clone_failed");
    assert_eq!(app.char_count(&ada).await, 0);
    assert_eq!(app.elevenlabs().state().synthesized.len(), 0);
}

#[tokio::test]
async fn takes_retry_a_busy_provider_while_there_is_time() {
    let mut setup = Setup::default();
    setup.elevenlabs.concurrency = 1;
    setup.env = vec![("ELEVENLABS_MODEL", String::from("eleven_multilingual_v2"))];
    let app = TestApp::with(setup).await;
    let ada = app.performer("ada").await;
    app.elevenlabs().set_delays(Delays { first_byte: Duration::from_millis(150), ..Delays::default() });
    let response = ask(&app, &ada, &texts(&["One.", "Two.", "Three."])).await.json();
    assert!(response["takes"].as_array().unwrap().iter().all(|take| take["status"] == "ok"), "{response}");
    let asked = app.elevenlabs().requests().count(Operation::Synthesize);
    assert!(asked > 3, "some were refused at first");

    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn takes_that_no_longer_fit_into_the_time_fail_and_those_spoken_are_kept() {
    let env = vec![("PERFORM_TIMEOUT_SECONDS", String::from("21"))];
    let app = TestApp::with(Setup { env, ..Setup::default() }).await;
    let ada = app.performer("ada").await;
    app.elevenlabs().set_delays(Delays { first_byte: Duration::from_secs(4), ..Delays::default() });
    let began = Instant::now();
    let response = ask(&app, &ada, &texts(&["Good morning."; 8])).await.json();
    assert!(began.elapsed() < Duration::from_secs(21), "within the function's own timeout");
    let takes = response["takes"].as_array().unwrap();
    let spoken = takes.iter().filter(|take| take["status"] == "ok").count();
    assert!((2..=4).contains(&spoken), "{spoken}");
    for late in takes.iter().filter(|take| take["status"] != "ok") {
        assert_eq!(late["code"], "deadline_exceeded");
    }
    assert_eq!(app.char_count(&ada).await, i64::try_from(spoken).unwrap() * 7);
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn takes_of_a_repeated_request_are_the_same_bytes() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let mut body = texts(&["One one.", "Two two two.", "Three three three."]);
    body["settings_override"] = json!({ "background_sound": true });
    let keyed = async |body: &Value| {
        let request = app.request(Method::POST, "/perform", Some(&ada)).header("idempotency-key", "k");
        send(request.json(body)).await
    };
    app.elevenlabs().faults().next(Operation::Synthesize, Fault::text_too_long());
    let (first, beside) = tokio::join!(keyed(&body), keyed(&body));
    let again = keyed(&body).await;
    assert_eq!(first.status, 200, "{first:?}");
    assert!(first.body == beside.body && first.body == again.body);
    let response = first.json();
    let heard: Vec<&Value> =
        response["takes"].as_array().unwrap().iter().filter(|take| take["status"] == "ok").collect();
    assert_eq!(heard.len(), 2);
    let mut audios = HashSet::new();
    for take in heard {
        assert_eq!(take["backgroundSound"], "mixed");
        assert_eq!(take["bytes"], audio(take).len());
        assert!(mp3::listen(&audio(take)).is_some());
        audios.insert(audio(take));
    }
    assert_eq!(audios.len(), 2);
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.synthesized.len()), (1, 2));
    assert_eq!(Some(app.char_count(&ada).await), response["charsUsedEffective"].as_i64());
    keyed(&texts(&["One one."])).await.assert_problem(409, "idempotency_conflict");

    // One object for all, which goes with the account.
    assert_eq!(app.s3().keys().iter().filter(|key| key.starts_with("replays/")).count(), 1);
    let gone = app.send_as(&ada, Method::DELETE, "/users/me", &json!({ "password": PASSWORD })).await;
    assert_eq!((gone.status.as_u16(), app.s3().keys().len()), (204, 0));
}

#[tokio::test]
async fn takes_with_errors_are_all_named_and_reach_no_provider() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let good = json!({ "text": "Good morning." });
    let refused = async |takes: Value| app.post_as(&ada, "/perform", &json!({ "takes": takes })).await;
    let bad = json!([
        good, { "routine_type": "cards" }, { "value": "Fargo" }, {}, { "text": "a", "value": "b" }, { "text": "" },
        { "routine_type": "poems", "value": "Fargo" }, "Fargo",
    ]);
    // What is of the wrong kind is found first, and what is missing then.
    let fields = refused(bad).await.bad_fields();
    assert_eq!(fields, ["takes[5].text", "takes[6].routine_type", "takes[7]"]);
    let bad =
        json!([good, { "routine_type": "cards" }, { "value": "Fargo" }, {}, { "text": "a", "value": "b" }]);
    let expected = [
        "takes[1].value",
        "takes[2].routine_type",
        "takes[3].routine_type",
        "takes[3].value",
        "takes[4].text",
    ];
    assert_eq!(refused(bad).await.bad_fields(), expected);
    for takes in [json!([]), json!(vec![&good; 11]), json!("Fargo"), json!({})] {
        assert_eq!(refused(takes).await.bad_fields(), ["takes"]);
    }
    let long = json!({ "text": "la ".repeat(300).trim() });
    assert_eq!(refused(json!([long, long, long])).await.bad_fields(), ["takes"]);
    for single in [json!({ "text": "Hi." }), json!({ "routine_type": "cards" }), json!({ "value": "Fargo" })]
    {
        let mut body = single.clone();
        body["takes"] = json!([good]);
        assert_eq!(app.post_as(&ada, "/perform", &body).await.bad_fields(), ["takes"], "{single}");
    }

    let profane = json!([good, { "text": "what the fuck" }, good, { "routine_type": "custom", "value": "hijo de puta" }]);
    let problem = refused(profane).await.assert_problem(422, "content_rejected");
    let fields: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["takes[1].text", "takes[3].value"]);
    assert!(problem["detail"].as_str().unwrap().contains("takes[3].value"), "{problem}");
    assert!(!problem.to_string().contains("fuck"), "{problem}");

    assert_eq!(app.elevenlabs().requests().spans().len() + app.gemini().requests().spans().len(), 0);
    assert_eq!(app.char_count(&ada).await, 0);
}

#[tokio::test]
async fn takes_are_not_available_as_one_mp3() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let mut body = texts(&["One."]);
    body["voice"] = json!("default");
    for (accept, is_answered) in [
        ("audio/mpeg", false),
        ("audio/*;q=0.5", false),
        ("audio/mpeg, application/json", true),
        ("audio/mpeg, */*;q=0.1", true),
        ("application/json", true),
        ("", true),
    ] {
        let request = app.request(Method::POST, "/perform", Some(&ada)).header("accept", accept);
        let response = send(request.json(&body)).await;
        if is_answered {
            assert_eq!(response.json()["takes"][0]["status"], "ok", "{accept}: a list of one is a list");
        } else {
            assert_eq!(response.bad_fields(), ["Accept"], "{accept}");
        }
    }
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.synthesized.len()), (0, 4), "the stock voice needs no clone");
}

#[tokio::test]
async fn takes_need_quota_for_all_and_are_charged_when_spoken() {
    let env = vec![("MONTHLY_CHAR_LIMIT", String::from("20"))];
    let app = TestApp::with(Setup { env, ..Setup::default() }).await;
    let ada = app.performer("ada").await;
    // Nine characters cost five each.
    let five = texts(&["Hi there."; 5]);
    let problem = app.post_as(&ada, "/perform", &five).await.assert_problem(429, "quota_exceeded");
    assert!(problem["detail"].as_str().unwrap().contains("25 are needed"), "{problem}");
    assert_eq!(app.elevenlabs().requests().spans().len(), 0);
    app.elevenlabs().faults().next_n(Operation::Synthesize, 2, &Fault::text_too_long());
    let four = texts(&["Hi there."; 4]);
    assert_eq!(ask(&app, &ada, &four).await.json()["charCount"], 10);
    app.post_as(&ada, "/perform", &four).await.assert_problem(429, "quota_exceeded");
    assert_eq!(ask(&app, &ada, &texts(&["Hi there."; 2])).await.json()["charCount"], 20);
}

#[tokio::test]
async fn takes_never_exceed_lambdas_response_limit() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let text = "la ".repeat(80);
    let response = ask(&app, &ada, &texts(&[text.trim(); 10])).await;
    assert!(response.body.len() < LARGEST_ANSWER, "{} bytes for 2,390 characters", response.body.len());

    // Somebody who speaks very slowly: 2 MB each.
    let mut slow = http::Response::new(Bytes::from(mp3::silence(2 * 1024 * 1024 / 417)));
    slow.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("audio/mpeg"));
    app.elevenlabs().faults().next_n(Operation::Synthesize, 3, &Fault::Respond(slow));
    let before = app.char_count(&ada).await;
    let response = ask(&app, &ada, &texts(&["Hi there."; 3])).await;
    assert!(response.body.len() < LARGEST_ANSWER, "{} bytes", response.body.len());
    let states: Vec<Value> =
        response.json()["takes"].as_array().unwrap().iter().map(|take| take["code"].clone()).collect();
    assert_eq!(states, [Value::Null, Value::Null, json!("answer_too_large")]);
    assert_eq!(app.char_count(&ada).await, before + 10);
}

fn texts(texts: &[&str]) -> Value {
    json!({ "takes": texts.iter().map(|text| json!({ "text": text })).collect::<Vec<_>>() })
}

/// Performs, successfully.
async fn ask(app: &TestApp, user: &User, body: &Value) -> Response {
    let response = app.post_as(user, "/perform", body).await;
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    response
}

fn audio(take: &Value) -> Vec<u8> {
    STANDARD.decode(take["audio_base64"].as_str().expect("audio")).expect("base64")
}
