//! Whether two versions of a projection say the same.

use std::{
    io::{Write, stdout},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use domain::MallId;
use projections::{
    AnyProjection, Pool,
    version::{Comparison, Difference, Page, Version},
};
use serde_json::json;

use crate::{
    config::{Config, Flag, Given, Usage},
    screen::Progress,
    shutdown::{Shutdown, shutdown_signal},
};

/// How long a page may be moving before it is said that the versions never meet.
const PATIENCE: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(50);
/// Differences that are shown one by one.
const SHOWN: usize = 20;

/// What `jangbu replay compare` takes.
pub const COMPARE: Usage = Usage {
    about: "jangbu replay compare PROJECTION --version N: whether it says what the active one says.\n\n\
            Row by row and column by column, a page at a time, beside whatever goes on. Where rows \
            differ while the two have not applied the same, the page is looked at again. Ends with 1 \
            where there is a difference, as there is meant to be after a changed fold. Decisions \
            about to be deleted for their age are left out.",
    settings: &[],
    flags: &[
        super::PROJECTION,
        super::VERSION,
        Flag {
            name: "with",
            value: Some("N"),
            meaning: "The other version; default the active one.",
        },
        Flag {
            name: "sample",
            value: Some("N"),
            meaning: "Of N pages of 1000 rows one; default all.",
        },
        Flag {
            name: "malls",
            value: Some("a,b"),
            meaning: "The rows of these malls only: what a changed fold makes of them.",
        },
        Flag {
            name: "json",
            value: None,
            meaning: "A line of JSON for each difference, and a last one.",
        },
    ],
};

/// What was found.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) rows: u64,
    pub(crate) different: u64,
    pub(crate) first: Vec<Difference>,
}

/// Compares a version with the active one, or another.
///
/// # Errors
/// When one of them is not there, neither has a row of a mall, MySQL does not answer, or the two
/// never stand at the same place.
pub(super) fn compare(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let shutdown = shutdown_signal()?;
    let (projection, number) = (super::projection(given)?, super::number(given)?);
    let (runtime, db, versions) = super::open(config)?;
    let with = given.value("with").map(str::parse).transpose().context("--with N")?;
    let with = with.map_or_else(|| active(projection, &versions), Ok)?;
    let sample = given.value("sample").map(str::parse).transpose().context("--sample N")?;
    let malls = given.value("malls").map(|malls| malls.split(',').map(str::parse).collect());
    let malls: Vec<MallId> = malls.transpose().context("--malls")?.unwrap_or_default();
    ensure!(with != number, "{} {number} is the active one: --with N", projection.name());
    for number in [with, number] {
        let is_there = !super::find(&versions, projection, number)?.dropped;
        ensure!(is_there, "version {number} of {} was dropped", projection.name());
    }
    let compared = runtime.block_on(Comparison::of(&db, projection, (with, number)))?;
    // A mall misspelled is no proof.
    if let Some(mall) = runtime.block_on(compared.unknown(&malls))?.first() {
        bail!("{} has no row of {mall} in either version", projection.name());
    }
    let comparison = compared.sampled(sample.unwrap_or(1)).of_malls(&malls);
    let (apart, length) = (comparison.apart().to_vec(), runtime.block_on(comparison.length())?);
    let mut progress = Progress::begin(length / sample.unwrap_or(1).max(1))?;
    let shown = if given.has("json") { usize::MAX } else { SHOWN };
    let found = runtime.block_on(all(comparison, shown, &shutdown, |rows, so_far| {
        progress.pass(rows, || format!("{so_far} rows"));
    }));
    progress.end();
    let found = found?;
    if given.has("json") {
        for difference in &found.first {
            writeln!(stdout(), "{}", serde_json::to_string(difference)?)?;
        }
        let told = json!({ "projection": projection.name(), "versions": [with, number],
            "rows": found.rows, "different": found.different, "columns_of_one": apart });
        writeln!(stdout(), "{told}")?;
    } else {
        tell(projection, (with, number), &apart, &found)?;
    }
    Ok(found.different == 0)
}

/// All rows of a comparison, and so many of the differences.
///
/// # Errors
/// When MySQL does not answer, a stop is asked for, or the two never stand at the same place.
pub(crate) async fn all(
    mut comparison: Comparison,
    shown: usize,
    shutdown: &Shutdown,
    mut pass: impl FnMut(u64, u64),
) -> anyhow::Result<Found> {
    let (mut found, mut moving) = (Found::default(), Instant::now());
    loop {
        ensure!(!shutdown.requested(), "stopped before the end");
        match comparison.page().await? {
            Page::End => return Ok(found),
            Page::Moving => {
                ensure!(
                    moving.elapsed() < PATIENCE,
                    "the two never stood at the same place in {PATIENCE:?}: is one not fed? \
                     (jangbu replay status)"
                );
                tokio::time::sleep(AGAIN).await;
            }
            Page::Compared(rows, differences) => {
                found.rows += rows;
                found.different += differences.len() as u64;
                let room = shown.saturating_sub(found.first.len());
                found.first.extend(differences.into_iter().take(room));
                moving = Instant::now();
                pass(rows, found.rows);
            }
        }
    }
}

/// How a difference is told.
pub(crate) fn told(Difference { key, columns, lacks }: &Difference) -> String {
    let key = key.to_lowercase();
    match lacks {
        Some(version) => format!("{key}: not in version {version}"),
        None => format!("{key}: {}", columns.join(", ")),
    }
}

pub(super) fn active(projection: &dyn AnyProjection, versions: &[Version]) -> anyhow::Result<i32> {
    let name = projection.name();
    let active = versions.iter().find(|known| known.projection == name && known.active);
    Ok(active.with_context(|| format!("no version of {name} is active: --with N"))?.version)
}

fn tell(
    projection: &dyn AnyProjection,
    (with, number): (i32, i32),
    apart: &[String],
    found: &Found,
) -> anyhow::Result<()> {
    let mut out = stdout();
    for difference in &found.first {
        writeln!(out, "{}", told(difference))?;
    }
    if found.different > found.first.len() as u64 {
        writeln!(out, "and {} more", found.different - found.first.len() as u64)?;
    }
    if !apart.is_empty() {
        writeln!(out, "columns of only one: {}", apart.join(", "))?;
    }
    let (name, Found { rows, different, .. }) = (projection.name(), found);
    writeln!(out, "{name}: versions {with} and {number}: {rows} rows, {different} different")?;
    Ok(())
}

/// Compares every version that is kept beside the one that is read: by its name and number.
pub(crate) async fn beside(
    db: &Pool,
    read: impl Fn(&str) -> i32,
    shutdown: &Shutdown,
) -> anyhow::Result<Vec<(String, Found)>> {
    let versions = projections::version::all(db).await?;
    let mut all_found = vec![];
    for Version { projection, version, .. } in
        versions.into_iter().filter(|version| version.ours && version.ready && !version.dropped)
    {
        let live = read(projection);
        if version == live {
            continue;
        }
        let of = projections::named(projection).context("a projection")?;
        let comparison = Comparison::of(db, of, (live, version)).await?;
        let found = all(comparison, 1, shutdown, |_, _| {}).await?;
        all_found.push((format!("{projection}: versions {live} and {version}"), found));
    }
    Ok(all_found)
}
