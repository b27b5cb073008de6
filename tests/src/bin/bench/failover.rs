//! How long a partition decides nothing when one of two handlers goes: killed, or asked to.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use schemas::topic::{PARTITIONS, partition_of};
use tests::{Client, Fleet, Process, Role, process::Signal, samples, until};
use tokio::{task::JoinSet, time::interval};

use crate::{
    REPEATS,
    figures::{Figures, alone, head},
};

const PRODUCTS: usize = 300;
const RATE: u32 = 500;
/// How long both are there before, and how long it goes on after.
const BEFORE: Duration = Duration::from_secs(6);
const AFTER: Duration = Duration::from_secs(16);
const PATIENCE: Duration = Duration::from_secs(60);

/// What was answered, and when each partition was heard of.
#[derive(Default)]
struct Heard {
    decided: BTreeMap<i32, Vec<Instant>>,
    pending: u32,
    failed: u32,
}

/// The figures of one way to go.
#[derive(Default)]
struct Told {
    gap: Figures,
    pending: Figures,
    failed: Figures,
}

pub(crate) async fn measure(fleet: &mut Fleet) -> Result<()> {
    let client = fleet.client()?;
    let mut products = Vec::new();
    for number in 0..PRODUCTS {
        products.push(client.register(&samples::plain(&format!("상품 {number}"))).await?.0);
    }
    let mut told: [Told; 2] = Default::default();
    for _ in 0..REPEATS {
        for (told, signal) in told.iter_mut().zip([Signal::Kill, Signal::Terminate]) {
            let heard = one(fleet, &client, &products, signal).await?;
            ensure!(heard.decided.len() == usize::try_from(PARTITIONS)?, "a partition is silent");
            told.gap.add(heard.longest_gap().as_secs_f64());
            told.pending.add(heard.pending.into());
            told.failed.add(heard.failed.into());
        }
    }
    for (told, how) in told.iter().zip(["killed", "asked to stop"]) {
        head(&format!("{RATE} changes/s, one of two handlers {how}"));
        alone("longest gap of a partition, s", &told.gap);
        alone("answered 202", &told.pending);
        alone("failed", &told.failed);
    }
    Ok(())
}

/// A second handler joins, and goes in the middle of the load.
async fn one(
    fleet: &mut Fleet,
    client: &Client,
    products: &[String],
    signal: Signal,
) -> Result<Heard> {
    let second = fleet.another(Role::Handler, "command-handler-2", None)?;
    let half = f64::from(PARTITIONS) / 2.0;
    owns(&second, half).await?;
    owns(fleet.process(Role::Handler)?, half).await?;
    let going = async {
        tokio::time::sleep(BEFORE).await;
        second.signal(signal)
    };
    let (heard, gone) = tokio::join!(steadily(client, products), going);
    gone?;
    owns(fleet.process(Role::Handler)?, f64::from(PARTITIONS)).await?;
    heard
}

async fn owns(handler: &Process, partitions: f64) -> Result<()> {
    until("it owns its partitions", PATIENCE, async || {
        let owned = handler.metric("jangbu_partitions_owned").await?;
        Ok(((owned - partitions).abs() < 0.1).then_some(()))
    })
    .await
}

async fn steadily(client: &Client, products: &[String]) -> Result<Heard> {
    let (mut beat, begin) = (interval(Duration::from_secs(1) / RATE), Instant::now());
    let (mut under_way, mut price) = (JoinSet::new(), 0);
    while begin.elapsed() < BEFORE + AFTER {
        beat.tick().await;
        price += 1;
        let product = products[usize::try_from(price)? % products.len()].clone();
        let request =
            client.post(&format!("/products/{product}/reprice"), &samples::reprice(price));
        under_way.spawn(async move {
            let status = request.send().await.map_or(0, |answer| answer.status);
            (partition_of(&product, PARTITIONS), status, Instant::now())
        });
    }
    let mut heard = Heard::default();
    while let Some(answer) = under_way.join_next().await {
        let (partition, status, at) = answer?;
        match status {
            200 => heard.decided.entry(partition).or_default().push(at),
            202 => heard.pending += 1,
            _ => heard.failed += 1,
        }
    }
    heard.decided.values_mut().for_each(|times| times.sort());
    Ok(heard)
}

impl Heard {
    fn longest_gap(&self) -> Duration {
        let gaps = self.decided.values().flat_map(|times| times.windows(2).map(|w| w[1] - w[0]));
        gaps.max().unwrap_or_default()
    }
}
