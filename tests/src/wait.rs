//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const PAUSE: Duration = Duration::from_millis(20);

/// Looks until there is something to see, and fails with `what` when `within` has passed. An error
/// of `look` counts as nothing to see yet, and is told at the end.
///
/// # Errors
/// When the deadline passes.
pub async fn until<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        match look().await {
            Ok(Some(seen)) => return Ok(seen),
            Ok(None) if Instant::now() >= deadline => bail!("not within {within:?}: {what}"),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).context(format!("not within {within:?}: {what}"));
            }
            Ok(None) | Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// As [`until`], for a condition that is met or not.
///
/// # Errors
/// When the deadline passes.
pub async fn until_true(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    until(what, within, async || Ok(look().await?.then_some(()))).await
}
