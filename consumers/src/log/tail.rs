//! What must be known of the log before a partition can be taken over.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use domain::Timestamp;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};

use schemas::Topic;

use super::{client::Kafka, ends, native, reader::lost_position};

/// How long one question to a broker may take.
const ANSWER: Duration = Duration::from_secs(3);
/// After so long a silence a stretch is asked for anew, and then after twice as long, lest a slow
/// answer never arrive: of some thousand assignments librdkafka leaves one unserved.
const UNHEARD: Duration = Duration::from_secs(1);

/// Asks, as nobody's member, where a group and a log stand, and reads stretches of the log.
pub struct Tail {
    committed: BaseConsumer,
    uncommitted: BaseConsumer,
    group: String,
    bootstrap: String,
}

/// A stretch of one partition: from `next` up to, but without, `end`.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The first offset to read.
    pub next: i64,
    /// The offset after the last one.
    pub end: i64,
}

/// How far a stretch was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// As far as was wanted.
    Stopped,
    /// To what was said to be the end.
    ToEnd,
    /// To where nothing more was heard.
    Silent,
}

impl Tail {
    /// Watches the offsets of `group`.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn of(kafka: &Kafka, group: &str) -> anyhow::Result<Self> {
        let mut settings = kafka.consumer();
        // At the end of a log the broker waits so long before it says so, and it is asked twice for
        // each topic of each partition that is taken over.
        settings.set("fetch.wait.max.ms", "5");
        settings.set("group.id", group).set("enable.partition.eof", "true");
        let committed = settings.create()?;
        let uncommitted = kafka.asking("read_uncommitted").create()?;
        let (group, bootstrap) = (group.to_owned(), kafka.bootstrap.clone());
        Ok(Self { committed, uncommitted, group, bootstrap })
    }

    /// The group's committed offset of each partition, once no open transaction may still move it.
    ///
    /// A read_committed client asks for stable offsets, so the answer waits for a predecessor's
    /// transaction to settle: its late, legitimate commit must be seen.
    ///
    /// # Errors
    /// When it is not stable by `deadline`, or was never set (`jangbu topics apply` does).
    pub fn committed(
        &self,
        topic: &str,
        partitions: &[i32],
        deadline: Instant,
    ) -> anyhow::Result<Vec<i64>> {
        let mut asked = TopicPartitionList::new();
        for partition in partitions {
            asked.add_partition(topic, *partition);
        }
        loop {
            let answer = self.committed.committed_offsets(asked.clone(), ANSWER);
            match answer.and_then(|answer| stable(&answer, topic, partitions)) {
                Ok(offsets) => return self.all_set(topic, partitions, offsets),
                Err(error) if Instant::now() < deadline => {
                    tracing::info!(%error, topic, "waiting for stable offsets");
                    native::show_brokers(self.committed.client(), &self.bootstrap);
                    pause(50);
                }
                Err(error) => return Err(error).context("asking for the group's offsets"),
            }
        }
    }

    fn all_set(
        &self,
        topic: &str,
        partitions: &[i32],
        offsets: Vec<Option<i64>>,
    ) -> anyhow::Result<Vec<i64>> {
        let Some(at) = offsets.iter().position(Option::is_none) else {
            return Ok(offsets.into_iter().flatten().collect());
        };
        let (group, partition) = (&self.group, partitions[at]);
        bail!("{group} has no offset on {topic} {partition}; run `jangbu topics apply`")
    }

    fn watermarks(
        &self,
        client: &BaseConsumer,
        topic: &str,
        partition: i32,
    ) -> Result<(i64, i64), KafkaError> {
        let answer = client.fetch_watermarks(topic, partition, ANSWER);
        answer.inspect_err(|_| native::show_brokers(client.client(), &self.bootstrap))
    }

    /// The high watermark: the offset after the last record, committed or not.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn high_watermark(&self, topic: &str, partition: i32) -> anyhow::Result<i64> {
        Ok(self.watermarks(&self.uncommitted, topic, partition)?.1)
    }

    /// The log as readers may see it: from its first record to its last stable offset.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn bounds(&self, topic: &str, partition: i32) -> anyhow::Result<Bounds> {
        let bounds = self.watermarks(&self.committed, topic, partition);
        let (next, end) = bounds.with_context(|| format!("the bounds of {topic} {partition}"))?;
        Ok(Bounds { next, end })
    }

    /// As [`Tail::bounds`]. Where they end before `place` they are asked for a second time after a
    /// moment: a leader of before may not know yet that it is none.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn bounds_about(&self, topic: &str, partition: i32, place: i64) -> anyhow::Result<Bounds> {
        let bounds = self.bounds(topic, partition)?;
        if bounds.end >= place {
            return Ok(bounds);
        }
        pause(1_000);
        self.bounds(topic, partition)
    }

    /// The ids of `topics`, in their order; a topic made anew has another one.
    ///
    /// # Errors
    /// When the brokers do not describe them in time.
    pub fn topic_ids(&self, topics: &[Topic]) -> anyhow::Result<Vec<String>> {
        let names: Vec<&str> = topics.iter().map(|topic| topic.name).collect();
        native::topic_ids(&self.committed, &names, 3000).map_err(anyhow::Error::msg)
    }

    /// The last stable offset of each partition of a topic, in their order, asked for together.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub fn ends(&self, topic: &Topic) -> anyhow::Result<Vec<i64>> {
        let partitions: Vec<i32> = (0..topic.partitions).collect();
        let answer = ends::all(&self.committed, std::slice::from_ref(topic), Offset::End);
        let ends = answer.and_then(|answer| stable(&answer, topic.name, &partitions));
        let ends = ends.with_context(|| format!("the ends of {}", topic.name))?;
        ends.into_iter()
            .collect::<Option<_>>()
            .with_context(|| format!("{} has no end", topic.name))
    }

    /// Waits until every record before `offset` is committed or aborted.
    ///
    /// # Errors
    /// When it is not by `deadline`.
    pub fn wait_settled(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        deadline: Instant,
    ) -> anyhow::Result<()> {
        loop {
            let (_, stable) = self.watermarks(&self.committed, topic, partition)?;
            if stable >= offset {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{topic} {partition}: a transaction before {offset} stays open");
            }
            pause(20);
        }
    }

    /// Hands every committed record of `bounds` to `take`. Everything before `bounds.end` must be
    /// settled.
    ///
    /// # Errors
    /// What `take` returns, or that nothing is heard for as long as `patience`.
    pub fn read(
        &self,
        topic: &str,
        partition: i32,
        bounds: Bounds,
        patience: Duration,
        mut take: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.read_while(topic, partition, bounds, patience, |message| take(message).map(|()| true))
    }

    fn read_while(
        &self,
        topic: &str,
        partition: i32,
        bounds: Bounds,
        patience: Duration,
        mut take: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        if bounds.next >= bounds.end {
            return Ok(());
        }
        let next = Cell::new(bounds.next);
        // What was appended since belongs to nobody here, and a busy log might never end.
        let mut take = |message: &BorrowedMessage<'_>| {
            next.set(message.offset() + 1);
            Ok(message.offset() < bounds.end && take(message)? && next.get() < bounds.end)
        };
        let read = self.to_end(topic, partition, &next, patience, &mut take)?;
        if read == Read::Stopped || next.get() >= bounds.end {
            return Ok(());
        }
        // A new leader may for a moment serve less than the old one had told, and its end is then
        // no end. It does not tell where its log ends before it knows (KIP-207), so an end that is
        // met after that answer is one.
        self.wait_settled(topic, partition, bounds.end, Instant::now() + patience)?;
        self.to_end(topic, partition, &next, patience, &mut take).map(drop)
    }

    fn to_end(
        &self,
        topic: &str,
        partition: i32,
        next: &Cell<i64>,
        patience: Duration,
        take: &mut impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Read> {
        let (mut deadline, mut unheard) = (Instant::now() + patience, UNHEARD);
        loop {
            let at = next.get();
            let read = self.assigned(topic, partition, at, unheard, take);
            let read = read.with_context(|| format!("reading {topic} {partition} from {at}"))?;
            if read != Read::Silent {
                return Ok(read);
            }
            if next.get() > at {
                (deadline, unheard) = (Instant::now() + patience, UNHEARD);
            } else if Instant::now() > deadline {
                bail!("{topic} {partition}: nothing heard of {at} for {patience:?}");
            } else {
                unheard *= 2;
            }
            tracing::warn!(topic, partition, next = next.get(), "silent; asked anew");
            native::show_brokers(self.committed.client(), &self.bootstrap);
        }
    }

    fn assigned(
        &self,
        topic: &str,
        partition: i32,
        next: i64,
        unheard: Duration,
        take: &mut impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Read> {
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, partition, Offset::Offset(next))?;
        self.committed.assign(&from)?;
        let result = self.drain(unheard, take);
        self.committed.unassign()?;
        result
    }

    /// When the first committed record of `bounds` was appended. There may be none, although
    /// offsets remain: markers and aborted records take offsets too.
    ///
    /// # Errors
    /// When nothing is heard for as long as `patience`.
    pub fn first(
        &self,
        topic: &str,
        partition: i32,
        bounds: Bounds,
        patience: Duration,
    ) -> anyhow::Result<Option<Timestamp>> {
        let mut first = None;
        self.read_while(topic, partition, bounds, patience, |message| {
            first = message.timestamp().to_millis().map(Timestamp);
            Ok(false)
        })?;
        Ok(first)
    }

    fn drain(
        &self,
        unheard: Duration,
        take: &mut impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Read> {
        let mut heard = Instant::now();
        loop {
            match self.committed.poll(Duration::from_millis(100)) {
                Some(Ok(message)) if take(&message)? => heard = Instant::now(),
                Some(Ok(_)) => return Ok(Read::Stopped),
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(Read::ToEnd),
                Some(Err(error)) if lost_position(&error) => return Err(error.into()),
                Some(Err(error)) => tracing::warn!(%error, "reading the tail"),
                None if heard.elapsed() > unheard => return Ok(Read::Silent),
                None => {}
            }
        }
    }
}

/// Brokers tell nobody that a transaction has settled, so they are asked again.
#[expect(clippy::disallowed_methods, reason = "the pause between two questions")]
pub(super) fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// The offsets in the order of `partitions`. An element carries an error of its own: a call that
/// succeeds may still hold an unstable element, which must not be read as "no offset".
fn stable(
    answer: &TopicPartitionList,
    topic: &str,
    partitions: &[i32],
) -> Result<Vec<Option<i64>>, KafkaError> {
    let offset_of = |partition: &i32| {
        let missing = KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition);
        let element = answer.find_partition(topic, *partition).ok_or(missing)?;
        element.error()?;
        Ok(match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    };
    partitions.iter().map(offset_of).collect()
}
