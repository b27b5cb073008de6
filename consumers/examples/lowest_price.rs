//! A projection of another team: the lowest list price that each product ever had, as a shop may
//! have to tell beside a reduction. It is fed, rebuilt and swapped as ours are, and unknown to them.

use std::process::ExitCode;

use consumers::tool;
use domain::{Money, catalog, product::Event};
use projections::{Columns, Error, Fact, Fault, Logged, Projection, Values, follows};
use schemas::{CATALOG, EventMessage, Topic};
use sqlx::{error::BoxDynError, mysql::MySqlArguments, mysql::MySqlRow};
use uuid::Uuid;

struct LowestPrice;

#[derive(Clone)]
struct Lowest {
    product: Uuid,
    price: Money,
    version: i64,
}

impl Projection for LowestPrice {
    type State = Lowest;
    type Row = Lowest;
    const NAME: &'static str = "lowest_price";
    const TOPICS: &'static [Topic] = &[CATALOG.events];
    const CREATE: &'static str = "CREATE TABLE IF NOT EXISTS {table} (product BINARY(16) PRIMARY KEY, \
        minor BIGINT NOT NULL, currency CHAR(3) NOT NULL, version BIGINT NOT NULL, KEY (minor))";
    const LOAD: &'static str = "SELECT * FROM {table} WHERE product IN ({values})";
    const STORE: &'static str = "INSERT INTO {table} (product, minor, currency, version) \
        VALUES {values} AS new ON DUPLICATE KEY UPDATE minor = new.minor, \
        currency = new.currency, version = new.version";
    const WIDTH: usize = 4;

    fn key(logged: &Logged) -> Result<Option<Uuid>, Fault> {
        logged.aggregate_of(projections::products::PRODUCT)
    }

    fn apply(lowest: Option<Lowest>, logged: &Logged) -> Result<Lowest, Fault> {
        let fault = || Fault::Unknown("what is no product's history".to_owned());
        let head = logged.fact.event_head().ok_or_else(fault)?;
        follows(lowest.as_ref().map_or(0, |lowest| lowest.version), head.version)?;
        let prices = lowest.map(|lowest| lowest.price).into_iter().chain(price(&logged.fact));
        let price = prices.min_by_key(|price| price.minor).ok_or_else(fault)?;
        Ok(Lowest { product: head.origin.aggregate, price, version: head.version })
    }

    fn begins(logged: &Logged) -> bool {
        logged.is_first()
    }

    fn read(row: &MySqlRow) -> Result<(Uuid, Lowest), Error> {
        let row = Columns(row);
        let (product, price) = (row.uuid("product")?, row.money("minor", "currency")?);
        Ok((product, Lowest { product, price, version: row.get("version")? }))
    }

    fn rows(lowest: &Lowest) -> &[Lowest] {
        std::slice::from_ref(lowest)
    }

    fn write(row: &Lowest, to: &mut MySqlArguments) -> Result<(), BoxDynError> {
        let (price, mut to) = (row.price, Values(to));
        to.uuid(&row.product)?.add(price.minor)?.add(price.currency.as_str())?.add(row.version)?;
        Ok(())
    }
}

fn price(fact: &Fact) -> Option<Money> {
    match fact {
        Fact::Event(EventMessage { body: catalog::Event::Product(event), .. }) => match event {
            Event::ProductRegistered(registered) => Some(registered.list_price),
            Event::ProductRepriced(repriced) => Some(repriced.list_price),
            _ => None,
        },
        _ => None,
    }
}

fn main() -> ExitCode {
    tool::of_own("lowest_price", &[&LowestPrice], &[])
}
