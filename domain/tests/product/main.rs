//! The rules of a product, as given / when / then and as properties.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod always;
mod given;
mod rules;
