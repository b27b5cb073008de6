//! Versions of a projection against each other.

use super::{Pass, Rule};
use crate::{replay, shutdown::Shutdown};

/// Compares each version that is kept level with the one that is read.
pub(super) fn compare(pass: &mut Pass<'_>, shutdown: &Shutdown) -> anyhow::Result<()> {
    let (observer, checks) = (pass.observer, &mut pass.checks);
    let read = |name: &str| observer.tables.version(name);
    let found = observer.runtime.block_on(replay::beside(&observer.db, read, shutdown))?;
    let indexes = replay::indexes_beside(&observer.db, &observer.search, &observer.log, shutdown);
    let indexes = observer.runtime.block_on(indexes)?;
    for (what, found) in found.into_iter().chain(indexes) {
        let first = found.first.first().map(replay::told).unwrap_or_default();
        checks.note(Rule::Generations, found.different == 0, || {
            format!("{what}: {} of {} rows differ, first {first}", found.different, found.rows)
        });
    }
    Ok(())
}
