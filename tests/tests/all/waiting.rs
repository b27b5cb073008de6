//! Processes that start while a server is away.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::{Process, Role, process::Signal, samples, until};

use crate::{restore::Log, verify, world::World};

const SOON: Duration = Duration::from_secs(60);

pub(crate) async fn who_starts_without_the_registry_waits(world: &mut World) -> Result<()> {
    waits(world, "registry", "waiting for the schema registry at http").await
}

pub(crate) async fn who_starts_without_mysql_waits(world: &mut World) -> Result<()> {
    waits(world, "mysql", "waiting for MySQL at 127.0.0.1").await
}

pub(crate) async fn who_starts_without_kafka_waits(world: &mut World) -> Result<()> {
    end(world, &[Role::Api]).await?;
    world.stack.stop("kafka")?;
    let log = Log::of(Role::Api.binary())?;
    world.fleet.restart(Role::Api, None)?;
    let said = log.says("waiting for Kafka at 127.0.0.1", SOON).await;
    let lives = world.fleet.process(Role::Api)?.ended()?.is_none();
    world.stack.start("kafka")?;
    said?;
    ensure!(lives, "the api has ended");
    goes_on(world).await
}

/// Starts a projector, a handler and two more of these while `server` is away, ends the two, and
/// expects the others to own partitions once it is there again.
async fn waits(world: &mut World, server: &str, says: &str) -> Result<()> {
    let roles = [Role::Projector, Role::Handler];
    end(world, &roles).await?;
    world.stack.stop(server)?;
    let waited = wait(world, roles, says).await;
    world.stack.start(server)?;
    waited.with_context(|| format!("no {server}"))?;
    for role in roles {
        until("it owns partitions", SOON, async || {
            let owned = world.fleet.process(role)?.metric("jangbu_partitions_owned").await?;
            Ok((owned > 0.0).then_some(()))
        })
        .await
        .with_context(|| format!("{role:?}"))?;
    }
    goes_on(world).await
}

async fn wait(world: &mut World, roles: [Role; 2], says: &str) -> Result<()> {
    let mut others: Vec<Process> = vec![];
    for role in roles {
        let name = format!("{}-waiting", role.binary());
        let logs = [Log::of(role.binary())?, Log::of(&name)?];
        world.fleet.restart(role, None)?;
        others.push(world.fleet.another(role, &name, None)?);
        for log in logs {
            log.says(says, SOON).await?;
        }
    }
    for other in others {
        other.stop().await?;
    }
    for role in roles {
        ensure!(world.fleet.process(role)?.ended()?.is_none(), "{role:?} has ended");
    }
    Ok(())
}

async fn goes_on(world: &mut World) -> Result<()> {
    let client = &world.client;
    until("a new write is seen", SOON, async || {
        let (id, token) = client.register(&samples::vacuum()).await?;
        client.see(&format!("/products/{id}"), &token).await.map(|_| Some(()))
    })
    .await?;
    verify::finds_nothing(world).await
}

/// Ends processes in order; they are started again with others of their kind.
pub(crate) async fn end(world: &mut World, roles: &[Role]) -> Result<()> {
    for role in roles {
        world.fleet.process(*role)?.signal(Signal::Terminate)?;
    }
    for role in roles {
        let status = world.fleet.process(*role)?.until_ended(SOON).await?;
        ensure!(status.success(), "{role:?} ended with {status}");
    }
    Ok(())
}
