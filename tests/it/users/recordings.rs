//! The recording of a user's voice: how it comes, what is refused, and that it never goes out again.

use std::{cmp::Reverse, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use http::Method;
use serde_json::{Value, json};
use tests::{
    fakes::{elevenlabs::Delays, s3::Fault},
    harness::{Response, SLOW, TestApp, User, WEBM, base64, eventually, routes, send},
};

macro_rules! recording {
    ($name:literal) => {
        include_bytes!(concat!("../../fixtures/recordings/", $name)).as_slice()
    };
}

const MP3: &[u8] = recording!("speech-34s.mp3");

/// The same speech as different programs store it.
const SPEECH: [(&str, &[u8]); 8] = [
    ("audio/webm", WEBM),
    ("audio/webm", recording!("live.webm")),
    ("audio/mp4", recording!("speech-34s.m4a")),
    ("audio/mp4", recording!("fragmented.mp4")),
    ("audio/ogg", recording!("opus.ogg")),
    ("audio/ogg", recording!("vorbis.ogg")),
    ("audio/mpeg", MP3),
    ("audio/flac", recording!("speech.flac")),
];

#[tokio::test]
async fn recording_format_is_detected_by_its_bytes() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    for (mime_type, audio) in SPEECH {
        let adopted = app.upload(&ada, audio).await;
        assert_eq!(adopted.status, 200, "{mime_type}");
        assert_adopted(&adopted.json(), mime_type, audio);
        // The one object is what was sent, and the provider is told what it is.
        assert_eq!(app.s3().keys(), [key(&ada)]);
        let object = app.s3().client().get_object().bucket(tests::fakes::s3::BUCKET).key(key(&ada));
        let object = object.send().await.unwrap();
        assert_eq!(object.content_type(), Some(mime_type));
        assert!(object.body.collect().await.unwrap().into_bytes() == audio, "stored as it came");
    }
}

#[tokio::test]
async fn recording_is_taken_raw_as_base64_or_as_data_url() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let plain = base64(WEBM);
    for text in [
        plain.clone(),
        format!("data:audio/webm;base64,{plain}"),
        format!("data:audio/webm;codecs=opus;base64,{plain}"),
        plain.trim_end_matches('=').to_owned(),
        format!("{plain}\n"),
    ] {
        // What the client says of it is neither needed nor believed.
        let body = json!({ "audio_base64": text, "mime_type": "audio/wav", "duration_seconds": 45 });
        let response = app.post_as(&ada, "/users/me/voice", &body).await;
        assert_eq!(response.status, 200, "{response:?}");
        assert_adopted(&response.json(), "audio/webm", WEBM);
    }
    for label in ["audio/webm;codecs=opus", "audio/x-m4a", "AUDIO/OGG", "video/webm"] {
        let request = app.request(Method::POST, "/users/me/voice", Some(&ada));
        let response = send(request.header("content-type", label).body(WEBM)).await;
        assert_eq!(response.status, 200, "{label} {response:?}");
    }
}

#[tokio::test]
async fn recording_that_cannot_be_cloned_is_refused_and_not_stored() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let video = recording!("snippets/video.webm");
    let mut large = WEBM.to_vec();
    large.resize(shared::audio::MAX_BYTES + 1, 0);
    let refused: [(&str, &[u8], &str); 9] = [
        ("nothing", b"", "not a sound recording"),
        ("a page", b"<html><body>not a recording</body></html>", "not a sound recording"),
        ("too short", recording!("snippets/mp3.mp3"), "seconds long"),
        ("too long and a bomb", recording!("ten-minutes.flac"), "longer than two minutes"),
        ("silent", recording!("silence.webm"), "silent"),
        ("half of one", &WEBM[..WEBM.len() / 2], "cut short"),
        ("a video", video, "video"),
        ("over 10 MB", &large, "10 MB"),
        ("only a head", &WEBM[..64], ""),
    ];
    for (what, audio, why) in refused {
        let raw = app.upload(&ada, audio).await;
        let coded = json!({ "audio_base64": base64(audio) });
        let coded = app.post_as(&ada, "/users/me/voice", &coded).await;
        for response in [raw, coded] {
            let problem = response.assert_problem(422, "invalid_recording");
            assert!(problem["detail"].as_str().unwrap().contains(why), "{what}: {problem}");
        }
    }
    assert_eq!(app.s3().keys(), [""; 0]);
    assert!(app.s3().requests().iter().all(|entry| entry.method != Method::PUT), "nothing was even tried");
    assert_eq!(meta(&app, &ada).await, no_recording());
}

#[tokio::test]
async fn recording_is_replaced_whole_or_not_at_all() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let first = meta(&app, &ada).await;
    app.clock.advance(Duration::from_mins(1));
    assert_eq!(app.upload(&ada, MP3).await.status, 200);
    let second = meta(&app, &ada).await;
    assert_ne!(second["hash"], first["hash"]);
    assert_eq!(second["uploaded_at"], "2026-11-22T12:01:00Z");

    app.upload(&ada, b"no recording").await.assert_problem(422, "invalid_recording");
    assert_eq!(meta(&app, &ada).await, second);
    assert_eq!(app.s3().keys(), [key(&ada)]);
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
    assert_eq!(app.elevenlabs().state().created[0].sample_bytes, MP3.len());
}

#[tokio::test]
async fn recording_metadata_names_no_clone_while_nothing_runs() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    assert_eq!(meta(&app, &ada).await, no_recording());
    app.upload(&ada, WEBM).await;
    let told = meta(&app, &ada).await;
    let expected = json!({
        "hasSample": true, "hasClone": true, "voiceCloneId": null, "hash": sha256(WEBM),
        "duration": told["duration"], "mime_type": "audio/webm", "uploaded_at": "2026-11-22T12:00:00Z",
        "consent_at": null,
    });
    assert_eq!(told, expected);
    assert_eq!(app.get_as(&ada, "/users/me").await.json()["voice"], told);
    app.perform(&ada, "Queen of Hearts").await;
    assert_eq!(meta(&app, &ada).await, told);
}

#[tokio::test]
async fn recording_deletion_removes_it_and_may_be_repeated() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    for _ in 0..2 {
        let deleted = send(app.request(Method::DELETE, "/users/me/voice", Some(&ada))).await;
        assert_eq!((deleted.status.as_u16(), deleted.body.len()), (204, 0));
        assert_eq!(app.s3().keys(), [""; 0]);
        assert_eq!(meta(&app, &ada).await, no_recording());
    }
    app.perform(&ada, "Queen of Hearts").await.assert_problem(409, "voice_required");
}

#[tokio::test]
async fn recording_is_not_adopted_when_s3_fails() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    app.s3().inject(3, Method::PUT, Fault::SlowDown);
    app.upload(&ada, WEBM).await.assert_problem(503, "service_unavailable");
    assert_eq!(meta(&app, &ada).await, no_recording());
    assert_eq!(app.upload(&ada, WEBM).await.status, 200);

    app.s3().inject(3, Method::DELETE, Fault::SlowDown);
    let refused = send(app.request(Method::DELETE, "/users/me/voice", Some(&ada))).await;
    refused.assert_problem(503, "service_unavailable");
    assert_eq!(meta(&app, &ada).await["hasSample"], true, "what cannot be deleted is not said to be gone");
}

#[tokio::test]
async fn upload_to_s3_is_adopted_by_its_key() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let offer = offer(&app, &ada, MP3.len()).await;
    assert_eq!((&offer["method"], &offer["expires_in"]), (&json!("PUT"), &json!(900)));
    assert!(offer["key"].as_str().unwrap().starts_with(&format!("uploads/{}/", ada.id)), "{offer}");

    let body = json!({ "key": offer["key"] });
    let early = app.post_as(&ada, "/users/me/voice", &body).await;
    assert_eq!(early.bad_fields(), ["key"]);
    assert!(early.json()["detail"].as_str().unwrap().contains("no upload yet"), "{early:?}");

    assert_eq!(put(&app, &offer, MP3).await, 200);
    let adopted = app.post_as(&ada, "/users/me/voice", &body).await;
    assert_eq!(adopted.status, 200, "{adopted:?}");
    assert_adopted(&adopted.json(), "audio/mpeg", MP3);
    assert_eq!(app.s3().keys(), [key(&ada)], "the upload is gone");
    assert_eq!(app.post_as(&ada, "/users/me/voice", &body).await.bad_fields(), ["key"], "a key is used once");
}

#[tokio::test]
async fn upload_to_s3_of_another_size_type_or_key_is_refused() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let offer = offer(&app, &ada, WEBM.len()).await;
    assert_eq!(put(&app, &offer, &WEBM[1..]).await, 403);
    assert_eq!(put(&app, &offer, MP3).await, 403);
    let url = offer["upload_url"].as_str().unwrap();
    let html = app.http.put(url).header("content-type", "text/html").body(WEBM);
    assert_eq!(html.send().await.unwrap().status(), 403);
    let elsewhere = url.replace(offer["key"].as_str().unwrap(), &key(&ada));
    assert_ne!(elsewhere, url);
    let elsewhere = app.http.put(elsewhere).header("content-type", "audio/webm").body(WEBM);
    assert_eq!(elsewhere.send().await.unwrap().status(), 403);
    assert_eq!(app.s3().keys(), [""; 0]);

    assert_eq!(put(&app, &offer, WEBM).await, 200);
    assert_eq!(app.http.get(url).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn upload_adopted_must_be_ones_own_latest() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let grace = app.register("grace").await;
    let (stale, graces) = (offer(&app, &ada, WEBM.len()).await, offer(&app, &grace, MP3.len()).await);
    assert_eq!(put(&app, &stale, WEBM).await, 200);
    assert_eq!(put(&app, &graces, MP3).await, 200);
    let latest = offer(&app, &ada, MP3.len()).await;
    let before = meta(&app, &ada).await;
    for foreign in [&stale["key"], &graces["key"], &json!(key(&ada)), &json!(""), &json!("../x")] {
        let response = app.post_as(&ada, "/users/me/voice", &json!({ "key": foreign })).await;
        assert_eq!(response.bad_fields(), ["key"], "{foreign}");
    }
    assert_eq!(meta(&app, &ada).await, before);
    let mut expected = vec![key(&ada), graces["key"].as_str().unwrap().to_owned()];
    expected.sort();
    assert_eq!(app.s3().keys(), expected, "the upload that was replaced is gone");

    assert_eq!(put(&app, &latest, MP3).await, 200);
    let adopted = app.post_as(&ada, "/users/me/voice", &json!({ "key": latest["key"] })).await;
    assert_adopted(&adopted.json(), "audio/mpeg", MP3);
}

#[tokio::test]
async fn upload_that_is_no_recording_is_not_adopted() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let silence = recording!("silence.webm");
    let offer = offer(&app, &ada, silence.len()).await;
    assert_eq!(put(&app, &offer, silence).await, 200);
    let response = app.post_as(&ada, "/users/me/voice", &json!({ "key": offer["key"] })).await;
    response.assert_problem(422, "invalid_recording");
    assert_eq!(meta(&app, &ada).await, no_recording());
    assert!(!app.s3().keys().contains(&key(&ada)));
}

#[tokio::test]
async fn recording_and_links_to_it_are_in_no_response() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.make_admin(&ada).await;
    let middle = WEBM.len() / 2 / 3 * 3;
    let raw = &WEBM[middle..middle + 30];
    let coded = base64(raw);
    // What deletes goes last, and the account at the very end.
    let mut routes: Vec<_> = routes::all().iter().collect();
    routes.sort_by_key(|route| (route.method == "DELETE", Reverse(route.path.len())));
    assert_eq!(routes.last().unwrap().name(), "DELETE /users/{user_id}");
    for route in routes {
        // Some routes end the session.
        let ada = app.sign_in(&ada).await;
        let request = app.request(route.method.clone(), &route.path_for("me"), Some(&ada));
        let body = route.body(&ada);
        let response = send(request.optional_json(&body)).await;
        let refused = ["POST /auth/register"].contains(&route.name().as_str());
        assert_eq!(response.status.is_success(), !refused, "{} {response:?}", route.name());

        let whole = [format!("{:?}", response.headers).as_bytes(), &response.body].concat();
        let contains = |needle: &[u8]| whole.windows(needle.len()).any(|window| window == needle);
        assert!(!contains(raw) && !contains(coded.as_bytes()), "{}", route.name());
        assert!(!contains(b"/recordings/"), "{}", route.name());
        let signed = contains(b"X-Amz-Signature");
        assert_eq!(signed, route.path.ends_with("/voice/upload"), "{}", route.name());
    }
    assert_eq!(app.s3().keys(), [""; 0]);
}

#[tokio::test]
async fn recording_may_be_replaced_or_deleted_during_a_perform() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let slow = Delays { create: SLOW, ..Delays::default() };
    app.elevenlabs().set_delays(slow);
    let meanwhile = async {
        eventually("it has begun", async || app.held_slots().await == 1).await;
        assert_eq!(app.upload(&ada, MP3).await.status, 200);
    };
    let (performed, ()) = tokio::join!(app.perform(&ada, "Queen of Hearts"), meanwhile);
    assert_eq!(performed.status, 200, "{performed:?}");
    let meanwhile = async {
        eventually("it has begun", async || app.elevenlabs().state().existing.len() == 1).await;
        let deleted = send(app.request(Method::DELETE, "/users/me/voice", Some(&ada))).await;
        assert_eq!(deleted.status, 204);
    };
    let speaking = Delays { first_byte: SLOW, ..Delays::default() };
    app.elevenlabs().set_delays(speaking);
    let (performed, ()) = tokio::join!(app.perform(&ada, "Queen of Hearts"), meanwhile);
    assert_eq!(performed.status, 200, "{performed:?}");
    // Each was made of the recording that was there when it began.
    let cloned: Vec<usize> =
        app.elevenlabs().state().created.iter().map(|voice| voice.sample_bytes).collect();
    assert_eq!(cloned, [WEBM.len(), MP3.len()]);
    app.perform(&ada, "Queen of Hearts").await.assert_problem(409, "voice_required");
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn consent_is_kept_with_the_recording_that_it_was_given_for() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let (now, later) = ("2026-11-22T12:00:00Z", "2026-11-22T12:01:00Z");
    let raw = async |consent: &str| {
        let request = app.request(Method::POST, "/users/me/voice", Some(&ada));
        send(request.header("content-type", "audio/webm").header("x-consent", consent).body(WEBM)).await
    };
    let coded = async |consent: Value| {
        let body = json!({ "audio_base64": base64(WEBM), "consent": consent });
        app.post_as(&ada, "/users/me/voice", &body).await
    };
    assert_eq!(raw("true").await.status, 200);
    assert_eq!(meta(&app, &ada).await["consent_at"], now);
    // What is refused changes nothing, and stores nothing.
    let before = app.s3().requests().len();
    assert_eq!(raw("false").await.bad_fields(), ["X-Consent"]);
    assert_eq!(raw("perhaps").await.bad_fields(), ["X-Consent"]);
    assert_eq!(coded(json!(false)).await.bad_fields(), ["consent"]);
    assert_eq!(coded(json!("true")).await.bad_fields(), ["consent"]);
    assert_eq!(app.s3().requests().len(), before);
    assert_eq!(meta(&app, &ada).await["consent_at"], now);

    app.clock.advance(Duration::from_mins(1));
    assert_eq!(coded(json!(true)).await.status, 200);
    assert_eq!(meta(&app, &ada).await["consent_at"], later);
    // The next recording has no consent of its own, and does not inherit one.
    for unsaid in [app.upload(&ada, WEBM).await, coded(json!(null)).await] {
        assert_eq!(unsaid.status, 200, "{unsaid:?}");
        assert_eq!(meta(&app, &ada).await["consent_at"], json!(null));
    }
    let offer = offer(&app, &ada, MP3.len()).await;
    assert_eq!(put(&app, &offer, MP3).await, 200);
    let body = json!({ "key": offer["key"], "consent": true });
    assert_eq!(app.post_as(&ada, "/users/me/voice", &body).await.status, 200);
    assert_eq!(meta(&app, &ada).await["consent_at"], later);
    let profile = app.get_as(&ada, "/users/me").await.json();
    assert_eq!(profile["voice"]["consent_at"], later);
}

#[track_caller]
fn assert_adopted(adopted: &Value, mime_type: &str, audio: &[u8]) {
    let seconds = adopted["duration"].as_f64().expect("a duration");
    assert!((seconds - 34.4).abs() < 0.3, "{seconds}");
    let expected = json!({
        "status": "ok", "bytes": audio.len(), "hash": sha256(audio), "duration": seconds, "mime_type": mime_type,
    });
    assert_eq!(*adopted, expected);
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

fn key(user: &User) -> String {
    format!("recordings/{}", user.id)
}

fn no_recording() -> Value {
    json!({
        "hasSample": false, "hasClone": false, "voiceCloneId": null, "hash": null, "duration": null,
        "mime_type": null, "uploaded_at": null, "consent_at": null,
    })
}

async fn meta(app: &TestApp, user: &User) -> Value {
    let response: Response = app.get_as(user, "/users/me/voice/meta").await;
    assert_eq!(response.status, 200);
    response.json()
}

/// An offer for an upload of that many bytes.
async fn offer(app: &TestApp, user: &User, bytes: usize) -> Value {
    let body = json!({ "mime_type": "audio/webm", "bytes": bytes });
    let response = app.post_as(user, "/users/me/voice/upload", &body).await;
    assert_eq!(response.status, 201, "{response:?}");
    response.json()
}

/// Uploads as a browser does: with the headers of the offer, except the length, which it fills in itself.
async fn put(app: &TestApp, offer: &Value, audio: &[u8]) -> u16 {
    let mut request = app.http.put(offer["upload_url"].as_str().expect("an address")).body(audio.to_vec());
    for (name, value) in offer["headers"].as_object().expect("headers") {
        if name != "content-length" {
            request = request.header(name, value.as_str().expect("text"));
        }
    }
    request.send().await.expect("S3 responds").status().as_u16()
}
