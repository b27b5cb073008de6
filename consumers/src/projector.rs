//! The projector: from the log to the read models. Those of a set share a thread, a consumer group
//! and each transaction, so that the log is read and decoded once, and what they show agrees.

use std::{sync::Arc, thread, time::Duration};

use domain::Timestamp;
use projections::{Engine, Pool, Version, command_status, known, version};
use schemas::{CATALOG, Codec, Topic};
use tokio::{
    runtime::{Handle, Runtime},
    sync::watch,
};

use crate::{
    config::{Config, Usage},
    faults,
    lag::now,
    log::{Decoder, Ends, Kafka},
    needed,
    shutdown::Shutdown,
    telemetry::RETRIES,
};

mod feed;
mod filler;
mod pace;
mod rest;
mod set;
mod worker;

pub use filler::{Job, fill};
pub use set::Set;

/// What any projection may read.
const TOPICS: &[Topic] = &[CATALOG.events, CATALOG.decisions];

/// How often is looked which versions there are.
const LOOK: Duration = Duration::from_secs(2);

/// What a worker needs of the world.
struct Surroundings {
    kafka: Kafka,
    decoder: Decoder,
    ends: Ends,
    runtime: Handle,
    db: Pool,
    versions: watch::Receiver<Vec<Version>>,
}

/// What the process takes.
pub const USAGE: Usage = Usage {
    about: "projector: keeps the read models.",
    settings: &["projections", "mysql_connections", "metrics"],
    flags: &[],
};

/// Runs until the shutdown.
///
/// # Errors
/// As [`feed_sets`], and for a name that is that of no projection.
pub fn run(config: &Config, shutdown: &Shutdown) -> anyhow::Result<()> {
    let sets = config.projections.iter().map(|names| Set::parse(names));
    let sets = sets.collect::<anyhow::Result<Vec<Set>>>()?;
    set::each_once(&sets)?;
    feed_sets(config, &sets, shutdown)
}

/// Feeds every projection that this process knows, as one set, until the shutdown.
///
/// # Errors
/// As [`feed_sets`].
pub fn feed_known(config: &Config, shutdown: &Shutdown) -> anyhow::Result<()> {
    let names: Vec<&str> = known().iter().map(|projection| projection.name()).collect();
    feed_sets(config, &[Set::parse(&names.join("+"))?], shutdown)
}

/// Feeds `sets` until the shutdown, a thread each. A worker that meets something unforeseen leaves
/// its group, and another begins anew from the checkpoints.
///
/// # Errors
/// When the work cannot begin: settings, schemas, tables or a thread.
pub fn feed_sets(config: &Config, sets: &[Set], shutdown: &Shutdown) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let required: Vec<&str> = sets.iter().flat_map(Set::required).collect();
    let read_models = runtime.block_on(needed::versions(config, &required, shutdown))?;
    let Some(read_models) = read_models else { return Ok(()) };
    let codec = runtime.block_on(needed::codec(config, TOPICS, shutdown))?;
    let Some(codec) = codec else { return Ok(()) };
    let around = surroundings(config, codec, read_models, &runtime, shutdown)?;
    thread::scope(|scope| {
        for (number, set) in sets.iter().enumerate() {
            let (thread, around) = (thread::Builder::new().name(format!("set-{number}")), &around);
            thread.spawn_scoped(scope, move || feed(around, set, shutdown))?;
        }
        Ok(())
    })
}

fn surroundings(
    config: &Config,
    codec: Codec,
    (db, versions): (Pool, Vec<Version>),
    runtime: &Runtime,
    shutdown: &Shutdown,
) -> anyhow::Result<Surroundings> {
    let kafka = Kafka::of("projector", &config.kafka);
    let (ends, _) = Ends::watch(&kafka, None, TOPICS, Duration::from_secs(1), shutdown.clone())?;
    let (tell, versions) = watch::channel(versions);
    runtime.spawn(look(db.clone(), tell));
    runtime.spawn(prune(db.clone(), versions.clone()));
    let runtime = runtime.handle().clone();
    Ok(Surroundings {
        kafka,
        decoder: Decoder::new(Arc::new(codec), runtime.clone()),
        ends,
        runtime,
        db,
        versions,
    })
}

/// Looks which versions there are, until the runtime ends.
async fn look(db: Pool, tell: watch::Sender<Vec<Version>>) {
    loop {
        tokio::time::sleep(LOOK).await;
        match version::all(&db).await {
            Ok(versions) => {
                tell.send_replace(versions);
            }
            Err(error) => tracing::debug!(%error, "which versions there are is not known"),
        }
    }
}

fn feed(around: &Surroundings, set: &Set, shutdown: &Shutdown) {
    while !shutdown.requested() {
        let fed = around.engines(set).and_then(|engines| {
            if engines.is_empty() {
                shutdown.sleep(LOOK);
                return Ok(());
            }
            worker::run(around, set, &engines, shutdown)
        });
        if let Err(error) = fed {
            metrics::counter!(RETRIES, "reason" => "projector").increment(1);
            tracing::error!(error = format!("{error:#}"), "beginning anew");
            shutdown.sleep(Duration::from_millis(500));
        }
    }
}

impl Surroundings {
    /// An engine for each version that `set` means at the moment.
    fn engines(&self, set: &Set) -> anyhow::Result<Vec<Arc<Engine>>> {
        let engine = |(projection, version)| {
            let engine = Engine::new(self.db.clone(), projection, version)?;
            Ok(Arc::new(engine.with_points(faults::point)))
        };
        set.versions(&self.versions.borrow()).into_iter().map(engine).collect()
    }

    /// Whether `fed` is still what `set` means.
    fn is_up_to_date(&self, set: &Set, fed: &[Arc<Engine>]) -> bool {
        let fed = fed.iter().map(|engine| (engine.projection().name(), engine.version()));
        let meant = set.versions(&self.versions.borrow());
        fed.eq(meant.into_iter().map(|(projection, version)| (projection.name(), version)))
    }
}

/// How long the decision of a command can be asked for: longer than any command is kept, so that
/// the status of one that the log still has resolves.
const KEPT: Duration = Duration::from_secs(9 * 24 * 3600);
const PIECE: u32 = 500;

/// Deletes old decisions of each version, a piece at a time, until the runtime ends.
async fn prune(db: Pool, versions: watch::Receiver<Vec<Version>>) {
    loop {
        let before = Timestamp(now().0 - i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX));
        let mut pause = Duration::from_secs(60);
        let kept = command_statuses(&versions.borrow());
        for version in kept {
            match command_status::prune(&db, version, before, PIECE).await {
                Ok(deleted) if deleted == u64::from(PIECE) => pause = Duration::from_millis(100),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "old decisions not deleted"),
            }
        }
        tokio::time::sleep(pause).await;
    }
}

fn command_statuses(versions: &[Version]) -> Vec<i32> {
    let ours = versions.iter().filter(|version| version.ours && version.ready);
    let ours = ours.filter(|version| version.projection == "command_status");
    ours.map(|version| version.version).collect()
}
