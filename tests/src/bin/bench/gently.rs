//! A rebuild that is throttled, beside people who write and read, and through the swap to what it
//! has filled and back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tests::{Client, Fleet, Stack, until};

use crate::{
    Run,
    append::append,
    commands::reprices,
    events,
    figures::{Figures, Pair, processor_times, spent},
    imports::until_read,
    open_loop::{Answer, Plan, Template, accepted, float},
    replayed::{fill, id, with},
    report::{Asked, Report},
    warm::warm_up,
    wire::request,
};
use schemas::{CATALOG, Codec, Registry};

/// Products of which there is one event each, and more of those whose prices change.
const PRODUCTS: i64 = 120_000;
const REPRICED: usize = 500;
/// Price changes in a second, and reads.
const RATE: u32 = 500;
const READS: u32 = 50;
/// Records in a second that the rebuild may take: the fewer, the longer it takes, and the more of them
/// the writes beside it leave for the next.
const THROTTLE: u32 = 4_000;
const ALONE: Duration = Duration::from_secs(60);
const AN_HOUR: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(300);
const CONNECTIONS: usize = 256;
/// Times what it is without a rebuild.
const ASKED: f64 = 2.0;

/// The load, which is the same alone and beside a rebuild.
struct Load {
    writes: Template,
    reads: Template,
    rate: u32,
}

#[derive(Default)]
struct Told {
    alone: [Pair; 2],
    beside: [Pair; 2],
    rate: Figures,
    failed: Figures,
    refused: Figures,
}

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet, run: Run) -> Result<Report> {
    let products = run.pick(PRODUCTS, 2_000);
    known(stack, fleet, products).await?;
    let read = |number: i64| {
        let host = fleet.base().trim_start_matches("http://");
        request(host, &format!("GET /v1/demo/products/{}", id(number)), "demo-key", "")
    };
    let reads = Template::given(fleet.base(), (0..products).map(read).collect());
    let writes = reprices(fleet, "demo", run.pick(REPRICED, 100)).await?;
    let load = Load { writes, reads, rate: run.pick(RATE, 100) };
    let round = async |long| load.run(long, &Arc::default()).await.map(drop);
    let warmed = warm_up(stack, run, round).await?;
    let (mut told, before, mut all) = (Told::default(), processor_times(fleet, stack)?, 0);
    for _ in 0..run.repeats {
        all += one(fleet, &load, run, &mut told).await?;
    }
    let mut report = Report::default();
    report.head(&format!(
        "{} changes/s and {READS} reads/s beside a rebuild throttled to {THROTTLE} records/s",
        load.rate
    ));
    let [_, p99] = report.pair("a price change beside it", &told.beside[0], Some(&told.alone[0]));
    report.ask(p99, Asked::RatioBelow(ASKED));
    report.pair("a read beside it", &told.beside[1], Some(&told.alone[1]));
    report.alone("reads that failed, swaps included", &told.failed).asked(Asked::AtMost(0.0));
    report.alone("price changes not accepted", &told.refused);
    report.alone("the rebuild, records/s", &told.rate);
    report.note(warmed);
    report.note(spent(&before, &processor_times(fleet, stack)?, all));
    Ok(report)
}

/// Writes products to the log beside the handler, and waits until everybody has read them: their
/// owner has none of them in memory, and none changes.
async fn known(stack: &Stack, fleet: &Fleet, products: i64) -> Result<()> {
    let codec = Codec::load(Registry::new(stack.address("JANGBU_REGISTRY")?)?, &[CATALOG.events]);
    let codec = codec.await?;
    let registered = (0..products).map(|number| events::registered(&codec, id(number), number));
    append(stack.address("JANGBU_KAFKA")?, &CATALOG.events, registered)?;
    let client: Client = fleet.client()?;
    until("the last product is read", PATIENCE, async || {
        let answer = client.get(&format!("/products/{}", id(products - 1))).send().await?;
        Ok((answer.status == 200).then_some(()))
    })
    .await?;
    until_read(fleet).await.map(drop)
}

impl Load {
    async fn run(&self, run: Duration, ended: &Arc<AtomicBool>) -> Result<[Vec<Answer>; 2]> {
        let plan = |rate: u32| Plan { rate: rate.into(), run, connections: CONNECTIONS };
        let writes = self.writes.run_until(plan(self.rate), ended);
        let reads = Plan { connections: CONNECTIONS / 8, ..plan(READS) };
        let reads = self.reads.run_until(reads, ended);
        let (writes, reads) = tokio::try_join!(writes, reads)?;
        Ok([writes, reads])
    }
}

/// The load alone, then beside a rebuild and two swaps; how many requests that were.
async fn one(fleet: &Fleet, load: &Load, run: Run, told: &mut Told) -> Result<usize> {
    let alone = load.run(run.pick(ALONE, ALONE / 4), &Arc::default()).await?;
    let ended = Arc::new(AtomicBool::new(false));
    let rebuilding = async {
        let outcome = rebuilt(fleet).await;
        ended.store(true, Relaxed);
        outcome
    };
    let (rebuilt, beside) = tokio::join!(rebuilding, load.run(AN_HOUR, &ended));
    let beside = beside?;
    told.rate.add(rebuilt?);
    for at in 0..2 {
        told.alone[at].add(&accepted(&alone[at])?);
        told.beside[at].add(&accepted(&beside[at])?);
    }
    let refused =
        |answers: &[Answer]| answers.iter().filter(|answer| answer.code.is_some()).count();
    told.refused.add(float(refused(&beside[0])));
    told.failed.add(float(refused(&beside[1])));
    Ok(alone.iter().chain(&beside).map(Vec::len).sum())
}

/// Fills a version, makes it the active one, then that of before again, and drops it; the records
/// in a second of the filling.
async fn rebuilt(fleet: &Fleet) -> Result<f64> {
    let filled = fill(fleet, &["products", "--throttle", &THROTTLE.to_string()]).await?;
    let told = filled.printed.lines().find(|line| line.contains("is level with the log: "));
    let rate = told.and_then(|line| line.rsplit_once(", ")?.1.trim_end_matches("/s").parse().ok());
    let began = Instant::now();
    for version in [&filled.version, "1"] {
        with(fleet, "swap", "products", version).await?;
    }
    ensure!(began.elapsed() < PATIENCE, "the swaps took {:?}", began.elapsed());
    with(fleet, "drop", "products", &filled.version).await?;
    Ok(rate.unwrap_or(f64::NAN))
}
