//! The sweep: it deletes what is ours and left over, and touches nothing else.

use std::{collections::BTreeSet, time::Duration};

use mongodb::bson::oid::ObjectId;
use sweep::SweepReport;
use tests::{
    fakes::{
        elevenlabs::Delays,
        faults::{Fault, Operation},
    },
    harness::{SLOW, Setup, TestApp, eventually},
};

#[tokio::test]
async fn sweep_deletes_orphans_of_its_stage_and_no_foreign_voice() {
    let app = TestApp::new().await;
    let id = ObjectId::new();
    let foreign = [
        (String::from("Rachel"), "premade"),
        (String::from("My own voice"), "cloned"),
        (String::from("newvisions"), "cloned"),
        (String::from("newvisions:test:"), "cloned"),
        (String::from("newvisions:test:by hand"), "cloned"),
        (format!("newvisions:prod:{id}"), "cloned"),
        (format!("newvisions:test2:{id}"), "cloned"),
        (format!("newvisions:tes:{id}"), "cloned"),
        (format!("newvisions:test:{id}-copy"), "cloned"),
        (format!("newvisions:test:{id} "), "cloned"),
        (format!("a newvisions:test:{id}"), "cloned"),
        (format!("NewVisions:test:{id}"), "cloned"),
        (format!("newvisions:test:{}", id.to_hex().to_uppercase()), "cloned"),
        (format!("newvisions:test:x:{id}"), "cloned"),
        (format!("newvisions:test:{id}"), "professional"),
        (format!("newvisions:test:{id}"), "generated"),
    ];
    for (name, category) in &foreign {
        let _ = app.elevenlabs().seed_voice(name, category, Some(1));
    }
    let orphans: BTreeSet<String> = (0..2).map(|_| plant_orphan(&app)).collect();

    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.failed, swept.live_skipped), (2, 0, 0));
    assert_eq!(swept.foreign_skipped, 13, "cloned ones by other names");
    let ledger = app.elevenlabs().state();
    let deleted: BTreeSet<String> = ledger.deleted.into_iter().map(|voice| voice.voice_id).collect();
    assert_eq!(deleted, orphans);
    let again = app.backend.sweep().await.unwrap();
    assert_eq!(again, SweepReport { foreign_skipped: 13, ..SweepReport::default() });
}

#[tokio::test]
async fn sweep_reads_every_page() {
    let mut setup = Setup::default();
    setup.elevenlabs.voice_limit = 500;
    let app = TestApp::with(setup).await;
    for _ in 0..230 {
        plant_orphan(&app);
    }
    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.failed), (230, 0));
    assert_eq!(app.elevenlabs().state().existing.len(), 0);
}

#[tokio::test]
async fn sweep_leaves_a_running_perform_alone() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    plant_orphan(&app);
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
        plant_orphan(&app);
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
    plant_orphan(&app);
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
        plant_orphan(&app);
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
async fn sweep_without_the_voice_list_changes_nothing() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().faults().next_n(Operation::Delete, 4, &Fault::html_503());
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
    app.expire_leases().await;
    for fault in [Fault::html_503(), Fault::invalid_api_key(), Fault::TruncatedBody] {
        app.elevenlabs().faults().next(Operation::List, fault);
        assert!(app.backend.sweep().await.is_err());
        assert_eq!((app.held_slots().await, app.elevenlabs().state().existing.len()), (1, 1));
    }
    assert_eq!(app.backend.sweep().await.unwrap().swept, 1);
    app.assert_nothing_remains(&ada).await;
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
fn plant_orphan(app: &TestApp) -> String {
    app.elevenlabs().seed_voice(&format!("newvisions:test:{}", ObjectId::new()), "cloned", Some(1))
}
