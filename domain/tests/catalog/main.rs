//! The context as a whole: kinds kept apart, stored, and written to the wire.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod kinds;
#[path = "../story/mod.rs"]
mod story;
mod wire;
