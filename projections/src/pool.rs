//! Connections, and the tables behind them.

use std::time::Duration;

use sqlx::{
    Connection, Executor, MySqlPool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
};

use crate::{
    error::Error,
    projection::{ALL, AnyProjection},
    table::{TableName, Tables},
};

/// Connections to MySQL.
pub type Pool = MySqlPool;

/// READ COMMITTED, so that upserts take no gap locks. A process that is stopped or cut off in the
/// middle of a transaction holds the lock of a checkpoint: the server ends its session after
/// `wait_timeout`, and whoever took over goes on.
const SESSION: &str = "SET SESSION transaction_isolation = 'READ-COMMITTED', wait_timeout = 15, \
                       innodb_lock_wait_timeout = 5";
/// Idle connections are given up well before the server does so.
const IDLE: Duration = Duration::from_secs(5);
/// A connection used a moment ago is not asked whether it still lives.
const FRESH: Duration = Duration::from_secs(1);

/// Statements that a connection keeps prepared: all the sizes that there are, of every projection.
const STATEMENTS: usize = 256;

/// Opens a pool of at most `connections`.
///
/// # Errors
/// [`Error::Db`] when the address is malformed or the server does not answer.
pub async fn connect(url: &str, connections: u32) -> Result<Pool, Error> {
    let pool = MySqlPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(IDLE)
        .test_before_acquire(false)
        .before_acquire(|connection, used| {
            Box::pin(async move {
                if used.idle_for > FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(SESSION).await.map(drop) })
        });
    let options: MySqlConnectOptions = url.parse()?;
    Ok(pool.connect_with(options.statement_cache_capacity(STATEMENTS)).await?)
}

/// Brings the static tables up to date, and makes version 1 of each set of projections, live where
/// none is. May run in several processes at once.
///
/// # Errors
/// [`Error`] when the server refuses or a migration was changed after it had run.
pub async fn migrate(db: &Pool) -> Result<(), Error> {
    sqlx::migrate!().run(db).await?;
    let mut refused = Ok(());
    for projection in ALL {
        // What is there of an older build does not keep the others from being made.
        match create(db, projection, 1).await {
            Err(error @ Error::OtherShape(_)) => refused = Err(error),
            made => made?,
        }
        let first = "INSERT INTO active (set_name, version) VALUES (?, 1) \
                     ON DUPLICATE KEY UPDATE version = active.version";
        sqlx::query(first).bind(projection.name()).execute(db).await?;
    }
    refused
}

/// Makes the table of a version of a projection, where it does not exist.
///
/// # Errors
/// [`Error::OtherShape`] when it exists and looks otherwise than this build writes it; [`Error`]
/// when the server refuses or the version is none.
pub async fn create(db: &Pool, projection: &dyn AnyProjection, version: i32) -> Result<(), Error> {
    let table = TableName::of(projection.name(), version)?;
    let shape = domain::id::derive(&["shape", projection.table(), projection.state_format()]);
    let shape = shape.to_string();
    let exists = "SELECT EXISTS (SELECT 1 FROM information_schema.tables \
                  WHERE table_schema = DATABASE() AND table_name = ?)";
    let exists: bool = sqlx::query_scalar(exists).bind(table.to_string()).fetch_one(db).await?;
    // The shape is noted before the table is made, so a table without one is of an older build.
    if !exists {
        let note = "INSERT INTO shapes (table_name, shape) VALUES (?, ?) AS new \
                    ON DUPLICATE KEY UPDATE shape = new.shape";
        sqlx::query(note).bind(table.to_string()).bind(&shape).execute(db).await?;
    }
    let noted: Option<String> = sqlx::query_scalar("SELECT shape FROM shapes WHERE table_name = ?")
        .bind(table.to_string())
        .fetch_optional(db)
        .await?;
    if noted != Some(shape) {
        return Err(Error::OtherShape(table.to_string()));
    }
    sqlx::query(table.statement(projection.table(), 0, 0)).execute(db).await?;
    Ok(())
}

/// Drops a version of a projection with all it has applied. What is live is left alone.
///
/// # Errors
/// [`Error`] when the server refuses, or the version is live.
pub async fn discard(db: &Pool, projection: &dyn AnyProjection, version: i32) -> Result<(), Error> {
    let table = TableName::of(projection.name(), version)?;
    if Tables::active(db).await?.version(projection.name()) == version {
        return Err(Error::Live(table.to_string()));
    }
    // The table first: without its checkpoints it could be filled again, but never rightly.
    sqlx::query(table.statement("DROP TABLE IF EXISTS {table}", 0, 0)).execute(db).await?;
    sqlx::query("DELETE FROM shapes WHERE table_name = ?")
        .bind(table.to_string())
        .execute(db)
        .await?;
    sqlx::query("DELETE FROM checkpoints WHERE projection = ? AND version = ?")
        .bind(projection.name())
        .bind(version)
        .execute(db)
        .await?;
    Ok(())
}
