//! The function `users`: the account, its settings, its password and the recording of its voice.

mod accounts;
mod limits;
mod passwords;
mod recordings;
mod settings;
mod user_isolation;
