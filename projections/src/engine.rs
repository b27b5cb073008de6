//! Applies batches of one partition: rows and checkpoint in one transaction.

use std::{collections::BTreeMap, time::Duration};

use domain::Timestamp;
use schemas::{Topic, topic::Retention};

use crate::{
    checkpoint::{self, Checkpoint, Consumed},
    error::Error,
    fact::Logged,
    pool::Pool,
    projection::{AnyProjection, Failed},
    table::TableName,
};

mod filling;
mod refusal;

pub use filling::{Filled, Filling};
pub use refusal::{EngineError, Refused, Stop};

/// Feeds one version of one projection.
///
/// Who may write a partition is decided by its checkpoint row alone. Every transaction locks it
/// first and goes on only if it stands where this worker left it, so a zombie that was paused
/// between two batches, or in front of a commit, finds it moved and stops: [`EngineError::Superseded`].
/// Two workers that believe the same apply the same records to the same rows, and one of them wins.
///
/// After any [`EngineError::Db`] the outcome of the last commit is unknown: the checkpoint must be
/// taken anew before anything else is applied.
pub struct Engine {
    db: Pool,
    projection: &'static dyn AnyProjection,
    version: i32,
    table: TableName,
    passing: fn(&'static str),
}

/// Records of one partition, and where their topics stand after them.
#[derive(Clone, Debug, Default)]
pub struct Batch<'a> {
    /// In the order of each topic.
    pub records: Vec<&'a Logged>,
    /// The next offset to read, by topic: beyond the last record where transaction markers follow.
    /// Topics that did not move may be left out.
    pub next: BTreeMap<String, i64>,
}

/// A partition's part of a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Share<'a> {
    /// The partition.
    pub partition: i32,
    /// Where the worker believes it to stand.
    pub believed: &'a Checkpoint,
    /// What is to be applied on top.
    pub batch: &'a Batch<'a>,
}

/// A projection's part of a transaction that several share.
pub struct Part<'a> {
    /// Its engine.
    pub engine: &'a Engine,
    /// Its partitions.
    pub shares: Vec<Share<'a>>,
}

/// Where partitions stand after a transaction.
pub type Moved = Vec<(i32, Checkpoint)>;

/// A topic's partition as the broker has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The id of the topic.
    pub topic_id: String,
    /// The first offset that is still kept.
    pub start: i64,
    /// The offset after the last record.
    pub end: i64,
}

/// How often a batch that lost against another transaction is tried again.
const ATTEMPTS: u32 = 6;

impl Engine {
    /// An engine for `version` of `projection`.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`] when the version is none.
    pub fn new(
        db: Pool,
        projection: &'static dyn AnyProjection,
        version: i32,
    ) -> Result<Self, Error> {
        let table = TableName::of(projection.name(), version)?;
        Ok(Self { db, projection, version, table, passing: |_| {} })
    }

    /// The same, calling `passing` with the name of each point at which a test may want to fail.
    #[must_use]
    pub fn with_points(mut self, passing: fn(&'static str)) -> Self {
        self.passing = passing;
        self
    }

    /// The projection it feeds.
    pub fn projection(&self) -> &'static dyn AnyProjection {
        self.projection
    }

    /// The version it feeds.
    pub fn version(&self) -> i32 {
        self.version
    }

    /// The checkpoint from which to read `partition`, made where there is none, after comparing it
    /// with the `log` as it is now, by topic.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when the two do not belong together, [`EngineError::Db`].
    pub async fn take(
        &self,
        partition: i32,
        log: &BTreeMap<String, Extent>,
    ) -> Result<Checkpoint, EngineError> {
        let (name, version) = (self.projection.name(), self.version);
        let stored = checkpoint::read(&self.db, name, version, partition).await?;
        let stored = match stored {
            Some(stored) => stored,
            None => {
                let first = first(self.projection.topics(), log)?;
                checkpoint::begin(&self.db, name, version, partition, &first).await?;
                // Not `first`: another owner may have been here in the meantime.
                let read = checkpoint::read(&self.db, name, version, partition).await?;
                read.ok_or(EngineError::Superseded)?
            }
        };
        let behind = compare(self.projection.topics(), &stored, log)?;
        if behind.is_empty() {
            return Ok(stored);
        }
        tracing::warn!(name, version, partition, ?behind, "records expired before they were read");
        self.apply(partition, &stored, &Batch { records: vec![], next: behind }).await
    }

    /// Applies `batch` on top of the checkpoint that this worker believes in, and returns the new
    /// one. All of the batch is applied, or nothing.
    ///
    /// # Errors
    /// [`EngineError`]; see there for what to do.
    pub async fn apply(
        &self,
        partition: i32,
        believed: &Checkpoint,
        batch: &Batch<'_>,
    ) -> Result<Checkpoint, EngineError> {
        let share = Share { partition, believed, batch };
        let moved = self.apply_together(&[share]).await?;
        moved.into_iter().next().map(|(_, checkpoint)| checkpoint).ok_or(EngineError::Superseded)
    }

    /// Applies batches of several partitions in one transaction, since what a transaction costs
    /// hardly depends on what is in it. All of them are applied, or nothing.
    ///
    /// # Errors
    /// [`EngineError`]; where it is about one partition, the others can be applied without it.
    pub async fn apply_together(&self, shares: &[Share<'_>]) -> Result<Moved, EngineError> {
        let moved = apply_as_one(&[Part { engine: self, shares: shares.to_vec() }]).await?;
        Ok(moved.into_iter().flatten().collect())
    }

    /// Pauses before another attempt: spread, so that the same two do not meet again.
    async fn pause(&self, attempt: u32, partitions: u32, error: &Error) {
        self.count_retry(error);
        let pause = (5 << attempt) + 3 * u64::from(u32::min(partitions, 7));
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    fn count_retry(&self, error: &Error) {
        let reason = if error.number() == Some(Error::DEADLOCK) { "deadlock" } else { "lock_wait" };
        tracing::debug!(projection = self.projection.name(), reason, "trying the batch again");
        metrics::counter!("jangbu_projection_retries_total",
            "projection" => self.projection.name(), "reason" => reason)
        .increment(1);
    }
}

/// Applies the batches of several projections in one transaction: all of them, or nothing. Returns
/// where the partitions of each stand then.
///
/// # Errors
/// [`EngineError`]; where it is about one projection, the others can be applied without it.
pub async fn apply_as_one(parts: &[Part<'_>]) -> Result<Vec<Moved>, EngineError> {
    let to = |share: &Share<'_>| Ok((share.partition, moved(share.believed, share.batch)?));
    let of = |part: &Part<'_>| part.shares.iter().map(to).collect::<Result<Moved, Refused>>();
    let moved = parts.iter().map(of).collect::<Result<Vec<_>, Refused>>()?;
    let Some(first) = parts.iter().find(|part| !part.shares.is_empty()) else { return Ok(moved) };
    let mut attempt = 1;
    loop {
        match once(&first.engine.db, parts, &moved).await {
            Ok(()) => return Ok(moved),
            Err(EngineError::Db(error)) if attempt < ATTEMPTS && error.is_lost_race() => {
                let of = first.shares.iter().map(|share| share.partition.unsigned_abs()).sum();
                first.engine.pause(attempt, of, &error).await;
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn once(db: &Pool, parts: &[Part<'_>], moved: &[Moved]) -> Result<(), EngineError> {
    let mut rows = vec![];
    for (part, moved) in parts.iter().zip(moved) {
        let (name, version) = (part.engine.projection.name(), part.engine.version);
        rows.extend(moved.iter().map(|(partition, to)| ((name, version, *partition), to)));
    }
    let believed = parts.iter().flat_map(|part| &part.shares).map(|share| share.believed);
    let mut transaction = db.begin().await.map_err(Error::from)?;
    let places: Vec<_> = rows.iter().map(|(place, _)| *place).collect();
    let stored = checkpoint::lock_all(&mut transaction, &places).await?;
    let stands = |(place, believed)| stored.get(place) == Some(believed);
    if !places.iter().zip(believed).all(stands) {
        return Err(EngineError::Superseded);
    }
    for Part { engine, shares } in parts {
        let records = shares.iter().flat_map(|share| &share.batch.records).copied();
        let records: Vec<&Logged> = records.collect();
        let applied = engine.projection.apply_all(&mut transaction, &engine.table, &records).await;
        applied.map_err(|failed| stop(failed, &records))?;
    }
    checkpoint::put_all(&mut transaction, &rows).await?;
    (parts[0].engine.passing)("projector.before_mysql_commit");
    transaction.commit().await.map_err(Error::from)?;
    Ok(())
}

/// The checkpoint of a partition of which nothing has been applied.
pub(crate) fn first(
    topics: &[Topic],
    log: &BTreeMap<String, Extent>,
) -> Result<Checkpoint, Refused> {
    let consumed = |topic: &Topic| {
        let extent = extent(log, topic)?;
        // Of a topic that is kept for ever the very first record must be there.
        let next = if topic.retention == Retention::Forever { 0 } else { extent.start };
        Ok((topic.name.to_owned(), Consumed { next, topic_id: extent.topic_id.clone() }))
    };
    let offsets = topics.iter().map(consumed).collect::<Result<_, Refused>>()?;
    Ok(Checkpoint { offsets, appended: Timestamp(0) })
}

/// Refuses a checkpoint that the log cannot have led to; returns where to go on in topics that
/// dropped, as they should in time, what had not been read.
pub(crate) fn compare(
    topics: &[Topic],
    stored: &Checkpoint,
    log: &BTreeMap<String, Extent>,
) -> Result<BTreeMap<String, i64>, Refused> {
    let mut behind = BTreeMap::new();
    for topic in topics {
        let Extent { topic_id, start, end } = extent(log, topic)?;
        let name = || topic.name.to_owned();
        let Consumed { next, topic_id: was } =
            stored.offsets.get(topic.name).ok_or_else(|| Refused::NoSuchTopic(name()))?;
        if was != topic_id {
            let (was, is) = (was.clone(), topic_id.clone());
            return Err(Refused::OtherTopic { topic: name(), was, is });
        }
        if next > end {
            return Err(Refused::BeyondEnd { topic: name(), next: *next, end: *end });
        }
        if next < start && topic.retention == Retention::Forever {
            return Err(Refused::BeforeStart { topic: name(), next: *next, start: *start });
        }
        if next < start {
            behind.insert(name(), *start);
        }
    }
    Ok(behind)
}

fn extent<'a>(log: &'a BTreeMap<String, Extent>, topic: &Topic) -> Result<&'a Extent, Refused> {
    log.get(topic.name).ok_or_else(|| Refused::NoSuchTopic(topic.name.to_owned()))
}

/// The checkpoint after `batch`. Records and positions must follow it in order: an offset read
/// twice must never be applied twice.
fn moved(believed: &Checkpoint, batch: &Batch<'_>) -> Result<Checkpoint, Refused> {
    let mut moved = believed.clone();
    let mut advance = |topic: &str, offset: i64, next: i64| {
        let consumed = moved.offsets.get_mut(topic);
        let consumed = consumed.ok_or_else(|| Refused::NoSuchTopic(topic.to_owned()))?;
        if offset < consumed.next {
            let topic = topic.to_owned();
            return Err(Refused::OutOfOrder { topic, offset, next: consumed.next });
        }
        consumed.next = next;
        Ok(())
    };
    for logged in &batch.records {
        advance(&logged.topic, logged.offset, logged.offset + 1)?;
    }
    for (topic, next) in &batch.next {
        advance(topic, *next, *next)?;
    }
    let newest = batch.records.iter().map(|logged| logged.appended).max();
    moved.appended = moved.appended.max(newest.unwrap_or_default());
    Ok(moved)
}

fn stop(failed: Failed, records: &[&Logged]) -> EngineError {
    match failed {
        Failed::Db(error) => EngineError::Db(error),
        Failed::At(place, fault) => {
            let Logged { topic, partition, offset, .. } = records[place];
            let (topic, partition, offset) = (topic.clone(), *partition, *offset);
            EngineError::Stop(Box::new(Stop { place, topic, partition, offset, fault }))
        }
    }
}
