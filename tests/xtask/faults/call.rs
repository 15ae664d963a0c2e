//! One outbound call of a function: which of those it makes, told by what the stand-ins and the database received.

use std::{collections::HashMap, fmt, time::Instant};

use http::Method;
use tests::fakes::faults::Operation;

use super::world::World;

/// A call, and the how-manieth of its kind it is, from 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    pub kind: Kind,
    pub nth: usize,
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    MongoDb { command: String, collection: String },
    S3(Method),
    Gemini,
    ElevenLabs(Operation),
}

/// Every call since the world last forgot, in the order in which they came.
pub fn received(world: &World) -> Vec<Call> {
    let mut received: Vec<(Instant, Kind)> = Vec::new();
    for command in world.wire().commands() {
        let collection = command.collection.unwrap_or_default();
        received.push((command.started, Kind::MongoDb { command: command.name, collection }));
    }
    for entry in world.s3().journal() {
        received.push((entry.started, Kind::S3(entry.method)));
    }
    for span in world.gemini().journal().spans() {
        received.push((span.started, Kind::Gemini));
    }
    for span in world.elevenlabs().journal().spans() {
        received.push((span.started, Kind::ElevenLabs(span.operation)));
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
    /// Whether it keeps what a perform gave. What cannot be kept is heard all the same, and not charged.
    pub fn writes_down(&self) -> bool {
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
