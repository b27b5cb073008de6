//! A steady rate of changes, whatever the answers do, and how soon others see them meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use tests::{Fleet, Stack};
use tokio::{task::JoinSet, time::interval};

use crate::{
    REPEATS,
    commands::{Make, reprices, timed},
    figures::{Figures, Latencies, alone, head, processor_times, tell_processor_time},
    searchable::changes,
};

const RATE: u32 = 500;
/// The servers compile what they run often; until then they are several times slower.
const WARM_UP: Duration = Duration::from_secs(40);
const RUN: Duration = Duration::from_secs(15);
/// How many of the changes are waited for by a reader, in each run.
const WATCHED: u32 = 60;

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet) -> Result<()> {
    let (make, client) = (reprices(fleet).await?, fleet.client()?);
    let next = AtomicUsize::new(0);
    for_so_long(&make, &next, WARM_UP).await?;
    let mut figures: [Figures; 6] = Default::default();
    let before = processor_times(fleet, stack)?;
    for _ in 0..REPEATS {
        let (answers, seen) =
            tokio::join!(for_so_long(&make, &next, RUN), changes(&client, WATCHED));
        let (answers, (rows, documents)) = (answers?, seen?);
        let all = [answers, rows, documents];
        let values = all.iter().flat_map(|latencies| [latencies.at(0.5), latencies.at(0.99)]);
        figures.iter_mut().zip(values).for_each(|(figure, value)| figure.add(value));
    }
    let after = processor_times(fleet, stack)?;
    head(&format!("{RATE} changes/s"));
    let names = ["answered", "visible in MySQL", "visible in the search"];
    for (name, pair) in names.iter().zip(figures.chunks(2)) {
        for (figure, share) in pair.iter().zip(["p50", "p99"]) {
            alone(&format!("{name}, {share} ms"), figure);
        }
    }
    let changes = REPEATS * usize::try_from(RUN.as_secs() * u64::from(RATE))?;
    tell_processor_time(&before, &after, changes);
    Ok(())
}

async fn for_so_long(make: &Arc<Make>, next: &AtomicUsize, run: Duration) -> Result<Latencies> {
    let begin = Instant::now();
    steadily(make, next, RATE, || begin.elapsed() < run).await
}

/// So many requests in a second, while `goes_on` says so. A late answer delays no request, and
/// counts from when its request was due.
pub(crate) async fn steadily(
    make: &Arc<Make>,
    next: &AtomicUsize,
    rate: u32,
    goes_on: impl Fn() -> bool,
) -> Result<Latencies> {
    let mut beat = interval(Duration::from_secs(1) / rate);
    let mut under_way = JoinSet::new();
    while goes_on() {
        let due = beat.tick().await;
        let request = make(next.fetch_add(1, Relaxed));
        under_way.spawn(async move { timed(request).await.map(|_| due.elapsed()) });
    }
    let mut latencies = Latencies::new()?;
    while let Some(took) = under_way.join_next().await {
        latencies.add(took??)?;
    }
    Ok(latencies)
}
