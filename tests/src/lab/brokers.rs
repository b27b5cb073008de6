//! Faults of a cluster of three brokers.

use std::time::Duration;

use anyhow::Result;

use super::Scene;

const BROKERS: [&str; 3] = ["kafka-1", "kafka-2", "kafka-3"];
/// How long a broker is away, beside the time that it takes to start.
const AWAY: Duration = Duration::from_secs(4);

/// kill -9 of each broker in turn, so also of the controller and of each partition's leader.
pub(super) async fn kill_each(mut scene: Scene<'_>) -> Result<u32> {
    let mut brokers = BROKERS;
    scene.chance.shuffle(&mut brokers);
    for broker in brokers {
        scene.stack.kill(broker)?;
        tokio::time::sleep(AWAY).await;
        scene.stack.start(broker)?;
    }
    Ok(3)
}

/// Each broker is restarted in order, as for an upgrade.
pub(super) async fn rolling_restart(scene: Scene<'_>) -> Result<u32> {
    for broker in BROKERS {
        scene.stack.stop(broker)?;
        scene.stack.start(broker)?;
    }
    Ok(3)
}

/// Two of three are killed: nothing can be accepted until one is back.
pub(super) async fn kill_two(mut scene: Scene<'_>) -> Result<u32> {
    let mut brokers = BROKERS;
    scene.chance.shuffle(&mut brokers);
    let [one, other, _] = brokers;
    scene.stack.kill(one)?;
    scene.stack.kill(other)?;
    tokio::time::sleep(AWAY).await;
    scene.stack.start_all(&[one, other])?;
    Ok(2)
}
