//! `cargo ops migrate`: the earlier backend's accounts, as they are found in its database.

use http::Method;
use mongodb::{
    Collection,
    bson::{Binary, Bson, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype},
};
use serde_json::json;
use tests::{
    fakes::{mongodb_wire, s3::Fault},
    harness::{PASSWORD, SLOW, TestApp, User, WEBM, base64, eventually},
};

use super::commands::ops;

use crate::db_snapshot::Stored;

/// An account as the earlier backend wrote it.
fn earlier(username: &str) -> Document {
    doc! {
        "_id": ObjectId::new(),
        "username": username,
        "email": format!("{username}@example.com"),
        "password": hash(),
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

fn users(app: &TestApp) -> Collection<Document> {
    app.backend.database.collection("users")
}

async fn insert(app: &TestApp, account: Document) -> ObjectId {
    let id = account.get_object_id("_id").unwrap();
    users(app).insert_one(account).await.unwrap();
    id
}

async fn read(app: &TestApp, id: ObjectId) -> Document {
    users(app).find_one(doc! { "_id": id }).await.unwrap().unwrap()
}

/// Signs in to a migrated account.
async fn sign_in(app: &TestApp, login: &str) -> User {
    let response = app.post("/auth/login", &json!({ "username": login, "password": PASSWORD })).await;
    assert_eq!(response.status, 200, "{response:?}");
    let body = response.json();
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
async fn migrate_keeps_password_settings_and_recording_of_an_account() {
    let app = TestApp::new().await;
    let mut account = earlier("Ada");
    account.insert("recordedVoice", binary(WEBM));
    let id = insert(&app, account).await;
    let login = json!({ "username": "ada", "password": PASSWORD });
    app.post("/auth/login", &login).await.assert_problem(503, "database_not_migrated");

    let said = ops(&app, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains("recordings moved            1\n"), "{said}");
    assert!(said.contains("needs manual action         0\n"), "{said}");
    let stored = read(&app, id).await;
    assert!(!stored.contains_key("recordedVoice"));
    assert_eq!(stored.get_datetime("created_at").unwrap(), &id.timestamp());
    assert_eq!(stored.get_document("settings").unwrap().get_str("theme").unwrap(), "dark");
    assert!(!stored.get_document("settings").unwrap().contains_key("stability"));
    assert!(stored.get_binary_generic("password_hash").is_ok(), "the hash is what it was");

    let ada = sign_in(&app, "ADA@example.com").await;
    let settings = app.get_as(&ada, "/users/me/settings").await.json();
    assert_eq!(settings["voice_language"], "es");
    assert_eq!(settings["voice_stability"], 35);
    assert_eq!(settings["background_sound"], true);
    assert_eq!(settings["background_volume"], 80);
    assert_eq!(settings["speaker_sex"], "female");
    let meta = app.get_as(&ada, "/users/me/voice/meta").await.json();
    assert_eq!((&meta["hasSample"], &meta["mime_type"]), (&json!(true), &json!("audio/webm")));
    assert_eq!(app.perform(&ada, "seven of hearts").await.status, 200);
    assert_eq!(app.elevenlabs().state().created[0].sample_bytes, WEBM.len());
}

#[tokio::test]
async fn migrate_does_not_change_again_what_was_migrated() {
    let app = TestApp::new().await;
    app.performer("eve").await;
    let mut account = earlier("Ada");
    account.insert("recordedVoice", base64(WEBM));
    insert(&app, account).await;
    ops(&app, &["migrate", "--yes"]).await.unwrap();
    let once = Stored::of(&app).await;
    let said = ops(&app, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains("updated                     0\n"), "{said}");
    assert!(said.contains("recordings moved            0\n"), "{said}");
    assert!(Stored::of(&app).await == once);
}

#[tokio::test]
async fn migrate_resumes_after_an_interruption() {
    let app = TestApp::new().await;
    let ids: Vec<ObjectId> = {
        let mut ids = Vec::new();
        for name in ["ada", "bob", "eve"] {
            let mut account = earlier(name);
            account.insert("recordedVoice", binary(WEBM));
            ids.push(insert(&app, account).await);
        }
        ids
    };
    // The second recording does not reach S3, however often the SDK tries.
    app.s3().inject(1, Method::PUT, Fault::Pass);
    app.s3().inject(10, Method::PUT, Fault::AccessDenied);
    let failure = ops(&app, &["migrate", "--yes"]).await.unwrap_err();
    assert!(failure.contains("S3 failed: PutObject"), "{failure}");
    assert!(read(&app, ids[0]).await.contains_key("recording"));
    for &id in &ids[1..] {
        let stored = read(&app, id).await;
        assert_eq!(stored.get_binary_generic("recordedVoice").unwrap(), WEBM, "still where it was");
    }

    // This time the process dies between S3 and the document: the object is there, and so is the old copy.
    app.s3().reset();
    let put = app.s3().client().put_object().bucket(tests::fakes::s3::BUCKET);
    let put = put.key(format!("recordings/{}", ids[1])).content_type("audio/webm").body(WEBM.to_vec().into());
    put.send().await.unwrap();
    let said = ops(&app, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains("recordings moved            2\n"), "{said}");
    for id in ids {
        let stored = read(&app, id).await;
        assert!(stored.contains_key("recording") && !stored.contains_key("recordedVoice"), "{stored}");
    }
    assert_eq!(app.s3().keys().len(), 3);
}

#[tokio::test]
async fn migrate_is_finished_by_the_next_run_after_losing_the_database() {
    let app = TestApp::new().await;
    for number in 0..20 {
        insert(&app, earlier(&format!("user{number}"))).await;
    }
    app.wire().inject(7, Some("update"), Some("users"), mongodb_wire::Fault::Pass);
    // One write whose response is lost, and none after it.
    app.wire().inject(1, Some("update"), Some("users"), mongodb_wire::Fault::CutAfter);
    app.wire().inject(100, Some("update"), Some("users"), mongodb_wire::Fault::CutBefore);
    let failure = ops(&app, &["migrate", "--yes"]).await.unwrap_err();
    assert!(failure.contains("MongoDB failed: connection failed"), "{failure}");
    app.wire().reset();
    let keyed = doc! { "username_key": { "$exists": true } };
    let before = users(&app).count_documents(keyed.clone()).await.unwrap();
    assert!((7..20).contains(&before), "{before}");
    let said = ops(&app, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains(&format!("updated                     {}\n", 20 - before)), "{said}");
    assert_eq!(users(&app).count_documents(keyed).await.unwrap(), 20);
}

#[tokio::test]
async fn migrate_does_not_overwrite_a_change_made_meanwhile() {
    let app = TestApp::new().await;
    let id = insert(&app, earlier("ada")).await;
    // The migration has read the account, and its write is on its way for a while.
    let slow = mongodb_wire::Fault::Delay(SLOW);
    app.wire().inject(1, Some("update"), Some("users"), slow);
    let change = async {
        eventually("the write is on its way", async || {
            app.wire().commands().iter().any(|command| command.name == "update")
        })
        .await;
        // Past the proxy, which delays one connection.
        let direct = mongodb::Client::with_uri_str(app.services.mongodb.uri()).await.unwrap();
        let users = direct.database(app.backend.database.name()).collection::<Document>("users");
        let newer = doc! { "$set": { "settings": { "voice_language": "fr", "voice_stability": 10 } } };
        users.update_one(doc! { "_id": id }, newer).await.unwrap();
    };
    let (said, ()) = tokio::join!(ops(&app, &["migrate", "--yes"]), change);
    let said = said.unwrap();
    assert!(said.contains("updated                     1\n"), "it is read again: {said}");
    let stored = read(&app, id).await;
    assert_eq!(stored.get_document("settings").unwrap().get_str("voice_language").unwrap(), "fr");
    let ada = sign_in(&app, "ada").await;
    assert_eq!(app.get_as(&ada, "/users/me/settings").await.json()["voice_stability"], 10);
}

#[tokio::test]
async fn migrate_reports_an_invalid_recording_and_leaves_it() {
    let app = TestApp::new().await;
    for (name, recording) in [
        ("text", Bson::from("not base64 at all!")),
        ("cut", binary(&WEBM[..WEBM.len() / 2]).into()),
        ("noise", binary(&[7; 5000]).into()),
        ("odd", Bson::from(doc! { "data": "x" })),
    ] {
        let mut account = earlier(name);
        account.insert("recordedVoice", recording.clone());
        let id = insert(&app, account).await;
        let said = ops(&app, &["migrate", "--yes"]).await.unwrap();
        assert!(said.contains(&format!("Skipped: account {id}: its recording: ")), "{name}: {said}");
        let stored = read(&app, id).await;
        assert_eq!(stored.get("recordedVoice"), Some(&recording), "{name}");
        assert!(stored.contains_key("username_key"), "the rest of the account is migrated");
        users(&app).delete_one(doc! { "_id": id }).await.unwrap();
    }
    assert!(app.s3().keys().is_empty());
}

#[tokio::test]
async fn migrate_restores_no_replaced_or_deleted_recording() {
    let app = TestApp::new().await;
    let (ada, bob) = (app.performer("ada").await, app.performer("bob").await);
    let deleted = app.send_as(&bob, Method::DELETE, "/users/me/voice", &json!(null)).await;
    assert_eq!(deleted.status, 204);
    for user in [&ada, &bob] {
        let older = include_bytes!("../../fixtures/recordings/speech-34s.m4a");
        app.rewrite(user, doc! { "$set": { "recordedVoice": binary(older) } }).await;
    }
    let said = ops(&app, &["migrate", "--yes"]).await.unwrap();
    assert!(!app.stored(&bob).await.contains_key("recordedVoice"), "its owner has deleted it");
    assert!(app.stored(&ada).await.contains_key("recordedVoice"), "it is nowhere else");
    assert!(
        said.contains(&format!("Skipped: account {}: its recording: An older one stays", ada.id)),
        "{said}"
    );
    assert_eq!(app.s3().keys(), [format!("recordings/{}", ada.id)]);
    assert_eq!(app.get_as(&ada, "/users/me/voice/meta").await.json()["mime_type"], "audio/webm");
}

#[tokio::test]
async fn migrate_does_not_overwrite_another_recording_in_s3() {
    let app = TestApp::new().await;
    let mut account = earlier("ada");
    account.insert("recordedVoice", binary(WEBM));
    let id = insert(&app, account).await;
    let put = app.s3().client().put_object().bucket(tests::fakes::s3::BUCKET);
    put.key(format!("recordings/{id}")).body(b"newer".to_vec().into()).send().await.unwrap();
    let said = ops(&app, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains("S3 holds another one"), "{said}");
    assert!(read(&app, id).await.contains_key("recordedVoice"));
    let there = app.s3().client().get_object().bucket(tests::fakes::s3::BUCKET);
    let there = there.key(format!("recordings/{id}")).send().await.unwrap();
    assert_eq!(there.body.collect().await.unwrap().to_vec(), b"newer");
}

#[tokio::test]
async fn migrate_reports_usernames_that_differ_in_case_alone() {
    let app = TestApp::new().await;
    let eve = app.register("eve").await;
    let (one, two) = (insert(&app, earlier("Ada")).await, insert(&app, earlier("ada")).await);
    let mut third = earlier("Eve");
    third.insert("email", "other@example.com");
    let third = insert(&app, third).await;
    let said = ops(&app, &["migrate", "--yes"]).await.unwrap();
    for (id, fields) in
        [(one, &["username", "email"] as &[_]), (two, &["username", "email"]), (third, &["username"])]
    {
        let stored = read(&app, id).await;
        for field in fields {
            assert!(said.contains(&format!("Skipped: account {id}: another account has the same {field}")));
            assert!(!stored.contains_key(format!("{field}_key")), "{stored}");
        }
    }
    assert_eq!(read(&app, third).await.get_str("email_key").unwrap(), "other@example.com");
    assert_eq!(app.stored(&eve).await.get_str("username_key").unwrap(), "eve");
    assert!(!said.contains("example.com"), "reports name nobody: {said}");
}

#[tokio::test]
async fn migrate_clears_a_stale_clone_id_and_deletes_no_foreign_voice() {
    let app = TestApp::new().await;
    let voice_id = app.elevenlabs().seed_voice("Ada's voice", "cloned", Some(1));
    let mut account = earlier("ada");
    account.insert("voice_clone_id", &voice_id);
    let id = insert(&app, account).await;
    let mut account = earlier("bob");
    account.insert("voice_clone_id", "GoneLongAgo000000000");
    let gone = insert(&app, account).await;
    // A perform that runs has a clone by right.
    let eve = app.performer("eve").await;
    let lease =
        doc! { "id": ObjectId::new(), "until": DateTime::MAX, "period": "2026-11", "reserved": 1_i64 };
    app.rewrite(&eve, doc! { "$set": { "lease": lease, "voice_clone_id": "TheLivingOne00000000" } }).await;

    let dry = ops(&app, &["migrate"]).await.unwrap();
    assert!(dry.contains(&format!("account {id}: its voice {voice_id} is still at ElevenLabs")), "{dry}");
    let said = ops(&app, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains("voice_clone_id GoneLongAgo000000000 cleared"), "{said}");
    let kept = read(&app, id).await;
    assert_eq!(kept.get_array("earlier_voice_ids").unwrap(), &[Bson::from(voice_id.as_str())]);
    let left = |said: &str| said.lines().filter(|line| line.starts_with("Skipped:")).count();
    assert_eq!(left(&said), 1, "{said}");
    assert_eq!(left(&ops(&app, &["migrate", "--yes"]).await.unwrap()), 1, "as long as it is there");
    assert!(said.contains("clone ids cleared           2\n"), "{said}");
    for id in [id, gone] {
        assert_eq!(read(&app, id).await.get("voice_clone_id"), Some(&Bson::Null));
    }
    assert_eq!(app.stored(&eve).await.get_str("voice_clone_id").unwrap(), "TheLivingOne00000000");
    assert!(app.elevenlabs().state().deleted.is_empty());
}

#[tokio::test]
async fn migrate_reports_accounts_that_nobody_can_sign_in_to() {
    let app = TestApp::new().await;
    let mut account = earlier("ada");
    account.remove("email");
    account.remove("password");
    let id = insert(&app, account).await;
    users(&app).insert_one(doc! { "_id": "bob", "username": "bob" }).await.unwrap();
    let said = ops(&app, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains(&format!("Skipped: account {id}: it has no email.")), "{said}");
    assert!(said.contains("nobody can sign in to it without email, password."), "{said}");
    assert!(said.contains("Skipped: 1 accounts whose ids are not ObjectIds."), "{said}");
}

#[tokio::test]
async fn migrate_moves_a_thousand_accounts_in_batches() {
    let app = TestApp::new().await;
    // In messages so short that a busy server replies before the driver repeats one.
    for hundred in 0..10 {
        let accounts = (0..100).map(|number| earlier(&format!("User{hundred}{number:02}")));
        users(&app).insert_many(accounts).await.unwrap();
    }
    let begun = app.wire().commands().len();
    let said = ops(&app, &["migrate", "--yes", "--batch", "64"]).await.unwrap();
    assert!(said.contains("accounts                    1000\n"), "{said}");
    assert!(said.contains("updated                     1000\n"), "{said}");
    let updates = app.wire().commands()[begun..].iter().filter(|command| command.name == "update").count();
    assert_eq!(updates, 1000, "each account by itself");
    let unkeyed =
        doc! { "$or": [{ "username_key": null }, { "email_key": null }, { "settings.language": "es" }] };
    assert_eq!(users(&app).count_documents(unkeyed).await.unwrap(), 0);
    sign_in(&app, "user999").await;
}
