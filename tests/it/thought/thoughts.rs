//! Thoughts: written by Gemini, or by a template when Gemini has no usable response.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use http::Method;
use serde_json::{Value, json};
use tests::{
    fakes::{
        faults::{Fault, Operation},
        gemini::response_of_parts,
    },
    harness::{Response, TestApp, User},
};

use crate::platform::secrets::{Log, runtime};

const LANGUAGES: [&str; 6] = ["en", "es", "fr", "de", "it", "pt"];

#[tokio::test]
async fn thought_is_generated_on_either_path_in_six_languages() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    for path in ["/thought", "/generate-thought"] {
        for language in LANGUAGES {
            let body = json!({ "topic": "a film", "value": "Fargo", "language": language });
            let response = app.post_as(&ada, path, &body).await;
            assert_eq!(response.status, 200);
            let said = app.gemini().state().prompts.last().unwrap().text.clone();
            let expected = json!({ "thought": said, "source": "gemini", "language": language });
            assert_eq!(response.json(), expected);
        }
    }
    assert_eq!(app.elevenlabs().requests().spans().len(), 0);
}

#[tokio::test]
async fn thought_uses_the_users_language_by_default() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let settings = json!({ "voice_language": "de" });
    assert_eq!(app.send_as(&ada, Method::PUT, "/users/me/settings", &settings).await.status, 200);
    assert_eq!(think(&app, &ada, "Fargo").await.json()["language"], "de");
}

#[tokio::test]
async fn gemini_is_asked_for_one_json_schema_with_safety_settings() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    assert_eq!(think(&app, &ada, "Fargo").await.json()["source"], "gemini");
    let asked = app.gemini().state().prompts.pop().unwrap();
    assert_eq!(asked.model, "gemini-3.5-flash-lite");
    assert_eq!(asked.thinking_config.unwrap(), json!({ "thinkingLevel": "minimal" }));
    assert_eq!(asked.generation_config["responseMimeType"], "application/json");
    assert_eq!(asked.generation_config["responseSchema"]["required"], json!(["thought"]));
    let thresholds: Vec<_> = asked.safety_settings.as_array().unwrap().iter().map(Value::to_string).collect();
    assert_eq!(thresholds.len(), 4);
    assert!(thresholds.iter().all(|set| !set.contains("NONE") && !set.contains("OFF")), "{thresholds:?}");
}

#[tokio::test]
async fn template_is_used_at_once_where_a_retry_would_not_help() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    for fault in [
        Fault::gemini_invalid_key(),
        Fault::gemini_permission_denied(),
        Fault::retired_model(),
        Fault::resource_exhausted_with_retry_info(),
        Fault::resource_exhausted_for("4.5s"),
        Fault::blocked_prompt(),
    ] {
        let (thought, attempts) = thought_after(&app, &ada, &fault).await;
        assert_template(&thought, &fault);
        assert_eq!(attempts, 1, "{fault:?}");
    }
    assert_eq!(think(&app, &ada, "Fargo").await.json()["source"], "gemini");
}

#[tokio::test]
async fn template_is_used_after_one_retry_where_that_may_help() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let said = |text: &str| Fault::gemini_thought(text);
    for fault in [
        Fault::gemini_internal(),
        Fault::gemini_unavailable(),
        Fault::gemini_deadline_exceeded(),
        Fault::html_503(),
        Fault::ResetBeforeEffect,
        Fault::TruncatedBody,
        Fault::blocked_response(),
        Fault::prohibited_response(),
        Fault::max_tokens_without_parts(),
        Fault::max_tokens_within_text(),
        Fault::html(200, "<html>Please log in</html>"),
        Fault::json(200, &json!([])),
        Fault::json(200, &json!({})),
        response_of_parts(&json!([])),
        response_of_parts(&json!(null)),
        response_of_parts(&json!([{ "text": null }])),
        response_of_parts(&json!([{ "text": "Fargo, said nobody.", "thought": true }])),
        Fault::gemini_text(" "),
        Fault::gemini_text(
            "I just woke up and all night long I was dreaming of nothing but Fargo, so strange.",
        ),
        Fault::gemini_text(
            r#"{"dream":"I just woke up and all night long I was dreaming of nothing but Fargo."}"#,
        ),
        said("I just woke up and I dreamed of something, all night long, but I forgot what it was."),
        said("Thought: I just woke up and all night long I was dreaming of nothing but Fargo, so strange."),
        said("I just woke up and all night long I was dreaming of nothing but Fargo 😴, so strange."),
        said("I just woke up and all night long I was dreaming of nothing but Fargo\nand a second line."),
        said("I just woke up and it was like a film, all night long nothing but Fargo, really so strange."),
        said("Ich bin gerade aufgewacht und habe die ganze Nacht von nichts anderem als Fargo geträumt."),
        said("Fuck, I just woke up and all night long I was dreaming of nothing but Fargo, so strange."),
        said(&format!("I dreamed of Fargo {}", "again and ".repeat(40))),
        said("Fargo."),
    ] {
        let (thought, attempts) = thought_after(&app, &ada, &fault).await;
        assert_template(&thought, &fault);
        assert_eq!(attempts, 2, "{fault:?}");
    }
}

#[tokio::test]
async fn response_in_another_wrapping_than_asked_for_is_read() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let thought = "I just woke up and all night long I was dreaming of nothing but Fargo, so strange.";
    let object = json!({ "thought": thought }).to_string();
    for fault in [
        Fault::gemini_text(&format!("```json\n{object}\n```")),
        Fault::gemini_text(&format!("\u{feff}{object}")),
        Fault::gemini_text(&format!("[{object}]")),
        Fault::gemini_text(&format!("Here is the JSON requested:\n{object}\nSleep well!")),
        response_of_parts(&json!([{ "text": null, "thought": null }, { "text": object, "thought": null }])),
        response_of_parts(&json!([{ "text": null, "thought": true }, { "text": object }])),
        response_of_parts(&json!([{ "text": object[..20] }, { "text": object[20..] }])),
    ] {
        app.gemini().faults().next(Operation::Generate, fault.clone());
        let said = think(&app, &ada, "Fargo").await.json();
        assert_eq!((&said["source"], &said["thought"]), (&json!("gemini"), &json!(thought)), "{fault:?}");
    }
    assert_eq!(app.gemini().requests().count(Operation::Generate), 7, "each is read at once");
}

#[tokio::test]
async fn response_without_text_is_asked_for_once_more() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    for fault in [
        response_of_parts(&json!([])),
        response_of_parts(&json!([{ "text": null }])),
        Fault::max_tokens_without_parts(),
        Fault::max_tokens_within_text(),
    ] {
        app.gemini().faults().next(Operation::Generate, fault.clone());
        assert_eq!(think(&app, &ada, "Fargo").await.json()["source"], "gemini", "{fault:?}");
    }
}

#[tokio::test]
async fn perform_of_a_value_that_is_an_article_twice_is_spoken() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    for (at, value) in ["La La", "The The", "Lo-lo", "L.L."].into_iter().enumerate() {
        for broken in [false, true] {
            if broken {
                app.gemini().faults().next(Operation::Generate, Fault::blocked_prompt());
            }
            let language = LANGUAGES[at];
            let body = json!({
                "routine_type": "movies", "value": value, "settings_override": { "voice_language": language },
            });
            let performed = app.post_as(&ada, "/perform", &body).await;
            assert_eq!(performed.status, 200, "{value} {performed:?}");
            let performed = performed.json();
            assert_eq!(performed["thoughtSource"], if broken { "template" } else { "gemini" }, "{performed}");
            assert!(performed["text"].as_str().unwrap().contains(value), "{performed}");
        }
    }
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn retry_tells_the_model_what_was_wrong() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let wrong = "I just woke up and I dreamed of a stranger, all night long, but who was it again.";
    for (fault, advice) in [
        (Fault::gemini_thought(wrong), Some("the value was missing")),
        (Fault::gemini_thought("Fargo."), Some("too short")),
        (Fault::blocked_response(), Some("cut off as unsafe")),
        (Fault::gemini_unavailable(), None),
    ] {
        app.gemini().faults().next(Operation::Generate, fault);
        let thought = think(&app, &ada, "Fargo").await.json();
        let asked = app.gemini().state().prompts.pop().unwrap();
        assert_eq!((&thought["source"], &thought["thought"]), (&json!("gemini"), &json!(asked.text)));
        let instruction = asked.system_instruction.unwrap();
        assert_eq!(instruction.contains("earlier attempt"), advice.is_some(), "{instruction}");
        assert!(instruction.contains(advice.unwrap_or_default()), "{instruction}");
        // What the model said is not repeated to it: it may have obeyed a user.
        assert!(!instruction.contains("stranger"), "{instruction}");
    }
}

#[tokio::test]
async fn retry_waits_as_gemini_asks_if_there_is_time() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let short = Duration::from_millis(600);
    app.gemini().faults().next(Operation::Generate, Fault::resource_exhausted_for("0.6s"));
    let began = Instant::now();
    assert_eq!(think(&app, &ada, "Fargo").await.json()["source"], "gemini");
    assert!(began.elapsed() >= short, "{:?}", began.elapsed());

    app.gemini().faults().next(Operation::Generate, Fault::resource_exhausted_with_retry_info());
    let before = app.gemini().requests().spans().len();
    assert_eq!(think(&app, &ada, "Fargo").await.json()["source"], "template");
    assert_eq!(app.gemini().requests().spans().len(), before + 1, "a long pause is not waited for");
}

#[tokio::test]
async fn retry_shares_the_time_budget_of_the_first_attempt() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    // Each of its own five seconds, they would take eight.
    let budget = Duration::from_millis(4_900)..Duration::from_millis(7_900);
    app.gemini().faults().next(Operation::Generate, Fault::resource_exhausted_for("3s"));
    app.gemini().faults().always(Operation::Generate, Fault::TimeoutBeforeEffect);
    let began = Instant::now();
    assert_eq!(think(&app, &ada, "Fargo").await.json()["source"], "template");
    let took = began.elapsed();
    assert!(budget.contains(&took), "{took:?}");
}

#[test]
fn gemini_misconfiguration_is_logged_once_with_its_variable() {
    for (fault, variable) in
        [(Fault::retired_model(), "GEMINI_MODEL"), (Fault::gemini_invalid_key(), "GEMINI_API_KEY")]
    {
        let log = Log::default();
        runtime(&log).block_on(async {
            let app = TestApp::new().await;
            let ada = app.register("ada").await;
            app.gemini().faults().always(Operation::Generate, fault);
            for _ in 0..3 {
                assert_eq!(think(&app, &ada, "Fargo").await.json()["source"], "template");
            }
        });
        let text = log.text();
        let told: Vec<_> =
            text.lines().filter(|line| line.contains("\"WARN\"") && line.contains(variable)).collect();
        assert_eq!(told.len(), 1, "{told:#?}");
    }
}

#[tokio::test]
async fn quotation_marks_around_a_thought_are_removed() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let fit = "All night I was driving to Fargo, and now that I'm awake I can't say why.";
    let said = Fault::gemini_thought(&format!("\"{fit}\"\n"));
    app.gemini().faults().next(Operation::Generate, said);
    let thought = think(&app, &ada, "fargo").await.json();
    assert_eq!((&thought["source"], &thought["thought"]), (&json!("gemini"), &json!(fit)));
}

#[tokio::test]
async fn templates_exist_per_language_with_english_as_the_default() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    app.gemini().faults().always(Operation::Generate, Fault::gemini_unavailable());
    let mut thoughts = BTreeSet::new();
    for _ in 0..20 {
        for language in LANGUAGES {
            let body = json!({ "topic": "a film", "value": "Fargo", "language": language });
            let thought = app.post_as(&ada, "/thought", &body).await.json();
            assert_eq!((&thought["source"], &thought["language"]), (&json!("template"), &json!(language)));
            thoughts.insert((language, thought["thought"].to_string()));
        }
    }
    for language in LANGUAGES {
        assert!(
            thoughts.iter().filter(|(of, _)| *of == language).count() > 1,
            "{language} has but one template"
        );
    }
    let body = json!({ "topic": "a film", "value": "Fargo", "language": "ja" });
    let thought = app.post_as(&ada, "/thought", &body).await.json();
    assert_eq!(thought["language"], "en");
    assert!(thoughts.contains(&("en", thought["thought"].to_string())), "{thought}");
}

#[tokio::test]
async fn perform_does_not_wait_for_a_silent_gemini() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.gemini().faults().always(Operation::Generate, Fault::TimeoutBeforeEffect);
    let began = Instant::now();
    let (thought, performed) = tokio::join!(think(&app, &ada, "Fargo"), app.perform(&ada, "Queen of Hearts"));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!(thought.json()["source"], "template");
    assert_eq!(performed.status, 200, "{performed:?}");
    assert_eq!(performed.json()["thoughtSource"], "template");
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn perform_without_gemini_speaks_the_template() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.gemini().faults().next(Operation::Generate, Fault::blocked_prompt());
    let performed = app.perform(&ada, "Queen of Hearts").await.json();
    assert_eq!(performed["thoughtSource"], "template");
    assert_eq!(performed["text"], app.elevenlabs().state().synthesized[0].text);
}

#[tokio::test]
async fn filter_keeps_refused_values_from_gemini() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    for (topic, value) in [("a film", "fuck"), ("fuck", "Fargo"), ("a film", "hijo de puta")] {
        for path in ["/thought", "/generate-thought"] {
            let body = json!({ "topic": topic, "value": value });
            let problem = app.post_as(&ada, path, &body).await.assert_problem(422, "content_rejected");
            assert!(!problem.to_string().contains("fuck"), "{problem}");
        }
    }
    assert_eq!(app.gemini().requests().spans().len(), 0);
}

/// What is answered while Gemini always fails so, and how often it was asked.
async fn thought_after(app: &TestApp, user: &User, fault: &Fault) -> (Value, usize) {
    let before = app.gemini().requests().count(Operation::Generate);
    app.gemini().faults().always(Operation::Generate, fault.clone());
    let response = think(app, user, "Fargo").await;
    app.gemini().faults().clear();
    assert_eq!(response.status, 200, "{fault:?}");
    (response.json(), app.gemini().requests().count(Operation::Generate) - before)
}

#[track_caller]
fn assert_template(thought: &Value, fault: &Fault) {
    assert_eq!(thought["source"], "template", "{fault:?} {thought}");
    assert_eq!(thought["thought"].as_str().unwrap().matches("Fargo").count(), 1, "{thought}");
}

async fn think(app: &TestApp, user: &User, value: &str) -> Response {
    app.post_as(user, "/thought", &json!({ "topic": "a film", "value": value })).await
}
