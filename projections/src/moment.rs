//! A read-only transaction on one moment of the database.

use sqlx::{Executor, MySql, MySqlConnection, pool::PoolConnection};

use crate::{error::Error, pool::Pool};

/// Whatever is read through it is of one moment. Unless it is ended, its connection is closed and
/// not given back: sqlx cannot tell whether a transaction that was being begun when its future was
/// dropped is open, and the next user of the connection would read the past.
pub(crate) struct Moment {
    connection: PoolConnection<MySql>,
    ended: bool,
}

impl Moment {
    pub(crate) async fn begin(db: &Pool) -> Result<Self, Error> {
        let mut moment = Self { connection: db.acquire().await?, ended: false };
        // Only at this level is there a snapshot; the pool's own level is READ COMMITTED.
        let level = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";
        moment.connection.execute(level).await?;
        let start = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
        moment.connection.execute(start).await?;
        Ok(moment)
    }

    pub(crate) fn connection(&mut self) -> &mut MySqlConnection {
        &mut self.connection
    }

    pub(crate) async fn end(mut self) -> Result<(), Error> {
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
