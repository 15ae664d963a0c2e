//! Races and crashes around accounts: whoever comes first has it, and nothing is lost in between.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use http::Method;
use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use tests::{
    fakes::mongodb_wire::Fault,
    harness::{PASSWORD, Response, SLOW, TestApp, User, eventually, registration, send},
};

use tokio::time::sleep;

const CROWD: usize = 100;
const NEW_PASSWORD: &str = "seven purple umbrellas dancing";

#[tokio::test]
async fn register_race_of_a_hundred_on_one_code_creates_one_account() {
    let app = TestApp::new().await;
    let code = app.code().await;
    let bodies: Vec<Value> = (0..CROWD).map(|at| registration(&format!("user{at}"), &code)).collect();
    let responses = all_at_once(&app, &bodies).await;
    one_won(&responses, "activation_code_used");
    assert_eq!(accounts(&app).await, 1);
    assert!(!is_valid(&app, 60, &code).await);
    // A loser's name and address are free: all they lack is a code of their own.
    let loser = responses.iter().position(|response| response.status != 201).unwrap();
    app.register(&format!("user{loser}")).await;
}

#[tokio::test]
async fn register_race_of_a_hundred_on_one_username_uses_one_code() {
    let app = TestApp::new().await;
    let codes = codes(&app).await;
    let bodies: Vec<Value> = codes
        .iter()
        .enumerate()
        .map(|(at, code)| {
            // Upper and lower case are the same name.
            let name = if at % 2 == 0 { "highlander" } else { "HighLander" };
            let mut body = registration(name, code);
            body["email"] = json!(format!("user{at}@example.com"));
            body
        })
        .collect();
    let responses = all_at_once(&app, &bodies).await;
    one_won(&responses, "username_taken");
    only_the_winners_code_is_burnt(&app, &codes, &responses).await;
}

#[tokio::test]
async fn register_race_of_a_hundred_on_one_email_uses_one_code() {
    let app = TestApp::new().await;
    let codes = codes(&app).await;
    let bodies: Vec<Value> = codes
        .iter()
        .enumerate()
        .map(|(at, code)| {
            let mut body = registration(&format!("user{at}"), code);
            body["email"] = json!(if at % 2 == 0 { "one@example.com" } else { "ONE@Example.com" });
            body
        })
        .collect();
    let responses = all_at_once(&app, &bodies).await;
    one_won(&responses, "email_taken");
    only_the_winners_code_is_burnt(&app, &codes, &responses).await;
}

#[tokio::test]
async fn refresh_race_with_one_token_answers_all_and_keeps_the_session() {
    let app = TestApp::new().await;
    for round in 0..5 {
        let user = app.register(&format!("user{round}")).await;
        let other_device = login(&app, &user.username, PASSWORD).await;
        let body = json!({ "refresh_token": user.refresh_token });
        let responses = join_all((0..20).map(|_| app.post("/auth/refresh", &body))).await;
        for response in &responses {
            assert_eq!(response.status, 200, "{response:?}");
            let token = response.json()["access_token"].as_str().unwrap().to_owned();
            assert_eq!(session(&app, &token).await.status, 200);
        }
        let next = responses[round].json();
        let next = app.post("/auth/refresh", &json!({ "refresh_token": next["refresh_token"] })).await;
        assert_eq!(next.status, 200);
        // Now it is two generations old, and its session ends; the other device's has nothing to do with it.
        app.post("/auth/refresh", &body).await.assert_problem(401, "invalid_refresh_token");
        session(&app, &user.access_token).await.assert_problem(401, "invalid_token");
        let token = other_device.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(session(&app, &token).await.status, 200);
    }
}

#[tokio::test]
async fn login_that_checked_the_old_password_before_a_reset_fails_after_it() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    app.wire().reset();
    // The login has found the old password right, and its last write is on its way while the reset happens.
    app.wire().inject(1, Some("update"), Some("users"), Fault::Delay(SLOW));
    let slow = login(&app, "ada", PASSWORD);
    let reset = async {
        eventually("the login writes", async || {
            app.wire().commands().iter().any(|command| command.name == "update")
        })
        .await;
        assert_eq!(reset(&app, &ada).await.status, 204);
    };
    let (login, ()) = tokio::join!(slow, reset);
    login.assert_problem(401, "invalid_credentials");
    assert!(app.stored(&ada).await.get_array("sessions").unwrap().is_empty());
    session(&app, &ada.access_token).await.assert_problem(401, "invalid_token");
}

#[tokio::test]
async fn login_and_reset_race_leaves_no_session_of_the_old_password() {
    let app = TestApp::new().await;
    for round in 0_u64..12 {
        let user = app.register(&format!("user{round}")).await;
        let reset_later = async {
            // Each round a little later, so that the reset meets the logins in different places.
            sleep(Duration::from_millis(round)).await;
            reset(&app, &user).await
        };
        let logins = join_all((0..8).map(|_| login(&app, &user.username, PASSWORD)));
        let (logins, reset) = tokio::join!(logins, reset_later);
        assert_eq!(reset.status, 204);
        for response in &logins {
            match response.status.as_u16() {
                200 => {
                    let token = response.json()["access_token"].as_str().unwrap().to_owned();
                    session(&app, &token).await.assert_problem(401, "invalid_token");
                }
                _ => drop(response.assert_problem(401, "invalid_credentials")),
            }
        }
        assert!(app.stored(&user).await.get_array("sessions").unwrap().is_empty());
        login(&app, &user.username, PASSWORD).await.assert_problem(401, "invalid_credentials");
        assert_eq!(login(&app, &user.username, NEW_PASSWORD).await.status, 200);
    }
}

#[tokio::test]
async fn reset_race_uses_a_code_once() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let responses = join_all((0..10).map(|_| reset(&app, &ada))).await;
    let won = responses.iter().filter(|response| response.status == 204).count();
    assert_eq!(won, 1);
    for response in responses.iter().filter(|response| response.status != 204) {
        response.assert_problem(422, "invalid_activation_code");
    }
}

#[tokio::test]
async fn rename_race_to_one_name_has_one_winner() {
    let app = TestApp::new().await;
    let users = join_all((0..10).map(async |at| app.register(&format!("user{at}")).await)).await;
    for (member, wanted, code) in
        [("username", "star", "username_taken"), ("email", "star@example.com", "email_taken")]
    {
        let body = json!({ member: wanted, "current_password": PASSWORD });
        let rename = |user| app.send_as(user, Method::PATCH, "/users/me", &body);
        let responses = join_all(users.iter().map(rename)).await;
        assert_eq!(responses.iter().filter(|response| response.status == 200).count(), 1);
        for (user, response) in users.iter().zip(&responses) {
            let stored = app.stored(user).await;
            let key = stored.get_str(format!("{member}_key")).unwrap();
            if response.status == 200 {
                assert_eq!((stored.get_str(member).unwrap(), key), (wanted, wanted));
            } else {
                response.assert_problem(409, code);
                assert!(key.starts_with("user"), "{stored}");
            }
        }
    }
}

#[tokio::test]
async fn register_without_marking_the_code_makes_a_whole_account() {
    let app = TestApp::new().await;
    let code = app.code().await;
    // A driver tries again; here that helps nothing.
    app.wire().inject(9, Some("update"), Some("activation_codes"), Fault::CutBefore);
    let response = app.post("/auth/register", &registration("ada", &code)).await;
    assert_eq!(response.status, 201, "{response:?}");
    app.wire().reset();

    let codes = app.backend.database.collection::<Document>("activation_codes");
    let marked = async || {
        let document = codes.find_one(doc! { "_id": &code }).await.unwrap().unwrap();
        document.get_object_id("used_by").is_ok()
    };
    assert!(!marked().await, "the mark was made, so nothing was tested");
    assert!(!is_valid(&app, 2, &code).await);
    let again = app.post("/auth/register", &registration("eve", &code)).await;
    again.assert_problem(409, "activation_code_used");
    let response = login(&app, "ada", PASSWORD).await;
    assert_eq!(response.status, 200);

    // Nor is the code good again once the account is gone.
    let token = response.json()["access_token"].as_str().unwrap().to_owned();
    let request = app.request(Method::DELETE, "/users/me", None).bearer_auth(token);
    assert_eq!(send(request.json(&json!({ "password": PASSWORD }))).await.status, 204);
    assert!(marked().await);
    assert!(!is_valid(&app, 2, &code).await);
    let again = app.post("/auth/register", &registration("eve", &code)).await;
    again.assert_problem(409, "activation_code_used");
}

#[tokio::test]
async fn register_with_a_lost_reply_fails_when_repeated_and_login_works() {
    let app = TestApp::new().await;
    let code = app.code().await;
    // The account is stored and nobody hears of it: both of the driver's tries lose their response.
    app.wire().inject(2, Some("insert"), Some("users"), Fault::CutAfter);
    let first = app.post("/auth/register", &registration("ada", &code)).await;
    app.wire().reset();
    assert_ne!(first.status, 201);
    assert_eq!(accounts(&app).await, 1);
    assert!(!is_valid(&app, 2, &code).await);
    assert_eq!(app.post("/auth/register", &registration("ada", &code)).await.status, 409);
    assert_eq!(login(&app, "ada", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn register_that_never_reached_the_database_leaves_its_code_unused() {
    let app = TestApp::new().await;
    let code = app.code().await;
    app.wire().inject(2, Some("insert"), Some("users"), Fault::CutBefore);
    let body = registration("ada", &code);
    app.post("/auth/register", &body).await.assert_problem(503, "service_unavailable");
    app.wire().reset();
    assert_eq!(accounts(&app).await, 0);
    assert!(is_valid(&app, 2, &code).await);
    assert_eq!(app.post("/auth/register", &body).await.status, 201);
}

/// Registers all at once. They come from two addresses, because one may not try so many codes.
async fn all_at_once(app: &TestApp, bodies: &[Value]) -> Vec<Response> {
    let clients = [app.client_from(40), app.client_from(41)];
    let register = |(at, body): (usize, &Value)| {
        send(clients[at % 2].request(Method::POST, "/auth/register").json(body))
    };
    join_all(bodies.iter().enumerate().map(register)).await
}

fn one_won(responses: &[Response], code: &str) {
    assert_eq!(responses.len(), CROWD);
    assert_eq!(responses.iter().filter(|response| response.status == 201).count(), 1);
    for response in responses.iter().filter(|response| response.status != 201) {
        response.assert_problem(409, code);
    }
}

async fn only_the_winners_code_is_burnt(app: &TestApp, codes: &[String], responses: &[Response]) {
    assert_eq!(accounts(app).await, 1);
    let mut made = BTreeSet::new();
    for (at, (code, response)) in codes.iter().zip(responses).enumerate() {
        assert_eq!(is_valid(app, 60 + at / 50, code).await, response.status != 201);
        if response.status != 201 && made.len() < 3 {
            // As good as it looks.
            let name = format!("later{at}");
            let body = registration(&name, code);
            assert_eq!(app.post("/auth/register", &body).await.status, 201);
            made.insert(name);
        }
    }
}

async fn codes(app: &TestApp) -> Vec<String> {
    join_all((0..CROWD).map(|_| app.code())).await
}

async fn accounts(app: &TestApp) -> u64 {
    let users = app.backend.database.collection::<Document>("users");
    users.count_documents(doc! {}).await.unwrap()
}

/// Whether a code can still make an account, asked from an address of its own.
async fn is_valid(app: &TestApp, host: usize, code: &str) -> bool {
    let request = app.client_from(host).request(Method::POST, "/activation/verify");
    let response = send(request.json(&json!({ "code": code }))).await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["valid"].as_bool().unwrap()
}

async fn login(app: &TestApp, username: &str, password: &str) -> Response {
    app.post("/auth/login", &json!({ "username": username, "password": password })).await
}

async fn reset(app: &TestApp, user: &User) -> Response {
    let body = json!({
        "email": format!("{}@example.com", user.username),
        "activation_code": user.code,
        "new_password": NEW_PASSWORD,
    });
    app.post("/activation/reset-password", &body).await
}

async fn session(app: &TestApp, token: &str) -> Response {
    send(app.request(Method::GET, "/auth/session", None).bearer_auth(token)).await
}
