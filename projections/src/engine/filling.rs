//! Fills a version that nobody reads yet: much is folded in memory before anything is written.

use std::{mem, sync::Arc};

use domain::Timestamp;

use super::{ATTEMPTS, Batch, Engine, EngineError, moved, stop};
use crate::{
    checkpoint::{self, Checkpoint},
    error::Error,
    fact::Logged,
    memory::{Changes, Memory},
};

/// One partition of a version that is being filled.
pub struct Filling {
    engine: Arc<Engine>,
    partition: i32,
    memory: Box<dyn Memory>,
    /// Where the memory stands; the table stands there or behind.
    at: Checkpoint,
    /// Where the table stands once all that was taken is written, and where it may stand before.
    taken: Checkpoint,
    before: Checkpoint,
}

/// What is to be written of a partition, and where that leads.
pub struct Filled {
    engine: Arc<Engine>,
    partition: i32,
    from: Checkpoint,
    to: Checkpoint,
    changes: Box<dyn Changes>,
}

impl Filling {
    /// Goes on at the checkpoint that [`Engine::take`] has told.
    pub fn from(engine: &Arc<Engine>, partition: i32, at: Checkpoint) -> Self {
        let nothing_is_applied = at.appended == Timestamp(0);
        let memory = engine.projection.memory(nothing_is_applied);
        let (taken, before) = (at.clone(), at.clone());
        Self { engine: Arc::clone(engine), partition, memory, at, taken, before }
    }

    /// Where to read on.
    pub fn at(&self) -> &Checkpoint {
        &self.at
    }

    /// Takes records in. After an error the partition must be taken anew.
    ///
    /// # Errors
    /// [`EngineError::Stop`] for a record that cannot follow, [`EngineError::Superseded`] for one that
    /// another has applied, [`EngineError::Refused`] for one out of order, [`EngineError::Db`].
    pub async fn fold(&mut self, batch: &Batch<'_>) -> Result<(), EngineError> {
        self.at = moved(&self.at, batch)?;
        let folded = self.fold_in(&batch.records).await;
        // Rows are loaded without a lock: what another has applied meanwhile comes a second time.
        if matches!(folded, Err(EngineError::Stop(_))) && !self.is_alone().await? {
            return Err(EngineError::Superseded);
        }
        folded
    }

    /// Whether the table stands where this has left it.
    async fn is_alone(&self) -> Result<bool, EngineError> {
        let Engine { db, projection, version, .. } = &*self.engine;
        let stored = checkpoint::read(db, projection.name(), *version, self.partition).await?;
        Ok(stored.is_some_and(|stored| stored == self.taken || stored == self.before))
    }

    async fn fold_in(&mut self, records: &[&Logged]) -> Result<(), EngineError> {
        let engine = &self.engine;
        if self.memory.needs(records) {
            let mut connection = engine.db.acquire().await.map_err(Error::from)?;
            let loaded = self.memory.load(&mut connection, &engine.table, records).await;
            loaded.map_err(|failed| stop(failed, records))?;
        }
        self.memory.fold(records).map_err(|failed| stop(failed, records))
    }

    /// About how many bytes wait to be taken.
    pub fn waiting(&self) -> usize {
        self.memory.changed()
    }

    /// Whether the table stands behind what is folded, once all that was taken is written.
    pub fn is_behind(&self) -> bool {
        self.taken != self.at
    }

    /// About how many bytes are in memory.
    pub fn size(&self) -> usize {
        self.memory.size()
    }

    /// Forgets what was taken: it is read again where it is needed, so it must be written by then.
    pub fn forget(&mut self) {
        self.memory.forget();
    }

    /// All that waits, to be written before anything that is taken later. Where that fails, the
    /// partition must be taken anew.
    pub fn take(&mut self) -> Filled {
        let from = mem::replace(&mut self.taken, self.at.clone());
        self.before.clone_from(&from);
        let (engine, to) = (Arc::clone(&self.engine), self.at.clone());
        Filled { engine, partition: self.partition, from, to, changes: self.memory.take() }
    }
}

impl Filled {
    /// Writes it, with the checkpoint, in one transaction.
    ///
    /// # Errors
    /// [`EngineError::Superseded`] where another has moved the checkpoint, [`EngineError::Db`]; also
    /// where a row is there already that the log only begins here.
    pub async fn write(&self) -> Result<(), EngineError> {
        let mut attempt = 1;
        loop {
            match self.once().await {
                Err(EngineError::Db(error)) if attempt < ATTEMPTS && error.is_lost_race() => {
                    self.engine.pause(attempt, self.partition.unsigned_abs(), &error).await;
                    attempt += 1;
                }
                written => return written,
            }
        }
    }

    async fn once(&self) -> Result<(), EngineError> {
        let Engine { db, projection, version, table, passing } = &*self.engine;
        let place = (projection.name(), *version, self.partition);
        let mut transaction = db.begin().await.map_err(Error::from)?;
        let stored = checkpoint::lock_all(&mut transaction, &[place]).await?;
        if stored.get(&place) != Some(&self.from) {
            return Err(EngineError::Superseded);
        }
        self.changes.write(&mut transaction, table).await?;
        checkpoint::put_all(&mut transaction, &[(place, &self.to)]).await?;
        passing("projector.before_mysql_commit");
        transaction.commit().await.map_err(Error::from)?;
        Ok(())
    }
}
