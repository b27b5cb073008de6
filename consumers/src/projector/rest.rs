//! Offsets that hold no record: the markers of transactions, and what aborted ones left behind. The
//! reader never delivers them, so at the end of a log the checkpoint would stay below it for ever.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::log::{Bounds, Ends, Kafka, Tail};

/// How long a checkpoint stands still below the end before anybody looks why.
const STILL: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(3);

/// An offset of each topic and partition.
type Places = BTreeMap<(&'static str, i32), i64>;

/// Looks at what is left of the log where nothing moves.
pub(super) struct Rest {
    ends: Ends,
    tail: Tail,
    looked: Instant,
    still: BTreeMap<(&'static str, i32), (i64, Instant)>,
}

impl Rest {
    pub(super) fn new(kafka: &Kafka, group: &str, ends: Ends) -> anyhow::Result<Self> {
        let tail = Tail::of(kafka, group)?;
        Ok(Self { ends, tail, looked: Instant::now(), still: BTreeMap::new() })
    }

    /// How far each topic and partition of `next` holds no record, where that is further.
    ///
    /// The end is asked for before the log is read up to it, so a record that comes later lies
    /// beyond it and is not passed over.
    pub(super) fn passable(&mut self, next: &Places) -> anyhow::Result<Places> {
        let mut passable = Places::new();
        if self.looked.elapsed() < EVERY {
            return Ok(passable);
        }
        self.looked = Instant::now();
        for (&(topic, partition), &next) in next {
            let Some(end) = self.stands_below(topic, partition, next) else { continue };
            let bounds = Bounds { next, end };
            if self.tail.first(topic, partition, bounds, ANSWER)?.is_none() {
                passable.insert((topic, partition), end);
            }
        }
        Ok(passable)
    }

    /// The end of the log, where `next` has been standing below it.
    fn stands_below(&mut self, topic: &'static str, partition: i32, next: i64) -> Option<i64> {
        let behind = self.ends.behind(topic, partition, next).unwrap_or_default();
        let (at, since) = self.still.entry((topic, partition)).or_insert((next, Instant::now()));
        if behind == 0 || *at != next {
            (*at, *since) = (next, Instant::now());
        }
        let stands = since.elapsed() >= STILL;
        self.ends.end(topic, partition).filter(|_| stands)
    }
}
