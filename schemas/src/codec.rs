//! Confluent framing: a zero byte, the schema id as four big-endian bytes, then the Avro datum.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use apache_avro::{
    Schema, reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter,
};
use dashmap::DashMap;
use domain::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    registry::{Registry, RegistryError},
    topic::Topic,
};

/// Reads and writes framed records. Knows every schema registered when it was made, and learns
/// later ones when asked to.
pub struct Codec {
    registry: Registry,
    writers: HashMap<String, Writer>,
    readers: DashMap<u32, Known>,
}

/// What the registry said of an id.
enum Known {
    Readable(Arc<Reader>),
    Unknown(Instant),
}

/// How long the registry is not asked again for an id that it does not know: a replica of it may
/// lag behind the writer.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

struct Writer {
    frame: [u8; 5],
    datum: GenericDatumWriter<'static>,
}

struct Reader {
    record_name: String,
    datum: GenericDatumReader<'static>,
    /// Whether this build writes such records by the same schema.
    own: bool,
}

/// A framed message whose schema is known.
pub struct Frame<'m> {
    reader: Arc<Reader>,
    datum: &'m [u8],
}

/// Why a record could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// No Confluent frame.
    #[error("not framed: a record begins with a zero byte and a schema id")]
    NotFramed,
    /// The id has not been learnt yet; see [`Codec::learn`].
    #[error("schema {0} has not been looked up yet")]
    NotLearnt(u32),
    /// The registry holds no such schema.
    #[error("schema {0} is unknown to the registry")]
    UnknownSchema(u32),
    /// The record may not be written.
    #[error("no schema is registered for {0}; run `jangbu topics apply`")]
    NotRegistered(String),
    /// Avro's own complaint.
    #[error("avro: {0}")]
    Avro(#[from] apache_avro::Error),
    /// The registry did not answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl CodecError {
    /// Whether it may be otherwise at the next try: the registry is away, or answers before it has
    /// read all that it keeps, or a schema is still to be registered.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NotRegistered(_) => true,
            Self::Registry(error) => error.may_pass(),
            _ => false,
        }
    }
}

impl Codec {
    /// Looks up the registered ids of all records of `topics`.
    ///
    /// # Errors
    /// [`CodecError`] when the registry does not answer, or lacks a record of this build.
    pub async fn load(registry: Registry, topics: &[Topic]) -> Result<Self, CodecError> {
        let mut writers = HashMap::new();
        let readers = DashMap::new();
        for topic in topics {
            for schema in (topic.records)() {
                let name = full_name(&schema);
                let subject = format!("{}-{name}", topic.name);
                let id = registry.id_of(&subject, &schema).await?;
                let id = id.ok_or_else(|| CodecError::NotRegistered(subject))?;
                let schema: &'static Schema = Box::leak(Box::new(schema));
                readers.insert(id, Known::Readable(Arc::new(Reader::new(schema, true)?)));
                writers.insert(name, Writer::new(id, schema)?);
            }
        }
        Ok(Self { registry, writers, readers })
    }

    /// Frames `record`.
    ///
    /// # Errors
    /// [`CodecError`] when no schema is known by `name`, or it does not fit.
    pub fn write<T: Serialize>(&self, name: &str, record: &T) -> Result<Vec<u8>, CodecError> {
        let writer =
            self.writers.get(name).ok_or_else(|| CodecError::NotRegistered(name.to_owned()))?;
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(&writer.frame);
        writer.datum.write_ser(&mut bytes, record)?;
        Ok(bytes)
    }

    /// Opens a framed message.
    ///
    /// # Errors
    /// [`CodecError::NotLearnt`] when [`Codec::learn`] must look the schema up first.
    pub fn open<'m>(&self, bytes: &'m [u8]) -> Result<Frame<'m>, CodecError> {
        let (frame, datum) = bytes.split_first_chunk::<5>().ok_or(CodecError::NotFramed)?;
        let [0, id @ ..] = *frame else { return Err(CodecError::NotFramed) };
        let id = u32::from_be_bytes(id);
        match self.readers.get(&id).as_deref() {
            Some(Known::Readable(reader)) => Ok(Frame { reader: reader.clone(), datum }),
            Some(Known::Unknown(since)) if since.elapsed() < UNKNOWN_FOR => {
                Err(CodecError::UnknownSchema(id))
            }
            _ => Err(CodecError::NotLearnt(id)),
        }
    }

    /// Looks a schema up that appeared while running; an unknown one is remembered for a moment.
    ///
    /// # Errors
    /// [`CodecError::Registry`] when the registry does not answer.
    pub async fn learn(&self, id: u32) -> Result<(), CodecError> {
        let known = match self.registry.schema(id).await? {
            // A process meets a handful of schemas in its life, so leaking each is bounded.
            Some(schema) => {
                Known::Readable(Arc::new(Reader::new(Box::leak(Box::new(schema)), false)?))
            }
            None => Known::Unknown(Instant::now()),
        };
        self.readers.retain(
            |_, known| !matches!(known, Known::Unknown(since) if since.elapsed() >= UNKNOWN_FOR),
        );
        self.readers.insert(id, known);
        Ok(())
    }
}

impl Writer {
    fn new(id: u32, schema: &'static Schema) -> Result<Self, CodecError> {
        let [a, b, c, d] = id.to_be_bytes();
        let datum = GenericDatumWriter::builder(schema).human_readable(false).build()?;
        Ok(Self { frame: [0, a, b, c, d], datum })
    }
}

impl Reader {
    fn new(schema: &'static Schema, own: bool) -> Result<Self, CodecError> {
        let datum = GenericDatumReader::builder(schema).human_readable(false).build()?;
        Ok(Self { record_name: full_name(schema), datum, own })
    }
}

impl Frame<'_> {
    /// The full name of the record, as its writer called it.
    pub fn record_name(&self) -> &str {
        &self.reader.record_name
    }

    /// Reads the record by its writer's schema; fields that it lacks take serde's defaults.
    ///
    /// # Errors
    /// [`CodecError::Avro`] when the bytes do not fit.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, CodecError> {
        Ok(self.reader.datum.read_deser(&mut &*self.datum)?)
    }

    /// All that the record says, by its writer's schema; `None` where this build's own says as much.
    ///
    /// # Errors
    /// [`CodecError::Avro`] when the bytes do not fit.
    pub fn as_written(&self) -> Result<Option<serde_json::Value>, CodecError> {
        if self.reader.own {
            return Ok(None);
        }
        let value = self.reader.datum.read_value(&mut &*self.datum)?;
        Ok(Some(timed(value).try_into()?))
    }
}

/// The same with times as text, as JSON has them everywhere else.
fn timed(value: Value) -> Value {
    match value {
        Value::TimestampMillis(millis) => Value::String(Timestamp(millis).to_string()),
        Value::Union(at, value) => Value::Union(at, Box::new(timed(*value))),
        Value::Array(values) => Value::Array(values.into_iter().map(timed).collect()),
        Value::Record(fields) => {
            Value::Record(fields.into_iter().map(|(name, value)| (name, timed(value))).collect())
        }
        other => other,
    }
}

/// The name of a record with its namespace; empty for a schema without a name.
pub fn full_name(schema: &Schema) -> String {
    schema.name().map(|name| name.fullname(None)).unwrap_or_default()
}
