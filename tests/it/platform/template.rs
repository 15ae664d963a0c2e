//! What `template.yaml` says, as far as the tests compare it with something.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::Value;

/// The parts that are read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Template {
    pub parameters: BTreeMap<String, Parameter>,
    pub globals: Globals,
    pub resources: BTreeMap<String, Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Parameter {
    pub default: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Globals {
    function: Properties,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Resource {
    r#type: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    properties: Properties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Metadata {
    build_properties: BuildProperties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct BuildProperties {
    binary: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Properties {
    environment: Environment,
    events: BTreeMap<String, Event>,
    cors_configuration: Cors,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Environment {
    /// The value of `!Ref Name` and of `!Sub text` is what follows the tag.
    variables: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    properties: EventProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EventProperties {
    method: Option<String>,
    path: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Cors {
    expose_headers: Vec<String>,
    allow_headers: Vec<String>,
}

/// One function.
pub struct Function {
    /// Its binary, which is its folder in `functions/` too.
    pub name: &'static str,
    /// Its routes, such as `GET /users/{user_id}`.
    pub routes: Vec<String>,
    /// Those that are there a second time, under [`BASE_PATH`], without it.
    pub routes_under_base_path: Vec<String>,
    /// Its environment variables and what they are set from.
    pub variables: BTreeMap<&'static str, &'static str>,
}

/// Under which every route is there a second time; the default of `API_BASE_PATH`.
pub const BASE_PATH: &str = "/api";

/// The file.
pub static TEMPLATE: LazyLock<Template> = LazyLock::new(|| {
    serde_saphyr::from_str(include_str!("../../../template.yaml")).expect("template.yaml is readable")
});

/// The properties of each resource of a type, by logical name. The value of `!Ref Name` and of `!Sub text` is what
/// follows the tag.
pub fn resources(kind: &str) -> BTreeMap<String, Value> {
    static WHOLE: LazyLock<Value> = LazyLock::new(|| {
        serde_saphyr::from_str(include_str!("../../../template.yaml")).expect("template.yaml is readable")
    });
    let all = WHOLE["Resources"].as_object().expect("resources");
    let of_kind = all.iter().filter(|(_, resource)| resource["Type"] == kind);
    of_kind.map(|(name, resource)| (name.clone(), resource["Properties"].clone())).collect()
}

impl Template {
    /// The functions.
    pub fn functions(&'static self) -> Vec<Function> {
        let of = |resource: &'static Resource| Function {
            name: &resource.metadata.build_properties.binary,
            routes: resource.routes().filter(|route| !route.contains(BASE_PATH)).collect(),
            routes_under_base_path: resource
                .routes()
                .filter(|route| route.contains(BASE_PATH))
                .map(|route| route.replacen(BASE_PATH, "", 1))
                .collect(),
            variables: [&self.globals.function, &resource.properties]
                .into_iter()
                .flat_map(|properties| &properties.environment.variables)
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
        };
        self.resources
            .values()
            .filter(|resource| resource.r#type == "AWS::Serverless::Function")
            .map(of)
            .collect()
    }

    /// The headers of requests that a browser's script may send.
    pub fn allowed_headers(&self) -> Vec<&str> {
        self.resources
            .values()
            .flat_map(|resource| &resource.properties.cors_configuration.allow_headers)
            .map(String::as_str)
            .collect()
    }

    /// The headers of responses that a browser's script may read.
    pub fn exposed_headers(&self) -> Vec<&str> {
        self.resources
            .values()
            .flat_map(|resource| &resource.properties.cors_configuration.expose_headers)
            .map(String::as_str)
            .collect()
    }
}

impl Resource {
    fn routes(&self) -> impl Iterator<Item = String> {
        self.properties.events.values().filter_map(|event| event.properties.route())
    }
}

impl EventProperties {
    /// The route; a schedule has none.
    fn route(&self) -> Option<String> {
        Some(format!("{} {}", self.method.as_ref()?, self.path.as_ref()?))
    }
}
