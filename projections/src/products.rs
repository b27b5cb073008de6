//! Products as a storefront lists them.

use domain::{
    MallId, Money, PartnerId, ProductId, Timestamp,
    product::{Event, ProductOption, ProductRegistered, ProductRevised, Sku},
};
use schemas::{CATALOG, EventMessage, Topic};
use serde::Serialize;
use sqlx::{
    MySqlConnection, MySqlExecutor, error::BoxDynError, mysql::MySqlArguments, mysql::MySqlRow,
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    column::{Columns, Values},
    error::Error,
    fact::{EventHead, Fact, Logged},
    page::Page,
    projection::{Fault, Projection, follows},
    store,
    table::Tables,
};

mod cursor;

pub use cursor::{Cursor, CursorError};

/// A product: the table's columns and the JSON answer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ProductRow {
    /// Its id.
    pub id: ProductId,
    /// The mall that sells it.
    #[schema(value_type = String)]
    pub mall: MallId,
    /// The seller, where the mall has more than one.
    pub partner_id: Option<PartnerId>,
    /// The product's own number at its seller.
    pub external_id: Option<String>,
    /// The name.
    pub name: String,
    /// Plain text, may be empty.
    pub description: String,
    /// What a buyer chooses.
    pub options: Vec<ProductOption>,
    /// What can be bought.
    pub skus: Vec<Sku>,
    /// The price of every SKU without one of its own.
    pub list_price: Money,
    /// Addresses of pictures, the first one shown first.
    pub images: Vec<String>,
    /// How many events have made it what it is.
    pub version: i64,
    /// When it came into the catalog.
    pub registered_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Which products to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of one seller only.
    pub partner: Option<PartnerId>,
}

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
        version BIGINT NOT NULL,
        registered_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        KEY by_mall (mall, registered_at, id),
        KEY by_partner (mall, partner_id, registered_at, id)
    ) DEFAULT CHARSET = utf8mb4";
    const LOAD: &'static str = "SELECT * FROM {table} WHERE id IN ({values})";
    const STORE: &'static str = "INSERT INTO {table} (id, mall, partner_id, external_id, name, \
        description, options, skus, list_price_minor, currency, images, version, registered_at, \
        updated_at) VALUES {values} AS new ON DUPLICATE KEY UPDATE name = new.name, \
        description = new.description, list_price_minor = new.list_price_minor, \
        currency = new.currency, images = new.images, version = new.version, \
        updated_at = new.updated_at";
    const WIDTH: usize = 14;

    fn key(logged: &Logged) -> Result<Option<Uuid>, Fault> {
        logged.aggregate()
    }

    fn apply(row: Option<ProductRow>, logged: &Logged) -> Result<ProductRow, Fault> {
        apply(row, &logged.fact)
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
        values.json(&row.images)?.add(row.version)?;
        values.add(row.registered_at.0)?.add(row.updated_at.0)?;
        Ok(())
    }

    fn size(row: &ProductRow) -> usize {
        500 + row.name.len()
            + row.description.len()
            + row.images.iter().map(String::len).sum::<usize>()
            + row.options.iter().map(|option| 100 + 50 * option.values.len()).sum::<usize>()
            + row.skus.len() * 400
    }
}

/// Takes an event in. One of a newer type counts, and changes nothing else that is known here.
fn apply(row: Option<ProductRow>, fact: &Fact) -> Result<ProductRow, Fault> {
    let Some(head) = fact.event_head() else { return Err(Fault::Unknown("no event".to_owned())) };
    follows(row.as_ref().map_or(0, |row| row.version), head.version)?;
    let Some(mut row) = row else { return begin(head, fact) };
    row.version = head.version;
    row.updated_at = head.time;
    if let Fact::Event(event) = fact {
        match &event.body {
            Event::ProductRegistered(_) => {}
            Event::ProductRepriced(fact) => row.list_price = fact.list_price,
            Event::ProductRevised(fact) => revise(&mut row, fact),
        }
    }
    Ok(row)
}

fn begin(head: EventHead<'_>, fact: &Fact) -> Result<ProductRow, Fault> {
    match fact {
        Fact::Event(EventMessage { body: Event::ProductRegistered(fact), .. }) => {
            Ok(registered(head, fact))
        }
        Fact::NewerEvent { record, .. } => Err(Fault::Unknown(record.clone())),
        _ => Err(Fault::Unknown("a history that begins with another event".to_owned())),
    }
}

fn registered(head: EventHead<'_>, fact: &ProductRegistered) -> ProductRow {
    ProductRow {
        id: ProductId(head.origin.aggregate),
        mall: head.origin.mall.clone(),
        partner_id: fact.partner_id,
        external_id: fact.external_id.clone(),
        name: fact.name.clone(),
        description: fact.description.clone(),
        options: fact.options.clone(),
        skus: fact.skus.clone(),
        list_price: fact.list_price,
        images: fact.images.clone(),
        version: head.version,
        registered_at: head.time,
        updated_at: head.time,
    }
}

fn revise(row: &mut ProductRow, fact: &ProductRevised) {
    let ProductRevised { name, description, images } = fact.clone();
    row.name = name.unwrap_or(std::mem::take(&mut row.name));
    row.description = description.unwrap_or(std::mem::take(&mut row.description));
    row.images = images.unwrap_or(std::mem::take(&mut row.images));
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
        version: columns.get("version")?,
        registered_at: columns.time("registered_at")?,
        updated_at: columns.time("updated_at")?,
    })
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

/// At most `limit` products of `mall`, in the order of their registration, beginning after `after`.
/// A product keeps its place in that order for ever, so no page skips or repeats one.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn page(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    mall: &MallId,
    filter: Filter,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Page<ProductRow, Cursor>, Error> {
    let table = tables.table(Products::NAME)?;
    let text = match filter.partner {
        None => {
            "SELECT * FROM {table} WHERE mall = ? AND (registered_at, id) > (?, ?) \
             AND registered_at >= ? ORDER BY registered_at, id LIMIT ?"
        }
        Some(_) => {
            "SELECT * FROM {table} WHERE mall = ? AND partner_id = ? \
             AND (registered_at, id) > (?, ?) AND registered_at >= ? \
             ORDER BY registered_at, id LIMIT ?"
        }
    };
    let after = after.unwrap_or(Cursor::START);
    let mut query = sqlx::query(table.statement(text, 0, 0)).bind(mall.as_str());
    if let Some(partner) = filter.partner {
        query = query.bind(partner.0.as_bytes().to_vec());
    }
    // MySQL does not use an index for the row comparison; the plain one beside it is for that.
    let rows = query
        .bind(after.registered_at.0)
        .bind(after.id.0.as_bytes().as_slice())
        .bind(after.registered_at.0)
        .bind(u64::from(limit) + 1)
        .fetch_all(db)
        .await?;
    let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |row| Cursor { registered_at: row.registered_at, id: row.id }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::given::{event, folded, id, newer, registered, renamed, repriced, unknown, won};

    #[test]
    fn a_product_is_what_its_events_made_it() {
        let states = folded::<Products>(vec![
            event(1, 1, 11, registered("청소기")),
            event(2, 1, 12, registered("lamp")),
            event(1, 2, 13, repriced(250)),
            event(1, 3, 14, renamed("무선청소기")),
        ])
        .unwrap();
        let row = states[&id(1)].as_ref().unwrap();
        assert_eq!((row.name.as_str(), row.list_price, row.version), ("무선청소기", won(250), 3));
        assert_eq!((row.registered_at, row.updated_at), (Timestamp(1000), Timestamp(3000)));
        assert_eq!(states[&id(2)].as_ref().unwrap().version, 1);
    }

    #[test]
    fn a_version_missing_or_doubled_stops_at_its_record() {
        let begun = || vec![event(1, 1, 11, registered("lamp")), event(1, 2, 12, repriced(1))];
        for (version, fault) in [
            (4, Fault::Gap { at: 2, found: 4 }),
            (2, Fault::Doubled { at: 2, found: 2 }),
            (1, Fault::Doubled { at: 2, found: 1 }),
        ] {
            let mut facts = begun();
            facts.push(event(1, version, 13, repriced(2)));
            assert_eq!(folded::<Products>(facts).unwrap_err(), (2, fault));
        }
        let late = vec![event(1, 2, 12, repriced(1))];
        assert_eq!(folded::<Products>(late).unwrap_err(), (0, Fault::Gap { at: 0, found: 2 }));
    }

    #[test]
    fn a_newer_event_counts_and_changes_nothing_else() {
        let facts = vec![
            event(1, 1, 11, registered("lamp")),
            newer(1, 2, 12),
            event(1, 3, 13, repriced(5)),
        ];
        let states = folded::<Products>(facts).unwrap();
        let row = states[&id(1)].as_ref().unwrap();
        assert_eq!((row.version, row.list_price, &*row.name), (3, won(5), "lamp"));
    }

    #[test]
    fn what_cannot_be_read_or_begun_stops() {
        assert_eq!(folded::<Products>(vec![unknown()]).unwrap_err().0, 0);
        assert_eq!(folded::<Products>(vec![newer(1, 1, 12)]).unwrap_err().0, 0);
    }
}
