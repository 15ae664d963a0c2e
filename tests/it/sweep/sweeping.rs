//! The sweep: it deletes what is ours and left over, and touches nothing else.

use std::{collections::BTreeSet, time::Duration};

use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};
use serde_json::json;
use shared::clone_slots::{Claim, CloneSlots};
use sweep::SweepReport;
use tests::{
    fakes::{
        elevenlabs::Delays,
        faults::{Fault, Operation},
    },
    harness::{Backend, SLOW, Setup, TestApp, TestClient, User, WEBM, eventually, routine},
};

#[tokio::test]
async fn sweep_deletes_orphans_of_its_stage_and_no_foreign_voice() {
    let app = TestApp::new().await;
    let id = ObjectId::new();
    let ours = app.voice_name(id).await;
    let foreign = [
        (String::from("Rachel"), "premade"),
        (String::from("My own voice"), "cloned"),
        (String::from("newvisions"), "cloned"),
        (format!("newvisions:prod:{id}"), "cloned"),
        (format!("newvisions:test2:{id}"), "cloned"),
        (format!("newvisions:tes:{id}"), "cloned"),
        (ours.clone(), "professional"),
        (ours.clone(), "generated"),
        // From here on, those that a search for our names finds.
        (String::from("newvisions:test:"), "cloned"),
        (String::from("newvisions:test:by hand"), "cloned"),
        (format!("newvisions:test:x:{id}"), "cloned"),
        (format!("newvisions:test:00112233aabbccdd:{id}"), "cloned"),
        (format!("{ours}-copy"), "cloned"),
        (format!("{ours} "), "cloned"),
        (format!("a {ours}"), "cloned"),
        (ours.to_uppercase(), "cloned"),
        (ours.replace("newvisions", "NewVisions"), "cloned"),
        // An earlier version's, of a lease that this database has never had.
        (format!("newvisions:test:{id}"), "cloned"),
    ];
    for (name, category) in &foreign {
        let _ = app.elevenlabs().seed_voice(name, category, Some(1));
    }
    let orphans = BTreeSet::from([plant_orphan(&app).await, plant_orphan(&app).await]);

    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.failed, swept.live_skipped), (2, 0, 0));
    assert_eq!(swept.foreign_skipped, 10, "cloned ones by other names");
    let ledger = app.elevenlabs().state();
    let deleted: BTreeSet<String> = ledger.deleted.into_iter().map(|voice| voice.voice_id).collect();
    assert_eq!(deleted, orphans);
    let again = app.backend.sweep().await.unwrap();
    assert_eq!(again, SweepReport { foreign_skipped: 10, ..SweepReport::default() });
}

#[tokio::test]
async fn sweep_reads_every_page() {
    let mut setup = Setup::default();
    setup.elevenlabs.voice_limit = 500;
    let app = TestApp::with(setup).await;
    for _ in 0..230 {
        plant_orphan(&app).await;
    }
    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.failed), (230, 0));
    assert_eq!(app.elevenlabs().state().existing.len(), 0);
}

#[tokio::test]
async fn sweep_leaves_a_running_perform_alone() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    plant_orphan(&app).await;
    app.elevenlabs().set_delays(Delays { create: SLOW, first_byte: SLOW, ..Delays::default() });
    let sweeping = async {
        eventually("a slot is held", async || app.held_slots().await == 1).await;
        let early = app.backend.sweep().await.unwrap();
        eventually("the voice lives", async || app.elevenlabs().state().created.len() == 1).await;
        (early, app.backend.sweep().await.unwrap())
    };
    let (performed, (early, late)) = tokio::join!(app.perform(&ada, "Queen of Hearts"), sweeping);
    assert_eq!(performed.status, 200, "{performed:?}");
    assert_eq!((early.swept, early.released), (1, 0), "the orphan, and no slot");
    assert_eq!((late.swept, late.live_skipped, late.released), (0, 1, 0));
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn sweep_goes_on_after_a_voice_that_fails() {
    let app = TestApp::new().await;
    for _ in 0..3 {
        plant_orphan(&app).await;
    }
    app.elevenlabs().faults().next(Operation::Delete, Fault::html_503());
    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.failed), (2, 1));
    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.failed), (1, 0));
}

#[tokio::test]
async fn sweep_counts_a_voice_already_gone_as_no_failure() {
    let app = TestApp::new().await;
    plant_orphan(&app).await;
    app.elevenlabs().faults().next(Operation::Delete, Fault::voice_does_not_exist());
    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.failed), (0, 0));
}

#[tokio::test]
async fn sweeps_at_once_are_harmless() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().faults().next_n(Operation::Delete, 4, &Fault::html_503());
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
    for _ in 0..5 {
        plant_orphan(&app).await;
    }
    app.expire_leases().await;
    let sweeps = futures::future::join_all((0..3).map(|_| app.backend.sweep())).await;
    let sweeps: Vec<SweepReport> = sweeps.into_iter().map(Result::unwrap).collect();
    let sum = |count: fn(&SweepReport) -> u64| sweeps.iter().map(count).sum::<u64>();
    assert_eq!((sum(|swept| swept.swept), sum(|swept| swept.failed)), (6, 0));
    assert_eq!(sum(|swept| swept.released), 2);
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn sweep_without_the_voice_list_frees_whom_the_records_clear() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let grace = app.performer("grace").await;
    let faults = app.elevenlabs().faults();
    // One voice is on record; of the other the database knows only that it was to be created.
    faults.next_n(Operation::Delete, 4, &Fault::html_503());
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
    let lost = ObjectId::new();
    plant_unrecorded(&app, &grace, lost).await;
    let voice = app.elevenlabs().seed_voice(&app.voice_name(lost).await, "cloned", Some(1));
    app.expire_leases().await;
    faults.next(Operation::List, Fault::html_503());
    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.released, swept.slots_held, swept.list_failed), (1, 2, 1, true));

    // Ada performs although no list is to be had; grace's voice may exist, so she cannot.
    faults.next_n(Operation::List, 2, &Fault::invalid_api_key());
    faults.next(Operation::List, Fault::TruncatedBody);
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
    for _ in 0..3 {
        let swept = app.backend.sweep().await.unwrap();
        assert_eq!((swept.released, swept.slots_held, swept.list_failed), (0, 1, true));
    }
    assert_eq!(app.elevenlabs().state().existing[0].voice_id, voice);
    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.released, swept.slots_held, swept.list_failed), (1, 2, 0, false));
    app.assert_nothing_remains(&ada).await;
    app.assert_nothing_remains(&grace).await;
}

#[tokio::test]
async fn sweep_skips_what_it_cannot_read_in_the_list() {
    let app = TestApp::new().await;
    plant_orphan(&app).await;
    for odd in [
        json!({ "voice_id": "kpTxA7CxTEuDTTjEGCPp", "name": null, "category": "cloned" }),
        json!({ "voice_id": "kpTxA7CxTEuDTTjEGCPp", "category": "cloned" }),
        json!({ "voice_id": null, "name": "newvisions:test:" }),
        json!({ "voice_id": 7, "name": ["newvisions:test:"] }),
        json!("newvisions:test:"),
        json!(null),
        json!([]),
    ] {
        app.elevenlabs().seed_odd_voice(odd);
    }
    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.failed, swept.list_failed), (1, 0, false));
    assert!(app.elevenlabs().state().existing.is_empty());
}

#[tokio::test]
async fn sweep_reads_a_thousand_voices_at_a_second_a_page() {
    let mut setup = Setup::default();
    setup.elevenlabs.voice_limit = 2000;
    let app = TestApp::with(setup).await;
    // The oldest, and so on the last page.
    let orphan = plant_orphan(&app).await;
    for _ in 0..1000 {
        let name = format!("newvisions:test:00112233aabbccdd:{}", ObjectId::new());
        let _ = app.elevenlabs().seed_voice(&name, "cloned", Some(2));
    }
    let list = Duration::from_millis(1100);
    app.elevenlabs().set_delays(Delays { list, ..Delays::default() });
    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.foreign_skipped, swept.list_failed), (1, 1000, false));
    assert_eq!(app.elevenlabs().state().deleted[0].voice_id, orphan);
}

#[tokio::test]
async fn deployments_of_one_stage_on_one_account_leave_each_others_voices_alone() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    // Another developer's machine: the same stage and account, another database.
    let mut env = app.services.env.clone();
    env.extend([("MONGODB_DATABASE", format!("test-{}", ObjectId::new()))]);
    let other = Backend::start(&env, &app.clock).await.unwrap();
    let client = TestClient::router(&other.routes);
    let code = other.activation_code().await.unwrap();
    let registered = client.register("grace", code.as_str()).send_successfully().await.unwrap();
    let grace = User::signed_in(&registered, code.as_str().to_owned());
    client.upload(&grace, "audio/webm", WEBM).send_successfully().await.unwrap();

    app.elevenlabs().set_delays(Delays { first_byte: SLOW, ..Delays::default() });
    let sweeping = async {
        eventually("both voices live", async || app.elevenlabs().state().existing.len() == 2).await;
        for swept in [app.backend.sweep().await.unwrap(), other.sweep().await.unwrap()] {
            assert_eq!((swept.swept, swept.live_skipped, swept.foreign_skipped), (0, 1, 1));
        }
    };
    let others = client.perform(&grace, &routine("Seven of Clubs"));
    let (ours, others, ()) =
        tokio::join!(app.perform(&ada, "Queen of Hearts"), others.send_successfully(), sweeping);
    assert_eq!(ours.status, 200, "{ours:?}");
    others.unwrap();
    app.assert_nothing_remains(&ada).await;

    // Nor is what one of them left behind the other's.
    let orphan = plant_orphan(&app).await;
    assert_eq!(other.sweep().await.unwrap().swept, 0);
    assert_eq!(app.backend.sweep().await.unwrap().swept, 1);
    assert_eq!(app.elevenlabs().state().deleted.last().unwrap().voice_id, orphan);
}

#[tokio::test]
async fn deployment_id_is_made_once_by_claims_at_once() {
    let app = TestApp::new().await;
    let slots = CloneSlots::from_env(&app.services.env, &app.backend.database, app.clock.clone()).unwrap();
    let claims = (0..8).map(|_| slots.claim(ObjectId::new(), ObjectId::new(), Duration::from_mins(1)));
    let claims = futures::future::join_all(claims).await;
    let ids: BTreeSet<String> = claims
        .into_iter()
        .filter_map(|claim| match claim.unwrap() {
            Claim::Granted(slot, _) => Some(slot.deployment),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(slots.list().await.unwrap().deployment, ids.into_iter().next());
}

#[tokio::test]
async fn voice_of_an_earlier_name_is_swept_by_whose_database_has_its_lease() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let (of_a_slot, of_a_user) = (ObjectId::new(), ObjectId::new());
    plant_unrecorded(&app, &ada, of_a_slot).await;
    let lease = doc! { "id": of_a_user, "until": DateTime::MIN, "period": "2026-11", "reserved": 1_i64 };
    app.rewrite(&ada, doc! { "$set": { "lease": lease } }).await;
    for lease in [of_a_slot, of_a_user, ObjectId::new()] {
        let _ = app.elevenlabs().seed_voice(&format!("newvisions:test:{lease}"), "cloned", Some(1));
    }
    let live = app.backend.sweep().await.unwrap();
    assert_eq!(
        (live.swept, live.live_skipped, live.foreign_skipped),
        (1, 1, 1),
        "the user's; the slot is held"
    );
    app.expire_leases().await;
    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.live_skipped, swept.foreign_skipped), (1, 0, 1));
}

#[tokio::test]
async fn history_that_a_perform_could_not_delete_is_deleted_by_the_sweep() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().faults().always(Operation::DeleteHistory, Fault::missing_permissions());
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
    // The key still lacks the scope.
    app.backend.sweep().await.unwrap();
    assert_eq!(app.elevenlabs().state().history.len(), 1);
    app.elevenlabs().faults().clear();
    app.backend.sweep().await.unwrap();
    assert_eq!(app.elevenlabs().state().history.len(), 0);
    app.elevenlabs().requests().clear();
    app.backend.sweep().await.unwrap();
    assert_eq!(app.elevenlabs().requests().count(Operation::DeleteHistory), 0, "it is forgotten");
}

#[tokio::test]
async fn sweep_deletes_an_unlisted_voice_by_its_slots_record() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().set_list_lag(Duration::from_hours(1));
    app.elevenlabs().faults().next_n(Operation::Delete, 4, &Fault::html_503());
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
    app.expire_leases().await;
    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.released, swept.failed), (1, 2, 0));
    app.assert_nothing_remains(&ada).await;
}

/// A voice of ours that nobody knows of any more.
async fn plant_orphan(app: &TestApp) -> String {
    app.elevenlabs().seed_voice(&app.voice_name(ObjectId::new()).await, "cloned", Some(1))
}

/// The slot and the lease of a perform that has not recorded its voice.
async fn plant_unrecorded(app: &TestApp, user: &User, lease_id: ObjectId) {
    let (user_id, until) = (ObjectId::parse_str(&user.id).unwrap(), DateTime::from_millis(4_000_000_000_000));
    let slot = doc! {
        "lease_id": lease_id, "user_id": user_id, "until": until,
        "voice_id": null, "created_at": null, "orphaned": false,
    };
    let slots = app.backend.database.collection::<Document>("clone_slots");
    let slot = doc! { "$push": { "held": slot } };
    slots.update_one(doc! { "_id": "test" }, slot).upsert(true).await.unwrap();
    let lease = doc! { "id": lease_id, "until": until, "period": "2026-11", "reserved": 1_i64 };
    app.rewrite(user, doc! { "$set": { "lease": lease } }).await;
}
