//! kill -9 in the middle of a load, at named points of the path; and an end in order, which breaks
//! nothing that is under way.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use schemas::{CATALOG, partition_of};
use tests::{
    Load, Role, forge::Forger, load::history, process::Signal, samples, until, wait::until_true,
};
use tokio::task::JoinSet;

use crate::{verify, world::World};

const WRITERS: u64 = 8;
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests that an api has taken when it is told to end.
const TAKEN: i64 = 20;

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

/// What an api has taken when it is told to end, it answers, here after a handler that stood still.
pub(crate) async fn a_stopping_api_answers_what_it_took(world: &mut World) -> Result<()> {
    let client = world.client.clone();
    let (id, _) = client.register(&samples::vacuum()).await?;
    let forger = Forger::new(world.stack.address("JANGBU_KAFKA")?);
    let partition = partition_of(&id, CATALOG.commands.partitions);
    let before = forger.end(CATALOG.commands.name, partition)?;
    world.fleet.process(Role::Handler)?.signal(Signal::Stop)?;
    let mut under_way = JoinSet::new();
    for price in 1..=TAKEN {
        let (client, path) = (client.clone(), format!("/products/{id}/reprice"));
        under_way.spawn(async move { client.post(&path, &samples::reprice(price)).send().await });
    }
    until_true("all are in the log", PATIENCE, async || {
        Ok(forger.end(CATALOG.commands.name, partition)? >= before + TAKEN)
    })
    .await?;
    world.fleet.process(Role::Api)?.signal(Signal::Terminate)?;
    world.fleet.process(Role::Handler)?.signal(Signal::Continue)?;
    while let Some(answer) = under_way.join_next().await {
        let answer = answer?.context("a request that it had taken")?;
        ensure!([200, 202].contains(&answer.status), "{answer:?}");
    }
    let ended = world.fleet.process(Role::Api)?.until_ended(PATIENCE).await?;
    ensure!(ended.success(), "{ended}");
    world.fleet.restart(Role::Api, None)?;
    world.fleet.mend().await?;
    until("all are decided, each once", PATIENCE, async || {
        let versions: Vec<i64> = history(&client, &id).await?.iter().map(|(at, _)| *at).collect();
        Ok((versions == (1..=TAKEN + 1).collect::<Vec<_>>()).then_some(()))
    })
    .await?;
    verify::finds_nothing(world).await
}
