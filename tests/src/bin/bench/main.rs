//! How fast each path is, beside the raw speed of what it stands on, measured in the same run.
//!
//! `bench [CASE..]` measures those cases, or all; `bench small` all that a few seconds say something
//! of; `bench page` makes the page of what was kept. `REPEATS` says how often each
//! is measured, `SIZES` the numbers of products of the case `growth`, and `SETTINGS` what the processes
//! are told, such as `command_queue_ms=10`: of what else is in the environment they see nothing.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

mod append;
mod backlog;
mod chart;
mod commands;
mod documents;
mod events;
mod failover;
mod figures;
mod gently;
mod growth;
mod imports;
mod indexed;
mod inserts;
mod open_loop;
mod outcome;
mod overload;
mod page;
mod raw;
mod rebuild;
mod recorder;
mod replayed;
mod report;
mod rows;
mod searchable;
mod searches;
mod stages;
mod visible;
mod warm;
mod wire;

use std::{env, time::Instant};

use anyhow::{Context, Result, bail, ensure};
use report::{Report, Results, kept};
use tests::{Fleet, Stack};

/// The servers' settings: of all cases, and where products are many, MySQL has memory for them.
const STACKS: [&str; 2] = ["bench", "bench-growth"];
const SETTINGS: &str = "SETTINGS";
/// What can be asked for by name; all of it where nothing is.
const CASES: [&str; 14] = [
    "commands",
    "outcome",
    "visible",
    "searchable",
    "search",
    "imports",
    "failover",
    "overload",
    "backlog",
    "gently",
    "rows",
    "rebuild",
    "indexed",
    "growth",
];
/// Those that leave a log behind which others would have to read first.
const OF_THEIR_OWN: [&str; 5] = ["gently", "rows", "rebuild", "indexed", "growth"];
/// Those that say something after a few seconds.
const SMALL: [&str; 4] = ["commands", "search", "rebuild", "indexed"];

/// How a case is measured.
#[derive(Clone, Copy)]
struct Run {
    /// How often; the median counts.
    repeats: usize,
    is_small: bool,
}

/// A case, and how many products it is to have where it is measured with several numbers.
struct Step {
    case: String,
    size: Option<i64>,
}

impl Step {
    fn name(&self) -> &str {
        self.case.split(' ').next().unwrap_or_default()
    }

    fn stack(&self) -> &'static str {
        STACKS[usize::from(self.size.is_some())]
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.split_first() {
        Some((first, rest)) if first == "bare-loop" => return raw::serve(rest).await,
        Some((first, _)) if first == "page" => {
            let results = Results::read(&kept(false)?)?;
            ensure!(!results.cases.is_empty(), "nothing was measured here yet: `make bench`");
            return page::make(&results.publish()?);
        }
        _ => {}
    }
    let is_small = words.iter().any(|word| word == "small");
    let cases: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| *word != "small").collect();
    if let Some(other) = cases.iter().find(|word| !CASES.contains(word)) {
        bail!("{other:?} is none of the cases {CASES:?}");
    }
    let usual = if is_small { 1 } else { 5 };
    let repeats = env::var("REPEATS").map_or(Ok(usual), |text| text.parse()).context("REPEATS")?;
    let run = Run { repeats, is_small };
    let steps = run.steps(&cases)?;
    let outcome = tokio::select! {
        outcome = run.measure(&steps) => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    // What was measured to the end has cleaned up; our processes end with what held them.
    if outcome.is_err() {
        clean(&STACKS);
    }
    outcome
}

impl Run {
    /// One of the two, as large as the run is to be.
    fn pick<T>(self, full: T, small: T) -> T {
        if self.is_small { small } else { full }
    }

    fn steps(self, cases: &[&str]) -> Result<Vec<Step>> {
        let usual = if self.is_small { &SMALL[..] } else { &CASES };
        let wanted = if cases.is_empty() { usual } else { cases };
        let mut steps = vec![];
        for case in CASES.iter().filter(|case| wanted.contains(case)) {
            if *case != "growth" {
                steps.push(Step { case: (*case).to_owned(), size: None });
                continue;
            }
            let sizes = env::var("SIZES").unwrap_or_else(|_| growth::SIZES.to_owned());
            for size in sizes.split(',') {
                let size: i64 = size.trim().parse().context("SIZES")?;
                steps.push(Step { case: format!("growth {size}"), size: Some(size) });
            }
        }
        Ok(steps)
    }

    /// One stack for as many as can share it.
    async fn measure(self, steps: &[Step]) -> Result<()> {
        let mut scene: Option<(Stack, Fleet)> = None;
        let began = Instant::now();
        for (at, step) in steps.iter().enumerate() {
            let own = OF_THEIR_OWN.contains(&step.name());
            // In a small run the one goes on with the log of the other.
            let before = at.checked_sub(1).map_or("", |before| steps[before].name());
            let goes_on = self.is_small && (before, step.name()) == ("rebuild", "indexed");
            if own
                && !goes_on
                && let Some(used) = scene.take()
            {
                end(used).await?;
            }
            let (stack, mut fleet) = match scene.take() {
                Some(scene) => scene,
                None => begin(step.stack()).await?,
            };
            println!("{}: {} of {}", step.case, at + 1, steps.len());
            let measured = self.one(step, &stack, &mut fleet).await;
            let mut report = measured.with_context(|| fleet.tails())?;
            report.stamp(self.repeats)?;
            if let Ok(told) = env::var(SETTINGS) {
                report.note(format!("with {told}"));
            }
            if self.is_small {
                report.ask_nothing();
            }
            println!("{report}\n{} s so far", began.elapsed().as_secs());
            Results::keep(&kept(self.is_small)?, &step.case, report)?;
            match own && !self.is_small {
                true => end((stack, fleet)).await?,
                false => scene = Some((stack, fleet)),
            }
        }
        match scene {
            Some(scene) => end(scene).await,
            None => Ok(()),
        }
    }

    async fn one(self, step: &Step, stack: &Stack, fleet: &mut Fleet) -> Result<Report> {
        match step.name() {
            "commands" => commands::measure(stack, fleet, self).await,
            "outcome" => outcome::measure(stack, fleet, self).await,
            "visible" => visible::measure(stack, fleet, self).await,
            "searchable" => searchable::measure(stack, fleet, self).await,
            "search" => searches::measure(stack, fleet, self).await,
            "imports" => imports::measure(stack, fleet, self).await,
            "failover" => failover::measure(fleet, self).await,
            "overload" => overload::measure(fleet, self).await,
            "backlog" => backlog::measure(stack, fleet, self).await,
            "gently" => gently::measure(stack, fleet, self).await,
            "rows" => rows::measure(stack, fleet, self).await,
            "rebuild" => rebuild::measure(stack, fleet, self).await,
            "indexed" => indexed::measure(stack, fleet, self).await,
            "growth" => {
                let size = step.size.context("a number of products")?;
                growth::measure(stack, fleet, self, size).await
            }
            other => bail!("no case {other:?}"),
        }
    }
}

/// Removes stacks that nobody uses any more, such as those of a run that was killed.
fn clean(names: &[&str]) {
    for name in names {
        if let Err(error) = Stack::found(name).clean() {
            println!("{name} may still run: {error:#}");
        }
    }
}

async fn begin(stack: &str) -> Result<(Stack, Fleet)> {
    clean(&STACKS.into_iter().filter(|name| *name != stack).collect::<Vec<_>>());
    let stack = Stack::up(stack)?;
    let mut settings = stack.addresses.clone();
    let told = env::var(SETTINGS).unwrap_or_default();
    for pair in told.split(',').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').context("SETTINGS: name=value,..")?;
        settings.insert(format!("JANGBU_{}", name.to_uppercase()), value.to_owned());
    }
    let fleet = Fleet::start(&settings, None).await?;
    Ok((stack, fleet))
}

async fn end((stack, fleet): (Stack, Fleet)) -> Result<()> {
    fleet.stop().await?;
    stack.clean()
}
