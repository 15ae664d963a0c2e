//! Guessing passwords and codes: slowed for the guesser, unseen by everybody else, and told nothing.
//!
//! Guessers come from addresses of their own, 127.0.0.2 and up; the owner's is 127.0.0.1.

use std::time::{Duration, Instant};

use futures::future::join_all;
use http::Method;
use mongodb::bson::{Binary, Document, doc, spec::BinarySubtype};
use serde_json::{Value, json};
use shared::clock::Clock;
use tests::harness::{PASSWORD, Response, Setup, TestApp, User, registration, send};

const WRONG: &str = "not the password at all";

#[tokio::test]
async fn login_checks_ten_guesses_of_a_client_at_once_and_one_a_second_after_them() {
    let app = TestApp::new().await;
    app.register("ada").await;
    for at in 0..10 {
        // Both names of the account count together.
        let name = if at % 2 == 0 { "ada" } else { "ada@example.com" };
        guess(&app, 2, name, WRONG).await.assert_problem(401, "invalid_credentials");
    }
    for name in ["ada", "ada@example.com"] {
        let response = guess(&app, 2, name, WRONG).await;
        response.assert_problem(429, "too_many_attempts");
        assert_eq!(response.header("retry-after"), "1");
        // Not even the right one.
        guess(&app, 2, name, PASSWORD).await.assert_problem(429, "too_many_attempts");
    }
    for _ in 0..20 {
        app.clock.advance(Duration::from_secs(1));
        guess(&app, 2, "ada", WRONG).await.assert_problem(401, "invalid_credentials");
        guess(&app, 2, "ada", WRONG).await.assert_problem(429, "too_many_attempts");
    }
    // The right one is judged in the end.
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(guess(&app, 2, "ada", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn login_checks_ten_of_a_hundred_parallel_guesses() {
    let app = TestApp::new().await;
    app.register("ada").await;
    let client = app.client_from(2);
    let body = json!({ "username": "ada", "password": WRONG });
    let guess = |_| send(client.request(Method::POST, "/auth/login").json(&body));
    let responses = join_all((0..100).map(guess)).await;
    let judged = responses.iter().filter(|response| response.status == 401).count();
    assert!((1..=10).contains(&judged), "{judged}");
    for response in responses.iter().filter(|response| response.status != 401) {
        response.assert_problem(429, "too_many_attempts");
    }
    // What was not judged does not count against the owner, wherever they are.
    assert_eq!(guess_from_afar(&app, 3).await.status, 200);
}

#[tokio::test]
async fn login_limit_counts_all_spellings_of_a_name() {
    let app = TestApp::new().await;
    app.register("ada").await;
    let spellings =
        ["ada", "ADA", " ada", "ada ", "Ada  ", "\tada", "ada\n", "\u{a0}ada", "aDa\u{2003}", " \u{3000}ada"];
    let mut judged = 0;
    for _ in 0..3 {
        for spelling in spellings {
            judged += usize::from(guess(&app, 2, spelling, WRONG).await.status == 401);
        }
    }
    assert_eq!(judged, 10);
}

#[tokio::test]
async fn login_guesses_from_elsewhere_do_not_refuse_the_owner_at_a_new_place() {
    let app = TestApp::new().await;
    app.register("ada").await;
    for host in 2..=6 {
        for _ in 0..12 {
            guess(&app, host, "ada", WRONG).await;
        }
        guess(&app, host, "ada", WRONG).await.assert_problem(429, "too_many_attempts");
    }
    assert_eq!(guess_from_afar(&app, 71).await.status, 200);
}

#[tokio::test]
async fn login_guesses_on_the_same_network_do_not_refuse_the_owner_at_home() {
    let app = TestApp::new().await;
    app.register("ada").await;
    let from_device = async |device: &str, password: &str| {
        let request = app.client_from(2).request(Method::POST, "/auth/login").header("user-agent", device);
        send(request.json(&json!({ "username": "ada", "password": password }))).await
    };
    assert_eq!(from_device("Ada's phone", PASSWORD).await.status, 200);
    for _ in 0..30 {
        from_device("a guest's laptop", WRONG).await;
    }
    from_device("a guest's laptop", PASSWORD).await.assert_problem(429, "too_many_attempts");
    from_device("Ada's new laptop", PASSWORD).await.assert_problem(429, "too_many_attempts");
    for _ in 0..3 {
        assert_eq!(from_device("Ada's phone", PASSWORD).await.status, 200);
    }
    // A device that claims to be hers is no better off than others.
    for _ in 0..10 {
        from_device("Ada's phone", WRONG).await.assert_problem(401, "invalid_credentials");
    }
    from_device("Ada's phone", WRONG).await.assert_problem(429, "too_many_attempts");
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(from_device("Ada's new laptop", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn login_guesses_at_nobody_do_not_refuse_the_others_at_that_address() {
    let app = TestApp::new().await;
    app.register("ada").await;
    for at in 0..120 {
        let response = guess(&app, 2, &format!("user{at}"), WRONG).await;
        response.assert_problem(401, "invalid_credentials");
    }
    assert_eq!(guess(&app, 2, "ada", PASSWORD).await.status, 200);
    // Guesses at one name that is nobody's are slowed as those at an account are.
    let mut judged = 0;
    for _ in 0..20 {
        judged += usize::from(guess(&app, 2, "nobody", WRONG).await.status == 401);
    }
    assert_eq!(judged, 10);
}

#[tokio::test]
async fn login_limit_window_ends_and_its_counters_expire() {
    let app = TestApp::new().await;
    app.register("ada").await;
    for _ in 0..12 {
        guess(&app, 2, "ada", WRONG).await;
    }
    guess(&app, 2, "ada", PASSWORD).await.assert_problem(429, "too_many_attempts");
    let attempts = app.backend.database.collection::<Document>("attempts");
    let kept = attempts.find_one(doc! { "count": 10 }).await.unwrap().unwrap();
    let left = kept.get_datetime("expires_at").unwrap().timestamp_millis()
        - Clock::system().now().timestamp_millis();
    assert!((0..=15 * 60 * 1000).contains(&left), "{left}");
    // Who guessed at whom is not to be read from the store.
    let id = kept.get_str("_id").unwrap();
    assert!(id.len() == 64 && id.chars().all(|digit| digit.is_ascii_hexdigit()), "{kept}");
    let others = kept.to_string().replace(id, "");
    assert!(!others.contains("ada") && !others.contains("127.0"), "{kept}");
    let indexes = attempts.list_index_names().await.unwrap();
    assert!(indexes.contains(&String::from("expires_at")), "{indexes:?}");

    app.clock.advance(Duration::from_mins(15));
    for _ in 0..10 {
        guess(&app, 2, "ada", WRONG).await.assert_problem(401, "invalid_credentials");
    }
    guess(&app, 2, "ada", WRONG).await.assert_problem(429, "too_many_attempts");
}

#[tokio::test]
async fn login_with_the_right_password_resets_the_count() {
    let app = TestApp::new().await;
    app.register("ada").await;
    for _ in 0..12 {
        for _ in 0..9 {
            guess(&app, 2, "ada", WRONG).await.assert_problem(401, "invalid_credentials");
        }
        assert_eq!(guess(&app, 2, "ada", PASSWORD).await.status, 200);
    }
}

#[tokio::test]
async fn login_in_between_does_not_reset_guesses_at_other_accounts() {
    let app = TestApp::new().await;
    app.register("ada").await;
    app.register("eve").await;
    let mut judged = 0;
    for _ in 0..15 {
        judged += usize::from(guess(&app, 2, "ada", WRONG).await.status == 401);
        assert_eq!(guess(&app, 2, "eve", PASSWORD).await.status, 200);
    }
    assert_eq!(judged, 10);
}

#[tokio::test]
async fn activation_code_guesses_are_limited() {
    let app = TestApp::new().await;
    let code = app.code().await;
    let client = app.client_from(2);
    let verify = async |code: &str| {
        send(client.request(Method::POST, "/activation/verify").json(&json!({ "code": code }))).await
    };
    for at in 0..50 {
        assert_eq!(verify(&format!("ABCDEFGH{at:03}")).await.json()["valid"], false);
        let body = registration("ada", &format!("ABCDEFGH{at:03}"));
        let response = send(client.request(Method::POST, "/auth/register").json(&body)).await;
        response.assert_problem(422, "invalid_activation_code");
    }
    verify(&code).await.assert_problem(429, "too_many_attempts");
    let body = registration("ada", &code);
    let response = send(client.request(Method::POST, "/auth/register").json(&body)).await;
    response.assert_problem(429, "too_many_attempts");
    assert_eq!(app.post("/activation/verify", &json!({ "code": code })).await.json()["valid"], true);
    // A right code is judged in the end, there too.
    app.clock.advance(Duration::from_secs(1));
    let response = send(client.request(Method::POST, "/auth/register").json(&body)).await;
    assert_eq!(response.status, 201, "{response:?}");
}

#[tokio::test]
async fn registration_tells_ten_times_which_addresses_are_taken() {
    let app = TestApp::new().await;
    app.register("ada").await;
    let code = app.code().await;
    let mut body = registration("eve", &code);
    body["email"] = json!("ada@example.com");
    for host in 2..12 {
        let client = app.client_from(host);
        let response = send(client.request(Method::POST, "/auth/register").json(&body)).await;
        response.assert_problem(409, "email_taken");
    }
    body["email"] = json!("eve@example.com");
    let response = app.post("/auth/register", &body).await;
    response.assert_problem(429, "too_many_attempts");
    let wait: u64 = response.header("retry-after").parse().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");
    app.clock.advance(Duration::from_mins(15));
    assert_eq!(app.post("/auth/register", &body).await.status, 201);
}

#[tokio::test]
async fn reset_is_limited_per_account_and_does_not_tell_which_part_is_wrong() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let other = app.code().await;
    let client = app.client_from(2);
    let reset = async |email: &str, code: &str| {
        let body = json!({ "email": email, "activation_code": code, "new_password": "quite another phrase" });
        send(client.request(Method::POST, "/activation/reset-password").json(&body)).await
    };
    for at in 0..5 {
        let wrong_code = reset("ada@example.com", if at % 2 == 0 { &other } else { "ABCDEFGH123" }).await;
        let wrong_email = reset("nobody@example.com", &ada.code).await;
        wrong_code.assert_problem(422, "invalid_activation_code");
        assert_eq!(bare(&wrong_code), bare(&wrong_email));
    }
    for email in
        ["ADA@example.com", " ada@EXAMPLE.com", "ada@example.com ", "Ada@Example.Com", "ada@example.com"]
    {
        reset(email, &other).await.assert_problem(422, "invalid_activation_code");
    }
    reset("ada@example.com", &ada.code).await.assert_problem(429, "too_many_attempts");
    // The owner's, in another place or a second later, is judged.
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(reset("ada@example.com", &ada.code).await.status, 204);
    for _ in 0..30 {
        reset("bob@example.com", &other).await;
    }
    let bob = app.register("bob").await;
    let body = json!({
        "email": "bob@example.com", "activation_code": bob.code, "new_password": "quite another phrase",
    });
    assert_eq!(app.post("/activation/reset-password", &body).await.status, 204);
    assert_eq!(guess(&app, 1, "ada", "quite another phrase").await.status, 200);
}

#[tokio::test]
async fn access_token_gives_no_more_password_guesses_than_login() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let mut judged = 0;
    for _ in 0..15 {
        let change = json!({ "current_password": WRONG, "new_password": "quite another phrase" });
        let change = app.send_as(&ada, Method::PUT, "/users/me/password", &change).await;
        let delete = app.send_as(&ada, Method::DELETE, "/users/me", &json!({ "password": WRONG })).await;
        for response in [change, delete] {
            if response.status == 401 {
                response.assert_problem(401, "invalid_credentials");
                judged += 1;
            } else {
                response.assert_problem(429, "too_many_attempts");
            }
        }
    }
    assert_eq!(judged, 10);
    // The owner signs in all the same: the thief's guesses are not counted against the login.
    assert_eq!(guess(&app, 1, "ada", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn login_of_an_unknown_user_equals_a_wrong_password_in_bytes_and_work() {
    // A hash that costs a multiple of all the rest, so that one that is left out cannot be missed.
    let app = app_with_cost(10).await;
    app.register("ada").await;
    // The first unknown user of a process has the database looked at for documents of the earlier backend.
    app.post("/auth/login", &json!({ "username": "zoe", "password": WRONG })).await;
    let attempts = app.backend.database.collection::<Document>("attempts");
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..8 {
        attempts.delete_many(doc! {}).await.unwrap();
        let mut seen = Vec::new();
        for (name, fastest) in ["ada", "zoe"].into_iter().zip(&mut fastest) {
            let body = json!({ "username": name, "password": WRONG });
            app.wire().reset();
            let start = Instant::now();
            let response = app.post("/auth/login", &body).await;
            *fastest = start.elapsed().min(*fastest);
            response.assert_problem(401, "invalid_credentials");
            let mut commands: Vec<String> =
                app.wire().commands().into_iter().map(|command| command.name).collect();
            commands.sort();
            seen.push((bare(&response), commands));
        }
        assert_eq!(seen[0], seen[1]);
    }
    // A busy machine makes single tries slower, and none faster than the work that they do.
    let [known, unknown] = fastest.map(|time| time.as_secs_f64());
    assert!((0.5..=2.0).contains(&(known / unknown)), "known {known} s, unknown {unknown} s");
}

#[tokio::test]
async fn password_that_everybody_guesses_is_refused() {
    let app = TestApp::new().await;
    let code = app.code().await;
    let with_password = |password: &str| {
        let mut body = registration("ada-lovelace", &code);
        body["password"] = json!(password);
        body
    };
    for password in [
        "password",
        "password1",
        "P@ssw0rd",
        "12345678",
        "1234567890",
        "qwertyuiop",
        "iloveyou1",
        "aaaaaaaaaaaa",
        "abcdefgh",
        "letmein1",
        "ada-lovelace",
        "ADA-LOVELACE",
        "ada-lovelace1",
        "ada-lovelace@example.com",
        "newvisions",
        "NewVisions1",
    ] {
        let problem = app.post("/auth/register", &with_password(password)).await;
        let problem = problem.assert_problem(422, "invalid_request");
        assert_eq!(problem["errors"][0]["field"], "password", "{password}");
        assert!(!problem["errors"][0]["message"].as_str().unwrap().contains(password), "{problem}");
    }
    let ada = app.post("/auth/register", &with_password("hand saddle orbit 9")).await;
    assert_eq!(ada.status, 201, "{ada:?}");
    let ada = User {
        id: String::new(),
        username: String::from("ada-lovelace"),
        access_token: ada.json()["access_token"].as_str().unwrap().to_owned(),
        refresh_token: String::new(),
        code,
    };

    // The same holds wherever a password is chosen.
    let mut current = String::from("hand saddle orbit 9");
    let change = async |current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        app.send_as(&ada, Method::PUT, "/users/me/password", &body).await
    };
    for password in ["password1", "ada-lovelace", "ada-lovelace@example.com"] {
        let problem = change(&current, password).await.assert_problem(422, "invalid_request");
        assert_eq!(problem["errors"][0]["field"], "new_password");
    }
    for password in ["gNarly!fox7", "zwölf Boxkämpfer jagen", "пароль от дачи 1987", "8% tip, no change"]
    {
        assert_eq!(change(&current, password).await.status, 204, "{password}");
        assert_eq!(guess(&app, 1, "ada-lovelace", password).await.status, 200);
        password.clone_into(&mut current);
    }
    let reset = json!({
        "email": "ada-lovelace@example.com", "activation_code": ada.code, "new_password": "password1",
    });
    let problem = app.post("/activation/reset-password", &reset).await;
    assert_eq!(problem.assert_problem(422, "invalid_request")["errors"][0]["field"], "new_password");
}

#[tokio::test]
async fn password_counts_to_its_last_byte() {
    let app = TestApp::new().await;
    let code = app.code().await;
    // 72 bytes, which is all that bcrypt reads.
    let longest = "zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich, 19";
    let longest = format!("{longest}{}", "!".repeat(72 - longest.len()));
    assert_eq!(longest.len(), 72);
    let mut body = registration("ada", &code);
    body["password"] = json!(format!("{longest}5"));
    app.post("/auth/register", &body).await.assert_problem(422, "invalid_request");
    body["password"] = json!(longest);
    assert_eq!(app.post("/auth/register", &body).await.status, 201);
    assert_eq!(guess(&app, 2, "ada", &longest).await.status, 200);
    for wrong in [
        format!("{longest}5"),
        format!("{longest}\0"),
        longest[..71].to_owned(),
        longest.to_uppercase(),
        format!("{longest} "),
        longest.repeat(1000),
        String::new(),
    ] {
        guess(&app, 2, "ada", &wrong).await.assert_problem(401, "invalid_credentials");
    }
    // bcrypt reads a short password round and round, with a zero in between.
    app.register("bob").await;
    for wrong in [format!("{PASSWORD}\0{PASSWORD}"), format!("{PASSWORD}\0"), format!("\0{PASSWORD}")] {
        guess(&app, 2, "bob", &wrong).await.assert_problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn login_replaces_a_cheaper_hash_and_keeps_the_password() {
    let app = app_with_cost(6).await;
    let ada = app.register("ada").await;
    let old = bcrypt::hash(PASSWORD, 4).unwrap();
    set_hash(&app, old.clone().into()).await;
    guess(&app, 2, "ada", WRONG).await.assert_problem(401, "invalid_credentials");
    assert_eq!(app.stored(&ada).await.get_str("password_hash").unwrap(), old, "a wrong password upgraded it");
    assert_eq!(guess(&app, 2, "ada", PASSWORD).await.status, 200);
    let new = app.stored(&ada).await.get_str("password_hash").unwrap().to_owned();
    assert!(new.starts_with("$2b$06$"), "{new}");
    assert!(bcrypt::verify(PASSWORD, &new).unwrap());
    assert_eq!(guess(&app, 2, "ada", PASSWORD).await.status, 200);
    assert_eq!(app.stored(&ada).await.get_str("password_hash").unwrap(), new, "it was upgraded twice");
}

#[tokio::test]
async fn login_race_on_a_cheaper_hash_succeeds_for_all() {
    let app = app_with_cost(6).await;
    app.register("ada").await;
    for _ in 0..5 {
        set_hash(&app, bcrypt::hash(PASSWORD, 4).unwrap().into()).await;
        let responses = join_all((0..4).map(|_| guess(&app, 2, "ada", PASSWORD))).await;
        for response in responses {
            assert_eq!(response.status, 200, "{response:?}");
        }
    }
}

#[tokio::test]
async fn password_hash_in_binary_survives_a_login() {
    for cost in [4, 6] {
        let app = app_with_cost(cost).await;
        let ada = app.register("ada").await;
        let hash = bcrypt::hash(PASSWORD, 4).unwrap().into_bytes();
        let binary = Binary { subtype: BinarySubtype::Generic, bytes: hash };
        set_hash(&app, binary.clone().into()).await;
        guess(&app, 2, "ada", WRONG).await.assert_problem(401, "invalid_credentials");
        for _ in 0..2 {
            assert_eq!(guess(&app, 2, "ada", PASSWORD).await.status, 200);
        }
        let stored = app.stored(&ada).await;
        if cost == 4 {
            // Nothing to improve, so nothing is touched.
            assert_eq!(stored.get("password_hash"), Some(&binary.into()));
        } else {
            assert!(stored.get_str("password_hash").unwrap().starts_with("$2b$06$"), "{stored}");
        }
    }
}

async fn app_with_cost(cost: u32) -> TestApp {
    TestApp::with(Setup { env: vec![("BCRYPT_COST", cost.to_string())], ..Setup::default() }).await
}

async fn set_hash(app: &TestApp, hash: mongodb::bson::Bson) {
    let users = app.backend.database.collection::<Document>("users");
    users.update_one(doc! {}, doc! { "$set": { "password_hash": hash } }).await.unwrap();
}

/// A login from 127.0.0.`host`.
async fn guess(app: &TestApp, host: usize, username: &str, password: &str) -> Response {
    let request = app.client_from(host).request(Method::POST, "/auth/login");
    send(request.json(&json!({ "username": username, "password": password }))).await
}

/// The owner's login from somewhere new.
async fn guess_from_afar(app: &TestApp, host: usize) -> Response {
    guess(app, host, "ada", PASSWORD).await
}

/// A response without what differs in every response.
fn bare(response: &Response) -> (u16, Value, Vec<(String, String)>) {
    let mut body = response.json();
    body["request_id"] = Value::Null;
    let differs = ["x-request-id", "date"];
    let headers = response.headers.iter().filter(|(name, _)| !differs.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), format!("{value:?}"))).collect();
    (response.status.as_u16(), body, headers)
}
