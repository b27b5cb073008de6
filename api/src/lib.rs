//! The HTTP interface: thin routes over commands and read models. No rule of the shop lives here.

mod admission;
mod app;
mod auth;
mod body;
mod bulk;
mod checkpoints;
mod commands;
mod courtesy;
mod directory;
mod docs;
mod edge;
mod errors;
mod freshness;
mod headers;
mod health;
mod identity;
mod malls;
mod openapi;
mod problem;
mod products;
mod quota;
mod reads;
mod request;
mod route;
mod search;
mod submit;
mod trees;
mod unread;
mod view;
mod waiters;

pub use app::{USAGE, run};
pub use errors::errors;
pub use openapi::openapi;
