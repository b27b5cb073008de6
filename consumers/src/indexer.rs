//! The indexer: from the read model to the search engine, with the log as its trigger.

use std::{sync::Arc, time::Duration};

use projections::{
    Pool,
    search::{Layout, Search, SearchError, TOPICS},
};
use tokio::runtime::{Handle, Runtime};

use crate::{
    config::{Config, Usage},
    log::{Decoder, Ends, Kafka},
    needed,
    shutdown::Shutdown,
    telemetry::RETRIES,
};

mod following;
mod progress;
mod worker;

/// What the indexer needs of the world.
struct Surroundings {
    kafka: Kafka,
    decoder: Decoder,
    ends: Ends,
    runtime: Handle,
    db: Pool,
    search: Search,
    /// The index version that is written.
    version: i32,
    layout: Layout,
}

/// What the process takes.
pub const USAGE: Usage = Usage {
    about: "indexer: keeps the search index.",
    settings: &[
        "search_version",
        "search_shards",
        "search_replicas",
        "mysql_connections",
        "metrics",
    ],
    flags: &[],
};

/// Runs until the shutdown. What goes wrong on the way is tried again from the checkpoints.
///
/// # Errors
/// When the process cannot begin its work, or the index belongs to another log.
pub fn run(config: &Config, shutdown: &Shutdown) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let Some(around) = surroundings(config, &runtime, shutdown)? else { return Ok(()) };
    while !shutdown.requested() {
        let Err(error) = worker::run(&around, shutdown) else { continue };
        if matches!(error.downcast_ref(), Some(SearchError::OtherSource { .. })) {
            return Err(error);
        }
        metrics::counter!(RETRIES, "reason" => "indexer").increment(1);
        tracing::error!(error = format!("{error:#}"), "beginning anew");
        shutdown.sleep(Duration::from_millis(500));
    }
    Ok(())
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
    let layout = Layout {
        shards: config.search_shards,
        replicas: config.search_replicas,
        ..Layout::default()
    };
    Ok(Some(Surroundings {
        decoder: Decoder::new(Arc::new(codec), runtime.handle().clone()),
        runtime: runtime.handle().clone(),
        search: Search::new(&config.opensearch)?,
        version: config.search_version,
        kafka,
        ends,
        db,
        layout,
    }))
}
