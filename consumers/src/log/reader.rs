//! One loop for everything that follows the log: one topic is subscribed, and the same partitions
//! of the others are read along by hand, since two subscriptions can end up with two owners.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use projections::Logged;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer},
    error::KafkaError,
};
use schemas::Topic;

use super::{
    client::Kafka,
    native,
    ownership::{Change, Member, Ownership, is_stranded, read_on},
    record::Decoder,
    silence::Silence,
    tail::pause,
};
use crate::telemetry::{PARTITIONS_OWNED, RETRIES};

/// How much of the log one poll may bring into memory.
const BATCH_BYTES: usize = 8 << 20;

/// What is told of while the log does not answer.
pub(crate) const READING: &str = "reading the log";

/// Follows the log for one group.
pub struct Reader {
    kafka: Kafka,
    group: String,
    member: Member,
    topics: Vec<Topic>,
    decoder: Decoder,
    silence: Silence,
    hand: Hand,
    /// When it was told last where to read.
    started: Mutex<Option<Instant>>,
}

/// How long librdkafka gets to take partitions away. It does not say when it has, and ends the
/// process where they are taken away once more before (`rd_kafka_assignment_partition_stopped`).
const TAKEN_AWAY: Duration = Duration::from_millis(300);

/// Who gives the partitions out.
enum Hand {
    Group,
    /// Whoever made the reader: these, which it has not been told yet, or none any more.
    Given(Option<Vec<i32>>),
}

/// What a poll brought.
pub enum Polled {
    /// These partitions are owned from now on, and nothing is read until [`Reader::start`].
    Assigned(Vec<i32>),
    /// No partition is owned any more.
    Revoked,
    /// Records, in the order of each partition; empty when none came in time.
    Records(Vec<Logged>),
}

/// A wait as librdkafka knows it, no shorter: through what is no whole millisecond, rdkafka spins.
pub(crate) fn whole_millis(wait: Duration) -> Duration {
    let up = wait.saturating_add(Duration::from_nanos(999_999));
    up - Duration::from_nanos(u64::from(up.subsec_nanos() % 1_000_000))
}

impl Reader {
    /// Joins `group` by the first of `topics`.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn subscribe(
        kafka: &Kafka,
        group: &str,
        topics: &[Topic],
        decoder: Decoder,
    ) -> anyhow::Result<Self> {
        let member = join(kafka, group, topics)?;
        Ok(Self::with(member, kafka, group, topics, decoder, Hand::Group))
    }

    /// Reads these partitions, whoever else may read them.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn of(
        kafka: &Kafka,
        group: &str,
        topics: &[Topic],
        decoder: Decoder,
        partitions: &[i32],
    ) -> anyhow::Result<Self> {
        let member = kafka.follower(group).create_with_context(Ownership::default())?;
        let hand = Hand::Given(Some(partitions.to_vec()));
        Ok(Self::with(member, kafka, group, topics, decoder, hand))
    }

    fn with(
        member: Member,
        kafka: &Kafka,
        group: &str,
        topics: &[Topic],
        decoder: Decoder,
        hand: Hand,
    ) -> Self {
        let (kafka, group, topics) = (kafka.clone(), group.to_owned(), topics.to_vec());
        let (silence, started) = (Silence::default(), Mutex::new(None));
        Self { kafka, group, member, topics, decoder, silence, hand, started }
    }

    /// Comes into the group as another member, where this one does not come back.
    fn come_back(&mut self) -> anyhow::Result<()> {
        let first = self.topics.first().filter(|_| matches!(self.hand, Hand::Group));
        if !first.is_some_and(|first| is_stranded(&self.member, first.name)) {
            return Ok(());
        }
        tracing::error!(
            group = self.group,
            "the consumer left and does not come back: another one"
        );
        metrics::counter!(RETRIES, "reason" => "stranded").increment(1);
        let stranded =
            mem::replace(&mut self.member, join(&self.kafka, &self.group, &self.topics)?);
        // Its end waits for what it waits for.
        thread::spawn(move || drop(stranded));
        Ok(())
    }

    /// The ids of the topics, in their order; a topic made anew has another one.
    ///
    /// # Errors
    /// When the brokers do not describe them.
    pub fn topic_ids(&self) -> anyhow::Result<BTreeMap<&'static str, String>> {
        let names: Vec<&str> = self.topics.iter().map(|topic| topic.name).collect();
        let ids = native::topic_ids(&self.member, &names, 10_000).map_err(anyhow::Error::msg)?;
        Ok(self.topics.iter().map(|topic| topic.name).zip(ids).collect())
    }

    /// Where the log of `partition` begins and ends (its last stable offset).
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub fn bounds(&self, topic: &str, partition: i32) -> anyhow::Result<(i64, i64)> {
        let bounds = self.member.fetch_watermarks(topic, partition, Duration::from_secs(5));
        bounds.with_context(|| format!("asking for the bounds of {topic} {partition}"))
    }

    /// Reads from these offsets on, and from nowhere else: whatever is not named is not read.
    ///
    /// # Errors
    /// When librdkafka refuses the assignment.
    pub fn start(&self, from: &BTreeMap<(&'static str, i32), i64>) -> anyhow::Result<()> {
        self.wait_for_last_start();
        read_on(&self.member, &offsets(from)?).context("assigning partitions")
    }

    fn wait_for_last_start(&self) {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(started) = *started {
            let left = TAKEN_AWAY.saturating_sub(started.elapsed());
            pause(u64::try_from(left.as_millis()).unwrap_or_default());
        }
        *started = Some(Instant::now());
    }

    /// Commits offsets to the group without waiting. Only lag tools read them.
    pub fn report(&self, applied: &BTreeMap<(&'static str, i32), i64>) {
        let committed = offsets(applied)
            .and_then(|offsets| Ok(self.member.commit(&offsets, CommitMode::Async)?));
        if let Err(error) = committed {
            tracing::debug!(%error, "group offsets not reported");
        }
    }

    /// Waits for a first record, then takes those that are there already, up to `most` and 8 MiB.
    ///
    /// # Errors
    /// When the position is outside the log, or the registry does not answer: whoever reads must
    /// start again from its checkpoint.
    pub fn poll(&mut self, most: usize, wait: Duration) -> anyhow::Result<Polled> {
        let show = || native::show_brokers(self.member.client(), &self.kafka.bootstrap);
        self.silence.break_with(show);
        self.come_back()?;
        if let Hand::Given(given) = &mut self.hand
            && let Some(partitions) = given.take()
        {
            self.tell_owned(Some(partitions.len()));
            return Ok(Polled::Assigned(partitions));
        }
        let deadline = Instant::now() + wait;
        let (mut records, mut bytes) = (Vec::new(), 0);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = if records.is_empty() { whole_millis(left) } else { Duration::ZERO };
            let message = self.member.poll(timeout);
            // Records polled before a rebalance are dropped: the next owner starts from the
            // checkpoint, which does not cover them.
            if let Some(change) = self.member.context().changes().pop() {
                return Ok(match change {
                    Change::Assigned(partitions, _) => {
                        self.tell_owned(Some(partitions.len()));
                        Polled::Assigned(partitions)
                    }
                    Change::Revoked => {
                        self.tell_owned(Some(0));
                        Polled::Revoked
                    }
                });
            }
            match message {
                Some(Ok(message)) => {
                    self.silence.record(READING);
                    bytes += message.payload_len();
                    records.push(self.decoder.logged(&message)?);
                }
                Some(Err(error)) => passing(error, &self.silence)?,
                None if records.is_empty() && Instant::now() < deadline => {}
                None => return Ok(Polled::Records(records)),
            }
            if records.len() >= most || bytes >= BATCH_BYTES {
                return Ok(Polled::Records(records));
            }
        }
    }

    /// None where it is in the group no more.
    fn tell_owned(&self, partitions: Option<usize>) {
        let topic = self.topics.first().map_or("", |first| first.name);
        let owned = partitions.map_or(-1, |owned| i32::try_from(owned).unwrap_or_default());
        metrics::gauge!(PARTITIONS_OWNED, "topic" => topic, "group" => self.group.clone())
            .set(owned);
    }
}

/// Its group may be of versions that nobody feeds any more, and then lacks no owner.
impl Drop for Reader {
    fn drop(&mut self) {
        self.tell_owned(None);
        self.wait_for_last_start();
    }
}

/// librdkafka mends lost connections by itself; a lost position it leaves to us.
pub(crate) fn passing(error: KafkaError, silence: &Silence) -> anyhow::Result<()> {
    if lost_position(&error) {
        return Err(error).context("the position is outside the log");
    }
    if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
        return Err(error.into());
    }
    silence.error(&error, READING);
    Ok(())
}

/// Whether a consumer stands at an offset that the log does not have.
pub(super) fn lost_position(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode::{AutoOffsetReset, OffsetOutOfRange};
    matches!(error.rdkafka_error_code(), Some(AutoOffsetReset | OffsetOutOfRange))
}

fn join(kafka: &Kafka, group: &str, topics: &[Topic]) -> anyhow::Result<Member> {
    let first = topics.first().context("a reader needs a topic")?;
    let member: Member = kafka.follower(group).create_with_context(Ownership::default())?;
    member.subscribe(&[first.name])?;
    Ok(member)
}

fn offsets(positions: &BTreeMap<(&'static str, i32), i64>) -> anyhow::Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in positions {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}
