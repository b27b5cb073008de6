//! A group whose offsets stand behind what was decided, as a coordinator has been seen to tell them.

use std::time::Duration;

use anyhow::{Result, ensure};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use schemas::{CATALOG, partition_of};
use tests::{Client, Role, forge::Forger, load::history, process::Signal, samples, until};

use crate::{verify, world::World};

const GROUP: &str = "jangbu-catalog-handler";
const PATIENCE: Duration = Duration::from_secs(60);
/// Price changes that are met again.
const CHANGES: i64 = 6;

pub(crate) async fn nothing_is_decided_again(world: &mut World) -> Result<()> {
    let client = world.client.clone();
    let (id, _) = client.register(&samples::plain("의자")).await?;
    for price in 1..=CHANGES {
        reprice(&client, &id, 1000 * price).await?;
    }

    // Another process knows only what the log and the read models say.
    world.fleet.terminate(Role::Handler).await?;
    go_back(world, &id).await?;
    world.fleet.restart(Role::Handler, None)?;
    says(world, "\"command\"").await?;
    world.fleet.mend().await?;
    reprice(&client, &id, 1).await?;

    // The same one knows how far it has come.
    world.fleet.process(Role::Handler)?.signal(Signal::Stop)?;
    let gone_back = go_back(world, &id).await;
    world.fleet.process(Role::Handler)?.signal(Signal::Continue)?;
    gone_back?;
    says(world, "\"reached\"").await?;
    let token = reprice(&client, &id, 2).await?;
    client.see(&format!("/products/{id}/history"), &token).await?;
    let versions: Vec<i64> = history(&client, &id).await?.iter().map(|(at, _)| *at).collect();
    ensure!(versions == (1..=CHANGES + 3).collect::<Vec<_>>(), "{versions:?}");
    verify::finds_nothing(world).await
}

/// Without a key: a command that is sent once.
async fn reprice(client: &Client, id: &str, price: i64) -> Result<String> {
    let path = format!("/products/{id}/reprice");
    let answer = client.post(&path, &samples::reprice(price)).send().await?;
    answer.expect(200)?.header("consistency-token")
}

/// Takes the group back by so many commands in the product's partition, once it has no members.
async fn go_back(world: &World, id: &str) -> Result<()> {
    let (kafka, topic) = (world.stack.address("JANGBU_KAFKA")?, CATALOG.commands.name);
    let partition = partition_of(id, CATALOG.commands.partitions);
    let asking: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", kafka).set("group.id", "asking").create()?;
    let (_, end) = asking.fetch_watermarks(topic, partition, PATIENCE)?;
    let forger = Forger::new(kafka);
    until("the group has no members", PATIENCE, async || {
        Ok(forger.move_group(GROUP, topic, partition, end - CHANGES).ok())
    })
    .await
}

/// Waits until the handler says that it was told to go back, and how it knows.
async fn says(world: &mut World, how: &str) -> Result<()> {
    let handler = world.fleet.process(Role::Handler)?;
    until("the handler notices", PATIENCE, async || {
        let log = handler.log_tail();
        let mut lines = log.lines().filter(|line| line.contains("have gone back"));
        Ok(lines.any(|line| line.contains(how)).then_some(()))
    })
    .await
}
