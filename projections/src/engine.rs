//! Applies batches of one partition: rows and checkpoint in one transaction.

use std::{collections::BTreeMap, time::Duration};

use domain::Timestamp;
use schemas::{Topic, topic::Retention};

use crate::{
    checkpoint::{self, Checkpoint, Consumed},
    error::Error,
    fact::Logged,
    pool::Pool,
    projection::{AnyProjection, Failed, Fault},
    table::TableName,
};

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
pub struct Batch {
    /// In the order of each topic.
    pub records: Vec<Logged>,
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
    pub batch: &'a Batch,
}

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

/// Why a batch was not applied, or a partition not taken.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Another worker moved the checkpoint: read it again, and go where it points.
    #[error("another worker has moved the checkpoint")]
    Superseded,
    /// A record that may not be applied. Nothing of the batch was.
    #[error(transparent)]
    Stop(Box<Stop>),
    /// The checkpoint and the log do not belong together.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// MySQL. Whether a commit took place is not known.
    #[error(transparent)]
    Db(#[from] Error),
}

/// The record at which a partition stops.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{topic} [{partition}] at {offset}: {fault}")]
pub struct Stop {
    /// Its place among the records; those before it may be applied.
    pub place: usize,
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// Why a checkpoint is not to be trusted with this log. Only an operator can tell what happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The log lacks what was applied: it lost records, or is another one.
    #[error("{topic} ends at {end}, but {next} is the next to apply: the log has lost records")]
    BeyondEnd {
        /// The topic.
        topic: String,
        /// The checkpoint.
        next: i64,
        /// The end of the log.
        end: i64,
    },
    /// The log no longer has what is to be applied next.
    #[error("{topic} starts at {start}, but {next} is the next to apply: records are missing")]
    BeforeStart {
        /// The topic.
        topic: String,
        /// The checkpoint.
        next: i64,
        /// The start of the log.
        start: i64,
    },
    /// The topic was deleted and made anew.
    #[error("{topic} has the id {is}, but what was applied came from {was}")]
    OtherTopic {
        /// The topic.
        topic: String,
        /// The id in the checkpoint.
        was: String,
        /// The id that the broker tells.
        is: String,
    },
    /// The projection reads a topic that the checkpoint or the caller does not tell of.
    #[error("{0} is not among the topics of the partition")]
    NoSuchTopic(String),
    /// A record or a position is not one that follows the checkpoint.
    #[error("{topic} at {offset} does not follow the checkpoint at {next}")]
    OutOfOrder {
        /// The topic.
        topic: String,
        /// The offset at fault.
        offset: i64,
        /// The lowest that may follow.
        next: i64,
    },
}

impl Refused {
    /// Whether it may be otherwise at the next look: the end was asked for before the checkpoint,
    /// which whoever is being followed may have moved in between.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::BeyondEnd { .. })
    }
}

/// How often a batch that lost against another transaction is tried again.
const ATTEMPTS: u32 = 6;
const DEADLOCK: u16 = 1213;
const LOCK_WAIT_TIMEOUT: u16 = 1205;

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
        batch: &Batch,
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
    pub async fn apply_together(
        &self,
        shares: &[Share<'_>],
    ) -> Result<Vec<(i32, Checkpoint)>, EngineError> {
        let to = |share: &Share<'_>| Ok((share.partition, moved(share.believed, share.batch)?));
        let moved = shares.iter().map(to).collect::<Result<Vec<_>, Refused>>()?;
        if moved.is_empty() {
            return Ok(moved);
        }
        let mut attempt = 1;
        loop {
            match self.attempt(shares, &moved).await {
                Ok(()) => return Ok(moved),
                Err(EngineError::Db(error)) if attempt < ATTEMPTS && lost_a_race(&error) => {
                    self.count_retry(&error);
                    // Spread, so that the same two do not meet again.
                    let spread = moved.iter().map(|(partition, _)| partition.unsigned_abs()).sum();
                    let pause = (5 << attempt) + 3 * u64::from(u32::min(spread, 7));
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn attempt(
        &self,
        shares: &[Share<'_>],
        moved: &[(i32, Checkpoint)],
    ) -> Result<(), EngineError> {
        let (name, version) = (self.projection.name(), self.version);
        let records: Vec<&Logged> = shares.iter().flat_map(|share| &share.batch.records).collect();
        let partitions = shares.iter().map(|share| share.partition);
        let mut transaction = self.db.begin().await.map_err(Error::from)?;
        let stored = checkpoint::lock_all(&mut transaction, name, version, partitions).await?;
        if shares.iter().any(|share| stored.get(&share.partition) != Some(share.believed)) {
            return Err(EngineError::Superseded);
        }
        let applied = self.projection.apply_all(&mut transaction, &self.table, &records).await;
        applied.map_err(|failed| stop(failed, &records))?;
        checkpoint::put_all(&mut transaction, name, version, moved).await?;
        (self.passing)("projector.before_mysql_commit");
        transaction.commit().await.map_err(Error::from)?;
        Ok(())
    }

    fn count_retry(&self, error: &Error) {
        let reason = if error.number() == Some(DEADLOCK) { "deadlock" } else { "lock_wait" };
        tracing::debug!(projection = self.projection.name(), reason, "trying the batch again");
        metrics::counter!("jangbu_projection_retries_total",
            "projection" => self.projection.name(), "reason" => reason)
        .increment(1);
    }
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
fn moved(believed: &Checkpoint, batch: &Batch) -> Result<Checkpoint, Refused> {
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

fn lost_a_race(error: &Error) -> bool {
    matches!(error.number(), Some(DEADLOCK | LOCK_WAIT_TIMEOUT))
}
