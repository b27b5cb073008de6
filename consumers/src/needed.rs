//! What a process cannot begin without. While a server is away it waits, and says for which.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use projections::{
    Error, Pool, Tables,
    version::{self, Version},
};
use schemas::{Codec, CodecError, Registry, Topic};
use tokio::time::sleep;

use crate::{config::Config, log::is_away, shutdown::Shutdown};

/// How often it is tried again, and how often it is said what is waited for.
const AGAIN: Duration = Duration::from_secs(1);
const SAY_EVERY: Duration = Duration::from_secs(10);

/// The schemas of `topics`, as soon as the registry answers; none where a stop was asked for.
///
/// # Errors
/// When the registry answers, and not with what this build needs.
pub async fn codec(
    config: &Config,
    topics: &[Topic],
    shutdown: &Shutdown,
) -> anyhow::Result<Option<Codec>> {
    let registry = Registry::new(&config.registry)?;
    let load = async || Codec::load(registry.clone(), topics).await;
    let what = format!("the schema registry at {}", config.registry);
    let codec = until(&what, load, CodecError::may_pass, shutdown).await;
    codec.context("loading the schemas")
}

/// The read models and the versions of them that this build reads, as soon as MySQL answers and has
/// one of each of `projections`; none where a stop was asked for.
///
/// # Errors
/// When MySQL answers, and refuses.
pub async fn read_models(
    config: &Config,
    projections: &[&str],
    shutdown: &Shutdown,
) -> anyhow::Result<Option<(Pool, Tables)>> {
    opened(config, projections, shutdown, async |_, tables| Ok(tables)).await
}

/// The read models and all versions of them, as [`read_models`].
///
/// # Errors
/// As [`read_models`].
pub async fn versions(
    config: &Config,
    projections: &[&str],
    shutdown: &Shutdown,
) -> anyhow::Result<Option<(Pool, Vec<Version>)>> {
    opened(config, projections, shutdown, async |db, _| version::all(&db).await).await
}

async fn opened<T>(
    config: &Config,
    projections: &[&str],
    shutdown: &Shutdown,
    read: impl AsyncFn(Pool, Tables) -> Result<T, Error>,
) -> anyhow::Result<Option<(Pool, T)>> {
    let connect = async || {
        let db = projections::connect(&config.mysql, config.mysql_connections).await?;
        let tables = Tables::active(&db).await?;
        tables.require(projections)?;
        let read = read(db.clone(), tables).await?;
        Ok((db, read))
    };
    let what = format!("MySQL at {}", place(&config.mysql));
    let may_pass = |error: &Error| error.may_pass() || matches!(error, Error::NotActive(_));
    let found = until(&what, connect, may_pass, shutdown).await;
    found.context("opening the read models")
}

/// What `attempt` makes of the log, as soon as the brokers answer; none where a stop was asked for.
///
/// # Errors
/// When the brokers answer, and refuse or lack what is asked for.
pub async fn log<T>(
    config: &Config,
    attempt: impl AsyncFnMut() -> anyhow::Result<T>,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<T>> {
    let what = format!("Kafka at {}", config.kafka);
    until(&what, attempt, is_away, shutdown).await
}

/// Where a server is, without who asks it.
fn place(url: &str) -> &str {
    let from = url.rsplit_once('@').or_else(|| url.split_once("://"));
    let place = from.map_or(url, |(_, place)| place);
    place.split('?').next().unwrap_or(place)
}

/// Tries until it succeeds, fails for good, or a stop is asked for, which is no failure.
async fn until<T, E: Display>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
    may_pass: impl Fn(&E) -> bool,
    shutdown: &Shutdown,
) -> Result<Option<T>, E> {
    let mut said: Option<Instant> = None;
    loop {
        let attempted = tokio::select! {
            attempted = attempt() => attempted,
            () = shutdown.wait() => return Ok(None),
        };
        match attempted {
            Err(error) if may_pass(&error) => {
                if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
                    tracing::warn!("waiting for {what}: {error:#}");
                    said = Some(Instant::now());
                }
            }
            attempted => return attempted.map(Some),
        }
        tokio::select! {
            () = sleep(AGAIN) => {}
            () = shutdown.wait() => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_may_pass_is_waited_for_and_nothing_else() {
        let (stop, shutdown) = Shutdown::pair();
        let mut tries = 0;
        let second = async || {
            tries += 1;
            if tries < 2 { Err("away") } else { Ok(tries) }
        };
        assert_eq!(until("it", second, |_| true, &shutdown).await, Ok(Some(2)));
        let refused = until::<(), _>("it", async || Err("refused"), |_| false, &shutdown).await;
        assert_eq!(refused, Err("refused"));
        let stopping = async || {
            stop.stop();
            Err("away")
        };
        assert_eq!(until::<(), _>("it", stopping, |_| true, &shutdown).await, Ok(None));
    }

    #[test]
    fn a_place_names_nobody() {
        assert_eq!(place("mysql://u:pw@host:3306/db?ssl-mode=disabled"), "host:3306/db");
        assert_eq!(place("mysql://host/db"), "host/db");
    }
}
