//! The outbound calls of a function, as the fakes and the database received them.

use std::{collections::HashMap, fmt, time::Instant};

use http::Method;
use tests::fakes::faults::Operation;

use super::deployment::Deployment;

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    pub kind: Kind,
    /// Its number among the calls of this kind, from 1.
    pub nth: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    MongoDb { command: String, collection: String },
    S3(Method),
    Gemini,
    ElevenLabs(Operation),
}

/// Every call since the last [`Deployment::heal`], in order.
pub fn received(deployment: &Deployment) -> Vec<Call> {
    let mut received: Vec<(Instant, Kind)> = Vec::new();
    for command in deployment.wire().commands() {
        let collection = command.collection.unwrap_or_default();
        received.push((command.started, Kind::MongoDb { command: command.name, collection }));
    }
    for request in deployment.s3().requests() {
        received.push((request.started, Kind::S3(request.method)));
    }
    for (_, started) in deployment.gemini().requests().received() {
        received.push((started, Kind::Gemini));
    }
    for (operation, started) in deployment.elevenlabs().requests().received() {
        received.push((started, Kind::ElevenLabs(operation)));
    }
    received.sort_by_key(|(at, _)| *at);

    let mut seen: HashMap<Kind, usize> = HashMap::new();
    let numbered = received.into_iter().map(|(_, kind)| {
        let nth = seen.entry(kind.clone()).or_default();
        *nth += 1;
        Call { kind, nth: *nth }
    });
    numbered.collect()
}

impl Call {
    /// Whether it stores the result of a perform. A result that cannot be stored is returned all the same, uncharged.
    pub fn stores_result(&self) -> bool {
        match &self.kind {
            Kind::MongoDb { command, collection } => command == "update" && collection == "users",
            Kind::S3(method) => method == Method::PUT,
            _ => false,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::MongoDb { command, collection } => write!(f, "MongoDB {command} {collection}")?,
            Kind::S3(method) => write!(f, "S3 {method}")?,
            Kind::Gemini => write!(f, "Gemini generate")?,
            Kind::ElevenLabs(operation) => {
                write!(f, "ElevenLabs {}", format!("{operation:?}").to_lowercase())?;
            }
        }
        if self.nth > 1 { write!(f, " #{}", self.nth) } else { Ok(()) }
    }
}
