//! Where the log ends now, and up to where its commands are decided, for whoever tells its readers how
//! far behind they are.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use dashmap::DashMap;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use schemas::Topic;
use tokio::{sync::watch, time::timeout};

use super::{client::Kafka, held_back::HeldBack, native, tail::pause};
use crate::shutdown::Shutdown;

/// How long the brokers may take over one question.
const ANSWER: Duration = Duration::from_secs(2);
/// How long open transactions are waited for; longer ones are not about to be committed.
const SETTLED_IN: Duration = Duration::from_secs(1);

/// The first and last stable offsets of some topics, and those up to which a group has read them,
/// refreshed every so often, and when asked to.
#[derive(Clone)]
pub struct Ends {
    bounds: Arc<DashMap<(&'static str, i32), Bounds>>,
    committed: Arc<DashMap<(&'static str, i32), i64>>,
    /// When the last look began that saw all that was written when it began.
    settled: Arc<DashMap<(&'static str, i32), Instant>>,
    /// Told that something has settled.
    looked: Arc<watch::Sender<()>>,
    /// Asks for a look at once; one wish may wait while another is looked for.
    wake: SyncSender<()>,
}

#[derive(Clone, Copy)]
struct Bounds {
    start: i64,
    end: i64,
    seen: Instant,
}

impl Ends {
    /// Watches `topics`, and how far a `group` has read them, until the shutdown.
    ///
    /// # Errors
    /// When no client or thread can be made.
    pub fn watch(
        kafka: &Kafka,
        group: Option<&str>,
        topics: &[Topic],
        every: Duration,
        shutdown: Shutdown,
    ) -> anyhow::Result<(Self, JoinHandle<()>)> {
        let mut asking = kafka.asking("read_committed");
        if let Some(group) = group {
            asking.set("group.id", group);
        }
        let (client, has_group): (BaseConsumer, _) = (asking.create()?, group.is_some());
        let uncommitted: BaseConsumer = kafka.asking("read_uncommitted").create()?;
        let (wake, woken): (_, Receiver<()>) = sync_channel(1);
        let (bounds, committed, settled) = (Arc::default(), Arc::default(), Arc::default());
        let ends = Self { bounds, committed, settled, looked: Arc::default(), wake };
        let (watched, topics) = (ends.clone(), topics.to_vec());
        let bootstrap = kafka.bootstrap.clone();
        let run = move || {
            let (mut is_asked, mut held_back) = (false, HeldBack::default());
            while !shutdown.requested() {
                let until = is_asked.then_some(&uncommitted);
                let mut looked = watched.refresh(&client, until, &topics);
                looked = looked.and(held_back.look(&client, &uncommitted, &topics));
                if has_group {
                    looked = looked.and_then(|()| watched.refresh_committed(&client, &topics));
                }
                if let Err(error) = looked {
                    tracing::debug!(%error, "no ends");
                    native::show_brokers(client.client(), &bootstrap);
                    native::show_brokers(uncommitted.client(), &bootstrap);
                }
                // A wish or the time: both mean the next look.
                is_asked = woken.recv_timeout(every).is_ok();
            }
        };
        Ok((ends, thread::Builder::new().name("ends".to_owned()).spawn(run)?))
    }

    /// Waits until the brokers have told of everything in these partitions from before this call,
    /// even of what a transaction wrote whose markers were still under way; for ever, where they do
    /// not.
    pub async fn look_again(&self, wanted: &[(&'static str, i32)]) {
        let asked = Instant::now();
        let mut looked = self.looked.subscribe();
        let is_seen = |at: &(&'static str, i32)| self.settled.get(at).is_some_and(|at| *at > asked);
        loop {
            // Refused where a look is asked for already: it begins after this one was.
            let _ = self.wake.try_send(());
            let seen = async { looked.wait_for(|()| wanted.iter().all(is_seen)).await.is_ok() };
            match timeout(SETTLED_IN, seen).await {
                Ok(true) => return,
                Ok(false) => std::future::pending().await,
                // What was still open then may be settled now.
                Err(_) => {}
            }
        }
    }

    /// The offset after the last readable record, if the broker has told it yet.
    pub fn end(&self, topic: &'static str, partition: i32) -> Option<i64> {
        self.bounds.get(&(topic, partition)).map(|bounds| bounds.end)
    }

    /// The offset of the first record that is still kept, if the broker has told it yet.
    pub fn start(&self, topic: &'static str, partition: i32) -> Option<i64> {
        self.bounds.get(&(topic, partition)).map(|bounds| bounds.start)
    }

    /// The offset up to which the group has read the partition, or some time ago had; none where it
    /// does not, or the broker has not told it yet.
    pub fn committed(&self, topic: &'static str, partition: i32) -> Option<i64> {
        self.committed.get(&(topic, partition)).map(|offset| *offset)
    }

    /// When the broker last told the bounds of the partition.
    pub fn seen(&self, topic: &'static str, partition: i32) -> Option<Instant> {
        self.bounds.get(&(topic, partition)).map(|bounds| bounds.seen)
    }

    /// How many records stand between `next` and the end. The marker that ends a transaction takes
    /// an offset too, so one may always remain: a transaction holds at least one record before it.
    pub fn behind(&self, topic: &'static str, partition: i32, next: i64) -> Option<i64> {
        let gap = self.end(topic, partition)? - next;
        Some(if gap <= 1 { 0 } else { gap })
    }

    /// `uncommitted` where whoever asks has to hear of all that was written before, committed or
    /// not: a commit is answered before its markers are written, and until then the stable offset
    /// stands below its records.
    fn refresh(
        &self,
        client: &BaseConsumer,
        uncommitted: Option<&BaseConsumer>,
        topics: &[Topic],
    ) -> Result<(), KafkaError> {
        let asked = Instant::now();
        let starts = all(client, topics, Offset::Beginning)?;
        let written = uncommitted.map(|client| all(client, topics, Offset::End)).transpose()?;
        let deadline = asked + SETTLED_IN;
        loop {
            let ends = all(client, topics, Offset::End)?;
            let mut is_settled = true;
            for (topic, partition) in each(topics) {
                let at = |list| offset_in(list, topic, partition);
                let Some(end) = at(&ends) else { continue };
                if let Some(start) = at(&starts) {
                    let bounds = Bounds { start, end, seen: asked };
                    self.bounds.insert((topic.name, partition), bounds);
                }
                match written.as_ref().map(at) {
                    Some(Some(written)) if end >= written => {
                        self.settled.insert((topic.name, partition), asked);
                    }
                    Some(_) => is_settled = false,
                    None => {}
                }
            }
            if written.is_some() {
                self.looked.send_replace(());
            }
            if is_settled || Instant::now() >= deadline {
                return Ok(());
            }
            pause(5);
        }
    }

    /// What an open transaction may still move stays as it was told before.
    fn refresh_committed(&self, client: &BaseConsumer, topics: &[Topic]) -> Result<(), KafkaError> {
        let mut asked = TopicPartitionList::new();
        for (topic, partition) in each(topics) {
            asked.add_partition(topic.name, partition);
        }
        let told = client.committed_offsets(asked, ANSWER)?;
        for (topic, partition) in each(topics) {
            let found = told.find_partition(topic.name, partition);
            if let Some(found) = found.filter(|found| found.error().is_ok())
                && let Offset::Offset(offset) = found.offset()
            {
                self.committed.insert((topic.name, partition), offset);
            }
        }
        Ok(())
    }
}

/// The offset that was told of a partition, where it was.
pub(super) fn offset_in(list: &TopicPartitionList, topic: &Topic, partition: i32) -> Option<i64> {
    let found = list.find_partition(topic.name, partition)?;
    found.error().is_ok().then(|| found.offset().to_raw()).flatten()
}

pub(super) fn each(topics: &[Topic]) -> impl Iterator<Item = (&Topic, i32)> {
    topics.iter().flat_map(|topic| (0..topic.partitions).map(move |partition| (topic, partition)))
}

/// Asks for one end of every partition, in one request to each broker: asked one by one, they were
/// most of what an idle broker had to answer.
pub(super) fn all(
    client: &BaseConsumer,
    topics: &[Topic],
    end: Offset,
) -> Result<TopicPartitionList, KafkaError> {
    let mut asked = TopicPartitionList::new();
    for (topic, partition) in each(topics) {
        asked.add_partition_offset(topic.name, partition, end)?;
    }
    client.offsets_for_times(asked, ANSWER)
}
