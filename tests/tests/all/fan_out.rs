//! A renamed brand, whose name stands in the documents of all its products.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{Client, Role, samples, until};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{verify, world::World};

/// More than two slices of the indexer.
const PRODUCTS: usize = 600;
const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_secs(60);

/// Renamed twice, and the indexer dies between two slices of the first.
pub(crate) async fn a_renamed_brand_reaches_all_its_products(world: &mut World) -> Result<()> {
    let client = world.client.clone();
    let [first, second, third] = ["alpha", "bravo", "gamma"].map(named);
    let body = json!({"external_id": first, "name": first});
    let brand = client.post("/brands", &body).send().await?.expect(201)?.text("/id")?;
    fill(&client, &brand, PRODUCTS).await?;
    until("all products are found under the first name", PATIENCE, async || {
        Ok((count(&client, &brand, &first, None).await? == PRODUCTS).then_some(()))
    })
    .await?;

    world.fleet.restart(Role::Indexer, Some("indexer.fan_out:2:kill"))?;
    rename(&client, &brand, &second).await?;
    world.fleet.process(Role::Indexer)?.until_ended(PATIENCE).await?;
    let token = rename(&client, &brand, &third).await?;
    let (_, status) = world.fleet.jangbu(&["status"])?;
    ensure!(status.contains("fan-outs: 1"), "{status}");
    let told = format!("({brand} of demo): ");
    ensure!(status.contains(&told) && status.contains(" of 600 products, since"), "{status}");
    let (_, status) = world.fleet.jangbu(&["status", "--json"])?;
    let following = serde_json::from_str::<Value>(&status)?["following"].take();
    ensure!(following[0]["brand_id"] == *brand && following[0]["products"] == PRODUCTS, "{status}");
    let done = following[0]["done"].as_u64().context("not told")?;
    ensure!((1..600).contains(&done) && following.as_array().is_some_and(|all| all.len() == 1));
    let early = client.search(&third).seeing(&token).send().await?.expect(503)?;
    ensure!(early.text("/code")? == "NOT_YET_VISIBLE", "{early:?}");

    world.fleet.restart(Role::Indexer, None)?;
    ensure!(count(&client, &brand, &third, Some(&token)).await? == PRODUCTS);
    for name in [&first, &second] {
        ensure!(count(&client, &brand, name, None).await? == 0, "{name} is still found");
    }
    let (_, status) = world.fleet.jangbu(&["status"])?;
    ensure!(!status.contains("fan-outs"), "{status}");
    verify::finds_nothing(world).await
}

/// A name so long and unlike any other that it is nobody's near miss.
pub(crate) fn named(word: &str) -> String {
    format!("{word}{}", Uuid::now_v7().simple())
}

pub(crate) async fn fill(client: &Client, brand: &str, products: usize) -> Result<()> {
    let mut under_way = JoinSet::new();
    for number in 0..products {
        if under_way.len() == AT_ONCE
            && let Some(done) = under_way.join_next().await
        {
            done??;
        }
        let mut product = samples::plain(&format!("접시 {number}"));
        product["brand_id"] = json!(brand);
        let client = client.clone();
        under_way.spawn(async move {
            let key = product["external_id"].as_str().unwrap_or_default().to_owned();
            client.insist("/products", &product, &key).await?.expect(201)
        });
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    Ok(())
}

pub(crate) async fn rename(client: &Client, brand: &str, name: &str) -> Result<String> {
    let path = format!("/brands/{brand}/rename");
    let answer = client.post(&path, &json!({"name": name})).send().await?.expect(200)?;
    answer.header("consistency-token")
}

/// How many products of the brand a search for its name finds.
pub(crate) async fn count(
    client: &Client,
    brand: &str,
    name: &str,
    token: Option<&str>,
) -> Result<usize> {
    let path = format!("/search?brand_id={brand}&limit=1&q={name}");
    let answer = match token {
        Some(token) => client.see(&path, token).await?,
        None => client.get(&path).send().await?.expect(200)?,
    };
    usize::try_from(answer.number("/total")?).context("no count")
}
