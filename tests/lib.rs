//! What the tests, the local runner and the benchmark share: [`standins`] for everything the backend talks to, and
//! the backend itself, started together with them, in [`app`].

pub mod app;
pub mod standins;
