//! What could not be decoded, as an operator deals with it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use schemas::{CATALOG, partition_of};
use serde_json::Value;
use tests::{
    forge::{Forged, Forger},
    samples, until,
};
use uuid::Uuid;

use crate::{verify, world::World};

const SOON: Duration = Duration::from_secs(30);
const TEN_MEGABYTES: usize = 10 << 20;

/// What `jangbu dead-letters` prints with these words.
fn letters(world: &World, words: &[&str]) -> Result<(bool, String)> {
    let (status, printed) = world.fleet.jangbu(&[&["dead-letters"], words].concat())?;
    Ok((status.success(), printed))
}

/// The letters under `key` that are open, or all of them.
fn listed(world: &World, key: &str, all: bool) -> Result<Vec<Value>> {
    let words: &[&str] = if all { &["list", "--json", "--all"] } else { &["list", "--json"] };
    let (well, printed) = letters(world, words)?;
    ensure!(well, "{printed}");
    let lines: Vec<Value> = printed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok(lines.into_iter().filter(|line| line["key"] == key).collect())
}

async fn place_of(world: &World, key: &str) -> Result<String> {
    until("the record is a dead letter", SOON, async || {
        let letter = listed(world, key, false)?.pop();
        Ok(letter.and_then(|letter| letter["place"].as_str().map(str::to_owned)))
    })
    .await
}

pub(crate) async fn a_broken_record_is_shown_and_dropped(world: &mut World) -> Result<()> {
    let key = Uuid::now_v7().to_string();
    let broken = Forged {
        topic: CATALOG.bulk.name.to_owned(),
        partition: partition_of(&key, CATALOG.bulk.partitions),
        offset: -1,
        key: key.clone().into_bytes(),
        payload: b"no frame\xff".to_vec(),
        headers: vec![
            ("from".to_owned(), b"a stranger".to_vec()),
            ("mark".to_owned(), b"\xff\0no text".to_vec()),
            ("from".to_owned(), b"and another".to_vec()),
        ],
    };
    let forger = Forger::new(world.stack.address("JANGBU_KAFKA")?);
    forger.write(&broken)?;
    let place = place_of(world, &key).await?;
    let letter = listed(world, &key, false)?.pop().context("gone")?;
    ensure!(letter["source"]["topic"] == CATALOG.bulk.name, "{letter}");
    ensure!(letter["error"].as_str().is_some_and(|error| error.contains("framed")), "{letter}");

    let (_, page) = letters(world, &["show", &place])?;
    for part in [
        "from: a stranger",
        "mark: 0xff006e6f2074657874",
        "6e 6f 20 66 72 61 6d 65 ff",
        "no frame.",
        &key,
    ] {
        ensure!(page.contains(part), "{part} is not in {page}");
    }
    ensure!(!page.contains("dead-letter-"), "not a header of the record: {page}");
    let (_, whole) = letters(world, &["show", &place, "--json"])?;
    let headers = serde_json::from_str::<Value>(&whole)?["headers"].take();
    let [first, mark, second] = [&headers[0], &headers[1], &headers[2]];
    ensure!(first["value"] == "a stranger" && second["value"] == "and another", "{whole}");
    ensure!(mark["name"] == "mark" && mark["bytes"] == "ff006e6f2074657874", "{whole}");
    let (well, refused) = letters(world, &["resend", &place, "--by", "kim"])?;
    ensure!(!well && refused.contains("--force"), "{refused}");
    let (well, nameless) = letters(world, &["drop", &place, "--by", " "])?;
    ensure!(!well && nameless.contains("--by"), "{nameless}");

    let (well, dropped) = letters(world, &["drop", &place, "--by", "kim", "--note", "a probe"])?;
    ensure!(well && dropped.contains("kim"), "{dropped}");
    let (well, again) = letters(world, &["drop", &place, "--by", "lee"])?;
    ensure!(!well && again.contains("dropped by kim"), "{again}");
    ensure!(listed(world, &key, false)?.is_empty(), "it is still open");
    let letter = listed(world, &key, true)?.pop().context("the record stays")?;
    let done = &letter["done"][0];
    ensure!(done["action"] == "dropped" && done["by"] == "kim" && done["note"] == "a probe");

    // Sent all the same, it comes back as another letter.
    let (well, sent) = letters(world, &["resend", &place, "--by", "kim", "--force"])?;
    ensure!(well, "{sent}");
    let second = place_of(world, &key).await?;
    ensure!(second != place);
    let copies = forger.records(CATALOG.bulk.name, broken.partition, &key)?;
    ensure!(copies.len() == 2 && copies[1].headers == broken.headers, "{copies:?}");
    let (well, dropped) = letters(world, &["drop", &second, "--by", "kim"])?;
    ensure!(well, "{dropped}");
    let (well, unknown) = letters(world, &["show", "0.99999999"])?;
    ensure!(!well && unknown.contains("no dead letter"), "{unknown}");
    verify::finds_nothing(world).await
}

/// A command that stood in a partition that is not its own was answered UNDECODABLE. Resent, it
/// goes where it belongs, as another command, and is decided.
pub(crate) async fn what_can_be_read_now_is_decided_once(world: &mut World) -> Result<()> {
    let (model, _) = world.client.register(&samples::vacuum()).await?;
    let forger = Forger::new(world.stack.address("JANGBU_KAFKA")?);
    let (topic, count) = (CATALOG.commands.name, CATALOG.commands.partitions);
    let command = forger.records(topic, partition_of(&model, count), &model)?;
    let command = command.into_iter().next().context("no command")?;
    let (key, id) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    let astray = (partition_of(&key, count) + 1) % count;
    let headers = command.with("ce_id", &id).with("ce_subject", &key);
    forger.write(&Forged { partition: astray, key: key.clone().into_bytes(), ..headers })?;
    let place = place_of(world, &key).await?;

    let (well, sent) = letters(world, &["resend", &place, "--by", "kim", "--note", "astray"])?;
    ensure!(well && sent.contains(topic), "{sent}");
    until("the product is there", SOON, async || {
        let answer = world.client.get(&format!("/products/{key}")).send().await?;
        Ok((answer.status == 200).then_some(()))
    })
    .await?;
    let (well, again) = letters(world, &["resend", &place, "--by", "lee"])?;
    ensure!(!well && again.contains("resent by kim"), "{again}");
    let (well, forced) = letters(world, &["resend", &place, "--by", "lee", "--force"])?;
    ensure!(well, "{forced}");
    let letter = listed(world, &key, true)?.pop().context("the record stays")?;
    let done = letter["done"].as_array().context("nothing done")?;
    ensure!(done.len() == 2 && done[0]["command"] == done[1]["command"], "{letter}");
    // Twice sent and once decided, and never under the id that was answered already.
    verify::finds_nothing(world).await?;
    let again = done[0]["command"].as_str().context("no command")?;
    let answer = world.client.get(&format!("/commands/{again}")).send().await?.expect(200)?;
    ensure!(answer.text("/verdict")? == "ACCEPTED" && again != id, "{answer:?}");
    let first = world.client.get(&format!("/commands/{id}")).send().await?.expect(200)?;
    ensure!(first.text("/verdict")? == "UNDECODABLE", "{first:?}");
    Ok(())
}

/// Compressed, a command could come into the log that is larger than what can be written about it:
/// its topic takes none. Where that was allowed it is answered, its beginning is kept, and its
/// partition goes on.
pub(crate) async fn a_command_of_ten_megabytes_stops_nobody(world: &mut World) -> Result<()> {
    let (model, _) = world.client.register(&samples::vacuum()).await?;
    let forger = Forger::new(world.stack.address("JANGBU_KAFKA")?);
    let partition = partition_of(&model, CATALOG.commands.partitions);
    let command = forger.records(CATALOG.commands.name, partition, &model)?;
    let command = command.into_iter().next().context("no command")?;
    // Read leniently it would be a command: what stands behind it is not looked at.
    let id = Uuid::now_v7().to_string();
    let mut large = command.clone().with("ce_id", &id);
    large.payload.resize(TEN_MEGABYTES, 0);
    let (topic, end) = (CATALOG.commands.name, forger.end(CATALOG.commands.name, partition)?);
    forger.write(&large)?;
    ensure!(forger.end(topic, partition)? == end, "its topic took it");
    forger.configure(topic, "compression.type", "producer").await?;
    forger.write(&large)?;
    let (applied, printed) = world.fleet.jangbu(&["topics", "apply", "--yes"])?;
    ensure!(applied.success() && printed.contains("compression.type"), "{printed}");
    // And one whose headers are too long for each event to repeat them.
    let long = "긴 머리".repeat(10_000);
    forger.write(&command.with("ce_id", &Uuid::now_v7().to_string()).with("ce_actor", &long))?;
    let both = until("both are dead letters", SOON, async || {
        let found = listed(world, &model, false)?;
        Ok((found.len() == 2).then_some(found))
    })
    .await?;
    for letter in &both {
        let error = letter["error"].as_str().unwrap_or_default();
        ensure!(error.contains("larger than a command may be"), "{letter}");
        ensure!(letter["cut"].as_u64().is_some_and(|bytes| bytes > 100_000), "{letter}");
        let place = letter["place"].as_str().context("no place")?;
        let (well, page) = letters(world, &["show", place])?;
        ensure!(well && page.contains("cut: the record had") && page.len() < 1 << 20, "{page}");
        let (well, refused) = letters(world, &["resend", place, "--by", "kim", "--force"])?;
        ensure!(!well && refused.contains("only its beginning is kept"), "{refused}");
        let (well, dropped) = letters(world, &["drop", place, "--by", "kim"])?;
        ensure!(well, "{dropped}");
    }
    let answer = world.client.get(&format!("/commands/{id}")).send().await?.expect(200)?;
    ensure!(answer.text("/verdict")? == "UNDECODABLE", "{answer:?}");
    let path = format!("/products/{model}/reprice");
    world.client.post(&path, &samples::reprice(1)).send().await?.expect(200)?;
    verify::finds_nothing(world).await
}
