//! The topics: what each is called, how long it is kept, and which records it may hold.

use apache_avro::Schema;

use crate::record::{Decision, Outcome, Records};

/// How many partitions each topic of a context has; equal, because they are owned together.
pub const PARTITIONS: i32 = 6;

/// How long something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Never deleted, never compacted.
    Forever,
    /// Deleted after so many hours.
    Hours(u64),
}

/// A topic as it is created by `jangbu topics apply`, never at run time.
#[derive(Clone, Copy)]
pub struct Topic {
    /// Its name on the broker.
    pub name: &'static str,
    /// Chosen once: growth is a new generation of the topic, never more partitions.
    pub partitions: i32,
    /// How long a record is kept.
    pub retention: Retention,
    /// The records it may hold, one registry subject each.
    pub records: fn() -> Vec<Schema>,
}

/// The topics of one bounded context; partition `p` of each belongs to one owner.
#[derive(Clone, Copy)]
pub struct Context {
    /// The prefix of its topics.
    pub name: &'static str,
    /// Wishes that somebody waits for, keyed by aggregate id.
    pub commands: Topic,
    /// Wishes that come by the thousand, keyed alike.
    pub bulk: Topic,
    /// Facts, keyed by aggregate id.
    pub events: Topic,
    /// Decisions that left no event, keyed by aggregate id.
    pub decisions: Topic,
}

/// What a mall sells, of whom, under which brands and in which categories.
pub const CATALOG: Context = Context {
    name: "catalog",
    commands: Topic {
        name: "catalog.commands",
        partitions: PARTITIONS,
        retention: Retention::Hours(7 * 24),
        records: <domain::catalog::Command as Records>::schemas,
    },
    bulk: Topic {
        name: "catalog.commands.bulk",
        partitions: PARTITIONS,
        retention: Retention::Hours(7 * 24),
        records: <domain::catalog::Command as Records>::schemas,
    },
    events: Topic {
        name: "catalog.events",
        partitions: PARTITIONS,
        retention: Retention::Forever,
        records: <domain::catalog::Event as Records>::schemas,
    },
    decisions: Topic {
        name: "catalog.decisions",
        partitions: PARTITIONS,
        retention: Retention::Hours(7 * 24),
        records: Decision::schemas,
    },
};

/// The way by which a command comes. Order holds within a lane only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Somebody waits for each.
    Interactive,
    /// Imports: they take what the other lane leaves.
    Bulk,
}

impl Lane {
    /// Both, the one that goes first in front.
    pub const ALL: [Self; 2] = [Self::Interactive, Self::Bulk];

    /// Its name in metrics and addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Bulk => "bulk",
        }
    }
}

impl Context {
    /// The command topic of `lane`.
    pub const fn lane(&self, lane: Lane) -> Topic {
        match lane {
            Lane::Interactive => self.commands,
            Lane::Bulk => self.bulk,
        }
    }

    /// Whether `topic` is one that commands come by.
    pub fn takes_commands_by(&self, topic: &str) -> bool {
        Lane::ALL.iter().any(|lane| self.lane(*lane).name == topic)
    }
}

/// Outcomes on their way back: partition `i` is read by API instance `i`.
pub const OUTCOMES: Topic = Topic {
    name: "outcomes",
    partitions: PARTITIONS,
    retention: Retention::Hours(1),
    records: Outcome::schemas,
};

/// Records that could not be decoded, byte for byte; they have no schema of ours.
pub const DEAD_LETTERS: Topic = Topic {
    name: "dead-letters",
    partitions: PARTITIONS,
    retention: Retention::Hours(30 * 24),
    records: Vec::new,
};

/// Every topic there is.
pub const TOPICS: [Topic; 6] =
    [CATALOG.commands, CATALOG.bulk, CATALOG.events, CATALOG.decisions, OUTCOMES, DEAD_LETTERS];

/// The partition that a Java client, or librdkafka's `murmur2_random`, gives `key`.
///
/// Kafka's `DefaultPartitioner`: murmur2 with seed 0x9747b28c, made positive, modulo the count.
pub fn partition_of(key: &str, partitions: i32) -> i32 {
    let positive = murmur2(key.as_bytes()) & 0x7fff_ffff;
    (positive % partitions.unsigned_abs()).cast_signed()
}

fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = 0x9747_b28c ^ length;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    for (at, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * at);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_where_a_java_client_sends_them() {
        // Expected hashes: org.apache.kafka.common.utils.UtilsTest#testMurmur2.
        assert_eq!(murmur2(b"21").cast_signed(), -973_932_308);
        assert_eq!(murmur2(b"foobar").cast_signed(), -790_332_482);
        assert_eq!(murmur2(b"a-little-bit-long-string").cast_signed(), -985_981_536);
    }
}
