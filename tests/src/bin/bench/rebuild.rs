//! The whole log to rows, beside the version that is read: `jangbu replay`, against sorted multi-row
//! INSERTs of the same rows.

use anyhow::Result;
use schemas::CATALOG;
use sqlx::MySqlPool;
use tests::{Fleet, Stack};

use crate::{
    Run,
    append::append,
    events,
    figures::Figures,
    inserts::Rows,
    replayed::{fill, id, rate, register, with},
    report::{Asked, Report},
};

const PRODUCTS: i64 = 300_000;
/// Later events of each product.
const LATER: i64 = 4;
/// Of so many products the first later events come, then the second ones, and so on.
const ROUND: i64 = 10_000;
/// As many connections as a rebuild writes by.
const CONNECTIONS: usize = 2;
/// Of the sorted INSERTs.
const ASKED: f64 = 0.6;
/// Events in a second, where there are five of each product.
const ASKED_OF_EVENTS: f64 = 150_000.0;

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet, run: Run) -> Result<Report> {
    let products = run.pick(PRODUCTS, ROUND);
    let db = MySqlPool::connect(stack.address("JANGBU_MYSQL")?).await?;
    let codec = register(stack, fleet, products).await?;
    let (mut ours, mut limit, mut bare) = <(Figures, Figures, Figures)>::default();
    let mut report = Report::default();
    for repeat in 0..=run.repeats {
        let filled = fill(fleet, &["products"]).await?;
        let table = format!("products_v{}", filled.version);
        let rows = Rows::newest(&db, &table, usize::try_from(products)?).await?;
        let inserted = rows.insert(&db, "products_v1", CONNECTIONS).await?;
        let inserted_bare = rows.insert_bare(&db, "products_v1", CONNECTIONS).await?;
        with(fleet, "drop", "products", &filled.version).await?;
        // The first turn warms up.
        if repeat > 0 {
            ours.add(rate(products, filled.took)?);
            limit.add(inserted);
            bare.add(inserted_bare);
            report.notes = vec![format!("jangbu replay: at most {} MiB", filled.memory >> 20)];
        }
    }
    report.head(&format!("{products} products rebuilt into MySQL, beside sorted INSERTs"));
    report.line("one event each, rows/s", &ours, &limit).asked(Asked::RatioAtLeast(ASKED));
    report.line("the same, keys built afterwards too, rows/s", &ours, &bare);
    let later = changes(products);
    let later =
        later.map(|(number, version)| events::repriced(&codec, id(number), version, number));
    append(stack.address("JANGBU_KAFKA")?, &CATALOG.events, later)?;
    let mut several = Figures::default();
    for _ in 0..run.repeats {
        let filled = fill(fleet, &["products"]).await?;
        several.add(rate(products * (1 + LATER), filled.took)?);
        with(fleet, "drop", "products", &filled.version).await?;
    }
    report.alone("five events each, events/s", &several).asked(Asked::AtLeast(ASKED_OF_EVENTS));
    Ok(report)
}

/// Products by their numbers, and versions.
fn changes(products: i64) -> impl Iterator<Item = (i64, i64)> {
    (0..products / ROUND).flat_map(|round| {
        (2..=1 + LATER).flat_map(move |version| {
            (round * ROUND..(round + 1) * ROUND).map(move |number| (number, version))
        })
    })
}
