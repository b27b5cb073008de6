//! Every fault of the laboratory's list against the real servers, under load, and what came of it.
//!
//! `faults [WORD..]`: those whose name has one of the words, or all. `JANGBU_FAULTS_SEED` repeats
//! a run, as far as that can be; `JANGBU_FAULTS_TIMES=short` is the set of the tests.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

use std::{env, time::Instant};

use anyhow::{Context, Result, ensure};
use tests::{
    Fleet, Role, Stack,
    lab::{FAULTS, Fault, Lab, Row},
};

const STACK: &str = "faults";
/// As many requests are under way at once.
const WRITERS: u64 = 48;
/// Decided between two faults: some seconds of load.
const BETWEEN: u64 = 2_500;

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let wanted = |fault: &&Fault| {
        words.is_empty() || words.iter().any(|word| fault.name.contains(word.as_str()))
    };
    let faults: Vec<&Fault> = FAULTS.iter().filter(wanted).collect();
    ensure!(!faults.is_empty(), "no fault is called so: {words:?}");
    let stack = Stack::up(STACK)?;
    let mut fleet = Fleet::start(&stack.addresses, None).await?;
    let seed = number("JANGBU_FAULTS_SEED")?.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let between = number("JANGBU_FAULTS_BETWEEN")?.unwrap_or(BETWEEN);
    println!("seed {seed}, {WRITERS} writers, {between} commands between two faults");
    let mut lab = Lab { stack: &stack, fleet: &mut fleet, seed, writers: WRITERS, between };
    let outcome = tokio::select! {
        outcome = try_all(&mut lab, &faults) => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    if outcome.is_err() {
        println!("{}", fleet.tails());
    }
    let ended = fleet.stop().await;
    outcome.and(ended).and(stack.clean())
}

async fn try_all(lab: &mut Lab<'_>, faults: &[&Fault]) -> Result<()> {
    let (begin, mut rows) = (Instant::now(), vec![]);
    let short = env::var("JANGBU_FAULTS_TIMES").is_ok_and(|times| times == "short");
    let mut outcome = Ok(());
    for (nth, fault) in faults.iter().enumerate() {
        let runs = if short { fault.short } else { fault.whole };
        let tell = |line: &str| {
            let minutes = begin.elapsed().as_secs() / 60;
            println!("[{}/{}, {minutes} min] {line}", nth + 1, faults.len());
        };
        if runs == 0 {
            continue;
        }
        match lab.run(fault, runs, tell).await {
            Ok(row) => rows.push(row),
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    println!("\n{}", Row::table(&rows));
    memory(lab)?;
    outcome?;
    for row in rows.iter().filter(|row| !row.is_clean()) {
        println!("{}: {:?}", row.fault, row.judged);
    }
    ensure!(rows.iter().all(Row::is_clean), "commands were lost, doubled or disordered");
    let (status, printed) = lab.fleet.jangbu(&["verify", "--wait", "60"])?;
    println!("{printed}");
    ensure!(status.success(), "an invariant is broken");
    Ok(())
}

/// The most that each of the last processes had in memory.
fn memory(lab: &mut Lab<'_>) -> Result<()> {
    for role in Role::ALL {
        let peak = lab.fleet.process(role)?.memory_peak()?;
        println!("{}: at most {} MiB", role.binary(), peak >> 20);
    }
    Ok(())
}

fn number(variable: &str) -> Result<Option<u64>> {
    let text = env::var(variable).ok();
    text.map(|text| text.parse().with_context(|| format!("{variable}={text}"))).transpose()
}
