//! The scheduled function `sweep`.

mod sweeping;
