//! Where the log ends now, for whoever tells its readers how far behind they are.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use dashmap::DashMap;
use rdkafka::consumer::{BaseConsumer, Consumer};
use schemas::Topic;

use super::client::Kafka;
use crate::shutdown::Shutdown;

/// The first and last stable offsets of some topics, refreshed every so often.
#[derive(Clone, Default)]
pub struct Ends(Arc<DashMap<(&'static str, i32), Bounds>>);

#[derive(Clone, Copy)]
struct Bounds {
    start: i64,
    end: i64,
    seen: Instant,
}

impl Ends {
    /// Watches `topics` until the shutdown.
    ///
    /// # Errors
    /// When no client or thread can be made.
    pub fn watch(
        kafka: &Kafka,
        topics: &[Topic],
        every: Duration,
        shutdown: Shutdown,
    ) -> anyhow::Result<(Self, JoinHandle<()>)> {
        let client: BaseConsumer = kafka.asking("read_committed").create()?;
        let (ends, topics) = (Self::default(), topics.to_vec());
        let watched = ends.clone();
        let run = move || {
            while !shutdown.requested() {
                for topic in &topics {
                    watched.refresh(&client, topic);
                }
                shutdown.sleep(every);
            }
        };
        Ok((ends, thread::Builder::new().name("ends".to_owned()).spawn(run)?))
    }

    /// The offset after the last readable record, if the broker has told it yet.
    pub fn end(&self, topic: &'static str, partition: i32) -> Option<i64> {
        self.0.get(&(topic, partition)).map(|bounds| bounds.end)
    }

    /// The offset of the first record that is still kept, if the broker has told it yet.
    pub fn start(&self, topic: &'static str, partition: i32) -> Option<i64> {
        self.0.get(&(topic, partition)).map(|bounds| bounds.start)
    }

    /// When the broker last told the bounds of the partition.
    pub fn seen(&self, topic: &'static str, partition: i32) -> Option<Instant> {
        self.0.get(&(topic, partition)).map(|bounds| bounds.seen)
    }

    /// How many records stand between `next` and the end. The marker that ends a transaction takes
    /// an offset too, so one may always remain: a transaction holds at least one record before it.
    pub fn behind(&self, topic: &'static str, partition: i32, next: i64) -> Option<i64> {
        let gap = self.end(topic, partition)? - next;
        Some(if gap <= 1 { 0 } else { gap })
    }

    fn refresh(&self, client: &BaseConsumer, topic: &Topic) {
        for partition in 0..topic.partitions {
            match client.fetch_watermarks(topic.name, partition, Duration::from_secs(2)) {
                Ok((start, end)) => {
                    let bounds = Bounds { start, end, seen: Instant::now() };
                    self.0.insert((topic.name, partition), bounds);
                }
                Err(error) => tracing::debug!(topic.name, partition, %error, "no end"),
            }
        }
    }
}
