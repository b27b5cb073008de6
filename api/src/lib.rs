//! The HTTP interface: thin routes over commands and read models. No rule of the shop lives here.

mod app;
mod auth;
mod body;
mod bulk;
mod commands;
mod courtesy;
mod directory;
mod docs;
mod edge;
mod freshness;
mod headers;
mod health;
mod identity;
mod openapi;
mod problem;
mod products;
mod request;
mod route;
mod search;
mod submit;
mod unread;
mod waiters;

pub use app::run;
pub use openapi::openapi;
