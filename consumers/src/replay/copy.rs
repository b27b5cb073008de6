//! Beginning a version as a copy of the active one.

use std::num::NonZeroU32;

use anyhow::ensure;
use projections::{AnyProjection, Pool, Version, version};

use super::{compare::active, course::Course};
use crate::{faults, shutdown::Shutdown};

/// Copies the active version; which version the copy is, or none where a stop was asked for before
/// it was whole: it is begun anew then.
pub(super) async fn copy(
    db: &Pool,
    projection: &'static dyn AnyProjection,
    versions: &[Version],
    throttle: Option<NonZeroU32>,
    json: bool,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<i32>> {
    let from = active(projection, versions)?;
    let of_it = || versions.iter().filter(|version| version.projection == projection.name());
    if let Some(Version { version, .. }) = of_it().rfind(|known| known.ours && !known.active) {
        ensure!(false, "version {version} is there already: without --from-snapshot, or drop it");
    }
    let newest = of_it().map(|version| version.version).max().unwrap_or_default();
    let begun = of_it().rfind(|version| version.copying).map(|version| version.version);
    let to = begun.unwrap_or(newest + 1);
    let mut course = Course::new(projection, to, json);
    course.say(&format!("copying version {from} into version {to}"))?;
    let all = version::about(db, projection, from).await?;
    let mut told = Ok(());
    let copied = version::copy(db, projection, (from, to), throttle, |rows| {
        faults::point("replay.copied");
        if told.is_ok() {
            told = course.copied(rows, all);
        }
    });
    let copied = tokio::select! {
        copied = copied => Some(copied?),
        () = shutdown.wait() => None,
    };
    course.clear();
    told?;
    Ok(copied.map(|()| to))
}
