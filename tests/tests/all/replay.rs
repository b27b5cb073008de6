//! A version of a read model is filled beside the one that is read, made the active one while others
//! read and write, and dropped.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use projections::{Tables, version};
use sqlx::AssertSqlSafe;
use tests::{Client, Load, process, samples, wait::until_true};

use crate::world::World;

/// Records in a second: far below what can be done.
const THROTTLE: u64 = 5_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the operator's tool; whether it ended well, and what it printed.
async fn replay(world: &World, words: &str) -> Result<(bool, String)> {
    let words: Vec<&str> = ["replay"].into_iter().chain(words.split_whitespace()).collect();
    let (status, printed) = process::run_beside("jangbu", &words, world.fleet.settings()).await?;
    Ok((status.success(), printed))
}

/// The number of the version that `replay start` fills.
fn filled(printed: &str) -> Option<i32> {
    printed.split_once("filling version ")?.1.split_whitespace().next()?.parse().ok()
}

/// Changes the price and looks, again and again: each change is seen at once.
async fn write_and_read(client: &Client, id: &str, price: i64) -> Result<()> {
    let path = format!("/products/{id}");
    for price in price..price + 20 {
        let reprice = client.post(&format!("{path}/reprice"), &samples::reprice(price));
        let token = reprice.send().await?.expect(200)?.header("consistency-token")?;
        let seen = client.get(&path).seeing(&token).send().await?.expect(200)?;
        ensure!(seen.number("/list_price/minor")? == price, "{seen:?}");
    }
    Ok(())
}

pub(crate) async fn a_version_is_filled_swapped_and_dropped(world: &mut World) -> Result<()> {
    let client = world.client.clone();
    let db = projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 2).await?;
    let (id, _) = client.register(&samples::vacuum()).await?;
    let mut load = Load::start(&client, 6, 3);
    load.until_decided(200, PATIENCE).await?;

    // Killed in the middle, it goes on where it was.
    let early = tokio::time::timeout(Duration::from_millis(300), replay(world, "start products"));
    ensure!(early.await.is_err(), "it was not killed");
    let began = Instant::now();
    let start = format!("start products --throttle {THROTTLE}");
    let (ended, printed) = replay(world, &start).await?;
    let took = began.elapsed().as_secs();
    let next = filled(&printed).context("no version")?;
    // No more than every second offset is the marker of a transaction.
    let offsets =
        printed.rsplit_once(" offsets in").and_then(|(before, _)| before.rsplit_once(' '));
    let offsets: u64 = offsets.context("no rate")?.1.parse()?;
    ensure!(took + 1 >= offsets / 2 / THROTTLE, "{offsets} offsets in {took} s");
    let level = format!("products: version {next} is level with the log");
    ensure!(ended && printed.contains(&level), "{printed}");

    // From now on the projector keeps both.
    let (_, printed) = replay(world, "status").await?;
    let row = |version: i32, state: &str| {
        let row = ["products", &version.to_string(), state];
        printed.lines().any(|line| line.split_whitespace().take(3).eq(row))
    };
    ensure!(row(1, "active") && row(next, "ready"), "{printed}");
    let swap = async |to: i32| replay(world, &format!("swap products --version {to}")).await;
    let (swapped, refused) = swap(next + 1).await?;
    ensure!(!swapped && refused.contains("has not been level"), "{refused}");

    // Whoever reads meanwhile notices nothing.
    for (version, price) in [(next, 1_000), (1, 2_000), (next, 3_000)] {
        let (swapped, written) = tokio::join!(swap(version), write_and_read(&client, &id, price));
        written?;
        let (swapped, printed) = swapped?;
        ensure!(swapped, "{printed}");
        ensure!(Tables::active(&db).await?.version("products") == version);
    }
    load.finish().await?.check(&client).await?;
    world.fleet.verify(&[]).await?;
    let differing = format!(
        "SELECT COUNT(*) FROM products_v1 a LEFT JOIN products_v{next} b ON a.id = b.id \
         AND a.version = b.version AND a.name = b.name WHERE b.id IS NULL"
    );
    until_true("the two are equal", PATIENCE, async || {
        let differing = sqlx::query_scalar::<_, i64>(AssertSqlSafe(differing.clone()));
        Ok(differing.fetch_one(&db).await? == 0)
    })
    .await?;

    let drop = async |of: i32| replay(world, &format!("drop products --version {of}")).await;
    let (dropped, refused) = drop(next).await?;
    ensure!(!dropped && refused.contains("is active"), "{refused}");
    let (dropped, refused) = drop(1).await?;
    ensure!(!dropped && refused.contains("the search index is made of"), "{refused}");
    ensure!(swap(1).await?.0 && drop(next).await?.0);
    let mut left = version::all(&db).await?.into_iter();
    ensure!(left.all(|left| left.projection != "products" || left.version == 1 || left.dropped));
    let (id, token) = client.register(&samples::vacuum()).await?;
    client.see(&format!("/products/{id}"), &token).await?;
    world.fleet.verify(&[]).await
}
