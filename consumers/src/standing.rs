//! Where every reader of the log stands: the handler, the projections, the search index.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use domain::Timestamp;
use projections::{
    AnyProjection, Checkpoint, Pool, Tables, checkpoint, known,
    search::{self, Search},
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use schemas::{CATALOG, Lane, Topic, topic::PARTITIONS};
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::{
    config::Config,
    log::{Bounds, Kafka, Tail, feeds, group_of_handler, native},
    shutdown::Shutdown,
};

mod members;

pub use members::Owner;

/// How long a broker may take to say that it is there.
const PROBE: Duration = Duration::from_secs(3);
/// How long the brokers may take over one question.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// Looks at a running system as nobody's member, and changes nothing.
pub struct Observer {
    pub(crate) runtime: Runtime,
    pub(crate) log: Log,
    pub(crate) db: Pool,
    pub(crate) search: Search,
    /// The versions that are live.
    pub(crate) tables: Tables,
}

/// The part of an [`Observer`] that asks the brokers alone.
pub(crate) struct Log {
    pub(crate) tail: Tail,
    client: BaseConsumer,
}

/// How far a reader of the log has come.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// A lane of the handler, a projection, or the search index.
    pub name: &'static str,
    /// The version that is live; none for the handler.
    pub version: Option<i32>,
    /// Who reads which partitions.
    pub owners: Vec<Owner>,
    /// How far it has come in each partition.
    pub partitions: Vec<At>,
}

/// How far a reader has come in a partition, over all topics that it reads.
#[derive(Clone, Debug, Default, Serialize)]
pub struct At {
    /// The partition.
    pub partition: i32,
    /// The next offset to read.
    pub next: i64,
    /// The last stable offset.
    pub end: i64,
    /// Offsets still to go; 0 where only markers and aborted records are left.
    pub behind: i64,
    /// Age of the oldest record not yet read.
    pub seconds: f64,
    /// Whether it claims to have read what the log does not have.
    pub beyond: bool,
}

/// A reader, and the next offset that it will take of each topic and partition.
pub(crate) struct Reader {
    pub(crate) name: &'static str,
    /// None for the handler.
    version: Option<i32>,
    pub(crate) next: Places,
}

/// An offset of each topic and partition.
pub(crate) type Places = BTreeMap<(&'static str, i32), i64>;

impl Observer {
    /// Connects to the brokers, MySQL and the search engine.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let runtime = Runtime::new()?;
        let (db, tables) = runtime.block_on(read_models(config)).context("mysql")?;
        let (log, search) = (Log::of(config)?, Search::new(&config.opensearch)?);
        Ok(Self { runtime, log, db, search, tables })
    }

    /// Where everybody stands now.
    ///
    /// # Errors
    /// When a server does not answer.
    pub fn standings(&self) -> anyhow::Result<Vec<Standing>> {
        let mut readers = self.log.handlers()?;
        readers.extend(self.runtime.block_on(projections(&self.db, &self.tables))?);
        if let Some(version) = self.runtime.block_on(self.search.live())? {
            readers.push(self.runtime.block_on(index(&self.db, version))?);
        }
        readers.iter().map(|reader| self.log.standing(reader)).collect()
    }

    /// How many brands there are whose name has not reached all search documents.
    ///
    /// # Errors
    /// When MySQL or the search engine does not answer.
    pub fn fan_outs(&self) -> anyhow::Result<u64> {
        let Some(version) = self.runtime.block_on(self.search.live())? else { return Ok(0) };
        Ok(self.runtime.block_on(search::fan_outs_left(&self.db, version))?)
    }

    /// Waits, at most so long, until everybody has read everything, and tells where the events ended
    /// then; none where that is not so. What is `stuck` behind a transaction that stays open is not
    /// waited for.
    ///
    /// # Errors
    /// When a server does not answer.
    pub fn wait_for_rest(
        &self,
        wait: Duration,
        stuck: &BTreeSet<(&'static str, i32)>,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Option<Vec<i64>>> {
        let deadline = Instant::now() + wait;
        loop {
            // First, so that everybody has come at least so far.
            let ends = self.log.ends()?;
            let behind = self.standings()?.iter().any(|standing| standing.behind() > 0);
            let open = self.log.open_transactions()?;
            let is_open = open.iter().any(|(topic, at, _)| !stuck.contains(&(*topic, *at)));
            if !behind && self.fan_outs()? == 0 && !is_open {
                return Ok(Some(ends));
            }
            if Instant::now() >= deadline || shutdown.requested() {
                return Ok(None);
            }
            shutdown.sleep(Duration::from_millis(200));
        }
    }
}

/// The read models, and which versions of them are live.
pub(crate) async fn read_models(config: &Config) -> anyhow::Result<(Pool, Tables)> {
    let db = projections::connect(&config.mysql, 2).await?;
    let tables = Tables::active(&db).await?;
    Ok((db, tables))
}

/// The projections that are live.
pub(crate) async fn projections(db: &Pool, tables: &Tables) -> anyhow::Result<Vec<Reader>> {
    let mut readers = vec![];
    for &projection in known() {
        readers.push(version_of(db, projection, tables.version(projection.name())).await?);
    }
    Ok(readers)
}

/// What feeds a version of a projection.
pub(crate) async fn version_of(
    db: &Pool,
    projection: &dyn AnyProjection,
    version: i32,
) -> anyhow::Result<Reader> {
    reader(db, projection.name(), version, projection.topics()).await
}

/// What fills a version of the search index.
pub(crate) async fn index(db: &Pool, version: i32) -> anyhow::Result<Reader> {
    reader(db, search::PROJECTION, version, search::TOPICS).await
}

async fn reader(
    db: &Pool,
    name: &'static str,
    version: i32,
    topics: &[Topic],
) -> anyhow::Result<Reader> {
    let checkpoints: BTreeMap<i32, Checkpoint> = checkpoint::read_all(db, name, version).await?;
    let mut next = BTreeMap::new();
    for topic in topics {
        for partition in 0..topic.partitions {
            let at = checkpoints.get(&partition).map_or(0, |at| at.next(topic.name));
            next.insert((topic.name, partition), at);
        }
    }
    Ok(Reader { name, version: Some(version), next })
}

impl Log {
    /// Asks nothing yet.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Self> {
        let kafka = Kafka::of("tool", &config.kafka);
        let tail = Tail::of(&kafka, &group_of_handler(CATALOG.name))?;
        Ok(Self { tail, client: kafka.asking("read_committed").create()? })
    }

    /// That a broker answers at all.
    pub(crate) fn answers(&self) -> anyhow::Result<()> {
        Ok(self.client.fetch_metadata(Some(CATALOG.commands.name), PROBE).map(drop)?)
    }

    /// The ids of topics, in their order: one made anew has another.
    pub(crate) fn topic_ids(&self, topics: &[&str]) -> anyhow::Result<Vec<String>> {
        native::topic_ids(&self.client, topics, 10_000).map_err(anyhow::Error::msg)
    }

    /// The offset up to which the handler has decided each partition's commands of a lane.
    ///
    /// # Errors
    /// When the brokers do not answer, or it was never told where to start.
    pub(crate) fn decided(&self, lane: Lane) -> anyhow::Result<Vec<i64>> {
        let partitions: Vec<i32> = (0..PARTITIONS).collect();
        self.tail.committed(CATALOG.lane(lane).name, &partitions, Instant::now() + ANSWER)
    }

    /// Where the events of each partition end.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub(crate) fn ends(&self) -> anyhow::Result<Vec<i64>> {
        self.tail.ends(&CATALOG.events)
    }

    /// Partitions in which a transaction is open, with how many records it holds back.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub(crate) fn open_transactions(&self) -> anyhow::Result<Vec<(&'static str, i32, i64)>> {
        let mut open = vec![];
        for topic in [CATALOG.events, CATALOG.decisions] {
            for partition in 0..topic.partitions {
                let stable = self.tail.bounds(topic.name, partition)?.end;
                let held = self.tail.high_watermark(topic.name, partition)? - stable;
                if held > 0 {
                    open.push((topic.name, partition, held));
                }
            }
        }
        Ok(open)
    }

    /// Whether `next` leaves nothing unread below the end; if not, the first record's time.
    pub(crate) fn unread(
        &self,
        topic: &str,
        partition: i32,
        bounds: Bounds,
    ) -> anyhow::Result<Option<Timestamp>> {
        // The marker of the last transaction is no record, and the usual case.
        if bounds.end - bounds.next <= 1 && !CATALOG.takes_commands_by(topic) {
            return Ok(None);
        }
        self.tail.first(topic, partition, bounds, ANSWER)
    }

    /// The command handler, in each lane: whoever owns a partition reads both of it.
    pub(crate) fn handlers(&self) -> anyhow::Result<Vec<Reader>> {
        Lane::ALL.into_iter().map(|lane| self.handler(lane)).collect()
    }

    fn handler(&self, lane: Lane) -> anyhow::Result<Reader> {
        let next = (0..PARTITIONS).map(|partition| (CATALOG.lane(lane).name, partition));
        let next = next.zip(self.decided(lane)?).collect();
        let name = match lane {
            Lane::Interactive => "handler",
            Lane::Bulk => "handler bulk",
        };
        Ok(Reader { name, version: None, next })
    }

    /// How far a reader has come.
    pub(crate) fn standing(&self, reader: &Reader) -> anyhow::Result<Standing> {
        let mut partitions: BTreeMap<i32, At> = BTreeMap::new();
        for ((topic, partition), next) in &reader.next {
            let at = partitions.entry(*partition).or_default();
            self.add(at, topic, *partition, *next)?;
        }
        Ok(Standing {
            name: reader.name,
            version: reader.version,
            owners: self.owners(reader)?,
            partitions: partitions.into_values().collect(),
        })
    }

    fn owners(&self, reader: &Reader) -> anyhow::Result<Vec<Owner>> {
        match reader.version {
            None => members::of(&self.client, Some(&group_of_handler(CATALOG.name)), |_| true),
            Some(version) => {
                members::of(&self.client, None, |group| feeds(group, reader.name, version))
            }
        }
    }

    fn add(&self, at: &mut At, topic: &str, partition: i32, next: i64) -> anyhow::Result<()> {
        let bounds = self.tail.bounds(topic, partition)?;
        at.partition = partition;
        at.next += next;
        at.end += bounds.end;
        at.beyond |= next > bounds.end;
        if let Some(appended) = self.unread(topic, partition, Bounds { next, ..bounds })? {
            at.behind += bounds.end - next;
            at.seconds = at.seconds.max(age(appended));
        }
        Ok(())
    }
}

impl Standing {
    /// Offsets still to go, over all partitions.
    pub fn behind(&self) -> i64 {
        self.partitions.iter().map(|at| at.behind).sum()
    }

    /// The age of the oldest record not yet read.
    pub fn seconds(&self) -> f64 {
        self.partitions.iter().map(|at| at.seconds).fold(0.0, f64::max)
    }
}

fn age(of: Timestamp) -> f64 {
    let now = chrono::Utc::now().timestamp_millis();
    Duration::from_millis(now.saturating_sub(of.0).max(0).unsigned_abs()).as_secs_f64()
}
