//! What `jangbu replay` is asked for by several cases, and what it takes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use schemas::{CATALOG, Codec, Registry};
use tests::{Fleet, Role, Stack, process};
use uuid::Uuid;

use crate::{append::append, events};

/// A version that was filled.
pub(crate) struct Filled {
    pub(crate) version: String,
    /// From the start of the tool to its end.
    pub(crate) took: Duration,
    /// The most memory that the tool had, in bytes.
    pub(crate) memory: u64,
    /// What it said of itself.
    pub(crate) printed: String,
}

/// As ids of imported products are: not in the order of their registration.
pub(crate) fn id(number: i64) -> Uuid {
    domain::id::derive(&["bench", &number.to_string()])
}

/// Ends what else would read the log, and writes so many registrations to it, unless a case before
/// has done so.
pub(crate) async fn register(stack: &Stack, fleet: &mut Fleet, products: i64) -> Result<Codec> {
    let is_done = fleet.process(Role::Handler).is_err();
    let codec = Codec::load(Registry::new(stack.address("JANGBU_REGISTRY")?)?, &[CATALOG.events]);
    let codec = codec.await?;
    if is_done {
        return Ok(codec);
    }
    for role in [Role::Handler, Role::Indexer, Role::Projector] {
        fleet.end(role)?;
    }
    let registered = (0..products).map(|number| events::registered(&codec, id(number), number));
    append(stack.address("JANGBU_KAFKA")?, &CATALOG.events, registered)?;
    Ok(codec)
}

/// Runs the tool; what it printed.
pub(crate) async fn replay(fleet: &Fleet, words: &[&str]) -> Result<String> {
    Ok(weighed(fleet, words).await?.0)
}

async fn weighed(fleet: &Fleet, words: &[&str]) -> Result<(String, u64)> {
    let words = [&["replay"], words].concat();
    let (status, printed, memory) =
        process::run_weighed("jangbu", &words, fleet.settings()).await?;
    ensure!(status.success(), "jangbu {}: {printed}", words.join(" "));
    Ok((printed, memory))
}

/// Fills a version of what is named first.
pub(crate) async fn fill(fleet: &Fleet, words: &[&str]) -> Result<Filled> {
    let began = Instant::now();
    let (printed, memory) = weighed(fleet, &[&["start"], words].concat()).await?;
    let took = began.elapsed();
    let (_, version) = printed.split_once("filling version ").with_context(|| printed.clone())?;
    let version = version.split_whitespace().next().context("no version")?.to_owned();
    Ok(Filled { version, took, memory, printed })
}

/// Makes the version the active one, or drops it.
pub(crate) async fn with(fleet: &Fleet, verb: &str, name: &str, version: &str) -> Result<()> {
    replay(fleet, &[verb, name, "--version", version]).await.map(drop)
}

/// So many of something in a second.
pub(crate) fn rate(count: i64, took: Duration) -> Result<f64> {
    Ok(f64::from(u32::try_from(count)?) / took.as_secs_f64())
}
