//! Events to rows: a backlog, against sorted multi-row INSERTs of the same rows.

use std::time::{Duration, Instant};

use anyhow::Result;
use schemas::{CATALOG, Codec, Registry};
use sqlx::MySqlPool;
use tests::{Fleet, Role, Stack, until};
use uuid::Uuid;

use crate::{
    Run,
    append::append,
    events,
    figures::{Figures, processor_times, spent},
    inserts::Rows,
    report::Report,
};

const EVENTS: i64 = 30_000;

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet, run: Run) -> Result<Report> {
    let events = run.pick(EVENTS, 5_000);
    let db = MySqlPool::connect(stack.address("JANGBU_MYSQL")?).await?;
    // What decides and what indexes has no part in it.
    for role in [Role::Handler, Role::Indexer, Role::Projector] {
        fleet.end(role)?;
    }
    let codec = Codec::load(Registry::new(stack.address("JANGBU_REGISTRY")?)?, &[CATALOG.events]);
    let codec = codec.await?;
    let (mut one, mut all, mut limit) = <(Figures, Figures, Figures)>::default();
    let mut report = Report::default();
    for _ in 0..run.repeats {
        let begin = rows(&db).await?;
        backlog(stack.address("JANGBU_KAFKA")?, &codec, begin, events)?;
        let before = processor_times(fleet, stack)?;
        fleet.start_with(Role::Projector, &[("JANGBU_PROJECTIONS", "products")])?;
        one.add(rate(&db, "products_v1", begin, events).await?);
        let items = usize::try_from(events)?;
        report.notes = vec![spent(&before, &processor_times(fleet, stack)?, items)];
        let newest = Rows::newest(&db, "products_v1", items).await?;
        limit.add(newest.insert(&db, "products_v1", 1).await?);
        let begin = count(&db, "history_v1").await?;
        fleet.start_with(Role::Projector, &[])?;
        all.add(rate(&db, "history_v1", begin, events).await?);
        fleet.end(Role::Projector)?;
    }
    report.head("a backlog of events to MySQL rows, by the projector");
    report.line("products alone, rows/s", &one, &limit);
    report.line("with the other four, events/s", &all, &limit);
    Ok(report)
}

async fn rows(db: &MySqlPool) -> Result<i64> {
    count(db, "products_v1").await
}

async fn count(db: &MySqlPool, table: &'static str) -> Result<i64> {
    let question = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    Ok(sqlx::query_scalar(question).fetch_one(db).await?)
}

/// Rows per second from the first that is seen to the last.
async fn rate(db: &MySqlPool, table: &'static str, before: i64, events: i64) -> Result<f64> {
    let patience = Duration::from_secs(120);
    let (first, begin) = until("a first row", patience, async || {
        let now = count(db, table).await?;
        Ok((now > before).then(|| (now, Instant::now())))
    })
    .await?;
    until("the last row", patience, async || {
        Ok((count(db, table).await? >= before + events).then_some(()))
    })
    .await?;
    let left = u32::try_from(before + events - first)?;
    Ok(f64::from(left) / begin.elapsed().as_secs_f64())
}

/// Registrations of new products.
fn backlog(kafka: &str, codec: &Codec, from: i64, events: i64) -> Result<()> {
    let numbers = from..from + events;
    let records = numbers.map(|number| events::registered(codec, Uuid::now_v7(), number));
    append(kafka, &CATALOG.events, records)
}
