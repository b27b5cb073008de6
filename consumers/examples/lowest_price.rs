//! A projection of another team: the lowest list price that each product ever had, as a shop may
//! have to tell beside a reduction. It is fed, rebuilt and swapped as ours are, and unknown to them.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use consumers::{
    config::{Config, Flag, Given, Usage},
    tool::{self, Command},
};
use domain::{Money, catalog, product::Event};
use projections::{
    Columns, Error, Fact, Fault, Logged, Projection, Tables, Values, follows, products::PRODUCT,
};
use schemas::{CATALOG, EventMessage, Topic};
use sqlx::{
    error::BoxDynError,
    mysql::{MySqlArguments, MySqlRow},
};
use uuid::Uuid;

struct LowestPrice;

#[derive(Clone)]
struct Lowest {
    product: Uuid,
    mall: String,
    price: Money,
    version: i64,
}

impl Projection for LowestPrice {
    type State = Lowest;
    type Row = Lowest;
    const NAME: &'static str = "lowest_price";
    const TOPICS: &'static [Topic] = &[CATALOG.events];
    const CREATE: &'static str = "CREATE TABLE IF NOT EXISTS {table} (
        product BINARY(16) NOT NULL PRIMARY KEY, mall VARCHAR(32) NOT NULL,
        minor BIGINT NOT NULL, currency CHAR(3) NOT NULL, version BIGINT NOT NULL,
        KEY by_mall (mall, minor)
    )";
    const LOAD: &'static str = "SELECT * FROM {table} WHERE product IN ({values})";
    const STORE: &'static str = "INSERT INTO {table} (product, mall, minor, currency, version) \
        VALUES {values} AS new ON DUPLICATE KEY UPDATE minor = new.minor, \
        currency = new.currency, version = new.version";
    const WIDTH: usize = 5;

    fn key(logged: &Logged) -> Result<Option<Uuid>, Fault> {
        logged.aggregate_of(PRODUCT)
    }

    fn apply(lowest: Option<Lowest>, logged: &Logged) -> Result<Lowest, Fault> {
        let fault = || Fault::Unknown("what is no product's history".to_owned());
        let head = logged.fact.event_head().ok_or_else(fault)?;
        follows(lowest.as_ref().map_or(0, |lowest| lowest.version), head.version)?;
        let (product, mall) = (head.origin.aggregate, head.origin.mall.to_string());
        let (price, version) = (price(&logged.fact), head.version);
        match (lowest, price) {
            (None, Some(price)) => Ok(Lowest { product, mall, price, version }),
            (None, None) => Err(fault()),
            (Some(lowest), Some(price)) if price.minor < lowest.price.minor => {
                Ok(Lowest { price, version, ..lowest })
            }
            (Some(lowest), _) => Ok(Lowest { version, ..lowest }),
        }
    }

    fn begins(logged: &Logged) -> bool {
        logged.is_first()
    }

    fn read(row: &MySqlRow) -> Result<(Uuid, Lowest), Error> {
        let row = Columns(row);
        let (product, price) = (row.uuid("product")?, row.money("minor", "currency")?);
        Ok((
            product,
            Lowest { product, mall: row.get("mall")?, price, version: row.get("version")? },
        ))
    }

    fn rows(lowest: &Lowest) -> &[Lowest] {
        std::slice::from_ref(lowest)
    }

    fn write(row: &Lowest, to: &mut MySqlArguments) -> Result<(), BoxDynError> {
        Values(to).uuid(&row.product)?.add(row.mall.as_str())?.add(row.price.minor)?;
        Values(to).add(row.price.currency.as_str())?.add(row.version)?;
        Ok(())
    }
}

fn price(fact: &Fact) -> Option<Money> {
    let Fact::Event(EventMessage { body: catalog::Event::Product(event), .. }) = fact else {
        return None;
    };
    match event {
        Event::ProductRegistered(registered) => Some(registered.list_price),
        Event::ProductRepriced(repriced) => Some(repriced.list_price),
        _ => None,
    }
}

const SHOW: Usage = Usage {
    about: "lowest_price show PRODUCT --mall MALL: the lowest list price that it ever had.",
    settings: &[],
    flags: &[
        Flag { name: "product", value: Some("ID"), meaning: "The product; or as a word." },
        Flag { name: "mall", value: Some("MALL"), meaning: "The mall that sells it." },
    ],
};

fn show(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let id: Uuid = given.value("product").context("which product?")?.parse()?;
    let row = tokio::runtime::Runtime::new()?.block_on(async {
        let db = projections::connect(&config.mysql, 1).await?;
        let table = Tables::active(&db).await?.table(LowestPrice::NAME)?;
        let text = table.statement("SELECT * FROM {table} WHERE product = ? AND mall = ?", 0, 0);
        let query = sqlx::query(text).bind(id.as_bytes().as_slice()).bind(given.value("mall"));
        query.fetch_optional(&db).await.map_err(Error::from)
    })?;
    let Some(row) = row else { return Ok(false) };
    writeln!(std::io::stdout(), "{}", LowestPrice::read(&row)?.1.price)?;
    Ok(true)
}

fn main() -> ExitCode {
    let show = Command::of(&["show"], &SHOW, show).about("product");
    tool::of_own("lowest_price", &[&LowestPrice], &[show])
}
