//! A handler that its machine forgot for a while.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::{Load, Role, until};

use crate::{verify, world::World};

const PATIENCE: Duration = Duration::from_secs(60);
const ALL_PARTITIONS: f64 = 6.0;

pub(crate) async fn a_zombie_commits_nothing_and_rejoins(world: &mut World) -> Result<()> {
    let mut load = Load::start(&world.client, 8, 1);
    load.until_decided(100, PATIENCE).await?;
    world.fleet.restart(Role::Handler, Some("handler.before_send_offsets:9:stop"))?;
    world.fleet.process(Role::Handler)?.until_stopped(PATIENCE).await?;

    let successor = world.fleet.another(Role::Handler, "command-handler-2", None)?;
    owns(&successor, ALL_PARTITIONS, "the successor takes every partition").await?;
    load.until_decided(200, PATIENCE).await?;

    let zombie = world.fleet.process(Role::Handler)?;
    zombie.signal(tests::process::Signal::Continue)?;
    let rejoined = "the zombie has partitions again, and still lives";
    until(rejoined, PATIENCE, async || {
        ensure!(zombie.ended()?.is_none(), "it ended: {}", zombie.log_tail());
        Ok((zombie.metric("jangbu_partitions_owned").await? > 0.0).then_some(()))
    })
    .await?;
    load.until_decided(200, PATIENCE).await?;

    // Alone again, it has to do all the work.
    successor.stop().await?;
    owns(world.fleet.process(Role::Handler)?, ALL_PARTITIONS, "it takes every partition").await?;
    load.until_decided(200, PATIENCE).await?;
    let report = load.finish().await?;
    report.check(&world.client).await?;
    verify::finds_nothing(world).await
}

async fn owns(handler: &tests::Process, partitions: f64, what: &str) -> Result<()> {
    until(what, PATIENCE, async || {
        let owned = handler.metric("jangbu_partitions_owned").await?;
        Ok((owned >= partitions).then_some(()))
    })
    .await
}
