//! How long a partition decides nothing when one of two handlers goes: killed, or asked to.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use schemas::topic::{PARTITIONS, partition_of};
use tests::{Fleet, Process, Role, process::Signal, samples, until};

use crate::{
    Run,
    figures::Figures,
    open_loop::{Answer, Plan, Template},
    report::{Asked, Report},
};

const PRODUCTS: usize = 300;
const RATE: u32 = 500;
const WARM_UP: Duration = Duration::from_secs(20);
/// How long both are there before, and how long it goes on after.
const BEFORE: Duration = Duration::from_secs(6);
const AFTER: Duration = Duration::from_secs(16);
/// More than are waited for while half of the partitions have no owner.
const CONNECTIONS: usize = 4_000;
const PATIENCE: Duration = Duration::from_secs(60);
/// Seconds that a partition may decide nothing: the session time-out and 2 s where a handler is killed.
const ASKED: [f64; 2] = [8.0, 1.0];

/// The products whose prices change, by their partitions, and the requests that do it.
struct Load {
    partitions: Vec<i32>,
    template: Template,
}

/// The figures of one way to go.
#[derive(Default)]
struct Told {
    gap: Figures,
    sent: Figures,
    codes: BTreeMap<String, Figures>,
}

pub(crate) async fn measure(fleet: &mut Fleet, run: Run) -> Result<Report> {
    let load = Load::of(fleet).await?;
    // Servers that have just started take ten times as long.
    let warm = Plan { rate: RATE.into(), run: WARM_UP, connections: CONNECTIONS };
    load.template.run(warm).await?;
    let (mut told, mut report): ([Told; 2], Report) = Default::default();
    for _ in 0..run.repeats {
        for (told, signal) in told.iter_mut().zip([Signal::Kill, Signal::Terminate]) {
            told.hear(&load, &one(fleet, &load, signal).await?)?;
        }
    }
    for ((told, how), gap) in told.iter_mut().zip(["killed", "asked to stop"]).zip(ASKED) {
        report.head(&format!("{RATE} changes/s, one of two handlers {how}"));
        report.alone("longest gap of a partition, s", &told.gap).asked(Asked::AtMost(gap));
        report.alone("requests", &told.sent);
        for (code, counts) in &mut told.codes {
            counts.fill_up(run.repeats);
            report.alone(&format!("answered {code}"), counts);
        }
    }
    Ok(report)
}

/// A second handler joins, and goes in the middle of the load.
async fn one(fleet: &mut Fleet, load: &Load, signal: Signal) -> Result<Vec<Answer>> {
    let second = fleet.another(Role::Handler, "command-handler-2", None)?;
    let half = f64::from(PARTITIONS) / 2.0;
    owns(&second, half).await?;
    owns(fleet.process(Role::Handler)?, half).await?;
    let going = async {
        tokio::time::sleep(BEFORE).await;
        second.signal(signal)
    };
    let plan = Plan { rate: RATE.into(), run: BEFORE + AFTER, connections: CONNECTIONS };
    let (heard, ()) = tokio::try_join!(load.template.run(plan), going)?;
    owns(fleet.process(Role::Handler)?, f64::from(PARTITIONS)).await?;
    Ok(heard)
}

async fn owns(handler: &Process, partitions: f64) -> Result<()> {
    until("it owns its partitions", PATIENCE, async || {
        let owned = handler.metric("jangbu_partitions_owned").await?;
        Ok(((owned - partitions).abs() < 0.1).then_some(()))
    })
    .await
}

impl Load {
    async fn of(fleet: &Fleet) -> Result<Self> {
        let client = fleet.client()?;
        let (mut partitions, mut paths) = (vec![], vec![]);
        for number in 0..PRODUCTS {
            let (id, _) = client.register(&samples::plain(&format!("상품 {number}"))).await?;
            partitions.push(partition_of(&id, PARTITIONS));
            paths.push(format!("/v1/demo/products/{id}/reprice"));
        }
        Ok(Self { partitions, template: Template::reprices(fleet.base(), "demo-key", paths) })
    }
}

impl Told {
    fn hear(&mut self, load: &Load, answers: &[Answer]) -> Result<()> {
        let mut decided = BTreeMap::<i32, Vec<Instant>>::new();
        let mut codes = BTreeMap::<&str, u32>::new();
        for answer in answers {
            match &answer.code {
                None => {
                    let partition = load.partitions[answer.path];
                    decided.entry(partition).or_default().push(answer.due + answer.took);
                }
                Some(code) => *codes.entry(code).or_default() += 1,
            }
        }
        ensure!(decided.len() == usize::try_from(PARTITIONS)?, "a partition is silent");
        // A silence that lasts to the end is one.
        let end = decided.values().flatten().max().copied();
        for times in decided.values_mut() {
            times.extend(end);
            times.sort();
        }
        let gaps = decided.values().flat_map(|times| times.windows(2).map(|w| w[1] - w[0]));
        self.gap.add(gaps.max().unwrap_or_default().as_secs_f64());
        self.sent.add(u32::try_from(answers.len())?.into());
        for (code, count) in codes {
            self.codes.entry(code.to_owned()).or_default().add(count.into());
        }
        Ok(())
    }
}
