//! Between Kafka's messages and ours.

use std::{str::FromStr, sync::Arc};

use domain::Timestamp;
use projections::{Fact, Logged};
use rdkafka::{
    Message,
    message::{BorrowedMessage, Header, OwnedHeaders},
};
use schemas::{
    Codec, CodecError, Decision, DecisionMessage, EventMessage, Frame, HeaderSource, Headers,
    Origin, Records,
};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::native;

/// Reads framed records, and asks the registry for schemas that appeared while running.
///
/// It blocks while it asks, so it is for threads of their own.
#[derive(Clone)]
pub struct Decoder {
    codec: Arc<Codec>,
    runtime: Handle,
}

impl Decoder {
    /// A decoder whose lookups run on `runtime`.
    pub fn new(codec: Arc<Codec>, runtime: Handle) -> Self {
        Self { codec, runtime }
    }

    /// The codec behind it.
    pub fn codec(&self) -> &Codec {
        &self.codec
    }

    /// Opens a framed message.
    ///
    /// # Errors
    /// [`CodecError::Registry`] when the registry does not answer, which may pass; any other
    /// error is the message's own and stays.
    pub fn open<'m>(&self, payload: &'m [u8]) -> Result<Frame<'m>, CodecError> {
        match self.codec.open(payload) {
            Err(CodecError::NotLearnt(id)) => {
                self.runtime.block_on(self.codec.learn(id))?;
                self.codec.open(payload)
            }
            opened => opened,
        }
    }

    /// Reads an event or a decision as a projection takes it. What cannot be read is unknown, and
    /// it is the projection's part to stop at it or not.
    ///
    /// # Errors
    /// [`CodecError::Registry`] when the registry does not answer.
    pub fn logged(&self, message: &BorrowedMessage<'_>) -> Result<Logged, CodecError> {
        let fact = match self.fact(message) {
            Err(error @ CodecError::Registry(_)) => return Err(error),
            Err(error) => Fact::Unknown { record: format!("undecodable: {error}") },
            Ok(fact) => fact,
        };
        let is_event = message.topic() == schemas::CATALOG.events.name;
        let as_written = if is_event { self.as_written(message) } else { None };
        Ok(Logged {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            appended: Timestamp(message.timestamp().to_millis().unwrap_or_default()),
            fact,
            as_written,
        })
    }

    fn as_written(&self, message: &BorrowedMessage<'_>) -> Option<serde_json::Value> {
        // What cannot be opened was told as unknown.
        let frame = self.open(message.payload().unwrap_or_default()).ok()?;
        frame.as_written().ok().flatten()
    }

    fn fact(&self, message: &BorrowedMessage<'_>) -> Result<Fact, CodecError> {
        let frame = self.open(message.payload().unwrap_or_default())?;
        let unknown = |why: &str| Fact::Unknown { record: format!("{}{why}", frame.record_name()) };
        let Some(aggregate) = key_of(message) else { return Ok(unknown(": its key is no UUID")) };
        let source = MessageHeaders::of(message);
        let event_topic = message.topic() == schemas::CATALOG.events.name;
        if let Some(event) = domain::catalog::Event::decode(&frame)? {
            let event = EventMessage::read(&source, aggregate, event);
            return Ok(event.map_or_else(|e| unknown(&format!(": {e}")), Fact::Event));
        }
        if let Some(decision) = Decision::decode(&frame)? {
            let decision = DecisionMessage::read(&source, aggregate, decision);
            return Ok(decision.map_or_else(|e| unknown(&format!(": {e}")), Fact::Decision));
        }
        if event_topic && let Ok((version, time)) = EventMessage::numbering(&source) {
            let record = frame.record_name().to_owned();
            let kind = EventMessage::aggregate_kind(&source);
            let origin = Origin::of_event(&source, aggregate);
            let critical = EventMessage::is_critical(&source);
            return Ok(kind.and_then(|kind| Ok((kind, origin?, critical?))).map_or_else(
                |error| unknown(&format!(": {error}")),
                |(kind, origin, critical)| Fact::NewerEvent {
                    record,
                    kind,
                    origin,
                    version,
                    time,
                    critical,
                },
            ));
        }
        Ok(unknown(""))
    }
}

/// Where a command's headers say whose it is.
pub fn origin_of(headers: &MessageHeaders<'_>, aggregate: Uuid) -> Option<Origin> {
    headers.are_few().then(|| Origin::of_command(headers, aggregate).ok()).flatten()
}

/// The most that a command may have, in bytes: its key, its value and its headers. The event that
/// follows repeats it, and at most as much of what was before, and has to fit into a record too.
pub const LARGEST_COMMAND: usize = 900_000;
/// The most that its headers may have, which each of its events repeats; those of the api have less
/// than 1 KiB.
pub const LONGEST_HEADERS: usize = 8 << 10;

/// The most headers that it may have: each costs a record some bytes, however short it is.
pub const MOST_HEADERS: usize = 100;

/// How many bytes a record has: its key, its value and its headers.
pub fn bytes_of(message: &BorrowedMessage<'_>, headers: &MessageHeaders<'_>) -> usize {
    message.key_len() + message.payload_len() + headers.bytes()
}

/// Whether it has more than a command may have.
pub fn is_too_large(message: &BorrowedMessage<'_>, headers: &MessageHeaders<'_>) -> bool {
    bytes_of(message, headers) > LARGEST_COMMAND || !headers.are_few()
}

/// The aggregate id that keys a message. Only canonical text is one: another spelling of the same
/// id would stand in another partition, and the aggregate would have two owners.
pub fn key_of(message: &BorrowedMessage<'_>) -> Option<Uuid> {
    let text = message.key_view::<str>()?.ok()?;
    Uuid::from_str(text).ok().filter(|id| id.to_string() == text)
}

/// The headers of a Kafka message, walked through once: a record is read by a dozen of them.
pub struct MessageHeaders<'a>(Vec<(&'a [u8], Option<&'a [u8]>)>);

impl HeaderSource for MessageHeaders<'_> {
    fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.0.iter();
        headers.find(|(known, _)| *known == name.as_bytes()).and_then(|(_, value)| *value)
    }
}

impl<'a> MessageHeaders<'a> {
    /// Those of `message`.
    pub fn of(message: &'a BorrowedMessage<'_>) -> Self {
        Self(
            message.headers().map(|headers| native::headers(headers).collect()).unwrap_or_default(),
        )
    }

    /// All headers, as they came; one without a value as an empty one. What of a name is no text is
    /// replaced: no producer of ours could write it.
    pub fn all(&self) -> Headers {
        let text = |name| String::from_utf8_lossy(name).into_owned().into();
        let bytes = |value: Option<&[u8]>| value.unwrap_or_default().to_vec();
        self.each().map(|(name, value)| (text(name), bytes(value))).collect()
    }

    /// Whether every name is text.
    pub fn have_names(&self) -> bool {
        self.each().all(|(name, _)| str::from_utf8(name).is_ok())
    }

    /// How many bytes they have.
    pub fn bytes(&self) -> usize {
        self.each().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len)).sum()
    }

    /// Whether they could be a command's by number and size.
    pub fn are_few(&self) -> bool {
        self.0.len() <= MOST_HEADERS && self.bytes() <= LONGEST_HEADERS
    }

    /// Each name and value, as they came.
    pub fn each(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        self.0.iter().copied()
    }
}

/// Our headers as Kafka's.
pub fn to_kafka(headers: &Headers) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |kafka, (key, value)| {
        kafka.insert(Header { key, value: Some(value) })
    })
}
