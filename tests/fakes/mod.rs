//! Servers that speak the real wire of what the backend talks to: stateful, honest about what they received, and
//! able to fail on order.

pub mod elevenlabs;
pub mod faults;
pub mod gemini;
pub mod journal;
pub mod mongodb;
pub mod mongodb_wire;
pub mod s3;
mod server;
