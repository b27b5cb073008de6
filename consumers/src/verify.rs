//! `jangbu verify`: what must always hold, checked on a running system.
//!
//! One pass over the log, a partition at a time: the same partition of every topic belongs to the
//! same aggregates. Memory is proportional to the commands and aggregates of one partition.

use std::{
    fmt,
    io::{Write, stdout},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use schemas::{CATALOG, Codec, Registry, topic::PARTITIONS};
use serde::Serialize;

use crate::{
    config::{Config, Flag, Given, Usage},
    log::Decoder,
    screen::{Align, table},
    shutdown::{Shutdown, shutdown_signal},
    standing::Observer,
};

mod checks;
mod fate;
mod history;
mod ledger;
mod passage;
mod stores;
#[cfg(test)]
mod tests;

use checks::Checks;
pub use checks::{Check, Rule};

/// What `jangbu verify` takes.
pub const USAGE: Usage = Usage {
    about: "jangbu verify: checks what must always hold, over the whole log.",
    settings: &[],
    flags: &[
        Flag {
            name: "wait",
            value: Some("SECONDS"),
            meaning: "First wait for rest; fail without.",
        },
        Flag { name: "log-only", value: None, meaning: "Leave MySQL and search out." },
        Flag { name: "json", value: None, meaning: "As JSON." },
    ],
};

/// What to check.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope {
    /// How long to wait until everything is read; none: check what can be checked under load.
    pub wait: Option<Duration>,
    /// Leave MySQL and the search engine out.
    pub log_only: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// One line for each rule.
    pub checks: Vec<Check>,
    /// Whether everything had been read when the pass began.
    pub at_rest: bool,
    /// Whether that was asked for.
    pub rest_required: bool,
    /// Records read.
    pub records: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Checks. It blocks, and runs a runtime of its own: not for async tasks.
///
/// # Errors
/// When a server does not answer; a broken rule is no error, see [`Report::holds`].
pub fn check(config: &Config, scope: Scope, shutdown: &Shutdown) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let observer = Observer::open(config)?;
    let at_rest = observer.wait_for_rest(scope.wait.unwrap_or_default(), shutdown)?;
    let registry = Registry::new(&config.registry)?;
    let topics = [CATALOG.commands, CATALOG.bulk, CATALOG.events, CATALOG.decisions];
    let codec = observer.runtime.block_on(Codec::load(registry, &topics));
    let codec = codec.context("schema registry")?;
    let decoder = Decoder::new(codec.into(), observer.runtime.handle().clone());
    let mut checks = Checks::default();
    let (mut records, mut products) = (0, 0);
    for partition in 0..PARTITIONS {
        let mut passage = passage::read(&observer, &decoder, partition, &mut checks)?;
        records += passage.records;
        passage.ledger.close(&mut checks);
        if !scope.log_only {
            products += stores::compare(&observer, partition, &passage, at_rest, &mut checks)?;
        }
    }
    if !scope.log_only && at_rest {
        stores::count(&observer, products, &mut checks)?;
    }
    if at_rest {
        open_transactions(&observer, &mut checks)?;
    }
    let (checks, rest_required) = (checks.into_list(), scope.wait.is_some());
    Ok(Report { checks, at_rest, rest_required, records, seconds: begun.elapsed().as_secs_f64() })
}

/// Runs the command.
///
/// # Errors
/// When a server does not answer.
pub fn run(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let wait = given.value("wait").map(str::parse).transpose().context("--wait SECONDS")?;
    let scope = Scope { wait: wait.map(Duration::from_secs), log_only: given.has("log-only") };
    let report = check(config, scope, &shutdown_signal()?)?;
    if given.has("json") {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(stdout(), "{report}")?;
    }
    Ok(report.holds())
}

fn open_transactions(observer: &Observer, checks: &mut Checks) -> anyhow::Result<()> {
    let open = observer.log.open_transactions()?;
    for topic in [CATALOG.events.name, CATALOG.decisions.name] {
        for partition in 0..PARTITIONS {
            let held = open.iter().find(|(name, at, _)| *name == topic && *at == partition);
            checks.note(Rule::NoOpenTransaction, held.is_none(), || format!("{topic} {partition}"));
        }
    }
    Ok(())
}

impl Report {
    /// Whether nothing is broken, and rest was reached where it was asked for.
    pub fn holds(&self) -> bool {
        (self.at_rest || !self.rest_required) && self.checks.iter().all(|check| check.broken == 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            ("", Align::Right),
            ("WHAT MUST HOLD", Align::Left),
            ("CHECKED", Align::Right),
            ("BROKEN", Align::Right),
        ];
        let row = |check: &Check| {
            let (number, text) = (check.rule.number().to_string(), check.rule.text().to_owned());
            vec![number, text, check.checked.to_string(), check.broken.to_string()]
        };
        f.write_str(&table(&head, &self.checks.iter().map(row).collect::<Vec<_>>()))?;
        for check in &self.checks {
            if let Some(example) = &check.example {
                writeln!(f, "broken {}: {example}", check.rule.number())?;
            }
        }
        let rest = match (self.at_rest, self.rest_required) {
            (true, _) => "at rest",
            (false, true) => "rest was not reached in time",
            (false, false) => "under load: what was still moving was left out",
        };
        let verdict = if self.holds() { "holds" } else { "BROKEN" };
        writeln!(f, "{verdict}; {} records in {:.1} s, {rest}", self.records, self.seconds)
    }
}
