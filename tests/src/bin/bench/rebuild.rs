//! The whole log to rows, beside the version that is read: `jangbu replay`, against sorted multi-row
//! INSERTs of the same rows.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use schemas::{CATALOG, Codec, Registry};
use sqlx::MySqlPool;
use tests::{Fleet, Role, Stack, process};
use uuid::Uuid;

use crate::{
    REPEATS,
    append::append,
    events,
    figures::{Figures, alone, head, line},
    inserts::Rows,
};

const PRODUCTS: i64 = 300_000;
/// Later events of each product.
const LATER: i64 = 4;
/// Of so many products the first later events come, then the second ones, and so on.
const ROUND: i64 = 10_000;
/// As many connections as a rebuild writes by.
const CONNECTIONS: usize = 2;

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet) -> Result<()> {
    let db = MySqlPool::connect(stack.address("JANGBU_MYSQL")?).await?;
    for role in [Role::Handler, Role::Indexer, Role::Projector] {
        fleet.end(role)?;
    }
    let codec = Codec::load(Registry::new(stack.address("JANGBU_REGISTRY")?)?, &[CATALOG.events]);
    let (codec, kafka) = (codec.await?, stack.address("JANGBU_KAFKA")?);
    let registered = (0..PRODUCTS).map(|number| events::registered(&codec, id(number), number));
    append(kafka, &CATALOG.events, registered)?;
    let (mut ours, mut limit, mut bare) = <(Figures, Figures, Figures)>::default();
    for _ in 0..REPEATS {
        let (version, rate) = rebuilt(fleet, PRODUCTS).await?;
        ours.add(rate);
        let table = format!("products_v{version}");
        let rows = Rows::newest(&db, &table, usize::try_from(PRODUCTS)?).await?;
        limit.add(rows.insert(&db, "products_v1", CONNECTIONS).await?);
        bare.add(rows.insert_bare(&db, "products_v1", CONNECTIONS).await?);
        dropped(fleet, version).await?;
    }
    head(&format!("{PRODUCTS} products rebuilt into MySQL"));
    line("one event each, rows/s", &ours, &limit);
    line("... keys built afterwards too", &ours, &bare);
    append(
        kafka,
        &CATALOG.events,
        changes().map(|(number, version)| events::repriced(&codec, id(number), version, number)),
    )?;
    let mut several = Figures::default();
    for _ in 0..REPEATS {
        let (version, rate) = rebuilt(fleet, PRODUCTS * (1 + LATER)).await?;
        several.add(rate);
        dropped(fleet, version).await?;
    }
    alone("five events each, events/s", &several);
    Ok(())
}

/// As ids of imported products are: not in the order of their registration.
fn id(number: i64) -> Uuid {
    domain::id::derive(&["bench", &number.to_string()])
}

/// Products by their numbers, and versions.
fn changes() -> impl Iterator<Item = (i64, i64)> {
    (0..PRODUCTS / ROUND).flat_map(|round| {
        (2..=1 + LATER).flat_map(move |version| {
            (round * ROUND..(round + 1) * ROUND).map(move |number| (number, version))
        })
    })
}

/// The version that was filled, and how many of so many events in a second, from the start of the
/// tool to its end.
async fn rebuilt(fleet: &Fleet, events: i64) -> Result<(String, f64)> {
    let began = Instant::now();
    let words = ["replay", "start", "products"];
    let (status, printed) = process::run_beside("jangbu", &words, fleet.settings()).await?;
    let took = began.elapsed().as_secs_f64();
    ensure!(status.success(), "{printed}");
    for line in printed.lines().filter(|line| line.starts_with("products: ")) {
        println!("{line}");
    }
    let (_, version) = printed.split_once("filling version ").context("no version")?;
    let version = version.split_whitespace().next().context("no version")?.to_owned();
    Ok((version, f64::from(u32::try_from(events)?) / took))
}

async fn dropped(fleet: &Fleet, version: String) -> Result<()> {
    let words = ["replay", "drop", "products", "--version", &version];
    let (status, printed) = process::run_beside("jangbu", &words, fleet.settings()).await?;
    ensure!(status.success(), "{printed}");
    Ok(())
}
