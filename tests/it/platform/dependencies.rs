//! The direction of dependencies between the crates: functions depend on `shared` and never on each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// The crates of a folder of the workspace, each with the crates of the workspace that it depends on.
fn crates_in(folder: &str) -> BTreeMap<String, BTreeSet<String>> {
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let metadata: Value = serde_json::from_slice(&output.expect("cargo runs").stdout).expect("metadata");
    let root = metadata["workspace_root"].as_str().expect("a workspace");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .filter(|package| text(&package["manifest_path"]).starts_with(&format!("{root}/{folder}/")))
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            // Crates of the workspace are named by path, all others by version.
            let ours = dependencies.iter().filter(|dependency| dependency["path"].is_string());
            (text(&package["name"]), ours.map(|dependency| text(&dependency["name"])).collect())
        })
        .collect()
}

#[test]
fn dependencies_of_a_function_are_shared_alone() {
    let functions = crates_in("functions");
    assert!(functions.len() > 7, "{functions:?}");
    for (function, dependencies) in functions {
        assert_eq!(dependencies, BTreeSet::from([String::from("shared")]), "{function}");
    }
}

#[test]
fn dependencies_of_shared_hold_no_crate_of_the_workspace() {
    let shared = crates_in("shared");
    assert_eq!(shared, BTreeMap::from([(String::from("shared"), BTreeSet::new())]));
}
