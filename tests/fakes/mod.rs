//! Fakes of what the backend talks to: servers that speak the real protocols, keep state, say what they received, and
//! can inject failures.

pub mod elevenlabs;
pub mod faults;
pub mod gemini;
pub mod mongodb;
pub mod mongodb_wire;
pub mod requests;
pub mod s3;
mod server;
