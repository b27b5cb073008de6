//! Which versions of the index are fed: all that are kept and that this build writes, a worker each.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    thread::{self, Scope, ScopedJoinHandle},
    time::Duration,
};

use projections::{
    Pool,
    search::{self, IndexVersion, Layout, Search, SearchError, Source},
};
use rdkafka::consumer::BaseConsumer;
use schemas::CATALOG;

use super::{Surroundings, worker};
use crate::{
    log::native,
    shutdown::{Shutdown, Stop},
    telemetry::RETRIES,
};

/// How often it is looked which versions there are.
const LOOK: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(500);

/// A worker, and how to ask it to stop.
type Worker<'scope> = (Stop, ScopedJoinHandle<'scope, anyhow::Result<()>>);

/// Feeds them until the shutdown, and whichever appear meanwhile.
///
/// # Errors
/// When one of them belongs to another log.
pub(super) fn feed(around: &Surroundings, shutdown: &Shutdown) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let (mut fed, mut ended) = (BTreeMap::<i32, Worker<'_>>::new(), Ok(()));
        while !shutdown.requested() && ended.is_ok() {
            match around.runtime.block_on(kept(around)) {
                Ok(kept) => {
                    let gone = fed.iter().filter(|(version, _)| !kept.contains(version));
                    gone.for_each(|(_, (stop, _))| stop.stop());
                    for version in kept {
                        if let Entry::Vacant(place) = fed.entry(version) {
                            place.insert(begin(scope, around, version)?);
                        }
                    }
                }
                Err(error) if is_of_another_log(&error) => ended = Err(error),
                Err(error) => tracing::warn!("which versions there are is not known: {error:#}"),
            }
            shutdown.sleep(LOOK);
            for (_, (_, worker)) in fed.extract_if(.., |_, (_, worker)| worker.is_finished()) {
                ended = ended.and(joined(worker));
            }
        }
        fed.values().for_each(|(stop, _)| stop.stop());
        fed.into_values().fold(ended, |ended, (_, worker)| ended.and(joined(worker)))
    })
}

fn begin<'scope>(
    scope: &'scope Scope<'scope, '_>,
    around: &'scope Surroundings,
    version: i32,
) -> anyhow::Result<Worker<'scope>> {
    let (stop, stopping) = Shutdown::pair();
    let work = move || keep_feeding(around, version, &stopping);
    let thread = thread::Builder::new().name(format!("index-{version}"));
    Ok((stop, thread.spawn_scoped(scope, work)?))
}

fn joined(worker: ScopedJoinHandle<'_, anyhow::Result<()>>) -> anyhow::Result<()> {
    worker.join().map_err(|_| anyhow::anyhow!("an indexer's thread panicked"))?
}

/// Feeds a version until the shutdown, or until it is dropped. What goes wrong on the way is tried
/// again from the checkpoints.
fn keep_feeding(around: &Surroundings, version: i32, shutdown: &Shutdown) -> anyhow::Result<()> {
    tracing::info!(version, "feeding a version of the index");
    while !shutdown.requested() {
        let Err(error) = worker::run(around, version, shutdown) else { break };
        if is_of_another_log(&error) {
            return Err(error);
        }
        metrics::counter!(RETRIES, "reason" => "indexer").increment(1);
        tracing::error!(version, error = format!("{error:#}"), "beginning anew");
        shutdown.sleep(PAUSE);
    }
    tracing::info!(version, "the version is let go");
    Ok(())
}

fn is_of_another_log(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(SearchError::OtherSource { .. }))
}

/// The versions that this build is to feed.
async fn kept(around: &Surroundings) -> anyhow::Result<Vec<i32>> {
    let (db, search) = (&around.db, &around.search);
    let (live, mut known) = (search.live().await?, search::versions(db).await?);
    let is_live = |known: &IndexVersion| known.ready && Some(known.version) == live;
    if !known.iter().any(is_live) {
        // Hardly ever, so by a client of its own: one that waits for years may have forgotten the
        // brokers when it is needed.
        let client: BaseConsumer = around.kafka.asking("read_committed").create()?;
        let ids = native::topic_ids(&client, &[CATALOG.events.name], 3000);
        let topic_id = ids.map_err(anyhow::Error::msg)?.concat();
        ensure_live(db, search, &topic_id, around.layout).await?;
        known = search::versions(db).await?;
    }
    Ok(known.into_iter().filter(|known| known.ours).map(|known| known.version).collect())
}

/// Makes sure that there is an index that readers can ask, and that it is known. Where there is
/// none it is made of the live read models, and indexers fill it from the beginning of the log.
///
/// # Errors
/// When a server does not answer, or the index belongs to another log.
pub(crate) async fn ensure_live(
    db: &Pool,
    search: &Search,
    topic_id: &str,
    layout: Layout,
) -> anyhow::Result<()> {
    let version = match search.live().await? {
        Some(live) => live,
        None => {
            let known = search::versions(db).await?;
            let newest = known.iter().rfind(|known| known.ready && known.ours);
            match newest {
                Some(newest) => newest.version,
                None => search::next_number(db).await?,
            }
        }
    };
    let source = match search.source(version).await? {
        // Those who write such documents keep it.
        Some(source) if !source.is_ours() => return Ok(search::adopt(db, version, &source).await?),
        Some(source) => source.now(topic_id),
        None => {
            // Whatever the checkpoints say is gone with the index.
            search::forget(&mut *db.acquire().await?, version).await?;
            Source::live(db, topic_id).await?
        }
    };
    search.ensure_index(version, &source, layout).await?;
    Ok(search::adopt(db, version, &source).await?)
}

/// Makes sure of a version that is fed, and answers what it is made of; none where it is gone.
pub(super) async fn prepare(
    around: &Surroundings,
    version: i32,
    topic_id: &str,
) -> anyhow::Result<Option<Source>> {
    let (db, search) = (&around.db, &around.search);
    let known = search::versions(db).await?.into_iter().find(|known| known.version == version);
    let Some(known) = known else { return Ok(None) };
    let Some(found) = search.source(version).await? else {
        tracing::warn!(version, "the index is gone, and so is all that was known of it");
        search::discard_index(db, version).await?;
        return Ok(None);
    };
    let source = found.now(topic_id);
    if known.ready {
        search.ensure_index(version, &source, around.layout).await?;
    } else if found != source {
        // Its settings are those of whoever fills it.
        return Err(search.other_source(version, &found, &source).into());
    }
    Ok(Some(source))
}
