//! kill -9 in the middle of a load, at named points of the path.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::{Load, Role};

use crate::{verify, world::World};

const WRITERS: u64 = 8;
const PATIENCE: Duration = Duration::from_secs(60);

/// Who dies, at which passage of which point.
const KILLS: [(Role, &str); 10] = [
    (Role::Handler, "handler.after_poll:9"),
    (Role::Handler, "handler.before_send_offsets:11"),
    (Role::Handler, "handler.before_commit:7"),
    (Role::Handler, "handler.after_commit:13"),
    (Role::Projector, "projector.after_poll:17"),
    (Role::Projector, "projector.before_mysql_commit:15"),
    (Role::Projector, "projector.after_mysql_commit:19"),
    (Role::Indexer, "indexer.after_poll:7"),
    (Role::Indexer, "indexer.before_bulk:9"),
    (Role::Indexer, "indexer.after_bulk:11"),
];

pub(crate) async fn ten_kills_lose_and_double_nothing(world: &mut World) -> Result<()> {
    let mut load = Load::start(&world.client, WRITERS, 1);
    load.until_decided(100, PATIENCE).await?;
    for (role, point) in KILLS {
        world.fleet.restart(role, Some(&format!("{point}:kill")))?;
        let ended = world.fleet.process(role)?.until_ended(PATIENCE).await;
        ended.map_err(|error| error.context(point))?;
        world.fleet.restart(role, None)?;
        load.until_decided(100, PATIENCE).await?;
    }
    let report = load.finish().await?;
    ensure!(report.decided.len() > 1_000, "a load of {} proves little", report.decided.len());
    println!("{} decided, {} sent again", report.decided.len(), report.sent_again);
    report.check(&world.client).await?;
    verify::finds_nothing(world).await
}
