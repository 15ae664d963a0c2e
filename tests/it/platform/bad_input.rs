//! Requests that cannot be answered as they are, and what every response has in common.

use std::collections::BTreeMap;

use axum::{Router, routing::get};
use http::Method;
use serde_json::{Value, json};
use shared::env::Env;
use tests::harness::{PASSWORD, Route, TestApp, TestClient, base64, registration, routes, send};

/// Every route that reads JSON, and its path for the caller; an admin may use them all.
fn readers() -> impl Iterator<Item = (&'static Route, String)> {
    routes::all().iter().filter(|route| route.reads_json()).map(|route| (route, route.path_for("me")))
}

#[tokio::test]
async fn malformed_json_is_refused_and_not_repeated() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let deep = "[".repeat(10_000);
    let bodies: [&[u8]; 5] =
        [b"", b"{\"password\":\"hunter2hunter2", b"hunter2hunter2", b"\"\xff\xfe\"", deep.as_bytes()];
    for (route, path) in readers() {
        for body in bodies {
            let request = app.request(route.method.clone(), &path, Some(&ada)).body(body.to_vec());
            let response = send(request.header("content-type", "application/json")).await;
            response.assert_problem(400, "malformed_json");
            assert!(!String::from_utf8_lossy(&response.body).contains("hunter2"), "{path}");
        }
    }
}

#[tokio::test]
async fn content_type_of_a_body_must_be_json() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    for (route, path) in readers() {
        for label in
            ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
        {
            let mut request = app.request(route.method.clone(), &path, Some(&ada)).body("{}");
            if !label.is_empty() {
                request = request.header("content-type", label);
            }
            let response = send(request).await;
            if path == "/users/me/voice" && label.is_empty() {
                // Bytes without a label are taken for a recording, and judged as one.
                response.assert_problem(422, "invalid_recording");
            } else {
                response.assert_problem(415, "unsupported_media_type");
            }
        }
        for label in ["application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"] {
            let request = app.request(route.method.clone(), &path, Some(&ada)).header("content-type", label);
            assert_eq!(send(request.body("[]")).await.status, 422, "{} as {label}", route.name());
        }
    }
}

#[tokio::test]
async fn body_beyond_the_limit_is_refused() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    for (route, path) in readers() {
        let limit = if path == "/users/me/voice" { 14_000_000 } else { 2_200_000 };
        // Not over a connection: one that is closed in the middle of a body may lose the response.
        let request = TestClient::router(&app.backend.routes).request(route.method.clone(), &path).user(&ada);
        let response = send(request.json(&json!({ "value": "x".repeat(limit) }))).await;
        response.assert_problem(413, "body_too_large");
    }
}

#[tokio::test]
async fn validation_names_every_bad_member_at_once() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    app.make_admin(&ada).await;
    for (method, path, body, expected) in bad_bodies() {
        let response = app.send_as(&ada, method.clone(), path, &body).await;
        let mut expected: Vec<&str> = expected.split_whitespace().collect();
        expected.sort_unstable();
        assert_eq!(response.bad_fields(), expected, "{method} {path} {body}");
    }
    for (route, path) in readers() {
        for body in [json!([]), json!("text"), json!(5), json!(null)] {
            let response = app.send_as(&ada, route.method.clone(), &path, &body).await;
            assert_eq!(response.bad_fields(), [""], "{} {body}", route.name());
        }
    }
}

/// Bodies, and the members that are to be complained about.
fn bad_bodies() -> Vec<(Method, &'static str, Value, &'static str)> {
    let long = |length: usize| "x".repeat(length);
    let [post, put, patch, delete] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let mut bodies = registrations();
    bodies.extend([
        (post.clone(), "/auth/login", json!({}), "username password"),
        (post.clone(), "/auth/login", json!({ "username": 5, "password": true }), "username password"),
        (post.clone(), "/auth/refresh", json!({}), "refresh_token"),
        (post.clone(), "/auth/refresh", json!({ "refresh_token": ["a"] }), "refresh_token"),
        (patch.clone(), "/users/me", json!({ "username": "a b c", "email": "@" }), "username email"),
        (patch, "/users/me", json!({ "username": 1, "email": 2 }), "username email"),
        (put.clone(), "/users/me/password", json!({}), "current_password new_password"),
        (
            put.clone(),
            "/users/me/password",
            json!({ "current_password": 1, "new_password": "short" }),
            "current_password new_password",
        ),
        (
            put.clone(),
            "/users/me/password",
            json!({ "current_password": PASSWORD, "new_password": long(73) }),
            "new_password",
        ),
        (
            put.clone(),
            "/users/me/settings",
            json!({
                "voice_language": "xx", "speaker_sex": "none", "voice_stability": 101, "voice_similarity": -1,
                "background_sound": "yes", "background_volume": 100.5, "voice_note_name": long(51),
                "voice_note_date": "2026-02-30", "voice_note_name_default": 1,
            }),
            "voice_language speaker_sex voice_stability voice_similarity background_sound background_volume \
             voice_note_name voice_note_date voice_note_name_default",
        ),
        (
            put,
            "/users/me/settings",
            json!({ "voice_language": "eng", "voice_stability": "50" }),
            "voice_language voice_stability",
        ),
        (post.clone(), "/users/me/voice", json!({}), "audio_base64"),
        (post.clone(), "/users/me/voice", json!({ "audio_base64": 5, "key": 5 }), "audio_base64 key"),
        (post.clone(), "/users/me/voice", json!({ "audio_base64": "", "key": "a" }), "audio_base64"),
        (post.clone(), "/users/me/voice", json!({ "audio_base64": "no base64!" }), "audio_base64"),
        (post.clone(), "/users/me/voice/upload", json!({}), "bytes"),
        (
            post.clone(),
            "/users/me/voice/upload",
            json!({ "mime_type": "text/html", "bytes": 0 }),
            "mime_type bytes",
        ),
        (
            post.clone(),
            "/users/me/voice/upload",
            json!({ "mime_type": "audio/\r\nx: y", "bytes": 10_485_761 }),
            "bytes",
        ),
        (
            post.clone(),
            "/users/me/voice/upload",
            json!({ "mime_type": "audio/webm", "bytes": 1e300 }),
            "bytes",
        ),
        (post.clone(), "/users/me/voice/upload", json!({ "mime_type": "audio/webm", "bytes": -1 }), "bytes"),
        (delete.clone(), "/users/me", json!({}), "password"),
        (delete, "/users/me", json!({ "password": {} }), "password"),
        (post.clone(), "/activation/verify", json!({}), "code"),
        (post.clone(), "/activation/reset-password", json!({}), "email activation_code new_password"),
        (
            post.clone(),
            "/activation/reset-password",
            json!({ "email": "ada", "activation_code": "abc", "new_password": long(73) }),
            "email activation_code new_password",
        ),
    ]);
    for count in [json!(null), json!(0), json!(1001), json!(-1), json!(1.5), json!("5"), json!(u64::MAX)] {
        bodies.push((post.clone(), "/activation/codes", json!({ "count": count }), "count"));
    }
    for path in ["/thought", "/generate-thought"] {
        bodies.extend([
            (post.clone(), path, json!({}), "topic value"),
            (
                post.clone(),
                path,
                json!({ "topic": " ", "value": "", "language": "english" }),
                "topic value language",
            ),
            (
                post.clone(),
                path,
                json!({ "topic": long(101), "value": long(501), "language": 1 }),
                "topic value language",
            ),
        ]);
    }
    bodies.extend(performs());
    bodies
}

fn registrations() -> Vec<(Method, &'static str, Value, &'static str)> {
    let all = "username email password activationCode";
    let bodies = [
        json!({}),
        json!({ "username": 1, "email": [], "password": {}, "activationCode": null }),
        json!({ "username": "ab", "email": "nobody", "password": "1234567", "activationCode": "ABC" }),
        json!({
            "username": "x".repeat(33),
            "email": format!("{}@example.com", "x".repeat(65)),
            "password": "ä".repeat(37),
            "activationCode": "ABCDEFGHJK23",
        }),
        json!({ "username": "a@b", "email": "a@b@c.de", "password": "12345678\0", "activationCode": "ABCDEFGHJ-2" }),
        json!({ "username": "ädä", "email": "<a@example.com>", "password": "", "activationCode": "ABCDEFGHJÄ" }),
    ];
    bodies.map(|body| (Method::POST, "/auth/register", body, all)).into()
}

fn performs() -> Vec<(Method, &'static str, Value, &'static str)> {
    let long = |length: usize| "x".repeat(length);
    let bodies = [
        (json!({}), "routine_type value"),
        (json!({ "routine_type": "cards" }), "value"),
        (json!({ "value": "Queen of Hearts" }), "routine_type"),
        (json!({ "routine_type": "tarot", "value": "" }), "routine_type value"),
        (json!({ "routine_type": "Cards", "value": long(501) }), "routine_type value"),
        (json!({ "text": "" }), "text"),
        (json!({ "text": long(1001), "voice": "loud", "user_id": 7 }), "text voice user_id"),
        (json!({ "text": "one", "value": "two" }), "text"),
        (
            json!({ "text": "one", "settings_override": { "voice_stability": 101, "voice_language": "xx" } }),
            "settings_override.voice_stability settings_override.voice_language",
        ),
        (json!({ "text": "one", "settings_override": "loud" }), "settings_override"),
    ];
    bodies.map(|(body, fields)| (Method::POST, "/perform", body, fields)).into()
}

#[tokio::test]
async fn validation_does_not_repeat_a_refused_value() {
    let app = TestApp::new().await;
    let secret = "swordfish".repeat(20);
    let body = json!({ "username": secret, "email": secret, "password": secret, "activationCode": secret });
    let response = app.post("/auth/register", &body).await;
    assert_eq!(response.bad_fields().len(), 4);
    assert!(!String::from_utf8_lossy(&response.body).contains("swordfish"));
}

#[tokio::test]
async fn unknown_members_are_ignored() {
    let app = TestApp::new().await;
    let mut body = registration("ada", &app.code().await);
    body["role"] = json!("admin");
    body["_id"] = json!("000000000000000000000000");
    assert_eq!(app.post("/auth/register", &body).await.status, 201);

    let grace = app.performer("grace").await;
    let ignored = json!({ "role": "admin", "sessions": [], "surprise": { "deep": [1, 2, null] } });
    let calls = [
        (Method::POST, "/auth/login", json!({ "username": "grace", "password": PASSWORD })),
        (Method::PATCH, "/users/me", json!({ "username": "grace.hopper" })),
        (Method::PUT, "/users/me/settings", json!({ "voice_language": "de" })),
        (Method::POST, "/activation/verify", json!({ "code": "ABC" })),
        (Method::POST, "/thought", json!({ "topic": "a film", "value": "Fargo" })),
        (Method::POST, "/perform", json!({ "text": "Good morning." })),
    ];
    for (method, path, mut body) in calls {
        body.as_object_mut().unwrap().extend(ignored.as_object().unwrap().clone());
        let response = app.send_as(&grace, method, path, &body).await;
        assert_eq!(response.status, 200, "{path} {response:?}");
    }
    assert!(app.stored(&grace).await.get("role").is_none());
    assert!(app.stored(&grace).await.get("surprise").is_none());
}

#[tokio::test]
async fn unknown_paths_are_not_found() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let paths = [
        "/",
        "/auth",
        "/auth/register/",
        "/Perform",
        "/perform/x",
        "/users",
        "/users/me/voice/sample",
        "/.env",
        "/users//settings/x",
        "/_fake/state",
    ];
    for path in paths {
        app.get(path).await.assert_problem(404, "not_found");
        app.get_as(&ada, path).await.assert_problem(404, "not_found");
    }
    app.get_as(&ada, "/users/%ff/settings").await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn unknown_methods_are_refused_with_allow() {
    let app = TestApp::new().await;
    let mut methods: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for route in routes::all() {
        methods.entry(route.path).or_default().push(route.method.as_str());
    }
    for (path, known) in methods {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if known.contains(&method) {
                continue;
            }
            let path = path.replace("{user_id}", "me");
            let response = send(app.request(method.parse().unwrap(), &path, None)).await;
            response.assert_problem(405, "method_not_allowed");
            for known in &known {
                assert!(response.header("allow").contains(known), "{method} {path}: {:?}", response.headers);
            }
        }
    }
}

#[tokio::test]
async fn problems_come_as_plain_json_to_those_who_accept_only_that() {
    let app = TestApp::new().await;
    let plain = "application/json";
    let problem = "application/problem+json";
    for (accept, expected) in [
        ("application/json", plain),
        ("application/json, text/plain, */*", plain),
        ("Application/JSON;q=0.9", plain),
        ("application/problem+json", problem),
        ("application/json, application/problem+json", problem),
        ("*/*", problem),
        ("audio/mpeg", problem),
        ("text/html", problem),
    ] {
        let response = send(app.request(Method::GET, "/usage", None).header("accept", accept)).await;
        assert_eq!((response.status.as_u16(), response.header("content-type")), (401, expected), "{accept}");
        assert_eq!(response.json()["code"], "missing_token");
    }
}

#[tokio::test]
async fn request_id_is_unique_and_chosen_by_no_client() {
    let app = TestApp::new().await;
    let mut ids = Vec::new();
    for path in ["/health", "/health", "/usage", "/nowhere"] {
        let request = app.request(Method::GET, path, None).header("x-request-id", "chosen");
        ids.push(send(request).await.header("x-request-id").to_owned());
    }
    assert!(!ids.contains(&String::from("chosen")));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn panic_is_a_500_that_says_nothing_and_the_next_request_works() {
    let panics = get(async || -> &'static str { panic!("the {} of the show", "secret") });
    let late = get(async || -> &'static str {
        tokio::task::yield_now().await;
        panic!("the {} of the show", "secret")
    });
    let routes = Router::new().route("/", panics).route("/late", late).route("/well", get(async || "well"));
    let client = TestClient::router(&shared::http::with_common_layers(routes, &Env::default()).unwrap());
    for path in ["/", "/late"] {
        let response = send(client.request(Method::GET, path)).await;
        response.assert_problem(500, "internal_error");
        let whole = format!("{:?}{}", response.headers, String::from_utf8_lossy(&response.body));
        assert!(!whole.contains("secret") && !whole.contains("panic"), "{whole}");
    }
    let next = send(client.request(Method::GET, "/well")).await;
    assert_eq!((next.status.as_u16(), &next.body[..]), (200, b"well".as_slice()));
}

#[tokio::test]
async fn base64_body_may_be_as_long_as_the_largest_recording() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let audio = vec![0; shared::audio::MAX_BYTES];
    let body = json!({ "audio_base64": base64(&audio) });
    let response = app.post_as(&ada, "/users/me/voice", &body).await;
    response.assert_problem(422, "invalid_recording");
}
