//! That `jangbu verify` finds nothing where nothing is wrong.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::{Load, until};

use crate::world::World;

/// Expects that log, read models and search agree once everything has caught up.
pub(crate) async fn finds_nothing(world: &World) -> Result<()> {
    let what = "verify finds nothing";
    until(what, Duration::from_secs(60), async || {
        let (status, printed) = world.fleet.jangbu(&["verify", "--wait", "20"])?;
        ensure!(status.success(), "{printed}");
        Ok(Some(()))
    })
    .await
}

pub(crate) async fn everything_agrees(world: &mut World) -> Result<()> {
    finds_nothing(world).await
}

/// Under writes, in slices, and asking the api: what moves is compared as of its checkpoints.
pub(crate) async fn nothing_is_found_while_others_write(world: &mut World) -> Result<()> {
    let mut load = Load::start(&world.client, 8, 1);
    // A partition is read again for each slice of it, and other tests have made it long.
    for slice in ["100000", "5000"] {
        load.until_decided(50, Duration::from_secs(60)).await?;
        let flags = ["verify", "--slice", slice, "--api", world.fleet.base()];
        let (status, printed) = world.fleet.jangbu(&flags)?;
        ensure!(status.success(), "{printed}");
    }
    load.finish().await?.check(&world.client).await?;
    finds_nothing(world).await
}
