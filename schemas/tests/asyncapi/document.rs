//! The AsyncAPI document, put together from the table of topics, the types and the story.

use schemas::{Codec, TOPICS, Topic, topic::Retention};
use serde_json::{Map, Value, json};

use crate::{
    headers::{self, Holds},
    story::{self, Told},
};

/// The whole document.
pub(crate) fn document(told: &[Told], codec: &Codec) -> Value {
    let each = |make: fn(&Topic) -> Value| -> Map<String, Value> {
        TOPICS.iter().map(|topic| (id_of(topic), make(topic))).collect()
    };
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "jangbu",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The log of jangbu: what it decided, and what it was asked to decide. \
                Events are the contract for other teams; the topics beside them are how jangbu \
                works. Ordering, deduplication, replay and what may change: docs/events.md.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/vnd.confluent.avro",
        "servers": {"kafka": {
            "host": "{brokers}",
            "protocol": "kafka",
            "description": "The brokers of the installation, with its registry.",
            "variables": {"brokers": {"default": "127.0.0.1:9092",
                "description": "Bootstrap servers: host and port."}},
            "bindings": {"kafka": {"schemaRegistryVendor": "confluent", "bindingVersion": "0.5.0"}},
        }},
        "channels": each(channel),
        "operations": each(operation),
        "components": {
            "messages": messages(told, codec),
            "schemas": header_schemas(),
        },
    })
}

/// A topic's name as the document's ids are written.
fn id_of(topic: &Topic) -> String {
    topic.name.replace(['.', '-'], "_")
}

fn channel(topic: &Topic) -> Value {
    let message = |name: &String| json!({"$ref": format!("#/components/messages/{name}")});
    let names = message_names(topic);
    let messages: Map<_, _> = names.iter().map(|name| (name.clone(), message(name))).collect();
    json!({
        "address": topic.name,
        "description": format!("{} Kept: {}.", about(topic), kept(topic.retention)),
        "messages": messages,
        "bindings": {"kafka": {
            "topic": topic.name,
            "partitions": topic.partitions,
            "topicConfiguration": {
                "cleanup.policy": ["delete"],
                "retention.ms": retention_ms(topic.retention),
            },
            "bindingVersion": "0.5.0",
        }},
    })
}

fn message_names(topic: &Topic) -> Vec<String> {
    match Holds::of(topic.name) {
        Holds::DeadLetters => vec!["DeadLetter".to_owned()],
        _ => story::records(topic).into_iter().map(|(name, _)| name).collect(),
    }
}

fn about(topic: &Topic) -> &'static str {
    match Holds::of(topic.name) {
        Holds::Commands => {
            "Wishes, each addressed to one aggregate. Written by the API: send commands over HTTP."
        }
        Holds::Events => {
            "Facts, in the order in which they were decided for each aggregate. Read with \
             isolation.level=read_committed."
        }
        Holds::Decisions => {
            "Decisions that left no event: refusals, and wishes that would change nothing. Read \
             with isolation.level=read_committed."
        }
        Holds::Outcomes => {
            "Hints to the API instance that waits, one partition each; they may be lost or come \
             twice. Not for others."
        }
        Holds::DeadLetters => {
            "Records that could not be decoded, byte for byte as they came, and what operators did \
             about them: records without a value, whose headers say of which one."
        }
    }
}

/// How long a record is kept, in words.
pub(crate) fn kept(retention: Retention) -> String {
    match retention {
        Retention::Forever => "for ever, never compacted".to_owned(),
        Retention::Hours(1) => "an hour".to_owned(),
        Retention::Hours(hours) => format!("{} days", hours / 24),
    }
}

fn retention_ms(retention: Retention) -> i64 {
    match retention {
        Retention::Forever => -1,
        Retention::Hours(hours) => i64::try_from(hours).unwrap() * 3_600_000,
    }
}

/// As jangbu sees it: it receives commands and sends the rest.
fn operation(topic: &Topic) -> Value {
    let (action, summary) = match Holds::of(topic.name) {
        Holds::Commands => ("receive", "Decides what is wished"),
        Holds::Events => ("send", "Tells what became true"),
        Holds::Decisions => ("send", "Tells what was refused or changed nothing"),
        Holds::Outcomes => ("send", "Tells whoever waits"),
        Holds::DeadLetters => ("send", "Keeps what it could not read"),
    };
    json!({
        "action": action,
        "summary": summary,
        "channel": {"$ref": format!("#/channels/{}", id_of(topic))},
    })
}

fn messages(told: &[Told], codec: &Codec) -> Map<String, Value> {
    let mut messages = Map::new();
    for topic in TOPICS {
        for (name, schema) in story::records(&topic) {
            // A lane holds the same messages as the other.
            if messages.contains_key(&name) {
                continue;
            }
            let full = format!("{}.{name}", schema["namespace"].as_str().unwrap());
            let examples: Vec<_> = told.iter().filter(|told| told.record == full).collect();
            assert!(
                !examples.is_empty(),
                "{name} has no example: let schemas/tests/asyncapi/story.json lead to one"
            );
            let message =
                message(&topic, &name, &schema, &examples[..examples.len().min(2)], codec);
            messages.insert(name, message);
        }
    }
    messages.insert("DeadLetter".to_owned(), dead_letter());
    messages
}

fn message(topic: &Topic, name: &str, schema: &Value, told: &[&Told], codec: &Codec) -> Value {
    let example = |told: &&Told| {
        let text = |value: &[u8]| json!(String::from_utf8_lossy(value));
        let headers: Map<String, Value> =
            told.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let mut example = json!({"payload": told.body.to_json()});
        if !headers.is_empty() {
            example["headers"] = headers.into();
        }
        example
    };
    let bytes = told[0].body.encode(codec);
    let mut message = json!({
        "name": told[0].record,
        "title": name,
        "summary": schema["doc"],
        "contentType": "application/vnd.confluent.avro",
        "payload": {
            "schemaFormat": "application/vnd.apache.avro+json;version=1.9.0",
            "schema": schema,
        },
        "bindings": {"kafka": binding(topic)},
        "examples": told.iter().map(example).collect::<Vec<_>>(),
        // The first example in the log, as hexadecimal digits: frame (here schema id 1) and datum.
        "x-encoded": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
    });
    if let Some(name) = Holds::of(topic.name).headers_name() {
        message["headers"] = json!({"$ref": format!("#/components/schemas/{name}")});
    }
    message
}

/// The key, and how the value names its schema.
fn binding(topic: &Topic) -> Value {
    let mut binding = json!({
        "schemaIdLocation": "payload",
        "schemaIdPayloadEncoding": "confluent",
        "schemaLookupStrategy": "TopicRecordNameStrategy",
        "bindingVersion": "0.5.0",
    });
    if Holds::of(topic.name) != Holds::Outcomes {
        binding["key"] = key();
    }
    binding
}

fn key() -> Value {
    json!({"type": "string", "format": "uuid",
        "description": "The aggregate's id in canonical lower case; murmur2 of it picks the partition."})
}

fn dead_letter() -> Value {
    json!({
        "name": "DeadLetter",
        "title": "DeadLetter",
        "summary": "A record that could not be decoded, with the headers that it came with.",
        "contentType": "application/octet-stream",
        "headers": {"$ref": "#/components/schemas/DeadLetterHeaders"},
        "bindings": {"kafka": {"key": key(), "bindingVersion": "0.5.0"}},
        "examples": [{"headers": {
            "dead-letter-reason": "its key is no UUID in canonical text",
            "dead-letter-position": "catalog.commands.3.1201",
        }}],
    })
}

fn header_schemas() -> Map<String, Value> {
    let named = |topic: &Topic| {
        let holds = Holds::of(topic.name);
        holds.headers_name().map(|name| (name.to_owned(), headers::schema(holds)))
    };
    TOPICS.iter().filter_map(named).collect()
}
