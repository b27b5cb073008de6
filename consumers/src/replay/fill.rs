//! Filling a version from the log.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    num::NonZeroU32,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, ensure};
use projections::{AnyProjection, Error, Pool, Version, checkpoint, version};
use tokio::runtime::Runtime;

use super::{
    copy::copy,
    course::{Applied, Course, Done, End},
};
use crate::{
    config::{Config, Given},
    faults,
    projector::{Job, Set, feed_sets, fill},
    shutdown::{Shutdown, shutdown_signal},
    standing::{self, Log, Places},
};

/// Who has what the log held so long ago is level with it.
const LEVEL: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(500);

/// Fills a version; whether what it was to fill became level before a stop was asked for.
///
/// # Errors
/// When a server refuses or does not answer, or the feeding ends by itself.
pub(super) fn start(config: &Config, given: &Given) -> anyhow::Result<bool> {
    faults::arm()?;
    let shutdown = shutdown_signal()?;
    let projection = super::projection(given)?;
    let throttle = given.value(super::THROTTLE.name).map(str::parse::<NonZeroU32>).transpose();
    let throttle = throttle.context("--throttle: a number above 0")?;
    let share = given.value(super::PARTITIONS.name).map(|text| share(projection, text));
    let share = share.transpose()?;
    let (runtime, db, versions) = super::open(config)?;
    let json = given.has("json");
    let number = if given.has("from-snapshot") {
        ensure!(share.is_none(), "--from-snapshot copies every partition: without --partitions");
        let copied = copy(&db, projection, &versions, throttle, json, &shutdown);
        let Some(number) = runtime.block_on(copied)? else { return Ok(false) };
        number
    } else {
        next(projection, &versions)
    };
    // Keys that are built at once at the end take the machine from whoever is to be spared.
    runtime.block_on(async {
        match throttle {
            Some(_) => version::create(&db, projection, number).await,
            None => version::create_bare(&db, projection, number).await,
        }
    })?;
    let mut course = Course::new(projection, number, json);
    course.say(&format!("filling version {number}"))?;
    let (log, follow) = (Log::of(config)?, given.has("follow"));
    let job = Job { projection, version: number, throttle, partitions: share };
    let starts = starts(&log, projection)?;
    let (seen, shutdown) = (RefCell::default(), &shutdown);
    let filling = Filling { runtime, db, log, job: &job, follow, starts, seen, shutdown };
    let is_read = filling.begin()?;
    let is_shared = job.partitions.is_some();
    ensure!(!(is_read && is_shared), "version {number} is read already: without --partitions");
    let sets = [Set::of(projection, number, throttle)];
    let keep = |stopping: &Shutdown| feed_sets(config, &sets, stopping);
    let begin = |stopping: &Shutdown| fill(config, &job, stopping);
    let until_level = |has_ended: &dyn Fn() -> bool| {
        let end = filling.finish(&mut course, has_ended);
        course.clear();
        end
    };
    // Who reads it expects each change soon, and others may feed it too.
    let end = if is_read { beside(keep, until_level)? } else { beside(begin, until_level)? };
    if end == End::Level && follow {
        beside(keep, |has_ended| filling.stay(has_ended))?;
    }
    Ok(end != End::Stopped)
}

/// What comes of `watched`, while `feed` goes on beside it and until then; it is told whether that
/// has ended by itself.
fn beside<T>(
    feed: impl FnOnce(&Shutdown) -> anyhow::Result<()> + Send,
    watched: impl FnOnce(&dyn Fn() -> bool) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (stop, stopping) = Shutdown::pair();
    thread::scope(|scope| {
        let feeding = scope.spawn(move || feed(&stopping));
        let end = watched(&|| feeding.is_finished());
        stop.stop();
        // Why that has ended says more.
        feeding.join().map_err(|_| anyhow!("the feeding panicked"))??;
        end
    })
}

/// The version that was begun beside the active one, or another.
fn next(projection: &dyn AnyProjection, versions: &[Version]) -> i32 {
    let of_it = || versions.iter().filter(|version| version.projection == projection.name());
    let begun = of_it().rfind(|version| version.ours && !version.active);
    let newest = of_it().map(|version| version.version).max().unwrap_or_default();
    begun.map_or(newest + 1, |version| version.version)
}

/// Where the log of a projection begins.
fn starts(log: &Log, projection: &dyn AnyProjection) -> anyhow::Result<Places> {
    let mut starts = Places::new();
    for topic in projection.topics() {
        for partition in 0..topic.partitions {
            starts.insert((topic.name, partition), log.tail.bounds(topic.name, partition)?.next);
        }
    }
    Ok(starts)
}

/// The partitions named in `text`.
fn share(projection: &dyn AnyProjection, text: &str) -> anyhow::Result<Vec<i32>> {
    let topic = projection.topics().first().context("a projection reads a topic")?;
    let last = topic.partitions - 1;
    let mut share = BTreeSet::new();
    for word in text.split(',').map(str::trim) {
        let partition = word.parse().ok().filter(|partition| (0..=last).contains(partition));
        let partition = partition.with_context(|| {
            format!("--partitions: {} has the partitions 0 to {last}, and no {word:?}", topic.name)
        })?;
        share.insert(partition);
    }
    Ok(share.into_iter().collect())
}

/// A version on its way.
struct Filling<'a> {
    runtime: Runtime,
    db: Pool,
    log: Log,
    job: &'a Job,
    follow: bool,
    /// Where the log began.
    starts: Places,
    /// How far it was seen to be.
    seen: RefCell<Applied>,
    shutdown: &'a Shutdown,
}

impl Filling<'_> {
    /// Notes that it is not level, where nobody has fed it for long: then nobody begins to rely on
    /// it before it is. Whether somebody may rely on it.
    fn begin(&self) -> anyhow::Result<bool> {
        let Job { projection, version: number, .. } = *self.job;
        let reader = standing::version_of(&self.db, projection, number);
        let standing = self.log.standing(&self.runtime.block_on(reader)?)?;
        if standing.owners.is_empty() && standing.seconds() > LEVEL.as_secs_f64() {
            let note = version::set_ready(&self.db, projection, number, false);
            self.runtime.block_on(note)?;
        }
        let versions = self.runtime.block_on(version::all(&self.db))?;
        let mut versions = versions.iter().filter(|known| known.projection == projection.name());
        Ok(versions.any(|known| known.version == number && known.ready))
    }

    /// Waits for a stop, while it is kept level.
    fn stay(&self, has_ended: &dyn Fn() -> bool) -> anyhow::Result<()> {
        while !self.shutdown.requested() {
            self.goes_on(has_ended)?;
            self.shutdown.sleep(LOOK);
        }
        Ok(())
    }

    /// Looks whether there is still something that is fed.
    ///
    /// # Errors
    /// When the feeding has ended by itself, or has nothing to feed any more.
    fn goes_on(&self, has_ended: &dyn Fn() -> bool) -> anyhow::Result<()> {
        ensure!(!has_ended(), "the feeding has ended");
        let Job { projection, version: number, .. } = *self.job;
        // Where it cannot be asked, those who feed it say why.
        let known = self.runtime.block_on(version::all(&self.db)).unwrap_or_default();
        let is_dropped = super::find(&known, projection, number).is_ok_and(|known| known.dropped);
        ensure!(!is_dropped, "version {number} was dropped");
        Ok(())
    }

    /// The answer of MySQL, which is asked again while it is away and nobody asks for a stop.
    fn answer<T>(&self, ask: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
        loop {
            match self.runtime.block_on(ask()) {
                Err(error) if error.may_pass() && !self.shutdown.requested() => {
                    tracing::warn!(%error, "waiting for MySQL");
                    self.shutdown.sleep(LOOK);
                }
                answer => return answer,
            }
        }
    }

    /// Waits until it is level, builds its keys, and notes that it may be read once it is level
    /// again. Of a share of its partitions the others must be level as well.
    fn finish(&self, course: &mut Course, has_ended: &dyn Fn() -> bool) -> anyhow::Result<End> {
        let Job { projection, version: number, ref partitions, .. } = *self.job;
        let mine = partitions.clone().unwrap_or_else(|| self.all());
        let (began, first) = (Instant::now(), self.applied()?);
        let done = |keys, keys_seconds| {
            let offsets = self.sum(&self.seen.borrow(), &mine) - self.sum(&first, &mine);
            Done { offsets, seconds: began.elapsed().as_secs_f64(), keys, keys_seconds }
        };
        let is_level =
            |course: &mut Course, of: &[i32], within| self.watch(course, (of, within), has_ended);
        if !is_level(course, &mine, None)? {
            return course.end(End::Stopped, done(0, 0.0));
        }
        let filled = done(0, 0.0);
        if let Some(end) = self.others(course, is_level)? {
            return course.end(end, filled);
        }
        let building = Instant::now();
        // The server goes on with a key that it has begun, and who asks again waits for that.
        let keys = self.answer(async || {
            let keys = version::build_keys(&self.db, projection, number);
            tokio::select! { keys = keys => keys.map(Some), () = self.shutdown.wait() => Ok(None) }
        })?;
        let Some(keys) = keys else { return course.end(End::Stopped, filled) };
        let seconds = building.elapsed().as_secs_f64();
        if keys > 0 {
            course.say(&format!("{keys} keys built in {seconds:.1} s"))?;
        }
        // However long another took to build them.
        if !is_level(course, &mine, None)? {
            let end = partitions.as_ref().map_or(End::Stopped, |_| End::ShareLevel);
            return course.end(end, done(keys, seconds));
        }
        if let Some(end) = self.others(course, is_level)? {
            return course.end(end, done(keys, seconds));
        }
        self.answer(async || version::set_ready(&self.db, projection, number, true).await)?;
        course.say(&format!("version {number} is level with the log: {}", rate(filled)))?;
        course.end(End::Level, Done { keys, keys_seconds: seconds, ..filled })
    }

    /// Where this process fills a share: how that ends unless the others are level, too; they are
    /// waited for where it was told to follow.
    fn others(
        &self,
        course: &mut Course,
        is_level: impl FnOnce(&mut Course, &[i32], Option<Duration>) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Option<End>> {
        let Some(mine) = &self.job.partitions else { return Ok(None) };
        let list = |of: &[i32]| of.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
        let (ends, applied) = (self.ends()?, self.applied()?);
        let mut behind = self.all();
        behind.retain(|of| !mine.contains(of) && !self.is_level(&applied, &ends, &[*of]));
        if behind.is_empty() {
            return Ok(None);
        }
        course.say(&format!(
            "the partitions {} of version {} are level; it can be read once {} are as well and \
             somebody sees that, who fills all of it or is told to --follow",
            list(mine),
            self.job.version,
            list(&behind)
        ))?;
        // Who is being filled stands a moment behind all the time.
        let patience = (!self.follow).then_some(LEVEL);
        let are_level = is_level(course, &self.all(), patience)?;
        Ok((!are_level).then_some(End::ShareLevel))
    }

    /// Shows how far `partitions` are, until they are level; false where a stop was asked for before,
    /// or the time is over in which they should be. Who feeds them waits for servers that are away.
    fn watch(
        &self,
        course: &mut Course,
        (partitions, within): (&[i32], Option<Duration>),
        has_ended: &dyn Fn() -> bool,
    ) -> anyhow::Result<bool> {
        let began = Instant::now();
        let (mut ends, mut seen) = (self.ends()?, Instant::now());
        let (mut applied, mut latest) = (self.applied()?, ends.clone());
        let first = self.sum(&applied, partitions);
        loop {
            let is_late = within.is_some_and(|within| began.elapsed() > within);
            if self.shutdown.requested() || is_late {
                course.clear();
                return Ok(false);
            }
            self.goes_on(has_ended)?;
            if self.is_level(&applied, &ends, partitions) {
                if seen.elapsed() <= LEVEL {
                    break;
                }
                if let Ok(now) = self.ends() {
                    (ends, seen) = (now, Instant::now());
                }
            }
            self.shutdown.sleep(LOOK);
            applied = match self.applied() {
                Err(_) if self.shutdown.requested() => continue,
                now => now?,
            };
            latest = self.ends().unwrap_or(latest);
            let offsets = self.sum(&applied, partitions) - first;
            let seconds = began.elapsed().as_secs_f64();
            let whole = || rate(Done { offsets, seconds, ..Done::default() });
            course.show(partitions, &applied, &latest, whole)?;
        }
        course.clear();
        Ok(true)
    }

    /// Whether nothing but the marker of a last transaction is left, which may never be passed.
    fn is_level(&self, applied: &Applied, ends: &Places, partitions: &[i32]) -> bool {
        let at = |topic, partition| applied.get(partition).map_or(0, |at| at.next(topic));
        let mut ends = ends.iter().filter(|((_, partition), _)| partitions.contains(partition));
        ends.all(|((topic, partition), end)| at(topic, partition) + 1 >= *end)
    }

    fn all(&self) -> Vec<i32> {
        let topics = self.job.projection.topics().iter();
        (0..topics.map(|topic| topic.partitions).max().unwrap_or_default()).collect()
    }

    fn ends(&self) -> anyhow::Result<Places> {
        let mut ends = Places::new();
        for topic in self.job.projection.topics() {
            let of_topic = self.log.tail.ends(topic)?;
            ends.extend((0..).zip(of_topic).map(|(partition, end)| ((topic.name, partition), end)));
        }
        Ok(ends)
    }

    fn applied(&self) -> Result<Applied, Error> {
        let (name, version) = (self.job.projection.name(), self.job.version);
        let applied = self.answer(async || checkpoint::read_all(&self.db, name, version).await)?;
        self.seen.replace(applied.clone());
        Ok(applied)
    }

    /// How far `partitions` are, those without a checkpoint where the log began.
    fn sum(&self, applied: &Applied, partitions: &[i32]) -> i64 {
        let starts =
            self.starts.iter().filter(|((_, partition), _)| partitions.contains(partition));
        let next = |((topic, partition), start): (&(&str, i32), &i64)| {
            applied.get(partition).map_or(*start, |at| at.next(topic))
        };
        starts.map(next).sum()
    }
}

fn rate(Done { offsets, seconds, .. }: Done) -> String {
    let seconds = seconds.max(1.0);
    format!("{offsets} offsets in {seconds:.0} s, {:.0}/s", offsets as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use projections::named;

    use super::*;

    #[test]
    fn a_share_is_of_the_partitions_that_there_are() {
        let share = |text| share(named("products").unwrap(), text);
        assert_eq!(share("4, 0,2,0").unwrap(), [0, 2, 4]);
        for wrong in ["6", "-1", "", "0,", "one", "0-2"] {
            let why = share(wrong).unwrap_err().to_string();
            assert!(why.contains("catalog.events has the partitions 0 to 5"), "{why}");
        }
    }
}
