//! The function `usage`: the month's characters, the service's health and the provider's account.

mod clone_quota;
mod quota;
mod service;
