//! Many performs at once: of one user one after another, of all users never on more voices than there are slots.

use std::time::{Duration, Instant};

use futures::future::join_all;
use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};
use serde_json::json;
use shared::clock::Clock;
use tests::{
    fakes::{
        elevenlabs::Delays,
        faults::{Fault, Operation},
    },
    harness::{Setup, TestApp, User, eventually},
};

#[tokio::test]
async fn perform_of_one_user_waits_for_the_one_before() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let cards = ["Ace of Spades", "Two of Clubs", "Queen of Hearts", "Jack of Diamonds", "King of Clubs"];
    let responses = join_all(cards.map(|card| app.perform(&ada, card))).await;
    let mut charged = 0;
    for (response, card) in responses.iter().zip(cards) {
        assert_eq!(response.status, 200, "{response:?}");
        let response = response.json();
        assert!(response["text"].as_str().unwrap().contains(card), "each gets its own");
        charged += response["charsUsedEffective"].as_i64().unwrap();
    }
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.deleted.len(), ledger.max_existing), (5, 5, 1));
    app.assert_nothing_remains(&ada).await;
    assert_eq!(app.char_count(&ada).await, charged);
}

#[tokio::test]
async fn performs_of_one_user_are_served_in_their_order() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().set_delays(Delays { create: Duration::from_secs(5), ..Delays::default() });
    let cards = ["Ace of Spades", "Two of Clubs", "Queen of Hearts", "Jack of Diamonds", "King of Clubs"];
    // How many hold the lease or wait for it.
    let came = async || {
        let stored = app.stored(&ada).await;
        usize::from(stored.get_document("lease").is_ok())
            + stored.get_array("lease_queue").map_or(0, Vec::len)
    };
    let came = &came;
    let performs = cards.iter().enumerate().map(|(at, card)| {
        let (app, ada) = (&app, &ada);
        async move {
            eventually("those before have come", async || came().await == at).await;
            app.perform(ada, card).await
        }
    });
    let all_came = async {
        eventually("all have come", async || came().await == cards.len()).await;
        app.elevenlabs().set_delays(Delays::default());
    };
    let (responses, ()) = tokio::join!(join_all(performs), all_came);
    for response in responses {
        assert_eq!(response.status, 200, "{response:?}");
    }
    let spoken: Vec<String> =
        app.elevenlabs().state().synthesized.into_iter().map(|said| said.text).collect();
    for (text, card) in spoken.iter().zip(cards) {
        assert!(text.contains(card), "{spoken:?}");
    }
}

#[tokio::test]
async fn perform_that_fails_makes_way_for_the_next_of_its_user() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().faults().next(Operation::Create, Fault::invalid_audio());
    app.elevenlabs().faults().next(Operation::Synthesize, Fault::model_not_found());
    let responses = join_all((0..3).map(|_| app.perform(&ada, "Queen of Hearts"))).await;
    let mut statuses: Vec<u16> = responses.iter().map(|response| response.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422, 502]);
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn slots_of_three_never_hold_more_voices_for_twelve_users() {
    let mut setup = Setup { env: vec![("CLONE_SLOTS", String::from("3"))], ..Setup::default() };
    // Voices that speak for a while meet each other, also on a busy machine.
    let (create, first_byte) = (Duration::from_millis(300), Duration::from_millis(700));
    setup.elevenlabs.delays = Delays { create, first_byte, ..Delays::default() };
    let app = TestApp::with(setup).await;
    let names: Vec<String> = (0..12).map(|at| format!("user{at}")).collect();
    let users = join_all(names.iter().map(|name| app.performer(name))).await;
    // A busy machine does not get through all of them in the time for which one waits for a slot.
    let performs = users.iter().map(async |user| {
        loop {
            let response = app.perform(user, "Queen of Hearts").await;
            if response.json()["code"] != "clone_slots_busy" {
                return response;
            }
        }
    });
    for response in join_all(performs).await {
        assert_eq!(response.status, 200, "{response:?}");
    }
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.deleted.len(), ledger.max_existing), (12, 12, 3));
    for user in &users {
        app.assert_nothing_remains(user).await;
    }
}

#[tokio::test]
async fn slots_are_granted_in_the_order_of_requests() {
    let mut setup = Setup { env: vec![("CLONE_SLOTS", String::from("1"))], ..Setup::default() };
    setup.elevenlabs.delays = Delays { create: Duration::from_secs(5), ..Delays::default() };
    let app = TestApp::with(setup).await;
    let names: Vec<String> = (0..6).map(|at| format!("user{at}")).collect();
    let users = join_all(names.iter().map(|name| app.performer(name))).await;
    // One after another, each once the one before has the slot or stands in line for it.
    let performs = users.iter().enumerate().map(|(at, user)| {
        let app = &app;
        async move {
            eventually("those before have come", async || came(app).await == at).await;
            app.perform(user, "Queen of Hearts").await
        }
    });
    let all_came = async {
        eventually("all have come", async || came(&app).await == users.len()).await;
        app.elevenlabs().set_delays(Delays::default());
    };
    let (responses, ()) = tokio::join!(join_all(performs), all_came);
    for response in responses {
        assert_eq!(response.status, 200, "{response:?}");
    }
    let lease_of = |name: &str| ObjectId::parse_str(name.rsplit(':').next().unwrap()).unwrap();
    let created: Vec<ObjectId> =
        app.elevenlabs().state().created.iter().map(|voice| lease_of(&voice.name)).collect();
    // Leases were taken in the order of the requests, and their ids ascend in this one process.
    assert!(created.is_sorted(), "{created:?}");
}

/// How many have the slot or stand in line for it.
async fn came(app: &TestApp) -> usize {
    let slots = app.backend.database.collection::<Document>("clone_slots");
    let slots = slots.find_one(doc! {}).await.unwrap().unwrap_or_default();
    ["held", "line"].into_iter().map(|list| slots.get_array(list).map_or(0, Vec::len)).sum()
}

#[tokio::test]
async fn slots_skip_a_waiter_that_stopped_waiting() {
    let setup = Setup { env: vec![("CLONE_SLOTS", String::from("1"))], ..Setup::default() };
    let app = TestApp::with(setup).await;
    let ada = app.performer("ada").await;
    // A perform that died while it stood in line, before ada's came.
    let slots = app.backend.database.collection::<Document>("clone_slots");
    let soon_by_our_clock = Instant::now() + Duration::from_secs(3);
    let soon = DateTime::from_millis(Clock::system().now().timestamp_millis() + 3000);
    let place = doc! { "lease_id": ObjectId::new(), "until": soon };
    slots.insert_one(doc! { "_id": "test", "held": [], "line": [place] }).await.unwrap();
    let performed = app.perform(&ada, "Queen of Hearts").await;
    assert_eq!(performed.status, 200, "{performed:?}");
    let spans = app.elevenlabs().requests().spans();
    let create = spans.iter().find(|span| span.operation == Operation::Create).unwrap();
    assert!(create.started > soon_by_our_clock, "it was not waited for");
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn wait_for_a_lease_or_a_slot_ends_in_a_clear_error() {
    let setup = Setup { env: vec![("CLONE_SLOTS", String::from("2"))], ..Setup::default() };
    let app = TestApp::with(setup).await;
    let (ada, grace) = (app.performer("ada").await, app.performer("grace").await);
    // Hers is held by a perform elsewhere, and both slots by other users' performs.
    hold_lease(&app, &ada).await;
    hold_slots(&app, 2).await;
    let began = Instant::now();
    let (same_user, no_slot) =
        tokio::join!(app.perform(&ada, "Queen of Hearts"), app.perform(&grace, "Queen of Hearts"));
    same_user.assert_problem(409, "perform_in_progress");
    no_slot.assert_problem(503, "clone_slots_busy");
    // Both are waited for, but not for so long that the gateway gives up first.
    assert!((9..29).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(app.elevenlabs().state().created.len(), 0);
    assert_eq!((app.char_count(&ada).await, app.char_count(&grace).await), (0, 0));

    app.expire_leases().await;
    app.backend.sweep().await.unwrap();
    app.assert_nothing_remains(&ada).await;
    app.assert_nothing_remains(&grace).await;
}

#[tokio::test]
async fn slot_of_a_crashed_perform_is_swept_before_it_is_granted() {
    let setup = Setup { env: vec![("CLONE_SLOTS", String::from("1"))], ..Setup::default() };
    let app = TestApp::with(setup).await;
    let ada = app.performer("ada").await;
    // Its voice lives on, and nobody noted its id.
    let lease_id = hold_slots(&app, 1).await[0];
    let orphan = app.elevenlabs().seed_voice(&format!("newvisions:test:{lease_id}"), "cloned", Some(1));
    app.expire_leases().await;
    let performed = app.perform(&ada, "Queen of Hearts").await;
    assert_eq!(performed.status, 200, "{performed:?}");
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.deleted.len(), ledger.max_existing), (2, 1), "the one before the other");
    assert_eq!(ledger.deleted[0].voice_id, orphan);
    app.assert_nothing_remains(&ada).await;
}

/// A lease as another invocation holds it.
async fn hold_lease(app: &TestApp, user: &User) {
    let lease = doc! { "id": ObjectId::new(), "until": far(), "period": "2026-11", "reserved": 10_i64 };
    app.rewrite(user, doc! { "$set": { "lease": lease } }).await;
}

/// Slots as other invocations hold them; gives their leases.
async fn hold_slots(app: &TestApp, count: usize) -> Vec<ObjectId> {
    let leases: Vec<ObjectId> = (0..count).map(|_| ObjectId::new()).collect();
    let slot = |lease_id: &ObjectId| {
        doc! {
            "lease_id": lease_id, "user_id": ObjectId::new(), "until": far(),
            "voice_id": null, "created_at": null, "orphaned": false,
        }
    };
    let held: Vec<Document> = leases.iter().map(slot).collect();
    let slots = app.backend.database.collection::<Document>("clone_slots");
    slots.insert_one(doc! { "_id": "test", "held": held }).await.unwrap();
    leases
}

/// A time that no lease runs out before.
fn far() -> DateTime {
    DateTime::from_millis(4_000_000_000_000)
}

#[tokio::test]
async fn upload_during_a_perform_harms_neither() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let text = json!({ "text": "Good morning." });
    let (first, second, performed) = tokio::join!(
        app.upload(&ada, tests::harness::WEBM),
        app.upload(&ada, include_bytes!("../../fixtures/recordings/opus.ogg")),
        app.post_as(&ada, "/perform", &text),
    );
    assert_eq!([first.status.as_u16(), second.status.as_u16(), performed.status.as_u16()], [200; 3]);
    app.assert_nothing_remains(&ada).await;
}
