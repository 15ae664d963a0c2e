//! A function that is a Python script, so that nothing of our own runtime takes part.

use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;

use serde_json::json;
use tokio::time::timeout;

use super::*;

/// Does what its event says, and sends to the Runtime API what a runtime sends.
const SCRIPT: &str = r#"
import http.client, json, os, sys, time
if "FAIL_INIT" in os.environ:
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    api.request("POST", "/2018-06-01/runtime/init/error", json.dumps({"errorType": "NoKey", "errorMessage": "no key"}))
    api.getresponse().read()
if "EXIT_INIT" in os.environ:
    sys.exit(3)
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None):
    api.request(method, "/2018-06-01/runtime/" + path, body)
    answer = api.getresponse()
    return answer.status, answer.headers, answer.read()
while True:
    _, headers, event = call("GET", "invocation/next")
    event, at, request = json.loads(event), time.time(), headers["Lambda-Runtime-Aws-Request-Id"]
    todo = event.get("do")
    print("doing", todo, flush=True)
    answer, kind = {"event": event, "pid": os.getpid()}, "response"
    if todo == "sleep": time.sleep(event["seconds"])
    if todo == "exit": print("last words", file=sys.stderr); sys.exit(7)
    if todo == "error": answer, kind = {"errorType": "Oops", "errorMessage": "it broke"}, "error"
    if todo == "bytes": answer = "x" * (event["bytes"] - 2)
    if todo == "env": answer = dict(os.environ)
    if todo == "left": answer = int(headers["Lambda-Runtime-Deadline-Ms"]) - at * 1000
    if todo == "arn": answer = headers["Lambda-Runtime-Invoked-Function-Arn"]
    if "rawPath" in event: answer = {"statusCode": 200, "headers": {"x-path": event["rawPath"]}, "body": event["body"],
                                     "isBase64Encoded": event["isBase64Encoded"]}
    if todo == "stranger": call("POST", "invocation/unknown/response", "1")
    status, _, _ = call("POST", f"invocation/{request}/{kind}", json.dumps(answer))
    print("status", status, flush=True)
"#;

/// Written once: a script that another thread's new process still holds open for writing cannot be executed.
static BOOTSTRAP: LazyLock<PathBuf> = LazyLock::new(|| {
    let which =
        std::process::Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let python = String::from_utf8(which.unwrap().stdout).unwrap();
    let script = tempfile::Builder::new().prefix("bootstrap-").tempdir().unwrap().keep().join("bootstrap");
    std::fs::write(&script, format!("#!{}\n{SCRIPT}", python.trim())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    script
});

async fn function(options: Options) -> Function {
    Function::spawn(&BOOTSTRAP, [("GIVEN", "yes")], options).await.unwrap()
}

#[tokio::test]
async fn process_serves_a_thousand_invocations() {
    let function = function(Options::default()).await;
    assert!(function.time_to_first_next().await.unwrap() > Duration::ZERO);
    let pid = function.invoke(&json!({})).await.unwrap()["pid"].clone();
    for n in 0..1000 {
        let answer = function.invoke(&json!({ "n": n })).await.unwrap();
        assert_eq!((&answer["event"]["n"], &answer["pid"]), (&json!(n), &pid));
    }
    assert_eq!(function.starts(), 1);
}

#[tokio::test]
async fn invocations_at_once_go_one_after_another() {
    let function = function(Options::default()).await;
    let started = Instant::now();
    let event = json!({ "do": "sleep", "seconds": 0.2 });
    futures::future::try_join_all((0..3).map(|_| function.invoke(&event))).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(600));
    assert_eq!(function.starts(), 1);
}

#[tokio::test]
async fn environment_is_the_platforms_and_what_was_given() {
    let function =
        function(Options { name: "perform".to_owned(), memory_mb: 512, ..Options::default() }).await;
    let env = function.invoke(&json!({ "do": "env" })).await.unwrap();
    assert_eq!(env["GIVEN"], "yes");
    assert_eq!(env["AWS_LAMBDA_FUNCTION_NAME"], "perform");
    assert_eq!(env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "512");
    assert_eq!(env.get("CARGO_MANIFEST_DIR"), None);
    let arn = function.invoke(&json!({ "do": "arn" })).await.unwrap();
    assert_eq!(arn, "arn:aws:lambda:us-east-1:123456789012:function:perform");
}

#[tokio::test]
async fn deadline_is_told_and_kept() {
    let long = function(Options { timeout: Duration::from_mins(10), ..Options::default() }).await;
    let left = long.invoke(&json!({ "do": "left" })).await.unwrap().as_f64().unwrap();
    assert!((500_000.0..=600_001.0).contains(&left), "{left}");

    let function = function(Options { timeout: Duration::from_secs(3), ..Options::default() }).await;
    let started = Instant::now();
    let late = function.invoke(&json!({ "do": "sleep", "seconds": 60 })).await;
    assert_eq!(late, Err(Failure::TimedOut));
    assert!((2_900..50_000).contains(&started.elapsed().as_millis()));
    assert!(!function.is_alive());
    function.invoke(&json!({})).await.unwrap();
    assert_eq!(function.starts(), 2);
}

#[tokio::test]
async fn process_that_ends_or_is_killed_is_replaced() {
    let function = function(Options::default()).await;
    let Err(Failure::Exited(status)) = function.invoke(&json!({ "do": "exit" })).await else { panic!() };
    assert_eq!(status.code(), Some(7));
    assert!(function.logs().contains(&"last words".to_owned()));
    let first = function.invoke(&json!({})).await.unwrap()["pid"].clone();

    function.kill().await;
    assert!(!function.is_alive());
    let second = function.invoke(&json!({})).await.unwrap()["pid"].clone();
    assert_ne!(first, second);

    let event = json!({ "do": "sleep", "seconds": 30 });
    let (answer, ()) = tokio::join!(function.invoke(&event), async {
        function.log_with("doing sleep").await.unwrap();
        function.kill().await;
    });
    assert!(matches!(answer, Err(Failure::Exited(status)) if status.code().is_none()), "{answer:?}");
    assert_eq!(function.starts(), 3);
}

#[tokio::test]
async fn invocation_goes_on_without_its_client_until_its_deadline() {
    let function = function(Options { timeout: Duration::from_secs(5), ..Options::default() }).await;
    function.invoke(&json!({})).await.unwrap();
    let event = json!({ "do": "sleep", "seconds": 3 });
    assert!(timeout(Duration::from_millis(100), function.invoke(&event)).await.is_err());
    // Waits for its turn: together they take longer than the time that each has.
    let event = json!({ "do": "sleep", "seconds": 2.5 });
    function.invoke(&event).await.unwrap();
    assert_eq!(function.starts(), 1);

    let event = json!({ "do": "sleep", "seconds": 30 });
    assert!(timeout(Duration::from_millis(100), function.invoke(&event)).await.is_err());
    function.invoke(&json!({})).await.unwrap();
    assert_eq!(function.starts(), 2);
}

#[tokio::test]
async fn errors_are_the_functions_own_and_it_lives_on() {
    let function = function(Options::default()).await;
    let error = function.invoke(&json!({ "do": "error" })).await.unwrap_err();
    assert_eq!(error.to_string(), "the function failed with Oops: it broke");
    function.invoke(&json!({ "do": "stranger" })).await.unwrap();
    assert_eq!(function.starts(), 1);
}

#[tokio::test]
async fn start_that_fails_is_told_with_its_reason() {
    let failing = Function::spawn(&BOOTSTRAP, [("FAIL_INIT", "1")], Options::default()).await.unwrap();
    assert!(
        matches!(failing.invoke(&json!({})).await, Err(Failure::Function { error_type, .. }) if error_type == "NoKey")
    );
    let exiting = Function::spawn(&BOOTSTRAP, [("EXIT_INIT", "1")], Options::default()).await.unwrap();
    assert!(
        matches!(exiting.time_to_first_next().await, Err(Failure::Exited(status)) if status.code() == Some(3))
    );
    let none: [(&str, &str); 0] = [];
    let missing = Function::spawn(Path::new("/nowhere/bootstrap"), none, Options::default()).await;
    assert!(matches!(missing, Err(Failure::NotStarted(_))));
}

#[tokio::test]
async fn payloads_have_the_platforms_limits() {
    let function = function(Options::default()).await;
    let answer = function.invoke(&json!({ "do": "bytes", "bytes": RESPONSE_LIMIT })).await.unwrap();
    assert_eq!(answer.as_str().unwrap().len(), RESPONSE_LIMIT - 2);
    let larger = function.invoke(&json!({ "do": "bytes", "bytes": RESPONSE_LIMIT + 1 })).await;
    assert_eq!(larger, Err(Failure::ResponseTooLarge(RESPONSE_LIMIT + 1)));
    assert!(function.log_with("status 413").await.is_some());
    let event = json!({ "text": "x".repeat(REQUEST_LIMIT) });
    assert!(matches!(function.invoke(&event).await, Err(Failure::RequestTooLarge(_))));
    assert_eq!(function.starts(), 1);
}

#[tokio::test]
async fn http_goes_there_and_back() {
    let function = function(Options::default()).await;
    let audio: Vec<u8> = (0..=255).collect();
    let answer =
        function.invoke_http("POST", "/voice?a=1", &[("content-type", "audio/webm")], &audio).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (200, audio.as_slice()));
    assert_eq!(answer.headers["x-path"], "/voice");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn frozen_process_stands_still_until_the_next_event() {
    let function = function(Options { freeze: true, ..Options::default() }).await;
    for _ in 0..3 {
        function.invoke(&json!({})).await.unwrap();
        let stat = format!("/proc/{}/stat", function.inner.current().pid());
        let started = Instant::now();
        // The signal is sent; the system stops the process when it next gets to it.
        while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
            assert!(started.elapsed() < Duration::from_mins(1), "it is not frozen");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    function.kill().await;
    function.invoke(&json!({})).await.unwrap();
    assert_eq!(function.starts(), 2);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn memory_is_measured() {
    let function = function(Options::default()).await;
    function.invoke(&json!({ "do": "bytes", "bytes": 6_000_000 })).await.unwrap();
    let (now, peak) = (function.resident_bytes().unwrap(), function.peak_resident_bytes().unwrap());
    assert!(now > 4_000_000 && peak >= now, "{now} {peak}");
    function.kill().await;
    assert_eq!(function.resident_bytes(), None);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn process_ends_with_the_function() {
    let function = function(Options::default()).await;
    function.invoke(&json!({})).await.unwrap();
    let process = PathBuf::from(format!("/proc/{}/exe", function.inner.current().pid()));
    drop(function);
    let started = Instant::now();
    // Of a dead process that was not waited for yet, the executable can no longer be read.
    while std::fs::read_link(&process).is_ok() {
        assert!(started.elapsed() < Duration::from_mins(1), "it still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
