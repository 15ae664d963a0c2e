//! The function `activation`: codes, and passwords reset with one.

mod codes;
