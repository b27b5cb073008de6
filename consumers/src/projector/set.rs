//! What a worker of the projector is told to feed, and which versions that is at the moment.

use std::{collections::BTreeSet, num::NonZeroU32};

use anyhow::{Context as _, ensure};
use projections::{AnyProjection, Version, named};

/// Projections that share a thread, a consumer group and each transaction.
pub struct Set {
    wanted: Vec<Wanted>,
    throttle: Option<NonZeroU32>,
}

/// A projection, and which versions of it.
struct Wanted {
    projection: &'static dyn AnyProjection,
    /// Only this one; else each that has been level with the log and that this build writes: the
    /// active one, one that is to become it, and one that was it, so that a swap has a way back.
    version: Option<i32>,
}

impl Set {
    /// Names with `+` between them, each that of a projection, or followed by `@` and a version.
    ///
    /// # Errors
    /// For a name that is none.
    pub fn parse(names: &str) -> anyhow::Result<Self> {
        let wanted = names.split('+').map(|name| Wanted::parse(name.trim()));
        Ok(Self { wanted: wanted.collect::<Result<_, _>>()?, throttle: None })
    }

    /// One version of one projection, fed `throttle` records in a second, at most.
    pub fn of(
        projection: &'static dyn AnyProjection,
        version: i32,
        throttle: Option<NonZeroU32>,
    ) -> Self {
        Self { wanted: vec![Wanted { projection, version: Some(version) }], throttle }
    }

    /// How many records a worker may take in a second.
    pub(super) fn throttle(&self) -> Option<NonZeroU32> {
        self.throttle
    }

    /// The names of the projections of which it needs a version that can be read.
    pub(super) fn required(&self) -> impl Iterator<Item = &'static str> {
        let open = self.wanted.iter().filter(|wanted| wanted.version.is_none());
        open.map(|wanted| wanted.projection.name())
    }

    /// What is to be fed, of the versions that there are.
    pub(super) fn versions(&self, known: &[Version]) -> Vec<(&'static dyn AnyProjection, i32)> {
        self.wanted.iter().flat_map(|wanted| wanted.versions(known)).collect()
    }
}

impl Wanted {
    fn parse(name: &str) -> anyhow::Result<Self> {
        let (name, version) = match name.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (name, None),
        };
        let version = version.map(str::parse).transpose().context("the version of a projection")?;
        let projection = named(name).with_context(|| format!("{name:?} is not a projection"))?;
        Ok(Self { projection, version })
    }

    fn versions(&self, known: &[Version]) -> Vec<(&'static dyn AnyProjection, i32)> {
        let is_meant = |known: &&Version| match self.version {
            Some(version) => known.version == version,
            None => known.ready,
        };
        let of_it = known.iter().filter(|known| known.projection == self.projection.name());
        let fed = of_it.filter(|known| known.ours).filter(is_meant);
        fed.map(|known| (self.projection, known.version)).collect()
    }
}

/// Fed twice, a version would be moved by one and found moved by the other, for ever.
///
/// # Errors
/// Naming the projection.
pub(super) fn each_once(sets: &[Set]) -> anyhow::Result<()> {
    let mut known = BTreeSet::new();
    for Wanted { projection, version } in sets.iter().flat_map(|set| &set.wanted) {
        let name = projection.name();
        let fresh = known.insert((name, *version));
        let alone = version.map_or(known.iter().filter(|(n, _)| *n == name).count() == 1, |_| {
            !known.contains(&(name, None))
        });
        ensure!(fresh && alone, "{name} is named twice");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_each_version_that_this_build_keeps_level() {
        let of = |projection, version, ours, ready| Version {
            projection,
            version,
            ours,
            ready,
            active: version == 1,
            dropped: false,
            copying: false,
        };
        let known = [
            of("products", 1, true, true),
            of("snapshot", 1, true, true),
            of("snapshot", 2, true, true),
            of("snapshot", 3, true, false),
            of("snapshot", 4, false, true),
        ];
        let fed = |names: &str| {
            let versions = Set::parse(names).unwrap().versions(&known);
            versions.into_iter().map(|(p, at)| format!("{}@{at}", p.name())).collect::<Vec<_>>()
        };
        assert_eq!(fed("snapshot + products"), ["snapshot@1", "snapshot@2", "products@1"]);
        assert_eq!(fed("snapshot@3"), ["snapshot@3"]);
        assert!(fed("snapshot@4").is_empty(), "it would fold into another build's table");
        assert!(Set::parse("nothing").is_err() && Set::parse("snapshot@x").is_err());
    }

    #[test]
    fn nothing_is_fed_twice() {
        let sets =
            |names: &[&str]| names.iter().map(|n| Set::parse(n).unwrap()).collect::<Vec<_>>();
        for twice in [&["history+history"][..], &["history", "history@2"], &["history@2+history"]] {
            assert!(each_once(&sets(twice)).is_err(), "{twice:?}");
        }
        assert!(each_once(&sets(&["history@1+history@2", "products"])).is_ok());
    }
}
