//! What other teams make of the events: a projection by our own engine, one by the contract alone.

use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use projections::Tables;
use sqlx::AssertSqlSafe;
use tests::{Client, Load, Process, Role, process, samples, stack::root, until, wait::until_true};
use uuid::Uuid;

use crate::{replay::filled, world::World};

const PATIENCE: Duration = Duration::from_secs(60);
/// The example in consumers/examples.
const OWN: &str = "examples/lowest_price";

/// Runs a tool; whether it ended well, and what it printed.
async fn tool(world: &World, binary: &str, words: &str) -> Result<(bool, String)> {
    let words: Vec<&str> = words.split_whitespace().collect();
    let (status, printed) = process::run_beside(binary, &words, world.fleet.settings()).await?;
    Ok((status.success(), printed))
}

async fn reprice(client: &Client, id: &str, won: i64) -> Result<()> {
    let path = format!("/products/{id}/reprice");
    client.post(&path, &samples::reprice(won)).send().await?.expect(200).map(drop)
}

pub(crate) async fn a_teams_projection_is_fed_rebuilt_and_swapped(world: &mut World) -> Result<()> {
    let client = world.client.clone();
    let (id, _) = client.register(&samples::vacuum()).await?;
    let product = id.parse::<Uuid>()?.into_bytes();
    let mut load = Load::start(&client, 4, 7);
    load.until_decided(200, PATIENCE).await?;
    let own = async |words: &str| tool(world, OWN, words).await;
    let db = projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 1).await?;
    let shows = async |won: i64| {
        let what = format!("{id} is shown at {won}");
        until_true(&what, PATIENCE, async || {
            let active = "SELECT version FROM active WHERE set_name = 'lowest_price'";
            let version: i32 = sqlx::query_scalar(active).fetch_one(&db).await?;
            let lowest = format!("SELECT minor FROM lowest_price_v{version} WHERE product = ?");
            let lowest = sqlx::query_scalar(AssertSqlSafe(lowest)).bind(product.as_slice());
            Ok(lowest.fetch_optional(&db).await? == Some(won))
        })
        .await
    };
    let fill = async || -> Result<i32> {
        let (ended, printed) = own("replay start lowest_price").await?;
        ensure!(ended && printed.contains("is level with the log"), "{printed}");
        filled(&printed).context("no version")
    };
    let swap = async |to: i32| own(&format!("replay swap lowest_price --version {to}")).await;

    let first = fill().await?;
    let (swapped, printed) = swap(first).await?;
    ensure!(swapped && printed.contains("is active"), "{printed}");
    let feed = Process::start_with(OWN, &["feed"], "own", world.fleet.settings())?;
    for won in [150_000, 300_000] {
        reprice(&client, &id, won).await?;
        shows(150_000).await?;
    }
    let next = fill().await?;
    let (equal, printed) = own(&format!("replay compare lowest_price --version {next}")).await?;
    ensure!(equal && printed.contains(" rows, 0 different"), "{printed}");
    let (swapped, printed) = swap(next).await?;
    ensure!(swapped && printed.contains(&format!("{first} is kept")), "{printed}");
    reprice(&client, &id, 120_000).await?;
    shows(120_000).await?;
    let (dropped, printed) = own(&format!("replay drop lowest_price --version {first}")).await?;
    ensure!(dropped, "{printed}");

    load.finish().await?.check(&client).await?;
    every_row_is_right(world, next).await?;
    neither_is_disturbed(world, next).await?;
    feed.stop().await?;
    world.fleet.verify(&[]).await?;
    gone(world, next).await
}

/// Against the history of our own, which the projector keeps.
async fn every_row_is_right(world: &World, version: i32) -> Result<()> {
    let db = projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 1).await?;
    let history = Tables::active(&db).await?.version("history");
    let text = format!(
        "SELECT COUNT(*), COALESCE(SUM(l.minor <=> h.minor), 0) = COUNT(*) FROM (SELECT \
         aggregate_id, MIN(CAST(JSON_EXTRACT(data, '$.list_price.minor') AS SIGNED)) AS minor \
         FROM history_v{history} WHERE kind IN ('jangbu.catalog.ProductRegistered', \
         'jangbu.catalog.ProductRepriced') GROUP BY aggregate_id) h \
         LEFT JOIN lowest_price_v{version} l ON l.product = h.aggregate_id"
    );
    until_true("each lowest price is that of the history", PATIENCE, async || {
        let text = AssertSqlSafe(text.clone());
        let (products, right): (i64, bool) = sqlx::query_as(text).fetch_one(&db).await?;
        Ok(products > 0 && right)
    })
    .await
}

/// Neither tool knows the other's projections, and our processes begin beside them as ever.
async fn neither_is_disturbed(world: &mut World, version: i32) -> Result<()> {
    for words in ["replay status", "status --partitions", "migrate"] {
        let (_, printed) = tool(world, "jangbu", words).await?;
        ensure!(printed.contains("products") || words == "migrate", "{printed}");
        ensure!(!printed.contains("lowest_price"), "{printed}");
    }
    let (_, printed) = tool(world, OWN, "replay status").await?;
    ensure!(printed.contains("lowest_price") && !printed.contains("snapshot"), "{printed}");
    let drop = format!("replay drop lowest_price --version {version}");
    for (binary, words) in
        [("jangbu", drop.as_str()), (OWN, "replay swap products --version 1"), (OWN, "verify")]
    {
        let (done, printed) = tool(world, binary, words).await?;
        ensure!(!done, "{binary} {words}: {printed}");
    }
    world.fleet.restart(Role::Projector, None)?;
    let (id, token) = world.client.register(&samples::vacuum()).await?;
    world.client.see(&format!("/products/{id}"), &token).await?;
    Ok(())
}

/// Takes the projection away altogether, which no command does.
async fn gone(world: &World, version: i32) -> Result<()> {
    let db = projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 1).await?;
    let text = "DELETE FROM active WHERE set_name = 'lowest_price'";
    sqlx::query(text).execute(&db).await?;
    let drop = format!("replay drop lowest_price --version {version}");
    let (dropped, printed) = tool(world, OWN, &drop).await?;
    ensure!(dropped, "{printed}");
    Ok(())
}

pub(crate) async fn a_strangers_projection_is_right(world: &mut World) -> Result<()> {
    let client = world.client.clone();
    let (id, _) = client.register(&samples::vacuum()).await?;
    let mut load = Load::start(&client, 4, 8);
    load.until_decided(500, PATIENCE).await?;
    let file = process::logs()?.join("lowest_price.sqlite");
    let _ = std::fs::remove_file(&file);
    let script = root().join("docs/quickstart/lowest_price.py");
    let command = |words: &[&str]| -> Result<Command> {
        let mut command = Command::new(root().join(".venv/bin/python"));
        command.arg(&script).arg(words[0]).arg(&file);
        if words[0] != "show" {
            command.arg(world.stack.address("JANGBU_KAFKA")?);
            command.arg(world.stack.address("JANGBU_REGISTRY")?);
        }
        Ok(command)
    };
    let run = |word: &str| told(&mut command(&[word])?, &script);

    // Killed while it works, it has lost nothing and counts nothing twice.
    let mut killed = command(&["feed"])?.spawn()?;
    until("there are rows", PATIENCE, async || Ok(run("show").ok())).await?;
    killed.kill()?;
    killed.wait()?;
    run("feed")?;
    for won in [150_000, 300_000] {
        reprice(&client, &id, won).await?;
    }
    let rebuilt = run("rebuild")?;
    ensure!(rebuilt.contains("version 2 is live"), "{rebuilt}");
    reprice(&client, &id, 120_000).await?;
    let report = load.finish().await?;
    report.check(&client).await?;
    run("feed")?;
    let shown = run("show")?;
    ensure!(shown.contains(&format!("{id} 120000 KRW\n")), "{id} is not shown at 120000");
    let mut products: Vec<Uuid> = report.decided.iter().map(|wish| wish.product).collect();
    products.sort_unstable();
    products.dedup();
    for product in products {
        let lowest = lowest(&client, &product.to_string()).await?;
        ensure!(shown.contains(&format!("{product} {lowest} KRW\n")), "{product}: {lowest}");
    }
    Ok(())
}

fn told(command: &mut Command, script: &Path) -> Result<String> {
    let Output { status, stdout, stderr } = command.output().context("no .venv: make test")?;
    ensure!(status.success(), "{script:?}: {}", String::from_utf8_lossy(&stderr));
    Ok(String::from_utf8(stdout)?)
}

/// What the API tells of a product's prices.
async fn lowest(client: &Client, product: &str) -> Result<i64> {
    let (mut lowest, mut after) = (None, 0);
    loop {
        let path = format!("/products/{product}/history?limit=100&after={after}");
        let answer = client.get(&path).send().await?.expect(200)?;
        let page = answer.body["items"].as_array().context("no items")?;
        for entry in page {
            let price = entry["data"]["list_price"]["minor"].as_i64();
            lowest = lowest.into_iter().chain(price).min();
            after = entry["version"].as_i64().context("no version")?;
        }
        if page.len() < 100 {
            return lowest.context("no price");
        }
    }
}
