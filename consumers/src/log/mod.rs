//! The only Kafka runtime: whoever reads or writes the log does it through here.

mod client;
mod command_log;
mod ends;
mod held_back;
pub mod native;
mod outcomes;
mod ownership;
mod reader;
mod record;
mod served;
mod silence;
mod tail;
mod transaction;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod waits;

pub use client::{Kafka, feeds, group_of_handler, group_of_projections};
pub use command_log::{AppendError, CommandLog, Position};
pub use ends::Ends;
pub use outcomes::follow as follow_outcomes;
pub use ownership::{Change, Member, Ownership, is_stranded, read_on};
pub use reader::{Polled, Reader};
pub(crate) use reader::{READING, passing, whole_millis};
pub use record::{
    Decoder, LARGEST_COMMAND, LONGEST_HEADERS, MOST_HEADERS, MessageHeaders, bytes_of,
    is_too_large, key_of, origin_of, to_kafka,
};
pub use served::Served;
pub(crate) use silence::{Silence, is_away};
pub use tail::{Bounds, Tail};
pub use transaction::{CommitError, Delivered, Outgoing, TransactionWriter, write_alone};
