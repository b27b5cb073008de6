//! How fast each path is, beside the raw speed of what it stands on, measured in the same run.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

mod append;
mod backlog;
mod commands;
mod events;
mod failover;
mod figures;
mod imports;
mod inserts;
mod open_loop;
mod overload;
mod raw;
mod rebuild;
mod rows;
mod searchable;
mod steady;

use anyhow::{Result, bail};
use tests::{Fleet, Stack};

const STACK: &str = "bench";
/// What can be asked for by name; all of it where nothing is.
const CASES: [&str; 9] = [
    "commands",
    "steady",
    "searchable",
    "failover",
    "imports",
    "overload",
    "backlog",
    "rows",
    "rebuild",
];
/// How often each case is measured; the median counts.
const REPEATS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = words.split_first()
        && first == "bare-loop"
    {
        return raw::serve(rest).await;
    }
    if let Some(other) = words.iter().find(|word| !CASES.contains(&word.as_str())) {
        bail!("{other:?} is none of the cases {CASES:?}");
    }
    let stack = Stack::up(STACK)?;
    let outcome = tokio::select! {
        outcome = measure(&stack, &words) => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    outcome.and(stack.clean())
}

async fn measure(stack: &Stack, wanted: &[String]) -> Result<()> {
    let mut fleet = Fleet::start(&stack.addresses, None).await?;
    let is_wanted = |case: &str| wanted.is_empty() || wanted.iter().any(|word| word == case);
    if is_wanted("commands") {
        commands::measure(stack, &mut fleet).await?;
    }
    if is_wanted("steady") {
        steady::measure(stack, &mut fleet).await?;
    }
    if is_wanted("searchable") {
        searchable::measure(stack, &mut fleet).await?;
    }
    if is_wanted("failover") {
        failover::measure(&mut fleet).await?;
    }
    if is_wanted("imports") {
        imports::measure(stack, &mut fleet).await?;
    }
    if is_wanted("overload") {
        overload::measure(&mut fleet).await?;
    }
    if is_wanted("backlog") {
        backlog::measure(stack, &mut fleet).await?;
    }
    if is_wanted("rows") {
        rows::measure(stack, &mut fleet).await?;
    }
    if is_wanted("rebuild") {
        rebuild::measure(stack, &mut fleet).await?;
    }
    fleet.stop().await
}
