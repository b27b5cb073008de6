//! The read side: read models in MySQL, documents in OpenSearch.
//!
//! A projection is a pure fold plus a table ([`Projection`]); [`Engine`] does the rest: it locks
//! the checkpoint, loads the rows of a batch, folds, writes and moves the checkpoint, all in one
//! transaction, so a row and the position it stands for cannot part.

pub mod checkpoint;
mod column;
pub mod command_status;
pub mod directory;
mod engine;
mod error;
mod fact;
#[cfg(test)]
mod given;
pub mod history;
mod known;
mod memory;
mod moment;
mod page;
mod pool;
pub mod products;
mod projection;
pub mod search;
pub mod snapshot;
mod store;
mod table;
pub mod version;

pub use checkpoint::{Checkpoint, Consumed};
pub use column::{Columns, Values};
pub use engine::{
    Batch, Engine, EngineError, Extent, Filled, Filling, Moved, Part, Refused, Share, Stop,
    apply_as_one,
};
pub use error::Error;
pub use fact::{EventHead, Fact, Logged};
pub use known::{ALL, Projections, know_only, known, named};
pub use page::Page;
pub use pool::{Pool, connect};
pub use projection::{AnyProjection, Fault, Projection, follows};
pub use table::{TableName, Tables};
pub use version::{Version, create, discard, migrate};
