//! The programs as they are deployed, behind a Runtime API: what they log and measure, and what becomes of one that
//! stood still or was killed in the middle of a perform.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mongodb::bson::oid::ObjectId;
use serde_json::{Value, json};
use tests::{
    fakes::{
        elevenlabs::Delays,
        faults::{Fault, Operation},
    },
    harness::{
        LambdaBinaries, Setup, TestApp, User, eventually,
        lambda_runtime_api::{Failure, Function, HttpAnswer, Options},
    },
};

/// The programs, built once for the whole run.
fn bootstraps() -> &'static LambdaBinaries {
    static BUILT: OnceLock<LambdaBinaries> = OnceLock::new();
    // With the tests, so that they share everything that is compiled.
    let build = || LambdaBinaries::build(None, &["perform", "sweep", "tests"]);
    BUILT.get_or_init(|| build().unwrap_or_else(|error| panic!("{error}")))
}

/// Starts a program in an app, with a timeout of so many seconds.
pub async fn start(app: &TestApp, name: &str, timeout: u64) -> Function {
    let bootstraps = tokio::task::spawn_blocking(bootstraps).await.expect("the programs are built");
    let mut env = app.services.env.clone();
    env.extend([("PERFORM_TIMEOUT_SECONDS", timeout.to_string())]);
    let options =
        Options { name: name.to_owned(), timeout: Duration::from_secs(timeout), ..Options::default() };
    Function::spawn(bootstraps.path(name).unwrap(), env, options).await.unwrap()
}

/// Has the program perform.
pub async fn perform(function: &Function, user: &User, key: Option<&str>) -> Result<HttpAnswer, Failure> {
    let bearer = format!("Bearer {}", user.access_token);
    let mut headers = vec![("content-type", "application/json"), ("authorization", &bearer)];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    let body = json!({ "routine_type": "cards", "value": "Queen of Hearts" }).to_string();
    function.invoke_http("POST", "/perform", &headers, body.as_bytes()).await
}

/// An app whose tokens are good at programs that read the system's clock, and a performer in it.
pub async fn app_of_today(setup: Setup) -> (TestApp, User) {
    let app = TestApp::with(Setup { today: true, ..setup }).await;
    let ada = app.performer("ada").await;
    (app, ada)
}

/// The lines of a log that are JSON and have this member.
fn lines_with(function: &Function, member: &str) -> Vec<Value> {
    let lines = function.logs().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    lines.filter(|line| !line[member].is_null()).collect()
}

#[tokio::test]
async fn perform_logs_one_audit_line_and_its_metrics() {
    let (app, ada) = app_of_today(Setup::default()).await;
    app.elevenlabs().set_delays(Delays {
        create: Duration::from_millis(120),
        first_byte: Duration::from_millis(60),
        delete: Duration::from_millis(30),
        ..Delays::default()
    });
    let function = start(&app, "perform", 30).await;
    let response = perform(&function, &ada, None).await.unwrap().json().unwrap();

    function.log_with("PerformMs").await.expect("metrics are logged");
    let audit = lines_with(&function, "outcome");
    assert_eq!(audit.len(), 1, "{audit:?}");
    let said = |member: &str| audit[0][member].clone();
    assert_eq!((said("user_id"), said("request_id")), (json!(ada.id), response["request_id"].clone()));
    assert_eq!(said("outcome"), "ok");
    let time = |member: &str| {
        let at = said(member).as_str().expect(member).to_owned();
        mongodb::bson::DateTime::parse_rfc3339_str(at).expect("RFC 3339").timestamp_millis()
    };
    let lived = time("clone_deleted_at") - time("clone_created_at");
    assert!((90..30_000).contains(&lived), "{lived}");
    assert!(said("latency_ms").as_u64().unwrap() >= 210);

    let metrics = lines_with(&function, "PerformMs");
    assert_eq!(metrics.len(), 1, "{metrics:?}");
    let metrics = &metrics[0];
    assert_emf(metrics, &["Stage", "Function", "Outcome"]);
    assert_eq!((&metrics["Stage"], &metrics["Function"]), (&json!("test"), &json!("perform")));
    assert_eq!(metrics["Outcome"], "ok");
    let number = |name: &str| metrics[name].as_f64().unwrap_or_else(|| panic!("{name}: {metrics}"));
    for (name, expected) in
        [("CloneAttempts", 1.0), ("CloneSuccesses", 1.0), ("SlotsHeld", 1.0), ("CleanupFailures", 0.0)]
    {
        assert!((number(name) - expected).abs() < f64::EPSILON, "{name}: {metrics}");
    }
    assert_eq!(metrics["Chars"], response["charsUsedEffective"]);
    assert!(number("AudioBytes") > 1000.0);
    assert!(number("CloneCreateMs") >= 120.0 && number("SynthesisMs") >= 60.0);
    assert!(number("CloneLifetimeMs") >= 90.0 && number("SlotWaitMs") < 5000.0);
    assert!(number("PerformMs") >= number("OverheadMs") + 210.0, "the provider's own time is not overhead");
}

#[tokio::test]
async fn perform_that_fails_says_so_in_its_log_and_its_metrics() {
    let (app, ada) = app_of_today(Setup::default()).await;
    let function = start(&app, "perform", 30).await;
    app.elevenlabs().faults().next(Operation::Create, Fault::voice_add_edit_limit_reached());
    let refused = perform(&function, &ada, None).await.unwrap();
    assert_eq!(refused.json().unwrap()["code"], "clone_budget_exhausted");
    app.elevenlabs().faults().always(Operation::Delete, Fault::html_503());
    assert_eq!(perform(&function, &ada, None).await.unwrap().status, 200);

    eventually("both are logged", async || lines_with(&function, "PerformMs").len() == 2).await;
    let metrics = lines_with(&function, "PerformMs");
    let told = |at: usize, name: &str| metrics[at][name].clone();
    assert_eq!((told(0, "Outcome"), told(1, "Outcome")), (json!("clone_budget_exhausted"), json!("ok")));
    assert_eq!((told(0, "CloneAttempts"), told(0, "CloneSuccesses")), (json!(1), json!(0)));
    assert_eq!((told(0, "Chars"), told(0, "CleanupFailures")), (json!(0), json!(0)));
    assert_eq!(told(1, "CleanupFailures"), 1);
    let audit = lines_with(&function, "outcome");
    assert_eq!(audit[0]["outcome"], "clone_budget_exhausted");
    assert!(audit[0]["clone_created_at"].is_null() && audit[1]["clone_deleted_at"].is_null());
    // What an operator is woken by names what is left.
    let voice = &app.elevenlabs().state().existing[0].voice_id;
    let warning = lines_with(&function, "voice_id").into_iter().find(|line| line["level"] == "WARN");
    let warning = warning.expect("a warning with the voice's id");
    assert_eq!((&warning["voice_id"], &warning["user_id"]), (&json!(voice), &json!(ada.id)));
}

#[tokio::test]
async fn sweep_logs_what_it_did_and_what_is_left_of_the_months_creations() {
    let (app, _) = app_of_today(Setup::default()).await;
    let orphan = app.voice_name(ObjectId::new()).await;
    let _ = app.elevenlabs().seed_voice(&orphan, "cloned", Some(1));
    let sweep = start(&app, "sweep", 30).await;
    let swept = sweep.invoke(&json!({})).await.unwrap();
    assert_eq!((&swept["swept"], &swept["failed"]), (&json!(1), &json!(0)), "{swept}");

    sweep.log_with("OrphansSwept").await.expect("metrics are logged");
    let metrics = lines_with(&sweep, "OrphansSwept");
    assert_eq!(metrics.len(), 1);
    assert_emf(&metrics[0], &["Stage", "Function"]);
    assert_eq!((&metrics[0]["OrphansSwept"], &metrics[0]["SlotsHeld"]), (&json!(1), &json!(0)));
    assert!(metrics[0]["AddEditBudgetLeft"].as_u64().is_some(), "{}", metrics[0]);
}

/// Asserts that a line is CloudWatch's embedded metric format, in our namespace, and that it declares just the metrics
/// that it has. <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
fn assert_emf(line: &Value, dimensions: &[&str]) {
    let aws = &line["_aws"];
    assert!(aws["Timestamp"].as_i64().is_some_and(|at| at > 1_790_000_000_000), "{line}");
    let directives = aws["CloudWatchMetrics"].as_array().expect("directives");
    for directive in directives {
        assert_eq!(directive["Namespace"], "NewVisions", "{line}");
        let sets = directive["Dimensions"].as_array().expect("dimension sets");
        assert!(sets.contains(&json!(dimensions)), "{line}");
        for dimension in sets.iter().flat_map(|set| set.as_array().expect("a set")) {
            assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension}: {line}");
        }
        for metric in directive["Metrics"].as_array().expect("metrics") {
            let name = metric["Name"].as_str().expect("a name");
            assert!(!line[name].is_null(), "{name} is declared and missing: {line}");
        }
    }
}

#[tokio::test]
async fn perform_frozen_beyond_its_lease_harms_nobody_when_it_resumes() {
    let setup = Setup { env: vec![("CLONE_SLOTS", String::from("1"))], ..Setup::default() };
    let (app, ada) = app_of_today(setup).await;
    let (frozen, other, sweep) =
        (start(&app, "perform", 20).await, start(&app, "perform", 60).await, start(&app, "sweep", 30).await);
    let late = Fault::DelayBeforeEffect(Duration::from_secs(2));
    app.elevenlabs().faults().next(Operation::Synthesize, late);
    let ended = AtomicBool::new(false);
    let first = async {
        let first = perform(&frozen, &ada, Some("frozen")).await;
        ended.store(true, Ordering::Relaxed);
        first
    };
    let meanwhile = async {
        app.elevenlabs().faults().triggered().wait().await;
        frozen.stop().await;
        app.expire_leases().await;
        assert_eq!(sweep.invoke(&json!({})).await.unwrap()["swept"], 1);
        app.elevenlabs().faults().clear();

        // The same user performs elsewhere, and while that voice lives, the first one goes on.
        let slow = Duration::from_secs(10);
        app.elevenlabs().set_delays(Delays { first_byte: slow, ..Delays::default() });
        let goes_on = async {
            eventually("the second voice lives", async || app.elevenlabs().state().created.len() == 2).await;
            frozen.go_on().await;
            eventually("the first ends", async || ended.load(Ordering::Relaxed)).await;
            assert_eq!(app.elevenlabs().state().existing.len(), 1, "it deleted a voice that is not its own");
            assert_eq!(app.held_slots().await, 1, "it freed a slot that is not its own");
            assert!(
                app.stored(&ada).await.get_document("lease").is_ok(),
                "it ended a lease that is not its own"
            );
        };
        let (second, ()) = tokio::join!(perform(&other, &ada, Some("second")), goes_on);
        second.unwrap()
    };
    let (first, second) = tokio::join!(first, meanwhile);
    let second = second.json().unwrap();
    assert!(second["audio_base64"].is_string(), "{second}");
    assert!(first.is_err() || first.is_ok_and(|first| first.status != 200));
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.deleted.len(), ledger.max_existing), (2, 2, 1));
    assert_eq!(json!(app.char_count(&ada).await), second["charsUsedEffective"]);
    app.assert_nothing_remains(&ada).await;
}
