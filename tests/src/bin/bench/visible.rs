//! How soon others see a change, at a steady rate of changes, in MySQL and in the search.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::{Client, Fleet, Stack, client::Request, samples};
use tokio::{task::JoinSet, time::interval};
use uuid::Uuid;

use crate::{
    Run,
    commands::reprices,
    figures::{Figures, Latencies, Pair, processor_times, spent},
    open_loop::{Plan, accepted, float},
    report::{Asked, Report},
    warm::warm_up,
};

/// Changes in a second, those that are watched among them.
const RATE: u32 = 500;
/// Of them, those that a reader of each kind waits for.
const WATCHED: u32 = 10;
const PRODUCTS: usize = 500;
const CONNECTIONS: usize = 256;
/// How long a new product may take to be seen at all.
const PATIENCE: Duration = Duration::from_secs(60);
/// In milliseconds.
const ASKED: [f64; 2] = [250.0, 1_000.0];

/// How long it took from when a change was due until it was answered, read, and found.
struct Seen {
    answered: Latencies,
    row: Latencies,
    document: Latencies,
}

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet, run: Run) -> Result<Report> {
    let (template, client) = (reprices(fleet, "demo", PRODUCTS).await?, fleet.client()?);
    let long = run.pick(Duration::from_secs(60), Duration::from_secs(5));
    let rate = run.pick(RATE, 100) - WATCHED;
    let plan = |run| Plan { rate: rate.into(), run, connections: CONNECTIONS };
    // That servers just started show nothing in time says nothing of them.
    let (begun, _) = tokio::join!(template.run(plan(long)), watch(&client, long));
    begun?;
    let round =
        async |long| tokio::try_join!(template.run(plan(long)), watch(&client, long)).map(drop);
    let warmed = warm_up(stack, run, round).await?;
    let (mut told, mut refused): ([Pair; 4], Figures) = Default::default();
    let (before, mut all) = (processor_times(fleet, stack)?, 0);
    for _ in 0..run.repeats {
        let (answers, seen) = tokio::try_join!(template.run(plan(long)), watch(&client, long))?;
        refused.add(float(answers.iter().filter(|answer| answer.code.is_some()).count()));
        let answers = accepted(&answers)?;
        all += answers.count() + seen.answered.count();
        let latencies = [answers, seen.answered, seen.row, seen.document];
        told.iter_mut().zip(&latencies).for_each(|(told, latencies)| told.add(latencies));
    }
    let mut report = Report::default();
    report.note(warmed);
    report.head(&format!("visible, at {} changes/s, from when they were due", rate + WATCHED));
    report.pair("answered, price changes", &told[0], None);
    report.pair("answered, new products", &told[1], None);
    report.alone("price changes not accepted", &refused);
    for ((what, told), asked) in
        ["a new product in MySQL", "a new product in the search"].iter().zip(&told[2..]).zip(ASKED)
    {
        let [_, p99] = report.pair(what, told, None);
        report.ask(p99, Asked::AtMost(asked));
    }
    report.note(spent(&before, &processor_times(fleet, stack)?, all));
    Ok(report)
}

/// Registers products at a steady rate, and looks for each at once.
async fn watch(client: &Client, run: Duration) -> Result<Seen> {
    let (mut beat, mut under_way) = (interval(Duration::from_secs(1) / WATCHED), JoinSet::new());
    let begin = Instant::now();
    while begin.elapsed() < run {
        let due = beat.tick().await.into_std();
        let client = client.clone();
        under_way.spawn(async move { one(&client, due).await });
    }
    let (answered, row, document) = (Latencies::new()?, Latencies::new()?, Latencies::new()?);
    let mut seen = Seen { answered, row, document };
    while let Some(one) = under_way.join_next().await {
        let [answered, row, document] = one??;
        seen.answered.add(answered)?;
        seen.row.add(row)?;
        seen.document.add(document)?;
    }
    Ok(seen)
}

/// What it took of one product.
async fn one(client: &Client, due: Instant) -> Result<[Duration; 3]> {
    let name = format!("측정 {}", Uuid::now_v7().simple());
    let (id, token) = client.register(&samples::plain(&name)).await?;
    let answered = due.elapsed();
    let until = async |read: &(dyn Fn() -> Request + Sync), of: fn(&Value) -> &Value| {
        let mut answer = read().seeing(&token).send().await?;
        // Not visible within what a read waits: as a client is told, it asks again.
        while answer.status == 503 && due.elapsed() < PATIENCE {
            answer = read().seeing(&token).send().await?;
        }
        let answer = answer.expect(200)?;
        let shown = of(&answer.body).as_str().context("nothing is shown")?;
        ensure!(shown == id, "{answer:?}");
        anyhow::Ok(due.elapsed())
    };
    let path = format!("/products/{id}");
    let (row, document) = (|| client.get(&path), || client.search(&name));
    let (row, document) = tokio::try_join!(
        until(&row, |body| &body["id"]),
        until(&document, |body| &body["hits"][0]["id"]),
    )?;
    Ok([answered, row, document])
}
