//! What a long absence of the handler leaves behind: how fast it is decided, and the memory of each
//! process meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use domain::{CommandId, Currency, Money, catalog::Command, product::RepriceProduct};
use schemas::{CATALOG, Codec, CommandMessage, Origin, Records, Registry, Traceparent};
use sqlx::MySqlPool;
use tests::{Fleet, Role, Stack, samples, until};
use uuid::Uuid;

use crate::append::{Record, append};

const PRODUCTS: usize = 2_000;
const COMMANDS: u32 = 200_000;
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet) -> Result<()> {
    let db = MySqlPool::connect(stack.address("JANGBU_MYSQL")?).await?;
    let (client, mut products) = (fleet.client()?, vec![]);
    for number in 0..PRODUCTS {
        let (id, _) = client.register(&samples::plain(&format!("상품 {number}"))).await?;
        products.push(id.parse()?);
    }
    fleet.end(Role::Handler)?;
    let codec = Codec::load(Registry::new(stack.address("JANGBU_REGISTRY")?)?, &[CATALOG.commands]);
    let codec = codec.await?;
    let commands = (0..COMMANDS).map(|number| reprice(&products, number, &codec));
    append(stack.address("JANGBU_KAFKA")?, &CATALOG.commands, commands)?;
    let goal = events(&db).await? + i64::from(COMMANDS);
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
    println!("\nbacklog of {COMMANDS} commands to {PRODUCTS} products, once");
    println!(
        "until the last is in MySQL: {took:.0} s, {:.0} commands/s",
        f64::from(COMMANDS) / took
    );
    fleet.verify(&["--log-only"]).await?;
    for role in Role::ALL {
        println!("{}: at most {} MiB", role.binary(), fleet.process(role)?.memory_peak()? >> 20);
    }
    Ok(())
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
