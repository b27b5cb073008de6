//! Versions of their own for the tests of the engine, and the records that they apply.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use domain::{
    CommandId, Currency, MallId, Money, Timestamp,
    catalog::Event,
    product::{self, ProductRegistered, ProductRepriced},
};
use projections::{ALL, Batch, Engine, Extent, Fact, Logged, Pool, Tables};
use schemas::{CATALOG, EventMessage, Origin, Traceparent};
use uuid::Uuid;

use super::PARTITION;

/// A version of every projection, for one test.
pub(super) struct Scene<'a> {
    db: &'a Pool,
    pub(super) version: i32,
}

impl<'a> Scene<'a> {
    pub(super) async fn set(db: &'a Pool, version: i32) -> Result<Self> {
        let scene = Self { db, version };
        scene.strike().await?;
        for projection in ALL {
            projections::create(db, projection, version).await?;
        }
        Ok(scene)
    }

    pub(super) async fn strike(&self) -> Result<()> {
        for projection in ALL {
            projections::discard(self.db, projection, self.version).await?;
        }
        // The number of a real version is not used again.
        let forget = "DELETE FROM shapes WHERE table_name LIKE CONCAT('%\\_v', ?)";
        sqlx::query(forget).bind(self.version).execute(self.db).await?;
        Ok(())
    }

    pub(super) fn engine(&self, name: &str) -> Result<Engine> {
        let projection = projections::named(name).context("no such projection")?;
        Ok(Engine::new(self.db.clone(), projection, self.version)?)
    }

    pub(super) fn tables(&self) -> Tables {
        let first = Tables::only("products", self.version);
        ALL.iter().fold(first, |tables, projection| tables.with(projection.name(), self.version))
    }
}

pub(super) fn log(end: i64) -> BTreeMap<String, Extent> {
    let extent = || Extent { topic_id: "some id".to_owned(), start: 0, end };
    let topics = [CATALOG.events.name, CATALOG.decisions.name];
    topics.into_iter().map(|topic| (topic.to_owned(), extent())).collect()
}

pub(super) fn batch(records: &[Logged]) -> Batch<'_> {
    Batch { records: records.iter().collect(), next: BTreeMap::new() }
}

pub(super) fn aggregate(number: usize) -> Uuid {
    domain::id::derive(&["engine test", &number.to_string()])
}

/// `versions` events of each of `products`, the products in turn.
pub(super) fn events(products: usize, versions: usize) -> Result<Vec<Logged>> {
    let mall = "demo".parse()?;
    let mut events = Vec::with_capacity(products * versions);
    for version in 1..=versions {
        for product in 0..products {
            events.push(event(&mall, events.len(), product, version));
        }
    }
    Ok(events)
}

pub(super) fn event(mall: &MallId, offset: usize, product: usize, version: usize) -> Logged {
    let (offset, version) = (offset as i64, version as i64);
    let body = match version {
        1 => registered(product),
        _ => {
            let (list_price, previous) = (won(1000 + version), won(999 + version));
            Event::Product(ProductRepriced { list_price, previous }.into())
        }
    };
    let origin = Origin {
        aggregate: aggregate(product),
        mall: mall.clone(),
        command: CommandId(domain::id::derive(&["command", &offset.to_string()])),
        body_hash: "0123456789abcdef0123456789abcdef".to_owned(),
        actor: "engine-test".to_owned(),
        correlation: Uuid::from_u128(1),
        trace: Traceparent::start(Uuid::from_u128(2)),
    };
    let time = Timestamp(1_700_000_000_000 + offset / 3);
    let fact = Fact::Event(EventMessage { origin, version, time, observed_at: None, body });
    let topic = CATALOG.events.name.to_owned();
    Logged { topic, partition: PARTITION, offset, appended: time, fact, as_written: None }
}

fn registered(product: usize) -> Event {
    let fact = ProductRegistered {
        partner_id: None,
        external_id: Some(format!("E-{product}")),
        name: format!("무선청소기 {product}"),
        description: "가볍고 조용한 무선청소기. Light and quiet.".repeat(4),
        options: vec![],
        skus: vec![],
        list_price: won(1000),
        images: vec![format!("https://img.example/{product}.jpg")],
        brand_id: None,
        category_ids: vec![],
        sale_period: None,
        approval: None,
        sale_state: None,
        displayed: None,
    };
    Event::Product(product::Event::from(fact))
}

fn won(minor: i64) -> Money {
    Money { minor, currency: Currency::KRW }
}
