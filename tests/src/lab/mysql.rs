//! What an administrator, another program or the machine does to MySQL.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, MySqlConnection, Row,
    mysql::{MySqlConnectOptions, MySqlSslMode},
};

use super::Scene;
use crate::{Fleet, Role};

/// How long each of it lasts.
const LASTS: Duration = Duration::from_secs(5);
/// How long a lock is held: our sessions wait 5 s for one.
const HELD: Duration = Duration::from_secs(8);
/// A thousand changes.
const WEIGHT: &str = "INSERT INTO vandal.weight WITH RECURSIVE count AS \
                      (SELECT 1 AS n UNION ALL SELECT n + 1 FROM count WHERE n < 1000) \
                      SELECT n FROM count";

/// It takes no writes.
pub(super) async fn read_only(scene: Scene<'_>) -> Result<u32> {
    let mut root = root(&scene).await?;
    root.execute("SET GLOBAL super_read_only = ON").await?;
    tokio::time::sleep(LASTS).await;
    root.execute("SET GLOBAL super_read_only = OFF").await?;
    root.execute("SET GLOBAL read_only = OFF").await?;
    Ok(1)
}

/// Somebody locks the same rows in another order, again and again, and has changed so many of its own
/// that MySQL lets the others give way.
pub(super) async fn deadlocks(scene: Scene<'_>) -> Result<u32> {
    let mut vandal = root(&scene).await?;
    vandal.execute("USE jangbu").await?;
    let tables = tables(&mut vandal).await?;
    vandal.execute("CREATE DATABASE IF NOT EXISTS vandal").await?;
    vandal.execute("CREATE TABLE IF NOT EXISTS vandal.weight (n INT)").await?;
    let (end, before) = (Instant::now() + LASTS, retries(scene.fleet, "deadlock").await?);
    while Instant::now() < end {
        vandal.execute("BEGIN").await?;
        vandal.execute(WEIGHT).await?;
        for table in tables.iter().rev() {
            let lock = format!("SELECT * FROM `{table}` LIMIT 500 FOR UPDATE");
            // It may be the one that is chosen to give way after all.
            if vandal.execute(AssertSqlSafe(lock)).await.is_err() {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        vandal.execute("ROLLBACK").await?;
    }
    let _ = vandal.close().await;
    ensure!(retries(scene.fleet, "deadlock").await? > before, "the projector met no deadlock");
    Ok(1)
}

/// How often the projector has tried again for that reason.
async fn retries(fleet: &mut Fleet, reason: &str) -> Result<f64> {
    let projector = fleet.process(Role::Projector)?;
    projector.metric_of("jangbu_projection_retries_total", &format!("reason=\"{reason}\"")).await
}

/// Somebody holds the checkpoints for longer than anyone waits for a lock.
pub(super) async fn lock_timeouts(scene: Scene<'_>) -> Result<u32> {
    let before = retries(scene.fleet, "lock_wait").await?;
    let mut holder = root(&scene).await?;
    holder.execute("USE jangbu").await?;
    holder.execute("BEGIN").await?;
    holder.execute("SELECT * FROM checkpoints FOR UPDATE").await?;
    tokio::time::sleep(HELD).await;
    holder.execute("ROLLBACK").await?;
    ensure!(
        retries(scene.fleet, "lock_wait").await? > before,
        "the projector met no lock time-out"
    );
    Ok(1)
}

/// It takes no further connections, and has closed those that there were.
pub(super) async fn no_connections(scene: Scene<'_>) -> Result<u32> {
    let mut root = root(&scene).await?;
    let row = root.fetch_one("SELECT @@GLOBAL.max_connections").await?;
    let usual: u64 = row.try_get(0)?;
    root.execute("SET GLOBAL max_connections = 1").await?;
    end_sessions(&mut root).await?;
    tokio::time::sleep(LASTS).await;
    let back = format!("SET GLOBAL max_connections = {usual}");
    root.execute(AssertSqlSafe(back)).await?;
    Ok(1)
}

/// Its disk has no byte left for a while.
pub(super) async fn full_disk(scene: Scene<'_>) -> Result<u32> {
    let filler = scene.stack.folder().join("mysql/data/filler");
    let mut file = File::create(&filler)?;
    let block = vec![0; 1 << 20];
    let full = loop {
        if let Err(error) = file.write_all(&block) {
            break error;
        }
    };
    ensure!(full.kind() == ErrorKind::StorageFull, "not full: {full}");
    tokio::time::sleep(LASTS).await;
    fs::remove_file(filler)?;
    Ok(1)
}

/// Every connection is closed while it is used.
pub(super) async fn sessions_end(scene: Scene<'_>) -> Result<u32> {
    end_sessions(&mut root(&scene).await?).await?;
    Ok(1)
}

async fn root(scene: &Scene<'_>) -> Result<MySqlConnection> {
    let options = MySqlConnectOptions::new()
        .socket(scene.stack.folder().join("mysql/mysqld.sock"))
        .username("root")
        .ssl_mode(MySqlSslMode::Disabled);
    options.connect().await.context("MySQL as root, by its socket")
}

/// The tables of ours, in the order of their names.
async fn tables(connection: &mut MySqlConnection) -> Result<Vec<String>> {
    let rows = connection.fetch_all(
        "SELECT CAST(table_name AS CHAR) FROM information_schema.tables \
         WHERE table_schema = 'jangbu' ORDER BY 1",
    );
    rows.await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

async fn end_sessions(connection: &mut MySqlConnection) -> Result<()> {
    let all = "SELECT processlist_id FROM performance_schema.threads \
               WHERE processlist_user = 'app'";
    for row in connection.fetch_all(all).await? {
        let id: u64 = row.try_get(0)?;
        // It may have ended meanwhile.
        let _ = connection.execute(AssertSqlSafe(format!("KILL {id}"))).await;
    }
    Ok(())
}
