//! A brand's name stands in the documents of all its products. When it changes, they follow in
//! slices, and how far they have come is kept where the checkpoints are.

use domain::{BrandId, MallId};
use schemas::topic::PARTITIONS;
use serde::Serialize;
use sqlx::{MySqlConnection, MySqlExecutor, QueryBuilder};
use uuid::Uuid;

use super::{Versioned, reading};
use crate::{
    Pool, Tables,
    column::Columns,
    error::Error,
    products::{Cursor, count_of_brand},
};

/// A brand whose name is new, and the offset of the event that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The brand.
    pub brand: BrandId,
    /// Its mall.
    pub mall: MallId,
    /// The event.
    pub offset: i64,
}

/// Documents that follow a brand's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FanOut {
    /// The partition of the brand's events, whose owner writes the documents.
    pub partition: i32,
    /// The brand.
    pub brand: BrandId,
    /// Its mall.
    pub mall: MallId,
    /// The event that began it: until it is done, documents may lack that one.
    pub since: i64,
    /// The last event that it carries.
    upto: i64,
    /// The last product whose document is written, in the order of registration.
    after: Option<Cursor>,
}

/// Some of the documents that follow.
#[derive(Debug)]
pub struct Slice {
    /// The documents.
    pub documents: Vec<Versioned>,
    /// How far each fan-out has come once they are written; at its end where nothing follows.
    steps: Vec<(FanOut, Option<Cursor>)>,
}

/// How many fan-outs are looked at together.
const AT_ONCE: u32 = 50;

/// Those of some partitions of an index version that are not done, the oldest first.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn open(
    db: impl MySqlExecutor<'_>,
    version: i32,
    partitions: impl Iterator<Item = i32>,
) -> Result<Vec<FanOut>, Error> {
    let text = "SELECT * FROM search_fan_outs WHERE version = ";
    let mut query = QueryBuilder::new(text);
    query.push_bind(version).push(" AND partition_no IN (-1");
    for partition in partitions {
        query.push(", ").push_bind(partition);
    }
    query.push(") ORDER BY partition_no, since LIMIT ").push_bind(AT_ONCE);
    query.build().fetch_all(db).await?.iter().map(|row| read(&Columns(row))).collect()
}

/// How many are not done, of an index version.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn count(db: impl MySqlExecutor<'_>, version: i32) -> Result<u64, Error> {
    let text = "SELECT COUNT(*) FROM search_fan_outs WHERE version = ?";
    let count: i64 = sqlx::query_scalar(text).bind(version).fetch_one(db).await?;
    Ok(count.unsigned_abs())
}

/// How far a fan-out has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Following {
    /// The brand.
    pub brand_id: BrandId,
    /// Its mall.
    pub mall: MallId,
    /// What it is called now; none where that is not known.
    pub name: Option<String>,
    /// The partition of the brand's events.
    pub partition: i32,
    /// The event that began it.
    pub since: i64,
    /// How many documents have followed.
    pub done: u64,
    /// How many products the brand has.
    pub products: u64,
}

/// How far those of an index version have come that are not done, the oldest ones where they are
/// many.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn following(db: &Pool, tables: &Tables, version: i32) -> Result<Vec<Following>, Error> {
    let open = open(db, version, 0..PARTITIONS).await?;
    let brands: Vec<Uuid> = open.iter().map(|fan_out| fan_out.brand.0).collect();
    let mut connection = db.acquire().await?;
    let mut names = reading::brand_names(&mut connection, tables, &brands).await?;
    let mut all = vec![];
    for FanOut { partition, brand: brand_id, mall, since, after, .. } in open {
        let counted = count_of_brand(&mut *connection, tables, &mall, brand_id, after);
        let (products, done) = counted.await?;
        let name = names.remove(&(mall.clone(), brand_id));
        all.push(Following { brand_id, mall, name, partition, since, done, products });
    }
    Ok(all)
}

/// Whether documents may still lack an event of `partition` up to `offset` that was passed.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn lags(
    db: impl MySqlExecutor<'_>,
    version: i32,
    partition: i32,
    offset: i64,
) -> Result<bool, Error> {
    let text = "SELECT EXISTS (SELECT 1 FROM search_fan_outs \
                WHERE version = ? AND partition_no = ? AND since <= ?)";
    let query = sqlx::query_scalar(text).bind(version).bind(partition).bind(offset);
    Ok(query.fetch_one(db).await?)
}

/// Reads at most `most` documents that follow, over all of `open`, as of one moment.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn slice(
    db: &Pool,
    tables: &Tables,
    open: Vec<FanOut>,
    most: u32,
) -> Result<Slice, Error> {
    let mut look = reading::Look::begin(db, tables).await?;
    let (mut rows, mut steps, mut left) = (vec![], vec![], most);
    for fan_out in open {
        if left == 0 {
            break;
        }
        let of_brand = look.of_brand(&fan_out.mall, fan_out.brand, fan_out.after, left).await?;
        left -= u32::try_from(of_brand.items.len()).unwrap_or(left).min(left);
        rows.extend(of_brand.items);
        steps.push((fan_out, of_brand.next));
    }
    Ok(Slice { documents: look.end(rows).await?, steps })
}

/// Notes that the documents of a slice are written. Whoever else has noted something of a fan-out
/// since it was read is believed: at worst documents are written twice.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer; what was not noted is done again.
pub async fn pass(db: &Pool, version: i32, slice: Slice) -> Result<(), Error> {
    for (fan_out, after) in slice.steps {
        let change = match after {
            Some(_) => "UPDATE search_fan_outs SET after = ?",
            None => "DELETE FROM search_fan_outs",
        };
        let mut query = QueryBuilder::new(change.trim_end_matches('?'));
        if let Some(after) = after {
            query.push_bind(after.to_string());
        }
        query.push(" WHERE version = ").push_bind(version);
        query.push(" AND partition_no = ").push_bind(fan_out.partition);
        query.push(" AND brand_id = ").push_bind(fan_out.brand.0.as_bytes().to_vec());
        query.push(" AND upto = ").push_bind(fan_out.upto);
        query.push(" AND after <=> ").push_bind(fan_out.after.map(|after| after.to_string()));
        query.build().execute(db).await?;
    }
    Ok(())
}

/// Begins one, or begins it anew: products before its place have the name before.
pub(super) async fn begin(
    transaction: &mut MySqlConnection,
    version: i32,
    partition: i32,
    renamed: &Renamed,
) -> Result<(), Error> {
    let text = "INSERT INTO search_fan_outs \
                (version, partition_no, brand_id, mall, since, upto) VALUES (?, ?, ?, ?, ?, ?) \
                AS new ON DUPLICATE KEY UPDATE upto = new.upto, after = NULL";
    sqlx::query(text)
        .bind(version)
        .bind(partition)
        .bind(renamed.brand.0.as_bytes().as_slice())
        .bind(renamed.mall.as_str())
        .bind(renamed.offset)
        .bind(renamed.offset)
        .execute(transaction)
        .await?;
    Ok(())
}

fn read(columns: &Columns<'_>) -> Result<FanOut, Error> {
    let after: Option<&str> = columns.get("after")?;
    let after = after.map(str::parse).transpose().map_err(|why| Error::corrupt("after", why))?;
    Ok(FanOut {
        partition: columns.get("partition_no")?,
        brand: BrandId(columns.uuid("brand_id")?),
        mall: columns.mall("mall")?,
        since: columns.get("since")?,
        upto: columns.get("upto")?,
        after,
    })
}
