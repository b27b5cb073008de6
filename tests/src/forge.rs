//! Records as no process of ours would write them, for tests of who finds them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::{BorrowedMessage, Header, Headers as _, Message, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};

/// How long the brokers may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Writes to a log whatever it is told to.
pub struct Forger {
    kafka: String,
}

/// A record, to be looked at, changed and written.
#[derive(Clone, Debug)]
pub struct Forged {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Where it was found.
    pub offset: i64,
    /// Its key.
    pub key: Vec<u8>,
    /// Its content.
    pub payload: Vec<u8>,
    /// Its headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// A transaction of a producer that never ends it by itself.
pub struct Hanging(BaseProducer);

impl Forger {
    /// A forger of the log at `kafka`.
    pub fn new(kafka: &str) -> Self {
        Self { kafka: kafka.to_owned() }
    }

    /// The records of a partition under `key`, all that are committed.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub fn records(&self, topic: &str, partition: i32, key: &str) -> Result<Vec<Forged>> {
        let mut config = self.config();
        config.set("group.id", "a-vandal").set("enable.partition.eof", "true");
        config.set("isolation.level", "read_committed").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create()?;
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(topic, partition, Offset::Beginning)?;
        consumer.assign(&all)?;
        let (mut found, deadline) = (vec![], Instant::now() + PATIENCE);
        while Instant::now() < deadline {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) if message.key() == Some(key.as_bytes()) => {
                    found.push(Forged::of(&message));
                }
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => return Ok(found),
                Some(Err(error)) => return Err(error.into()),
                _ => {}
            }
        }
        bail!("{topic} {partition} has no end")
    }

    /// Writes a record, compressed: so one may be sent that is larger than its topic takes. Whether
    /// it is taken, the topic's end tells.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub fn write(&self, forged: &Forged) -> Result<()> {
        let mut config = self.config();
        config.set("compression.type", "lz4").set("message.max.bytes", "20000000");
        let producer: BaseProducer = config.create()?;
        send(&producer, forged)?;
        settle(&producer)
    }

    /// Writes a record in a transaction that is left open for as long as the brokers allow.
    ///
    /// # Errors
    /// When the brokers do not take it.
    pub fn begin(&self, forged: &Forged) -> Result<Hanging> {
        let mut config = self.config();
        config.set("transactional.id", "a-vandal").set("transaction.timeout.ms", "600000");
        let producer: BaseProducer = config.create()?;
        producer.init_transactions(PATIENCE)?;
        producer.begin_transaction()?;
        send(&producer, forged)?;
        settle(&producer)?;
        Ok(Hanging(producer))
    }

    /// Moves a group that has no members to an offset.
    ///
    /// # Errors
    /// When the brokers refuse, as they do while it has members.
    pub fn move_group(&self, group: &str, topic: &str, partition: i32, to: i64) -> Result<()> {
        let consumer: BaseConsumer = self.config().set("group.id", group).create()?;
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, partition, Offset::Offset(to))?;
        Ok(consumer.commit(&offsets, CommitMode::Sync)?)
    }

    /// The offset after the last record of a partition.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn end(&self, topic: &str, partition: i32) -> Result<i64> {
        let consumer: BaseConsumer = self.config().set("group.id", "a-vandal").create()?;
        Ok(consumer.fetch_watermarks(topic, partition, PATIENCE)?.1)
    }

    /// Deletes what stands before an offset, or all at -1, as the broker does with what is old.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn expire(&self, topic: &str, partition: i32, before: i64) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.config().create()?;
        let mut offsets = TopicPartitionList::new();
        let offset = if before < 0 { Offset::End } else { Offset::Offset(before) };
        offsets.add_partition_offset(topic, partition, offset)?;
        let done = admin.delete_records(&offsets, &AdminOptions::new()).await?;
        Ok(done.elements().iter().try_for_each(|element| element.error())?)
    }

    /// Tells the brokers for how long a topic's records are kept.
    ///
    /// # Errors
    /// When they do not answer.
    pub async fn keep_for(&self, topic: &str, time: Duration) -> Result<()> {
        self.configure(topic, "retention.ms", &time.as_millis().to_string()).await
    }

    /// Tells the brokers a setting of a topic; its other settings are the brokers' own until `jangbu
    /// topics apply`.
    ///
    /// # Errors
    /// When they do not answer.
    pub async fn configure(&self, topic: &str, name: &str, value: &str) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.config().create()?;
        let alter = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
        for altered in admin.alter_configs([&alter], &AdminOptions::new()).await? {
            altered.map_err(|(_, code)| anyhow!("{topic} was not configured: {code}"))?;
        }
        Ok(())
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.kafka);
        config
    }
}

impl Hanging {
    /// Ends the transaction as if it had never been.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub fn abort(self) -> Result<()> {
        Ok(self.0.abort_transaction(PATIENCE)?)
    }
}

impl Forged {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let pair = |header: Header<'_, &[u8]>| {
            (header.key.to_owned(), header.value.unwrap_or_default().to_vec())
        };
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().unwrap_or_default().to_vec(),
            payload: message.payload().unwrap_or_default().to_vec(),
            headers: headers.map(pair).collect(),
        }
    }

    /// The text of a header.
    ///
    /// # Errors
    /// When it has none of that name.
    pub fn header(&self, name: &str) -> Result<String> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        let (_, value) = found.with_context(|| format!("no {name} in {:?}", self.headers))?;
        Ok(String::from_utf8(value.clone())?)
    }

    /// The same with another header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }
}

fn send(producer: &BaseProducer, forged: &Forged) -> Result<()> {
    let mut headers = OwnedHeaders::new();
    for (key, value) in &forged.headers {
        headers = headers.insert(Header { key, value: Some(value) });
    }
    let record = BaseRecord::to(&forged.topic).partition(forged.partition).headers(headers);
    let record = record.key(&forged.key).payload(&forged.payload);
    producer.send(record).map_err(|(error, _)| error.into())
}

fn settle(producer: &BaseProducer) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while producer.in_flight_count() > 0 {
        ensure!(Instant::now() < deadline, "a forged record was not acknowledged");
        producer.poll(Duration::from_millis(20));
    }
    Ok(())
}
