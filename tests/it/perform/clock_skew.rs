//! Two machines whose clocks are a minute apart, on one database: leases, sessions and the month hold all the same.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use shared::clock::Clock;
use tests::{
    fakes::elevenlabs::Delays,
    harness::{Backend, Response, Setup, TestApp, TestClient, User, eventually, send},
};
use time::{OffsetDateTime, macros::datetime};

const HALF: Duration = Duration::from_secs(30);

/// One machine half a minute ahead of `noon`, and one half a minute behind.
async fn machines(app: &TestApp, noon: OffsetDateTime) -> (Backend, Backend) {
    let (ahead, behind) = (Clock::fixed(noon + HALF), Clock::fixed(noon - HALF));
    (app.machine(&ahead).await, app.machine(&behind).await)
}

async fn ask(machine: &Backend, user: &User, method: Method, path: &str, body: &Value) -> Response {
    send(TestClient::router(&machine.routes).request(method, path).user(user).json(body)).await
}

async fn perform(machine: &Backend, user: &User) -> Response {
    ask(machine, user, Method::POST, "/perform", &json!({ "text": "Good morning." })).await
}

/// A user with a recording who is signed in at a machine.
async fn performer(app: &TestApp, machine: &Backend, name: &str) -> User {
    let user = app.performer(name).await;
    let login = json!({ "username": name, "password": tests::harness::PASSWORD });
    let signed_in = ask(machine, &user, Method::POST, "/auth/login", &login).await;
    assert_eq!(signed_in.status, 200, "{signed_in:?}");
    user.with_tokens_of(&signed_in)
}

#[tokio::test]
async fn session_of_a_machine_that_is_ahead_is_good_at_one_that_is_behind() {
    let app = TestApp::new().await;
    let (ahead, behind) = machines(&app, datetime!(2026-11-22 12:00 UTC)).await;
    for (name, one, other) in [("ada", &ahead, &behind), ("bob", &behind, &ahead)] {
        let ada = performer(&app, one, name).await;
        assert_eq!(ask(other, &ada, Method::GET, "/users/me", &Value::Null).await.status, 200);
        let refresh = json!({ "refresh_token": ada.refresh_token });
        let refreshed = ask(other, &ada, Method::POST, "/auth/refresh", &refresh).await;
        assert_eq!(refreshed.status, 200, "{refreshed:?}");
        let ada = ada.with_tokens_of(&refreshed);
        assert_eq!(ask(one, &ada, Method::GET, "/users/me", &Value::Null).await.status, 200);
    }
}

#[tokio::test]
async fn lease_of_a_running_perform_holds_on_skewed_clocks() {
    let setup = Setup {
        // A lease is shorter than the clocks are apart.
        env: vec![("PERFORM_TIMEOUT_SECONDS", String::from("40")), ("CLONE_SLOTS", String::from("1"))],
        ..Setup::default()
    };
    let app = TestApp::with(setup).await;
    // Both are ahead of the database too, one by more than a lease, however long this test takes.
    let (ahead, behind) = machines(&app, Clock::system().utc() + 5 * HALF).await;
    let (ada, bob) = (performer(&app, &behind, "ada").await, performer(&app, &behind, "bob").await);
    // Three such performs fit into the time for which one waits for a slot.
    app.elevenlabs().set_delays(Delays { first_byte: Duration::from_secs(2), ..Delays::default() });
    for (one, other) in [(&ahead, &behind), (&behind, &ahead)] {
        let before = app.elevenlabs().state().created.len();
        let meanwhile = async {
            eventually("a voice lives", async || app.elevenlabs().state().created.len() > before).await;
            let swept = other.sweep().await.unwrap();
            assert_eq!((swept.swept, swept.released, swept.live_skipped), (0, 0, 1));
            // Another user needs the only slot, and the same user's lease is held: both wait.
            tokio::join!(perform(other, &bob), perform(other, &ada))
        };
        let (first, (bobs, second)) = tokio::join!(perform(one, &ada), meanwhile);
        for response in [first, bobs, second] {
            assert_eq!(response.status, 200, "{response:?}");
        }
    }
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.deleted.len(), ledger.max_existing), (6, 6, 1));
    app.assert_nothing_remains(&ada).await;
    app.assert_nothing_remains(&bob).await;
}

#[tokio::test]
async fn quota_counts_everything_at_the_end_of_a_month() {
    // 13 characters cost 7: three performs, and no fourth.
    let setup = Setup { env: vec![("MONTHLY_CHAR_LIMIT", String::from("21"))], ..Setup::default() };
    let app = TestApp::with(setup).await;
    let (ahead, behind) = machines(&app, datetime!(2026-12-01 0:00 UTC)).await;
    let ada = performer(&app, &behind, "ada").await;

    let statuses = async |machine: &Backend| perform(machine, &ada).await.status.as_u16();
    assert_eq!(statuses(&behind).await, 200, "in November");
    assert_eq!(statuses(&ahead).await, 200, "December's first");
    // From here on it is December, on whichever machine.
    assert_eq!(statuses(&behind).await, 200);
    assert_eq!(statuses(&behind).await, 200);
    perform(&behind, &ada).await.assert_problem(429, "quota_exceeded");
    perform(&ahead, &ada).await.assert_problem(429, "quota_exceeded");
    for machine in [&behind, &ahead] {
        let usage = ask(machine, &ada, Method::GET, "/usage", &Value::Null).await.json();
        assert_eq!((&usage["charCount"], &usage["remaining"]), (&json!(21), &json!(0)));
    }
}
