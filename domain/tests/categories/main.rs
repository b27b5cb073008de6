//! The rules of the category tree, as given / when / then and as properties.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod always;
mod given;
mod large;
mod rules;
#[path = "../story/mod.rs"]
mod story;
