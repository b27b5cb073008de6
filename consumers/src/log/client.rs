//! The settings of every Kafka client, in one place, with their reasons.

use rdkafka::ClientConfig;
use schemas::Lane;

use super::record::LARGEST_COMMAND;

/// Where Kafka is, and as whom we speak to it.
#[derive(Clone, Debug)]
pub struct Kafka {
    /// `host:port`, several separated by commas.
    pub bootstrap: String,
    /// The process, as brokers and operators see it.
    pub client_id: String,
}

impl Kafka {
    /// As a process of ours: its role and its number, by which an operator finds it on its host.
    pub fn of(role: &str, bootstrap: &str) -> Self {
        let client_id = format!("jangbu-{role}-{}", std::process::id());
        Self { bootstrap: bootstrap.to_owned(), client_id }
    }
}

/// The group of the command handlers of a context.
pub fn group_of_handler(context: &str) -> String {
    format!("jangbu-{context}-handler")
}

/// The group that feeds versions of projections. Made only here: a copied group id would silently
/// take the partitions of another consumer.
pub fn group_of_projections<'a>(fed: impl IntoIterator<Item = (&'a str, i32)>) -> String {
    let mut fed: Vec<_> = fed.into_iter().map(|(name, at)| member_of(name, at)).collect();
    // Whoever feeds the same shares the partitions, in whatever order it was told them.
    fed.sort();
    format!("{PREFIX}{}", fed.join("+"))
}

/// Whether `group` feeds a version of a projection.
pub fn feeds(group: &str, projection: &str, version: i32) -> bool {
    let fed = group.strip_prefix(PREFIX);
    fed.is_some_and(|fed| fed.split('+').any(|one| one == member_of(projection, version)))
}

const PREFIX: &str = "jangbu-";

fn member_of(projection: &str, version: i32) -> String {
    format!("{projection}-v{version}")
}

impl Kafka {
    fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", &self.client_id)
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.max.ms", "1000");
        config
    }

    /// A client that asks (offsets, watermarks) and never reads; `isolation` decides whether the
    /// end it sees is the last stable offset or the high watermark.
    pub fn asking(&self, isolation: &str) -> ClientConfig {
        let mut config = self.base();
        config.set("isolation.level", isolation).set("enable.auto.commit", "false");
        config
    }

    /// A consumer of committed records that starts only where it is told to.
    pub fn consumer(&self) -> ClientConfig {
        let mut config = self.asking("read_committed");
        config
            // An offset outside the log is an error: neither skipping nor replaying is a default.
            .set("auto.offset.reset", "error")
            .set("enable.auto.offset.store", "false")
            .set("fetch.min.bytes", "1")
            .set("fetch.wait.max.ms", "100")
            // The default of 1000 stalls a drained queue for a second.
            .set("fetch.queue.backoff.ms", "1")
            // Prefetch is what a backlog costs in memory; the default is 64 MiB.
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.message.max.bytes", "2097152");
        config
    }

    /// A member that feeds a projection, batch by batch, and need not hear of a record at once.
    pub fn follower(&self, group: &str) -> ClientConfig {
        let mut config = self.member(group);
        config
            .set("fetch.queue.backoff.ms", "10")
            // Nothing is fetched while a few wait to be taken: what gathers meanwhile costs the
            // brokers one answer, and not one for each transaction in it. Not 1: whatever else
            // stands in the queue would then stop the fetching too.
            .set("queued.min.messages", "16");
        config
    }

    /// A consumer that owns partitions through `group`.
    pub fn member(&self, group: &str) -> ClientConfig {
        let mut config = self.consumer();
        config
            .set("group.id", group)
            .set("partition.assignment.strategy", "range")
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "250")
            .set("max.poll.interval.ms", "60000");
        config
    }

    /// An idempotent producer; equal keys go where a Java client sends them.
    pub fn producer(&self) -> ClientConfig {
        let mut config = self.base();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("retry.backoff.ms", "1")
            .set("retry.backoff.max.ms", "100")
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", "5000")
            .set("socket.timeout.ms", "5000");
        config
    }

    /// A producer of commands.
    pub fn command_producer(&self, lane: Lane) -> ClientConfig {
        let mut config = self.producer();
        config.set("message.max.bytes", LARGEST_COMMAND.to_string());
        if lane == Lane::Bulk {
            // An import waits for its share of the handler, not for this; what gathers meanwhile
            // costs the brokers a request for each partition, and not one for each line.
            config.set("linger.ms", "10");
        }
        config
    }

    /// A producer of outcomes: hints, of which a few may be lost, but none may come late. Nothing
    /// that happens to it is fatal, as it could be for an idempotent one.
    pub fn outcome_producer(&self) -> ClientConfig {
        let mut config = self.producer();
        config.set("enable.idempotence", "false").set("acks", "1");
        // Those of one batch leave together.
        config.set("linger.ms", "0.2");
        config
    }

    /// A transactional producer. The id must belong to one incarnation only: a zombie that shares
    /// it can fence the live owner for good.
    pub fn transactional(&self, transactional_id: &str) -> ClientConfig {
        let mut config = self.producer();
        config
            .set("transactional.id", transactional_id)
            // Half the session time-out: a dead owner's transaction is gone before its partitions
            // move. The two below must stay under it, or librdkafka refuses the configuration.
            .set("transaction.timeout.ms", "3000")
            // A batch is handed over record by record and should leave in one request a partition.
            // Nobody waits for it: sending the offsets takes longer.
            .set("linger.ms", "0.5")
            // As large as its topics allow: a dead letter is a command plus what is wrong with it.
            .set("message.max.bytes", "2000000")
            .set("message.timeout.ms", "2900")
            .set("socket.timeout.ms", "2900");
        config
    }
}
