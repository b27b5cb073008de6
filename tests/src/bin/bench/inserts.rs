//! The yardstick of everything that writes products: sorted multi-row INSERTs of the same rows.

use std::time::Instant;

use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, MySqlPool, QueryBuilder};

/// Rows of one INSERT.
const CHUNK: usize = 1_000;
const COLUMNS: &str = "id, mall, partner_id, external_id, name, description, options, skus, \
                       list_price_minor, currency, images, category_ids, approval, sale_state, \
                       displayed, version, registered_at, updated_at";

/// Rows of products, in the order of their ids.
pub(crate) struct Rows(Vec<Row>);

#[derive(Clone, sqlx::FromRow)]
struct Row {
    id: Vec<u8>,
    mall: String,
    partner_id: Option<Vec<u8>>,
    external_id: Option<String>,
    name: String,
    description: String,
    options: String,
    skus: String,
    list_price_minor: i64,
    currency: String,
    images: String,
    category_ids: String,
    approval: String,
    sale_state: String,
    displayed: bool,
    version: i64,
    registered_at: i64,
    updated_at: i64,
}

impl Rows {
    /// The newest rows of a table.
    pub(crate) async fn newest(db: &MySqlPool, table: &str, most: usize) -> Result<Self> {
        let text =
            format!("SELECT {COLUMNS} FROM {table} ORDER BY registered_at DESC LIMIT {most}");
        let mut rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(text)).fetch_all(db).await?;
        rows.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(Self(rows))
    }

    /// Inserts them into a table made like `like`, in so many connections, each with a part of its
    /// own, and a transaction for every thousand; rows in a second.
    pub(crate) async fn insert(
        &self,
        db: &MySqlPool,
        like: &str,
        connections: usize,
    ) -> Result<f64> {
        run(db, "DROP TABLE IF EXISTS bench_rows").await?;
        run(db, &format!("CREATE TABLE bench_rows LIKE {like}")).await?;
        let began = Instant::now();
        self.insert_all(db, connections).await?;
        self.rate(began)
    }

    /// The same where the keys of the table are built at the end.
    pub(crate) async fn insert_bare(
        &self,
        db: &MySqlPool,
        like: &str,
        connections: usize,
    ) -> Result<f64> {
        run(db, "DROP TABLE IF EXISTS bench_rows").await?;
        run(db, &format!("CREATE TABLE bench_rows LIKE {like}")).await?;
        let keys = "SELECT index_name, GROUP_CONCAT(column_name ORDER BY seq_in_index) \
                    FROM information_schema.statistics WHERE table_schema = DATABASE() AND \
                    table_name = 'bench_rows' AND index_name <> 'PRIMARY' GROUP BY index_name";
        let keys: Vec<(String, String)> = sqlx::query_as(keys).fetch_all(db).await?;
        let drops: Vec<_> = keys.iter().map(|(name, _)| format!("DROP KEY {name}")).collect();
        let adds = keys.iter().map(|(name, columns)| format!("ADD KEY {name} ({columns})"));
        let adds: Vec<_> = adds.collect();
        run(db, &format!("ALTER TABLE bench_rows {}", drops.join(", "))).await?;
        let began = Instant::now();
        self.insert_all(db, connections).await?;
        run(db, &format!("ALTER TABLE bench_rows {}", adds.join(", "))).await?;
        self.rate(began)
    }

    async fn insert_all(&self, db: &MySqlPool, connections: usize) -> Result<()> {
        let parts = self.0.chunks(self.0.len().div_ceil(connections).max(1));
        let inserting: Vec<_> =
            parts.map(|part| tokio::spawn(insert(db.clone(), part.to_vec()))).collect();
        for inserting in inserting {
            inserting.await.context("a connection")??;
        }
        Ok(())
    }

    fn rate(&self, began: Instant) -> Result<f64> {
        Ok(f64::from(u32::try_from(self.0.len())?) / began.elapsed().as_secs_f64())
    }
}

async fn run(db: &MySqlPool, text: &str) -> Result<()> {
    sqlx::query(AssertSqlSafe(text.to_owned())).execute(db).await?;
    Ok(())
}

async fn insert(db: MySqlPool, rows: Vec<Row>) -> Result<()> {
    let mut connection = db.acquire().await?;
    for chunk in rows.chunks(CHUNK) {
        let mut insert = QueryBuilder::new(format!("INSERT INTO bench_rows ({COLUMNS}) "));
        insert.push_values(chunk, |mut values, row| {
            values.push_bind(&row.id).push_bind(&row.mall).push_bind(&row.partner_id);
            values.push_bind(&row.external_id).push_bind(&row.name).push_bind(&row.description);
            values.push_bind(&row.options).push_bind(&row.skus).push_bind(row.list_price_minor);
            values.push_bind(&row.currency).push_bind(&row.images).push_bind(&row.category_ids);
            values.push_bind(&row.approval).push_bind(&row.sale_state).push_bind(row.displayed);
            values.push_bind(row.version).push_bind(row.registered_at).push_bind(row.updated_at);
        });
        insert.build().execute(&mut *connection).await?;
    }
    Ok(())
}
