//! Filling a version of the index from the rows of the read models, in pieces that several share.

use sqlx::{Executor as _, MySql, Transaction};

use super::{Versioned, reading::Look};
use crate::{Pool, Tables, error::Error, pool::PATIENT, products};

/// Beyond every id: they are of 16 bytes.
const LAST: [u8; 16] = [u8::MAX; 16];

/// A piece of the products, and the right to write their documents. Whoever is killed lets it go:
/// the server ends his transaction, and another finds the piece where it lies.
#[derive(Debug)]
pub struct Piece {
    transaction: Transaction<'static, MySql>,
    version: i32,
    /// The products with ids above this one.
    after: Vec<u8>,
    /// The last of them.
    upto: Vec<u8>,
}

/// What is left to write.
#[derive(Debug)]
pub enum Claimed {
    /// This.
    Piece(Box<Piece>),
    /// Nothing but what others are writing.
    Others,
    /// Nothing.
    Nothing,
}

/// Takes a piece that nobody writes: one that was left behind, or the next `size` products.
///
/// # Errors
/// [`Error::NotFilling`] where the version is dropped; [`Error`] when the server refuses or does not
/// answer.
pub async fn claim(db: &Pool, tables: &Tables, version: i32, size: u32) -> Result<Claimed, Error> {
    let text = "SELECT after, upto FROM search_pieces WHERE version = ? ORDER BY after LIMIT 1 \
                FOR UPDATE SKIP LOCKED";
    loop {
        let mut transaction = db.begin().await?;
        // Longer than an engine that works at its limit may take over a piece.
        transaction.execute(PATIENT).await?;
        let free = sqlx::query_as::<_, (Vec<u8>, Vec<u8>)>(text)
            .bind(version)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some((after, upto)) = free {
            let upto = bounded(&mut transaction, tables, version, (&after, upto), size).await?;
            return Ok(Claimed::Piece(Box::new(Piece { transaction, version, after, upto })));
        }
        transaction.rollback().await?;
        if !cut(db, tables, version, size).await? {
            let left = "SELECT EXISTS (SELECT 1 FROM search_pieces WHERE version = ?)";
            let left: bool = sqlx::query_scalar(left).bind(version).fetch_one(db).await?;
            return Ok(if left { Claimed::Others } else { Claimed::Nothing });
        }
    }
}

/// The end of a piece of `size` products at most: since one was left behind many may have come to be
/// in it. What is beyond is another piece, for others once this one is written.
async fn bounded(
    transaction: &mut Transaction<'static, MySql>,
    tables: &Tables,
    version: i32,
    (after, upto): (&[u8], Vec<u8>),
    size: u32,
) -> Result<Vec<u8>, Error> {
    match products::id_after(&mut **transaction, tables, after, size).await? {
        Some(end) if end < upto => {
            let text = "INSERT INTO search_pieces (version, after, upto) VALUES (?, ?, ?)";
            let rest = sqlx::query(text).bind(version).bind(&end).bind(upto);
            rest.execute(&mut **transaction).await?;
            Ok(end)
        }
        _ => Ok(upto),
    }
}

/// Cuts the next piece off, for whoever takes it first; whether there was one.
async fn cut(db: &Pool, tables: &Tables, version: i32, size: u32) -> Result<bool, Error> {
    let mut transaction = db.begin().await?;
    let text = "SELECT after FROM search_versions WHERE version = ? AND state <> 'dropped' \
                FOR UPDATE";
    let after: Option<Option<Vec<u8>>> =
        sqlx::query_scalar(text).bind(version).fetch_optional(&mut *transaction).await?;
    let Some(after) = after.ok_or(Error::NotFilling(version))? else { return Ok(false) };
    let upto = products::id_after(&mut *transaction, tables, &after, size).await?;
    let text = "INSERT INTO search_pieces (version, after, upto) VALUES (?, ?, ?)";
    let piece = sqlx::query(text).bind(version).bind(after);
    piece.bind(upto.as_deref().unwrap_or(&LAST)).execute(&mut *transaction).await?;
    sqlx::query("UPDATE search_versions SET after = ? WHERE version = ?")
        .bind(upto)
        .bind(version)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

impl Piece {
    /// The documents of its products, as of one moment.
    ///
    /// # Errors
    /// [`Error`] when the server refuses or does not answer.
    pub async fn documents(&self, db: &Pool, tables: &Tables) -> Result<Vec<Versioned>, Error> {
        let mut look = Look::begin(db, tables).await?;
        let rows = look.between(&self.after, &self.upto).await?;
        look.end(rows).await
    }

    /// Notes that they are written, so many.
    ///
    /// # Errors
    /// [`Error`] when the server refuses or does not answer: then it is to be written again.
    pub async fn done(mut self, documents: usize) -> Result<(), Error> {
        sqlx::query("DELETE FROM search_pieces WHERE version = ? AND after = ?")
            .bind(self.version)
            .bind(self.after)
            .execute(&mut *self.transaction)
            .await?;
        sqlx::query("UPDATE search_versions SET written = written + ? WHERE version = ?")
            .bind(i64::try_from(documents).unwrap_or(i64::MAX))
            .bind(self.version)
            .execute(&mut *self.transaction)
            .await?;
        Ok(self.transaction.commit().await?)
    }
}
