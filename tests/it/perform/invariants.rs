//! The seven things that must hold always, whatever runs at once and whatever crashed before. `cargo faults` tries them
//! at every outbound call; here each is shown by itself, where it is hardest.

use std::time::Duration;

use futures::future::join_all;
use http::Method;
use mongodb::bson::{Document, doc, oid::ObjectId};
use serde_json::json;
use tests::{
    fakes::{
        elevenlabs,
        faults::{Fault, Operation},
        mongodb_wire::Fault as WireFault,
        s3::Fault as S3Fault,
    },
    harness::{Setup, TestApp, User, WEBM},
};

use crate::{db_snapshot::Stored, perform::idempotency::keyed, platform::lambda_binaries};

// 1. Slots: at no instant do more than CLONE_SLOTS voices of this deployment exist at the provider.

// On several threads: the backend and the fakes share them with a hundred clients, and the database's replies must not
// wait for a thread until they are late.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slots_a_hundred_users_at_once_after_a_crash_never_have_more_than_ten_voices() {
    let setup = Setup {
        elevenlabs: elevenlabs::Config {
            max_voice_add_edits: None,
            concurrency: 100,
            ..elevenlabs::Config::default()
        },
        ..Setup::default()
    };
    let app = TestApp::with(setup).await;
    let mut users = Vec::new();
    for number in 0..100 {
        users.push(app.register(&format!("user{number}")).await);
    }
    // Uploading a hundred times would measure the decoder; the recording is the same.
    share_recording(&app, &users).await;
    // Three voices live on of performs that died.
    let died: Vec<Document> = (0..3)
        .map(|_| {
            let lease_id = ObjectId::new();
            let _ = app.elevenlabs().seed_voice(&format!("newvisions:test:{lease_id}"), "cloned", Some(1));
            doc! {
                "lease_id": lease_id, "user_id": ObjectId::new(), "voice_id": null, "created_at": null,
                "orphaned": false, "until": mongodb::bson::DateTime::from_millis(0),
            }
        })
        .collect();
    let slots = app.backend.database.collection::<Document>("clone_slots");
    slots.insert_one(doc! { "_id": "test", "held": died }).await.expect("an insertion");

    let responses = join_all(users.iter().map(|user| app.perform(user, "Queen of Hearts"))).await;
    let refused = responses.iter().filter(|response| response.status != 200).count();
    for response in responses.iter().filter(|response| response.status != 200) {
        // Waiting is bounded; who waited in vain is told so, and nothing else goes wrong.
        response.assert_problem(503, "clone_slots_busy");
    }
    let ledger = app.elevenlabs().state();
    assert_eq!(ledger.max_existing, 10, "all of them, and no more");
    assert_eq!(ledger.created.len(), 100 - refused);
    let spans = app.elevenlabs().requests().spans();
    let creates = spans.iter().filter(|span| span.operation == Operation::Create);
    assert!(creates.clone().all(|span| span.status == Some(200)), "the provider had to refuse one");
    assert_eq!((ledger.existing.len(), app.held_slots().await), (0, 0));
}

// 2. Cleanup: when an invocation ends, its clone is deleted, or a record names it and the sweep deletes it.

#[tokio::test]
async fn cleanup_however_a_perform_ends_its_clone_is_deleted_or_on_record() {
    let late = Fault::DelayBeforeEffect(Duration::from_secs(30));
    let endings: [(&str, Operation, Fault, usize); 9] = [
        ("success", Operation::List, Fault::Pass, 1),
        ("create refused", Operation::Create, Fault::invalid_audio(), 1),
        ("create unanswered, voice made", Operation::Create, Fault::ResetAfterEffect, 1),
        ("create unanswered, no voice", Operation::Create, Fault::ResetBeforeEffect, 1),
        ("speech refused", Operation::Synthesize, Fault::text_too_long(), 1),
        ("speech cut", Operation::Synthesize, Fault::TruncatedBody, 1),
        ("speech too late", Operation::Synthesize, late, 1),
        ("deletion refused always", Operation::Delete, Fault::html_503(), 9),
        ("deletion never answered", Operation::Delete, Fault::TimeoutAfterEffect, 9),
    ];
    join_all(endings.map(async |(ending, operation, fault, times)| {
        let setup = Setup { env: vec![("PERFORM_TIMEOUT_SECONDS", String::from("21"))], ..Setup::default() };
        let app = TestApp::with(setup).await;
        let ada = app.performer("ada").await;
        app.elevenlabs().faults().next_n(operation, times, &fault);
        let response = app.perform(&ada, "Queen of Hearts").await;
        let held = held_leases(&app).await;
        for voice in app.elevenlabs().state().existing {
            let on_record = held.iter().any(|lease| voice.name.ends_with(&format!(":{lease}")));
            assert!(on_record, "{ending}: nothing leads to {voice:?}");
        }
        app.elevenlabs().faults().clear();
        app.expire_leases().await;
        app.backend.sweep().await.unwrap_or_else(|error| panic!("{ending}: {error}"));
        app.assert_nothing_remains(&ada).await;
        let cost = response.json()["charsUsedEffective"].as_i64().unwrap_or(0);
        assert_eq!(app.char_count(&ada).await, cost, "{ending}");
    }))
    .await;
}

// 3. Crash: after a kill at any instruction, and one sweep after the lease ran out, nothing is left of it.

#[tokio::test]
async fn crash_after_a_sigkill_and_one_sweep_nothing_is_left_and_nothing_charged_without_audio() {
    let setup = Setup { env: vec![("CLONE_SLOTS", String::from("1"))], ..Setup::default() };
    let (app, ada) = lambda_binaries::app_of_today(setup).await;
    let (program, sweep) =
        (lambda_binaries::start(&app, "perform", 30).await, lambda_binaries::start(&app, "sweep", 30).await);
    let provider = [Operation::Create, Operation::Synthesize, Operation::Delete]
        .map(|operation| [Moment::Provider(operation, false), Moment::Provider(operation, true)]);
    // Taking the lease, claiming the slot, noting the voice, settling.
    let database = [
        ("findAndModify", "users", 0),
        ("findAndModify", "clone_slots", 0),
        ("update", "users", 0),
        ("update", "users", 1),
    ]
    .map(|(command, collection, skip)| {
        [WireFault::HangBefore, WireFault::HangAfter].map(|fault| Moment::Database {
            command,
            collection,
            skip,
            fault,
        })
    });
    let storage = [Moment::Storage(Method::GET), Moment::Storage(Method::PUT)];
    for moment in provider.into_iter().flatten().chain(database.into_iter().flatten()).chain(storage) {
        let before = app.char_count(&ada).await;
        moment.order(&app);
        tokio::select! {
            response = lambda_binaries::perform(&program, &ada, Some("encore")) => panic!("{moment:?} never came: {response:?}"),
            () = moment.met(&app) => program.kill().await,
        }
        app.elevenlabs().faults().clear();
        app.wire().reset();
        app.s3().reset();
        app.expire_leases().await;
        let swept = sweep.invoke(&json!({})).await.unwrap_or_else(|error| panic!("{moment:?}: {error}"));
        assert_eq!(swept["failed"], 0, "{moment:?}");
        app.assert_nothing_remains(&ada).await;
        let charged = app.char_count(&ada).await - before;
        let kept = app.s3().keys().iter().filter(|key| key.starts_with("replays/")).count();
        assert!(charged == 0 || kept > 0, "{moment:?}: {charged} characters for nothing");
        // Whoever asks again under the same key gets audio, and no later moment finds it done already.
        let again = lambda_binaries::perform(&program, &ada, Some("encore")).await.unwrap();
        assert_eq!(again.status, 200, "{moment:?}");
        assert_eq!(app.elevenlabs().state().max_existing, 1, "{moment:?}");
        app.rewrite(&ada, doc! { "$unset": { "replays": 1 } }).await;
    }
}

/// Where a perform is killed.
#[derive(Debug)]
enum Moment {
    Provider(Operation, bool),
    Database { command: &'static str, collection: &'static str, skip: usize, fault: WireFault },
    Storage(Method),
}

impl Moment {
    fn order(&self, app: &TestApp) {
        match self {
            Self::Provider(operation, after) => {
                let fault = if *after { Fault::TimeoutAfterEffect } else { Fault::TimeoutBeforeEffect };
                app.elevenlabs().faults().next(*operation, fault);
            }
            Self::Database { command, collection, skip, fault } => {
                app.wire().inject(*skip, Some(command), Some(collection), WireFault::Pass);
                app.wire().inject(1, Some(command), Some(collection), fault.clone());
            }
            Self::Storage(method) => app.s3().inject(1, method.clone(), S3Fault::HangAfter),
        }
    }

    async fn met(&self, app: &TestApp) {
        match self {
            Self::Provider(..) => app.elevenlabs().faults().triggered().wait().await,
            Self::Database { .. } => app.wire().triggered().wait().await,
            Self::Storage(_) => app.s3().triggered().wait().await,
        }
    }
}

// 4. One per user: one user never has two clones at once.

#[tokio::test]
async fn one_per_user_twenty_performs_at_once_never_have_two_clones_and_each_is_paid_for() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let responses = join_all((0..20).map(|_| app.perform(&ada, "Queen of Hearts"))).await;
    let (performed, waited): (Vec<_>, Vec<_>) = responses.iter().partition(|response| response.status == 200);
    // How many fit into the wait is the machine's speed; the others are told, and nothing else goes wrong.
    assert!(performed.len() > 1, "the performs did not wait for each other");
    for response in waited {
        response.assert_problem(409, "perform_in_progress");
    }
    assert_eq!(app.elevenlabs().state().created.len(), performed.len());
    let mut charged = 0;
    for response in performed {
        charged += response.json()["charsUsedEffective"].as_i64().expect("a cost");
    }
    assert_eq!(app.elevenlabs().state().max_existing, 1);
    assert_eq!(app.char_count(&ada).await, charged);
    app.assert_nothing_remains(&ada).await;
}

// 5. Retries: a repeated request with the same key makes no second clone and no second charge, and gets the first audio.

#[tokio::test]
async fn retries_the_same_key_fifty_times_at_once_makes_one_clone_one_charge_and_equal_bytes() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let body = json!({ "routine_type": "cards", "value": "Queen of Hearts" });
    let responses = join_all((0..50).map(|_| keyed(&app, &ada, "tonight", &body))).await;

    let first = &responses[0];
    for response in &responses {
        assert_eq!(response.status, 200, "{response:?}");
        assert!(response.body == first.body, "the bytes differ");
    }
    assert_eq!(app.elevenlabs().state().created.len(), 1);
    assert_eq!(app.elevenlabs().state().synthesized.len(), 1);
    assert_eq!(Some(app.char_count(&ada).await), first.json()["charsUsedEffective"].as_i64());
    app.assert_nothing_remains(&ada).await;

    let later = keyed(&app, &ada, "tonight", &body).await;
    assert!(later.body == first.body, "a later repetition differs");
    let other_key = keyed(&app, &ada, "tomorrow", &body).await;
    assert_eq!(other_key.status, 200);
    assert_eq!(app.elevenlabs().state().created.len(), 2);
}

// 6. Privacy: the recording leaves S3 only towards ElevenLabs, and what the provider calls it is not kept.

#[tokio::test]
async fn privacy_the_recording_goes_to_elevenlabs_alone_and_its_ids_live_no_longer_than_the_perform() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.s3().reset();
    let response =
        keyed(&app, &ada, "tonight", &json!({ "routine_type": "cards", "value": "Ten of Clubs" })).await;
    assert_eq!(response.status, 200, "{response:?}");
    let ledger = app.elevenlabs().state();
    assert_eq!(ledger.created[0].sample_bytes, WEBM.len(), "it went there whole");
    let read: Vec<String> = app
        .s3()
        .requests()
        .into_iter()
        .filter(|entry| entry.method == Method::GET)
        .map(|entry| entry.key)
        .collect();
    assert_eq!(read, [format!("recordings/{}", ada.id)], "and was read once");
    for asked in app.gemini().state().prompts {
        assert!(asked.user_text.len() < 2000, "that is no thought's prompt: {asked:?}");
    }
    // Nothing that is stored tells of the voice, and nothing that is answered holds the recording.
    let stored = format!("{:?}", Stored::of(&app).await);
    for trace in [&ledger.created[0].voice_id, &ledger.created[0].name] {
        assert!(!stored.contains(trace.as_str()), "{trace} is kept");
    }
    let mut responses = vec![response];
    for path in ["/users/me", "/users/me/voice/meta", "/users/me/meta", "/usage"] {
        responses.push(app.get_as(&ada, path).await);
    }
    let sample = tests::harness::base64(&WEBM[3000..3300]);
    for response in &responses {
        assert!(!response.body.windows(300).any(|bytes| bytes == &WEBM[3000..3300]));
        let text = String::from_utf8_lossy(&response.body);
        assert!(!text.contains(&sample) && !text.contains(app.s3().endpoint()), "{text}");
    }
    app.get_as(&ada, "/users/me/voice").await.assert_problem(405, "method_not_allowed");
}

// 7. Foreign voices: none that this stage did not create is ever deleted, whatever fails.

#[tokio::test]
async fn foreign_voices_survive_every_perform_and_every_sweep() {
    let mut setup = Setup::default();
    setup.elevenlabs.voice_limit = 60;
    let app = TestApp::with(setup).await;
    let ada = app.performer("ada").await;
    let id = ObjectId::new();
    let names = [
        format!("newvisions:prod:{id}"),
        format!("newvisions:test-eu:{id}"),
        format!("newvisions:test:{id}"),
        format!("newvisions:test:00112233aabbccdd:{id}"),
        format!("newvisions:test:{id}x"),
        format!("newvisions:test: {id}"),
        String::from("newvisions:test:by hand"),
        String::from("Ada's own"),
    ];
    let foreign: Vec<String> =
        names.iter().map(|name| app.elevenlabs().seed_voice(name, "cloned", Some(1))).collect();
    for (operation, fault) in [
        (Operation::Create, Fault::ResetAfterEffect),
        (Operation::Create, Fault::ResetBeforeEffect),
        (Operation::Create, Fault::voice_limit_reached()),
        (Operation::Synthesize, Fault::html_503()),
        (Operation::Delete, Fault::voice_not_found()),
        (Operation::Delete, Fault::html_503()),
        (Operation::List, Fault::TruncatedBody),
    ] {
        app.elevenlabs().faults().next(operation, fault);
        let _ = app.perform(&ada, "Queen of Hearts").await;
        app.expire_leases().await;
        let _ = app.backend.sweep().await;
        app.elevenlabs().faults().clear();
    }
    app.backend.sweep().await.unwrap();
    let living: Vec<String> =
        app.elevenlabs().state().existing.into_iter().map(|voice| voice.voice_id).collect();
    assert_eq!(living, foreign, "they alone, and all of them");
}

/// The leases of the slots that are held.
async fn held_leases(app: &TestApp) -> Vec<ObjectId> {
    let slots = app.backend.database.collection::<Document>("clone_slots");
    let slots = slots.find_one(doc! {}).await.expect("the database responds").unwrap_or_default();
    let held = slots.get_array("held").cloned().unwrap_or_default();
    held.iter().filter_map(|slot| slot.as_document()?.get_object_id("lease_id").ok()).collect()
}

/// Gives every user the first one's recording.
async fn share_recording(app: &TestApp, users: &[User]) {
    let response = app.upload(&users[0], tests::harness::WEBM).await;
    assert_eq!(response.status, 200);
    let recording = app.stored(&users[0]).await.get_document("recording").expect("a recording").clone();
    let all = app.backend.database.collection::<Document>("users");
    all.update_many(doc! {}, doc! { "$set": { "recording": recording } }).await.expect("an update");
    let client = app.s3().client();
    let bucket = tests::fakes::s3::BUCKET;
    for user in &users[1..] {
        let id = ObjectId::parse_str(&user.id).expect("an id");
        let put =
            client.put_object().bucket(bucket).key(format!("recordings/{id}")).content_type("audio/webm");
        put.body(tests::harness::WEBM.to_vec().into()).send().await.expect("S3 takes it");
    }
}
