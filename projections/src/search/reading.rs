//! Documents as of one moment of the read model.

use std::collections::BTreeMap;

use domain::ProductId;
use schemas::CATALOG;
use sqlx::{Executor, MySql, pool::PoolConnection};

use super::{Document, Versioned};
use crate::{
    Pool, Projection, Tables, checkpoint,
    error::Error,
    products::{self, Products},
};

/// An event that made a document old: its offset, and the product that it is about.
pub type Change = (i64, ProductId);

/// What one look at the read model brought, of one partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// The next event that the read model has not applied: changes below it are in `documents`.
    pub next: i64,
    /// The products of those changes, each once.
    pub documents: Vec<Versioned>,
}

/// Reads the products of those changes, by partition, that the read model covers. Rows and
/// checkpoints are of one moment, so an external version says exactly which row it stands for:
/// `products version * 2^48 + next`.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn documents(
    db: &Pool,
    tables: &Tables,
    changes: &BTreeMap<i32, Vec<Change>>,
) -> Result<BTreeMap<i32, Read>, Error> {
    let generation = tables.version(Products::NAME);
    let mut moment = Moment::begin(db).await?;
    let checkpoints = checkpoint::read_all(moment.connection(), Products::NAME, generation).await?;
    let next_of =
        |partition: i32| checkpoints.get(&partition).map_or(0, |at| at.next(CATALOG.events.name));
    let covered = changes.iter().flat_map(|(&partition, changes)| {
        let next = next_of(partition);
        changes
            .iter()
            .filter(move |(offset, _)| *offset < next)
            .map(move |(_, id)| (*id, partition))
    });
    let partitions: BTreeMap<ProductId, i32> = covered.collect();
    let ids: Vec<ProductId> = partitions.keys().copied().collect();
    let rows = products::by_ids(moment.connection(), tables, &ids).await?;
    moment.end().await?;

    let mut reads: BTreeMap<i32, Read> = changes
        .keys()
        .map(|&partition| (partition, Read { next: next_of(partition), documents: vec![] }))
        .collect();
    for row in rows {
        let Some(read) = partitions.get(&row.id).and_then(|at| reads.get_mut(at)) else { continue };
        let version = (i64::from(generation) << 48) + read.next;
        read.documents.push(Versioned { document: Document::from(row), version });
    }
    Ok(reads)
}

/// A read-only transaction on one moment of the database. Unless it is ended, its connection is
/// closed and not given back: sqlx cannot tell whether a transaction that was being begun when its
/// future was dropped is open, and the next user of the connection would read the past.
struct Moment {
    connection: PoolConnection<MySql>,
    ended: bool,
}

impl Moment {
    async fn begin(db: &Pool) -> Result<Self, Error> {
        let mut moment = Self { connection: db.acquire().await?, ended: false };
        // Only at this level is there a snapshot; the pool's own level is READ COMMITTED.
        let level = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";
        moment.connection.execute(level).await?;
        let start = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
        moment.connection.execute(start).await?;
        Ok(moment)
    }

    fn connection(&mut self) -> &mut sqlx::MySqlConnection {
        &mut self.connection
    }

    async fn end(mut self) -> Result<(), Error> {
        self.connection.execute("COMMIT").await?;
        self.ended = true;
        Ok(())
    }
}

impl Drop for Moment {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}
