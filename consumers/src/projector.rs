//! The projector: from the log to the read models. Those of a set share a thread, a consumer group
//! and each transaction, so that the log is read and decoded once, and what they show agrees.

use std::{
    collections::BTreeSet,
    sync::Arc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};
use domain::Timestamp;
use projections::{Engine, Pool, Tables, command_status, named};
use schemas::{CATALOG, Codec, Topic};
use tokio::runtime::{Handle, Runtime};

use crate::{
    config::{Config, Usage},
    faults,
    log::{Decoder, Ends, Kafka},
    needed,
    shutdown::Shutdown,
    telemetry::RETRIES,
};

mod feed;
mod progress;
mod rest;
mod worker;

/// What any projection may read.
const TOPICS: &[Topic] = &[CATALOG.events, CATALOG.decisions];

/// What a worker needs of the world.
struct Surroundings {
    kafka: Kafka,
    decoder: Decoder,
    ends: Ends,
    runtime: Handle,
}

/// What the process takes.
pub const USAGE: Usage = Usage {
    about: "projector: keeps the read models.",
    settings: &["projections", "mysql_connections", "metrics"],
    flags: &[],
};

/// Runs until the shutdown. A worker that meets something unforeseen leaves its group, and another
/// begins anew from the checkpoints.
///
/// # Errors
/// When the process cannot begin its work: settings, schemas, tables or a thread.
pub fn run(config: &Config, shutdown: &Shutdown) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let read_models = runtime.block_on(needed::read_models(config, shutdown))?;
    let Some((db, active)) = read_models else { return Ok(()) };
    let sets = config
        .projections
        .iter()
        .map(|names| names.split('+').map(|name| engine(&db, &active, name.trim())).collect());
    let sets = sets.collect::<anyhow::Result<Vec<Vec<Arc<Engine>>>>>()?;
    each_once(sets.iter().flatten())?;
    let codec = runtime.block_on(needed::codec(config, TOPICS, shutdown))?;
    let Some(codec) = codec else { return Ok(()) };
    let around = surroundings(config, codec, &runtime, shutdown)?;
    for engine in sets.iter().flatten().filter(|e| e.projection().name() == "command_status") {
        runtime.spawn(prune(db.clone(), engine.version()));
    }
    thread::scope(|scope| {
        for (number, set) in sets.iter().enumerate() {
            let (thread, around) = (thread::Builder::new().name(format!("set-{number}")), &around);
            thread.spawn_scoped(scope, move || feed(around, set, shutdown))?;
        }
        Ok(())
    })
}

/// The engine for `name`, which is that of a projection, for its live version, or is followed by
/// `@` and another version.
fn engine(db: &Pool, active: &Tables, name: &str) -> anyhow::Result<Arc<Engine>> {
    let (name, version) = match name.split_once('@') {
        Some((name, version)) => (name, version.parse().context("the version of a projection")?),
        None => (name, active.version(name)),
    };
    let projection = named(name).with_context(|| format!("{name:?} is not a projection"))?;
    let engine = Engine::new(db.clone(), projection, version)
        .with_context(|| format!("{name} has no live version; run `jangbu migrate`"))?;
    Ok(Arc::new(engine.with_points(faults::point)))
}

/// Fed twice, a version would be moved by one and found moved by the other, for ever.
fn each_once<'a>(engines: impl Iterator<Item = &'a Arc<Engine>>) -> anyhow::Result<()> {
    let mut known = BTreeSet::new();
    for (name, version) in engines.map(|engine| (engine.projection().name(), engine.version())) {
        ensure!(known.insert((name, version)), "{name}@{version} is named twice");
    }
    Ok(())
}

fn surroundings(
    config: &Config,
    codec: Codec,
    runtime: &Runtime,
    shutdown: &Shutdown,
) -> anyhow::Result<Surroundings> {
    let kafka = Kafka::of("projector", &config.kafka);
    let (ends, _) = Ends::watch(&kafka, None, TOPICS, Duration::from_secs(1), shutdown.clone())?;
    let runtime = runtime.handle().clone();
    Ok(Surroundings {
        kafka,
        decoder: Decoder::new(Arc::new(codec), runtime.clone()),
        ends,
        runtime,
    })
}

fn feed(around: &Surroundings, set: &[Arc<Engine>], shutdown: &Shutdown) {
    while !shutdown.requested() {
        if let Err(error) = worker::run(around, set, shutdown) {
            metrics::counter!(RETRIES, "reason" => "projector").increment(1);
            tracing::error!(error = format!("{error:#}"), "beginning anew");
            shutdown.sleep(Duration::from_millis(500));
        }
    }
}

/// How long the decision of a command can be asked for: longer than any command is kept, so that
/// the status of one that the log still has resolves.
const KEPT: Duration = Duration::from_secs(9 * 24 * 3600);
const PIECE: u32 = 500;

/// Deletes old decisions, a piece at a time, until the runtime ends.
async fn prune(db: Pool, version: i32) {
    loop {
        let before = Timestamp(now().0 - i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX));
        let pause = match command_status::prune(&db, version, before, PIECE).await {
            Ok(deleted) if deleted == u64::from(PIECE) => Duration::from_millis(100),
            Ok(_) => Duration::from_secs(60),
            Err(error) => {
                tracing::warn!(%error, "old decisions not deleted");
                Duration::from_secs(60)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
