//! What a product was, and what each event changed of it: the fold of its history, event by event.

use domain::{MallId, ProductId, Timestamp, catalog::Event};
use schemas::{EventMessage, Origin, Traceparent, from_json};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{PRODUCT, ProductRow, row};
use crate::{
    error::Error,
    fact::Fact,
    history::{self, HistoryRow},
    page::Page,
    pool::Pool,
    table::Tables,
};

/// Events read at a time; one may be as large as a record.
const PIECE: u32 = 50;
/// What changes with every event, and so says nothing of one.
const WITH_EACH: [&str; 2] = ["version", "updated_at"];

/// An event, and what it changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ProductEvent {
    /// The event.
    #[serde(flatten)]
    pub event: HistoryRow,
    /// The fields of the product that it changed, but for version and time; for the first event all
    /// that have a value. Not told unless asked for, nor where this build cannot tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<FieldChange>>,
}

/// A field of a product before and after an event.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct FieldChange {
    /// Its name in the product.
    pub field: String,
    /// What it was; null where it was nothing.
    pub from: Value,
    /// What it became.
    pub to: Value,
}

/// The product `id` of `mall` as it was at `at`; none before it was registered.
///
/// Events count by the time of their decision, and in their order: behind the first that was decided
/// later nothing is taken in, though a clock that was set back may have dated it before.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer, or an event cannot be read.
pub async fn as_of(
    db: &Pool,
    tables: &Tables,
    mall: &MallId,
    id: ProductId,
    at: Timestamp,
) -> Result<Option<ProductRow>, Error> {
    fold(db, tables, mall, id, |event| event.at <= at).await
}

/// Tells what each event of a page of the history of a product changed; all events before the page
/// are read for it.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn with_changes(
    db: &Pool,
    tables: &Tables,
    page: Page<HistoryRow, i64>,
) -> Result<Page<ProductEvent, i64>, Error> {
    let Some(first) = page.items.first() else { return Ok(Page::from(page)) };
    let (mall, id, begin) = (&first.mall, ProductId(first.aggregate_id), first.version);
    let before = match fold(db, tables, mall, id, |event| event.version < begin).await {
        // The events are told all the same.
        Err(Error::Corrupt { .. }) => return Ok(Page::from(page)),
        before => before?,
    };
    let mut told = Page::<ProductEvent, _>::from(page);
    let mut product = before;
    for item in &mut told.items {
        let Ok(next) = step(product.clone(), &item.event) else { break };
        item.changes = Some(changes(product.as_ref(), next.as_ref()));
        product = next;
    }
    Ok(told)
}

impl From<Page<HistoryRow, i64>> for Page<ProductEvent, i64> {
    fn from(Page { items, next }: Page<HistoryRow, i64>) -> Self {
        let told = |event| ProductEvent { event, changes: None };
        Self { items: items.into_iter().map(told).collect(), next }
    }
}

/// The product as the first events made it, as far as they are asked for.
async fn fold(
    db: &Pool,
    tables: &Tables,
    mall: &MallId,
    id: ProductId,
    counts: impl Fn(&HistoryRow) -> bool,
) -> Result<Option<ProductRow>, Error> {
    let (mut product, mut after) = (None, 0);
    loop {
        let page = history::page(db, tables, mall, id.0, after, PIECE).await?;
        for event in &page.items {
            if !counts(event) {
                return Ok(product);
            }
            product = step(product, event)?;
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(product),
        }
    }
}

/// Takes an event in; the history of another kind of aggregate makes no product, nor does an event
/// that this build does not know.
fn step(product: Option<ProductRow>, event: &HistoryRow) -> Result<Option<ProductRow>, Error> {
    let fact = fact(event)?;
    let is_of_product = fact.event_head().is_some_and(|head| head.kind == PRODUCT);
    if !is_of_product || product.is_none() && matches!(fact, Fact::NewerEvent { .. }) {
        return Ok(product);
    }
    row::apply(product, &fact).map(Some).map_err(|fault| Error::corrupt("data", fault))
}

/// The event as it stood in the log, as far as a product is made of it.
fn fact(event: &HistoryRow) -> Result<Fact, Error> {
    let origin = Origin {
        aggregate: event.aggregate_id,
        mall: event.mall.clone(),
        command: event.command_id,
        body_hash: String::new(),
        actor: event.actor.clone(),
        correlation: event.correlation_id,
        trace: Traceparent::start(event.correlation_id),
    };
    let (version, time) = (event.version, event.at);
    // An earlier build left out what it did not know.
    let is_told = !event.data.is_null();
    let body = is_told.then(|| from_json::<Event>(&event.kind, &event.data)).transpose();
    Ok(match body.map_err(|why| Error::corrupt("data", why))?.flatten() {
        Some(body) => Fact::Event(EventMessage { origin, version, time, observed_at: None, body }),
        None => Fact::NewerEvent {
            record: event.kind.clone(),
            kind: PRODUCT.to_owned(),
            origin,
            version,
            time,
            critical: false,
        },
    })
}

fn fields(product: Option<&ProductRow>) -> Map<String, Value> {
    match product.map(|product| serde_json::json!(product)) {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// The fields that differ between two states of a product, of which there may have been none before.
pub fn changes(before: Option<&ProductRow>, after: Option<&ProductRow>) -> Vec<FieldChange> {
    let mut before = fields(before);
    let changes = fields(after).into_iter().filter_map(|(field, to)| {
        let from = before.remove(&field).unwrap_or_default();
        let is_told = from != to && !WITH_EACH.contains(&&*field);
        is_told.then_some(FieldChange { field, from, to })
    });
    changes.collect()
}

#[cfg(test)]
mod tests {
    use domain::MallId;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::{
        Projection as _,
        given::{event, folded, id, newer, registered, renamed, repriced},
        history::History,
        products::Products,
    };

    fn told(facts: Vec<Fact>) -> Vec<HistoryRow> {
        let histories = folded::<History>(facts).unwrap();
        History::rows(histories[&id(1)].as_ref().unwrap()).to_vec()
    }

    #[test]
    fn the_fold_of_a_history_is_the_product() {
        let facts = || {
            vec![
                event(1, 1, 11, registered("lamp")),
                newer(1, 2, 12),
                event(1, 3, 13, repriced(9)),
                event(1, 4, 14, renamed("light")),
            ]
        };
        let mut product = None;
        for event in told(facts()) {
            product = step(product, &event).unwrap();
        }
        assert_eq!(&product, &folded::<Products>(facts()).unwrap()[&id(1)]);
    }

    #[test]
    fn an_event_changes_what_it_says_and_the_first_all_that_has_a_value() {
        let facts = vec![event(1, 1, 11, registered("lamp")), event(1, 2, 12, repriced(9))];
        let rows = told(facts);
        let first = step(None, &rows[0]).unwrap();
        let second = step(first.clone(), &rows[1]).unwrap();
        let begun = changes(None, first.as_ref());
        let name = begun.iter().find(|change| change.field == "name").unwrap();
        assert_eq!((&name.from, &name.to), (&Value::Null, &json!("lamp")));
        assert!(begun.iter().all(|change| !change.to.is_null()));
        let changed = changes(first.as_ref(), second.as_ref());
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert_eq!((&*changed[0].field, &changed[0].to["minor"]), ("list_price", &json!(9)));
    }

    #[test]
    fn what_this_build_cannot_read_is_stepped_over() {
        let facts = vec![event(1, 1, 11, registered("lamp")), event(1, 2, 12, repriced(9))];
        let mut rows = told(facts);
        let first = step(None, &rows[0]).unwrap();
        rows[1].data = Value::Null;
        let second = step(first.clone(), &rows[1]).unwrap().unwrap();
        assert_eq!((second.version, second.list_price), (2, first.unwrap().list_price));
        assert_eq!(step(None, &rows[1]).unwrap(), None);
    }

    #[test]
    fn a_brand_is_no_product() {
        let mall: MallId = "demo".parse().unwrap();
        let brand = HistoryRow {
            aggregate_id: id(1),
            version: 1,
            mall,
            kind: "jangbu.catalog.BrandRegistered".to_owned(),
            at: Timestamp(1),
            actor: "tester".to_owned(),
            command_id: domain::CommandId(id(2)),
            correlation_id: Uuid::nil(),
            data: json!({"name": "lamps"}),
        };
        assert_eq!(step(None, &brand).unwrap(), None);
    }
}
