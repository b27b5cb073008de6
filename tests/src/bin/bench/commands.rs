//! Acknowledged price changes over HTTP.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use reqwest::RequestBuilder;
use tests::{Fleet, Stack, samples};
use tokio::task::JoinSet;

use crate::{
    REPEATS,
    figures::{Figures, Latencies, head, line, processor_times, tell_processor_time},
    raw::BareLoop,
};

const PRODUCTS: usize = 500;
const ONE_AT_A_TIME: usize = 400;
const AT_ONCE: usize = 64;
const RUN: Duration = Duration::from_secs(8);

/// Makes the request of a number; the numbers run on, so that no price comes twice in a row.
pub(crate) type Make = dyn Fn(usize) -> RequestBuilder + Send + Sync;

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet) -> Result<()> {
    let ours = reprices(fleet).await?;
    let bare = BareLoop::start(stack.address("JANGBU_KAFKA")?).await?;
    let (http, address) = (reqwest::Client::new(), bare.address.clone());
    let limit: Arc<Make> = Arc::new(move |number| http.post(&address).json(&body(number)));
    compare(stack, fleet, &ours, &limit).await
}

/// Changes the prices of new products, each in turn.
pub(crate) async fn reprices(fleet: &Fleet) -> Result<Arc<Make>> {
    let client = fleet.client()?;
    let mut paths = Vec::new();
    for number in 0..PRODUCTS {
        let (id, _) = client.register(&samples::plain(&format!("상품 {number}"))).await?;
        paths.push(format!("{}/v1/demo/products/{id}/reprice", fleet.base()));
    }
    let http = reqwest::Client::new();
    Ok(Arc::new(move |number| {
        let path = &paths[number % paths.len()];
        http.post(path).bearer_auth("demo-key").json(&body(number))
    }))
}

fn body(number: usize) -> serde_json::Value {
    samples::reprice(i64::try_from(number).unwrap_or(0) + 1)
}

async fn compare(
    stack: &Stack,
    fleet: &mut Fleet,
    ours: &Arc<Make>,
    limit: &Arc<Make>,
) -> Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut figures: [[Figures; 2]; 4] = Default::default();
    let mut spent = None;
    for turn in 0..=REPEATS {
        for (side, make) in [ours, limit].into_iter().enumerate() {
            let single = one_at_a_time(make, &next).await?;
            let before = processor_times(fleet, stack)?;
            let (rate, many) = flat_out(make, &next).await?;
            // The first turn warms up.
            if turn == 0 {
                continue;
            }
            let values = [single.at(0.5), single.at(0.99), rate, many.at(0.5)];
            figures.iter_mut().zip(values).for_each(|(all, value)| all[side].add(value));
            if side == 0 {
                spent = Some((before, processor_times(fleet, stack)?, rate));
            }
        }
    }
    head("reprice over HTTP");
    let names = [
        "one at a time, p50 ms",
        "one at a time, p99 ms",
        "64 at once, commands/s",
        "64 at once, p50 ms",
    ];
    for (name, [ours, limit]) in names.iter().zip(&figures) {
        line(name, ours, limit);
    }
    if let Some((before, after, rate)) = spent {
        tell_processor_time(&before, &after, whole(rate * RUN.as_secs_f64()));
    }
    Ok(())
}

async fn one_at_a_time(make: &Arc<Make>, next: &AtomicUsize) -> Result<Latencies> {
    let mut latencies = Latencies::new()?;
    for _ in 0..ONE_AT_A_TIME {
        latencies.add(timed(make(next.fetch_add(1, Relaxed))).await?)?;
    }
    Ok(latencies)
}

/// As many as the machine can, with a fixed number under way.
pub(crate) async fn flat_out(
    make: &Arc<Make>,
    next: &Arc<AtomicUsize>,
) -> Result<(f64, Latencies)> {
    let (mut writers, begin) = (JoinSet::new(), Instant::now());
    for _ in 0..AT_ONCE {
        let (make, next) = (make.clone(), next.clone());
        writers.spawn(async move {
            let mut took = Vec::new();
            while begin.elapsed() < RUN {
                took.push(timed(make(next.fetch_add(1, Relaxed))).await?);
            }
            anyhow::Ok(took)
        });
    }
    let (mut latencies, mut count) = (Latencies::new()?, 0_u32);
    while let Some(took) = writers.join_next().await {
        for took in took?? {
            latencies.add(took)?;
            count += 1;
        }
    }
    Ok((f64::from(count) / begin.elapsed().as_secs_f64(), latencies))
}

pub(crate) async fn timed(request: RequestBuilder) -> Result<Duration> {
    let begin = Instant::now();
    let answer = request.send().await?;
    let status = answer.status();
    answer.bytes().await?;
    ensure!(status.as_u16() == 200, "{status}");
    Ok(begin.elapsed())
}

fn whole(number: f64) -> usize {
    format!("{number:.0}").parse().unwrap_or(0)
}
