//! Messages: a record with the headers that make it traceable. Events follow the CloudEvents
//! Kafka binding in binary mode: each attribute is a header `ce_<name>`.

use std::{borrow::Cow, fmt, str::FromStr};

use domain::{Aggregate as _, CommandId, MallId, Timestamp, catalog};
use uuid::Uuid;

use crate::{
    record::{Decision, Records, decision_id, event_id},
    topic::Topic,
    trace::Traceparent,
};

/// The headers of a message, in order. Ours hold text; those of a stranger's need not.
pub type Headers = Vec<(Cow<'static, str>, Vec<u8>)>;

/// What every message of a command's life carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The key of the aggregate.
    pub aggregate: Uuid,
    /// The mall whose data it is.
    pub mall: MallId,
    /// The command that it began with.
    pub command: CommandId,
    /// Tells two bodies under one key apart.
    pub body_hash: String,
    /// Who asked: a key's or a process's name, never a person's data.
    pub actor: String,
    /// Ties together what belongs to one request.
    pub correlation: Uuid,
    /// The step of the trace that made the message.
    pub trace: Traceparent,
}

/// A command on its way to its aggregate.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandMessage {
    /// Where it comes from and whom it is for.
    pub origin: Origin,
    /// The only version to which the command applies (`If-Match`).
    pub expected_version: Option<i64>,
    /// The partition of `outcomes` at which somebody waits.
    pub reply_partition: Option<i32>,
    /// The wish itself.
    pub body: catalog::Command,
}

/// A fact, as it stands in the log for ever.
#[derive(Clone, Debug, PartialEq)]
pub struct EventMessage {
    /// The command that caused it.
    pub origin: Origin,
    /// Its number in the aggregate's history, from 1 without a gap.
    pub version: i64,
    /// The time of the decision.
    pub time: Timestamp,
    /// When it was seen to be so, where a feed told it.
    pub observed_at: Option<Timestamp>,
    /// The fact itself.
    pub body: catalog::Event,
}

/// The conclusion that left no event.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionMessage {
    /// The command that was decided.
    pub origin: Origin,
    /// The time of the decision.
    pub time: Timestamp,
    /// The conclusion.
    pub body: Decision,
}

/// A header is missing or does not hold what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the header {0} is missing or malformed")]
pub struct HeaderError(pub &'static str);

/// Reads headers by name; implemented by whatever holds them.
pub trait HeaderSource {
    /// The bytes of the header, if it is there.
    fn header(&self, name: &str) -> Option<&[u8]>;
}

impl HeaderSource for Headers {
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice())
    }
}

impl Origin {
    /// Reads what [`CommandMessage::headers`] wrote; the command's id is `ce_id`.
    ///
    /// # Errors
    /// [`HeaderError`] naming the first header at fault.
    pub fn of_command(headers: &impl HeaderSource, aggregate: Uuid) -> Result<Self, HeaderError> {
        Self::read(headers, aggregate, "ce_id")
    }

    /// Reads what [`EventMessage::headers`] or [`DecisionMessage::headers`] wrote.
    ///
    /// # Errors
    /// [`HeaderError`] naming the first header at fault.
    pub fn of_event(headers: &impl HeaderSource, aggregate: Uuid) -> Result<Self, HeaderError> {
        Self::read(headers, aggregate, "ce_commandid")
    }

    fn read(
        headers: &impl HeaderSource,
        aggregate: Uuid,
        command_header: &'static str,
    ) -> Result<Self, HeaderError> {
        Ok(Self {
            aggregate,
            mall: required(headers, "ce_mallid")?,
            command: required(headers, command_header)?,
            body_hash: required(headers, "ce_bodyhash")?,
            actor: required(headers, "ce_actor")?,
            correlation: required(headers, "ce_correlationid")?,
            trace: required(headers, "traceparent")?,
        })
    }

    fn write(&self, id: Uuid, record: &'static str, source: &Topic) -> Headers {
        vec![
            text("ce_specversion", "1.0"),
            text("ce_id", id),
            text("ce_type", record),
            text("ce_source", format!("/jangbu/{}", source.name)),
            text("ce_subject", self.aggregate),
            text("ce_mallid", &self.mall),
            text("ce_actor", &self.actor),
            text("ce_correlationid", self.correlation),
            text("ce_bodyhash", &self.body_hash),
            text("traceparent", self.trace),
            text("content-type", "application/vnd.confluent.avro"),
        ]
    }

    /// As [`Self::write`], for what a decision at `time` left behind.
    fn write_result(
        &self,
        id: Uuid,
        record: &'static str,
        source: &Topic,
        time: Timestamp,
    ) -> Headers {
        let mut headers = self.write(id, record, source);
        headers.push(text("ce_time", time));
        headers.push(text("ce_commandid", self.command));
        headers.push(text("ce_causationid", self.command));
        headers
    }
}

impl CommandMessage {
    /// The message's headers.
    pub fn headers(&self, topic: &Topic) -> Headers {
        let mut headers = self.origin.write(self.origin.command.0, self.body.record_name(), topic);
        if let Some(version) = self.expected_version {
            headers.push(text("ce_expectedversion", version));
        }
        if let Some(partition) = self.reply_partition {
            headers.push(text("ce_replypartition", partition));
        }
        headers
    }

    /// Puts a message together again.
    ///
    /// # Errors
    /// [`HeaderError`] naming the first header at fault.
    pub fn read(
        headers: &impl HeaderSource,
        aggregate: Uuid,
        body: catalog::Command,
    ) -> Result<Self, HeaderError> {
        Ok(Self {
            origin: Origin::of_command(headers, aggregate)?,
            expected_version: optional(headers, "ce_expectedversion")?,
            reply_partition: optional(headers, "ce_replypartition")?,
            body,
        })
    }
}

impl EventMessage {
    /// The event's id, equal in every replay.
    pub fn id(&self) -> Uuid {
        event_id(self.origin.aggregate, self.version)
    }

    /// The time that the fact is of. What a feed saw before it was decided is of then: its next
    /// word, seen later, is newer, however long the first one waited to be decided.
    pub fn of_time(&self) -> Timestamp {
        self.observed_at.map_or(self.time, |seen| seen.min(self.time))
    }

    /// The message's headers.
    pub fn headers(&self, topic: &Topic) -> Headers {
        let record = self.body.record_name();
        let mut headers = self.origin.write_result(self.id(), record, topic, self.time);
        headers.push(text("ce_aggregatetype", self.body.kind()));
        headers.push(text("ce_aggregateversion", self.version));
        if let Some(at) = self.observed_at {
            headers.push(text("ce_observedat", at));
        }
        if !catalog::State::is_critical(&self.body) {
            headers.push(text("ce_critical", false));
        }
        headers
    }

    /// Puts a message together again.
    ///
    /// # Errors
    /// [`HeaderError`] naming the first header at fault.
    pub fn read(
        headers: &impl HeaderSource,
        aggregate: Uuid,
        body: catalog::Event,
    ) -> Result<Self, HeaderError> {
        let (version, time) = Self::numbering(headers)?;
        let (origin, observed_at) =
            (Origin::of_event(headers, aggregate)?, optional(headers, "ce_observedat")?);
        Ok(Self { origin, version, time, observed_at, body })
    }

    /// The version and the time of an event whose record may be of a newer build.
    ///
    /// # Errors
    /// [`HeaderError`] naming the first header at fault.
    pub fn numbering(headers: &impl HeaderSource) -> Result<(i64, Timestamp), HeaderError> {
        Ok((required(headers, "ce_aggregateversion")?, required(headers, "ce_time")?))
    }

    /// Whether a build that does not know the event's record must not decide after it. An event
    /// that does not say otherwise is so.
    ///
    /// # Errors
    /// [`HeaderError`] where it says neither.
    pub fn is_critical(headers: &impl HeaderSource) -> Result<bool, HeaderError> {
        Ok(optional(headers, "ce_critical")?.unwrap_or(true))
    }

    /// The kind of aggregate that an event happened to, whose record may be of a newer build.
    ///
    /// # Errors
    /// [`HeaderError`] where it is missing.
    pub fn aggregate_kind(headers: &impl HeaderSource) -> Result<String, HeaderError> {
        required(headers, "ce_aggregatetype")
    }
}

impl DecisionMessage {
    /// The message's headers.
    pub fn headers(&self, topic: &Topic) -> Headers {
        let id = decision_id(self.origin.command);
        self.origin.write_result(id, self.body.record_name(), topic, self.time)
    }

    /// Puts a message together again.
    ///
    /// # Errors
    /// [`HeaderError`] naming the first header at fault.
    pub fn read(
        headers: &impl HeaderSource,
        aggregate: Uuid,
        body: Decision,
    ) -> Result<Self, HeaderError> {
        Ok(Self {
            origin: Origin::of_event(headers, aggregate)?,
            time: required(headers, "ce_time")?,
            body,
        })
    }
}

fn text(name: &'static str, value: impl fmt::Display) -> (Cow<'static, str>, Vec<u8>) {
    (Cow::Borrowed(name), value.to_string().into_bytes())
}

fn required<T: FromStr>(headers: &impl HeaderSource, name: &'static str) -> Result<T, HeaderError> {
    optional(headers, name)?.ok_or(HeaderError(name))
}

fn optional<T: FromStr>(
    headers: &impl HeaderSource,
    name: &'static str,
) -> Result<Option<T>, HeaderError> {
    let Some(bytes) = headers.header(name) else { return Ok(None) };
    let text = std::str::from_utf8(bytes).map_err(|_| HeaderError(name))?;
    text.parse().map(Some).map_err(|_| HeaderError(name))
}
