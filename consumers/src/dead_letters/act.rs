//! What can be done about a dead letter, and the record that it was done.

use std::io::{Write, stdout};

use anyhow::{Context as _, bail, ensure};
use domain::{CommandId, catalog};
use schemas::{
    CATALOG, Codec, CommandMessage, DEAD_LETTERS, Headers, Lane, Origin, Records, Registry, Topic,
    partition_of,
};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{
    find,
    letter::{Action, Letter, Place},
    place, tail,
};
use crate::{
    config::{Config, Given},
    log::{Decoder, Kafka, Outgoing, write_alone},
};

/// Runs `drop`.
///
/// # Errors
/// When the brokers do not answer, there is no such letter, or it was dealt with before.
pub fn drop_letter(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let place = place(given)?;
    let letter = find(&tail(config)?, place)?;
    untouched(&letter)?;
    let action = action("dropped", given, String::new())?;
    let by = action.by.clone();
    write_alone(&kafka(config), &record(&letter, place, &action))?;
    writeln!(stdout(), "{place} is dropped by {by}")?;
    Ok(true)
}

/// Runs `resend`: the bytes and headers as they came, to the topic that they came from.
///
/// # Errors
/// When a server does not answer, there is no such letter, or sending it would change nothing.
pub fn resend(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let place = place(given)?;
    let letter = find(&tail(config)?, place)?;
    let (topic, from) = command_topic(&letter)?;
    if let Some(bytes) = letter.summary.cut {
        bail!("only its beginning is kept; its {bytes} bytes stand at {}", letter.summary.source);
    }
    if !given.has("force") {
        untouched(&letter)?;
        let unread = format!("{place} cannot be decoded by this build either; --force sends it");
        decodes(&decoder(config)?.1, &letter).context(unread)?;
    }
    let key = key(&letter);
    let (headers, command) = renamed(&letter, place);
    let action = action("resent", given, command.map(|id| id.to_string()).unwrap_or_default())?;
    let (by, called) = (action.by.clone(), action.command.clone());
    let sent = Outgoing {
        topic: topic.name,
        // Where it stands is perhaps what was wrong with it.
        partition: key.map_or(from, |key| partition_of(&key.to_string(), topic.partitions)),
        key: letter.summary.key.clone(),
        payload: letter.payload.clone(),
        headers,
    };
    let at = sent.partition;
    // The command first: should its record fail, it is resent once more, and decided once.
    let kafka = kafka(config);
    let offset = write_alone(&kafka, &sent).context("it may have been resent; do it again")?;
    write_alone(&kafka, &record(&letter, place, &action))
        .context("it is resent, but that is not written down; do it again")?;
    let called = if called.is_empty() { "what it is".to_owned() } else { called };
    writeln!(stdout(), "{place} is resent by {by} to {}.{at}.{offset} as {called}", topic.name)?;
    Ok(true)
}

fn kafka(config: &Config) -> Kafka {
    Kafka::of("tool", &config.kafka)
}

/// The codec's runtime must live for as long as it is asked.
fn decoder(config: &Config) -> anyhow::Result<(Runtime, Decoder)> {
    let runtime = Runtime::new()?;
    let registry = Registry::new(&config.registry)?;
    let codec = runtime.block_on(Codec::load(registry, &[CATALOG.commands, CATALOG.bulk]));
    let decoder = Decoder::new(codec.context("schema registry")?.into(), runtime.handle().clone());
    Ok((runtime, decoder))
}

fn untouched(letter: &Letter) -> anyhow::Result<()> {
    if let Some(done) = letter.summary.actions.last() {
        bail!("{} was {} by {} at {}", letter.summary.place, done.what, done.by, done.at);
    }
    Ok(())
}

fn command_topic(letter: &Letter) -> anyhow::Result<(Topic, i32)> {
    let (name, partition, _) = letter.summary.source().context("where it came from is unknown")?;
    let topics = Lane::ALL.map(|lane| CATALOG.lane(lane));
    let topic = topics.into_iter().find(|topic| topic.name == name);
    Ok((topic.with_context(|| format!("{name} is no topic of commands"))?, partition))
}

/// The key, where it is an aggregate's as it should be written.
fn key(letter: &Letter) -> Option<Uuid> {
    let key: Uuid = letter.summary.key().parse().ok()?;
    (key.to_string().as_bytes() == letter.summary.key).then_some(key)
}

/// Whether the handler of this build could read it.
fn decodes(decoder: &Decoder, letter: &Letter) -> anyhow::Result<()> {
    ensure!(letter.could_be_a_command(), "it is larger than a command may be");
    let frame = decoder.open(&letter.payload)?;
    let key = key(letter).context("its key is no UUID in canonical text")?;
    let body = catalog::Command::decode(&frame)?;
    let body = body.with_context(|| format!("this build knows no command {}", frame.record_name()));
    CommandMessage::read(&letter.headers, key, body?)?;
    Ok(())
}

/// A command whose headers could be read was answered UNDECODABLE under its id, and a retry meets
/// its first decision. So it is sent as another, whose id follows from its place: sent twice, it is
/// decided once.
fn renamed(letter: &Letter, place: Place) -> (Headers, Option<CommandId>) {
    let mut headers = letter.headers.clone();
    let origin = key(letter).and_then(|key| Origin::of_command(&headers, key).ok());
    let Some(origin) = origin else { return (headers, None) };
    let parts = ["resent", &origin.command.to_string(), &place.to_string()];
    let command = CommandId(domain::id::derive(&parts));
    for (_, value) in headers.iter_mut().filter(|(name, _)| name == "ce_id") {
        *value = command.to_string().into();
    }
    (headers, Some(command))
}

fn action(what: &str, given: &Given, command: String) -> anyhow::Result<Action> {
    let user = || std::env::var("USER").ok();
    let by = given.value("by").map(str::to_owned).or_else(user).unwrap_or_default();
    ensure!(!by.trim().is_empty(), "who does it? give --by NAME");
    let note = given.value("note").unwrap_or_default().to_owned();
    let at = domain::Timestamp(chrono::Utc::now().timestamp_millis());
    Ok(Action { what: what.to_owned(), by, note, command, at })
}

fn record(letter: &Letter, place: Place, action: &Action) -> Outgoing {
    Outgoing {
        topic: DEAD_LETTERS.name,
        partition: place.partition,
        key: letter.summary.key.clone(),
        payload: vec![],
        headers: action.headers(place),
    }
}
