//! What a long absence of the handler leaves behind: how fast it is decided, and the memory of each
//! process meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use domain::{CommandId, Currency, Money, catalog::Command, product::RepriceProduct};
use schemas::{CATALOG, Codec, CommandMessage, Origin, Records, Registry, Traceparent};
use sqlx::MySqlPool;
use tests::{Fleet, Role, Stack, samples, until};
use uuid::Uuid;

use crate::{
    Run,
    append::{Record, append},
    figures::{Figures, memory},
    report::Report,
};

const PRODUCTS: usize = 2_000;
const COMMANDS: u32 = 200_000;
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet, run: Run) -> Result<Report> {
    let count = run.pick(COMMANDS, 10_000);
    let db = MySqlPool::connect(stack.address("JANGBU_MYSQL")?).await?;
    let (client, mut products) = (fleet.client()?, vec![]);
    for number in 0..run.pick(PRODUCTS, 200) {
        let (id, _) = client.register(&samples::plain(&format!("상품 {number}"))).await?;
        products.push(id.parse()?);
    }
    fleet.end(Role::Handler)?;
    let codec = Codec::load(Registry::new(stack.address("JANGBU_REGISTRY")?)?, &[CATALOG.commands]);
    let codec = codec.await?;
    let commands = (0..count).map(|number| reprice(&products, number, &codec));
    append(stack.address("JANGBU_KAFKA")?, &CATALOG.commands, commands)?;
    let goal = events(&db).await? + i64::from(count);
    // What each held before says nothing.
    for role in [Role::Projector, Role::Indexer, Role::Handler] {
        fleet.restart(role, None)?;
    }
    let begin = Instant::now();
    until("all are decided and projected", PATIENCE, async || {
        Ok((events(&db).await? >= goal).then_some(()))
    })
    .await?;
    let took = begin.elapsed().as_secs_f64();
    fleet.verify(&["--log-only"]).await?;
    let mut report = Report::default();
    report.head(&format!("a backlog of {count} commands to {} products, once", products.len()));
    report.alone("until the last is in MySQL, s", &Figures::once(took));
    report.alone("commands/s", &Figures::once(f64::from(count) / took));
    report.note(memory(fleet)?);
    Ok(report)
}

async fn events(db: &MySqlPool) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT COUNT(*) FROM history_v1").fetch_one(db).await?)
}

/// A price change as the api would have appended it, for nobody who waits.
fn reprice(products: &[Uuid], number: u32, codec: &Codec) -> Result<Record> {
    let aggregate = products[usize::try_from(number)? % products.len()];
    let command = Uuid::now_v7();
    let list_price = Money { minor: i64::from(number) + 1, currency: Currency::KRW };
    let origin = Origin {
        aggregate,
        mall: "demo".parse().context("a mall")?,
        command: CommandId(command),
        body_hash: "0".repeat(32),
        actor: "bench".to_owned(),
        correlation: command,
        trace: Traceparent::start(command),
    };
    let body = Command::Product(RepriceProduct { list_price }.into());
    let message = CommandMessage { origin, expected_version: None, reply_partition: None, body };
    let headers = message.headers(&CATALOG.commands);
    Ok(Record { key: aggregate.to_string(), headers, payload: message.body.encode(codec)? })
}
