//! What each header means, and on which topics it stands.

use serde_json::{Map, Value, json};

/// What a topic holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Commands,
    Events,
    Decisions,
    Outcomes,
    DeadLetters,
}

impl Holds {
    /// By the topic's name, so that a new lane or context describes itself.
    pub(crate) fn of(topic: &str) -> Self {
        match topic {
            "outcomes" => Self::Outcomes,
            "dead-letters" => Self::DeadLetters,
            _ if topic.contains(".commands") => Self::Commands,
            _ if topic.ends_with(".events") => Self::Events,
            _ if topic.ends_with(".decisions") => Self::Decisions,
            _ => panic!("{topic}: say in {} what it holds", file!()),
        }
    }

    /// The name of the set of headers.
    pub(crate) fn headers_name(self) -> Option<&'static str> {
        match self {
            Self::Commands => Some("CommandHeaders"),
            Self::Events => Some("EventHeaders"),
            Self::Decisions => Some("DecisionHeaders"),
            Self::DeadLetters => Some("DeadLetterHeaders"),
            Self::Outcomes => None,
        }
    }
}

/// A header: its name, its JSON schema format, whether every message has it, and its meaning.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub(crate) name: &'static str,
    format: Option<&'static str>,
    pub(crate) always: bool,
    pub(crate) meaning: &'static str,
    on: &'static [Holds],
}

const ALL: &[Holds] = &[Holds::Commands, Holds::Events, Holds::Decisions];
const RESULTS: &[Holds] = &[Holds::Events, Holds::Decisions];

const fn header(
    on: &'static [Holds],
    name: &'static str,
    format: Option<&'static str>,
    meaning: &'static str,
) -> Header {
    Header { name, format, always: true, meaning, on }
}

const fn sometimes(header: Header) -> Header {
    Header { always: false, ..header }
}

const fn letter(name: &'static str, meaning: &'static str) -> Header {
    sometimes(header(&[Holds::DeadLetters], name, None, meaning))
}

const HEADERS: &[Header] = &[
    header(ALL, "ce_specversion", None, "1.0: the version of CloudEvents."),
    header(
        ALL,
        "ce_id",
        Some("uuid"),
        "The message's id, equal however often it is sent: deduplicate by it. Of an event, a \
         UUIDv5 of aggregate and version; of a command, the command's id.",
    ),
    header(ALL, "ce_type", None, "The full name of the record in the value."),
    header(ALL, "ce_source", None, "`/jangbu/` and the topic's name."),
    header(ALL, "ce_subject", Some("uuid"), "The aggregate's id: the same text as the key."),
    header(ALL, "ce_mallid", None, "The mall whose data it is."),
    header(ALL, "ce_actor", None, "Who asked: the name of a key or of a process, never a person."),
    header(ALL, "ce_correlationid", Some("uuid"), "The X-Request-Id of the request behind it."),
    header(ALL, "ce_bodyhash", None, "Tells two bodies under one Idempotency-Key apart."),
    header(ALL, "traceparent", None, "W3C Trace Context: the step that made the message."),
    header(ALL, "content-type", None, "application/vnd.confluent.avro."),
    header(RESULTS, "ce_time", Some("date-time"), "When it was decided."),
    header(RESULTS, "ce_commandid", Some("uuid"), "The command that was decided."),
    header(RESULTS, "ce_causationid", Some("uuid"), "What caused it: the command."),
    header(
        &[Holds::Events],
        "ce_aggregatetype",
        None,
        "The kind of aggregate: product, partner, brand, categories or synonyms; there will be others.",
    ),
    header(
        &[Holds::Events],
        "ce_aggregateversion",
        None,
        "The event's number in its aggregate's history: 1, 2, 3 and so on without a gap.",
    ),
    sometimes(header(
        &[Holds::Events],
        "ce_observedat",
        Some("date-time"),
        "When a feed's source saw it so, where a feed told it.",
    )),
    sometimes(header(
        &[Holds::Events],
        "ce_critical",
        None,
        "`false` where handlers of builds that do not know the event may step over it.",
    )),
    sometimes(header(
        &[Holds::Commands],
        "ce_expectedversion",
        None,
        "The only version to which the command applies (If-Match).",
    )),
    sometimes(header(
        &[Holds::Commands],
        "ce_replypartition",
        None,
        "The partition of `outcomes` at which somebody waits.",
    )),
    letter("dead-letter-reason", "Of a letter: why it could not be decided."),
    letter(
        "dead-letter-position",
        "Of a letter: where it stood: topic, partition and offset, with dots between them.",
    ),
    letter("dead-letter-action", "Of an act: resent or dropped."),
    letter(
        "dead-letter-of",
        "Of an act: the partition and offset of the letter, with a dot between.",
    ),
    letter("dead-letter-by", "Of an act: who did it."),
    letter("dead-letter-note", "Of an act: why, in his words; may be empty."),
    letter(
        "dead-letter-command",
        "Of an act: the command that it was resent as; empty where its headers name none.",
    ),
];

/// The headers of a topic's messages.
pub(crate) fn of(holds: Holds) -> impl Iterator<Item = &'static Header> {
    HEADERS.iter().filter(move |header| header.on.contains(&holds))
}

/// The headers as a JSON schema.
pub(crate) fn schema(holds: Holds) -> Value {
    let mut properties = Map::new();
    for header in of(holds) {
        let mut schema = json!({"type": "string", "description": header.meaning});
        if let Some(format) = header.format {
            schema["format"] = format.into();
        }
        properties.insert(header.name.to_owned(), schema);
    }
    let always = of(holds).filter(|header| header.always).map(|header| header.name);
    json!({"type": "object", "required": always.collect::<Vec<_>>(), "properties": properties})
}
