//! Every fault of the laboratory's list against the real servers, under load, and what came of it.
//!
//! `faults [WORD..]`: those whose name has one of the words, or all. `JANGBU_FAULTS_SEED` repeats
//! a run, as far as that can be; `JANGBU_FAULTS_BETWEEN` is how many commands are decided between
//! two faults.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

use std::{env, time::Instant};

use anyhow::{Context, Result, ensure};
use tests::{
    Fleet, Role, Stack,
    lab::{FAULTS, Fault, Lab, Row},
};

/// The stacks that the faults need; one runs at a time.
const STACKS: [&str; 3] = ["faults", "small-disk", "cluster"];
/// As many requests are under way at once.
const WRITERS: u64 = 48;
/// Decided between two faults: a second or two of load.
const BETWEEN: u64 = 1_000;

/// How a run is to be, and what came of it so far.
struct Run {
    seed: u64,
    between: u64,
    begin: Instant,
    rows: Vec<Row>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let is_wanted = |fault: &&Fault| {
        words.is_empty() || words.iter().any(|word| fault.name.contains(word.as_str()))
    };
    let faults: Vec<&Fault> = FAULTS.iter().filter(is_wanted).collect();
    ensure!(!faults.is_empty(), "no fault is called so: {words:?}");
    let seed = number("JANGBU_FAULTS_SEED")?.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let between = number("JANGBU_FAULTS_BETWEEN")?.unwrap_or(BETWEEN);
    println!("seed {seed}, {WRITERS} writers, {between} commands between two faults");
    let mut run = Run { seed, between, begin: Instant::now(), rows: vec![] };
    // A task of its own, since whoever starts a server waits for that alone.
    tokio::spawn(end_when_interrupted());
    let outcome = run.on_each_stack(&faults).await;
    println!("\n{}", Row::table(&run.rows));
    for row in run.rows.iter().filter(|row| !row.is_clean()) {
        println!("{}: {:?}", row.fault, row.judged);
    }
    ensure!(run.rows.iter().all(Row::is_clean), "commands were lost, doubled or disordered");
    outcome
}

impl Run {
    async fn on_each_stack(&mut self, faults: &[&Fault]) -> Result<()> {
        for name in STACKS {
            let faults: Vec<_> = faults.iter().filter(|fault| fault.stack() == name).collect();
            if faults.is_empty() {
                continue;
            }
            let stack = Stack::up(name)?;
            let mut fleet = Fleet::start(&stack.addresses, None).await?;
            let outcome = self.on_one(&stack, &mut fleet, &faults).await;
            if outcome.is_err() {
                println!("{}", fleet.tails());
            }
            let ended = fleet.stop().await;
            // What broke is left as it is, to be looked at.
            outcome.and(ended)?;
            stack.clean()?;
        }
        Ok(())
    }

    async fn on_one(&mut self, stack: &Stack, fleet: &mut Fleet, faults: &[&&Fault]) -> Result<()> {
        let (seed, between) = (self.seed, self.between);
        let mut lab = Lab { stack, fleet, seed, writers: WRITERS, between };
        for (nth, fault) in faults.iter().enumerate() {
            let tell = |line: &str| {
                let minutes = self.begin.elapsed().as_secs() / 60;
                let name = stack.name();
                println!("[{name} {}/{}, {minutes} min] {line}", nth + 1, faults.len());
            };
            let row = lab.run(fault, fault.whole, tell).await?;
            self.rows.push(row);
        }
        for role in Role::ALL {
            let peak = fleet.process(role)?.memory_peak()?;
            println!("{}: at most {} MiB", role.binary(), peak >> 20);
        }
        let (status, printed) = fleet.jangbu(&["verify", "--wait", "60"])?;
        println!("{printed}");
        ensure!(status.success(), "an invariant is broken");
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing is left whose end would have to be waited for"
)]
async fn end_when_interrupted() {
    if tokio::signal::ctrl_c().await.is_ok() {
        println!("interrupted");
        for stack in STACKS.map(Stack::found).iter().filter(|stack| stack.is_up()) {
            drop(Fleet::end_leftovers(&stack.addresses).and_then(|()| stack.clean()));
        }
        std::process::exit(130);
    }
}

fn number(variable: &str) -> Result<Option<u64>> {
    let text = env::var(variable).ok();
    text.map(|text| text.parse().with_context(|| format!("{variable}={text}"))).transpose()
}
