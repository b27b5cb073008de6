//! From a request to its outcome, at a steady rate of price changes.

use std::time::Duration;

use anyhow::Result;
use tests::{Fleet, Stack};

use crate::{
    Run,
    commands::reprices,
    figures::{Figures, Pair, processor_times, spent},
    open_loop::{Plan, accepted, float},
    report::{Asked, Report},
    stages::Stages,
    warm::warm_up,
};

const RATE: u32 = 1_000;
const PRODUCTS: usize = 500;
/// More than are under way when all goes well, so that requests are sent when they are due.
const CONNECTIONS: usize = 512;
/// In milliseconds.
const ASKED: [f64; 2] = [12.0, 50.0];

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet, run: Run) -> Result<Report> {
    let rate = run.pick(RATE, 200);
    let long = run.pick(Duration::from_secs(60), Duration::from_secs(5));
    let template = reprices(fleet, "demo", run.pick(PRODUCTS, 100)).await?;
    let plan = |run| Plan { rate: rate.into(), run, connections: CONNECTIONS };
    let warmed = warm_up(stack, run, async |long| template.run(plan(long)).await.map(drop)).await?;
    let (mut took, mut sent, mut refused, mut late) =
        <(Pair, Figures, Figures, Figures)>::default();
    let (before, stages) = (processor_times(fleet, stack)?, Stages::read(fleet).await?);
    let mut all = 0;
    for _ in 0..run.repeats {
        let answers = template.run(plan(long)).await?;
        let latencies = accepted(&answers)?;
        took.add(&latencies);
        sent.add(float(answers.len()) / long.as_secs_f64());
        refused.add(float(answers.len() - latencies.count()));
        let waits = answers.iter().map(|answer| answer.unsent);
        late.add(waits.max().unwrap_or_default().as_secs_f64() * 1_000.0);
        all += latencies.count();
    }
    let mut report = Report::default();
    report.note(warmed);
    report.head(&format!("from request to outcome at {rate} price changes/s"));
    for (line, asked) in report.pair("answered", &took, None).into_iter().zip(ASKED) {
        report.ask(line, Asked::AtMost(asked));
    }
    report.alone("sent, 1/s", &sent);
    report.alone("not accepted", &refused);
    report.alone("longest that one was not sent, ms", &late);
    let after = Stages::read(fleet).await?;
    after.since(&stages).into_iter().for_each(|line| report.note(line));
    report.note(spent(&before, &processor_times(fleet, stack)?, all));
    Ok(report)
}
