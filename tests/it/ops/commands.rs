//! `cargo ops`: what an operator does, on the commands' own lines.

use clap::Parser as _;
use mongodb::bson::{Document, doc, oid::ObjectId};
use ops::Ops;
use serde_json::json;
use shared::env::Env;
use tests::{
    fakes::faults::{Fault, Operation},
    harness::{TestApp, registration},
};

use crate::db_snapshot::Stored;

/// Runs a command on an app's deployment; gives what it printed, or why it failed.
pub async fn ops(app: &TestApp, words: &[&str]) -> Result<String, String> {
    let ops = Ops::try_parse_from(["cargo ops"].iter().chain(words)).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    let ran = ops.run(app.services.env.clone(), app.clock.clone(), &mut out).await;
    let said = String::from_utf8(out).expect("text");
    ran.map(|()| said.clone()).map_err(|failure| format!("{said}{failure}"))
}

#[tokio::test]
async fn ops_change_nothing_without_yes() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.rewrite(&ada, doc! { "$unset": { "username_key": "" }, "$set": { "recordedVoice": "x" } }).await;
    plant_leftovers(&app, &ada.id).await;
    let users = app.backend.database.collection::<Document>("users");
    users.drop_index("email_key").await.unwrap();
    let before = Stored::of(&app).await;
    let indexes = users.list_index_names().await.unwrap();
    for words in [
        &["codes", "3"] as &[&str],
        &["admin", &format!("{}@example.com", ada.username)],
        &["sweep"],
        &["status"],
        &["indexes"],
        &["migrate"],
    ] {
        let said = ops(&app, words).await.unwrap();
        assert!(words == ["status"] || said.contains("Dry run: pass --yes to apply."), "{words:?}: {said}");
        assert!(Stored::of(&app).await == before, "{words:?} changed something");
    }
    assert_eq!(users.list_index_names().await.unwrap(), indexes);
    assert_eq!(app.elevenlabs().state().deleted.len(), 0);
}

#[tokio::test]
async fn ops_codes_are_printed_one_a_line_and_each_makes_an_account() {
    let app = TestApp::new().await;
    let said = ops(&app, &["codes", "3", "--yes"]).await.unwrap();
    let codes: Vec<&str> = said.lines().collect();
    assert_eq!(codes.len(), 3);
    for (name, code) in ["ada", "bob", "eve"].into_iter().zip(codes) {
        assert_eq!(app.post("/auth/register", &registration(name, code)).await.status, 201);
    }
    for count in ["0", "1001", "some", "-1"] {
        assert!(ops(&app, &["codes", count, "--yes"]).await.is_err(), "{count}");
    }
}

#[tokio::test]
async fn ops_admin_grants_and_revokes_the_role() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let status = async || app.post_as(&ada, "/activation/codes", &json!({ "count": 1 })).await.status;
    assert_eq!(status().await, 403);
    assert_eq!(ops(&app, &["admin", "ADA", "--yes"]).await.unwrap(), "ada is an admin.\n");
    assert_eq!(status().await, 201);
    assert_eq!(ops(&app, &["admin", "ada", "--yes"]).await.unwrap(), "ada is already an admin.\n");
    ops(&app, &["admin", "ada", "--revoke", "--yes"]).await.unwrap();
    assert_eq!(status().await, 403);
    let failure = ops(&app, &["admin", "nobody", "--yes"]).await.unwrap_err();
    assert_eq!(failure, "There is no account nobody.");
}

#[tokio::test]
async fn ops_clone_limit_is_set_for_one_account_and_taken_back() {
    let app = TestApp::new().await;
    let (ada, bob) = (app.register("ada").await, app.register("bob").await);
    let limit = async |user| app.get_as(user, "/usage").await.json()["clonesLimit"].clone();
    ops(&app, &["clone-limit", "ADA", "90"]).await.unwrap();
    assert_eq!(limit(&ada).await, 30, "a dry run");
    let said = ops(&app, &["clone-limit", "ADA", "90", "--yes"]).await.unwrap();
    assert_eq!(said, "ada's voice creations per month: 90, before the deployment's limit.\n");
    assert_eq!((limit(&ada).await, limit(&bob).await), (json!(90), json!(30)));
    ops(&app, &["clone-limit", "ada", "--yes"]).await.unwrap();
    assert_eq!(limit(&ada).await, 30);
    let failure = ops(&app, &["clone-limit", "nobody", "1", "--yes"]).await.unwrap_err();
    assert_eq!(failure, "There is no account nobody.");
}

#[tokio::test]
async fn ops_sweep_says_what_it_would_delete_and_then_deletes_just_that() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let foreign = app.elevenlabs().seed_voice("My own voice", "cloned", Some(1));
    let orphan = plant_leftovers(&app, &ada.id).await;

    let plan = ops(&app, &["sweep"]).await.unwrap();
    assert!(plan.contains(&orphan) && !plan.contains(&foreign), "{plan}");
    assert!(plan.contains("Would delete 1 voices, free 1 slots and 1 users"), "{plan}");
    let done = ops(&app, &["sweep", "--yes"]).await.unwrap();
    assert!(done.starts_with("voices deleted          1\n"), "{done}");
    assert!(done.contains("slots and users freed   2\n"), "{done}");
    let living: Vec<String> =
        app.elevenlabs().state().existing.into_iter().map(|voice| voice.voice_id).collect();
    assert_eq!(living, [foreign]);
    assert_eq!(app.held_slots().await, 0);
}

#[tokio::test]
async fn ops_sweep_that_leaves_a_voice_fails_and_says_so() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    plant_leftovers(&app, &ada.id).await;
    app.elevenlabs().faults().always(Operation::Delete, Fault::html_503());
    let failure = ops(&app, &["sweep", "--yes"]).await.unwrap_err();
    assert!(failure.contains("Not every voice could be deleted"), "{failure}");
    assert_eq!(app.held_slots().await, 1);
}

#[tokio::test]
async fn ops_status_tells_the_budget_the_slots_and_the_users_that_are_held() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let quiet = ops(&app, &["status"]).await.unwrap();
    assert!(
        quiet.contains("creations    0 of ") && quiet.contains("slots        0 of 10 in use\n"),
        "{quiet}"
    );
    assert_eq!(app.perform(&ada, "seven of hearts").await.status, 200);
    let orphan = plant_leftovers(&app, &ada.id).await;
    let said = ops(&app, &["status"]).await.unwrap();
    assert!(said.contains("creations    1 of "), "{said}");
    assert!(said.contains("slots        1 of 10 in use\n") && said.contains(&orphan), "{said}");
    assert!(said.contains("its perform died; the sweep will free it\n"), "{said}");
    assert!(said.contains("leases       0 running, 1 expired (the sweep will free them)\n"), "{said}");
}

#[tokio::test]
async fn ops_indexes_names_and_makes_what_is_missing() {
    let app = TestApp::new().await;
    app.register("ada").await;
    let users = app.backend.database.collection::<Document>("users");
    assert_eq!(ops(&app, &["indexes"]).await.unwrap(), "All indexes exist.\n");
    users.drop_index("email_key").await.unwrap();
    assert!(ops(&app, &["indexes"]).await.unwrap().starts_with("Would create users.email_key.\n"));
    assert_eq!(ops(&app, &["indexes", "--yes"]).await.unwrap(), "Created users.email_key.\n");
    assert_eq!(ops(&app, &["indexes", "--yes"]).await.unwrap(), "All indexes exist.\n");

    users.drop_index("email_key").await.unwrap();
    for name in ["bob", "eve"] {
        app.register(name).await;
    }
    users.update_many(doc! {}, doc! { "$set": { "email_key": "same@example.com" } }).await.unwrap();
    let failure = ops(&app, &["indexes", "--yes"]).await.unwrap_err();
    assert!(failure.contains("two accounts have the same value"), "{failure}");
}

#[tokio::test]
async fn ops_indexes_of_a_fresh_deployment_lack_all_and_then_none() {
    let app = TestApp::new().await;
    app.backend.database.drop().await.unwrap();
    let said = ops(&app, &["indexes"]).await.unwrap();
    for index in ["users.username_key", "users.activation_code", "users.lease_until", "attempts.expires_at"] {
        assert!(said.contains(index), "{said}");
    }
    ops(&app, &["indexes", "--yes"]).await.unwrap();
    assert_eq!(ops(&app, &["indexes"]).await.unwrap(), "All indexes exist.\n");
}

#[tokio::test]
async fn ops_errors_are_plain_and_hold_no_secret() {
    let app = TestApp::new().await;
    let failure = async |variable: &'static str, value: &str, words: &[&str]| {
        let mut env = app.services.env.clone();
        env.extend([(variable, value)]);
        let ops = Ops::try_parse_from(["cargo ops"].iter().chain(words)).unwrap();
        ops.run(env, app.clock.clone(), &mut Vec::new()).await.unwrap_err().to_string()
    };
    assert!(failure("STAGE", "", &["status"]).await.contains("the environment variable STAGE is missing"));
    assert!(failure("ELEVENLABS_API_KEY", "", &["sweep"]).await.contains("ELEVENLABS_API_KEY is missing"));
    assert_eq!(
        failure("ELEVENLABS_API_KEY", "wrong-secret", &["status"]).await,
        "ElevenLabs failed: refused with 401 invalid_api_key."
    );
    let gone = failure("MONGODB_URI", "mongodb://ada:wrong-secret@127.0.0.1:1/", &["indexes"]).await;
    assert_eq!(gone, "MongoDB failed: server selection timed out.");
}

#[tokio::test]
async fn ops_env_file_wins_over_the_environment() {
    let app = TestApp::new().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines = app.services.env.clone().into_iter().map(|(name, value)| format!("{name}='{value}'\n"));
    std::fs::write(file.path(), lines.collect::<String>()).unwrap();
    let words = ["cargo ops", "codes", "1", "--yes", "--env-file", file.path().to_str().unwrap()];
    let mut out = Vec::new();
    let env = Env::from_iter([("MONGODB_URI", "mongodb://127.0.0.1:1/")]);
    Ops::try_parse_from(words).unwrap().run(env, app.clock.clone(), &mut out).await.unwrap();
    let code = String::from_utf8(out).unwrap();
    assert_eq!(app.post("/auth/register", &registration("ada", code.trim())).await.status, 201);
}

/// What a killed perform leaves: a voice, its slot and its user's lease, all run out. Gives the voice's id.
async fn plant_leftovers(app: &TestApp, user_id: &str) -> String {
    let (lease_id, user_id) = (ObjectId::new(), ObjectId::parse_str(user_id).unwrap());
    let voice_id = app.elevenlabs().seed_voice(&format!("newvisions:test:{lease_id}"), "cloned", Some(1));
    let past = mongodb::bson::DateTime::from_millis(1_000);
    let slots = app.backend.database.collection::<Document>("clone_slots");
    let held =
        doc! { "held": [{ "lease_id": lease_id, "user_id": user_id, "until": past, "voice_id": &voice_id }] };
    slots.update_one(doc! { "_id": "test" }, doc! { "$set": held }).upsert(true).await.unwrap();
    let lease = doc! { "id": lease_id, "until": past, "period": "2026-11", "reserved": 10_i64 };
    let users = app.backend.database.collection::<Document>("users");
    let held = doc! { "$set": { "lease": lease, "voice_clone_id": &voice_id } };
    users.update_one(doc! { "_id": user_id }, held).await.unwrap();
    voice_id
}
