//! `cargo ops migrate`: the earlier backend's accounts, as they are found in its database.

use std::time::Duration;

use http::Method;
use mongodb::{
    Collection,
    bson::{Binary, Bson, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype},
};
use serde_json::json;
use tests::fakes::{mongodb_wire, s3::Fault};

use super::commands::ops;
use crate::{
    db_snapshot::Stored,
    test_app::{PASSWORD, TestApp, User, WEBM, base64, eventually},
};

/// An account as the earlier backend wrote it.
fn earlier(username: &str) -> Document {
    doc! {
        "_id": ObjectId::new(),
        "username": username,
        "email": format!("{username}@example.com"),
        "password_hash": hash(),
        "settings": {
            "language": "es", "stability": 0.35, "add_background_sound": true, "background_volume": 0.8,
            "sex": "female", "theme": "dark",
        },
    }
}

/// bcrypt's hash of [`PASSWORD`] as BSON binary, of the least cost.
fn hash() -> Binary {
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    Binary { subtype: BinarySubtype::Generic, bytes: hash.into_bytes() }
}

fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

fn users(world: &TestApp) -> Collection<Document> {
    world.backend.database.collection("users")
}

async fn insert(world: &TestApp, account: Document) -> ObjectId {
    let id = account.get_object_id("_id").unwrap();
    users(world).insert_one(account).await.unwrap();
    id
}

async fn read(world: &TestApp, id: ObjectId) -> Document {
    users(world).find_one(doc! { "_id": id }).await.unwrap().unwrap()
}

/// Signs in to a migrated account.
async fn sign_in(world: &TestApp, login: &str) -> User {
    let answer = world.post("/auth/login", &json!({ "username": login, "password": PASSWORD })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let text = |member: &str| body[member].as_str().unwrap().to_owned();
    User {
        id: text("user_id"),
        username: text("username"),
        access_token: text("access_token"),
        refresh_token: text("refresh_token"),
        code: String::new(),
    }
}

#[tokio::test]
async fn an_earlier_account_signs_in_performs_and_keeps_its_settings_after_the_migration() {
    let world = TestApp::new().await;
    let mut account = earlier("Ada");
    account.insert("recordedVoice", binary(WEBM));
    let id = insert(&world, account).await;
    let login = json!({ "username": "ada", "password": PASSWORD });
    world.post("/auth/login", &login).await.assert_problem(401, "invalid_credentials");

    let said = ops(&world, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains("recordings moved            1\n"), "{said}");
    assert!(said.contains("left for a person           0\n"), "{said}");
    let stored = read(&world, id).await;
    assert!(!stored.contains_key("recordedVoice"));
    assert_eq!(stored.get_datetime("created_at").unwrap(), &id.timestamp());
    assert_eq!(stored.get_document("settings").unwrap().get_str("theme").unwrap(), "dark");
    assert!(!stored.get_document("settings").unwrap().contains_key("stability"));
    assert!(stored.get_binary_generic("password_hash").is_ok(), "the hash is what it was");

    let ada = sign_in(&world, "ADA@example.com").await;
    let settings = world.get_as(&ada, "/users/me/settings").await.json();
    assert_eq!(settings["voice_language"], "es");
    assert_eq!(settings["voice_stability"], 35);
    assert_eq!(settings["background_sound"], true);
    assert_eq!(settings["background_volume"], 80);
    assert_eq!(settings["speaker_sex"], "female");
    let meta = world.get_as(&ada, "/users/me/voice/meta").await.json();
    assert_eq!((&meta["hasSample"], &meta["mime_type"]), (&json!(true), &json!("audio/webm")));
    assert_eq!(world.perform(&ada, "seven of hearts").await.status, 200);
    assert_eq!(world.elevenlabs().ledger().created[0].sample_bytes, WEBM.len());
}

#[tokio::test]
async fn what_was_migrated_is_not_changed_again() {
    let world = TestApp::new().await;
    world.performer("eve").await;
    let mut account = earlier("Ada");
    account.insert("recordedVoice", base64(WEBM));
    insert(&world, account).await;
    ops(&world, &["migrate", "--yes"]).await.unwrap();
    let once = Stored::in_world(&world).await;
    let said = ops(&world, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains("updated                     0\n"), "{said}");
    assert!(said.contains("recordings moved            0\n"), "{said}");
    assert!(Stored::in_world(&world).await == once);
}

#[tokio::test]
async fn an_interrupted_migration_goes_on_where_it_stopped() {
    let world = TestApp::new().await;
    let ids: Vec<ObjectId> = {
        let mut ids = Vec::new();
        for name in ["ada", "bob", "eve"] {
            let mut account = earlier(name);
            account.insert("recordedVoice", binary(WEBM));
            ids.push(insert(&world, account).await);
        }
        ids
    };
    // The second recording does not reach S3, however often the SDK tries.
    world.s3().fault(1, Method::PUT, Fault::Pass);
    world.s3().fault(10, Method::PUT, Fault::AccessDenied);
    let failure = ops(&world, &["migrate", "--yes"]).await.unwrap_err();
    assert!(failure.contains("S3 failed: PutObject"), "{failure}");
    assert!(read(&world, ids[0]).await.contains_key("recording"));
    for &id in &ids[1..] {
        let stored = read(&world, id).await;
        assert_eq!(stored.get_binary_generic("recordedVoice").unwrap(), WEBM, "still where it was");
    }

    // This time the process dies between S3 and the document: the object is there, and so is the old copy.
    world.s3().reset();
    let put = world.s3().client().put_object().bucket(tests::fakes::s3::BUCKET);
    let put = put.key(format!("recordings/{}", ids[1])).content_type("audio/webm").body(WEBM.to_vec().into());
    put.send().await.unwrap();
    let said = ops(&world, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains("recordings moved            2\n"), "{said}");
    for id in ids {
        let stored = read(&world, id).await;
        assert!(stored.contains_key("recording") && !stored.contains_key("recordedVoice"), "{stored}");
    }
    assert_eq!(world.s3().keys().len(), 3);
}

#[tokio::test]
async fn a_migration_that_loses_the_database_half_way_is_finished_by_the_next_one() {
    let world = TestApp::new().await;
    for number in 0..20 {
        insert(&world, earlier(&format!("user{number}"))).await;
    }
    world.wire().fault(7, Some("update"), Some("users"), mongodb_wire::Fault::Pass);
    // One write whose answer is lost, and none after it.
    world.wire().fault(1, Some("update"), Some("users"), mongodb_wire::Fault::CutAfter);
    world.wire().fault(100, Some("update"), Some("users"), mongodb_wire::Fault::CutBefore);
    let failure = ops(&world, &["migrate", "--yes"]).await.unwrap_err();
    assert!(failure.contains("MongoDB failed: the connection broke"), "{failure}");
    world.wire().reset();
    let keyed = doc! { "username_key": { "$exists": true } };
    let before = users(&world).count_documents(keyed.clone()).await.unwrap();
    assert!((7..20).contains(&before), "{before}");
    let said = ops(&world, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains(&format!("updated                     {}\n", 20 - before)), "{said}");
    assert_eq!(users(&world).count_documents(keyed).await.unwrap(), 20);
}

#[tokio::test]
async fn what_a_performer_changes_during_the_migration_is_not_overwritten() {
    let world = TestApp::new().await;
    let id = insert(&world, earlier("ada")).await;
    // The migration has read the account, and its write is on its way for a while.
    let slow = mongodb_wire::Fault::Delay(Duration::from_millis(800));
    world.wire().fault(1, Some("update"), Some("users"), slow);
    let change = async {
        eventually("the write is on its way", async || {
            world.wire().commands().iter().any(|command| command.name == "update")
        })
        .await;
        // Past the proxy, which delays one connection.
        let direct = mongodb::Client::with_uri_str(world.services.mongodb.uri()).await.unwrap();
        let users = direct.database(world.backend.database.name()).collection::<Document>("users");
        let newer = doc! { "$set": { "settings": { "voice_language": "fr", "voice_stability": 10 } } };
        users.update_one(doc! { "_id": id }, newer).await.unwrap();
    };
    let (said, ()) = tokio::join!(ops(&world, &["migrate", "--yes"]), change);
    let said = said.unwrap();
    assert!(said.contains(&format!("Left: account {id}: it changed meanwhile; migrate again.")), "{said}");
    let stored = read(&world, id).await;
    assert_eq!(stored.get_document("settings").unwrap().get_str("voice_language").unwrap(), "fr");
    ops(&world, &["migrate", "--yes"]).await.unwrap();
    let ada = sign_in(&world, "ada").await;
    assert_eq!(world.get_as(&ada, "/users/me/settings").await.json()["voice_stability"], 10);
}

#[tokio::test]
async fn a_recording_that_is_none_is_reported_and_stays() {
    let world = TestApp::new().await;
    for (name, recording) in [
        ("text", Bson::from("not base64 at all!")),
        ("cut", binary(&WEBM[..WEBM.len() / 2]).into()),
        ("noise", binary(&[7; 5000]).into()),
        ("odd", Bson::from(doc! { "data": "x" })),
    ] {
        let mut account = earlier(name);
        account.insert("recordedVoice", recording.clone());
        let id = insert(&world, account).await;
        let said = ops(&world, &["migrate", "--yes"]).await.unwrap();
        assert!(said.contains(&format!("Left: account {id}: its recording: ")), "{name}: {said}");
        let stored = read(&world, id).await;
        assert_eq!(stored.get("recordedVoice"), Some(&recording), "{name}");
        assert!(stored.contains_key("username_key"), "the rest of the account is migrated");
        users(&world).delete_one(doc! { "_id": id }).await.unwrap();
    }
    assert!(world.s3().keys().is_empty());
}

#[tokio::test]
async fn an_earlier_recording_takes_no_newer_ones_place_and_comes_back_from_no_deletion() {
    let world = TestApp::new().await;
    let (ada, bob) = (world.performer("ada").await, world.performer("bob").await);
    let deleted = world.send_as(&bob, Method::DELETE, "/users/me/voice", &json!(null)).await;
    assert_eq!(deleted.status, 204);
    for user in [&ada, &bob] {
        let older = include_bytes!("../../fixtures/recordings/speech-34s.m4a");
        world.rewrite(user, doc! { "$set": { "recordedVoice": binary(older) } }).await;
    }
    ops(&world, &["migrate", "--yes"]).await.unwrap();
    for user in [&ada, &bob] {
        assert!(!world.stored(user).await.contains_key("recordedVoice"));
    }
    assert_eq!(world.s3().keys(), [format!("recordings/{}", ada.id)]);
    assert_eq!(world.get_as(&ada, "/users/me/voice/meta").await.json()["mime_type"], "audio/webm");
}

#[tokio::test]
async fn a_recording_that_s3_holds_already_and_is_another_is_not_overwritten() {
    let world = TestApp::new().await;
    let mut account = earlier("ada");
    account.insert("recordedVoice", binary(WEBM));
    let id = insert(&world, account).await;
    let put = world.s3().client().put_object().bucket(tests::fakes::s3::BUCKET);
    put.key(format!("recordings/{id}")).body(b"newer".to_vec().into()).send().await.unwrap();
    let said = ops(&world, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains("S3 holds another one"), "{said}");
    assert!(read(&world, id).await.contains_key("recordedVoice"));
    let there = world.s3().client().get_object().bucket(tests::fakes::s3::BUCKET);
    let there = there.key(format!("recordings/{id}")).send().await.unwrap();
    assert_eq!(there.body.collect().await.unwrap().to_vec(), b"newer");
}

#[tokio::test]
async fn names_that_differ_in_case_alone_are_reported_and_nobody_gets_them() {
    let world = TestApp::new().await;
    let eve = world.register("eve").await;
    let (one, two) = (insert(&world, earlier("Ada")).await, insert(&world, earlier("ada")).await);
    let mut third = earlier("Eve");
    third.insert("email", "other@example.com");
    let third = insert(&world, third).await;
    let said = ops(&world, &["migrate", "--yes"]).await.unwrap();
    for (id, fields) in
        [(one, &["username", "email"] as &[_]), (two, &["username", "email"]), (third, &["username"])]
    {
        let stored = read(&world, id).await;
        for field in fields {
            assert!(said.contains(&format!("Left: account {id}: another account has the same {field}")));
            assert!(!stored.contains_key(format!("{field}_key")), "{stored}");
        }
    }
    assert_eq!(read(&world, third).await.get_str("email_key").unwrap(), "other@example.com");
    assert_eq!(world.stored(&eve).await.get_str("username_key").unwrap(), "eve");
    assert!(!said.contains("example.com"), "reports name nobody: {said}");
}

#[tokio::test]
async fn a_stale_clone_id_is_cleared_and_its_foreign_voice_is_listed_and_never_deleted() {
    let world = TestApp::new().await;
    let voice_id = world.elevenlabs().seed_voice("Ada's voice", "cloned", Some(1));
    let mut account = earlier("ada");
    account.insert("voice_clone_id", &voice_id);
    let id = insert(&world, account).await;
    let mut account = earlier("bob");
    account.insert("voice_clone_id", "GoneLongAgo000000000");
    let gone = insert(&world, account).await;
    // A perform that runs has a clone by right.
    let eve = world.performer("eve").await;
    let lease =
        doc! { "id": ObjectId::new(), "until": DateTime::MAX, "period": "2026-11", "reserved": 1_i64 };
    world.rewrite(&eve, doc! { "$set": { "lease": lease, "voice_clone_id": "TheLivingOne00000000" } }).await;

    let dry = ops(&world, &["migrate"]).await.unwrap();
    assert!(dry.contains(&format!("account {id}: its voice {voice_id} is still at ElevenLabs")), "{dry}");
    let said = ops(&world, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains(&voice_id) && !said.contains("GoneLongAgo"), "{said}");
    assert!(said.contains("clone ids cleared           2\n"), "{said}");
    for id in [id, gone] {
        assert_eq!(read(&world, id).await.get("voice_clone_id"), Some(&Bson::Null));
    }
    assert_eq!(world.stored(&eve).await.get_str("voice_clone_id").unwrap(), "TheLivingOne00000000");
    assert!(world.elevenlabs().ledger().deleted.is_empty());
}

#[tokio::test]
async fn accounts_that_nobody_can_sign_in_to_are_reported() {
    let world = TestApp::new().await;
    let mut account = earlier("ada");
    account.remove("email");
    account.remove("password_hash");
    let id = insert(&world, account).await;
    users(&world).insert_one(doc! { "_id": "bob", "username": "bob" }).await.unwrap();
    let said = ops(&world, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains(&format!("Left: account {id}: it has no email.")), "{said}");
    assert!(said.contains("nobody can sign in to it without email, password_hash."), "{said}");
    assert!(said.contains("Left: 1 accounts whose ids are not ObjectIds."), "{said}");
}

#[tokio::test]
async fn a_thousand_accounts_are_migrated_in_batches() {
    let world = TestApp::new().await;
    let accounts = (0..1000).map(|number| earlier(&format!("User{number:03}")));
    users(&world).insert_many(accounts).await.unwrap();
    let begun = world.wire().commands().len();
    let said = ops(&world, &["migrate", "--yes", "--batch", "64"]).await.unwrap();
    assert!(said.contains("accounts                    1000\n"), "{said}");
    assert!(said.contains("updated                     1000\n"), "{said}");
    let updates = world.wire().commands()[begun..].iter().filter(|command| command.name == "update").count();
    assert_eq!(updates, 1000, "each account by itself");
    let unkeyed =
        doc! { "$or": [{ "username_key": null }, { "email_key": null }, { "settings.language": "es" }] };
    assert_eq!(users(&world).count_documents(unkeyed).await.unwrap(), 0);
    sign_in(&world, "user999").await;
}
