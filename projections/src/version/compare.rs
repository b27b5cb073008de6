//! Two versions of a projection, row by row.

use std::collections::BTreeMap;

use domain::MallId;
use sqlx::{AssertSqlSafe, MySqlConnection, Row};

use crate::{
    checkpoint::{self, Checkpoint},
    error::Error,
    moment::Moment,
    pool::Pool,
    projection::AnyProjection,
    table::TableName,
};

/// Rows looked at in one moment, about.
const PAGE: u64 = 1_000;

/// Compares two versions, a page at a time, whatever they are fed meanwhile.
pub struct Comparison {
    db: Pool,
    name: &'static str,
    versions: (i32, i32),
    tables: (TableName, TableName),
    /// The first column of the primary key, by which pages are cut.
    first: String,
    primary: Vec<String>,
    /// What both have.
    columns: Vec<String>,
    /// What only one has.
    apart: Vec<String>,
    /// As of when the comparison began, so that it means the same rows in both.
    condition: String,
    /// Compares one page of so many.
    sample: u64,
    /// The last key looked at.
    after: Option<Vec<u8>>,
}

/// What a page brought.
#[derive(Debug)]
pub enum Page {
    /// So many rows, and those that are not equal.
    Compared(u64, Vec<Difference>),
    /// Some rows are not equal, but the versions had not applied the same: to be looked at again.
    Moving,
    /// There was none left.
    End,
}

/// A row that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Its primary key, column by column, in hexadecimal.
    pub key: String,
    /// The columns that differ; none where only one version has the row.
    pub columns: Vec<String>,
    /// Which version lacks it.
    pub lacks: Option<i32>,
}

/// Digests of rows by their keys.
type Digests = BTreeMap<String, String>;

impl Comparison {
    /// Of all rows.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`] where one is not there; [`Error`] when the server refuses.
    pub async fn of(
        db: &Pool,
        projection: &'static dyn AnyProjection,
        versions: (i32, i32),
    ) -> Result<Self, Error> {
        let name = projection.name();
        let tables = (TableName::of(name, versions.0)?, TableName::of(name, versions.1)?);
        let (one, other) = (columns(db, &tables.0).await?, columns(db, &tables.1).await?);
        let names = |of: &[(String, bool)]| of.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
        let (ones, others) = (names(&one), names(&other));
        let lacks = |of: &[String], name: &String| !of.contains(name);
        let apart = ones.iter().filter(|n| lacks(&others, n));
        let apart = apart.chain(others.iter().filter(|n| lacks(&ones, n))).cloned().collect();
        let common = ones.iter().filter(|n| !lacks(&others, n)).cloned().collect();
        let now: i64 = sqlx::query_scalar("SELECT UNIX_TIMESTAMP() * 1000").fetch_one(db).await?;
        let primary = one.iter().filter(|(_, is_primary)| *is_primary);
        let primary: Vec<String> = primary.map(|(name, _)| name.clone()).collect();
        let first = primary.first().cloned().ok_or_else(|| Error::NoSuchTable(name.to_owned()))?;
        Ok(Self {
            db: db.clone(),
            name,
            versions,
            tables,
            first,
            primary,
            columns: common,
            apart,
            condition: projection.compared().replace("{now}", &now.to_string()),
            sample: 1,
            after: None,
        })
    }

    /// The same, of one page out of so many.
    #[must_use]
    pub fn sampled(self, sample: u64) -> Self {
        Self { sample: sample.max(1), ..self }
    }

    /// The same, of the rows of some malls; none for all.
    #[must_use]
    pub fn of_malls(mut self, malls: &[MallId]) -> Self {
        if !malls.is_empty() {
            // The name of a mall holds no quote.
            let names: Vec<String> = malls.iter().map(|mall| format!("'{mall}'")).collect();
            self.condition = format!("({}) AND mall IN ({})", self.condition, names.join(", "));
        }
        self
    }

    /// Those of `malls` of which neither has a row.
    ///
    /// # Errors
    /// [`Error`] when the server refuses or does not answer.
    pub async fn unknown<'m>(&self, malls: &'m [MallId]) -> Result<Vec<&'m MallId>, Error> {
        let mut unknown = vec![];
        for mall in malls {
            let (one, other) = &self.tables;
            let has_row = |of: &TableName| format!("EXISTS (SELECT 1 FROM {of} WHERE mall = ?)");
            let text = format!("SELECT {} OR {}", has_row(one), has_row(other));
            let is_known = sqlx::query_scalar(AssertSqlSafe(text));
            let is_known = is_known.bind(mall.to_string()).bind(mall.to_string());
            if !is_known.fetch_one(&self.db).await? {
                unknown.push(mall);
            }
        }
        Ok(unknown)
    }

    /// Columns that only one of them has.
    pub fn apart(&self) -> &[String] {
        &self.apart
    }

    /// How many rows the first has, all of them.
    ///
    /// # Errors
    /// [`Error`] when the server refuses or does not answer.
    pub async fn length(&self) -> Result<u64, Error> {
        let text = format!("SELECT COUNT(*) FROM {}", self.tables.0);
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&self.db).await?;
        Ok(count.unsigned_abs())
    }

    /// Compares the next page, unless it is [`Page::Moving`].
    ///
    /// # Errors
    /// [`Error`] when the server refuses or does not answer.
    pub async fn page(&mut self) -> Result<Page, Error> {
        let mut moment = Moment::begin(&self.db).await?;
        let db = moment.connection();
        let level = self.is_level(db).await?;
        let upto = self.key_after(db, PAGE).await?;
        let (one, other) = (
            self.digests(db, &self.tables.0, upto.as_deref()).await?,
            self.digests(db, &self.tables.1, upto.as_deref()).await?,
        );
        let unequal: Vec<&String> = one
            .iter()
            .filter(|(key, digest)| other.get(*key) != Some(digest))
            .map(|(key, _)| key)
            .chain(other.keys().filter(|key| !one.contains_key(*key)))
            .collect();
        if !unequal.is_empty() && !level {
            moment.end().await?;
            return Ok(Page::Moving);
        }
        let mut differences = vec![];
        for key in unequal {
            differences.push(self.difference(db, key, &one, &other).await?);
        }
        if one.is_empty() && other.is_empty() && upto.is_none() {
            moment.end().await?;
            return Ok(Page::End);
        }
        self.after = match upto {
            Some(upto) => {
                self.after = Some(upto.clone());
                let skipped = (self.sample - 1) * PAGE;
                let next = if skipped == 0 { None } else { self.key_after(db, skipped).await? };
                Some(if skipped == 0 { upto } else { next.unwrap_or_else(last) })
            }
            None => Some(last()),
        };
        moment.end().await?;
        Ok(Page::Compared(one.len().max(other.len()) as u64, differences))
    }

    async fn is_level(&self, db: &mut MySqlConnection) -> Result<bool, Error> {
        let one = checkpoint::read_all(&mut *db, self.name, self.versions.0).await?;
        let other = checkpoint::read_all(&mut *db, self.name, self.versions.1).await?;
        let offsets = |of: BTreeMap<i32, Checkpoint>| {
            of.into_iter().map(|(partition, at)| (partition, at.offsets)).collect::<Vec<_>>()
        };
        Ok(offsets(one) == offsets(other))
    }

    /// The key of the row so many rows on; none where there are not so many.
    async fn key_after(
        &self,
        db: &mut MySqlConnection,
        rows: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let (table, first) = (&self.tables.0, &self.first);
        let text = format!(
            "SELECT {first} FROM {table} WHERE {first} > ? ORDER BY {first} LIMIT 1 OFFSET {}",
            rows.saturating_sub(1)
        );
        let after = self.after.as_deref().unwrap_or_default();
        Ok(sqlx::query_scalar(AssertSqlSafe(text)).bind(after).fetch_optional(db).await?)
    }

    async fn digests(
        &self,
        db: &mut MySqlConnection,
        table: &TableName,
        upto: Option<&[u8]>,
    ) -> Result<Digests, Error> {
        let (first, key) = (&self.first, key(&self.primary));
        let all: Vec<String> = self.columns.iter().map(|column| hexadecimal(column)).collect();
        let text = format!(
            "SELECT {key}, SHA2(CONCAT_WS(',', {}), 256) FROM {table} \
             WHERE {first} > ? AND {first} <= ? AND {}",
            all.join(", "),
            self.condition
        );
        let (after, last) = (self.after.as_deref().unwrap_or_default(), last());
        let query = sqlx::query_as::<_, (String, String)>(AssertSqlSafe(text));
        let rows = query.bind(after).bind(upto.unwrap_or(&last)).fetch_all(db).await?;
        Ok(rows.into_iter().collect())
    }

    /// Which columns of a row are not the same.
    async fn difference(
        &self,
        db: &mut MySqlConnection,
        key: &str,
        one: &Digests,
        other: &Digests,
    ) -> Result<Difference, Error> {
        let lacks = match (one.contains_key(key), other.contains_key(key)) {
            (true, true) => None,
            (true, false) => Some(self.versions.1),
            (false, _) => Some(self.versions.0),
        };
        let mut columns = vec![];
        if lacks.is_none() {
            let one = self.values(db, &self.tables.0, key).await?;
            let other = self.values(db, &self.tables.1, key).await?;
            let pairs = self.columns.iter().zip(one.iter().zip(&other));
            columns.extend(pairs.filter(|(_, (a, b))| a != b).map(|(name, _)| name.clone()));
        }
        Ok(Difference { key: key.to_owned(), columns, lacks })
    }

    async fn values(
        &self,
        db: &mut MySqlConnection,
        table: &TableName,
        of: &str,
    ) -> Result<Vec<String>, Error> {
        let all: Vec<String> = self.columns.iter().map(|column| hexadecimal(column)).collect();
        let (first, key) = (&self.first, key(&self.primary));
        let text = format!(
            "SELECT {} FROM {table} WHERE {first} = UNHEX(?) AND {key} = ?",
            all.join(", ")
        );
        let first = of.split('.').next().unwrap_or_default();
        let row = sqlx::query(AssertSqlSafe(text)).bind(first).bind(of).fetch_one(db).await?;
        (0..all.len()).map(|at| Ok(row.try_get(at)?)).collect()
    }
}

/// Beyond every key: they are of 16 bytes.
fn last() -> Vec<u8> {
    vec![u8::MAX; 17]
}

fn key(primary: &[String]) -> String {
    let parts: Vec<String> = primary.iter().map(|column| format!("HEX(`{column}`)")).collect();
    format!("CONCAT_WS('.', {})", parts.join(", "))
}

/// A value of any type, so that nothing is equal to null but null.
fn hexadecimal(column: &str) -> String {
    format!("COALESCE(HEX(`{column}`), '-')")
}

/// The columns of a table in their order, and whether they are of the primary key.
async fn columns(db: &Pool, table: &TableName) -> Result<Vec<(String, bool)>, Error> {
    let text = "SELECT column_name, column_key = 'PRI' FROM information_schema.columns \
                WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position";
    let columns: Vec<(String, bool)> =
        sqlx::query_as(text).bind(table.to_string()).fetch_all(db).await?;
    if columns.is_empty() {
        return Err(Error::NoSuchTable(table.to_string()));
    }
    Ok(columns)
}
