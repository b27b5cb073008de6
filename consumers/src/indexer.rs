//! The indexer: from the read model to the search engine, with the log as its trigger.

use std::{sync::Arc, time::Duration};

use projections::{
    Pool,
    search::{Layout, Search, TOPICS},
};
use tokio::runtime::{Handle, Runtime};

use crate::{
    config::{Config, Usage},
    log::{Decoder, Ends, Kafka},
    needed,
    shutdown::Shutdown,
};

mod following;
mod progress;
mod versions;
mod worker;

pub(crate) use versions::ensure_live;

/// What the indexer needs of the world.
struct Surroundings {
    kafka: Kafka,
    decoder: Decoder,
    ends: Ends,
    runtime: Handle,
    db: Pool,
    search: Search,
    layout: Layout,
}

/// What the process takes.
pub const USAGE: Usage = Usage {
    about: "indexer: keeps the search index.",
    settings: &["search_shards", "search_replicas", "mysql_connections", "metrics"],
    flags: &[],
};

/// Runs until the shutdown. What goes wrong on the way is tried again from the checkpoints.
///
/// # Errors
/// When the process cannot begin its work, or the index belongs to another log.
pub fn run(config: &Config, shutdown: &Shutdown) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let Some(around) = surroundings(config, &runtime, shutdown)? else { return Ok(()) };
    versions::feed(&around, shutdown)
}

/// None where a stop was asked for before everything was there.
fn surroundings(
    config: &Config,
    runtime: &Runtime,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<Surroundings>> {
    let read_models = runtime.block_on(needed::read_models(config, &[], shutdown))?;
    let codec = runtime.block_on(needed::codec(config, TOPICS, shutdown))?;
    let (Some((db, _)), Some(codec)) = (read_models, codec) else { return Ok(None) };
    let kafka = Kafka::of("indexer", &config.kafka);
    let (ends, _) = Ends::watch(&kafka, None, TOPICS, Duration::from_secs(1), shutdown.clone())?;
    Ok(Some(Surroundings {
        decoder: Decoder::new(Arc::new(codec), runtime.handle().clone()),
        runtime: runtime.handle().clone(),
        search: Search::new(&config.opensearch)?,
        layout: layout(config),
        kafka,
        ends,
        db,
    }))
}

/// How an index is laid out that anybody may read.
pub(crate) fn layout(config: &Config) -> Layout {
    let (shards, replicas) = (config.search_shards, config.search_replicas);
    Layout { shards, replicas, ..Layout::default() }
}
