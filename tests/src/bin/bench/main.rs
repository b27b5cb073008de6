//! How fast each path is, beside the raw speed of what it stands on, measured in the same run.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

mod commands;
mod figures;
mod raw;
mod rows;
mod searchable;

use anyhow::Result;
use tests::{Fleet, Stack};

const STACK: &str = "bench";
/// How often each case is measured; the median counts.
const REPEATS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some("bare-loop") {
        return raw::serve(&words.collect::<Vec<_>>()).await;
    }
    let stack = Stack::up(STACK)?;
    let outcome = measure(&stack).await;
    stack.clean()?;
    outcome
}

async fn measure(stack: &Stack) -> Result<()> {
    let mut fleet = Fleet::start(&stack.addresses, None).await?;
    commands::measure(stack, &mut fleet).await?;
    searchable::measure(stack, &mut fleet).await?;
    rows::measure(stack, &mut fleet).await?;
    fleet.stop().await
}
