//! The command handler: from the command log to events, exactly once.
//!
//! A worker thread owns partitions through one consumer group. It polls what is there, decides on
//! an overlay of the aggregates' states, writes events, decisions and command offsets in one
//! transaction, and only then takes the overlay as true and tells the outcomes.

mod batch;
mod load;
mod partition;
mod reply;
mod take;
mod wish;
mod worker;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use projections::Tables;
use schemas::{CATALOG, Codec, DEAD_LETTERS, OUTCOMES, Registry};
use tokio::runtime::Runtime;

use crate::{
    config::Config,
    log::{Decoder, Kafka},
    shutdown::Shutdown,
};

/// How long MySQL may take to answer a question.
const ANSWER: Duration = Duration::from_secs(6);

/// What a worker needs of the world.
struct Surroundings {
    kafka: Kafka,
    decoder: Decoder,
    db: projections::Pool,
    tables: Tables,
    runtime: tokio::runtime::Handle,
    batch_max: usize,
    cache_max: usize,
    tail_max: usize,
}

impl Surroundings {
    /// Waits for an answer of MySQL, but not for ever: a connection that was cut in the middle
    /// may never say so, and meanwhile the group must be served.
    fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, projections::Error>>,
    ) -> anyhow::Result<T> {
        let answer = async { tokio::time::timeout(ANSWER, question).await };
        Ok(self.runtime.block_on(answer).context("mysql does not answer")??)
    }
}

/// Runs until the shutdown. A worker that meets something unforeseen leaves the group, and another
/// begins anew with no memory of it: everything it knew can be read again from the log.
///
/// # Errors
/// When the process cannot begin its work: settings, registry or MySQL.
pub fn run(config: &Config, shutdown: &Shutdown) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let around = surroundings(config, &runtime)?;
    while !shutdown.requested() {
        if let Err(error) = worker::run(&around, shutdown) {
            metrics::counter!(crate::telemetry::RETRIES, "reason" => "worker").increment(1);
            tracing::error!(error = format!("{error:#}"), "the worker begins anew");
            shutdown.sleep(Duration::from_millis(500));
        }
    }
    Ok(())
}

fn surroundings(config: &Config, runtime: &Runtime) -> anyhow::Result<Surroundings> {
    let topics = [CATALOG.commands, CATALOG.events, CATALOG.decisions, OUTCOMES, DEAD_LETTERS];
    let registry = Registry::new(&config.registry)?;
    let codec = runtime.block_on(Codec::load(registry, &topics)).context("schema registry")?;
    let db = runtime
        .block_on(projections::connect(&config.mysql, config.mysql_connections))
        .context("mysql")?;
    let active = runtime.block_on(Tables::active(&db)).context("mysql")?;
    let tables = active.with("snapshot", config.snapshot_version);
    Ok(Surroundings {
        kafka: Kafka {
            bootstrap: config.kafka.clone(),
            client_id: "jangbu-command-handler".to_owned(),
        },
        decoder: Decoder::new(Arc::new(codec), runtime.handle().clone()),
        db,
        tables,
        runtime: runtime.handle().clone(),
        batch_max: config.batch_max,
        cache_max: config.cache_max,
        tail_max: config.tail_max,
    })
}
