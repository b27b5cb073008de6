//! Filling a version from the log.

use std::{
    io::{Write, stdout},
    num::NonZeroU32,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use projections::{AnyProjection, Pool, Version, version};
use tokio::runtime::Runtime;

use crate::{
    config::{Config, Given},
    faults,
    projector::{Set, feed_sets, fill},
    screen::Progress,
    shutdown::{Shutdown, shutdown_signal},
    standing::{self, Log, Places},
};

/// Who has what the log held so long ago is level with it.
const LEVEL: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(500);

/// Fills a version; whether it became level before a stop was asked for.
///
/// # Errors
/// When a server refuses or does not answer, or the feeding ends by itself.
pub fn start(config: &Config, given: &Given) -> anyhow::Result<bool> {
    faults::arm()?;
    let shutdown = shutdown_signal()?;
    let projection = super::projection(given)?;
    let throttle = given.value(super::THROTTLE.name).map(str::parse::<NonZeroU32>).transpose();
    let throttle = throttle.context("--throttle: a number above 0")?;
    let (runtime, db, versions) = super::open(config)?;
    let number = next(projection, &versions);
    runtime.block_on(version::create_bare(&db, projection, number))?;
    writeln!(stdout(), "{}: filling version {number}", projection.name())?;
    let filling = Filling { runtime, db, log: Log::of(config)?, projection, number };
    let is_read = filling.begin()?;
    let sets = [Set::of(projection, number, throttle)];
    let (stop, stopping) = Shutdown::pair();
    let level = thread::scope(|scope| {
        let feeding = scope.spawn(|| {
            // Who reads it expects each change soon, and others may feed it too.
            if is_read {
                return feed_sets(config, &sets, &stopping);
            }
            fill(config, projection, number, throttle, &stopping)
        });
        let level = filling.finish(&shutdown, || feeding.is_finished());
        stop.stop();
        feeding.join().map_err(|_| anyhow!("the feeding panicked"))??;
        level
    })?;
    if level && given.has("follow") {
        feed_sets(config, &sets, &shutdown)?;
    }
    Ok(level)
}

/// The version that was begun beside the active one, or another.
fn next(projection: &dyn AnyProjection, versions: &[Version]) -> i32 {
    let of_it = || versions.iter().filter(|version| version.projection == projection.name());
    let begun = of_it().rfind(|version| version.ours && !version.active);
    let newest = of_it().map(|version| version.version).max().unwrap_or_default();
    begun.map_or(newest + 1, |version| version.version)
}

/// A version on its way.
struct Filling {
    runtime: Runtime,
    db: Pool,
    log: Log,
    projection: &'static dyn AnyProjection,
    number: i32,
}

impl Filling {
    /// Notes that it is not level, where nobody has fed it for long: then nobody begins to rely on
    /// it before it is. Whether somebody may rely on it.
    fn begin(&self) -> anyhow::Result<bool> {
        let reader = standing::version_of(&self.db, self.projection, self.number);
        let standing = self.log.standing(&self.runtime.block_on(reader)?)?;
        if standing.owners.is_empty() && standing.seconds() > LEVEL.as_secs_f64() {
            let note = version::set_ready(&self.db, self.projection, self.number, false);
            self.runtime.block_on(note)?;
        }
        let versions = self.runtime.block_on(version::all(&self.db))?;
        let name = self.projection.name();
        let mut versions = versions.iter().filter(|known| known.projection == name);
        Ok(versions.any(|known| known.version == self.number && known.ready))
    }

    /// Waits until it is level, builds its keys, and notes that it may be read once it is level
    /// again; whether it came to that.
    fn finish(&self, shutdown: &Shutdown, has_ended: impl Fn() -> bool) -> anyhow::Result<bool> {
        let began = Instant::now();
        let first = sum(&self.applied()?);
        if !self.watch(first, shutdown, &has_ended)? {
            return Ok(false);
        }
        let filled = self.rate(sum(&self.applied()?) - first, began);
        let began = Instant::now();
        let keys = version::build_keys(&self.db, self.projection, self.number);
        let keys = self.runtime.block_on(keys)?;
        if keys > 0 {
            let seconds = began.elapsed().as_secs_f64();
            writeln!(stdout(), "{}: {keys} keys built in {seconds:.1} s", self.projection.name())?;
        }
        // However long another took to build them.
        if !self.watch(sum(&self.applied()?), shutdown, &has_ended)? {
            return Ok(false);
        }
        self.runtime.block_on(version::set_ready(&self.db, self.projection, self.number, true))?;
        let (name, number) = (self.projection.name(), self.number);
        writeln!(stdout(), "{name}: version {number} is level with the log: {filled}")?;
        Ok(true)
    }

    /// Shows how far it is, until it is level.
    fn watch(
        &self,
        first: i64,
        shutdown: &Shutdown,
        has_ended: impl Fn() -> bool,
    ) -> anyhow::Result<bool> {
        let began = Instant::now();
        let (mut ends, mut seen) = (self.ends()?, Instant::now());
        let mut applied = self.applied()?;
        let mut progress = Progress::begin((sum(&ends) - first).unsigned_abs())?;
        loop {
            if shutdown.requested() || has_ended() {
                progress.end();
                return Ok(false);
            }
            // The last transaction's marker stands behind the last record, and may never be passed.
            let at = |place| applied.get(place).copied().unwrap_or_default();
            if ends.iter().all(|(place, end)| at(place) + 1 >= *end) {
                if seen.elapsed() <= LEVEL {
                    break;
                }
                (ends, seen) = (self.ends()?, Instant::now());
            }
            shutdown.sleep(LOOK);
            let now = self.applied()?;
            let passed = (sum(&now) - sum(&applied)).unsigned_abs();
            applied = now;
            progress.pass(passed, || self.rate(sum(&applied) - first, began));
        }
        progress.end();
        Ok(true)
    }

    fn rate(&self, offsets: i64, began: Instant) -> String {
        let seconds = began.elapsed().as_secs().max(1);
        format!("{offsets} offsets in {seconds} s, {}/s", offsets.unsigned_abs() / seconds)
    }

    fn ends(&self) -> anyhow::Result<Places> {
        let mut ends = Places::new();
        for topic in self.projection.topics() {
            let of_topic = self.log.tail.ends(topic)?;
            ends.extend((0..).zip(of_topic).map(|(partition, end)| ((topic.name, partition), end)));
        }
        Ok(ends)
    }

    fn applied(&self) -> anyhow::Result<Places> {
        let reader = standing::version_of(&self.db, self.projection, self.number);
        Ok(self.runtime.block_on(reader)?.next)
    }
}

fn sum(places: &Places) -> i64 {
    places.values().sum()
}
