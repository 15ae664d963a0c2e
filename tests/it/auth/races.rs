//! Races and crashes around accounts: whoever comes first has it, and nothing is lost in between.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use http::Method;
use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use tests::fakes::mongodb_wire::Fault;
use tokio::time::sleep;

use crate::test_app::{Answer, PASSWORD, TestApp, User, http_from, registration, send};

const CROWD: usize = 100;
const NEW_PASSWORD: &str = "seven purple umbrellas dancing";

#[tokio::test]
async fn a_hundred_registrations_with_one_code_make_one_account_and_the_losers_keep_their_names() {
    let world = TestApp::new().await;
    let code = world.code().await;
    let bodies: Vec<Value> = (0..CROWD).map(|at| registration(&format!("user{at}"), &code)).collect();
    let answers = all_at_once(&world, &bodies).await;
    one_won(&answers, "activation_code_used");
    assert_eq!(accounts(&world).await, 1);
    assert!(!is_valid(&world, 60, &code).await);
    // A loser's name and address are free: all they lack is a code of their own.
    let loser = answers.iter().position(|answer| answer.status != 201).unwrap();
    world.register(&format!("user{loser}")).await;
}

#[tokio::test]
async fn a_hundred_registrations_with_one_username_make_one_account_and_burn_one_code() {
    let world = TestApp::new().await;
    let codes = codes(&world).await;
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
    let answers = all_at_once(&world, &bodies).await;
    one_won(&answers, "username_taken");
    only_the_winners_code_is_burnt(&world, &codes, &answers).await;
}

#[tokio::test]
async fn a_hundred_registrations_with_one_email_make_one_account_and_burn_one_code() {
    let world = TestApp::new().await;
    let codes = codes(&world).await;
    let bodies: Vec<Value> = codes
        .iter()
        .enumerate()
        .map(|(at, code)| {
            let mut body = registration(&format!("user{at}"), code);
            body["email"] = json!(if at % 2 == 0 { "one@example.com" } else { "ONE@Example.com" });
            body
        })
        .collect();
    let answers = all_at_once(&world, &bodies).await;
    one_won(&answers, "email_taken");
    only_the_winners_code_is_burnt(&world, &codes, &answers).await;
}

#[tokio::test]
async fn of_parallel_refreshes_with_one_token_one_wins_and_the_session_ends() {
    let world = TestApp::new().await;
    for round in 0..5 {
        let user = world.register(&format!("user{round}")).await;
        let other_device = login(&world, &user.username, PASSWORD).await;
        let body = json!({ "refresh_token": user.refresh_token });
        let answers = join_all((0..20).map(|_| world.post("/auth/refresh", &body))).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!((won.len(), lost.len()), (1, 19));
        for answer in lost {
            answer.assert_problem(401, "invalid_refresh_token");
        }
        let next = won[0].json();
        let again = world.post("/auth/refresh", &json!({ "refresh_token": next["refresh_token"] })).await;
        again.assert_problem(401, "invalid_refresh_token");
        for token in [&user.access_token, next["access_token"].as_str().unwrap()] {
            session(&world, token).await.assert_problem(401, "invalid_token");
        }
        // Only this session: the other device's has nothing to do with it.
        let token = other_device.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(session(&world, &token).await.status, 200);
    }
}

#[tokio::test]
async fn a_login_that_checked_the_old_password_before_a_reset_does_not_sign_in_after_it() {
    let world = TestApp::new().await;
    let ada = world.register("ada").await;
    world.wire().reset();
    // The login has found the old password right, and its last write is on its way while the reset happens.
    world.wire().fault(1, Some("update"), Some("users"), Fault::Delay(Duration::from_millis(400)));
    let slow = login(&world, "ada", PASSWORD);
    let reset = async {
        while !world.wire().commands().iter().any(|command| command.name == "update") {
            sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(reset(&world, &ada).await.status, 204);
    };
    let (login, ()) = tokio::join!(slow, reset);
    login.assert_problem(401, "invalid_credentials");
    assert!(world.stored(&ada).await.get_array("sessions").unwrap().is_empty());
    session(&world, &ada.access_token).await.assert_problem(401, "invalid_token");
}

#[tokio::test]
async fn however_logins_and_a_reset_race_no_session_of_the_old_password_survives() {
    let world = TestApp::new().await;
    for round in 0_u64..12 {
        let user = world.register(&format!("user{round}")).await;
        let reset_later = async {
            sleep(Duration::from_millis(round)).await;
            reset(&world, &user).await
        };
        let logins = join_all((0..8).map(|_| login(&world, &user.username, PASSWORD)));
        let (logins, reset) = tokio::join!(logins, reset_later);
        assert_eq!(reset.status, 204);
        for answer in &logins {
            match answer.status.as_u16() {
                200 => {
                    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
                    session(&world, &token).await.assert_problem(401, "invalid_token");
                }
                _ => drop(answer.assert_problem(401, "invalid_credentials")),
            }
        }
        assert!(world.stored(&user).await.get_array("sessions").unwrap().is_empty());
        login(&world, &user.username, PASSWORD).await.assert_problem(401, "invalid_credentials");
        assert_eq!(login(&world, &user.username, NEW_PASSWORD).await.status, 200);
    }
}

#[tokio::test]
async fn a_code_resets_once_however_many_resets_race() {
    let world = TestApp::new().await;
    let ada = world.register("ada").await;
    let answers = join_all((0..10).map(|_| reset(&world, &ada))).await;
    let won = answers.iter().filter(|answer| answer.status == 204).count();
    assert_eq!(won, 1);
    for answer in answers.iter().filter(|answer| answer.status != 204) {
        answer.assert_problem(422, "invalid_activation_code");
    }
}

#[tokio::test]
async fn of_parallel_renames_to_one_name_one_wins_and_the_others_stay_who_they_were() {
    let world = TestApp::new().await;
    let users = join_all((0..10).map(async |at| world.register(&format!("user{at}")).await)).await;
    for (member, wanted, code) in
        [("username", "star", "username_taken"), ("email", "star@example.com", "email_taken")]
    {
        let body = json!({ member: wanted });
        let rename = |user| world.send_as(user, Method::PATCH, "/users/me", &body);
        let answers = join_all(users.iter().map(rename)).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        for (user, answer) in users.iter().zip(&answers) {
            let stored = world.stored(user).await;
            let key = stored.get_str(format!("{member}_key")).unwrap();
            if answer.status == 200 {
                assert_eq!((stored.get_str(member).unwrap(), key), (wanted, wanted));
            } else {
                answer.assert_problem(409, code);
                assert!(key.starts_with("user"), "{stored}");
            }
        }
    }
}

#[tokio::test]
async fn an_account_whose_code_could_not_be_marked_is_whole_and_its_code_is_used() {
    let world = TestApp::new().await;
    let code = world.code().await;
    // A driver tries again; here that helps nothing.
    world.wire().fault(9, Some("update"), Some("activation_codes"), Fault::CutBefore);
    let answer = world.post("/auth/register", &registration("ada", &code)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    world.wire().reset();

    let codes = world.backend.database.collection::<Document>("activation_codes");
    let marked = async || {
        let document = codes.find_one(doc! { "_id": &code }).await.unwrap().unwrap();
        document.get_object_id("used_by").is_ok()
    };
    assert!(!marked().await, "the mark was made, so nothing was tested");
    assert!(!is_valid(&world, 2, &code).await);
    let again = world.post("/auth/register", &registration("eve", &code)).await;
    again.assert_problem(409, "activation_code_used");
    let answer = login(&world, "ada", PASSWORD).await;
    assert_eq!(answer.status, 200);

    // Nor is the code good again once the account is gone.
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let request = world.request(Method::DELETE, "/users/me", None).bearer_auth(token);
    assert_eq!(send(request.json(&json!({ "password": PASSWORD }))).await.status, 204);
    assert!(marked().await);
    assert!(!is_valid(&world, 2, &code).await);
    let again = world.post("/auth/register", &registration("eve", &code)).await;
    again.assert_problem(409, "activation_code_used");
}

#[tokio::test]
async fn a_registration_whose_answer_is_lost_is_repeated_in_vain_and_a_login_works() {
    let world = TestApp::new().await;
    let code = world.code().await;
    // The account is stored and nobody hears of it: both of the driver's tries lose their answer.
    world.wire().fault(2, Some("insert"), Some("users"), Fault::CutAfter);
    let first = world.post("/auth/register", &registration("ada", &code)).await;
    world.wire().reset();
    assert_ne!(first.status, 201);
    assert_eq!(accounts(&world).await, 1);
    assert!(!is_valid(&world, 2, &code).await);
    assert_eq!(world.post("/auth/register", &registration("ada", &code)).await.status, 409);
    assert_eq!(login(&world, "ada", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_registration_that_never_reached_the_database_leaves_its_code_unused() {
    let world = TestApp::new().await;
    let code = world.code().await;
    world.wire().fault(2, Some("insert"), Some("users"), Fault::CutBefore);
    let body = registration("ada", &code);
    world.post("/auth/register", &body).await.assert_problem(503, "service_unavailable");
    world.wire().reset();
    assert_eq!(accounts(&world).await, 0);
    assert!(is_valid(&world, 2, &code).await);
    assert_eq!(world.post("/auth/register", &body).await.status, 201);
}

/// Registers all at once. They come from two addresses, because one may not try so many codes.
async fn all_at_once(world: &TestApp, bodies: &[Value]) -> Vec<Answer> {
    let clients = [http_from(40), http_from(41)];
    let register = |(at, body)| {
        let client: &reqwest::Client = &clients[at % 2];
        send(client.post(format!("{}/auth/register", world.base)).json(body))
    };
    join_all(bodies.iter().enumerate().map(register)).await
}

fn one_won(answers: &[Answer], code: &str) {
    assert_eq!(answers.len(), CROWD);
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.assert_problem(409, code);
    }
}

async fn only_the_winners_code_is_burnt(world: &TestApp, codes: &[String], answers: &[Answer]) {
    assert_eq!(accounts(world).await, 1);
    let mut made = BTreeSet::new();
    for (at, (code, answer)) in codes.iter().zip(answers).enumerate() {
        assert_eq!(is_valid(world, 60 + at / 50, code).await, answer.status != 201);
        if answer.status != 201 && made.len() < 3 {
            // As good as it looks.
            let name = format!("later{at}");
            let body = registration(&name, code);
            assert_eq!(world.post("/auth/register", &body).await.status, 201);
            made.insert(name);
        }
    }
}

async fn codes(world: &TestApp) -> Vec<String> {
    join_all((0..CROWD).map(|_| world.code())).await
}

async fn accounts(world: &TestApp) -> u64 {
    let users = world.backend.database.collection::<Document>("users");
    users.count_documents(doc! {}).await.unwrap()
}

/// Whether a code can still make an account, asked from an address of its own.
async fn is_valid(world: &TestApp, host: usize, code: &str) -> bool {
    let request = http_from(host).post(format!("{}/activation/verify", world.base));
    let answer = send(request.json(&json!({ "code": code }))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["valid"].as_bool().unwrap()
}

async fn login(world: &TestApp, username: &str, password: &str) -> Answer {
    world.post("/auth/login", &json!({ "username": username, "password": password })).await
}

async fn reset(world: &TestApp, user: &User) -> Answer {
    let body = json!({
        "email": format!("{}@example.com", user.username),
        "activation_code": user.code,
        "new_password": NEW_PASSWORD,
    });
    world.post("/activation/reset-password", &body).await
}

async fn session(world: &TestApp, token: &str) -> Answer {
    send(world.request(Method::GET, "/auth/session", None).bearer_auth(token)).await
}
