//! Why the engine does not go on.

use crate::{error::Error, projection::Fault};

/// What helps where log and read models do not belong together.
const ADVICE: &str = "restore the backup of MySQL that belongs to this log, or begin with an empty \
                      database (docs/reliability.md, Backup and restore), then start again";

/// Why a batch was not applied, or a partition not taken.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Another worker moved the checkpoint: read it again, and go where it points.
    #[error("another worker has moved the checkpoint")]
    Superseded,
    /// A record that may not be applied. Nothing of the batch was.
    #[error(transparent)]
    Stop(Box<Stop>),
    /// The checkpoint and the log do not belong together.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// MySQL. Whether a commit took place is not known.
    #[error(transparent)]
    Db(#[from] Error),
}

impl EngineError {
    /// Whether MySQL was away, or too slow: that says nothing of what was to be applied.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Db(error) if error.may_pass())
    }
}

/// The record at which a partition stops.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{topic} [{partition}] at {offset}: {fault}")]
pub struct Stop {
    /// Its place among the records; those before it may be applied.
    pub place: usize,
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// Why a checkpoint is not to be trusted with this log. Only an operator can tell what happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The log lacks what was applied: it lost records, or is another one.
    #[error(
        "{topic} ends at {end}, but {next} is the next to apply: the log has lost records, or the \
         checkpoint is not of this log: {ADVICE}"
    )]
    BeyondEnd {
        /// The topic.
        topic: String,
        /// The checkpoint.
        next: i64,
        /// The end of the log.
        end: i64,
    },
    /// The log no longer has what is to be applied next.
    #[error(
        "{topic} starts at {start}, but {next} is the next to apply: the log has lost its first \
         records, from which all else is made; restore the log, or a backup of MySQL that reaches \
         beyond them"
    )]
    BeforeStart {
        /// The topic.
        topic: String,
        /// The checkpoint.
        next: i64,
        /// The start of the log.
        start: i64,
    },
    /// The topic was deleted and made anew.
    #[error(
        "{topic} has the id {is}, but what was applied came from {was}: the topic was made anew, or \
         the database is of another log: {ADVICE}"
    )]
    OtherTopic {
        /// The topic.
        topic: String,
        /// The id in the checkpoint.
        was: String,
        /// The id that the broker tells.
        is: String,
    },
    /// The projection reads a topic that the checkpoint or the caller does not tell of.
    #[error("{0} is not among the topics of the partition")]
    NoSuchTopic(String),
    /// A record or a position is not one that follows the checkpoint.
    #[error("{topic} at {offset} does not follow the checkpoint at {next}")]
    OutOfOrder {
        /// The topic.
        topic: String,
        /// The offset at fault.
        offset: i64,
        /// The lowest that may follow.
        next: i64,
    },
}

impl Refused {
    /// Whether it may be otherwise at the next look: the end was asked for before the checkpoint,
    /// which whoever is being followed may have moved in between.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::BeyondEnd { .. })
    }
}
