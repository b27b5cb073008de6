//! `jangbu tail`: the records of a topic as JSON lines, decoded.

use std::{
    io::{Write, stdout},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use domain::{Timestamp, catalog};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::BorrowedMessage,
};
use schemas::{Codec, CodecError, Decision, Outcome, Records, Registry, TOPICS, Topic, full_name};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::{
    config::{Config, Flag, Given, Usage},
    log::{Decoder, Kafka, MessageHeaders},
    shutdown::shutdown_signal,
};

/// What `jangbu tail` takes.
pub const USAGE: Usage = Usage {
    about: "jangbu tail: the records of a topic as JSON lines, until Ctrl-C.",
    settings: &[],
    flags: &[
        Flag { name: "topic", value: Some("NAME"), meaning: "Which; default catalog.events." },
        Flag { name: "from-beginning", value: None, meaning: "Not only what comes from now on." },
        Flag { name: "mall", value: Some("MALL"), meaning: "Only this mall's." },
        Flag { name: "key", value: Some("ID"), meaning: "Only this aggregate's." },
        Flag { name: "type", value: Some("NAME"), meaning: "Only records of this name." },
    ],
};

/// Runs the command.
///
/// # Errors
/// When a server does not answer, or the topic is none of ours.
pub fn run(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let topic = topic(given.value("topic").unwrap_or("catalog.events"))?;
    given.value("type").map_or(Ok(()), |name| is_of(&topic, name))?;
    let runtime = Runtime::new()?;
    let registry = Registry::new(&config.registry)?;
    let codec = runtime.block_on(Codec::load(registry, &[topic])).context("schema registry")?;
    let decoder = Decoder::new(Arc::new(codec), runtime.handle().clone());
    let consumer = follow(config, &topic, given.has("from-beginning"))?;
    let shutdown = shutdown_signal()?;
    while !shutdown.requested() {
        let Some(message) = consumer.poll(Duration::from_millis(200)) else { continue };
        let record = decoded(&decoder, &message?);
        if wanted(&record, given) && writeln!(stdout(), "{record}").is_err() {
            break; // whoever reads has seen enough
        }
    }
    Ok(true)
}

fn topic(name: &str) -> anyhow::Result<Topic> {
    let Some(topic) = TOPICS.into_iter().find(|topic| topic.name == name) else {
        bail!("{name} is none of {:?}", TOPICS.map(|topic| topic.name));
    };
    Ok(topic)
}

/// Refuses the name of a record that the topic will never hold.
fn is_of(topic: &Topic, name: &str) -> anyhow::Result<()> {
    let names: Vec<String> = (topic.records)().iter().map(full_name).collect();
    if names.iter().any(|known| is_called(known, name)) {
        return Ok(());
    }
    let short = names.iter().filter_map(|name| name.rsplit('.').next());
    bail!("{} holds no {name}; it holds {}", topic.name, short.collect::<Vec<_>>().join(", "))
}

/// Whether a record's full name is, or ends with, `wish`.
fn is_called(name: &str, wish: &str) -> bool {
    name == wish || name.rsplit('.').next() == Some(wish)
}

fn follow(config: &Config, topic: &Topic, from_beginning: bool) -> anyhow::Result<BaseConsumer> {
    let kafka = Kafka::of("tool", &config.kafka);
    let consumer: BaseConsumer = kafka.consumer().set("group.id", "jangbu-tail").create()?;
    let mut from = TopicPartitionList::new();
    let start = if from_beginning { Offset::Beginning } else { Offset::End };
    for partition in 0..topic.partitions {
        from.add_partition_offset(topic.name, partition, start)?;
    }
    consumer.assign(&from)?;
    Ok(consumer)
}

fn wanted(record: &Value, given: &Given) -> bool {
    let is = |flag: &str, value: &Value| given.value(flag).is_none_or(|wish| value == wish);
    let name = given
        .value("type")
        .is_none_or(|wish| record["type"].as_str().is_some_and(|name| is_called(name, wish)));
    name && is("key", &record["key"]) && is("mall", &record["headers"]["ce_mallid"])
}

fn decoded(decoder: &Decoder, message: &BorrowedMessage<'_>) -> Value {
    let (record, body) = match body(decoder, message) {
        Ok((name, body)) => (Value::from(name), body),
        Err(error) => (Value::Null, json!({ "undecodable": error.to_string() })),
    };
    json!({
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "appended": Timestamp(message.timestamp().to_millis().unwrap_or_default()).to_string(),
        "key": message.key().map(String::from_utf8_lossy),
        "type": record,
        "headers": headers(message),
        "body": body,
    })
}

fn headers(message: &BorrowedMessage<'_>) -> Map<String, Value> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let value = |bytes: Option<&[u8]>| bytes.map_or(Value::Null, |bytes| text(bytes).into());
    let headers = MessageHeaders::of(message);
    headers.each().map(|(name, bytes)| (text(name), value(bytes))).collect()
}

fn body(decoder: &Decoder, message: &BorrowedMessage<'_>) -> Result<(String, Value), CodecError> {
    let frame = decoder.open(message.payload().unwrap_or_default())?;
    let body = match (catalog::Event::decode(&frame)?, catalog::Command::decode(&frame)?) {
        (Some(event), _) => event.to_json(),
        (_, Some(command)) => command.to_json(),
        _ => match (Decision::decode(&frame)?, Outcome::decode(&frame)?) {
            (Some(decision), _) => decision.to_json(),
            (_, Some(outcome)) => outcome.to_json(),
            _ => Value::Null,
        },
    };
    Ok((frame.record_name().to_owned(), body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_no_record_of_the_topic_has_is_refused() {
        let events = topic("catalog.events").unwrap();
        assert!(is_of(&events, "ProductRegistered").is_ok());
        assert!(is_of(&events, "jangbu.catalog.ProductRegistered").is_ok());
        for name in ["Nonsense", "Registered", "RegisterProduct", ""] {
            let refused = is_of(&events, name).unwrap_err().to_string();
            assert!(refused.contains("ProductRegistered"), "{refused}");
        }
    }
}
