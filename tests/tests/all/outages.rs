//! Each server in turn is away for a while, under writes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tests::{Answer, Client, Load, Role, samples, wait::until_true};
use uuid::Uuid;

use crate::{verify, world::World};

const AWAY: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) async fn without_mysql_writes_are_taken_and_reads_come_back(
    world: &mut World,
) -> Result<()> {
    outage(world, "mysql", async |client, id, token| {
        let write = reprice(client, id).await?;
        ensure!([200, 202, 503].contains(&write.status), "{write:?}");
        let read = client.get(&format!("/products/{id}")).seeing(token).send().await?;
        ensure!(read.status == 503, "{read:?}");
        read.header("retry-after").map(drop)
    })
    .await
}

pub(crate) async fn without_opensearch_all_but_the_search_goes_on(world: &mut World) -> Result<()> {
    outage(world, "opensearch", async |client, id, _| {
        reprice(client, id).await?.expect(200)?;
        client.get(&format!("/products/{id}")).send().await?.expect(200)?;
        let search = client.search("청소기").send().await?.expect(503)?;
        ensure!(search.text("/code")? == "SEARCH_UNAVAILABLE");
        search.header("retry-after").map(drop)
    })
    .await
}

pub(crate) async fn without_kafka_reads_go_on_and_writes_may_be_repeated(
    world: &mut World,
) -> Result<()> {
    outage(world, "kafka", async |client, id, _| {
        let write = reprice(client, id).await?.expect(503)?;
        ensure!(write.text("/code")? == "LOG_UNAVAILABLE");
        write.text("/command_id")?;
        write.header("retry-after")?;
        client.get(&format!("/products/{id}")).send().await?.expect(200)?;
        client.search("청소기").send().await?.expect(200).map(drop)
    })
    .await
}

/// Stops `server` under a load, looks again and again at what is answered meanwhile, and expects
/// that nothing was lost and everything catches up.
async fn outage(
    world: &mut World,
    server: &str,
    look: impl AsyncFn(&Client, &str, &str) -> Result<()>,
) -> Result<()> {
    let client = world.client.clone();
    let (id, token) = client.register(&samples::vacuum()).await?;
    client.find("청소기", &token).await?;
    let mut load = Load::start(&client, 4, 1);
    load.until_decided(50, PATIENCE).await?;

    take_away(world, server, &mut load).await?;
    let before = load.decided();
    let looks = while_away(async || look(&client, &id, &token).await).await;
    let (decided, told) = (load.decided() - before, lag_is_told(world, server).await);
    world.stack.start(server)?;
    let looks = looks.with_context(|| format!("no {server}"))?;
    println!("{server} was away for {AWAY:?}: {looks} looks, {decided} decided");
    told?;

    load.until_decided(100, PATIENCE).await?;
    let report = load.finish().await?;
    report.check(&client).await?;
    until_true("reads and searches see a new write", PATIENCE, async || {
        // The load has left more vacuum cleaners than a page shows.
        let name = format!("물뿌리개 {}", Uuid::now_v7().simple());
        let (id, token) = client.register(&samples::plain(&name)).await?;
        client.see(&format!("/products/{id}"), &token).await?;
        let found = client.find(&name, &token).await?;
        Ok(found.body.to_string().contains(&id))
    })
    .await?;
    verify::finds_nothing(world).await
}

/// Stops the server. Without MySQL hardly anything more is decided, or nothing: something waits for
/// the projector before, in the middle of a transaction.
async fn take_away(world: &mut World, server: &str, load: &mut Load) -> Result<()> {
    if server != "mysql" {
        return world.stack.stop(server);
    }
    let db = projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 1).await?;
    let mut transaction = db.begin().await?;
    sqlx::query("SELECT * FROM checkpoints FOR UPDATE").fetch_all(&mut *transaction).await?;
    load.until_decided(20, PATIENCE).await?;
    world.stack.stop(server)
}

/// Whoever cannot go on without the server says since when the log waits for him.
async fn lag_is_told(world: &mut World, server: &str) -> Result<()> {
    let waiting: &[Role] = match server {
        "mysql" => &[Role::Projector, Role::Indexer],
        "opensearch" => &[Role::Indexer],
        _ => &[],
    };
    for role in waiting {
        let process = world.fleet.process(*role)?;
        until_true(&format!("{role:?} tells its lag"), AWAY, async || {
            Ok(process.highest("jangbu_lag_seconds").await? > AWAY.as_secs_f64() / 2.0)
        })
        .await?;
    }
    Ok(())
}

async fn while_away(look: impl AsyncFn() -> Result<()>) -> Result<u32> {
    let back = Instant::now() + AWAY;
    let mut looks = 0;
    while Instant::now() < back {
        look().await?;
        looks += 1;
    }
    Ok(looks)
}

async fn reprice(client: &Client, id: &str) -> Result<Answer> {
    let key = Uuid::now_v7();
    let price = i64::from(key.as_fields().3[7]) + 1;
    let request = client.post(&format!("/products/{id}/reprice"), &samples::reprice(price));
    request.key(&key.to_string()).send().await
}
