//! A group whose offsets stand behind what was decided, as a coordinator has been seen to tell them.

use std::time::Duration;

use anyhow::{Result, ensure};
use schemas::{CATALOG, partition_of};
use tests::{Client, Role, forge::Forger, load::history, process::Signal, samples, until};

use crate::{expired::product, restore::Log, verify, world::World};

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

/// Where the group stands beyond the end of a partition, all of it is read again, and nothing is decided
/// twice. Where it stands before the first command that the log still has, that partition stops, and the
/// others go on; once an operator has moved the group, so does that one.
pub(crate) async fn outside_the_log_a_partition_stops(world: &mut World) -> Result<()> {
    let (client, topic) = (world.client.clone(), CATALOG.commands.name);
    let (id, _) = client.register(&samples::plain("의자")).await?;
    let partition = partition_of(&id, CATALOG.commands.partitions);
    let (other, _) = product(&client, |at| at != partition, &samples::vacuum()).await?;
    for price in 1..=CHANGES {
        reprice(&client, &id, 1000 * price).await?;
    }
    let forger = Forger::new(world.stack.address("JANGBU_KAFKA")?);
    world.fleet.terminate(Role::Handler).await?;
    move_group(&forger, partition, forger.end(topic, partition)? + CHANGES).await?;
    let log = Log::of(Role::Handler.binary())?;
    world.fleet.restart(Role::Handler, None)?;
    log.says("the log has lost its end", PATIENCE).await?;
    world.fleet.mend().await?;
    let token = reprice(&client, &id, 1).await?;
    client.see(&format!("/products/{id}/history"), &token).await?;
    let found = history(&client, &id).await?.len();
    ensure!(i64::try_from(found)? == CHANGES + 2, "{found} events");

    world.fleet.terminate(Role::Handler).await?;
    go_back(world, &id).await?;
    forger.expire(topic, partition, -1).await?;
    let log = Log::of(Role::Handler.binary())?;
    world.fleet.restart(Role::Handler, None)?;
    let end = forger.end(topic, partition)?;
    let why = format!("goes on at {}, but begins at {end}", end - CHANGES);
    log.says_at_once(&["the partition is stopped", &why], PATIENCE).await?;
    reprice(&client, &other, 1).await?;
    let stopped = world.fleet.process(Role::Handler)?.metric("jangbu_partition_stopped").await?;
    ensure!((stopped - 1.0).abs() < 0.1, "{stopped} are stopped");

    world.fleet.terminate(Role::Handler).await?;
    move_group(&forger, partition, end).await?;
    world.fleet.restart(Role::Handler, None)?;
    world.fleet.mend().await?;
    reprice(&client, &id, 2).await?;
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
    let forger = Forger::new(world.stack.address("JANGBU_KAFKA")?);
    let partition = partition_of(id, CATALOG.commands.partitions);
    let end = forger.end(CATALOG.commands.name, partition)?;
    move_group(&forger, partition, end - CHANGES).await
}

/// Once it has no members.
async fn move_group(forger: &Forger, partition: i32, to: i64) -> Result<()> {
    until("the group has no members", PATIENCE, async || {
        Ok(forger.move_group(GROUP, CATALOG.commands.name, partition, to).ok())
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
