//! Repeated and simultaneous performs: `Idempotency-Key`, one user many times at once, many users on few slots.

use std::time::Duration;

use futures::future::join_all;
use http::Method;
use mongodb::bson::{Document, doc, oid::ObjectId};
use serde_json::{Value, json};
use tests::standins::{
    elevenlabs,
    faults::{Fault, Operation},
};

use crate::world::{Answer, Setup, User, World, send};

async fn keyed(world: &World, user: &User, key: &str, body: &Value) -> Answer {
    let request = world.request(Method::POST, "/perform", Some(user)).header("idempotency-key", key);
    send(request.json(body)).await
}

fn queen() -> Value {
    json!({ "routine_type": "cards", "value": "Queen of Hearts" })
}

#[tokio::test]
async fn the_same_key_fifty_times_at_once_makes_one_clone_one_charge_and_equal_bytes() {
    let world = World::new().await;
    let ada = world.performer("ada").await;
    let body = queen();
    let answers = join_all((0..50).map(|_| keyed(&world, &ada, "tonight", &body))).await;

    let first = &answers[0];
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body == first.body, "the bytes differ");
    }
    assert_eq!(world.elevenlabs().ledger().created.len(), 1);
    assert_eq!(world.elevenlabs().ledger().synthesized.len(), 1);
    assert_eq!(Some(world.char_count(&ada).await), first.json()["charsUsedEffective"].as_i64());
    world.assert_nothing_remains(&ada).await;

    let later = keyed(&world, &ada, "tonight", &body).await;
    assert!(later.body == first.body, "a later repetition differs");
    let other_key = keyed(&world, &ada, "tomorrow", &body).await;
    assert_eq!(other_key.status, 200);
    assert_eq!(world.elevenlabs().ledger().created.len(), 2);
}

#[tokio::test]
async fn a_key_with_another_body_is_refused_also_while_the_first_runs() {
    let world = World::new().await;
    let ada = world.performer("ada").await;
    let delays = elevenlabs::Delays { create: Duration::from_millis(600), ..elevenlabs::Delays::default() };
    world.elevenlabs().set_delays(delays);
    let (body, other) = (queen(), json!({ "routine_type": "cards", "value": "King of Clubs" }));
    let (first, while_it_runs) = tokio::join!(keyed(&world, &ada, "k", &body), async {
        tokio::time::sleep(Duration::from_millis(250)).await;
        keyed(&world, &ada, "k", &other).await
    });
    assert_eq!(first.status, 200, "{first:?}");
    while_it_runs.assert_problem(409, "idempotency_conflict");
    keyed(&world, &ada, "k", &other).await.assert_problem(409, "idempotency_conflict");
    assert_eq!(world.elevenlabs().ledger().created.len(), 1);

    // Keys are each user's own.
    let bob = world.performer("bob").await;
    assert_eq!(keyed(&world, &bob, "k", &other).await.status, 200);
}

#[tokio::test]
async fn a_perform_that_failed_may_be_tried_again_with_the_same_key() {
    let world = World::new().await;
    let ada = world.performer("ada").await;
    world.elevenlabs().faults().next(Operation::Synthesize, Fault::text_too_long());
    let body = queen();
    keyed(&world, &ada, "k", &body).await.assert_problem(502, "synthesis_failed");
    assert_eq!(world.char_count(&ada).await, 0);
    assert_eq!(keyed(&world, &ada, "k", &body).await.status, 200);
    assert_eq!(keyed(&world, &ada, "k", &body).await.status, 200);
    assert_eq!(world.elevenlabs().ledger().created.len(), 2);
}

#[tokio::test]
async fn an_answer_that_never_arrived_is_had_again_and_goes_with_the_account() {
    let world = World::new().await;
    let ada = world.performer("ada").await;
    let delays = elevenlabs::Delays { create: Duration::from_millis(400), ..elevenlabs::Delays::default() };
    world.elevenlabs().set_delays(delays);
    let body = queen();
    // The client gives up in the middle, as the gateway does after 30 s; the function does not.
    let given_up = tokio::time::timeout(Duration::from_millis(200), keyed(&world, &ada, "k", &body)).await;
    assert!(given_up.is_err());
    let answer = keyed(&world, &ada, "k", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(world.elevenlabs().ledger().created.len(), 1);
    assert_eq!(Some(world.char_count(&ada).await), answer.json()["charsUsedEffective"].as_i64());

    assert!(world.s3().keys().iter().any(|key| key.starts_with("replays/")));
    let gone = world
        .send_as(&ada, Method::DELETE, "/users/me", &json!({ "password": crate::world::PASSWORD }))
        .await;
    assert_eq!(gone.status, 204, "{gone:?}");
    assert_eq!(world.s3().keys(), Vec::<String>::new());
}

#[tokio::test]
async fn an_account_that_is_deleted_during_its_perform_leaves_nothing() {
    let world = World::new().await;
    let ada = world.performer("ada").await;
    let delays = elevenlabs::Delays { create: Duration::from_millis(800), ..elevenlabs::Delays::default() };
    world.elevenlabs().set_delays(delays);
    let body = queen();
    let (performed, deleted) = tokio::join!(keyed(&world, &ada, "k", &body), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let password = json!({ "password": crate::world::PASSWORD });
        world.send_as(&ada, Method::DELETE, "/users/me", &password).await
    });
    assert_eq!((performed.status.as_u16(), deleted.status.as_u16()), (200, 204), "{performed:?} {deleted:?}");
    assert_eq!(world.elevenlabs().ledger().created.len(), 1);
    assert_eq!(world.elevenlabs().ledger().living.len(), 0);
    assert_eq!(world.held_slots().await, 0);
    assert_eq!(world.s3().keys(), Vec::<String>::new());
    let users = world.backend.database.collection::<Document>("users");
    assert_eq!(users.count_documents(doc! {}).await.expect("the database answers"), 0);
}

#[tokio::test]
async fn a_key_is_checked_and_kept_for_a_day() {
    let world = World::new().await;
    let ada = world.performer("ada").await;
    let body = queen();
    keyed(&world, &ada, "", &body).await.assert_problem(422, "invalid_request");
    keyed(&world, &ada, &"x".repeat(256), &body).await.assert_problem(422, "invalid_request");
    // What a database could take for an expression is just a key.
    assert_eq!(keyed(&world, &ada, "$lease", &body).await.status, 200);
    assert_eq!(keyed(&world, &ada, "$lease", &body).await.status, 200);
    assert_eq!(world.elevenlabs().ledger().created.len(), 1);

    world.clock.advance(Duration::from_hours(25));
    let login =
        world.post("/auth/login", &json!({ "username": "ada", "password": crate::world::PASSWORD })).await;
    let token = login.json()["access_token"].as_str().expect("a token").to_owned();
    let ada = User { access_token: token, ..ada };
    assert_eq!(keyed(&world, &ada, "$lease", &body).await.status, 200);
    assert_eq!(world.elevenlabs().ledger().created.len(), 2);
}

#[tokio::test]
async fn one_user_twenty_times_at_once_never_has_two_clones_and_pays_for_each() {
    let world = World::new().await;
    let ada = world.performer("ada").await;
    let answers = join_all((0..20).map(|_| world.perform(&ada, "Queen of Hearts"))).await;
    let (performed, waited): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    // How many fit into the wait is the machine's speed; the others are told, and nothing else goes wrong.
    assert!(performed.len() > 1, "the performs did not wait for each other");
    for answer in waited {
        answer.assert_problem(409, "perform_in_progress");
    }
    assert_eq!(world.elevenlabs().ledger().created.len(), performed.len());
    let mut charged = 0;
    for answer in performed {
        charged += answer.json()["charsUsedEffective"].as_i64().expect("a cost");
    }
    assert_eq!(world.elevenlabs().ledger().most_living, 1);
    assert_eq!(world.char_count(&ada).await, charged);
    world.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn a_hundred_users_at_once_share_ten_slots_and_the_provider_refuses_none() {
    let setup = Setup {
        elevenlabs: elevenlabs::Config {
            max_voice_add_edits: None,
            concurrency: 100,
            ..elevenlabs::Config::default()
        },
        ..Setup::default()
    };
    let world = World::with(setup).await;
    let mut users = Vec::new();
    for number in 0..100 {
        let user = world.register(&format!("user{number}")).await;
        users.push(user);
    }
    // Uploading a hundred times would measure the decoder; the recording is the same.
    share_recording(&world, &users).await;
    let answers = join_all(users.iter().map(|user| world.perform(user, "Queen of Hearts"))).await;
    let refused = answers.iter().filter(|answer| answer.status != 200).count();
    let ledger = world.elevenlabs().ledger();
    assert!(ledger.most_living <= 10, "{} voices lived at once", ledger.most_living);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        // Waiting is bounded; who waited in vain is told so, and nothing else goes wrong.
        answer.assert_problem(503, "clone_slots_busy");
    }
    assert_eq!(ledger.created.len(), 100 - refused);
    assert_eq!(ledger.living.len(), 0);
    assert_eq!(world.held_slots().await, 0);
}

/// Gives every user the first one's recording.
async fn share_recording(world: &World, users: &[User]) {
    let answer = world.upload(&users[0], crate::world::WEBM).await;
    assert_eq!(answer.status, 200);
    let recording = world.stored(&users[0]).await.get_document("recording").expect("a recording").clone();
    let all = world.backend.database.collection::<Document>("users");
    all.update_many(doc! {}, doc! { "$set": { "recording": recording } }).await.expect("an update");
    let client = world.s3().client();
    let bucket = tests::standins::s3::BUCKET;
    for user in &users[1..] {
        let id = ObjectId::parse_str(&user.id).expect("an id");
        let put =
            client.put_object().bucket(bucket).key(format!("recordings/{id}")).content_type("audio/webm");
        put.body(crate::world::WEBM.to_vec().into()).send().await.expect("S3 takes it");
    }
}
