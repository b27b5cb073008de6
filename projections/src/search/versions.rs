//! Which versions of the index there are. Which of them is live, the alias says.

use domain::Timestamp;
use schemas::CATALOG;
use sqlx::{Executor as _, MySqlConnection, MySqlExecutor, Row};

use super::{PROJECTION, Source, index::FORMAT, progress::forget};
use crate::{
    Checkpoint, Consumed, Pool, Projection, checkpoint,
    directory::Directory,
    error::Error,
    moment::Moment,
    pool::PATIENT,
    products::{self, Products},
};

/// A version of the index that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexVersion {
    /// Its number, from 1.
    pub version: i32,
    /// Whether this build writes such documents.
    pub ours: bool,
    /// Whether each product has its document; before, it is being filled.
    pub ready: bool,
    /// How many products there were when the filling began.
    pub products: u64,
    /// How many documents the filling has written.
    pub written: u64,
    /// Pieces of products that somebody is writing, or was when he was killed.
    pub pieces: u64,
}

/// Every version that is kept, by number.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn versions(db: impl MySqlExecutor<'_>) -> Result<Vec<IndexVersion>, Error> {
    let text = "SELECT version, format, state = 'ready' AS ready, products, written, \
                (SELECT COUNT(*) FROM search_pieces p WHERE p.version = v.version) AS pieces \
                FROM search_versions v WHERE state <> 'dropped' ORDER BY version";
    let rows = sqlx::query(text).fetch_all(db).await?;
    let read = |row: &sqlx::mysql::MySqlRow| {
        let number = |column| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
        Ok(IndexVersion {
            version: row.try_get("version")?,
            ours: row.try_get::<&str, _>("format")? == FORMAT,
            ready: row.try_get("ready")?,
            products: number("products")?,
            written: number("written")?,
            pieces: number("pieces")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Whether a version is kept: a dropped one is not, and neither is one that never was.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn is_kept(db: impl MySqlExecutor<'_>, version: i32) -> Result<bool, Error> {
    let text = "SELECT EXISTS (SELECT 1 FROM search_versions \
                WHERE version = ? AND state <> 'dropped')";
    Ok(sqlx::query_scalar(text).bind(version).fetch_one(db).await?)
}

/// The number after all that there were.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn next_number(db: impl MySqlExecutor<'_>) -> Result<i32, Error> {
    let text = "SELECT CAST(COALESCE(MAX(version), 0) + 1 AS SIGNED) FROM search_versions";
    let next: i64 = sqlx::query_scalar(text).fetch_one(db).await?;
    i32::try_from(next).map_err(|why| Error::corrupt("version", why))
}

/// Notes a version that readers ask, or that indexers fill by following the log from its beginning.
/// Whatever was noted of it before, as by a backup that was restored, it is ready.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn adopt(db: &Pool, version: i32, source: &Source) -> Result<(), Error> {
    let text = "INSERT INTO search_versions (version, format, state, products, written) \
                VALUES (?, ?, 'ready', 0, 0) AS new \
                ON DUPLICATE KEY UPDATE format = new.format, state = new.state, after = NULL";
    sqlx::query(text).bind(version).bind(source.format()).execute(db).await?;
    sqlx::query("DELETE FROM search_pieces WHERE version = ?").bind(version).execute(db).await?;
    Ok(())
}

/// Notes a version that is to be filled from the rows of its source. Indexers follow the log from
/// where the read models stand at this moment: what is read of them from now on holds all before.
/// Where somebody else has noted it, nothing is changed.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn begin(db: &Pool, version: i32, source: &Source) -> Result<(), Error> {
    let tables = source.tables();
    let products = products::count(db, &tables).await?;
    let mut moment = Moment::begin(db).await?;
    let connection = moment.connection();
    let rows = checkpoint::read_all(&mut *connection, Products::NAME, source.products).await?;
    let names = checkpoint::read_all(&mut *connection, Directory::NAME, source.directory).await?;
    moment.end().await?;
    let mut transaction = db.begin().await?;
    let text = "INSERT IGNORE INTO search_versions \
                (version, format, state, after, products, written) \
                VALUES (?, ?, 'filling', '', ?, 0)";
    let noted = sqlx::query(text).bind(version).bind(source.format()).bind(products);
    if noted.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Ok(());
    }
    forget(&mut transaction, version).await?;
    for (partition, one) in &rows {
        let Some(other) = names.get(partition) else { continue };
        let first = least(one, other, &source.topic_id);
        checkpoint::begin(&mut *transaction, PROJECTION, version, *partition, &first).await?;
    }
    Ok(transaction.commit().await?)
}

/// What both have passed.
fn least(one: &Checkpoint, other: &Checkpoint, topic_id: &str) -> Checkpoint {
    let events = CATALOG.events.name;
    let next = one.next(events).min(other.next(events));
    let consumed = Consumed { next, topic_id: topic_id.to_owned() };
    Checkpoint {
        offsets: [(events.to_owned(), consumed)].into(),
        appended: Timestamp(one.appended.0.min(other.appended.0)),
    }
}

/// A connection that alone makes, swaps or drops versions of the index: nobody drops what another is
/// just making live, and two do not begin a version each. Closed at the end, whatever happens: with it goes the right.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn alone(db: &Pool) -> Result<MySqlConnection, Error> {
    let mut connection = db.acquire().await?.detach();
    let lock = "SELECT GET_LOCK(SHA2(CONCAT(DATABASE(), '.search'), 224), 30)";
    let got: Option<bool> = sqlx::query_scalar(lock).fetch_one(&mut connection).await?;
    connection.execute(PATIENT).await?;
    if got == Some(true) { Ok(connection) } else { Err(Error::Late) }
}

/// Notes that each product has its document.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn complete(db: impl MySqlExecutor<'_>, version: i32) -> Result<(), Error> {
    let text = "UPDATE search_versions SET state = 'ready' WHERE version = ? AND state = 'filling'";
    sqlx::query(text).bind(version).execute(db).await?;
    Ok(())
}

/// Notes that a version is dropped, and forgets how far it had come. First of all, so that nobody
/// begins to follow or to fill it any more; done again it goes on where it was.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer, or a piece is being written for long.
pub async fn discard_index(db: &Pool, version: i32) -> Result<(), Error> {
    let text = "UPDATE search_versions SET state = 'dropped', after = NULL WHERE version = ?";
    sqlx::query(text).bind(version).execute(db).await?;
    let mut connection = db.acquire().await?;
    forget(&mut connection, version).await?;
    let text = "DELETE FROM search_pieces WHERE version = ?";
    sqlx::query(text).bind(version).execute(&mut *connection).await?;
    Ok(())
}
