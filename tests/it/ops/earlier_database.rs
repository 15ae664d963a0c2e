//! `cargo ops migrate` on the earlier backend's documents: those that it wrote itself
//! (`tests/fixtures/earlier_database/`), and mixtures of all their forms.

use http::Method;
use mongodb::{
    Collection, IndexModel,
    bson::{Binary, Bson, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype},
    options::IndexOptions,
};
use serde_json::{Value, json};
use tests::{
    fakes::mongodb_wire::{Command, Fault},
    harness::{PASSWORD, TestApp, User, WEBM, base64, registration, routine},
};

use super::commands::ops;
use crate::db_snapshot::Stored;

const MP3: &[u8] = include_bytes!("../../fixtures/recordings/speech-34s.mp3");
const NEW_PASSWORD: &str = "a fresh secret for the show";
/// Username, password and printed code of the accounts in the fixtures.
const PERFORMERS: [(&str, &str, Option<&str>); 5] = [
    ("Merlin", "abracadabra-1", Some("Zc0ZsfiCCKF")),
    ("selene_m", "opensesame-22", Some("xp0KL08giZl")),
    ("Tom.O", "hocuspocus-333", Some("AUXv3d7hSxn")),
    ("Nico", "abracadabra-1", None),
    ("ana", "opensesame-22", None),
];
const UNUSED: [&str; 5] = ["rCIz5zAQrx9", "JNNCLyO93aa", "yrq1dPwIEsL", "68y25po7snz", "aOan0CH7R8S"];

fn collection(app: &TestApp, name: &str) -> Collection<Document> {
    app.backend.database.collection(name)
}

fn binary(bytes: &[u8]) -> Bson {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }.into()
}

/// MongoDB's Extended JSON, with the recordings' bytes in place of their names.
fn documents(json: &str) -> Vec<Document> {
    let mut documents: Vec<Document> = serde_json::from_str(json).unwrap();
    for document in &mut documents {
        for member in ["recordedVoice", "recordedVoiceBinary"] {
            if document.get_str(member).is_ok() {
                document.insert(member, binary(MP3));
            }
        }
    }
    documents
}

/// The earlier backend's database, with its unique indexes.
async fn fill(app: &TestApp, users: Vec<Document>, codes: Vec<Document>) {
    for (name, field, documents) in
        [("users", "username", users), ("users", "email", vec![]), ("activation_codes", "code", codes)]
    {
        let options = IndexOptions::builder().unique(true).build();
        let index = IndexModel::builder().keys(doc! { field: 1 }).options(options).build();
        collection(app, name).create_index(index).await.unwrap();
        if !documents.is_empty() {
            collection(app, name).insert_many(documents).await.unwrap();
        }
    }
}

async fn with_fixtures() -> TestApp {
    let app = TestApp::new().await;
    let users = documents(include_str!("../../fixtures/earlier_database/users.json"));
    let codes = documents(include_str!("../../fixtures/earlier_database/activation_codes.json"));
    fill(&app, users, codes).await;
    app
}

async fn login(app: &TestApp, login: &str, password: &str) -> tests::harness::Response {
    app.post("/auth/login", &json!({ "username": login, "password": password })).await
}

async fn sign_in(app: &TestApp, name: &str, password: &str) -> User {
    let response = login(app, name, password).await;
    assert_eq!(response.status, 200, "{name}: {response:?}");
    User::signed_in(&response, String::new())
}

async fn reset(app: &TestApp, email: &str, code: &str) -> tests::harness::Response {
    let body = json!({ "email": email, "activation_code": code, "new_password": NEW_PASSWORD });
    app.post("/activation/reset-password", &body).await
}

/// The lines that name documents, without how they begin in a dry run.
fn changes(said: &str) -> Vec<&str> {
    let change = |line| str::strip_prefix(line, "Would change: ").or_else(|| line.strip_prefix("Changed: "));
    said.lines().filter_map(change).collect()
}

#[tokio::test]
async fn earlier_database_is_named_as_the_reason_until_it_is_migrated() {
    let app = with_fixtures().await;
    let before = Stored::of(&app).await;
    login(&app, "Merlin", "abracadabra-1").await.assert_problem(503, "database_not_migrated");
    let code = app.post("/activation/verify", &json!({ "code": UNUSED[0] })).await;
    code.assert_problem(503, "database_not_migrated");
    let registered = app.post("/auth/register", &registration("ada", UNUSED[0])).await;
    registered.assert_problem(503, "database_not_migrated");
    let forgotten = reset(&app, "merlin@example.com", "Zc0ZsfiCCKF").await;
    forgotten.assert_problem(503, "database_not_migrated");
    for words in [&["codes", "2", "--yes"] as &[&str], &["admin", "Merlin", "--yes"]] {
        let failure = ops(&app, words).await.unwrap_err();
        assert!(failure.contains("run `cargo ops migrate` first"), "{failure}");
    }
    let status = ops(&app, &["status"]).await.unwrap();
    assert!(status.contains("in the earlier backend's form: 5 accounts and 8 activation codes"), "{status}");
    collection(&app, "attempts").delete_many(doc! {}).await.unwrap();
    assert!(Stored::of(&app).await == before, "nothing was changed");

    ops(&app, &["migrate", "--yes"]).await.unwrap();
    login(&app, "Merlin", "wrong").await.assert_problem(401, "invalid_credentials");
    login(&app, "nobody", "wrong").await.assert_problem(401, "invalid_credentials");
    let status = ops(&app, &["status"]).await.unwrap();
    assert!(status.starts_with("database     in the current form\n"), "{status}");
    // Once nothing is left, failures cost no look any more.
    let asked = app.wire().commands().len();
    login(&app, "nobody", "wrong").await.assert_problem(401, "invalid_credentials");
    let looks_at_codes = |command: &Command| command.collection.as_deref() == Some("activation_codes");
    assert!(!app.wire().commands()[asked..].iter().any(looks_at_codes));
}

#[tokio::test]
async fn earlier_database_dry_run_says_exactly_what_the_run_then_does() {
    let app = with_fixtures().await;
    let before = Stored::of(&app).await;
    let dry = ops(&app, &["migrate"]).await.unwrap();
    assert!(Stored::of(&app).await == before);
    let said = ops(&app, &["migrate", "--yes"]).await.unwrap();
    assert_eq!(changes(&dry), changes(&said));
    assert_eq!(changes(&said).len(), 3 + 5 + 8, "{said}");
    for line in [
        "index activation_codes.code_1: dropped, because it refuses today's documents.",
        "account 6b06bb1cc759404e96a758ea: recording (recordedVoice, 34.4 s of audio/mpeg) to S3; password; unique \
         username; unique email; settings (voice_language \"es\", speaker_sex \"male\", voice_stability 70, \
         voice_similarity 85, background_sound true, background_volume 50); voice_clone_id aaaabbbbccccddddeeee cleared.",
        "activation code 6b06b53821b77193298fcf65: used by account 6b06b53fabb2fc8440049729.",
        "activation code 6b06b53821b77193298fcf68: unused.",
    ] {
        assert!(changes(&said).contains(&line), "{line}\nin:\n{said}");
    }
    assert!(said.contains("accounts                    5\nupdated                     5\n"), "{said}");
    assert!(said.contains("recordings moved            4\nclone ids cleared           4\n"), "{said}");
    assert!(said.contains("codes converted             8\nneeds manual action         0\n"), "{said}");
    for secret in UNUSED.iter().chain(&["Merlin", "example.com", "$2b$"]) {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
    let migrated = Stored::of(&app).await;
    let again = ops(&app, &["migrate", "--yes"]).await.unwrap();
    assert_eq!(changes(&again), Vec::<&str>::new());
    assert!(Stored::of(&app).await == migrated, "nothing to do");
}

#[tokio::test]
async fn earlier_database_performers_sign_in_perform_and_reset_with_their_printed_codes() {
    let app = with_fixtures().await;
    ops(&app, &["migrate", "--yes"]).await.unwrap();
    for (username, password, code) in PERFORMERS {
        let email = format!("{username}@EXAMPLE.com").to_lowercase();
        sign_in(&app, &email, password).await;
        let performer = sign_in(&app, &username.to_uppercase(), password).await;
        let settings = app.get_as(&performer, "/users/me/settings").await.json();
        let expected = match username {
            "ana" => json!(["en", "male", 50, 75, false, 30]),
            "Nico" => json!(["es", "male", 70, 85, true, 50]),
            _ => json!(["es", "female", 61, 77, true, 20]),
        };
        let members =
            ["voice_language", "speaker_sex", "voice_stability", "voice_similarity", "background_sound"];
        let read: Vec<&Value> =
            members.iter().chain(&["background_volume"]).map(|name| &settings[name]).collect();
        assert_eq!(json!(read), expected, "{username}");
        let meta = app.get_as(&performer, "/users/me/voice/meta").await.json();
        assert_eq!(meta["hasSample"], json!(username != "ana"), "{username}");
        let request = app.client.perform(&performer, &routine("seven of hearts"));
        let response = tests::harness::send(request).await;
        assert_eq!(response.status, if username == "ana" { 409 } else { 200 }, "{response:?}");
        assert_eq!(app.get_as(&performer, "/usage").await.json()["charCount"] == json!(0), username == "ana");

        if let Some(code) = code {
            reset(&app, &email, &code.to_lowercase()).await.assert_problem(422, "invalid_activation_code");
            assert_eq!(reset(&app, &email, code).await.status, 204, "{username}");
            reset(&app, &email, code).await.assert_problem(422, "invalid_activation_code");
            sign_in(&app, username, NEW_PASSWORD).await;
            let taken = app.post("/auth/register", &registration("eve", code)).await;
            taken.assert_problem(409, "activation_code_used");
        }
    }
    let created = app.elevenlabs().state().created;
    assert!(created.len() == 4 && created.iter().all(|voice| voice.sample_bytes == MP3.len()), "{created:?}");

    for (number, code) in UNUSED.iter().enumerate() {
        let valid =
            app.client_from(2).request(Method::POST, "/activation/verify").json(&json!({ "code": code }));
        assert_eq!(valid.send().await.unwrap().json()["valid"], true, "{code}");
        let register = |name: String| app.client_from(3).register(&name, code);
        assert_eq!(register(format!("new{number}")).send().await.unwrap().status, 201, "{code}");
        assert_eq!(register(format!("other{number}")).send().await.unwrap().status, 409, "{code}");
    }
    assert_eq!(ops(&app, &["codes", "3", "--yes"]).await.unwrap().lines().count(), 3);
    let admin = sign_in(&app, "ana", "opensesame-22").await;
    app.make_admin(&admin).await;
    assert_eq!(app.post_as(&admin, "/activation/codes", &json!({ "count": 3 })).await.status, 201);
}

#[tokio::test]
async fn earlier_database_several_codes_of_one_account_each_reset_it_once() {
    let app = TestApp::new().await;
    let account = ObjectId::new();
    let user = doc! { "_id": account, "username": "Ada", "email": "ada@example.com", "password": hash() };
    let code = |code: &str, has_reset: bool| {
        let by = if has_reset { Bson::from(account) } else { Bson::Null };
        doc! {
            "_id": ObjectId::new(), "code": code, "used": true, "used_at": DateTime::from_millis(1_000),
            "used_by": account, "used_for_password_reset": has_reset, "password_reset_by": by,
        }
    };
    fill(
        &app,
        vec![user],
        vec![code("abcdefghij1", false), code("ABCDEFGHIJ1", false), code("spent000000", true)],
    )
    .await;
    ops(&app, &["migrate", "--yes"]).await.unwrap();
    for (code, status) in [
        ("spent000000", 422),
        ("abcdefghij1", 204),
        ("abcdefghij1", 422),
        ("ABCDEFGHIJ1", 204),
        ("ABCDEFGHIJ1", 422),
    ] {
        assert_eq!(reset(&app, "ada@example.com", code).await.status, status, "{code}");
    }
    // Deleting the account leaves all of them used.
    let ada = sign_in(&app, "ada", NEW_PASSWORD).await;
    let deleted = app.send_as(&ada, Method::DELETE, "/users/me", &json!({ "password": NEW_PASSWORD })).await;
    assert_eq!(deleted.status, 204);
    for code in ["spent000000", "abcdefghij1", "ABCDEFGHIJ1"] {
        let register = app.post("/auth/register", &registration("eve", code)).await;
        register.assert_problem(409, "activation_code_used");
    }
}

#[tokio::test]
async fn earlier_database_odd_passwords_lock_out_their_account_alone() {
    let app = TestApp::new().await;
    let account = |name: &str, password: Bson| {
        let email = format!("{name}@example.com");
        doc! { "_id": ObjectId::new(), "username": name, "email": email, "password": password }
    };
    let odd = [Bson::Null, Bson::Int32(7), doc! { "x": 1 }.into(), "not a hash".into(), binary(&[255, 0])];
    let mut users = vec![account("ada", hash().into())];
    users.extend(odd.into_iter().enumerate().map(|(n, password)| account(&format!("odd{n}"), password)));
    let ids: Vec<ObjectId> = users.iter().map(|user| user.get_object_id("_id").unwrap()).collect();
    let code = doc! { "_id": ObjectId::new(), "code": "abcdefghij1", "used": true, "used_by": ids[4] };
    fill(&app, users, vec![code]).await;
    let said = ops(&app, &["migrate", "--yes"]).await.unwrap();
    for id in &ids[1..] {
        assert!(said.contains(&format!("Skipped: account {id}: ")), "{said}");
    }
    for number in 0..5 {
        let refused = login(&app, &format!("odd{number}"), "not a hash").await;
        refused.assert_problem(401, "invalid_credentials");
    }
    sign_in(&app, "ada", PASSWORD).await;
    assert_eq!(reset(&app, "odd3@example.com", "abcdefghij1").await.status, 204);
    sign_in(&app, "odd3", NEW_PASSWORD).await;
}

#[tokio::test]
async fn earlier_database_codes_that_a_person_must_look_at_are_named() {
    let app = TestApp::new().await;
    let (gone, unknown, malformed, unused) =
        (ObjectId::new(), ObjectId::new(), ObjectId::new(), ObjectId::new());
    let nobody = ObjectId::new();
    let codes = vec![
        doc! { "_id": gone, "code": "gone0000000", "used": true, "used_by": nobody },
        doc! { "_id": unknown, "code": "unknown0000", "used": true, "used_at": Bson::Null },
        doc! { "_id": malformed, "code": "not a code!", "used": false },
        doc! { "_id": unused, "code": "unused00000", "used": false, "note": "for the fair" },
    ];
    fill(&app, vec![], codes).await;
    let said = ops(&app, &["migrate", "--yes"]).await.unwrap();
    for (id, why) in [
        (gone, format!("account {nobody}, which used it, is gone")),
        (unknown, String::from("it is used, but not known by whom")),
        (malformed, String::from("it is not 11 letters and digits")),
    ] {
        assert!(said.contains(&format!("Skipped: activation code {id}: {why}.\n")), "{said}");
    }
    for (code, status) in [("gone0000000", 409), ("unknown0000", 409), ("unused00000", 201)] {
        assert_eq!(app.post("/auth/register", &registration("ada", code)).await.status, status, "{code}");
    }
    let kept =
        collection(&app, "activation_codes").find_one(doc! { "_id": "unused00000" }).await.unwrap().unwrap();
    assert_eq!(kept.get_str("note").unwrap(), "for the fair");
    assert_eq!(kept.get_object_id("earlier_id").unwrap(), unused);
    assert_eq!(kept.get_datetime("created_at").unwrap(), &unused.timestamp());
    let left = collection(&app, "activation_codes").find_one(doc! { "_id": malformed }).await.unwrap();
    assert_eq!(left.unwrap().get_str("code").unwrap(), "not a code!");
    // What is left hides nothing from those who type a wrong code.
    let wrong = app.post("/auth/register", &registration("bob", "wrong000000")).await;
    wrong.assert_problem(422, "invalid_activation_code");
}

#[tokio::test]
async fn earlier_database_mixtures_of_all_generations_are_migrated_once_and_for_all() {
    let app = TestApp::new().await;
    let mut random = fastrand::Rng::with_seed(12);
    let recordings: [(&[(&str, Bson)], bool); 6] = [
        (&[], false),
        (&[("recordedVoice", Bson::Null), ("recordedVoiceBinary", Bson::Null)], false),
        (&[("recordedVoice", Bson::Null), ("recordedVoiceBinary", binary(MP3))], true),
        (&[("recordedVoice", binary(MP3))], true),
        (&[("recordedVoice", base64(MP3).into())], true),
        (&[("recordedVoice", format!("data:audio/mpeg;base64,{}", base64(MP3)).into())], true),
    ];
    let settings: [(Bson, Value); 6] = [
        (Bson::Null, json!(["en", 50, 75, 30])),
        (
            doc! { "language": "english", "stability": 1, "background_volume": 1 }.into(),
            json!(["en", 100, 75, 100]),
        ),
        (
            doc! { "language": "es", "voice_similarity": 1.0, "sex": "female" }.into(),
            json!(["es", 50, 100, 30]),
        ),
        (
            doc! { "voice_language": "fr", "voice_stability": 1, "voice_similarity": 0 }.into(),
            json!(["fr", 1, 0, 30]),
        ),
        (
            doc! {
                "voice_language": "it", "language": "german", "voice_stability": 61, "stability": 0.2,
                "voice_similarity": 0.85, "background_volume": 0.25,
            }
            .into(),
            json!(["it", 61, 85, 25]),
        ),
        (doc! { "voice_language": "Portuguese", "OS": "ios" }.into(), json!(["pt", 50, 75, 30])),
    ];
    let mut users = Vec::new();
    let mut expected = Vec::new();
    for number in 0..18 {
        let (recording, has_recording) = &recordings[number % recordings.len()];
        let (stored, read) = &settings[(number + number / recordings.len()) % settings.len()];
        let text = String::from_utf8(hash().bytes).unwrap();
        let mut user = doc! {
            "_id": ObjectId::new(), "username": format!("User{number}"), "email": format!("u{number}@Example.com"),
            "password": if random.bool() { Bson::from(hash()) } else { Bson::from(text) },
            "charCount": 4711, "voice_clone_id": if random.bool() { "stub_1".into() } else { Bson::Null },
        };
        if random.bool() {
            user.insert("created_at", DateTime::from_millis(1_000));
        }
        if *stored != Bson::Null || random.bool() {
            user.insert("settings", stored.clone());
        }
        user.extend(recording.iter().map(|(member, value)| ((*member).to_owned(), value.clone())));
        expected.push((format!("user{number}"), *has_recording, read));
        users.push(user);
    }
    fill(&app, users, vec![]).await;
    let said = ops(&app, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains("needs manual action         0\n"), "{said}");
    let once = Stored::of(&app).await;
    let again = ops(&app, &["migrate", "--yes"]).await.unwrap();
    assert!(changes(&again).is_empty() && Stored::of(&app).await == once, "{again}");
    for (username, has_recording, read) in expected {
        let user = sign_in(&app, &username, PASSWORD).await;
        let settings = app.get_as(&user, "/users/me/settings").await.json();
        let members = ["voice_language", "voice_stability", "voice_similarity", "background_volume"];
        let found: Vec<&Value> = members.iter().map(|name| &settings[name]).collect();
        assert_eq!(json!(found), *read, "{username}");
        let meta = app.get_as(&user, "/users/me/voice/meta").await.json();
        assert_eq!(meta["hasSample"], has_recording, "{username}");
        assert_eq!(app.char_count(&user).await, 0, "the old counter names no month");
    }
}

#[tokio::test]
async fn earlier_database_a_refused_recording_goes_when_its_owner_records_anew() {
    let app = TestApp::new().await;
    let id = ObjectId::new();
    let cut = binary(&MP3[..MP3.len() / 3]);
    let user = doc! {
        "_id": id, "username": "ada", "email": "ada@example.com", "password": hash(), "recordedVoiceBinary": cut.clone(),
    };
    fill(&app, vec![user], vec![]).await;
    let said = ops(&app, &["migrate", "--yes"]).await.unwrap();
    assert!(said.contains(&format!("Skipped: account {id}: its recording: ")), "{said}");
    let ada = sign_in(&app, "ada", PASSWORD).await;
    assert_eq!(app.stored(&ada).await.get("recordedVoiceBinary"), Some(&cut));
    app.perform(&ada, "seven of hearts").await.assert_problem(409, "voice_required");
    assert_eq!(app.upload(&ada, WEBM).await.status, 200);
    assert!(!app.stored(&ada).await.contains_key("recordedVoiceBinary"));
    assert_eq!(app.perform(&ada, "seven of hearts").await.status, 200);
}

#[tokio::test]
async fn earlier_database_migration_that_is_interrupted_at_any_write_is_finished_by_the_next() {
    let account = ObjectId::from_bytes([1; 12]);
    let user = doc! {
        "_id": account, "username": "Ada", "email": "ada@example.com", "password": hash(),
        "recordedVoiceBinary": binary(WEBM), "settings": { "language": "spanish", "stability": 0.5 },
    };
    let codes = vec![
        doc! { "_id": ObjectId::from_bytes([2; 12]), "code": "abcdefghij1", "used": true, "used_by": account },
        doc! { "_id": ObjectId::from_bytes([3; 12]), "code": "ABCDEFGHIJ1", "used": false },
    ];
    let app = TestApp::new().await;
    let mut finished: Option<Stored> = None;
    // The number of writes of each kind.
    for (name, collection, writes) in [
        ("dropIndexes", "activation_codes", 1),
        ("dropIndexes", "users", 2),
        ("update", "users", 3),
        ("update", "activation_codes", 2),
        ("delete", "activation_codes", 2),
    ] {
        for write in 0..writes {
            for fault in [Fault::CutBefore, Fault::CutAfter] {
                app.backend.database.drop().await.unwrap();
                for key in app.s3().keys() {
                    let delete = app.s3().client().delete_object().bucket(tests::fakes::s3::BUCKET);
                    delete.key(key).send().await.unwrap();
                }
                fill(&app, vec![user.clone()], codes.clone()).await;
                app.wire().inject(write, Some(name), Some(collection), Fault::Pass);
                app.wire().inject(1, Some(name), Some(collection), fault);
                // The driver's own retry fails as well.
                app.wire().inject(9, Some(name), Some(collection), Fault::CutBefore);
                let failure = ops(&app, &["migrate", "--yes"]).await.unwrap_err();
                assert!(failure.contains("MongoDB failed"), "{name} {collection} {write}: {failure}");
                app.wire().reset();
                ops(&app, &["migrate", "--yes"]).await.unwrap();
                let stored = Stored::of(&app).await;
                match &finished {
                    Some(finished) => assert_eq!(&stored, finished, "{name} {collection} {write}"),
                    None => finished = Some(stored),
                }
            }
        }
    }
    let ada = sign_in(&app, "ada", PASSWORD).await;
    assert_eq!(app.perform(&ada, "seven of hearts").await.status, 200);
}

/// bcrypt's hash of [`PASSWORD`] as BSON binary, of the least cost.
fn hash() -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bcrypt::hash(PASSWORD, 4).unwrap().into_bytes() }
}
