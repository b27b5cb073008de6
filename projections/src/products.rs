//! Products as a storefront lists them.

use domain::{BrandId, MallId, PartnerId, ProductId, Timestamp, product::SalePeriod};
use schemas::{CATALOG, Topic};
use sqlx::{
    MySqlConnection, MySqlExecutor, error::BoxDynError, mysql::MySqlArguments, mysql::MySqlRow,
};
use uuid::Uuid;

use crate::{
    column::{Columns, Values, json_size},
    error::Error,
    fact::Logged,
    projection::{Fault, Projection},
    store,
    table::Tables,
};

mod cursor;
mod listing;
mod past;
mod row;

pub use cursor::{Cursor, CursorError};
pub(crate) use listing::count_of_brand;
pub use listing::{Filter, page};
pub use past::{FieldChange, ProductEvent, as_of, changes, with_changes};
pub use row::{ProductRow, SkuRow};

/// The kind of aggregate whose events it folds.
pub const PRODUCT: &str = "product";

/// The read model.
pub struct Products;

impl Projection for Products {
    type State = ProductRow;
    type Row = ProductRow;

    const NAME: &'static str = "products";
    const TOPICS: &'static [Topic] = &[CATALOG.events];
    // The log never refuses a text for its length, so no column may either.
    const CREATE: &'static str = "CREATE TABLE IF NOT EXISTS {table} (
        id BINARY(16) NOT NULL PRIMARY KEY,
        mall VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        partner_id BINARY(16),
        external_id MEDIUMTEXT,
        name MEDIUMTEXT NOT NULL,
        description MEDIUMTEXT NOT NULL,
        options MEDIUMTEXT NOT NULL,
        skus MEDIUMTEXT NOT NULL,
        list_price_minor BIGINT NOT NULL,
        currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        images MEDIUMTEXT NOT NULL,
        brand_id BINARY(16),
        category_ids TEXT NOT NULL,
        sale_starts_at BIGINT,
        sale_ends_at BIGINT,
        approval VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        sale_state VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        displayed BOOLEAN NOT NULL,
        version BIGINT NOT NULL,
        registered_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        KEY by_mall (mall, registered_at, id),
        KEY by_partner (mall, partner_id, registered_at, id),
        KEY by_brand (mall, brand_id, registered_at, id),
        KEY by_state (mall, sale_state, registered_at, id)
    ) DEFAULT CHARSET = utf8mb4";
    const LOAD: &'static str = "SELECT * FROM {table} WHERE id IN ({values})";
    const STORE: &'static str = "INSERT INTO {table} (id, mall, partner_id, external_id, name, \
        description, options, skus, list_price_minor, currency, images, brand_id, category_ids, \
        sale_starts_at, sale_ends_at, approval, sale_state, displayed, version, registered_at, \
        updated_at) VALUES {values} AS new ON DUPLICATE KEY UPDATE name = new.name, \
        description = new.description, options = new.options, skus = new.skus, \
        list_price_minor = new.list_price_minor, currency = new.currency, images = new.images, \
        brand_id = new.brand_id, category_ids = new.category_ids, \
        sale_starts_at = new.sale_starts_at, sale_ends_at = new.sale_ends_at, \
        approval = new.approval, sale_state = new.sale_state, displayed = new.displayed, \
        version = new.version, updated_at = new.updated_at";
    const WIDTH: usize = 21;

    fn key(logged: &Logged) -> Result<Option<Uuid>, Fault> {
        logged.aggregate_of(PRODUCT)
    }

    fn apply(row: Option<ProductRow>, logged: &Logged) -> Result<ProductRow, Fault> {
        row::apply(row, &logged.fact)
    }

    fn begins(logged: &Logged) -> bool {
        logged.is_first()
    }

    fn read(row: &MySqlRow) -> Result<(Uuid, ProductRow), Error> {
        read(row).map(|row| (row.id.0, row))
    }

    fn rows(state: &ProductRow) -> &[ProductRow] {
        std::slice::from_ref(state)
    }

    fn write(row: &ProductRow, to: &mut MySqlArguments) -> Result<(), BoxDynError> {
        let mut values = Values(to);
        values.uuid(&row.id.0)?.add(row.mall.as_str())?;
        values.add(row.partner_id.as_ref().map(|id| id.0.as_bytes().as_slice()))?;
        values.add(row.external_id.as_deref())?.add(&*row.name)?.add(&*row.description)?;
        values.json(&row.options)?.json(&row.skus)?;
        values.add(row.list_price.minor)?.add(row.list_price.currency.as_str())?;
        values.json(&row.images)?;
        values.add(row.brand_id.as_ref().map(|id| id.0.as_bytes().as_slice()))?;
        values.json(&row.category_ids)?;
        let period = row.sale_period;
        values.add(period.and_then(|period| period.starts_at).map(|at| at.0))?;
        values.add(period.and_then(|period| period.ends_at).map(|at| at.0))?;
        values.add(row.approval.as_str())?.add(row.sale_state.as_str())?.add(row.displayed)?;
        values.add(row.version)?;
        values.add(row.registered_at.0)?.add(row.updated_at.0)?;
        Ok(())
    }

    fn size(row: &ProductRow) -> usize {
        500 + row.name.len()
            + row.description.len()
            + row.images.iter().map(String::len).sum::<usize>()
            + json_size(&row.options)
            + json_size(&row.skus)
    }
}

fn read(row: &MySqlRow) -> Result<ProductRow, Error> {
    let columns = Columns(row);
    Ok(ProductRow {
        id: ProductId(columns.uuid("id")?),
        mall: columns.mall("mall")?,
        partner_id: columns.optional_uuid("partner_id")?.map(PartnerId),
        external_id: columns.get("external_id")?,
        name: columns.get("name")?,
        description: columns.get("description")?,
        options: columns.json("options")?,
        skus: columns.json("skus")?,
        list_price: columns.money("list_price_minor", "currency")?,
        images: columns.json("images")?,
        brand_id: columns.optional_uuid("brand_id")?.map(BrandId),
        category_ids: columns.json("category_ids")?,
        sale_period: period(&columns)?,
        approval: columns.text("approval")?,
        sale_state: columns.text("sale_state")?,
        displayed: columns.get("displayed")?,
        version: columns.get("version")?,
        registered_at: columns.time("registered_at")?,
        updated_at: columns.time("updated_at")?,
    })
}

fn period(columns: &Columns<'_>) -> Result<Option<SalePeriod>, Error> {
    let at = |column| columns.get::<Option<i64>>(column).map(|at| at.map(Timestamp));
    let (starts_at, ends_at) = (at("sale_starts_at")?, at("sale_ends_at")?);
    let is_bounded = starts_at.is_some() || ends_at.is_some();
    Ok(is_bounded.then_some(SalePeriod { starts_at, ends_at }))
}

/// The product `id` of `mall`.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn by_id(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    mall: &MallId,
    id: ProductId,
) -> Result<Option<ProductRow>, Error> {
    let table = tables.table(Products::NAME)?;
    let text = table.statement("SELECT * FROM {table} WHERE id = ? AND mall = ?", 0, 0);
    let query = sqlx::query(text).bind(id.0.as_bytes().as_slice()).bind(mall.as_str());
    query.fetch_optional(db).await?.as_ref().map(read).transpose()
}

/// The products among `ids` that exist, of any mall; for processes, never for a request.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn by_ids(
    db: &mut MySqlConnection,
    tables: &Tables,
    ids: &[ProductId],
) -> Result<Vec<ProductRow>, Error> {
    let table = tables.table(Products::NAME)?;
    let keys: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut products = Vec::with_capacity(keys.len());
    for keys in keys.chunks(store::MOST_KEYS) {
        for row in store::select(db, &table, Products::LOAD, keys).await? {
            products.push(read(&row)?);
        }
    }
    Ok(products)
}

/// The id of the product so many on from `after`, of all malls, in the order of their ids; none
/// where there are not so many.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub(crate) async fn id_after(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    after: &[u8],
    products: u32,
) -> Result<Option<Vec<u8>>, Error> {
    let table = tables.table(Products::NAME)?;
    let text = "SELECT id FROM {table} WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?";
    let query = sqlx::query_scalar(table.statement(text, 0, 0)).bind(after);
    Ok(query.bind(products.saturating_sub(1)).fetch_optional(db).await?)
}

/// The products with ids above `after` up to `upto`, of all malls.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub(crate) async fn between(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    after: &[u8],
    upto: &[u8],
) -> Result<Vec<ProductRow>, Error> {
    let table = tables.table(Products::NAME)?;
    let text = table.statement("SELECT * FROM {table} WHERE id > ? AND id <= ?", 0, 0);
    let rows = sqlx::query(text).bind(after).bind(upto).fetch_all(db).await?;
    rows.iter().map(read).collect()
}

/// How many products there are, of all malls; for processes, never for a request.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn count(db: impl MySqlExecutor<'_>, tables: &Tables) -> Result<u64, Error> {
    let table = tables.table(Products::NAME)?;
    let text = table.statement("SELECT COUNT(*) FROM {table}", 0, 0);
    let count: i64 = sqlx::query_scalar(text).fetch_one(db).await?;
    Ok(count.unsigned_abs())
}
