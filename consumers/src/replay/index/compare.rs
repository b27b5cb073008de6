//! Whether two versions of the search index say the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Write, stdout},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use projections::{
    Pool, checkpoint,
    search::{self, Kept, PROJECTION, Search},
    version::{self, Difference},
};
use schemas::CATALOG;
use serde_json::json;

use super::open;
use crate::{
    config::{Config, Given},
    log::Bounds,
    replay::{compare::Found, number, told},
    screen::Progress,
    shutdown::{Shutdown, shutdown_signal},
    standing::Log,
};

/// Documents looked at together.
const PAGE: usize = 1000;
/// How long documents may be moving before it is said that the versions never meet.
const PATIENCE: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(100);
/// Differences that are shown one by one.
const SHOWN: usize = 20;

/// Compares a version with the live one, or another.
pub(in super::super) fn compare(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let (shutdown, number) = (shutdown_signal()?, number(given)?);
    let (runtime, db, search) = open(config)?;
    let log = Log::of(config)?;
    let with = given.value("with").map(str::parse).transpose().context("--with N")?;
    let live = runtime.block_on(search.live())?;
    let with: i32 = with.or(live).context("no version is live: --with N")?;
    ensure!(with != number, "{PROJECTION} {number} is the live one: --with N");
    let length = runtime.block_on(search.count(with))?;
    let mut progress = Progress::begin(length)?;
    let shown = if given.has("json") { usize::MAX } else { SHOWN };
    let two = Two { db: &db, search: &search, log: &log, versions: (with, number) };
    let found = runtime.block_on(two.compare(shown, &shutdown, |documents, so_far| {
        progress.pass(documents, || format!("{so_far} documents"));
    }));
    progress.end();
    let Found { rows, different, first } = found?;
    let mut out = stdout();
    if given.has("json") {
        for difference in &first {
            writeln!(out, "{}", serde_json::to_string(difference)?)?;
        }
        let told = json!({ "projection": PROJECTION, "versions": [with, number], "rows": rows,
            "different": different, "columns_of_one": [] });
        writeln!(out, "{told}")?;
        return Ok(different == 0);
    }
    for difference in &first {
        writeln!(out, "{}", told(difference))?;
    }
    if different > first.len() as u64 {
        writeln!(out, "and {} more", different - first.len() as u64)?;
    }
    let versions = format!("versions {with} and {number}");
    writeln!(out, "{PROJECTION}: {versions}: {rows} documents, {different} different")?;
    Ok(different == 0)
}

/// Compares every full version beside the one that is read, where both are made of what this build
/// has folded: by its number.
pub(crate) async fn beside(
    db: &Pool,
    search: &Search,
    log: &Log,
    shutdown: &Shutdown,
) -> anyhow::Result<Vec<(String, Found)>> {
    let Some(live) = search.live().await? else { return Ok(vec![]) };
    let (mut all_found, tables) = (vec![], version::all(db).await?);
    let is_ours = async |version: i32| -> anyhow::Result<bool> {
        let source = search.source(version).await?.map(|source| source.tables());
        Ok(source.is_some_and(|made_of| {
            ["products", "directory"].iter().all(|&name| {
                let mut of_it = tables.iter().filter(|of| of.ours && of.projection == name);
                of_it.any(|of| of.version == made_of.version(name))
            })
        }))
    };
    let known = search::versions(db).await?;
    for known in known.iter().filter(|known| known.ready && known.ours && known.version != live) {
        if !is_ours(live).await? || !is_ours(known.version).await? {
            continue;
        }
        let two = Two { db, search, log, versions: (live, known.version) };
        let found = two.compare(1, shutdown, |_, _| {}).await?;
        all_found.push((format!("{PROJECTION}: versions {live} and {}", known.version), found));
    }
    Ok(all_found)
}

/// Two versions, and what tells how far they have come.
struct Two<'a> {
    db: &'a Pool,
    search: &'a Search,
    log: &'a Log,
    versions: (i32, i32),
}

/// Documents of both, by id.
struct Pair(BTreeMap<String, Kept>, BTreeMap<String, Kept>);

impl Two<'_> {
    /// All documents, in the order of their ids, and so many of the differences.
    async fn compare(
        &self,
        shown: usize,
        shutdown: &Shutdown,
        mut pass: impl FnMut(u64, u64),
    ) -> anyhow::Result<Found> {
        let (one, other) = self.versions;
        self.search.refresh(one).await?;
        self.search.refresh(other).await?;
        let (mut found, mut after) = (Found::default(), None::<String>);
        loop {
            ensure!(!shutdown.requested(), "stopped before the end");
            let from = after.as_deref();
            let ones = self.search.walk(one, from, None, PAGE).await?;
            let is_last = ones.len() < PAGE;
            let upto = ones.keys().next_back().cloned();
            let others = self.upto(from, upto.as_deref().filter(|_| !is_last)).await?;
            let documents = ones.len().max(others.len()) as u64;
            let unequal = Pair(ones, others).unequal();
            let different = self.settle(unequal, shutdown).await?;
            found.rows += documents;
            found.different += different.len() as u64;
            let room = shown.saturating_sub(found.first.len());
            found.first.extend(different.into_iter().take(room));
            pass(documents, found.rows);
            if is_last {
                return Ok(found);
            }
            after = upto;
        }
    }

    /// Those of the other version up to an id, however many.
    async fn upto(
        &self,
        after: Option<&str>,
        upto: Option<&str>,
    ) -> anyhow::Result<BTreeMap<String, Kept>> {
        let (mut all, mut from) = (BTreeMap::new(), after.map(str::to_owned));
        loop {
            let page = self.search.walk(self.versions.1, from.as_deref(), upto, PAGE).await?;
            let is_last = page.len() < PAGE;
            from = page.keys().next_back().cloned();
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Which of these documents are not equal although both versions have had all that either could
    /// show when they were looked at, and have not been written since.
    async fn settle(
        &self,
        mut open: Vec<String>,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Vec<Difference>> {
        let (mut different, began) = (vec![], Instant::now());
        while !open.is_empty() {
            let before = self.pair(&open).await?;
            let passed = self.applied().await?;
            for version in [self.versions.0, self.versions.1] {
                while !self.has_passed(version, &passed).await? {
                    ensure!(!shutdown.requested(), "stopped before the end");
                    ensure!(
                        began.elapsed() < PATIENCE,
                        "{PROJECTION} {version} does not come so far as the read models are in \
                         {PATIENCE:?}: is it not fed? (jangbu replay status)"
                    );
                    tokio::time::sleep(AGAIN).await;
                }
            }
            let now = self.pair(&before.unequal()).await?;
            open = vec![];
            for id in now.unequal() {
                if before.0.get(&id) == now.0.get(&id) && before.1.get(&id) == now.1.get(&id) {
                    different.push(now.difference(id, self.versions));
                } else {
                    open.push(id);
                }
            }
            ensure!(began.elapsed() < PATIENCE, "some documents are never at rest: {open:?}");
        }
        Ok(different)
    }

    async fn pair(&self, ids: &[String]) -> anyhow::Result<Pair> {
        if ids.is_empty() {
            return Ok(Pair(BTreeMap::new(), BTreeMap::new()));
        }
        let (one, other) = self.versions;
        Ok(Pair(self.search.kept(one, ids).await?, self.search.kept(other, ids).await?))
    }

    /// By partition, what any of the read models that the two are made of has applied: no document
    /// of theirs shows more.
    async fn applied(&self) -> anyhow::Result<BTreeMap<i32, i64>> {
        let mut applied = BTreeMap::new();
        for version in [self.versions.0, self.versions.1] {
            let source = self.search.source(version).await?;
            let source = source.with_context(|| format!("there is no {PROJECTION} {version}"))?;
            for (name, version) in [("products", source.products), ("directory", source.directory)]
            {
                for (at, to) in checkpoint::read_all(self.db, name, version).await? {
                    let next: &mut i64 = applied.entry(at).or_default();
                    *next = to.next(CATALOG.events.name).max(*next);
                }
            }
        }
        Ok(applied)
    }

    /// Whether documents of a version lack nothing below these offsets.
    async fn has_passed(&self, version: i32, to: &BTreeMap<i32, i64>) -> anyhow::Result<bool> {
        let events = CATALOG.events.name;
        let at = checkpoint::read_all(self.db, PROJECTION, version).await?;
        for (&partition, &end) in to {
            let next = at.get(&partition).map_or(0, |at| at.next(events));
            let bounds = Bounds { next, end };
            if next < end && self.log.unread(events, partition, bounds)?.is_some()
                || search::lags(self.db, version, partition, end - 1).await?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Pair {
    fn unequal(&self) -> Vec<String> {
        let ids: BTreeSet<&String> = self.0.keys().chain(self.1.keys()).collect();
        let fields = |of: &BTreeMap<String, Kept>, id| of.get(id).map(|kept| kept.fields.clone());
        let ids = ids.into_iter().filter(|id| fields(&self.0, *id) != fields(&self.1, *id));
        ids.cloned().collect()
    }

    fn difference(&self, key: String, versions: (i32, i32)) -> Difference {
        let (lacks, mut columns) = match (self.0.get(&key), self.1.get(&key)) {
            (Some(one), Some(other)) => {
                let names: BTreeSet<&String> =
                    one.fields.keys().chain(other.fields.keys()).collect();
                let differs = |name: &&String| one.fields.get(*name) != other.fields.get(*name);
                (None, names.into_iter().filter(differs).cloned().collect())
            }
            (Some(_), None) => (Some(versions.1), vec![]),
            (None, _) => (Some(versions.0), vec![]),
        };
        columns.sort();
        Difference { key, columns, lacks }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn kept(documents: &[(&str, Value)]) -> BTreeMap<String, Kept> {
        let fields = |of: &Value| of.as_object().unwrap().clone();
        let kept =
            |(id, of): &(&str, Value)| ((*id).to_owned(), Kept { version: 1, fields: fields(of) });
        documents.iter().map(kept).collect()
    }

    #[test]
    fn what_differs_is_named() {
        let one = kept(&[
            ("a", json!({"name": "x"})),
            ("b", json!({"name": "x", "image": null})),
            ("c", json!({})),
        ]);
        let other = kept(&[("a", json!({"name": "x"})), ("b", json!({"name": "y"}))]);
        let pair = Pair(one, other);
        assert_eq!(pair.unequal(), ["b", "c"]);
        let difference = |id: &str| pair.difference(id.to_owned(), (1, 2));
        assert_eq!(
            (difference("b").columns.join(" "), difference("b").lacks),
            ("image name".to_owned(), None)
        );
        assert_eq!(difference("c").lacks, Some(2));
    }
}
