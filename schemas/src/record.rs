//! The Avro records on the wire, one per kind of message.

use std::fmt;

use apache_avro::{AvroSchema, Schema};
use domain::{CommandId, RecordEnum, RecordReader, RecordWriter};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::codec::{Codec, CodecError, Frame};

/// A set of records that share a topic: the variants of an enum, or a single struct.
pub trait Records: Sized {
    /// The schema of each record.
    fn schemas() -> Vec<Schema>;

    /// The full name of this value's record.
    fn record_name(&self) -> &'static str;

    /// Frames the value for the wire.
    ///
    /// # Errors
    /// [`CodecError`] when its schema was not registered, or does not fit.
    fn encode(&self, codec: &Codec) -> Result<Vec<u8>, CodecError>;

    /// Reads what `frame` holds; `None` where its record is none of this set.
    ///
    /// # Errors
    /// [`CodecError`] when the bytes do not fit their schema.
    fn decode(frame: &Frame<'_>) -> Result<Option<Self>, CodecError>;

    /// The record's content as JSON.
    fn to_json(&self) -> serde_json::Value;
}

impl<T: RecordEnum> Records for T {
    fn schemas() -> Vec<Schema> {
        <T as RecordEnum>::schemas()
    }
    fn record_name(&self) -> &'static str {
        RecordEnum::record_name(self)
    }
    fn encode(&self, codec: &Codec) -> Result<Vec<u8>, CodecError> {
        self.write(Encoder(codec))
    }
    fn decode(frame: &Frame<'_>) -> Result<Option<Self>, CodecError> {
        T::read(frame.record_name(), frame).transpose()
    }
    fn to_json(&self) -> serde_json::Value {
        self.write(ToJson)
    }
}

struct Encoder<'c>(&'c Codec);

impl RecordWriter for Encoder<'_> {
    type Output = Result<Vec<u8>, CodecError>;

    fn write<T: Serialize>(self, name: &'static str, record: &T) -> Self::Output {
        self.0.write(name, record)
    }
}

struct ToJson;

impl RecordWriter for ToJson {
    type Output = serde_json::Value;

    fn write<T: Serialize>(self, _: &'static str, record: &T) -> serde_json::Value {
        serde_json::json!(record)
    }
}

impl RecordReader for Frame<'_> {
    type Error = CodecError;

    fn read<T: DeserializeOwned>(&self) -> Result<T, CodecError> {
        Frame::read(self)
    }
}

struct FromJson<'j>(&'j serde_json::Value);

impl RecordReader for FromJson<'_> {
    type Error = serde_json::Error;

    fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(self.0)
    }
}

/// The record that [`Records::to_json`] gave this content; `None` where its name is none of the set.
///
/// # Errors
/// When the content is not that of such a record.
pub fn from_json<T: RecordEnum>(
    name: &str,
    content: &serde_json::Value,
) -> Result<Option<T>, serde_json::Error> {
    T::read(name, &FromJson(content)).transpose()
}

/// What was concluded of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
pub enum Verdict {
    /// It left events.
    Accepted,
    /// Nothing would change, so nothing was recorded.
    Unchanged,
    /// A rule forbids it.
    Rejected,
    /// It could not be read.
    Undecodable,
    /// Its key was used before with another body.
    KeyReused,
}

const VERDICTS: [(Verdict, &str); 5] = [
    (Verdict::Accepted, "ACCEPTED"),
    (Verdict::Unchanged, "UNCHANGED"),
    (Verdict::Rejected, "REJECTED"),
    (Verdict::Undecodable, "UNDECODABLE"),
    (Verdict::KeyReused, "KEY_REUSED"),
];

impl Verdict {
    /// Its name on the wire: text, because an Avro enum cannot gain a symbol compatibly.
    pub fn as_str(self) -> &'static str {
        VERDICTS.iter().find(|(verdict, _)| *verdict == self).map_or("", |(_, text)| text)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Verdict> for String {
    fn from(verdict: Verdict) -> Self {
        verdict.as_str().to_owned()
    }
}

impl TryFrom<String> for Verdict {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let known = VERDICTS.iter().find(|(_, name)| *name == text);
        known.map(|(verdict, _)| *verdict).ok_or(format!("{text:?} is not a verdict"))
    }
}

impl apache_avro::serde::AvroSchemaComponent for Verdict {
    fn get_schema_in_ctxt(
        _: &mut std::collections::HashSet<apache_avro::schema::Name>,
        _: apache_avro::schema::NamespaceRef,
    ) -> Schema {
        Schema::String
    }
}

/// A decision that left no event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "jangbu")]
pub struct Decision {
    /// What was concluded: UNCHANGED, REJECTED or UNDECODABLE.
    pub verdict: Verdict,
    /// The stable code of a rejection.
    #[serde(default)]
    pub code: Option<String>,
    /// What to mend, for a person.
    #[serde(default)]
    pub detail: Option<String>,
    /// The aggregate's version that was decided on; 0 where it does not exist.
    pub version: i64,
    /// The log position of the aggregate's last event; -1 where it is not known.
    pub last_event_offset: i64,
}

/// A decision as told to whoever waits: a hint, never the truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "jangbu")]
pub struct Outcome {
    /// The command.
    pub command_id: CommandId,
    /// The key of its aggregate, as text.
    pub aggregate_id: String,
    /// The hash of the body that was decided.
    pub body_hash: String,
    /// What was concluded.
    pub verdict: Verdict,
    /// The stable code of a rejection.
    #[serde(default)]
    pub code: Option<String>,
    /// What to mend, for a person.
    #[serde(default)]
    pub detail: Option<String>,
    /// The aggregate's version after the decision.
    pub version: i64,
    /// The partition of its events.
    pub partition: i32,
    /// The log position of its last event; -1 where there is none.
    pub offset: i64,
}

/// Makes a struct a set of one record.
macro_rules! single_record {
    ($record:ident, $name:literal) => {
        impl $record {
            /// Its only schema, as a topic names it.
            pub fn schemas() -> Vec<Schema> {
                vec![Self::get_schema()]
            }
        }
        impl Records for $record {
            fn schemas() -> Vec<Schema> {
                Self::schemas()
            }
            fn record_name(&self) -> &'static str {
                $name
            }
            fn encode(&self, codec: &Codec) -> Result<Vec<u8>, CodecError> {
                codec.write($name, self)
            }
            fn decode(frame: &Frame<'_>) -> Result<Option<Self>, CodecError> {
                if frame.record_name() == $name { frame.read().map(Some) } else { Ok(None) }
            }
            fn to_json(&self) -> serde_json::Value {
                serde_json::json!(self)
            }
        }
    };
}

single_record!(Decision, "jangbu.Decision");
single_record!(Outcome, "jangbu.Outcome");

/// The id of an event, equal in every replay: a UUIDv5 of its aggregate and version.
pub fn event_id(aggregate: Uuid, version: i64) -> Uuid {
    domain::id::derive(&["event", &aggregate.to_string(), &version.to_string()])
}

/// The id of the decision of a command.
pub fn decision_id(command: CommandId) -> Uuid {
    domain::id::derive(&["decision", &command.to_string()])
}
