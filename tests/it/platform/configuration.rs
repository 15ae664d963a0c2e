//! Configuration: what the code reads, what `.env.example` explains, and what `template.yaml` sets.

use std::collections::{BTreeMap, BTreeSet};

use shared::{env::Env, http};
use tests::harness::{TestApp, router};

use crate::platform::template::TEMPLATE;

/// `#NAME=default` of each variable.
const EXAMPLE: &str = include_str!("../../../.env.example");

/// Read by the functions and not set in AWS: the platform sets them, or their defaults are right there.
const NOT_IN_AWS: [&str; 7] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "ELEVENLABS_BASE_URL",
    "GEMINI_BASE_URL",
    "S3_ENDPOINT",
];

/// Read by no function: by the local server, by the fakes and by these tests.
const NOT_OF_A_FUNCTION: [&str; 3] = ["NEWVISIONS_CACHE", "PORT", "TEST_MONGODB_URI"];

#[tokio::test]
async fn env_example_names_exactly_the_variables_that_the_code_reads() {
    let app = TestApp::new().await;
    let mut read = BTreeSet::from(NOT_OF_A_FUNCTION);
    for function in TEMPLATE.functions() {
        read.extend(requested(&app, function.name).await);
    }
    assert_eq!(example().into_keys().collect::<BTreeSet<_>>(), read);
}

#[test]
fn env_example_explains_every_variable_and_sets_none() {
    let mut explained = false;
    for line in EXAMPLE.lines() {
        if line.starts_with("# ") {
            explained = true;
        } else if line.is_empty() {
            explained = false;
        } else {
            let (name, _) = line.strip_prefix('#').and_then(|line| line.split_once('=')).expect(line);
            assert!(explained || name == "MONGODB_DATABASE", "{name} is not explained");
        }
    }
}

#[tokio::test]
async fn template_gives_each_function_exactly_the_variables_that_it_reads() {
    let app = TestApp::new().await;
    for function in TEMPLATE.functions() {
        let mut read = requested(&app, function.name).await;
        for name in NOT_IN_AWS {
            read.remove(name);
        }
        let given: BTreeSet<&str> = function.variables.into_keys().collect();
        assert_eq!(given, read, "the function {}", function.name);
    }
}

#[test]
fn template_and_env_example_have_the_same_defaults() {
    let example = example();
    let mut compared = 0;
    for function in TEMPLATE.functions() {
        for (variable, parameter) in function.variables {
            let default =
                TEMPLATE.parameters.get(parameter).and_then(|parameter| parameter.default.as_deref());
            // A stage of AWS and a local one are never the same.
            if let Some(default) = default.filter(|_| variable != "STAGE") {
                assert_eq!(example[variable], default, "{variable}");
                compared += 1;
            }
        }
    }
    assert!(compared > 10);
}

/// The names of the variables that a function asks for at its start.
async fn requested(app: &TestApp, function: &str) -> BTreeSet<&'static str> {
    // A new value: clones share what was asked for.
    let env: Env = app.services.env.clone().into_iter().collect();
    if function == "sweep" {
        sweep::AppState::from_env(&env, app.clock.clone()).await.unwrap();
    } else {
        let routes = router(function, &env, &app.clock).await.unwrap();
        let _ = http::with_common_layers(routes, &env).unwrap();
    }
    let mut requested = env.requested();
    // Every program starts its logs with it, which a test must not.
    requested.insert("LOG_LEVEL");
    requested
}

fn example() -> BTreeMap<&'static str, &'static str> {
    let lines = EXAMPLE.lines().filter_map(|line| line.strip_prefix('#')?.split_once('='));
    lines.filter(|(name, _)| is_variable(name)).collect()
}

fn is_variable(name: &str) -> bool {
    name.len() > 3
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}
