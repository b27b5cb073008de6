//! That `jangbu verify` misses nothing of what the log has let go: each topic drops what is old at
//! a time of its own, so a command may outlive its decision, and the other way round.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use schemas::{CATALOG, partition_of};
use serde_json::{Value, json};
use tests::{
    Client,
    forge::{Forged, Forger},
    samples,
};
use uuid::Uuid;

use crate::{broken::broken, verify::finds_nothing, world::World};

/// Where this is tried: nothing that is newer by less than a minute is missed there afterwards.
pub(crate) const PARTITION: i32 = 0;

/// Of six partitions, as many as this miss one once in ten million times.
const TRIES: u32 = 90;

/// A product in such a partition, and the token of its registration.
pub(crate) async fn product(
    client: &Client,
    is_there: impl Fn(i32) -> bool,
    body: &Value,
) -> Result<(String, String)> {
    let mut body = body.clone();
    for _ in 0..TRIES {
        let answer = client.post("/products", &body).send().await?;
        // Where a partition is stopped, nobody decides.
        ensure!([201, 202].contains(&answer.status), "{answer:?}");
        if answer.status == 201 {
            let (id, token) = (answer.text("/id")?, answer.header("consistency-token")?);
            if is_there(partition_of(&id, CATALOG.events.partitions)) {
                return Ok((id, token));
            }
        }
        body["external_id"] = json!(Uuid::now_v7());
    }
    bail!("none of {TRIES} products came to be there")
}

fn forger(world: &World) -> Result<Forger> {
    Ok(Forger::new(world.stack.address("JANGBU_KAFKA")?))
}

fn last(forger: &Forger, topic: &str, id: &str) -> Result<Forged> {
    let found = forger.records(topic, PARTITION, id)?;
    found.into_iter().next_back().with_context(|| format!("{topic} has nothing of {id}"))
}

pub(crate) async fn decisions_are_missed_until_their_time_is_over(world: &mut World) -> Result<()> {
    let (client, forger) = (&world.client, forger(world)?);
    let (id, _) = product(client, |at| at == PARTITION, &samples::vacuum()).await?;
    for _ in 0..2 {
        let path = format!("/products/{id}/reprice");
        client.post(&path, &samples::reprice(199_000)).send().await?.expect(200)?;
    }
    finds_nothing(world).await?;
    let decisions = CATALOG.decisions.name;
    let second = last(&forger, decisions, &id)?.offset;
    forger.expire(decisions, PARTITION, second).await?;
    // They are kept for a week, so the first is missed, until an hour is all that they are kept.
    let (found, printed) = broken(world, &[])?;
    ensure!(found.contains(&1), "{printed}");
    forger.keep_for(decisions, Duration::from_secs(3600)).await?;
    finds_nothing(world).await?;
    // Now there is none left that would say since when.
    forger.expire(decisions, PARTITION, -1).await?;
    finds_nothing(world).await?;
    // A command goes with its decision, and so nobody misses it when a week is a week again.
    for lane in [CATALOG.commands, CATALOG.bulk] {
        forger.expire(lane.name, PARTITION, -1).await?;
    }
    let (status, printed) = world.fleet.jangbu(&["topics", "apply", "--yes"])?;
    ensure!(status.success() && printed.contains("retention.ms"), "{printed}");
    finds_nothing(world).await
}

pub(crate) async fn commands_of_one_lane_are_not_missed(world: &mut World) -> Result<()> {
    let (client, forger) = (&world.client, forger(world)?);
    let (id, _) = product(client, |at| at == PARTITION, &samples::vacuum()).await?;
    for won in [5, 6] {
        let wish = json!({"command": "reprice_product", "id": id, "data": samples::reprice(won)});
        let request = client.request(Method::POST, "/commands");
        let request = request.body("application/x-ndjson", wish.to_string().into_bytes());
        request.send().await?.expect(200)?;
    }
    finds_nothing(world).await?;
    let bulk = CATALOG.bulk.name;
    let second = last(&forger, bulk, &id)?.offset;
    forger.expire(bulk, PARTITION, second).await?;
    finds_nothing(world).await?;
    forger.expire(bulk, PARTITION, -1).await?;
    finds_nothing(world).await
}
