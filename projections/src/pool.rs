//! Connections.

use std::time::Duration;

use sqlx::{
    Connection, Executor, MySqlPool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
};

use crate::error::Error;

/// Connections to MySQL.
pub type Pool = MySqlPool;

/// READ COMMITTED, so that upserts take no gap locks. A process that is stopped or cut off in the
/// middle of a transaction holds the lock of a checkpoint: the server ends its session after
/// `wait_timeout`, and whoever took over goes on.
const SESSION: &str = "SET SESSION transaction_isolation = 'READ-COMMITTED', wait_timeout = 15, \
                       innodb_lock_wait_timeout = 5";
/// For a session that holds a lock while something else than MySQL is waited for.
pub(crate) const PATIENT: &str = "SET SESSION wait_timeout = 600";
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
