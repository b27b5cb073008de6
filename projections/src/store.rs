//! Rows in and out of MySQL, in statements of a few fixed sizes: each is prepared once per
//! connection, and none comes near 65,535 placeholders.

use sqlx::{MySqlConnection, mysql::MySqlArguments};
use uuid::Uuid;

use crate::{
    error::Error,
    projection::{Projection, States},
    table::TableName,
};

const KEYS: [usize; 7] = [1, 4, 16, 64, 256, 1024, 4096];
pub(crate) const MOST_KEYS: usize = KEYS[KEYS.len() - 1];
const ROWS: [usize; 10] = [512, 256, 128, 64, 32, 16, 8, 4, 2, 1];
/// Well below `max_allowed_packet`.
const STATEMENT_BYTES: usize = 8 << 20;

/// Fills in the states of the keys of `states`, in one query unless they are very many.
pub(crate) async fn load<P: Projection>(
    transaction: &mut MySqlConnection,
    table: &TableName,
    mut states: States<P>,
) -> Result<States<P>, Error> {
    let keys: Vec<Uuid> = states.keys().copied().collect();
    for keys in keys.chunks(MOST_KEYS) {
        for row in select(&mut *transaction, table, P::LOAD, keys).await? {
            let (key, state) = P::read(&row)?;
            states.insert(key, Some(state));
        }
    }
    Ok(states)
}

/// Runs `template` for `keys`, at most 4096; the list is filled up with its last key to a fixed
/// size.
pub(crate) async fn select(
    db: &mut MySqlConnection,
    table: &TableName,
    template: &'static str,
    keys: &[Uuid],
) -> Result<Vec<sqlx::mysql::MySqlRow>, Error> {
    let Some(last) = keys.last() else { return Ok(vec![]) };
    let size = KEYS.into_iter().find(|size| *size >= keys.len()).unwrap_or(keys.len());
    let mut query = sqlx::query(table.statement(template, 1, size));
    for key in keys.iter().chain(std::iter::repeat(last)).take(size) {
        query = query.bind(key.as_bytes().as_slice());
    }
    Ok(query.fetch_all(db).await?)
}

/// Writes the rows of `states` in the order of their keys, over those that are there.
pub(crate) async fn store<P: Projection>(
    transaction: &mut MySqlConnection,
    table: &TableName,
    states: impl IntoIterator<Item = &P::State>,
) -> Result<(), Error> {
    write::<P>(transaction, table, P::STORE, states).await
}

/// As [`store`], where none of the rows may be there: one that is there is an error.
pub(crate) async fn insert<P: Projection>(
    transaction: &mut MySqlConnection,
    table: &TableName,
    states: impl IntoIterator<Item = &P::State>,
) -> Result<(), Error> {
    write::<P>(transaction, table, insertion(P::STORE), states).await
}

/// The part of a statement that does not say what becomes of a row that is there.
fn insertion(store: &'static str) -> &'static str {
    store.split_once(" AS new ON DUPLICATE KEY").map_or(store, |(insertion, _)| insertion)
}

async fn write<P: Projection>(
    transaction: &mut MySqlConnection,
    table: &TableName,
    template: &'static str,
    states: impl IntoIterator<Item = &P::State>,
) -> Result<(), Error> {
    let rows: Vec<&P::Row> = states.into_iter().flat_map(P::rows).collect();
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(next_size::<P>(rest));
        let mut arguments = MySqlArguments::default();
        for row in now {
            P::write(row, &mut arguments).map_err(sqlx::Error::Encode)?;
        }
        let statement = table.statement(template, P::WIDTH, now.len());
        sqlx::query_with(statement, arguments).execute(&mut *transaction).await?;
        rest = later;
    }
    Ok(())
}

/// The largest size whose rows are there and fit into a statement.
fn next_size<P: Projection>(rest: &[&P::Row]) -> usize {
    let fits = |size: &usize| {
        *size <= rest.len()
            && rest[..*size].iter().map(|row| P::size(row)).sum::<usize>() <= STATEMENT_BYTES
    };
    ROWS.into_iter().find(fits).unwrap_or(1)
}
