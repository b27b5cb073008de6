//! `jangbu verify`: what must always hold, checked on a running system.
//!
//! One pass over the log, a partition at a time: the same partition of every topic belongs to the
//! same aggregates. A partition of more records than may be held is read several times, each time
//! for another share of its aggregates, so memory has a bound that no log exceeds.

use std::{
    fmt,
    io::{Write, stdout},
    time::Instant,
};

use anyhow::{Context as _, bail};
use schemas::{CATALOG, Codec, Lane, OUTCOMES, Registry};
use serde::Serialize;

use crate::{
    admin::kept_for,
    config::{Config, Given, Usage},
    faults,
    log::{Decoder, Kafka},
    screen::{Align, Progress, table},
    shutdown::{Shutdown, shutdown_signal},
    standing::Observer,
};

mod asked;
mod checks;
mod fate;
mod history;
mod kept;
mod ledger;
mod order;
mod passage;
mod scope;
mod stores;
#[cfg(test)]
mod tests;
mod told;
mod unsettled;
mod versions;

use asked::Caller;
use checks::Checks;
pub use checks::{Check, Rule};
use passage::Stretch;
pub use scope::Scope;
use scope::Slice;
use unsettled::Stuck;

/// What `jangbu verify` takes.
pub const USAGE: Usage = Usage { about: checks::ABOUT, settings: &["keys"], flags: scope::FLAGS };

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// One line for each rule.
    pub checks: Vec<Check>,
    /// Whether everything had been read when the pass began.
    pub at_rest: bool,
    /// Whether that was asked for.
    pub rest_required: bool,
    /// Why the pass ended before it had seen everything, where it did.
    pub unfinished: Option<String>,
    /// Records read.
    pub records: u64,
    /// How long it took.
    pub seconds: f64,
}

/// A check under way.
struct Pass<'s> {
    scope: &'s Scope,
    observer: &'s Observer,
    decoder: Decoder,
    caller: Option<Caller>,
    stuck: Stuck,
    /// For how many milliseconds decisions are kept, where that is known.
    kept_for: Option<i64>,
    /// Where the events ended when everything was read; none where the pass began under load.
    rest: Option<Vec<i64>>,
    checks: Checks,
    progress: Progress,
    records: u64,
    /// Products met in the log.
    products: u64,
}

/// Checks. It blocks, and runs a runtime of its own: not for async tasks.
///
/// # Errors
/// When a server does not answer, or a stop is asked for, and nothing was broken; a broken rule is no error, see
/// [`Report::holds`].
pub fn check(config: &Config, scope: &Scope, shutdown: &Shutdown) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let observer = Observer::open(config)?;
    let mut pass = Pass::begin(config, &observer, scope, shutdown)?;
    pass.progress = Progress::begin(pass.length()?)?;
    let looked = pass.look(shutdown);
    pass.progress.end();
    let (at_rest, records, rest_required) =
        (pass.rest.is_some(), pass.records, scope.wait.is_some());
    let (checks, seconds) = (pass.checks.into_list(), begun.elapsed().as_secs_f64());
    // What is broken is told, whatever came between.
    let unfinished = match looked {
        Err(error) if checks.iter().all(|check| check.broken == 0) => return Err(error),
        Err(error) => Some(format!("{error:#}")),
        Ok(()) => None,
    };
    Ok(Report { checks, at_rest, rest_required, unfinished, records, seconds })
}

impl<'s> Pass<'s> {
    fn begin(
        config: &Config,
        observer: &'s Observer,
        scope: &'s Scope,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let caller =
            scope.api.as_deref().map(|base| Caller::new(base, &config.keys)).transpose()?;
        let registry = Registry::new(&config.registry)?;
        let topics = [CATALOG.commands, CATALOG.bulk, CATALOG.events, CATALOG.decisions, OUTCOMES];
        let codec = observer.runtime.block_on(Codec::load(registry, &topics));
        let codec = codec.context("schema registry")?;
        let decoder = Decoder::new(codec.into(), observer.runtime.handle().clone());
        let kafka = Kafka::of("tool", &config.kafka);
        let kept_for = observer.runtime.block_on(kept_for(&kafka, CATALOG.decisions.name))?;
        let mut checks = Checks::default();
        let stuck = unsettled::find(observer, shutdown, &mut checks)?;
        let mut is_stable = true;
        for lane in Lane::ALL {
            let offsets = unsettled::decided(observer, lane)?;
            is_stable &= offsets.is_some();
            checks.note(Rule::NoOpenTransaction, offsets.is_some(), || {
                format!("the handler's offsets on {} stay unstable", CATALOG.lane(lane).name)
            });
        }
        let wait = scope.wait.unwrap_or_default();
        let rest = observer.wait_for_rest(wait, &stuck, shutdown)?.filter(|_| is_stable);
        let progress = Progress::begin(0)?;
        let (records, products) = (0, 0);
        Ok(Self {
            scope,
            observer,
            decoder,
            caller,
            stuck,
            kept_for,
            rest,
            checks,
            progress,
            records,
            products,
        })
    }

    fn look(&mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        for partition in self.scope.partitions() {
            self.partition(partition, shutdown)?;
        }
        if self.scope.log_only {
            return Ok(());
        }
        stores::checkpoints(self.observer, &self.scope.partitions(), &mut self.checks)?;
        told::compare(self, shutdown)?;
        if self.scope.is_whole() {
            versions::compare(self, shutdown)?;
        }
        if self.rest.is_some() && self.scope.is_whole() {
            stores::count(self)?;
        }
        Ok(())
    }

    fn partition(&mut self, partition: i32, shutdown: &Shutdown) -> anyhow::Result<()> {
        let stretch = Stretch::of(self, partition)?;
        for slice in Slice::all(stretch.length(), self.scope.slice) {
            if shutdown.requested() {
                bail!("stopped before the end");
            }
            let mut ledger = passage::read(self, &stretch, slice)?;
            ledger.close(&mut self.checks);
            if !self.scope.log_only {
                stores::compare(self, &stretch, &ledger)?;
            }
            asked::ask(self, partition, &ledger)?;
            faults::point("verify.slice");
        }
        Ok(())
    }

    /// How many offsets are to be passed: those of a partition as often as it has slices.
    fn length(&self) -> anyhow::Result<u64> {
        let mut all = if self.scope.log_only { 0 } else { told::length(self.observer)? };
        for partition in self.scope.partitions() {
            let length = Stretch::of(self, partition)?.length();
            all += length * Slice::all(length, self.scope.slice).count() as u64;
        }
        Ok(all)
    }

    /// Whether the pass began at rest and nothing was appended since, as of `ends`: then each store
    /// holds what the log says, whichever partition it came from.
    fn is_still(&self, ends: &[i64]) -> bool {
        self.rest.as_deref() == Some(ends)
    }

    fn decided(&self, lane: Lane) -> anyhow::Result<Option<Vec<i64>>> {
        unsettled::decided(self.observer, lane)
    }
}

/// Runs the command.
///
/// # Errors
/// When a server does not answer.
pub fn run(config: &Config, given: &Given) -> anyhow::Result<bool> {
    faults::arm()?;
    let report = check(config, &Scope::of(given)?, &shutdown_signal()?)?;
    if given.has("json") {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(stdout(), "{report}")?;
    }
    Ok(report.holds())
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
        if let Some(why) = &self.unfinished {
            writeln!(f, "not everything was looked at: {why}")?;
        }
        let verdict = if self.holds() { "holds" } else { "BROKEN" };
        writeln!(f, "{verdict}; {} records in {:.1} s, {rest}", self.records, self.seconds)
    }
}
