//! Guessing passwords and codes: slow, and nobody is locked out by it who should not be.

use serde_json::json;

use crate::world::{Answer, PASSWORD, World, registration};

#[tokio::test]
async fn after_ten_wrong_passwords_even_the_right_one_has_to_wait() {
    let world = World::new().await;
    world.register("ada").await;
    world.register("grace").await;
    for _ in 0..10 {
        login(&world, "ada", "wrong horse").await.assert_problem(401, "invalid_credentials");
    }
    for login_name in ["ada", "ADA"] {
        let slowed = login(&world, login_name, PASSWORD).await;
        slowed.assert_problem(429, "too_many_attempts");
        let seconds: u64 = slowed.header("retry-after").parse().unwrap();
        assert!((800..=900).contains(&seconds), "{seconds}");
    }
    assert_eq!(login(&world, "grace", PASSWORD).await.status, 200, "another account is not slowed");
}

#[tokio::test]
async fn a_burst_of_guesses_gains_nothing() {
    let world = World::new().await;
    world.register("ada").await;
    let answers = futures::future::join_all((0..30).map(|_| login(&world, "ada", "wrong horse"))).await;
    let judged = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!((judged, answers.len() - judged), (10, 20));
}

#[tokio::test]
async fn an_unknown_user_is_slowed_like_a_known_one() {
    let world = World::new().await;
    for _ in 0..10 {
        login(&world, "nobody", "wrong horse").await.assert_problem(401, "invalid_credentials");
    }
    login(&world, "nobody", "wrong horse").await.assert_problem(429, "too_many_attempts");
}

#[tokio::test]
async fn the_right_password_forgives_the_wrong_ones_before_it() {
    let world = World::new().await;
    world.register("ada").await;
    for _ in 0..3 {
        for _ in 0..9 {
            login(&world, "ada", "wrong horse").await.assert_problem(401, "invalid_credentials");
        }
        assert_eq!(login(&world, "ada", PASSWORD).await.status, 200);
    }
}

#[tokio::test]
async fn a_source_that_tries_many_accounts_is_slowed_on_all_of_them() {
    let world = World::new().await;
    world.register("ada").await;
    let names: Vec<String> = (0..100).map(|at| format!("nobody{at}")).collect();
    futures::future::join_all(names.iter().map(|name| login(&world, name, "wrong horse"))).await;
    login(&world, "ada", PASSWORD).await.assert_problem(429, "too_many_attempts");
    // Its signed-in users go on.
    let grace = world.register("grace").await;
    assert_eq!(world.get_as(&grace, "/usage").await.status, 200);
}

#[tokio::test]
async fn resets_are_slowed_for_the_address_that_is_tried() {
    let world = World::new().await;
    let ada = world.register("ada").await;
    let reset = async |code: &str| {
        let body = json!({
            "email": "ada@example.com", "activation_code": code, "new_password": "a new crêpe",
        });
        world.post("/activation/reset-password", &body).await
    };
    for _ in 0..10 {
        reset("ABCDEFGHJ23").await.assert_problem(422, "invalid_activation_code");
    }
    reset(&ada.code).await.assert_problem(429, "too_many_attempts");
    assert_eq!(login(&world, "ada", PASSWORD).await.status, 200, "and signing in is another matter");
}

#[tokio::test]
async fn codes_cannot_be_tried_through_verification_and_registration_together() {
    let world = World::new().await;
    let code = world.code().await;
    let verify = json!({ "code": "ABCDEFGHJ23" });
    let verified =
        futures::future::join_all((0..50).map(|_| world.post("/activation/verify", &verify))).await;
    assert!(verified.iter().all(|answer| answer.status == 200));
    let body = registration("ada", "ABCDEFGHJ23");
    let registered = futures::future::join_all((0..50).map(|_| world.post("/auth/register", &body))).await;
    assert!(registered.iter().all(|answer| answer.status == 422));
    world.post("/activation/verify", &json!({ "code": code })).await.assert_problem(429, "too_many_attempts");
    let registration = world.post("/auth/register", &registration("ada", &code)).await;
    registration.assert_problem(429, "too_many_attempts");
}

async fn login(world: &World, name: &str, password: &str) -> Answer {
    world.post("/auth/login", &json!({ "username": name, "password": password })).await
}
