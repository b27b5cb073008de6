//! Versions of projections: each is a table of its own with checkpoints of its own, so that one can
//! be filled beside the other. Readers and writers of one build use those that have its shape.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{MySqlConnection, MySqlExecutor};

use crate::{
    error::Error,
    known::{known, named},
    pool::Pool,
    projection::AnyProjection,
    table::TableName,
};

mod compare;
mod copy;
mod keys;

pub use compare::{Comparison, Difference, Page};
pub use copy::{about, copy};
pub use keys::build_keys;

/// A version of a projection, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The name of the projection.
    pub projection: &'static str,
    /// Its number, from 1.
    pub version: i32,
    /// Whether it looks as this build writes it, and would be folded alike.
    pub ours: bool,
    /// Whether it has been level with the log; the first ones are from the beginning.
    pub ready: bool,
    /// Whether it is the one named in `active`.
    pub active: bool,
    /// Whether it is gone: only its number is kept.
    pub dropped: bool,
    /// Whether it is being copied from another, or that was begun: it is none yet.
    pub copying: bool,
}

/// The shape of what was dropped. Its number is never used again: a zombie that still feeds it must
/// not meet another table by its name.
const DROPPED: &str = "dropped";

/// How long what was let go should stay before it is discarded: it may have been the active version a
/// moment ago, which readers may know for a while, and projectors look every two seconds what to feed.
pub const GRACE: Duration = Duration::from_secs(3);
/// The shape of what is being copied from another version.
const COPYING: &str = "copying";

/// Every version that there is, or was, of what this process knows, by projection and number.
///
/// # Errors
/// [`Error::Db`] when the server refuses or does not answer.
pub async fn all(db: impl MySqlExecutor<'_>) -> Result<Vec<Version>, Error> {
    let rows: Vec<(String, String, bool, bool)> = sqlx::query_as(
        "SELECT table_name, shape, ready, a.version IS NOT NULL FROM shapes LEFT JOIN active a \
         ON table_name = CONCAT(a.set_name, '_v', a.version)",
    )
    .fetch_all(db)
    .await?;
    let known = |(table, shape, ready, active): (String, String, bool, bool)| {
        let (name, number) = table.rsplit_once("_v")?;
        let projection = named(name)?;
        let (ours, dropped) = (shape == projection.shape(), shape == DROPPED);
        let copying = shape == COPYING;
        let (projection, version) = (projection.name(), number.parse().ok()?);
        Some(Version { projection, version, ours, ready, active, dropped, copying })
    };
    let mut versions: Vec<Version> = rows.into_iter().filter_map(known).collect();
    versions.sort_by_key(|version| (version.projection, version.version));
    Ok(versions)
}

/// What this build reads of each projection: the active version; where another build made that one
/// look otherwise, the newest that has been level and looks as this build reads it.
pub(crate) fn read_by_this_build(versions: &[Version]) -> BTreeMap<String, i32> {
    let mut read = BTreeMap::new();
    for version in versions.iter().filter(|version| version.ours && version.ready) {
        let of_it = versions.iter().filter(|other| other.projection == version.projection);
        let mut active =
            of_it.filter(|other| other.active && other.ours).map(|other| other.version);
        read.insert(version.projection.to_owned(), active.next_back().unwrap_or(version.version));
    }
    read
}

/// Brings the static tables up to date, and makes version 1 of each set of projections, active where
/// none is. Where others have read of the log, one that is new, or is being filled, is left to be filled
/// first: whoever read it meanwhile would find half of it. May run in several processes at once.
///
/// # Errors
/// [`Error`] when the server refuses or a migration was changed after it had run.
pub async fn migrate(db: &Pool) -> Result<(), Error> {
    // Those of a later build may have run already, and are additions only.
    sqlx::migrate!().set_ignore_missing(true).run(db).await?;
    let versions = all(db).await?;
    let have_read = "SELECT EXISTS (SELECT 1 FROM checkpoints)";
    let have_read: bool = sqlx::query_scalar(have_read).fetch_one(db).await?;
    for &projection in known() {
        let mut of_it = versions.iter().filter(|known| known.projection == projection.name());
        // Where there is a later version, or one of another build, it is not for this to make one.
        let is_others = of_it.clone().any(|known| known.version != 1 || !known.ours);
        if is_others || (have_read && !of_it.any(|known| known.ready)) {
            continue;
        }
        create(db, projection, 1).await?;
        let first = "INSERT INTO active (set_name, version) VALUES (?, 1) \
                     ON DUPLICATE KEY UPDATE version = active.version";
        sqlx::query(first).bind(projection.name()).execute(db).await?;
        // Somebody may have begun to fill it before.
        build_keys(db, projection, 1).await?;
        set_ready(db, projection, 1, true).await?;
    }
    Ok(())
}

/// Makes the table of a version of a projection, where it does not exist.
///
/// # Errors
/// [`Error::OtherShape`] when it exists and looks otherwise than this build writes it; [`Error`]
/// when the server refuses or the version is none.
pub async fn create(db: &Pool, projection: &dyn AnyProjection, version: i32) -> Result<(), Error> {
    make(db, projection, version).await.map(drop)
}

/// As [`create`], but a table that is made has no secondary keys: [`build_keys`] is to be called
/// before anybody reads it.
///
/// # Errors
/// As [`create`].
pub async fn create_bare(
    db: &Pool,
    projection: &dyn AnyProjection,
    version: i32,
) -> Result<(), Error> {
    if make(db, projection, version).await? {
        let table = TableName::of(projection.name(), version)?;
        keys::leave_out(db, projection, &table).await?;
    }
    Ok(())
}

/// Makes the table, and tells whether it was not there.
async fn make(db: &Pool, projection: &dyn AnyProjection, version: i32) -> Result<bool, Error> {
    let (table, shape) = (TableName::of(projection.name(), version)?, projection.shape());
    let exists = "SELECT EXISTS (SELECT 1 FROM information_schema.tables \
                  WHERE table_schema = DATABASE() AND table_name = ?)";
    let exists: bool = sqlx::query_scalar(exists).bind(table.to_string()).fetch_one(db).await?;
    // The shape is noted before the table is made, so a table without one is of an older build.
    if !exists {
        let note = "INSERT INTO shapes (table_name, shape, ready) VALUES (?, ?, FALSE) AS new \
                    ON DUPLICATE KEY UPDATE ready = FALSE";
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
    Ok(!exists)
}

/// Notes that a version is level with the log, or that it is no longer. The active one stays as it
/// is.
///
/// # Errors
/// [`Error`] when the server refuses, or the version is none.
pub async fn set_ready(
    db: &Pool,
    projection: &dyn AnyProjection,
    version: i32,
    ready: bool,
) -> Result<(), Error> {
    let table = TableName::of(projection.name(), version)?.to_string();
    let mut transaction = db.begin().await?;
    // Whoever looked before may not know that it was swapped in since then.
    if !ready && active(&mut transaction, projection).await? == version {
        return Ok(());
    }
    sqlx::query("UPDATE shapes SET ready = ? WHERE table_name = ? AND shape = ?")
        .bind(ready)
        .bind(table)
        .bind(projection.shape())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Makes a version the active one, and tells which one was until now, 0 where none was. Whoever reads meanwhile reads
/// one of the two.
///
/// # Errors
/// [`Error::NotReady`] when it has not been level with the log, is not there, or is not of this
/// build's shape; [`Error`] when the server refuses.
pub async fn activate(
    db: &Pool,
    projection: &dyn AnyProjection,
    version: i32,
) -> Result<i32, Error> {
    let table = TableName::of(projection.name(), version)?;
    let mut transaction = db.begin().await?;
    let was = active(&mut transaction, projection).await?;
    let ready = "SELECT EXISTS (SELECT 1 FROM shapes \
                 WHERE table_name = ? AND shape = ? AND ready FOR UPDATE)";
    let ready = sqlx::query_scalar(ready).bind(table.to_string()).bind(projection.shape());
    if !ready.fetch_one(&mut *transaction).await? {
        return Err(Error::NotReady(table.to_string()));
    }
    let text = "INSERT INTO active (set_name, version) VALUES (?, ?) AS new \
                ON DUPLICATE KEY UPDATE version = new.version";
    let query = sqlx::query(text).bind(projection.name()).bind(version);
    query.execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(was)
}

/// Makes a version of a projection one that nobody reads or feeds any more; whether there was one. The
/// active one is left alone. What is left is a shape that is none, for good.
///
/// # Errors
/// [`Error`] when the server refuses, or the version is active.
pub async fn let_go(
    db: &Pool,
    projection: &dyn AnyProjection,
    version: i32,
) -> Result<bool, Error> {
    let table = TableName::of(projection.name(), version)?;
    let mut transaction = db.begin().await?;
    if active(&mut transaction, projection).await? == version {
        return Err(Error::Live(table.to_string()));
    }
    let done = sqlx::query("UPDATE shapes SET ready = FALSE, shape = ? WHERE table_name = ?")
        .bind(DROPPED)
        .bind(table.to_string())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(done.rows_affected() > 0)
}

/// Lets a version of a projection go and drops it with all it has applied; begun again it goes on where
/// it was. Where there are readers and projectors, they get [`GRACE`] in between.
///
/// # Errors
/// As [`let_go`].
pub async fn discard(db: &Pool, projection: &dyn AnyProjection, version: i32) -> Result<(), Error> {
    let_go(db, projection, version).await?;
    let table = TableName::of(projection.name(), version)?;
    sqlx::query("DELETE FROM checkpoints WHERE projection = ? AND version = ?")
        .bind(projection.name())
        .bind(version)
        .execute(db)
        .await?;
    sqlx::query(table.statement("DROP TABLE IF EXISTS {table}", 0, 0)).execute(db).await?;
    Ok(())
}

/// The active version, locked until the transaction ends; 0 where there is none.
async fn active(
    transaction: &mut MySqlConnection,
    projection: &dyn AnyProjection,
) -> Result<i32, Error> {
    let version = "SELECT version FROM active WHERE set_name = ? FOR UPDATE";
    let version = sqlx::query_scalar(version).bind(projection.name());
    Ok(version.fetch_optional(transaction).await?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_reads_what_has_its_shape() {
        let of = |version, ours, ready, active| Version {
            projection: "snapshot",
            version,
            ours,
            ready,
            active,
            dropped: false,
            copying: false,
        };
        let (other, ours) = (false, true);
        for (versions, read) in [
            (vec![of(1, ours, true, true)], Some(1)),
            (vec![of(1, ours, true, true), of(2, ours, true, false)], Some(1)),
            (vec![of(1, ours, true, false), of(2, ours, true, true)], Some(2)),
            (vec![of(1, other, true, true), of(2, ours, true, false)], Some(2)),
            (vec![of(1, ours, true, false), of(2, other, true, true)], Some(1)),
            (vec![of(1, other, true, true), of(2, ours, false, false)], None),
            (vec![of(1, other, true, true)], None),
            (vec![], None),
        ] {
            let found = read_by_this_build(&versions);
            assert_eq!(found.get("snapshot").copied(), read, "{versions:?}");
        }
    }
}
