//! 300 products over HTTP, and what became of them.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result};
use domain::Timestamp;
use serde_json::{Value, json};
use tests::{
    Client,
    process::{self, Settings},
    stack::root,
};
use tokio::task::JoinSet;

const AT_ONCE: usize = 16;

/// Sells, and tells what happened; `settings` are those of the processes.
pub(crate) async fn show(client: Client, settings: &Settings) -> Result<()> {
    let products = products()?;
    let first = &products[0];
    write(&client, products.clone()).await?;
    let id = change_prices(&client, first).await?;
    let (_, status) = process::run("jangbu", &["status"], settings)?;
    println!("\n{status}");
    for words in ["청소기", "cotton shirt", "캠핑 의자"] {
        search(&client, words).await?;
    }
    tell_history(&client, &id).await
}

fn products() -> Result<Vec<Value>> {
    let text = fs::read_to_string(root().join("deploy/demo/products.ndjson"))?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Registers all, several at once, then waits until the last is in MySQL and in the search.
async fn write(client: &Client, products: Vec<Value>) -> Result<()> {
    let (count, begin, since) = (products.len(), Instant::now(), SystemTime::now());
    let (mut under_way, mut answers) = (JoinSet::new(), Vec::new());
    for product in products {
        if under_way.len() == AT_ONCE {
            answers.extend(under_way.join_next().await);
        }
        let client = client.clone();
        under_way.spawn(async move {
            let key = format!("demo-{}", product["external_id"]).replace('"', "");
            client.insist("/products", &product, &key).await
        });
    }
    answers.extend(under_way.join_all().await.into_iter().map(Ok));
    let took = begin.elapsed();
    // A read that shows the last write of a partition shows all before it.
    let mut last: BTreeMap<String, (u64, String, String, Value)> = BTreeMap::new();
    for answer in answers {
        let answer = answer??.expect(201)?;
        let token = answer.header("consistency-token")?;
        let (partition, offset) = token.rsplit_once('.').context("not a token")?;
        let at = (offset.parse::<u64>()?, answer.text("/id")?, token.clone(), answer.body);
        match last.get(partition) {
            Some((newest, ..)) if *newest >= at.0 => {}
            _ => drop(last.insert(partition.to_owned(), at)),
        }
    }
    if are_repeats(client, last.values().map(|(.., body)| body), since).await? {
        println!("\n{count} products were there already: each request got its first answer again");
    } else {
        println!("\n{count} products registered in {took:.1?}: {:.0}/s", rate(count, took));
    }
    for (_, id, token, _) in last.values() {
        client.see(&format!("/products/{id}"), token).await?;
    }
    println!("all of them in MySQL after {:.1?}", begin.elapsed());
    for (_, _, token, _) in last.values() {
        client.find("청소기", token).await?;
    }
    println!("all of them in the search after {:.1?}", begin.elapsed());
    Ok(())
}

/// Whether the newest decisions are all from before `since`, or changed nothing.
async fn are_repeats(
    client: &Client,
    newest: impl Iterator<Item = &Value>,
    since: SystemTime,
) -> Result<bool> {
    let since = i64::try_from(since.duration_since(SystemTime::UNIX_EPOCH)?.as_millis())?;
    for answer in newest.filter(|answer| answer["verdict"] != "UNCHANGED") {
        let path = format!("/commands/{}", text(&answer["command_id"]));
        let command = client.get(&path).send().await?;
        // A new one may not be in the read model yet.
        let Ok(at) = command.text("/decided_at") else { return Ok(false) };
        if at.parse::<Timestamp>()?.0 >= since {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The prices of an autumn sale, for a product that shall have a history.
async fn change_prices(client: &Client, product: &Value) -> Result<String> {
    let key = format!("demo-{}", product["external_id"]).replace('"', "");
    let id = client.insist("/products", product, &key).await?.text("/id")?;
    let price = product["list_price"]["minor"].as_i64().context("no price")?;
    let mut token = String::new();
    for percent in [90, 80, 100] {
        let body = json!({"list_price": {"minor": price * percent / 100, "currency": "KRW"}});
        let path = format!("/products/{id}/reprice");
        let answer = client.insist(&path, &body, &format!("demo-sale-{percent}")).await?;
        token = answer.expect(200)?.header("consistency-token")?;
    }
    let path = format!("/products/{id}/history");
    client.see(&path, &token).await?;
    Ok(id)
}

async fn search(client: &Client, words: &str) -> Result<()> {
    let begin = Instant::now();
    let found = client.search(words).send().await?.expect(200)?;
    println!("{words}: {} found in {:.1?}", found.number("/total")?, begin.elapsed());
    for hit in found.body["hits"].as_array().into_iter().flatten().take(3) {
        println!("    {:<28} {:>10} KRW", text(&hit["name"]), text(&hit["list_price"]["minor"]));
    }
    Ok(())
}

async fn tell_history(client: &Client, id: &str) -> Result<()> {
    let history = client.get(&format!("/products/{id}/history")).send().await?.expect(200)?;
    println!("\nthe history of {id}");
    for entry in history.body["items"].as_array().into_iter().flatten() {
        let (version, at, kind) =
            (text(&entry["version"]), text(&entry["at"]), text(&entry["type"]));
        println!("    {version}  {at}  {kind:<34} {}", text(&entry["data"]["list_price"]["minor"]));
    }
    Ok(())
}

fn rate(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
