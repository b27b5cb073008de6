//! Versions of the search index, as those of the projections are handled.

use std::{
    collections::BTreeSet,
    io::{Write, stdout},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use projections::{
    Pool, Projection as _, named,
    products::Products,
    search::{self, IndexVersion, PROJECTION, Search},
};
use tokio::runtime::Runtime;

use super::{
    LATE, Told,
    meet::{AGAIN, PATIENCE, meet},
    number, only,
};
use crate::{
    config::{Config, Given},
    standing::{self, Log},
};

mod compare;
mod fill;

pub(crate) use compare::beside;
pub(super) use compare::compare;
pub(super) use fill::start;

/// Whether a command is about the search index.
pub(super) fn is_meant(given: &Given) -> bool {
    given.value(super::PROJECTION.name) == Some(PROJECTION) && is_ours()
}

/// Whether this process knows what the index is made of: a team's own tool does not, and leaves it
/// alone.
pub(super) fn is_ours() -> bool {
    named(Products::NAME).is_some()
}

/// What is told of each version.
pub(super) async fn told(config: &Config, db: &Pool, log: &Log) -> anyhow::Result<Vec<Told>> {
    // The others are shown although the engine is away.
    let live = Search::new(&config.opensearch)?.live().await.ok();
    let mut all = vec![];
    for version in search::versions(db).await? {
        let standing = log.standing(&standing::index(db, version.version).await?)?;
        let (state, active) = (state(&version, live), live == Some(Some(version.version)));
        let IndexVersion { ready, ours, .. } = version;
        all.push(Told { state, active, ready, ours, standing });
    }
    Ok(all)
}

/// `live` is none where that is not known.
fn state(version: &IndexVersion, live: Option<Option<i32>>) -> String {
    let state = match version {
        _ if live == Some(Some(version.version)) => "active".to_owned(),
        IndexVersion { ready: true, .. } if live.is_none() => "not known".to_owned(),
        IndexVersion { ready: true, .. } => "ready".to_owned(),
        _ => format!("filling, {} pieces left", fill::pieces_left(version)),
    };
    if version.ours { state } else { format!("{state}, of another build") }
}

/// Points the alias at a version that is full and level.
pub(super) fn swap(config: &Config, number: i32) -> anyhow::Result<bool> {
    let (runtime, db, search) = open(config)?;
    let log = Log::of(config)?;
    let was = runtime.block_on(async {
        let _alone = search::alone(&db).await?;
        let known = search::versions(&db).await?;
        let known = known.iter().find(|known| known.version == number);
        let is_full = known.is_some_and(|known| known.ready && known.ours);
        ensure!(
            is_full,
            "search {number} is not full, or of another build: `jangbu replay status` shows it"
        );
        let live = search.live().await?;
        if let Some(live) = live {
            meet(&db, &log, PROJECTION, (live, number)).await?;
        }
        let late = log.standing(&standing::index(&db, number).await?)?.seconds();
        ensure!(late <= LATE, "search {number} is {late:.0} s behind the log");
        follow(&db, number).await?;
        if live != Some(number) {
            search.swap(live, number).await?;
        }
        Ok(live)
    })?;
    let kept = was.filter(|was| *was != number);
    let kept = kept.map(|was| format!(", {was} is kept")).unwrap_or_default();
    writeln!(stdout(), "{PROJECTION}: version {number} is active{kept}")?;
    Ok(true)
}

/// Waits until the documents of a version have the names of their brands.
async fn follow(db: &Pool, number: i32) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let following = search::fan_outs_left(db, number).await?;
        if following == 0 {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "search {number} still follows the new names of {following} brands"
        );
        tokio::time::sleep(AGAIN).await;
    }
}

/// Points it at the earlier version that is kept.
pub(super) fn rollback(config: &Config) -> anyhow::Result<bool> {
    let (runtime, db, search) = open(config)?;
    let kept = runtime.block_on(async {
        let live = search.live().await?;
        let mut kept = search::versions(&db).await?;
        kept.retain(|known| known.ready && known.ours && Some(known.version) < live);
        anyhow::Ok(kept)
    })?;
    swap(config, only(PROJECTION, kept.iter().map(|known| known.version))?)
}

/// Drops a version that is not live.
pub(super) fn drop_version(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let number = number(given)?;
    let (runtime, db, search) = open(config)?;
    runtime.block_on(async {
        let _alone = search::alone(&db).await?;
        // After a restored backup nothing may be noted of it.
        let is_noted = (1..search::next_number(&db).await?).contains(&number);
        ensure!(
            is_noted || search.source(number).await?.is_some(),
            "there is no version {number} of {PROJECTION}"
        );
        ensure!(search.live().await? != Some(number), "{PROJECTION} {number} is active");
        // What is dropped already may have left its index.
        search::discard_index(&db, number).await?;
        Ok(search.drop_index(number).await?)
    })?;
    writeln!(stdout(), "{PROJECTION}: version {number} is dropped")?;
    Ok(true)
}

/// The version of the index that is made of a version of a projection, if there is one.
pub(super) async fn made_of(
    config: &Config,
    db: &Pool,
    projection: &str,
    number: i32,
) -> anyhow::Result<Option<i32>> {
    if !is_ours() {
        return Ok(None);
    }
    let search = Search::new(&config.opensearch)?;
    let mut versions: BTreeSet<i32> =
        search::versions(db).await?.iter().map(|known| known.version).collect();
    // After a restored backup nothing may be noted of the one that is asked.
    versions.extend(search.live().await?);
    for version in versions {
        let source = search.source(version).await?;
        if source.is_some_and(|source| source.tables().version(projection) == number) {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

fn open(config: &Config) -> anyhow::Result<(Runtime, Pool, Search)> {
    let runtime = Runtime::new()?;
    let connect = projections::connect(&config.mysql, fill::CONNECTIONS);
    let db = runtime.block_on(connect).context("mysql")?;
    Ok((runtime, db, Search::new(&config.opensearch)?))
}
