//! Alarms, the dashboard and the runbook: they name metrics that there are, and each alarm says what to do.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    sync::{Arc, Mutex},
};

use clap::Parser as _;
use ops::Ops;
use serde_json::{Value, json};
use shared::metrics::{self, NAMESPACE};
use tests::harness::{Setup, TestApp};

use crate::platform::template;

const RUNBOOK: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../.github/RUNBOOK.md"));

/// Every metric that a performing and a sweeping deployment writes.
const METRICS: [&str; 18] = [
    "AddEditBudgetLeft",
    "AddEditBudgetLeftPercent",
    "AudioBytes",
    "Chars",
    "CleanupFailures",
    "CloneAttempts",
    "CloneCreateMs",
    "CloneLifetimeMs",
    "CloneSuccesses",
    "FailedSignIns",
    "OrphansSwept",
    "OverheadMs",
    "PerformMs",
    "RefusedResets",
    "SlotWaitMs",
    "SlotsHeld",
    "SynthesisMs",
    "TakesFailed",
];

/// Those of the platform, under the namespace and the dimension by which AWS writes them.
const OF_AWS: [(&str, &str, &str); 6] = [
    // <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html>
    ("AWS/Lambda", "Errors", "FunctionName"),
    ("AWS/Lambda", "Throttles", "FunctionName"),
    // <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html>
    ("AWS/ApiGateway", "Count", "ApiId"),
    ("AWS/ApiGateway", "4xx", "ApiId"),
    ("AWS/ApiGateway", "5xx", "ApiId"),
    // <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html>
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName"),
];

/// A metric as it is written and watched: the function that writes it, and its name.
type Metric = (String, String);

#[tokio::test]
async fn metrics_written_are_those_that_alarms_and_dashboard_watch() {
    let written = written().await;
    let names: BTreeSet<&str> = written.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, METRICS.into_iter().collect());

    let (on_alarms, on_dashboard) = (alarms(), dashboard());
    for metric in on_alarms.values().chain([&on_dashboard]).flatten() {
        assert!(written.contains(metric), "{metric:?} is watched, and nobody writes it");
    }
    for metric in &written {
        // A perform sees no orphans, and so on: what is zero by nature needs no curve.
        assert!(on_dashboard.contains(metric), "{metric:?} is on no dashboard");
    }
}

#[test]
fn alarms_and_runbook_paragraphs_match() {
    let section = RUNBOOK.split("\n## When an alarm rings\n").nth(1).expect("a section");
    let section = section.split("\n## ").next().expect("its text");
    let paragraphs: BTreeMap<&str, &str> =
        section.split("\n### ").skip(1).filter_map(|paragraph| paragraph.split_once('\n')).collect();
    let alarms: BTreeSet<String> = alarms().into_keys().collect();
    assert!(alarms.len() > 8, "{alarms:?}");
    assert_eq!(paragraphs.keys().map(|&name| name.to_owned()).collect::<BTreeSet<_>>(), alarms);
    for (alarm, paragraph) in paragraphs {
        assert!(paragraph.contains("`cargo ops "), "{alarm}: no command");
    }
    for (name, alarm) in template::resources("AWS::CloudWatch::Alarm") {
        let description = alarm["AlarmDescription"].as_str().expect("a description");
        assert!(description.ends_with(&format!(" See {name} in .github/RUNBOOK.md.")), "{description}");
    }
}

#[test]
fn runbook_names_only_operator_commands_that_exist() {
    let commands: BTreeSet<&str> =
        RUNBOOK.split("`cargo ops ").skip(1).map(|rest| rest.split('`').next().expect("its end")).collect();
    assert!(commands.len() > 6, "{commands:?}");
    for command in commands {
        let words = ["cargo ops"].into_iter().chain(command.split_whitespace());
        assert!(Ops::try_parse_from(words).is_ok(), "cargo ops {command}");
    }
}

/// Performs and sweeps, and gives the metrics that were written, each with the dimensions that are watched.
async fn written() -> BTreeSet<Metric> {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    metrics::write_to(lines.clone());
    let app = TestApp::with(Setup { env: vec![("STAGE", String::from("alarms"))], ..Setup::default() }).await;
    let ada = app.performer("ada").await;
    assert_eq!(app.perform(&ada, "seven of hearts").await.status, 200);
    app.backend.sweep().await.unwrap();
    let login = json!({ "username": "ada", "password": "not the password" });
    app.post("/auth/login", &login).await.assert_problem(401, "invalid_credentials");
    let reset = json!({
        "email": "ada@example.com", "activation_code": "ABCDEFGH123", "new_password": "quite another phrase",
    });
    app.post("/activation/reset-password", &reset).await.assert_problem(422, "invalid_activation_code");

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let mut written = BTreeSet::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        // Other tests perform too.
        if line["Stage"] != "alarms" {
            continue;
        }
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().expect("directives") {
            assert_eq!(directive["Namespace"], NAMESPACE);
            let sets = directive["Dimensions"].as_array().expect("sets of dimensions");
            assert!(sets.contains(&json!(["Stage", "Function"])), "{sets:?}");
            for metric in directive["Metrics"].as_array().expect("metrics") {
                let name = metric["Name"].as_str().expect("a name");
                assert!(line[name].is_number(), "{name} has no value: {line}");
                written.insert((text_of(&line["Function"]), name.to_owned()));
            }
        }
    }
    written
}

/// The metrics of ours that each alarm watches.
fn alarms() -> BTreeMap<String, BTreeSet<Metric>> {
    let watched = |alarm: &Value| {
        let of_math = alarm["Metrics"].as_array().into_iter().flatten();
        let stats = of_math.map(|query| &query["MetricStat"]["Metric"]).chain([alarm]);
        let named = stats.filter(|metric| metric["MetricName"].is_string());
        let mut ours = BTreeSet::new();
        let mut watches_something = false;
        for metric in named {
            watches_something = true;
            let dimensions: Vec<(String, String)> = metric["Dimensions"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|dimension| (text_of(&dimension["Name"]), text_of(&dimension["Value"])))
                .collect();
            ours.extend(ours_of(
                &text_of(&metric["Namespace"]),
                &text_of(&metric["MetricName"]),
                &dimensions,
            ));
        }
        assert!(watches_something, "{alarm}");
        ours
    };
    template::resources("AWS::CloudWatch::Alarm")
        .into_iter()
        .map(|(name, alarm)| (name, watched(&alarm)))
        .collect()
}

/// The metrics of ours that the dashboard shows.
fn dashboard() -> BTreeSet<Metric> {
    let mut shown = BTreeSet::new();
    for (_, dashboard) in template::resources("AWS::CloudWatch::Dashboard") {
        // Placeholders stand in texts and once for a number: any digit will do.
        let mut body = text_of(&dashboard["DashboardBody"]);
        while let Some((before, after)) = body.split_once("${") {
            let rest = after.split_once('}').expect("a placeholder ends").1;
            body = format!("{before}1{rest}");
        }
        let body: Value = serde_json::from_str(&body).expect("the dashboard is JSON");
        for widget in body["widgets"].as_array().expect("widgets") {
            for metric in widget["properties"]["metrics"].as_array().expect("metrics") {
                let words: Vec<String> = metric
                    .as_array()
                    .expect("a list")
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect();
                let pairs = words[2..].chunks(2).map(|pair| (pair[0].clone(), pair[1].clone()));
                shown.extend(ours_of(&words[0], &words[1], &pairs.collect::<Vec<_>>()));
            }
        }
    }
    shown
}

/// A watched metric, if it is ours; one of AWS's must be known.
fn ours_of(namespace: &str, name: &str, dimensions: &[(String, String)]) -> Option<Metric> {
    if namespace != NAMESPACE {
        let [(dimension, _)] = dimensions else { panic!("{namespace} {name}: {dimensions:?}") };
        assert!(OF_AWS.contains(&(namespace, name, dimension)), "{namespace} {name} by {dimension}");
        return None;
    }
    let [(stage, _), (function, value)] = dimensions else { panic!("{name}: {dimensions:?}") };
    assert_eq!((stage.as_str(), function.as_str()), ("Stage", "Function"), "{name}");
    Some((value.clone(), name.to_owned()))
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not text")).to_owned()
}
