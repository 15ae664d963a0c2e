//! What the tests, the local runner and the benchmark share: [`fakes`] for everything the backend talks to, and
//! the backend itself, started together with them, in [`harness`].

pub mod fakes;
pub mod harness;
