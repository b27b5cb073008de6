//! An import, what it takes, and what it does to whoever waits for price changes meanwhile.

use std::{
    env, fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use tests::{
    Fleet, Stack,
    process::{self, Settings},
    until,
};

use crate::{
    Run,
    commands::reprices,
    figures::{Figures, Latencies, Pair, memory, processor_times, spent},
    open_loop::{Plan, Template, accepted, float},
    report::{Asked, Report},
};

/// How many products an import has, unless `JANGBU_BENCH_PRODUCTS` says so; large ones are not
/// repeated.
const PRODUCTS: &str = "20000";
/// Price changes in a second: those of a few people, not a load of its own.
const RATE: u32 = 40;
const REPRICED: usize = 500;
const CONNECTIONS: usize = 64;
const ALONE: Duration = Duration::from_secs(60);
/// Times what it is without an import.
const ASKED: f64 = 2.0;
const PATIENCE: Duration = Duration::from_secs(300);
const AN_HOUR: Duration = Duration::from_secs(3600);

/// Figures of all repeats.
#[derive(Default)]
struct Told {
    rate: Figures,
    again: Figures,
    behind: Figures,
    alone: Pair,
    beside: Pair,
    refused: Figures,
}

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet, run: Run) -> Result<Report> {
    let usual = run.pick(PRODUCTS, "2000");
    let products = env::var("JANGBU_BENCH_PRODUCTS").unwrap_or_else(|_| usual.to_owned());
    let template = reprices(fleet, "demo", REPRICED).await?;
    let first = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let mut told = Told::default();
    let (mut before, mut commands) = (processor_times(fleet, stack)?, 0);
    let repeats = if products.len() > PRODUCTS.len() { 1 } else { run.repeats };
    for repeat in 0..=repeats {
        // The first is short, and warms up.
        let number = if repeat == 0 { "2000" } else { &products };
        let seed = (first + u64::try_from(repeat)?).to_string();
        let file = env::temp_dir().join(format!("jangbu-bench-{seed}.ndjson"));
        generate(&file, number, &seed)?;
        if repeat == 0 {
            import(fleet, &file).await?;
            alone(&template).await?;
            before = processor_times(fleet, stack)?;
        } else {
            commands += one(fleet, &file, &template, &mut told).await?;
        }
        fs::remove_file(&file)?;
    }
    let mut report = Report::default();
    report.head(&format!("an import of {products} products, price changes at {RATE}/s beside it"));
    report.alone("imported, commands/s", &told.rate);
    report.alone("again, nothing new, s", &told.again);
    report.alone("everybody has read it after, s", &told.behind);
    let [_, p99] = report.pair("a price change beside it", &told.beside, Some(&told.alone));
    report.ask(p99, Asked::RatioBelow(ASKED));
    report.alone("price changes not accepted", &told.refused);
    report.note(spent(&before, &processor_times(fleet, stack)?, commands));
    report.note(memory(fleet)?);
    Ok(report)
}

async fn alone(template: &Template) -> Result<Latencies> {
    let plan = Plan { rate: RATE.into(), run: ALONE, connections: CONNECTIONS };
    accepted(&template.run(plan).await?)
}

pub(crate) fn generate(file: &Path, products: &str, seed: &str) -> Result<()> {
    let path = file.to_str().context("a path")?;
    let words = ["generate", "--products", products, "--seed", seed, "--out", path];
    let (made, printed) = process::run("jangbu", &words, &Settings::new())?;
    ensure!(made.success(), "{printed}");
    Ok(())
}

/// Imports the file beside price changes, and then again; answers how many commands it held.
async fn one(
    fleet: &mut Fleet,
    file: &Path,
    template: &Template,
    told: &mut Told,
) -> Result<usize> {
    let quiet = alone(template).await?;
    let (begin, ended) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let importing = async {
        let commands = import(fleet, file).await;
        ended.store(true, Relaxed);
        commands.map(|commands| (commands, begin.elapsed()))
    };
    let plan = Plan { rate: RATE.into(), run: AN_HOUR, connections: CONNECTIONS };
    let (imported, beside) = tokio::join!(importing, template.run_until(plan, &ended));
    let (commands, took) = imported?;
    told.behind.add(until_read(fleet).await?.as_secs_f64());
    told.rate.add(float(commands) / took.as_secs_f64());
    told.alone.add(&quiet);
    let beside = beside?;
    told.refused.add(float(beside.iter().filter(|answer| answer.code.is_some()).count()));
    told.beside.add(&accepted(&beside)?);
    let begin = Instant::now();
    import(fleet, file).await?;
    told.again.add(begin.elapsed().as_secs_f64());
    Ok(commands)
}

/// Runs `jangbu import`; answers how many commands it sent.
pub(crate) async fn import(fleet: &Fleet, file: &Path) -> Result<usize> {
    let (api, file) = (fleet.base().to_owned(), file.to_owned());
    let run = move || {
        let file = file.to_str().context("a path")?;
        let words = ["import", file, "--api", &api, "--key", "demo-key"];
        process::run("jangbu", &words, &Settings::new())
    };
    let importing = thread::spawn(run);
    until("the import ends", AN_HOUR, async || Ok(importing.is_finished().then_some(()))).await?;
    let (ended, printed) = importing.join().map_err(|_| anyhow!("the import panicked"))??;
    ensure!(ended.success() && printed.contains(" 0 refused"), "{printed}");
    let commands = printed.split_whitespace().next().and_then(|word| word.parse().ok());
    commands.with_context(|| format!("how many? {printed}"))
}

/// How long it takes until every reader stands at the end of the log.
pub(crate) async fn until_read(fleet: &Fleet) -> Result<Duration> {
    let begin = Instant::now();
    until("everybody has read everything", PATIENCE, async || {
        let (_, printed) = fleet.jangbu(&["status", "--json"])?;
        let status: Value = serde_json::from_str(&printed).with_context(|| printed.clone())?;
        let readers = status["readers"].as_array().context("no readers")?;
        let of = readers.iter().flat_map(|reader| reader["partitions"].as_array());
        let are_there = of.flatten().all(|at| at["behind"].as_i64() == Some(0));
        Ok(are_there.then_some(()))
    })
    .await?;
    Ok(begin.elapsed())
}
