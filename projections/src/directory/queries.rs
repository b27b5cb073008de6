//! Looking things up in the directory.

use std::collections::HashMap;

use domain::{CategoryId, MallId, PartnerId};
use sqlx::{MySqlConnection, MySqlExecutor, mysql::MySqlRow};
use uuid::Uuid;

use super::{Directory, EntryKind, EntryRow, EntryState, key_of, read};
use crate::{
    Page, Pool, column::Columns, error::Error, projection::Projection, store, table::Tables,
};

/// The entry `id` of `kind` in `mall`.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn by_id(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    mall: &MallId,
    kind: EntryKind,
    id: Uuid,
) -> Result<Option<EntryRow>, Error> {
    let table = tables.table(Directory::NAME)?;
    let text = "SELECT * FROM {table} WHERE mall = ? AND kind = ? AND id = ?";
    let query = sqlx::query(table.statement(text, 0, 0));
    let query = query.bind(mall.as_str()).bind(kind.as_str()).bind(id.as_bytes().as_slice());
    query.fetch_optional(db).await?.as_ref().map(read).transpose()
}

/// The entries among the rows of `keys` that exist, of whichever mall.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn by_keys(
    db: &mut MySqlConnection,
    tables: &Tables,
    keys: &[Uuid],
) -> Result<Vec<EntryRow>, Error> {
    let table = tables.table(Directory::NAME)?;
    let mut entries = Vec::with_capacity(keys.len());
    for keys in keys.chunks(store::MOST_KEYS) {
        for row in store::select(db, &table, Directory::LOAD, keys).await? {
            entries.push(read(&row)?);
        }
    }
    Ok(entries)
}

/// At most `limit` entries of `kind` in `mall`, in the order of their ids, beginning after `after`.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn page(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    mall: &MallId,
    kind: EntryKind,
    after: Uuid,
    limit: u32,
) -> Result<Page<EntryRow, Uuid>, Error> {
    let table = tables.table(Directory::NAME)?;
    let text = "SELECT * FROM {table} WHERE mall = ? AND kind = ? AND id > ? ORDER BY id LIMIT ?";
    let query = sqlx::query(table.statement(text, 0, 0)).bind(mall.as_str()).bind(kind.as_str());
    let query = query.bind(after.as_bytes().as_slice()).bind(u64::from(limit) + 1);
    let rows = query.fetch_all(db).await?;
    let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |row| row.id))
}

/// The category `id` of `mall` and all that stand below it, retired ones too; none where there is
/// no such category.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn below(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    mall: &MallId,
    id: CategoryId,
) -> Result<Vec<CategoryId>, Error> {
    let table = tables.table(Directory::NAME)?;
    let text = "WITH RECURSIVE below AS (\
                    SELECT id FROM {table} WHERE mall = ? AND kind = ? AND id = ? \
                    UNION SELECT child.id FROM below JOIN {table} child \
                        ON child.mall = ? AND child.parent_id = below.id) \
                SELECT id FROM below";
    let query = sqlx::query(table.statement(text, 0, 0)).bind(mall.as_str());
    let query = query.bind(EntryKind::Category.as_str()).bind(id.0.as_bytes().as_slice());
    ids(&query.bind(mall.as_str()).fetch_all(db).await?, CategoryId)
}

/// The partners of `mall` that may not sell for the moment.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn suspended(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    mall: &MallId,
) -> Result<Vec<PartnerId>, Error> {
    let table = tables.table(Directory::NAME)?;
    let text = "SELECT id FROM {table} WHERE mall = ? AND kind = ? AND state = ?";
    let query = sqlx::query(table.statement(text, 0, 0)).bind(mall.as_str());
    let query = query.bind(EntryKind::Partner.as_str()).bind(EntryState::Suspended.as_str());
    ids(&query.fetch_all(db).await?, PartnerId)
}

/// The names of those of `ids` that are of `kind` in `mall`.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn names(
    db: &Pool,
    tables: &Tables,
    mall: &MallId,
    kind: EntryKind,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, String>, Error> {
    let keys: Vec<Uuid> = ids.iter().map(|&id| key_of(mall, kind, id)).collect();
    let entries = by_keys(&mut *db.acquire().await?, tables, &keys).await?;
    let own = entries.into_iter().filter(|entry| entry.mall == *mall && entry.kind == kind);
    Ok(own.map(|entry| (entry.id, entry.name)).collect())
}

fn ids<Id>(rows: &[MySqlRow], id: fn(Uuid) -> Id) -> Result<Vec<Id>, Error> {
    rows.iter().map(|row| Columns(row).uuid("id").map(id)).collect()
}
