//! Our own processes: killed, ended in order, frozen, joined by others.

use std::{
    collections::BTreeMap,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use schemas::topic::PARTITIONS;

use super::{PATIENCE, Scene};
use crate::{Process, Role, process::Signal, wait::until_true};

/// Where a process can be struck: each named point of its path. Before it sends the offsets, a handler
/// has produced its records.
const POINTS: [(Role, &[&str]); 4] = [
    (
        Role::Handler,
        &[
            "after_poll",
            "before_produce",
            "before_send_offsets",
            "before_commit",
            "after_commit",
            "before_outcome",
            "after_outcome",
        ],
    ),
    (Role::Projector, &["after_poll", "before_mysql_commit", "after_mysql_commit"]),
    (Role::Indexer, &["after_poll", "before_bulk", "after_bulk", "after_checkpoint"]),
    (Role::Api, &["before_produce", "after_produce", "before_answer"]),
];
/// A point is passed at least once for each batch; what has not met its own by then is killed, and
/// not counted.
const TO_A_POINT: Duration = Duration::from_secs(20);
/// SIGKILL.
const KILLED: i32 = 9;
const LOOK: Duration = Duration::from_millis(20);

/// kill -9 of one process, wherever it is.
pub(super) async fn kill(mut scene: Scene<'_>) -> Result<u32> {
    let role = scene.any_role();
    scene.some_time().await;
    scene.fleet.restart(role, None)?;
    Ok(1)
}

/// kill -9 of several at the same moment.
pub(super) async fn kill_together(mut scene: Scene<'_>) -> Result<u32> {
    let mut roles = Role::ALL.to_vec();
    scene.chance.shuffle(&mut roles);
    roles.truncate(scene.chance.usize(2..=4));
    for role in &roles {
        scene.fleet.process(*role)?.signal(Signal::Kill)?;
    }
    for role in &roles {
        scene.fleet.restart(*role, None)?;
    }
    Ok(u32::try_from(roles.len())?)
}

/// kill -9 of each process at a point of its path, all four at once, each in its own time.
pub(super) async fn kill_at_points(mut scene: Scene<'_>) -> Result<u32> {
    let mut armed = BTreeMap::new();
    for (role, point) in scene.points() {
        scene.fleet.restart(role, Some(&format!("{point}:kill")))?;
        armed.insert(role, point);
    }
    let (deadline, mut met) = (Instant::now() + TO_A_POINT, 0);
    while !armed.is_empty() {
        let late = Instant::now() > deadline;
        for role in armed.keys().copied().collect::<Vec<_>>() {
            let process = scene.fleet.process(role)?;
            let ended = process.ended()?;
            let is_ours = |status: ExitStatus| status.signal() == Some(KILLED);
            ensure!(ended.is_none_or(is_ours), "{ended:?}: {}", process.log_tail());
            if late || ended.is_some() {
                met += u32::from(ended.is_some());
                scene.fleet.restart(role, None)?;
                armed.remove(&role);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    ensure!(met > 0, "nobody came to its point");
    Ok(met)
}

/// SIGTERM to one process, which must end in order.
pub(super) async fn terminate(mut scene: Scene<'_>) -> Result<u32> {
    let role = scene.any_role();
    scene.some_time().await;
    scene.fleet.terminate(role).await?;
    scene.fleet.restart(role, None)?;
    Ok(1)
}

/// A process stands still at a point of its path until another has taken its place, and goes on.
pub(super) async fn freeze(mut scene: Scene<'_>) -> Result<u32> {
    let owners = POINTS.iter().filter(|(role, _)| *role != Role::Api);
    let points = owners.flat_map(|(role, points)| points.iter().map(|point| (*role, *point)));
    let (role, point) = scene.in_turn(&points.collect::<Vec<_>>());
    let point = scene.passage(role, point);
    scene.fleet.restart(role, Some(&format!("{point}:stop")))?;
    let zombie = scene.fleet.process(role)?;
    zombie.until_stopped(PATIENCE).await.with_context(|| point.clone())?;

    let successor = scene.fleet.another(role, &format!("{}-2", role.binary()), None)?;
    owns(&successor, |owned| owned >= f64::from(PARTITIONS)).await?;
    works(&successor, role).await.with_context(|| format!("instead of a zombie of {point}"))?;
    scene.load.until_decided(50, PATIENCE).await?;
    let zombie = scene.fleet.process(role)?;
    zombie.signal(Signal::Continue)?;
    owns(zombie, |owned| owned > 0.0).await.with_context(|| format!("a zombie of {point}"))?;
    ensure!(zombie.ended()?.is_none(), "{point}: {}", zombie.log_tail());
    successor.stop().await?;
    Ok(1)
}

/// Up to two more of each join, and leave: half in order, half killed.
pub(super) async fn crowd(mut scene: Scene<'_>) -> Result<u32> {
    let mut joined: Vec<Process> = vec![];
    for role in [Role::Handler, Role::Projector, Role::Indexer] {
        for number in 0..scene.chance.u32(1..=2) {
            let name = format!("{}-{}", role.binary(), number + 2);
            joined.push(scene.fleet.another(role, &name, None)?);
            scene.some_time().await;
        }
    }
    scene.load.until_decided(100, PATIENCE).await?;
    scene.chance.shuffle(&mut joined);
    let changes = 2 * joined.len();
    for process in joined {
        scene.some_time().await;
        if scene.chance.bool() {
            process.stop().await?;
        }
    }
    Ok(u32::try_from(changes)?)
}

/// Waits until a process owns as many partitions as it should.
pub(super) async fn owns(process: &Process, enough: impl Fn(f64) -> bool) -> Result<()> {
    until_true("it owns its partitions", PATIENCE, async || {
        Ok(enough(process.metric("jangbu_partitions_owned").await?))
    })
    .await
}

/// Waits until a process has done something of what its role does.
async fn works(process: &Process, role: Role) -> Result<()> {
    let done = match role {
        Role::Api => "jangbu_outcomes_total",
        Role::Handler => "jangbu_decisions_total",
        Role::Projector => "jangbu_applied_records_total",
        Role::Indexer => "jangbu_documents_total",
    };
    until_true("it works", PATIENCE, async || Ok(process.metric(done).await? > 0.0)).await
}

impl Scene<'_> {
    pub(super) fn any_role(&mut self) -> Role {
        Role::ALL[self.chance.usize(..Role::ALL.len())]
    }

    /// A point of each role, and at which passage.
    fn points(&mut self) -> Vec<(Role, String)> {
        let points = POINTS.map(|(role, points)| (role, self.in_turn(points)));
        points.map(|(role, point)| (role, self.passage(role, point))).to_vec()
    }

    /// So that a few runs come to all of them.
    pub(super) fn in_turn<T: Copy>(&self, all: &[T]) -> T {
        let length = u64::try_from(all.len()).unwrap_or(1);
        all[usize::try_from(self.turn % length).unwrap_or(0)]
    }

    /// The point, to be struck at one of its first passages.
    fn passage(&mut self, role: Role, point: &str) -> String {
        format!("{}.{point}:{}", role.word(), self.chance.u32(1..20))
    }

    /// Up to a second, so that faults meet every part of the path.
    async fn some_time(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.chance.u64(..1_000))).await;
    }
}
