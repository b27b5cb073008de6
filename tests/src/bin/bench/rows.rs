//! Events to rows: a backlog, against sorted multi-row INSERTs of the same rows.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use domain::{
    CommandId, Currency, Money, ProductId, SkuId, Timestamp,
    catalog::Event,
    product::{ProductRegistered, Sku},
};
use schemas::{CATALOG, Codec, EventMessage, Origin, Records, Registry, Traceparent};
use sqlx::MySqlPool;
use tests::{Fleet, Role, Stack, until};
use uuid::Uuid;

use crate::{
    REPEATS,
    append::{Record, append},
    figures::{Figures, head, line, processor_times, tell_processor_time},
};

const EVENTS: i64 = 30_000;
/// Rows of one INSERT, as the projections write them at most.
const CHUNK: i64 = 1_000;

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet) -> Result<()> {
    let db = MySqlPool::connect(stack.address("JANGBU_MYSQL")?).await?;
    // What decides and what indexes has no part in it.
    for role in [Role::Handler, Role::Indexer, Role::Projector] {
        fleet.end(role)?;
    }
    let codec = Codec::load(Registry::new(stack.address("JANGBU_REGISTRY")?)?, &[CATALOG.events]);
    let codec = codec.await?;
    let (mut one, mut all, mut limit) = <(Figures, Figures, Figures)>::default();
    for _ in 0..REPEATS {
        let begin = rows(&db).await?;
        backlog(stack.address("JANGBU_KAFKA")?, &codec)?;
        let before = processor_times(fleet, stack)?;
        fleet.start_with(Role::Projector, &[("JANGBU_PROJECTIONS", "products")])?;
        one.add(rate(&db, "products_v1", begin).await?);
        tell_processor_time(&before, &processor_times(fleet, stack)?, usize::try_from(EVENTS)?);
        limit.add(inserted(&db).await?);
        let begin = count(&db, "history_v1").await?;
        fleet.start_with(Role::Projector, &[])?;
        all.add(rate(&db, "history_v1", begin).await?);
        fleet.end(Role::Projector)?;
    }
    head("events to MySQL rows, of a backlog");
    line("products alone, rows/s", &one, &limit);
    line("with the other three, events/s", &all, &limit);
    Ok(())
}

async fn rows(db: &MySqlPool) -> Result<i64> {
    count(db, "products_v1").await
}

async fn count(db: &MySqlPool, table: &'static str) -> Result<i64> {
    let question = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    Ok(sqlx::query_scalar(question).fetch_one(db).await?)
}

/// Rows per second from the first that is seen to the last.
async fn rate(db: &MySqlPool, table: &'static str, before: i64) -> Result<f64> {
    let patience = Duration::from_secs(120);
    let (first, begin) = until("a first row", patience, async || {
        let now = count(db, table).await?;
        Ok((now > before).then(|| (now, Instant::now())))
    })
    .await?;
    until("the last row", patience, async || {
        Ok((count(db, table).await? >= before + EVENTS).then_some(()))
    })
    .await?;
    let left = u32::try_from(before + EVENTS - first)?;
    Ok(f64::from(left) / begin.elapsed().as_secs_f64())
}

/// The newest rows again, sorted, into a table of the same shape, in one connection.
async fn inserted(db: &MySqlPool) -> Result<f64> {
    let mut connection = db.acquire().await?;
    for statement in [
        "DROP TABLE IF EXISTS bench_rows",
        "CREATE TABLE bench_rows LIKE products_v1",
        "DROP TABLE IF EXISTS bench_source",
        "CREATE TABLE bench_source AS SELECT ROW_NUMBER() OVER (ORDER BY id) AS at, p.* FROM \
         (SELECT * FROM products_v1 ORDER BY registered_at DESC LIMIT 30000) p",
    ] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    let columns = "id, mall, partner_id, external_id, name, description, options, skus, \
                   list_price_minor, currency, images, category_ids, approval, sale_state, \
                   displayed, version, registered_at, updated_at";
    let read = format!("SELECT {columns} FROM bench_source WHERE at > ? AND at <= ?");
    let mut chunks = Vec::new();
    for from in (0..EVENTS).step_by(usize::try_from(CHUNK)?) {
        let query = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(read.clone()));
        chunks.push(query.bind(from).bind(from + CHUNK).fetch_all(&mut *connection).await?);
    }
    let begin = Instant::now();
    for chunk in &chunks {
        let head = format!("INSERT INTO bench_rows ({columns}) ");
        let mut insert = sqlx::QueryBuilder::new(head);
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
    Ok(f64::from(u32::try_from(EVENTS)?) / begin.elapsed().as_secs_f64())
}

#[derive(sqlx::FromRow)]
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

/// Registrations of new products, as the handler would have written them.
fn backlog(kafka: &str, codec: &Codec) -> Result<()> {
    let records = (0..EVENTS).map(|number| {
        let message = registered(number)?;
        let headers = message.headers(&CATALOG.events);
        let key = message.origin.aggregate.to_string();
        Ok(Record { key, headers, payload: message.body.encode(codec)? })
    });
    append(kafka, &CATALOG.events, records)
}

fn registered(number: i64) -> Result<EventMessage> {
    let id = Uuid::now_v7();
    let origin = Origin {
        aggregate: id,
        mall: "demo".parse().context("a mall")?,
        command: CommandId(Uuid::now_v7()),
        body_hash: "0".repeat(32),
        actor: "bench".to_owned(),
        correlation: id,
        trace: Traceparent::start(id),
    };
    let list_price = Money { minor: number, currency: Currency::KRW };
    let sku = SkuId::of(ProductId(id), "ONE");
    let sku = Sku { id: sku, code: "ONE".to_owned(), choices: vec![], price: None };
    let body = ProductRegistered {
        partner_id: None,
        external_id: Some(number.to_string()),
        name: format!("무선청소기 {number}"),
        description: "가볍고 조용한 스틱 청소기".to_owned(),
        options: vec![],
        skus: vec![sku],
        list_price,
        images: vec!["https://img.example/v12.jpg".to_owned()],
        brand_id: None,
        category_ids: vec![],
        sale_period: None,
        approval: None,
        sale_state: None,
        displayed: None,
    };
    let (millis, _) = id.get_timestamp().context("a time")?.to_unix();
    let time = Timestamp(i64::try_from(millis)? * 1_000);
    let body = Event::Product(body.into());
    Ok(EventMessage { origin, version: 1, time, observed_at: None, body })
}
