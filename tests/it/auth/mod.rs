//! The function `auth`: accounts made, sessions begun, renewed and ended, and attacks on both.

mod races;
mod rate_limiting;
mod sessions;
mod tokens;
