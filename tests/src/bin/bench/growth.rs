//! What a product costs where there are many: the rebuilds, a search, a command, memory and disk, at
//! one size.

use std::{env, fs, path::Path, time::Duration};

use anyhow::{Result, ensure};
use tests::{Fleet, Role, Stack, until};

use crate::{
    Run,
    figures::{Figures, memory, processor_times, spent},
    open_loop::Template,
    replayed::{Filled, fill, id, rate, register, with},
    report::Report,
    searches::query,
    wire::request,
};

/// The sizes, unless `SIZES` says so.
pub(crate) const SIZES: &str = "300000,1000000,3000000";
const QUERIES: i64 = 1_000;
const AT_ONCE: usize = 8;
const WARM_UP: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);
const SEARCHING: Duration = Duration::from_secs(20);
/// Up to so many products all is repeated, above only the price changes.
const FEW: i64 = 500_000;
/// Products whose owner has them in memory once each has been changed.
const REMEMBERED: usize = 2_000;
const CHANGING: Duration = Duration::from_secs(10);
const CHANGES_AT_ONCE: usize = 64;
/// What commands need besides.
const FURTHER: [&str; 3] = ["snapshot", "command_status", "history"];
/// What is filled, each from what stands above it, and how that is called.
const FILLED: [(&str, &str); 3] = [
    ("products", "rows/s of a rebuild"),
    ("directory", ""),
    ("search", "documents/s of an index rebuild"),
];
const SERVERS: [&str; 3] = ["kafka", "mysql", "opensearch"];

pub(crate) async fn measure(
    stack: &Stack,
    fleet: &mut Fleet,
    run: Run,
    products: i64,
) -> Result<Report> {
    let empty = disk(stack)?;
    register(stack, fleet, products).await?;
    let mut report = Report::default();
    report.head(&format!("{products} products"));
    // Many products take long, and their figures scatter little.
    let is_once = products > FEW && env::var("REPEATS").is_err();
    report.repeats = if is_once { 1 } else { run.repeats };
    let mut room = beyond(empty, &disk(stack)?);
    for (name, what) in FILLED {
        let mut fills = vec![];
        let repeats = if what.is_empty() { 1 } else { report.repeats };
        for _ in 1..repeats {
            let filled = fill(fleet, &[name]).await?;
            with(fleet, "drop", name, &filled.version).await?;
            fills.push(filled);
        }
        // What is repeated leaves more in the binary log than one fill does.
        let before = disk(stack)?;
        fills.push(filled(fleet, name).await?);
        let more = beyond(before, &disk(stack)?);
        room.iter_mut().zip(more).for_each(|(room, more)| *room += more);
        if !what.is_empty() {
            told(&mut report, what, products, &fills)?;
        }
    }
    let client = fleet.client()?;
    until("the index is read", PATIENCE, async || {
        let answer = client.search("무선청소기").send().await?;
        Ok(answer.body["total"].as_u64().filter(|total| *total > 0))
    })
    .await?;
    let asked = (0..QUERIES).map(|number| asked(fleet, number)).collect::<Result<_>>()?;
    let template = Template::given(fleet.base(), asked);
    template.flat_out(AT_ONCE, run.pick(WARM_UP, WARM_UP / 5)).await?;
    let found = template.flat_out(AT_ONCE, run.pick(SEARCHING, SEARCHING / 5)).await?;
    report.alone("searches/s, 8 at once", &Figures::once(found.rate));
    report.alone("a search, p50 ms", &Figures::once(found.latencies.at(0.5)));
    report.alone("a search, p99 ms", &Figures::once(found.latencies.at(0.99)));
    for (server, bytes) in SERVERS.iter().zip(room) {
        let each = bytes / u64::try_from(products)?.max(1);
        let each = f64::from(u32::try_from(each)?);
        report.alone(&format!("disk of {server}, bytes per product"), &Figures::once(each));
    }
    changes(stack, fleet, run, products, &mut report).await?;
    let of_servers = stack.memory_peaks()?.into_iter();
    let of_servers = of_servers.map(|(server, bytes)| format!("{server} {}", bytes >> 20));
    report.note(format!("{}, {}", memory(fleet)?, of_servers.collect::<Vec<_>>().join(", ")));
    Ok(report)
}

/// Brings the others to where they can go on, and changes prices all over the catalog: of products
/// that are in memory, then of others, which are loaded for it.
async fn changes(
    stack: &Stack,
    fleet: &mut Fleet,
    run: Run,
    products: i64,
    report: &mut Report,
) -> Result<()> {
    for name in FURTHER {
        filled(fleet, name).await?;
    }
    for role in [Role::Handler, Role::Projector, Role::Indexer] {
        fleet.restart(role, None)?;
    }
    fleet.mend().await?;
    let (base, long) = (fleet.base().to_owned(), run.pick(CHANGING, CHANGING / 5));
    let of = |paths| Template::reprices(&base, "demo-key", paths);
    // No product is in two of the sets, each of which is larger than what a turn can change.
    let mut sets = vec![vec![]; run.repeats + 1];
    for (number, set) in (0..products).zip((0..=run.repeats).cycle()) {
        sets[set].push(format!("/v1/demo/products/{}/reprice", id(number)));
    }
    let mut remembered = sets.swap_remove(0);
    remembered.truncate(REMEMBERED);
    let remembered = of(remembered);
    remembered.flat_out(CHANGES_AT_ONCE, run.pick(WARM_UP, WARM_UP / 5)).await?;
    let remembered = vec![remembered; run.repeats];
    let others = sets.into_iter().map(of).collect();
    for (of_which, turns) in [("in memory", remembered), ("of others", others)] {
        let (before, mut rates, mut all) = (processor_times(fleet, stack)?, Figures::default(), 0);
        for template in turns {
            let done = template.flat_out(CHANGES_AT_ONCE, long).await?;
            ensure!(done.refused == 0, "{} price changes were refused", done.refused);
            rates.add(done.rate);
            all += done.latencies.count();
        }
        let what = format!("price changes/s, 64 at once, {of_which}");
        report.alone(&what, &rates);
        report.note(format!("{what}, {}", spent(&before, &processor_times(fleet, stack)?, all)));
    }
    Ok(())
}

/// Fills a version, which becomes the active one.
async fn filled(fleet: &Fleet, name: &str) -> Result<Filled> {
    let filled = fill(fleet, &[name]).await?;
    with(fleet, "swap", name, &filled.version).await?;
    Ok(filled)
}

fn told(report: &mut Report, what: &str, products: i64, filled: &[Filled]) -> Result<()> {
    let mut figures = Figures::default();
    for filled in filled {
        figures.add(rate(products, filled.took)?);
    }
    report.alone(what, &figures);
    let most = filled.iter().map(|filled| filled.memory).max().unwrap_or_default();
    report.note(format!("{what}, jangbu replay: at most {} MiB", most >> 20));
    Ok(())
}

/// Searches whose words are those of some products, each with other prices.
fn asked(fleet: &Fleet, number: i64) -> Result<Vec<u8>> {
    let host = fleet.base().trim_start_matches("http://");
    let words = crate::events::name(number);
    let (words, _) = words.rsplit_once(' ').unwrap_or((&words, ""));
    let path = query(words, number, number + 1_000_000_000)?;
    Ok(request(host, &format!("GET {path}"), "demo-key", ""))
}

/// How much more each has.
fn beyond(before: Vec<u64>, now: &[u64]) -> Vec<u64> {
    now.iter().zip(before).map(|(now, before)| now.saturating_sub(before)).collect()
}

/// Bytes on disk of each server.
fn disk(stack: &Stack) -> Result<Vec<u64>> {
    SERVERS.iter().map(|server| size(&stack.folder().join(server))).collect()
}

fn size(folder: &Path) -> Result<u64> {
    let mut all = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Servers delete files meanwhile.
        let Ok(known) = entry.metadata() else { continue };
        all += if known.is_dir() { size(&entry.path()).unwrap_or(0) } else { blocks(&known) };
    }
    Ok(all)
}

/// What a file takes, which may be less than its length.
fn blocks(known: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(known) * 512
}
