//! The command handler: from the command log to events, exactly once.
//!
//! A worker thread owns partitions through one consumer group. It polls what is there, of the
//! interactive lane first and then a bounded share of the bulk lane, decides on an overlay of the
//! aggregates' states, writes events, decisions and command offsets in one transaction, and only
//! then takes the overlay as true and tells the outcomes.

mod batch;
mod dead_letter;
mod held;
mod lanes;
mod load;
mod partition;
mod places;
mod refused;
mod reply;
mod sequence;
mod take;
mod wish;
mod worker;

use std::{
    cell::Cell,
    sync::{Arc, mpsc::RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use projections::Tables;
use schemas::TOPICS;
use tokio::runtime::Runtime;

use crate::{
    config::{Config, Usage},
    log::{Decoder, Kafka},
    needed,
    shutdown::Shutdown,
    telemetry::PARTITION_STOPPED,
};

/// How long MySQL may take to answer a question.
const ANSWER: Duration = Duration::from_secs(6);

/// How long commands rest after a load or a commit has failed.
const REST: Duration = Duration::from_millis(200);

/// A worker that stands still so long has been put out of the group (`max.poll.interval.ms`).
const STUCK: Duration = Duration::from_secs(60);

/// How long the last batch may take to end when the process is to end.
const END: Duration = Duration::from_secs(10);

/// Whether a partition stands still until a person has looked.
fn stopped(partition: i32) -> metrics::Gauge {
    let (topic, partition) = (schemas::CATALOG.commands.name, partition.to_string());
    metrics::gauge!(PARTITION_STOPPED, "topic" => topic, "partition" => partition)
}

/// What a worker needs of the world.
struct Surroundings {
    kafka: Kafka,
    decoder: Decoder,
    db: projections::Pool,
    tables: Tables,
    runtime: tokio::runtime::Handle,
    batch_max: usize,
    bulk_share: usize,
    bulk_max: usize,
    /// Longer than this, a transaction that somebody waits for is slow.
    slow: Duration,
    cache_max: usize,
    tail_max: usize,
    offsets_every: Duration,
}

impl Surroundings {
    /// Waits for an answer of MySQL, but not for ever: a connection that was cut in the middle
    /// may never say so, and meanwhile the group must be served.
    fn ask<T, E>(&self, question: impl Future<Output = Result<T, E>>) -> anyhow::Result<T>
    where
        anyhow::Error: From<E>,
    {
        let answer = async { tokio::time::timeout(ANSWER, question).await };
        Ok(self.runtime.block_on(answer).context("mysql does not answer")??)
    }
}

/// What the process takes.
pub const USAGE: Usage = Usage {
    about: "command-handler: decides commands and writes their events.",
    settings: &[
        "batch_max",
        "bulk_share",
        "bulk_max",
        "bulk_yield_ms",
        "cache_max",
        "tail_max",
        "offsets_every",
        "mysql_connections",
        "metrics",
    ],
    flags: &[],
};

/// Runs until the shutdown. A worker that meets something unforeseen leaves the group, and another
/// begins anew with no memory of it: everything it knew can be read again from the log.
///
/// # Errors
/// When the process cannot begin its work: settings, schemas, tables or a thread.
pub fn run(config: &Config, shutdown: &Shutdown) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let Some(around) = surroundings(config, &runtime, shutdown)? else { return Ok(()) };
    let around = Arc::new(around);
    while !shutdown.requested() {
        if let Err(error) = watch(&around, shutdown) {
            metrics::counter!(crate::telemetry::RETRIES, "reason" => "worker").increment(1);
            tracing::error!(error = format!("{error:#}"), "the worker begins anew");
            shutdown.sleep(Duration::from_millis(500));
        }
    }
    // A thread that was given up may still wait for a lost server; the process does not.
    runtime.shutdown_background();
    Ok(())
}

/// Runs one worker on a thread of its own, and gives it up when it no longer turns: librdkafka may
/// wait without end for a coordinator that went away in the middle of a transaction. Should it
/// wake, it has lost its place in the group, and commits nothing.
fn watch(around: &Arc<Surroundings>, shutdown: &Shutdown) -> anyhow::Result<()> {
    let (stop, stopped) = Shutdown::pair();
    let (turned, turns) = std::sync::mpsc::sync_channel(1);
    let around = around.clone();
    let work = move || {
        let told = Cell::new(Instant::now());
        worker::run(&around, &stopped, &|| {
            if told.get().elapsed() > Duration::from_secs(1) {
                told.set(Instant::now());
                let _ = turned.try_send(());
            }
        })
    };
    let worker = thread::Builder::new().name("worker".to_owned()).spawn(work)?;
    let mut last = Instant::now();
    loop {
        match turns.recv_timeout(Duration::from_millis(100)) {
            Ok(()) => last = Instant::now(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return worker.join().unwrap_or_else(|_| bail!("the worker panicked"));
            }
        }
        let patience = if shutdown.requested() { END } else { STUCK };
        if shutdown.requested() {
            stop.stop();
        }
        if last.elapsed() > patience {
            bail!("the worker has not turned for {patience:?} and is given up");
        }
    }
}

/// None where a stop was asked for before everything was there.
fn surroundings(
    config: &Config,
    runtime: &Runtime,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<Surroundings>> {
    let codec = runtime.block_on(needed::codec(config, &TOPICS, shutdown))?;
    let read_models = needed::read_models(config, &["snapshot", "command_status"], shutdown);
    let read_models = runtime.block_on(read_models)?;
    let (Some(codec), Some((db, tables))) = (codec, read_models) else { return Ok(None) };
    Ok(Some(Surroundings {
        kafka: Kafka::of("command-handler", &config.kafka),
        decoder: Decoder::new(Arc::new(codec), runtime.handle().clone()),
        db,
        tables,
        runtime: runtime.handle().clone(),
        batch_max: config.batch_max,
        bulk_share: config.bulk_share,
        bulk_max: config.bulk_max,
        slow: Duration::from_millis(config.bulk_yield_ms),
        cache_max: config.cache_max,
        tail_max: config.tail_max,
        offsets_every: Duration::from_secs(config.offsets_every),
    }))
}
