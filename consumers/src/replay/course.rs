//! How far a version is, partition by partition, how fast it comes on, and whom that is told.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{Write as _, stdout},
    time::{Duration, Instant},
};

use domain::Timestamp;
use projections::{AnyProjection, Checkpoint};
use serde::Serialize;

use crate::{
    screen::{Bar, Bars},
    standing::Places,
};

/// Over how long a rate is taken.
const RATE_OVER: Duration = Duration::from_secs(10);
/// How often machines are told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The checkpoints of a version, by partition.
pub(super) type Applied = BTreeMap<i32, Checkpoint>;

/// How far a partition of a version is, over all its topics.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Stand {
    partition: i32,
    /// The next offset to be applied.
    applied: i64,
    /// Where the log ended a moment ago.
    end: i64,
    /// Offsets applied in a second.
    rate: f64,
    /// The age of what was applied last, where there is more; none where nothing was applied yet.
    lag_seconds: Option<f64>,
    /// How long it will take at this rate; none while it does not move.
    seconds_left: Option<f64>,
}

/// How the filling of a version ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    /// It is level with the log, and may be read.
    Level,
    /// The partitions that this process was given are level, and others are not.
    ShareLevel,
    /// A stop was asked for before.
    Stopped,
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Done {
    /// Offsets passed, over all partitions.
    pub(super) offsets: i64,
    /// How long that took.
    pub(super) seconds: f64,
    /// Keys built, and how long that took.
    pub(super) keys: usize,
    pub(super) keys_seconds: f64,
}

/// A line for machines.
#[derive(Serialize)]
struct Line<'a, T> {
    projection: &'a str,
    version: i32,
    #[serde(flatten)]
    of: T,
}

#[derive(Serialize)]
struct Copied {
    rows_copied: u64,
    of_about: u64,
}

#[derive(Serialize)]
struct Ended {
    result: End,
    #[serde(flatten)]
    done: Done,
}

/// What was seen of a version on its way.
pub(super) struct Course {
    projection: &'static dyn AnyProjection,
    version: i32,
    seen: VecDeque<(Instant, BTreeMap<i32, i64>)>,
    looks: Looks,
}

/// Who looks.
enum Looks {
    People(Bars),
    /// And when they were told last.
    Machines(Option<Instant>),
}

impl Course {
    pub(super) fn new(projection: &'static dyn AnyProjection, version: i32, json: bool) -> Self {
        let looks = if json { Looks::Machines(None) } else { Looks::People(Bars::begin()) };
        Self { projection, version, seen: VecDeque::new(), looks }
    }

    /// Says something to people.
    pub(super) fn say(&self, text: &str) -> anyhow::Result<()> {
        if let Looks::People(_) = &self.looks {
            writeln!(stdout(), "{}: {text}", self.projection.name())?;
        }
        Ok(())
    }

    /// Shows where `partitions` are; `whole` says it of all of them.
    pub(super) fn show(
        &mut self,
        partitions: &[i32],
        applied: &Applied,
        ends: &Places,
        whole: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        let now = Timestamp(chrono::Utc::now().timestamp_millis());
        let stands = self.stands(partitions, applied, ends, (Instant::now(), now));
        match &mut self.looks {
            Looks::People(bars) => {
                let bar = |stand: &Stand| Bar {
                    part: stand.partition,
                    done: (stand.applied.unsigned_abs(), stand.end.unsigned_abs()),
                    said: stand.said(),
                };
                bars.show(&stands.iter().map(bar).collect::<Vec<_>>(), whole)
            }
            Looks::Machines(told) => {
                let stands = if is_due(told) { stands } else { vec![] };
                stands.into_iter().try_for_each(|stand| self.line(stand))
            }
        }
    }

    /// Shows how many rows of about so many are copied.
    pub(super) fn copied(&mut self, rows: u64, all: u64) -> anyhow::Result<()> {
        match &mut self.looks {
            Looks::People(bars) => {
                let said = || format!("{rows} rows copied");
                let bar = Bar { part: self.version, done: (rows, all.max(rows)), said: said() };
                bars.show(&[bar], said)
            }
            Looks::Machines(told) => {
                let copied = is_due(told).then_some(Copied { rows_copied: rows, of_about: all });
                copied.map_or(Ok(()), |copied| self.line(copied))
            }
        }
    }

    /// Clears away what was shown.
    pub(super) fn clear(&mut self) {
        if let Looks::People(bars) = &mut self.looks {
            bars.end();
        }
    }

    /// Tells machines how it ended.
    pub(super) fn end(&self, result: End, done: Done) -> anyhow::Result<End> {
        if let Looks::Machines(_) = &self.looks {
            self.line(Ended { result, done })?;
        }
        Ok(result)
    }

    fn line(&self, of: impl Serialize) -> anyhow::Result<()> {
        let line = Line { projection: self.projection.name(), version: self.version, of };
        writeln!(stdout(), "{}", serde_json::to_string(&line)?)?;
        Ok(())
    }

    fn stands(
        &mut self,
        partitions: &[i32],
        applied: &Applied,
        ends: &Places,
        (at, now): (Instant, Timestamp),
    ) -> Vec<Stand> {
        let topics = self.projection.topics();
        let sum = |at: &Checkpoint| topics.iter().map(|topic| at.next(topic.name)).sum::<i64>();
        self.seen.push_back((at, applied.iter().map(|(of, at)| (*of, sum(at))).collect()));
        while self.seen.len() > 2 && self.seen[0].0 + RATE_OVER < at {
            self.seen.pop_front();
        }
        let stand = |&partition: &i32| {
            let stands = applied.get(&partition);
            let next = |topic| stands.map_or(0, |at| at.next(topic));
            let end = |topic| ends.get(&(topic, partition)).copied().unwrap_or_default();
            let whole = topics.iter().map(|topic| end(topic.name)).sum();
            let left = topics.iter().map(|topic| gap(next(topic.name), end(topic.name))).sum();
            let age = stands.and_then(|at| age(at.appended, now));
            let places = (stands.map_or(0, sum), whole, left);
            Stand::of(partition, places, self.rate(partition, at), age)
        };
        partitions.iter().map(stand).collect()
    }

    /// Offsets in a second since the partition was first seen lately. A first checkpoint may lie far
    /// behind the first offset there ever was, so nothing is reckoned from what had none.
    fn rate(&self, partition: i32, now: Instant) -> f64 {
        let seen = || self.seen.iter().filter_map(|(at, sums)| Some((*at, *sums.get(&partition)?)));
        let (Some((since, before)), Some((_, to))) = (seen().next(), seen().next_back()) else {
            return 0.0;
        };
        let seconds = now.duration_since(since).as_secs_f64();
        if seconds > 0.0 { (to - before) as f64 / seconds } else { 0.0 }
    }
}

/// How far `next` is from the end of a topic. The last transaction's marker stands behind the last
/// record, and may never be passed.
fn gap(next: i64, end: i64) -> i64 {
    if next + 1 >= end { 0 } else { end - next }
}

/// Whether machines are to be told again.
fn is_due(told: &mut Option<Instant>) -> bool {
    let is_due = told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
    if is_due {
        *told = Some(Instant::now());
    }
    is_due
}

fn age(appended: Timestamp, now: Timestamp) -> Option<f64> {
    (appended.0 > 0).then(|| (now.0 - appended.0).max(0) as f64 / 1000.0)
}

impl Stand {
    /// Of `end` offsets so many are applied and so many left, the last applied so long ago.
    fn of(
        partition: i32,
        (applied, end, left): (i64, i64, i64),
        rate: f64,
        age: Option<f64>,
    ) -> Self {
        let (mut lag_seconds, mut seconds_left) = (Some(0.0), Some(0.0));
        if left > 0 {
            (lag_seconds, seconds_left) = (age, (rate > 0.0).then(|| left as f64 / rate));
        }
        Self { partition, applied, end, rate, lag_seconds, seconds_left }
    }

    fn said(&self) -> String {
        let seconds = |of: Option<f64>| of.map_or("?".to_owned(), |of| format!("{of:.0}"));
        let (lag, left) = (seconds(self.lag_seconds), seconds(self.seconds_left));
        format!("{:.0}/s, {lag} s behind, {left} s left", self.rate)
    }
}

#[cfg(test)]
mod tests {
    use projections::{Consumed, named};
    use schemas::CATALOG;

    use super::*;

    fn at(next: i64, appended: i64) -> Checkpoint {
        of_topics([(CATALOG.events.name, next)], appended)
    }

    fn of_topics<const N: usize>(nexts: [(&str, i64); N], appended: i64) -> Checkpoint {
        let consumed = |next| Consumed { next, topic_id: "t".to_owned() };
        let offsets = nexts.map(|(topic, next)| (topic.to_owned(), consumed(next))).into();
        Checkpoint { offsets, appended: Timestamp(appended) }
    }

    #[test]
    fn a_partition_is_told_its_rate_lag_and_rest() {
        let mut course = Course::new(named("products").unwrap(), 2, true);
        let ends = [0, 1, 2].map(|partition| ((CATALOG.events.name, partition), 1_001)).into();
        let began = Instant::now();
        let mut look = |applied: Applied, seconds: u64| {
            let at = began + Duration::from_secs(seconds);
            course.stands(&[0, 1, 2], &applied, &ends, (at, Timestamp(9_000)))
        };
        let first = look(Applied::from([(0, at(100, 1_000))]), 0);
        assert_eq!((first[0].lag_seconds, first[0].seconds_left), (Some(8.0), None));
        assert_eq!((first[1].applied, first[1].lag_seconds), (0, None));
        let later = look(Applied::from([(0, at(601, 5_000)), (1, at(500, 6_000))]), 5);
        assert_eq!((later[0].rate, later[0].seconds_left), (100.2, Some(400.0 / 100.2)));
        // Whoever begins in the middle of the log has not come from its first offset.
        assert_eq!((later[1].rate, later[1].seconds_left), (0.0, None));
        assert_eq!(later[2].said(), "0/s, ? s behind, ? s left");
        let level = &look(Applied::from([(1, at(1_000, 6_000))]), 7)[1];
        assert_eq!((level.applied, level.end, level.rate), (1_000, 1_001, 250.0));
        assert_eq!((level.lag_seconds, level.seconds_left), (Some(0.0), Some(0.0)));
    }

    #[test]
    fn each_topic_may_end_with_a_marker() {
        let (events, decisions) = (CATALOG.events.name, CATALOG.decisions.name);
        let mut course = Course::new(named("command_status").unwrap(), 2, true);
        let ends = [((events, 0), 11), ((decisions, 0), 21)].into();
        for (nexts, left) in [([10, 20], true), ([11, 20], true), ([9, 20], false)] {
            let applied = of_topics([(events, nexts[0]), (decisions, nexts[1])], 1);
            let look = (Instant::now(), Timestamp(9_000));
            let stand = &course.stands(&[0], &Applied::from([(0, applied)]), &ends, look)[0];
            assert_eq!(stand.lag_seconds == Some(0.0), left, "{nexts:?}");
        }
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let mut course = Course::new(named("products").unwrap(), 2, true);
        let ends = [((CATALOG.events.name, 0), 10_000)].into();
        let began = Instant::now();
        let rates: Vec<f64> = (0..40)
            .map(|second| {
                let applied = Applied::from([(0, at(second.min(20) * 100, 1))]);
                let at = began + Duration::from_secs(second.unsigned_abs());
                course.stands(&[0], &applied, &ends, (at, Timestamp(9_000)))[0].rate
            })
            .collect();
        assert_eq!((rates[0], rates[20], rates[39]), (0.0, 100.0, 0.0));
    }
}
