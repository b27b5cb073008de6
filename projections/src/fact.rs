//! What a projection is fed: records of the log, in the order of their partition.

use domain::Timestamp;
use schemas::{DecisionMessage, EventMessage, Origin};
use uuid::Uuid;

use crate::projection::Fault;

/// A record and where it stands.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its topic.
    pub topic: String,
    /// Its partition, the same number in every topic of a context.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When the broker appended it.
    pub appended: Timestamp,
    /// What it says.
    pub fact: Fact,
    /// All that an event says, where another build wrote it: fields and types that this one does
    /// not know are kept for whoever does.
    pub as_written: Option<serde_json::Value>,
}

/// What a record says.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every fact is an event")]
pub enum Fact {
    /// An event.
    Event(EventMessage),
    /// A decision that left no event.
    Decision(DecisionMessage),
    /// An event of a type that this build does not know, from a newer one. Its headers are read, so
    /// that versions are counted and its command is known to be decided.
    NewerEvent {
        /// The full name of its record.
        record: String,
        /// The kind of aggregate that it happened to.
        kind: String,
        /// Where it comes from.
        origin: Origin,
        /// Its number in the aggregate's history.
        version: i64,
        /// The time of the decision.
        time: Timestamp,
        /// Whether nothing may be decided after it that does not know it.
        critical: bool,
    },
    /// A record that could not be read at all.
    Unknown {
        /// What is known of it.
        record: String,
    },
}

/// What the headers of any event say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventHead<'a> {
    /// The kind of aggregate that it happened to.
    pub kind: &'a str,
    /// The command that caused it, and for whom.
    pub origin: &'a Origin,
    /// Its number in the aggregate's history.
    pub version: i64,
    /// The time of the decision.
    pub time: Timestamp,
}

impl Fact {
    /// The head of an event, known or newer.
    pub fn event_head(&self) -> Option<EventHead<'_>> {
        match self {
            Self::Event(EventMessage { origin, version, time, body, .. }) => {
                Some(EventHead { kind: body.kind(), origin, version: *version, time: *time })
            }
            Self::NewerEvent { kind, origin, version, time, .. } => {
                Some(EventHead { kind, origin, version: *version, time: *time })
            }
            Self::Decision(_) | Self::Unknown { .. } => None,
        }
    }
}

impl Logged {
    /// The aggregate whose event this is; `None` for decisions.
    ///
    /// # Errors
    /// [`Fault::Unknown`] for an event that cannot be read: no read model can be right after it.
    pub(crate) fn aggregate(&self) -> Result<Option<Uuid>, Fault> {
        match &self.fact {
            Fact::Unknown { record } => Err(Fault::Unknown(record.clone())),
            fact => Ok(fact.event_head().map(|head| head.origin.aggregate)),
        }
    }

    /// Whether it is the first event of its aggregate.
    pub fn is_first(&self) -> bool {
        self.fact.event_head().is_some_and(|head| head.version == 1)
    }

    /// The aggregate whose event this is, if it is of this kind, such as `product`; `None` for others
    /// and for decisions.
    ///
    /// # Errors
    /// [`Fault::Unknown`] for an event that cannot be read.
    pub fn aggregate_of(&self, kind: &str) -> Result<Option<Uuid>, Fault> {
        let aggregate = self.aggregate()?;
        Ok(aggregate.filter(|_| self.fact.event_head().is_some_and(|head| head.kind == kind)))
    }
}
