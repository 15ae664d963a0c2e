//! Configuration: what the code reads, what `.env.example` explains, and what `template.yaml` sets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::platform::template::TEMPLATE;

/// `#NAME=default` of each variable.
const EXAMPLE: &str = include_str!("../../../.env.example");

/// Read by the functions and not set in AWS: the platform sets them, or their defaults are right there.
const NOT_IN_AWS: [&str; 8] = [
    "ACCESS_TOKEN_SECONDS",
    "AWS_ACCESS_KEY_ID",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "ELEVENLABS_BASE_URL",
    "GEMINI_BASE_URL",
    "S3_ENDPOINT",
];

#[test]
fn env_example_names_exactly_the_variables_that_the_code_reads() {
    let mut read = BTreeSet::new();
    for folder in ["shared/src", "functions", "tests/harness", "tests/xtask", "tests/fakes", "tests/it"] {
        for file in sources(&workspace().join(folder)) {
            read.extend(variables_read(&file));
        }
    }
    // Not ours.
    read.remove("CARGO");
    read.remove("CARGO_MANIFEST_DIR");
    read.remove("PATH");
    let named: BTreeSet<String> = example().into_keys().map(str::to_owned).collect();
    assert_eq!(named, read);
}

#[test]
fn every_variable_of_env_example_is_explained_and_commented_out() {
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

#[test]
fn template_gives_each_function_exactly_the_variables_that_it_reads() {
    for function in TEMPLATE.functions() {
        let own = sources(&workspace().join("functions").join(function.name).join("src"));
        let mut read: BTreeSet<String> = own.iter().flat_map(|file| variables_read(file)).collect();
        let code: String = own.iter().map(|file| squeezed(file)).collect();
        for file in sources(&workspace().join("shared/src")) {
            if reads_configuration_for(&code, &file) {
                read.extend(variables_read(&file));
            }
        }
        for name in NOT_IN_AWS {
            read.remove(name);
        }
        let given: BTreeSet<String> = function.variables.keys().map(|&name| name.to_owned()).collect();
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

#[test]
fn template_has_exactly_the_routes_that_the_functions_serve() {
    for function in TEMPLATE.functions() {
        let code = squeezed(&workspace().join("functions").join(function.name).join("src/lib.rs"));
        let mut served = BTreeSet::new();
        for route in code.split(".route(\"").skip(1) {
            let (path, handlers) = route.split_once('"').expect("a path ends");
            for method in ["get", "post", "put", "patch", "delete"] {
                if handlers.contains(&format!(",{method}(")) || handlers.contains(&format!(").{method}(")) {
                    served.insert(format!("{} {path}", method.to_uppercase()));
                }
            }
        }
        assert_eq!(
            function.routes.into_iter().collect::<BTreeSet<_>>(),
            served,
            "the function {}",
            function.name
        );
    }
}

fn example() -> BTreeMap<&'static str, &'static str> {
    let lines = EXAMPLE.lines().filter_map(|line| line.strip_prefix('#')?.split_once('='));
    lines.filter(|(name, _)| is_variable(name)).collect()
}

/// Whether code gets its configuration from this file of the common crate: from a type there, or from its module.
fn reads_configuration_for(code: &str, file: &Path) -> bool {
    let module = file.file_stem().unwrap().to_str().unwrap();
    let of_type = |implementation: &str| {
        let name = implementation.split('{').next().unwrap();
        code.contains(&format!("{name}::from_env(")) && !name.contains("for")
    };
    squeezed(file).split("impl").skip(1).any(of_type)
        || ["connect(env", "init(&env"].iter().any(|call| code.contains(&format!("{module}::{call}")))
}

/// The names of the environment variables that a file asks for.
fn variables_read(file: &Path) -> BTreeSet<String> {
    let code = squeezed(file);
    let asked = [".get(\"", ".required(\"", ".secret(\"", ".parsed(\"", "var_os(\""];
    let names =
        asked.iter().flat_map(|ask| code.split(ask).skip(1)).filter_map(|rest| rest.split('"').next());
    let mut names: BTreeSet<String> = names.filter(|name| is_variable(name)).map(str::to_owned).collect();
    if code.contains("env.stage()") {
        names.insert("STAGE".to_owned());
    }
    names
}

fn is_variable(name: &str) -> bool {
    name.len() > 3
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// A file without white space, so that it does not matter where lines are broken.
fn squeezed(file: &Path) -> String {
    fs::read_to_string(file).unwrap().split_whitespace().collect()
}

/// All Rust files of a folder and its folders.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
