//! The contract on the wire: topics, Avro records, headers and the registry.
//!
//! One record per kind of message and no union around them; the subject of a record is
//! `<topic>-<record full name>`, under FULL_TRANSITIVE compatibility.

pub mod codec;
pub mod compatibility;
pub mod message;
pub mod record;
pub mod registry;
pub mod topic;
pub mod trace;

pub use apache_avro::Schema;
pub use codec::{Codec, CodecError, Frame, full_name};
pub use message::{
    CommandMessage, DecisionMessage, EventMessage, HeaderError, HeaderSource, Headers, Origin,
};
pub use record::{Decision, Outcome, Records, Verdict, event_id, from_json};
pub use registry::{Registry, RegistryError};
pub use topic::{CATALOG, Context, DEAD_LETTERS, Lane, OUTCOMES, TOPICS, Topic, partition_of};
pub use trace::Traceparent;
