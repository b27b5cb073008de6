//! What a projection has applied.

use std::collections::BTreeMap;

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{MySql, MySqlConnection, MySqlExecutor, QueryBuilder};

use crate::error::Error;

/// Offsets that a version of a projection has applied of one partition, topic by topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// What is applied of each topic.
    pub offsets: BTreeMap<String, Consumed>,
    /// When the broker appended the newest record applied; 0 where none was.
    pub appended: Timestamp,
}

/// What is applied of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumed {
    /// The next offset to read.
    pub next: i64,
    /// The topic's id: a topic deleted and made anew has the name, but not the id.
    pub topic_id: String,
}

impl Checkpoint {
    /// The next offset to read of `topic`; 0 where nothing is applied.
    pub fn next(&self, topic: &str) -> i64 {
        self.offsets.get(topic).map_or(0, |consumed| consumed.next)
    }
}

/// The checkpoint of one partition, if there is one yet.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn read(
    db: impl MySqlExecutor<'_>,
    projection: &str,
    version: i32,
    partition: i32,
) -> Result<Option<Checkpoint>, Error> {
    let row: Option<(String, i64)> = sqlx::query_as(
        "SELECT offsets, appended FROM checkpoints \
         WHERE projection = ? AND version = ? AND partition_no = ?",
    )
    .bind(projection)
    .bind(version)
    .bind(partition)
    .fetch_optional(db)
    .await?;
    row.map(|(offsets, appended)| parse(&offsets, appended)).transpose()
}

/// The checkpoints of all partitions, by partition.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn read_all(
    db: impl MySqlExecutor<'_>,
    projection: &str,
    version: i32,
) -> Result<BTreeMap<i32, Checkpoint>, Error> {
    let rows: Vec<(i32, String, i64)> = sqlx::query_as(
        "SELECT partition_no, offsets, appended FROM checkpoints \
         WHERE projection = ? AND version = ?",
    )
    .bind(projection)
    .bind(version)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|(partition, o, at)| Ok((partition, parse(&o, at)?))).collect()
}

/// The checkpoints of two versions of a projection by partition, as of one moment.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn read_both(
    db: impl MySqlExecutor<'_>,
    projection: &str,
    (one, other): (i32, i32),
) -> Result<(BTreeMap<i32, Checkpoint>, BTreeMap<i32, Checkpoint>), Error> {
    let rows: Vec<(i32, i32, String, i64)> = sqlx::query_as(
        "SELECT version, partition_no, offsets, appended FROM checkpoints \
         WHERE projection = ? AND version IN (?, ?)",
    )
    .bind(projection)
    .bind(one)
    .bind(other)
    .fetch_all(db)
    .await?;
    let mut both = (BTreeMap::new(), BTreeMap::new());
    for (version, partition, offsets, appended) in rows {
        let of = if version == one { &mut both.0 } else { &mut both.1 };
        of.insert(partition, parse(&offsets, appended)?);
    }
    Ok(both)
}

/// The checkpoints of all partitions of some versions of projections, as of one moment, by
/// projection and partition.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub(crate) async fn read_several(
    db: impl MySqlExecutor<'_>,
    versions: &[(&str, i32)],
) -> Result<BTreeMap<(String, i32), Checkpoint>, Error> {
    let text = "SELECT projection, partition_no, offsets, appended FROM checkpoints WHERE ";
    let mut query = QueryBuilder::<MySql>::new(text);
    let mut list = query.separated(" OR ");
    for (projection, version) in versions {
        list.push("(projection = ").push_bind_unseparated(*projection);
        list.push_unseparated(" AND version = ").push_bind_unseparated(*version);
        list.push_unseparated(")");
    }
    let rows: Vec<(String, i32, String, i64)> = query.build_query_as().fetch_all(db).await?;
    rows.into_iter().map(|(name, at, o, time)| Ok(((name, at), parse(&o, time)?))).collect()
}

/// Makes the checkpoint where there is none, and leaves it alone where there is. Two owners that
/// both find none end with one row, and with the same belief: the first to move it wins.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn begin(
    db: impl MySqlExecutor<'_>,
    projection: &str,
    version: i32,
    partition: i32,
    first: &Checkpoint,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO checkpoints (projection, version, partition_no, offsets, appended) \
         VALUES (?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE appended = checkpoints.appended",
    )
    .bind(projection)
    .bind(version)
    .bind(partition)
    .bind(text(first)?)
    .bind(first.appended.0)
    .execute(db)
    .await?;
    Ok(())
}

/// Reads the checkpoint and locks it until the transaction ends. It must be the transaction's
/// first statement: whoever holds the lock is alone with the rows of the partition.
///
/// # Errors
/// [`Error`] when the server refuses, does not answer, or the lock is not to be had in time.
pub async fn lock(
    transaction: &mut MySqlConnection,
    projection: &str,
    version: i32,
    partition: i32,
) -> Result<Option<Checkpoint>, Error> {
    let row: Option<(String, i64)> = sqlx::query_as(
        "SELECT offsets, appended FROM checkpoints \
         WHERE projection = ? AND version = ? AND partition_no = ? FOR UPDATE",
    )
    .bind(projection)
    .bind(version)
    .bind(partition)
    .fetch_optional(transaction)
    .await?;
    row.map(|(offsets, appended)| parse(&offsets, appended)).transpose()
}

/// Moves a checkpoint that this transaction has locked.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn put(
    transaction: &mut MySqlConnection,
    projection: &str,
    version: i32,
    partition: i32,
    to: &Checkpoint,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE checkpoints SET offsets = ?, appended = ? \
         WHERE projection = ? AND version = ? AND partition_no = ?",
    )
    .bind(text(to)?)
    .bind(to.appended.0)
    .bind(projection)
    .bind(version)
    .bind(partition)
    .execute(transaction)
    .await?;
    Ok(())
}

/// A projection, its version, and a partition.
pub(crate) type Place<'a> = (&'a str, i32, i32);

/// Like [`lock`], for some at once, in their order: two that lock several cannot lock each other
/// out.
///
/// # Errors
/// [`Error`] when the server refuses, does not answer, or a lock is not to be had in time.
pub(crate) async fn lock_all<'a>(
    transaction: &mut MySqlConnection,
    places: &[Place<'a>],
) -> Result<BTreeMap<Place<'a>, Checkpoint>, Error> {
    // The index by force: a scan of the small table would wait for the locks of everybody else.
    let text = "SELECT projection, version, partition_no, offsets, appended FROM checkpoints \
                FORCE INDEX (PRIMARY) WHERE (projection, version, partition_no) IN ";
    let mut query = QueryBuilder::<MySql>::new(text);
    query.push_tuples(places, |mut tuple, (projection, version, partition)| {
        tuple.push_bind(*projection).push_bind(*version).push_bind(*partition);
    });
    query.push(" ORDER BY projection, version, partition_no FOR UPDATE");
    let rows: Vec<(String, i32, i32, String, i64)> =
        query.build_query_as().fetch_all(transaction).await?;
    let mut locked = BTreeMap::new();
    for (projection, version, partition, offsets, appended) in rows {
        let is_it = |place: &&Place<'a>| **place == (projection.as_str(), version, partition);
        if let Some(place) = places.iter().find(is_it) {
            locked.insert(*place, parse(&offsets, appended)?);
        }
    }
    Ok(locked)
}

/// Moves checkpoints that this transaction has locked.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub(crate) async fn put_all(
    transaction: &mut MySqlConnection,
    to: &[(Place<'_>, &Checkpoint)],
) -> Result<(), Error> {
    let texts = to.iter().map(|(_, checkpoint)| text(checkpoint)).collect::<Result<Vec<_>, _>>()?;
    let into = "INSERT INTO checkpoints (projection, version, partition_no, offsets, appended) ";
    let mut query = QueryBuilder::<MySql>::new(into);
    query.push_values(to.iter().zip(texts), |mut row, ((place, checkpoint), offsets)| {
        let (projection, version, partition) = *place;
        row.push_bind(projection).push_bind(version).push_bind(partition);
        row.push_bind(offsets).push_bind(checkpoint.appended.0);
    });
    query.push(" AS new ON DUPLICATE KEY UPDATE offsets = new.offsets, appended = new.appended");
    query.build().execute(transaction).await?;
    Ok(())
}

fn parse(offsets: &str, appended: i64) -> Result<Checkpoint, Error> {
    let offsets =
        serde_json::from_str(offsets).map_err(|e| Error::corrupt("checkpoints.offsets", e))?;
    Ok(Checkpoint { offsets, appended: Timestamp(appended) })
}

fn text(checkpoint: &Checkpoint) -> Result<String, Error> {
    serde_json::to_string(&checkpoint.offsets).map_err(|e| Error::corrupt("offsets", e))
}
