//! Five users at each other's doors: by ids in paths and bodies, by upload keys, by idempotency keys. Nothing of
//! another's is read or changed.

use http::Method;
use serde_json::{Value, json};
use tests::harness::{Response, TestApp, User, WEBM, routes, send};

use crate::db_snapshot::Stored;

#[tokio::test]
async fn isolation_by_ids_in_paths() {
    let app = TestApp::new().await;
    let users = five(&app).await;
    let before = Stored::of(&app).await;
    for caller in &users {
        for other in users.iter().filter(|other| other.id != caller.id) {
            for route in routes::closed().filter(|route| route.names_user()) {
                for id in [&other.id, &other.id.to_uppercase(), &other.username] {
                    let path = route.path_for(id);
                    let response = ask(&app, caller, &route.method, &path, &route.body(caller)).await;
                    assert_eq!(response.status, 403, "{} {path}: {response:?}", route.method);
                    response.assert_problem(403, "forbidden");
                    tells_nothing_of(other, &response);
                }
            }
            // A recording sent as it is takes another way into the same handler.
            let path = format!("/users/{}/voice", other.id);
            let request = app.request(Method::POST, &path, Some(caller)).header("content-type", "audio/webm");
            send(request.body(WEBM)).await.assert_problem(403, "forbidden");
            let perform = json!({ "text": "Good morning.", "user_id": other.id });
            app.post_as(caller, "/perform", &perform).await.assert_problem(403, "forbidden");
        }
    }
    assert_eq!(Stored::of(&app).await, before);
    assert!(app.elevenlabs().state().created.is_empty());
}

#[tokio::test]
async fn isolation_of_every_spelling_of_me() {
    let app = TestApp::new().await;
    let users = five(&app).await;
    let [caller, other, ..] = users.as_slice() else { unreachable!("five users") };
    let before = Stored::of(&app).await;
    let spellings = [
        String::from("ME"),
        String::from("Me"),
        String::from("%6d%65%00"),
        String::from("me%20"),
        String::from("*"),
        String::from("000000000000000000000000"),
        String::from("%7B%22$ne%22:null%7D"),
        format!("{}%00", caller.id),
        format!("{},{}", caller.id, other.id),
        format!("me%2F..%2F{}", other.id),
        format!("me%2f{}", other.id),
        format!("..%2fusers%2f{}", other.id),
    ];
    for spelling in spellings {
        for route in routes::closed().filter(|route| route.names_user()) {
            let path = route.path_for(&spelling);
            let response = ask(&app, caller, &route.method, &path, &route.body(caller)).await;
            assert_eq!(response.status, 403, "{} {path}: {response:?}", route.method);
        }
    }
    assert_eq!(Stored::of(&app).await, before);
    // The caller's own id, however it is written, and `me`, are the caller.
    for id in ["me", "%6d%65", &caller.id, &caller.id.to_uppercase()] {
        let response = app.get_as(caller, &format!("/users/{id}")).await;
        assert_eq!(response.json()["user_id"], caller.id.as_str(), "{id}");
    }
}

#[tokio::test]
async fn isolation_by_ids_in_bodies() {
    let app = TestApp::new().await;
    let users = five(&app).await;
    let [caller, other, ..] = users.as_slice() else { unreachable!("five users") };
    let theirs = app.stored(other).await;
    for (method, path, body) in [
        (Method::PATCH, "/users/me", json!({ "username": "changed" })),
        (Method::PUT, "/users/me/settings", json!({ "voice_language": "fr" })),
        (Method::POST, "/users/me/voice/upload", json!({ "mime_type": "audio/webm", "bytes": 9000 })),
        (Method::POST, "/thought", json!({ "topic": "cards", "value": "Queen of Hearts" })),
    ] {
        let mut body = body;
        for member in ["user_id", "userId", "_id", "id", "sub"] {
            body[member] = json!(other.id);
        }
        let response = ask(&app, caller, &method, path, &body).await;
        assert!(response.status.is_success(), "{method} {path}: {response:?}");
        tells_nothing_of(other, &response);
    }
    assert_eq!(app.stored(other).await, theirs);
    assert_eq!(app.stored(caller).await.get_str("username").unwrap(), "changed");

    // What a user may say about themselves is a name and an address, and nothing else.
    let grab = json!({
        "role": "admin", "sessions": [], "usage": { "chars": -9999 }, "username": "grabbed",
        "$set": { "role": "admin" }, "password_hash": "x", "activation_code": other.code,
    });
    assert_eq!(app.send_as(caller, Method::PATCH, "/users/me", &grab).await.status, 200);
    let own = app.stored(caller).await;
    assert!(own.get("role").is_none() && own.get("$set").is_none(), "{own}");
    assert_eq!(own.get_str("activation_code").unwrap(), caller.code);
    app.post_as(caller, "/activation/codes", &json!({ "count": 1 })).await.assert_problem(403, "forbidden");
    app.get_as(caller, "/usage/provider").await.assert_problem(403, "forbidden");
}

#[tokio::test]
async fn isolation_of_uploads() {
    let app = TestApp::new().await;
    let users = five(&app).await;
    let mut keys = Vec::new();
    for user in &users {
        let offer = json!({ "mime_type": "audio/webm", "bytes": WEBM.len() });
        let offer = app.post_as(user, "/users/me/voice/upload", &offer).await.json();
        let mut put = app.http.put(offer["upload_url"].as_str().unwrap()).body(WEBM);
        for (name, value) in offer["headers"].as_object().unwrap() {
            put = put.header(name, value.as_str().unwrap());
        }
        assert_eq!(put.send().await.expect("S3 responds").status(), 200);
        keys.push(offer["key"].as_str().unwrap().to_owned());
    }
    let before = Stored::of(&app).await;
    for (at, caller) in users.iter().enumerate() {
        for other in (0..users.len()).filter(|other| *other != at) {
            let tries = [
                keys[other].clone(),
                format!("/{}", keys[other]),
                format!("{}/../{}", keys[at], keys[other]),
                format!("recordings/{}", users[other].id),
                format!("replays/{}", users[other].id),
            ];
            for key in tries {
                let response = app.post_as(caller, "/users/me/voice", &json!({ "key": key })).await;
                let problem = response.assert_problem(422, "invalid_request");
                assert_eq!(problem["errors"][0]["field"], "key");
            }
        }
    }
    assert_eq!(Stored::of(&app).await, before);
    // Their own is theirs.
    for (user, key) in users.iter().zip(keys) {
        assert_eq!(app.post_as(user, "/users/me/voice", &json!({ "key": key })).await.status, 200);
    }
}

#[tokio::test]
async fn isolation_of_idempotency_keys() {
    let app = TestApp::new().await;
    let users = five(&app).await;
    for user in &users {
        assert_eq!(app.upload(user, WEBM).await.status, 200);
    }
    let body = json!({ "text": "Good morning, I had a dream." });
    let mut responses = Vec::new();
    for user in &users {
        let request = app.request(Method::POST, "/perform", Some(user)).header("idempotency-key", "the-same");
        let response = send(request.json(&body)).await;
        assert_eq!(response.status, 200, "{response:?}");
        responses.push(response.json()["request_id"].as_str().unwrap().to_owned());
    }
    responses.sort();
    responses.dedup();
    assert_eq!(responses.len(), users.len());
    assert_eq!(app.elevenlabs().state().created.len(), users.len());
    for user in &users {
        assert_eq!(app.char_count(user).await, 14);
    }
}

/// Five users: with and without a recording, with a pending upload, with settings of their own.
async fn five(app: &TestApp) -> Vec<User> {
    let mut users = Vec::new();
    for (at, name) in
        ["ada-lovelace", "bob-hope", "carol-king", "dan-brown", "eve-online"].into_iter().enumerate()
    {
        let user = app.register(name).await;
        if at % 2 == 0 {
            assert_eq!(app.upload(&user, WEBM).await.status, 200);
        } else {
            let settings =
                json!({ "voice_language": "it", "voice_note_name": format!("the note of {name}") });
            assert_eq!(app.send_as(&user, Method::PUT, "/users/me/settings", &settings).await.status, 200);
            let offer = json!({ "mime_type": "audio/webm", "bytes": 9000 });
            assert_eq!(app.post_as(&user, "/users/me/voice/upload", &offer).await.status, 201);
        }
        users.push(user);
    }
    users
}

async fn ask(app: &TestApp, caller: &User, method: &Method, path: &str, body: &Value) -> Response {
    let request = app.request(method.clone(), path, Some(caller));
    send(request.optional_json(body)).await
}

fn tells_nothing_of(user: &User, response: &Response) {
    let text = format!("{:?} {}", response.headers, String::from_utf8_lossy(&response.body));
    for word in [&user.username, &user.id, &user.code, &user.access_token, &user.refresh_token] {
        assert!(!text.contains(word.as_str()), "{word}: {text}");
    }
}
