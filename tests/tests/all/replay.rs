//! A version of a read model is filled beside the one that is read, made the active one while others
//! read and write, and dropped.

use std::time::Duration;

use anyhow::{Result, ensure};
use projections::{Tables, version};
use tests::{Load, process, samples, wait::until_true};
use tokio::task::spawn_blocking;

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the operator's tool; whether it ended well, and what it printed.
async fn replay(world: &World, words: &'static [&'static str]) -> Result<(bool, String)> {
    let settings = world.fleet.settings().clone();
    let run = move || process::run("jangbu", &[&["replay"], words].concat(), &settings);
    let (status, printed) = spawn_blocking(run).await??;
    Ok((status.success(), printed))
}

pub(crate) async fn a_version_is_filled_swapped_and_dropped(world: &mut World) -> Result<()> {
    let client = world.client.clone();
    let db = projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 2).await?;
    let (id, _) = client.register(&samples::vacuum()).await?;
    let mut load = Load::start(&client, 6, 3);
    load.until_decided(200, PATIENCE).await?;

    // Killed in the middle, it goes on where it was.
    let early = tokio::time::timeout(
        Duration::from_millis(300),
        process::watch("jangbu", &["replay", "start", "products"], world.fleet.settings()),
    );
    ensure!(early.await.is_err(), "it was not killed");
    let (ended, printed) = replay(world, &["start", "products"]).await?;
    ensure!(ended && printed.contains("products: version 2 is level with the log"), "{printed}");

    // From now on the projector keeps both.
    let (_, printed) = replay(world, &["status"]).await?;
    let row = |of: [&str; 3]| {
        let mut rows = printed.lines().map(|line| line.split_whitespace().take(3));
        rows.any(|row| row.eq(of))
    };
    ensure!(row(["products", "1", "active"]) && row(["products", "2", "ready"]), "{printed}");
    let (swapped, refused) = replay(world, &["swap", "products", "--version", "3"]).await?;
    ensure!(!swapped && refused.contains("has not been level"), "{refused}");

    // Whoever reads meanwhile notices nothing.
    let path = format!("/products/{id}");
    for (version, price) in [("2", 1_000), ("1", 2_000), ("2", 3_000)] {
        let words: &[&str] = match version {
            "1" => &["swap", "products", "--version", "1"],
            _ => &["swap", "products", "--version", "2"],
        };
        let swap = replay(world, words);
        let write = async {
            for step in 0..20 {
                let reprice = samples::reprice(price + step);
                let written = client.post(&format!("{path}/reprice"), &reprice).send().await?;
                let token = written.expect(200)?.header("consistency-token")?;
                let seen = client.get(&path).seeing(&token).send().await?.expect(200)?;
                ensure!(seen.number("/list_price/minor")? == price + step, "{seen:?}");
            }
            Ok(())
        };
        let (swap, written) = tokio::join!(swap, write);
        written?;
        ensure!(swap?.0, "not swapped to {version}");
        let live = Tables::active(&db).await?.version("products");
        ensure!(live.to_string() == version, "{live} is active");
    }
    load.finish().await?.check(&client).await?;
    world.fleet.verify(&[]).await?;
    let differing = "SELECT COUNT(*) FROM products_v1 a LEFT JOIN products_v2 b ON a.id = b.id \
                     AND a.version = b.version AND a.name = b.name WHERE b.id IS NULL";
    until_true("the two are equal", PATIENCE, async || {
        Ok(sqlx::query_scalar::<_, i64>(differing).fetch_one(&db).await? == 0)
    })
    .await?;

    let (dropped, refused) = replay(world, &["drop", "products", "--version", "2"]).await?;
    ensure!(!dropped && refused.contains("is active"), "{refused}");
    ensure!(replay(world, &["swap", "products", "--version", "1"]).await?.0);
    ensure!(replay(world, &["drop", "products", "--version", "2"]).await?.0);
    let mut left = version::all(&db).await?.into_iter();
    ensure!(left.all(|left| left.projection != "products" || left.version == 1));
    let (id, token) = client.register(&samples::vacuum()).await?;
    client.see(&format!("/products/{id}"), &token).await?;
    world.fleet.verify(&[]).await
}
