//! How far the documents of an index version follow the log.

use std::collections::BTreeMap;

use schemas::{CATALOG, Topic};
use sqlx::MySqlConnection;

use super::fan_out::{self, Renamed};
use crate::{
    Checkpoint, EngineError, Extent, Pool, checkpoint,
    engine::{compare, first},
    error::Error,
};

/// The name under which indexers keep their checkpoints.
pub const PROJECTION: &str = "search";

/// The topics whose records make documents old.
pub const TOPICS: &[Topic] = &[CATALOG.events];

/// A step of one partition's checkpoint.
#[derive(Clone, Debug)]
pub struct Move {
    /// The partition.
    pub partition: i32,
    /// What the indexer believes to be stored.
    pub from: Checkpoint,
    /// What its documents cover now.
    pub to: Checkpoint,
    /// The brands whose products' documents are to follow, with the offsets of their events.
    pub renamed: Vec<Renamed>,
}

/// Whether a step was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It was.
    Yes,
    /// Another indexer has moved the checkpoint: this one does not own the partition any more.
    Superseded,
}

/// The checkpoint from which to follow `partition`, made where there is none, after comparing it
/// with the `log` as it is now, by topic.
///
/// # Errors
/// [`EngineError::Refused`] when the two do not belong together, [`EngineError::Db`], with
/// [`Error::NotFilling`] where the version is dropped.
pub async fn take(
    db: &Pool,
    version: i32,
    partition: i32,
    log: &BTreeMap<String, Extent>,
) -> Result<Checkpoint, EngineError> {
    let begin = first(TOPICS, log)?;
    let mut transaction = db.begin().await.map_err(Error::from)?;
    // A zombie must not make anew what was dropped meanwhile.
    let kept = "SELECT EXISTS (SELECT 1 FROM search_versions \
                WHERE version = ? AND state <> 'dropped' FOR SHARE)";
    let kept = sqlx::query_scalar(kept).bind(version).fetch_one(&mut *transaction).await;
    if !kept.map_err(Error::from)? {
        return Err(Error::NotFilling(version).into());
    }
    checkpoint::begin(&mut *transaction, PROJECTION, version, partition, &begin).await?;
    transaction.commit().await.map_err(Error::from)?;
    // Not `begin`: there may have been a checkpoint all along.
    let stored = checkpoint::read(db, PROJECTION, version, partition).await?;
    let stored = stored.ok_or(EngineError::Superseded)?;
    compare(TOPICS, &stored, log)?;
    Ok(stored)
}

/// Moves checkpoints of an index version, each only where it is what was believed, and notes in
/// the same transaction which fan-outs that begins.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer; then none was moved.
pub async fn advance(db: &Pool, version: i32, moves: &[Move]) -> Result<Vec<Moved>, Error> {
    let mut transaction = db.begin().await?;
    let mut moved = Vec::with_capacity(moves.len());
    for step in moves {
        moved.push(advance_one(&mut transaction, version, step).await?);
    }
    transaction.commit().await?;
    Ok(moved)
}

async fn advance_one(
    transaction: &mut MySqlConnection,
    version: i32,
    step: &Move,
) -> Result<Moved, Error> {
    let found = checkpoint::lock(transaction, PROJECTION, version, step.partition).await?;
    if found.as_ref() != Some(&step.from) {
        return Ok(Moved::Superseded);
    }
    checkpoint::put(transaction, PROJECTION, version, step.partition, &step.to).await?;
    for renamed in &step.renamed {
        fan_out::begin(transaction, version, step.partition, renamed).await?;
    }
    Ok(Moved::Yes)
}

/// Forgets how far an index version has come, because its index is gone. The checkpoints first:
/// where there are none, no fan-out begins.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn forget(db: &mut MySqlConnection, version: i32) -> Result<(), Error> {
    sqlx::query("DELETE FROM checkpoints WHERE projection = ? AND version = ?")
        .bind(PROJECTION)
        .bind(version)
        .execute(&mut *db)
        .await?;
    sqlx::query("DELETE FROM search_fan_outs WHERE version = ?").bind(version).execute(db).await?;
    Ok(())
}
