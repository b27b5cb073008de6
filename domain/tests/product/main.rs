//! The rules of a product, as given / when / then and as properties.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "it reads as a sentence")]

mod always;
mod feeds;
mod given;
mod rules;
mod selling;
mod skus;
#[path = "../story/mod.rs"]
mod story;
mod upsert;
mod wishes;
