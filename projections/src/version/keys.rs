//! The secondary keys of a version: left out while it is filled, unless others are to be spared, and
//! then built all at once, sorted.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, MySqlConnection};

use crate::{error::Error, pool::Pool, projection::AnyProjection, table::TableName};

/// Drops the keys of a table that was just made, unless it may be read by now.
///
/// # Errors
/// [`Error`] when the server refuses.
pub(super) async fn leave_out(
    db: &Pool,
    projection: &dyn AnyProjection,
    table: &TableName,
) -> Result<(), Error> {
    let mut connection = alone(db, table).await?;
    let ready = "SELECT EXISTS (SELECT 1 FROM shapes WHERE table_name = ? AND ready)";
    let ready = sqlx::query_scalar(ready).bind(table.to_string());
    if ready.fetch_one(&mut connection).await? {
        return Ok(());
    }
    drop_keys(&mut connection, projection, table).await
}

/// Drops the keys of a table that nobody reads.
pub(super) async fn drop_keys(
    db: &mut MySqlConnection,
    projection: &dyn AnyProjection,
    table: &TableName,
) -> Result<(), Error> {
    let present = present(db, table).await?;
    let keys = keys(projection.table()).filter(|(name, _)| present.contains(*name));
    let dropped: Vec<String> = keys.map(|(name, _)| format!("DROP KEY {name}")).collect();
    if !dropped.is_empty() {
        let text = format!("ALTER TABLE {table} {}", dropped.join(", "));
        sqlx::query(AssertSqlSafe(text)).execute(db).await?;
    }
    Ok(())
}

/// A connection that alone changes the keys of a table. Closed at the end, whatever happens: with
/// it goes the lock.
pub(super) async fn alone(db: &Pool, table: &TableName) -> Result<MySqlConnection, Error> {
    let mut connection = db.acquire().await?.detach();
    let lock = "SELECT GET_LOCK(SHA2(CONCAT(DATABASE(), ?), 224), -1)";
    sqlx::query(lock).bind(table.to_string()).execute(&mut connection).await?;
    Ok(connection)
}

/// Builds the keys that a version lacks, while others write to it; how many there were. Of several
/// that want it one builds and the others wait.
///
/// # Errors
/// [`Error`] when the server refuses, or the version is none.
pub async fn build_keys(
    db: &Pool,
    projection: &dyn AnyProjection,
    version: i32,
) -> Result<usize, Error> {
    let table = TableName::of(projection.name(), version)?;
    let mut connection = alone(db, &table).await?;
    let found = present(&mut connection, &table).await?;
    let lacking = keys(projection.table()).filter(|(name, _)| !found.contains(*name));
    let added: Vec<String> = lacking.map(|(_, key)| format!("ADD {key}")).collect();
    if !added.is_empty() {
        let text = format!("ALTER TABLE {table} {}, LOCK = NONE", added.join(", "));
        sqlx::query(AssertSqlSafe(text)).execute(&mut connection).await?;
    }
    Ok(added.len())
}

async fn present(db: &mut MySqlConnection, table: &TableName) -> Result<BTreeSet<String>, Error> {
    let text = "SELECT DISTINCT index_name FROM information_schema.statistics \
                WHERE table_schema = DATABASE() AND table_name = ?";
    let names: Vec<String> = sqlx::query_scalar(text).bind(table.to_string()).fetch_all(db).await?;
    Ok(names.into_iter().collect())
}

/// The name and the definition of each key in a `CREATE TABLE` of ours: one in a line.
fn keys(create: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = create.lines().map(|line| line.trim().trim_end_matches(','));
    lines.filter_map(|line| {
        let (name, _) = line.strip_prefix("KEY ")?.split_once(' ')?;
        Some((name, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known::ALL;

    #[test]
    fn every_secondary_key_is_found_in_its_statement() {
        for projection in ALL {
            let text = projection.table();
            let mentioned = text.matches("KEY").count() - text.matches("PRIMARY KEY").count();
            assert_eq!(keys(text).count(), mentioned, "{}", projection.name());
        }
        let by_age = ("by_age", "KEY by_age (decided_at)");
        assert_eq!(keys("\n KEY by_age (decided_at),\n").collect::<Vec<_>>(), [by_age]);
    }
}
