//! What a perform is asked for and what it responds with: voices, routines, settings, the text.

use http::Method;
use mongodb::bson::DateTime;
use serde_json::{Value, json};
use tests::harness::{Setup, TestApp, User, mp3, send};

#[tokio::test]
async fn perform_without_a_recording_says_where_to_upload_one() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let problem = app.perform(&ada, "Queen of Hearts").await.assert_problem(409, "voice_required");
    assert!(problem["detail"].as_str().unwrap().contains("/users/me/voice"), "{problem}");
    assert_eq!(app.elevenlabs().requests().spans().len(), 0);
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn default_voice_needs_no_recording_no_clone_and_no_slot() {
    let env = vec![("ELEVENLABS_DEFAULT_VOICE_ID", String::from("JBFqnCBsd6RMkjVDRZzb"))];
    let app = TestApp::with(Setup { env, ..Setup::default() }).await;
    let ada = app.register("ada").await;
    app.wire().reset();
    let body = json!({ "routine_type": "cards", "value": "Queen of Hearts", "voice": "default" });
    let response = perform(&app, &ada, &body).await;
    assert_eq!((&response["voiceSource"], &response["receipt"]), (&json!("default_voice"), &Value::Null));
    assert_eq!(response["charCount"], response["charsUsedEffective"]);

    let commands = app.wire().commands();
    assert!(commands.iter().all(|command| command.collection.as_deref() == Some("users")), "{commands:?}");
    // The audio is stored for a repetition, and that is all.
    let requests = app.s3().requests();
    assert!(requests.iter().all(|request| request.method == Method::PUT), "{requests:?}");
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.deleted.len()), (0, 0));
    assert_eq!(ledger.synthesized[0].voice_id, "JBFqnCBsd6RMkjVDRZzb");
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn text_is_spoken_as_it_is() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let text = "¡Buenos días! Soñé con la reina de corazones… 🂱";
    let response = perform(&app, &ada, &json!({ "text": format!("  {text}\n"), "user_id": ada.id })).await;
    assert_eq!(response["text"], text);
    assert_eq!((&response["routine_type"], &response["thoughtSource"]), (&json!(null), &json!(null)));
    assert_eq!(
        (response["charsUsedRaw"].as_u64(), response["charsUsedEffective"].as_u64()),
        (Some(47), Some(24))
    );
    assert_eq!(app.elevenlabs().state().synthesized[0].text, text);
    assert_eq!(app.gemini().state().prompts.len(), 0, "nobody was asked to write");
    assert_eq!(response["request_id"].as_str().unwrap().len(), 36);
    assert_eq!(response["backgroundSound"], "off");
    let time =
        |member: &str| DateTime::parse_rfc3339_str(response["receipt"][member].as_str().unwrap()).unwrap();
    assert!(time("clone_created_at") <= time("clone_deleted_at"), "{}", response["receipt"]);
    assert_eq!(response["receipt"]["history_deleted"], true);
    assert_eq!(response.as_object().unwrap().len(), 13, "{:?}", response.as_object().unwrap().keys());
}

#[tokio::test]
async fn routines_are_known_by_their_names_and_short_forms() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    for (routine, known_as) in [
        ("cards", "cards"),
        ("numbers", "numbers"),
        ("star-signs", "star-signs"),
        ("phobias", "phobias"),
        ("years", "years"),
        ("names", "names"),
        ("movies", "movies"),
        ("custom", "custom"),
        ("nums", "numbers"),
        ("star", "star-signs"),
    ] {
        let body = json!({ "routine_type": routine, "value": "Leo", "voice": "default" });
        let response = perform(&app, &ada, &body).await;
        assert_eq!(response["routine_type"], known_as);
        assert_eq!(response["filename"], format!("{known_as}.mp3"));
        assert!(response["text"].as_str().unwrap().contains("Leo"));
    }
}

#[tokio::test]
async fn settings_and_their_override_reach_the_provider() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let settings = json!({ "voice_language": "es", "voice_stability": 20, "voice_similarity": 90 });
    let saved = app.send_as(&ada, Method::PUT, "/users/me/settings", &settings).await;
    assert_eq!(saved.status, 200);
    let cards = json!({ "routine_type": "cards", "value": "la reina de corazones" });
    perform(&app, &ada, &cards).await;
    let mut with_overrides = cards.clone();
    with_overrides["settings_override"] = json!({ "voice_language": "fr", "voice_stability": 100 });
    perform(&app, &ada, &with_overrides).await;
    with_overrides["settings_override"] = json!(null);
    perform(&app, &ada, &with_overrides).await;

    let spoken = app.elevenlabs().state().synthesized;
    for (synthesis, language, stability) in
        [(&spoken[0], "es", 0.2), (&spoken[1], "fr", 1.0), (&spoken[2], "es", 0.2)]
    {
        assert_eq!(synthesis.model_id, "eleven_flash_v2_5");
        assert_eq!(synthesis.output_format, "mp3_44100_128");
        assert_eq!(synthesis.language_code.as_deref(), Some(language));
        let expected = json!({ "stability": stability, "similarity_boost": 0.9 });
        assert_eq!(synthesis.voice_settings.as_ref(), Some(&expected));
    }
    let asked = app.gemini().state().prompts;
    let languages: Vec<Value> = asked
        .iter()
        .map(|asked| serde_json::from_str::<Value>(&asked.user_text).unwrap()["language"].clone())
        .collect();
    assert_eq!(languages, ["es", "fr", "es"]);
    // The override was for that one perform.
    assert_eq!(app.get_as(&ada, "/users/me/settings").await.json()["voice_language"], "es");
}

#[tokio::test]
async fn model_without_language_codes_is_sent_none_and_costs_its_own_price() {
    let env = vec![("ELEVENLABS_MODEL", String::from("eleven_multilingual_v2"))];
    let app = TestApp::with(Setup { env, ..Setup::default() }).await;
    let ada = app.performer("ada").await;
    let response = perform(&app, &ada, &json!({ "text": "Good morning." })).await;
    assert_eq!((&response["charsUsedRaw"], &response["charsUsedEffective"]), (&json!(13), &json!(13)));
    let spoken = app.elevenlabs().state().synthesized;
    assert_eq!((spoken[0].model_id.as_str(), &spoken[0].language_code), ("eleven_multilingual_v2", &None));
}

#[tokio::test]
async fn perform_as_another_user_is_forbidden() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let grace = app.performer("grace").await;
    for id in [ada.id.as_str(), "ada", ""] {
        let body = json!({ "text": "Good morning.", "user_id": id });
        app.post_as(&grace, "/perform", &body).await.assert_problem(403, "forbidden");
    }
    assert_eq!(app.elevenlabs().requests().spans().len(), 0);
    for id in [grace.id.as_str(), "me"] {
        perform(&app, &grace, &json!({ "text": "Good morning.", "user_id": id })).await;
    }
}

#[tokio::test]
async fn filter_keeps_refused_text_from_every_provider() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    for body in [
        json!({ "text": "what the fuck" }),
        json!({ "routine_type": "custom", "value": "hijo de puta" }),
        json!({ "text": "f u c k", "voice": "default" }),
    ] {
        let problem = app.post_as(&ada, "/perform", &body).await.assert_problem(422, "content_rejected");
        assert!(!problem.to_string().contains("fuck"), "{problem}");
    }
    assert_eq!(app.elevenlabs().requests().spans().len(), 0);
    assert_eq!(app.gemini().requests().spans().len(), 0);
    assert_eq!(app.char_count(&ada).await, 0);
}

#[tokio::test]
async fn perform_responds_with_json_or_mp3_as_accepted() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let text = "Buenos días, soñé contigo.";
    for (accept, mp3) in [
        ("application/json", false),
        ("*/*", false),
        ("", false),
        ("application/json, audio/mpeg", false),
        ("audio/mpeg", true),
        ("audio/*;q=0.9, application/json;q=0.1", true),
        ("Audio/MPEG, */*", true),
    ] {
        let request = app.request(Method::POST, "/perform", Some(&ada)).header("accept", accept);
        let response = send(request.json(&json!({ "text": text, "voice": "default" }))).await;
        assert_eq!(response.status, 200, "{response:?}");
        if mp3 {
            assert_eq!(response.header("content-type"), "audio/mpeg");
            assert_eq!(response.header("x-text"), "Buenos%20d%C3%ADas%2C%20so%C3%B1%C3%A9%20contigo%2E");
            assert_eq!(response.header("x-voice-source"), "default_voice");
            assert_eq!(response.header("x-chars-used-raw"), "26");
            assert_eq!(response.header("x-chars-used-effective"), "13");
            assert_eq!(response.header("x-monthly-limit"), "4000");
            assert_eq!(response.header("x-background-sound"), "off");
            assert_eq!(response.header("x-filename"), "voice-note.mp3");
            assert!(mp3::listen(&response.body).is_some());
        } else {
            assert_eq!(response.header("content-type"), "application/json", "{accept}");
            assert!(mp3::listen(&response.audio()).is_some());
        }
    }
}

/// Performs and gives the response's JSON.
async fn perform(app: &TestApp, user: &User, body: &Value) -> Value {
    let response = app.post_as(user, "/perform", body).await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}
