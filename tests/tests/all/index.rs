//! A version of the search index is filled beside the live one, killed on the way, made the live one
//! while others write and search, and dropped.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use projections::search::{self, IndexVersion, Search};
use serde_json::json;
use tests::{
    Client, Load, Role,
    process::{self, Signal},
};

use crate::{
    fan_out::{count, fill, named, rename},
    reading::Reading,
    replay::{filled, replay},
    world::World,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Products in a second while it is killed: the pieces are no greater.
const SLOWLY: &str = "150";
/// Where it dies.
const KILLS: [&str; 4] = ["before_bulk:1", "before_bulk:2", "after_bulk:1", "after_bulk:3"];
const RENAMES: usize = 6;

/// Calls the brand otherwise and searches for that at once, again and again.
async fn rename_and_find(client: &Client, brand: &str) -> Result<()> {
    for _ in 0..RENAMES {
        let name = named("renamed");
        let token = rename(client, brand, &name).await?;
        let found = count(client, brand, &name, Some(&token)).await?;
        ensure!(found == 2, "{found} products have the name {name}");
    }
    Ok(())
}

async fn brand_of(client: &Client, products: usize) -> Result<String> {
    let name = named("brand");
    let body = json!({"external_id": name, "name": name});
    let brand = client.post("/brands", &body).send().await?.expect(201)?.text("/id")?;
    fill(client, &brand, products).await?;
    Ok(brand)
}

pub(crate) async fn an_index_is_filled_swapped_and_dropped(world: &mut World) -> Result<()> {
    let client = world.client.clone();
    let db = projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 2).await?;
    let engine = Search::new(world.fleet.setting("JANGBU_OPENSEARCH")?)?;
    let (many, few) = (brand_of(&client, 600).await?, brand_of(&client, 2).await?);
    let first = engine.live().await?.context("no index")?;
    let mut load = Load::start(&client, 6, 9);
    load.until_decided(100, PATIENCE).await?;

    let next = killed(world, &db).await?;
    let (swapped, refused) = replay(world, &format!("swap search --version {next}")).await?;
    ensure!(!swapped && refused.contains("is not full"), "{refused}");
    let named_anew = named("anew");
    let (filled_up, token) =
        tokio::join!(replay(world, "start search"), rename(&client, &many, &named_anew));
    let ((ended, printed), token) = (filled_up?, token?);
    ensure!(ended && printed.contains(&format!("version {next} is full")), "{printed}");
    ensure!(filled(&printed) == Some(next), "{printed}");
    let (ended, printed) = replay(world, "start search --json").await?;
    let full = json!({"projection": "search", "version": next, "result": "already_full"});
    let mut told = printed.lines().map(serde_json::from_str::<serde_json::Value>);
    ensure!(ended && told.any(|line| line.is_ok_and(|line| line == full)), "{printed}");
    for (flag, why) in [
        ("--follow", "--follow means nothing for search"),
        ("--products 7", "is made of products 1: drop it first"),
    ] {
        let (ended, refused) = replay(world, &format!("start search {flag}")).await?;
        ensure!(!ended && refused.contains(why), "{refused}");
    }
    ensure!(count(&client, &many, &named_anew, Some(&token)).await? == 600);
    let (_, printed) = replay(world, "status").await?;
    let row = |version: i32, state: &str| {
        let row = ["search", &version.to_string(), state];
        printed.lines().any(|line| line.split_whitespace().take(3).eq(row))
    };
    ensure!(row(first, "active") && row(next, "ready"), "{printed}");
    let (equal, printed) = replay(world, &format!("compare search --version {next}")).await?;
    ensure!(equal && printed.contains(" documents, 0 different"), "{printed}");

    // Whoever searches meanwhile notices nothing.
    let swap = async |to: i32| replay(world, &format!("swap search --version {to}")).await;
    let reading = Reading::start(world, |_| Ok(())).await?;
    for version in [next, first, next] {
        let (swapped, found) = tokio::join!(swap(version), rename_and_find(&client, &few));
        found?;
        let (swapped, printed) = swapped?;
        ensure!(swapped && engine.live().await? == Some(version), "{printed}");
        ensure!(count(&client, &many, &named_anew, Some(&token)).await? == 600);
    }
    load.finish().await?.check(&client).await?;
    world.fleet.verify(&[]).await?;

    let drop = format!("drop search --version {next}");
    let (dropped, refused) = replay(world, &drop).await?;
    ensure!(!dropped && refused.contains("is active"), "{refused}");
    ensure!(replay(world, "rollback search").await?.0 && engine.live().await? == Some(first));
    reading.finish().await?;
    // Who slept through it does not bring it back.
    world.fleet.process(Role::Indexer)?.signal(Signal::Stop)?;
    let slept = replay(world, &drop).await;
    let renamed = rename(&client, &few, &named("late")).await;
    world.fleet.process(Role::Indexer)?.signal(Signal::Continue)?;
    let (dropped, printed) = slept?;
    ensure!(dropped, "{printed}");
    renamed?;
    rename_and_find(&client, &few).await?;
    is_gone(&db, &engine, next).await?;
    world.fleet.verify(&[]).await
}

/// Begins to fill a version, and dies again and again: its number.
async fn killed(world: &World, db: &projections::Pool) -> Result<i32> {
    let mut seen: Vec<IndexVersion> = vec![];
    for point in KILLS {
        let mut settings = world.fleet.settings().clone();
        settings.insert("JANGBU_FAULT".to_owned(), format!("replay.{point}:kill"));
        let words = ["replay", "start", "search", "--throttle", SLOWLY];
        let (status, printed) = process::run_beside("jangbu", &words, &settings).await?;
        ensure!(status.code().is_none(), "{point}: {status} {printed}");
        let known = search::versions(db).await?;
        seen.push(known.into_iter().rfind(|known| !known.ready).context("none is filled")?);
    }
    let (first, last) = (seen.first().context("none")?, seen.last().context("none")?);
    ensure!(seen.is_sorted_by_key(|known| known.written), "it began anew: {seen:?}");
    ensure!(first.version == last.version && first.written < last.written, "{seen:?}");
    let (_, printed) = replay(world, "status").await?;
    ensure!(printed.contains("filling, "), "{printed}");
    Ok(last.version)
}

async fn is_gone(db: &projections::Pool, engine: &Search, version: i32) -> Result<()> {
    let left = "SELECT COUNT(*) FROM checkpoints WHERE projection = 'search' AND version = ?";
    let left =
        async || -> Result<i64> { Ok(sqlx::query_scalar(left).bind(version).fetch_one(db).await?) };
    ensure!(left().await? == 0 && engine.source(version).await?.is_none());
    ensure!(search::versions(db).await?.iter().all(|known| known.version != version));
    ensure!(search::next_number(db).await? > version);
    Ok(())
}
