//! The Kafka processes: command handler, projector, indexer, and the operator's tool.

pub mod admin;
pub mod config;
pub mod dead_letters;
mod failures;
pub mod faults;
pub mod generate;
pub mod handler;
pub mod import;
pub mod indexer;
mod lag;
pub mod log;
pub mod needed;
pub mod past;
pub mod projector;
pub mod records;
pub mod replay;
mod screen;
pub mod shutdown;
pub mod standing;
pub mod status;
pub mod telemetry;
pub mod tool;
pub mod verify;

/// Of every process of ours: a command is read, checked, decided and told in some hundred small
/// pieces of memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
