//! How often the database is asked, counted on the wire: each round trip is time that somebody waits.

use http::Method;
use serde_json::{Value, json};
use tests::{
    fakes::{
        faults::Operation,
        mongodb_wire::{Command, Fault},
    },
    harness::{PASSWORD, SLOW, TestApp, WEBM, base64, registration, routes, send},
};

#[tokio::test]
async fn round_trips_of_every_route_are_as_few_as_listed() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.make_admin(&ada).await;
    let code = app.code().await;
    let grace = app.register("grace").await;
    let mut uncounted: Vec<String> = routes::all().iter().map(routes::Route::name).collect();
    let password = json!({ "current_password": PASSWORD, "new_password": PASSWORD });
    let reset = json!({
        "email": "grace@example.com", "activation_code": grace.code, "new_password": PASSWORD,
    });
    let upload = json!({ "mime_type": "audio/webm", "bytes": WEBM.len() });
    let thought = json!({ "topic": "a film", "value": "Fargo" });
    // The user, the counter of attempts, the session, and the counter again.
    let login = "delete find findAndModify update";
    // In an order in which each call finds what it needs.
    let calls: [(&str, Value, &str); 28] = [
        ("POST /auth/register", registration("edith", &code), "find find findAndModify insert update"),
        ("POST /auth/login", json!({ "username": "ada", "password": PASSWORD }), login),
        ("GET /auth/session", json!(null), "find"),
        ("GET /users/{user_id}", json!(null), "find"),
        ("PATCH /users/{user_id}", json!({ "username": "Ada" }), "findAndModify findAndModify"),
        ("PUT /users/{user_id}/password", password, "find findAndModify findAndModify"),
        ("GET /users/{user_id}/settings", json!(null), "find"),
        ("PUT /users/{user_id}/settings", json!({}), "findAndModify"),
        (
            "POST /users/{user_id}/voice",
            json!({ "audio_base64": base64(WEBM) }),
            "findAndModify findAndModify",
        ),
        ("POST /users/{user_id}/voice/upload", upload, "findAndModify"),
        ("GET /users/{user_id}/voice/meta", json!(null), "find"),
        ("GET /users/{user_id}/meta", json!(null), "find"),
        ("GET /usage", json!(null), "find"),
        ("GET /usage/provider", json!(null), "find"),
        ("GET /health", json!(null), ""),
        ("GET /openapi.json", json!(null), ""),
        ("POST /activation/verify", json!({ "code": code }), "find find findAndModify"),
        ("POST /activation/codes", json!({ "count": 1000 }), "find insert"),
        ("POST /activation/reset-password", reset, "findAndModify findAndModify"),
        ("POST /thought", thought.clone(), "findAndModify"),
        ("POST /generate-thought", thought, "findAndModify"),
        (
            "POST /perform",
            json!({ "routine_type": "movies", "value": "Fargo" }),
            // The lease, the slot, the clone noted twice, the slot freed, the lease settled.
            "findAndModify findAndModify update update update update",
        ),
        ("POST /perform", json!({ "text": "Hello.", "voice": "default" }), "findAndModify update"),
        ("DELETE /users/{user_id}/voice", json!(null), "find findAndModify"),
        ("POST /perform", json!({ "text": "Hello." }), "findAndModify"),
        ("POST /auth/refresh", json!({ "refresh_token": ada.refresh_token }), "findAndModify"),
        ("POST /auth/logout", json!(null), "findAndModify"),
        (
            "DELETE /users/{user_id}",
            json!({ "password": PASSWORD }),
            "find findAndModify findAndModify update",
        ),
    ];
    for (call, body, expected) in calls {
        let (method, path) = call.split_once(' ').unwrap();
        // The session that signs out is over after it.
        let user = if path == "/users/{user_id}" && method == "DELETE" {
            app.sign_in(&ada).await
        } else {
            ada.clone()
        };
        let method: Method = method.parse().unwrap();
        let request = app.request(method, &path.replace("{user_id}", "me"), Some(&user));
        app.wire().reset();
        let response = send(request.optional_json(&body)).await;
        assert!(response.status.is_success() || response.status == 409, "{call} {response:?}");
        // Sorted: some are sent side by side.
        let mut names: Vec<String> = app.wire().commands().into_iter().map(|command| command.name).collect();
        names.sort();
        assert_eq!(names.join(" "), expected, "{call}");
        uncounted.retain(|route| route != call);
    }
    assert_eq!(uncounted, [""; 0]);
}

#[tokio::test]
async fn login_makes_four_round_trips_and_no_more_if_it_fails() {
    let app = TestApp::new().await;
    app.register("ada").await;
    // The first unknown user of a process has it look for accounts that were not migrated.
    app.post("/auth/login", &json!({ "username": "nobody", "password": PASSWORD })).await;
    for (username, password, expected) in [
        ("ada", PASSWORD, "find findAndModify delete update"),
        ("ada", "not the password", "find findAndModify"),
        ("nobody", PASSWORD, "find findAndModify"),
    ] {
        app.wire().reset();
        app.post("/auth/login", &json!({ "username": username, "password": password })).await;
        let mut names: Vec<String> = app.wire().commands().into_iter().map(|command| command.name).collect();
        // The last two are sent side by side.
        names.get_mut(2..).unwrap_or_default().sort();
        assert_eq!(names.join(" "), expected, "{username} {password}");
    }
}

#[tokio::test]
async fn perform_makes_two_round_trips_before_the_voice() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    // The first one too: no index is made and nothing is looked up on the way.
    for _ in 0..2 {
        app.wire().reset();
        app.elevenlabs().requests().clear();
        assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
        let spans = app.elevenlabs().requests().spans();
        let create = spans.iter().find(|span| span.operation == Operation::Create).unwrap();
        let commands = app.wire().commands();
        let before: Vec<&Command> =
            commands.iter().filter(|command| command.started < create.started).collect();
        let asked: Vec<(&str, Option<&str>)> =
            before.iter().map(|command| (command.name.as_str(), command.collection.as_deref())).collect();
        assert_eq!(asked, [("findAndModify", Some("users")), ("findAndModify", Some("clone_slots"))]);
    }
}

#[tokio::test]
async fn clone_speaks_while_it_is_recorded() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.wire().inject(1, Some("update"), Some("users"), Fault::Delay(SLOW));
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
    let commands = app.wire().commands();
    let note = commands
        .iter()
        .rfind(|command| command.name == "update" && command.collection.as_deref() == Some("users"));
    let spans = app.elevenlabs().requests().spans();
    let speech = spans.iter().find(|span| span.operation == Operation::Synthesize).unwrap();
    assert!(speech.started < note.unwrap().ended.unwrap(), "the note was not waited for");
}

#[tokio::test]
async fn session_check_costs_no_round_trip_of_its_own() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    app.wire().reset();
    app.get_as(&ada, "/users/me/settings").await;
    assert_eq!(app.wire().commands().len(), 1);
    // A token that cannot be right is refused without asking.
    app.wire().reset();
    app.get("/users/me/settings").await.assert_problem(401, "missing_token");
    app.get_as(&ada, "/users/000000000000000000000000/settings").await.assert_problem(403, "forbidden");
    app.post_as(&ada, "/perform", &json!({})).await.assert_problem(422, "invalid_request");
    assert_eq!(app.wire().commands().len(), 0);
}
