//! An import, what it takes, and what it does to whoever waits for price changes meanwhile.

use std::{
    env, fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    REPEATS,
    commands::{Make, reprices},
    figures::{Figures, alone, head, line, processor_times, tell_processor_time},
    steady::steadily,
};
use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use tests::{
    Fleet, Role, Stack,
    process::{self, Settings},
    until,
};

/// How many products an import has, unless `JANGBU_BENCH_PRODUCTS` says so; large ones are not
/// repeated.
const PRODUCTS: &str = "20000";
/// Price changes in a second: those of a few people, not a load of its own.
const RATE: u32 = 40;
const ALONE: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(300);
const AN_HOUR: Duration = Duration::from_secs(3600);

/// Figures of all repeats.
#[derive(Default)]
struct Told {
    rate: Figures,
    again: Figures,
    behind: Figures,
    p50: [Figures; 2],
    p99: [Figures; 2],
}

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet) -> Result<()> {
    let products = env::var("JANGBU_BENCH_PRODUCTS").unwrap_or_else(|_| PRODUCTS.to_owned());
    let (make, next) = (reprices(fleet).await?, AtomicUsize::new(0));
    let first = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let mut told = Told::default();
    let (mut before, mut commands) = (processor_times(fleet, stack)?, 0);
    let repeats = if products.len() > PRODUCTS.len() { 1 } else { REPEATS };
    for repeat in 0..=repeats {
        // The first is short, and warms up.
        let number = if repeat == 0 { "2000" } else { &products };
        let seed = (first + u64::try_from(repeat)?).to_string();
        let file = env::temp_dir().join(format!("jangbu-bench-{seed}.ndjson"));
        generate(&file, number, &seed)?;
        if repeat == 0 {
            import(fleet, &file).await?;
            before = processor_times(fleet, stack)?;
        } else {
            commands += one(fleet, &file, &make, &next, &mut told).await?;
        }
        fs::remove_file(&file)?;
    }
    head(&format!("an import of {products} products"));
    alone("commands/s", &told.rate);
    alone("again, nothing new, s", &told.again);
    alone("everybody has read it after, s", &told.behind);
    line("a price change meanwhile, p50 ms", &told.p50[1], &told.p50[0]);
    line("a price change meanwhile, p99 ms", &told.p99[1], &told.p99[0]);
    tell_processor_time(&before, &processor_times(fleet, stack)?, commands);
    tell_memory(fleet)
}

fn generate(file: &Path, products: &str, seed: &str) -> Result<()> {
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
    make: &Arc<Make>,
    next: &AtomicUsize,
    told: &mut Told,
) -> Result<usize> {
    let begin = Instant::now();
    let quiet = steadily(make, next, RATE, || begin.elapsed() < ALONE).await?;
    let (begin, ended) = (Instant::now(), AtomicBool::new(false));
    let importing = async {
        let commands = import(fleet, file).await;
        ended.store(true, Relaxed);
        commands.map(|commands| (commands, begin.elapsed()))
    };
    let beside = steadily(make, next, RATE, || !ended.load(Relaxed));
    let (imported, beside) = tokio::join!(importing, beside);
    let ((commands, took), beside) = (imported?, beside?);
    told.behind.add(until_read(fleet).await?.as_secs_f64());
    told.rate.add(f64::from(u32::try_from(commands)?) / took.as_secs_f64());
    for (share, figures) in [(0.5, &mut told.p50), (0.99, &mut told.p99)] {
        figures[0].add(quiet.at(share));
        figures[1].add(beside.at(share));
    }
    let begin = Instant::now();
    import(fleet, file).await?;
    told.again.add(begin.elapsed().as_secs_f64());
    Ok(commands)
}

/// Runs `jangbu import`; answers how many commands it sent.
async fn import(fleet: &Fleet, file: &Path) -> Result<usize> {
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
async fn until_read(fleet: &Fleet) -> Result<Duration> {
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

fn tell_memory(fleet: &mut Fleet) -> Result<()> {
    let mut parts = vec![];
    for role in Role::ALL {
        let bytes = fleet.process(role)?.memory_peak()?;
        parts.push(format!("{} {}", role.binary(), bytes >> 20));
    }
    println!("memory at most, MiB: {}", parts.join(", "));
    Ok(())
}
