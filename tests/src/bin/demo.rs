//! Shows the whole at work: servers, processes, 300 products over HTTP, and what became of them.
//! Again it is quick and changes nothing. `demo run` only starts everything.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

use std::{
    collections::BTreeMap,
    env, fs,
    io::{IsTerminal, stdin},
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{Client, Fleet, Role, Stack, stack::root};
use tokio::{signal::ctrl_c, task::JoinSet};

const STACK: &str = "dev";
const PORT: u16 = 8080;
const AT_ONCE: usize = 16;

#[tokio::main]
async fn main() -> Result<()> {
    let mut interrupted = std::pin::pin!(ctrl_c());
    let was_up = Stack::is_up(STACK);
    let stack = Stack::up(STACK)?;
    let offset = env::var("JANGBU_PORT_OFFSET").ok().and_then(|text| text.parse().ok());
    let port = PORT + offset.unwrap_or(0);
    let taken = TcpStream::connect(("127.0.0.1", port)).is_ok();
    ensure!(!taken, "port {port} is taken: end what listens there, or set JANGBU_PORT_OFFSET");
    let fleet = Fleet::start(&stack.addresses, Some(port)).await?;
    let shown = async {
        if env::args().nth(1).as_deref() != Some("run") {
            show(&fleet).await?;
        }
        addresses(&fleet, &stack)?;
        let stays = stdin().is_terminal() && env::var_os("DEMO_EXIT").is_none();
        if stays {
            println!("\nCtrl-C ends it.");
            std::future::pending::<()>().await;
        }
        anyhow::Ok(())
    };
    let outcome = tokio::select! {
        outcome = shown => outcome,
        _ = &mut interrupted => Ok(()),
    };
    println!("\nstopping");
    fleet.stop().await?;
    if !was_up {
        stack.down()?;
    }
    outcome
}

async fn show(fleet: &Fleet) -> Result<()> {
    let client = fleet.client()?;
    let products = products()?;
    let first = &products[0];
    write(&client, products.clone()).await?;
    let id = change_prices(&client, first).await?;
    let (_, status) = fleet.jangbu(&["status"])?;
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
    let (count, begin) = (products.len(), Instant::now());
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
    let mut last = BTreeMap::new();
    for answer in answers {
        let answer = answer??.expect(201)?;
        let token = answer.header("consistency-token")?;
        let (partition, offset) = token.rsplit_once('.').context("not a token")?;
        let at = (offset.parse::<u64>()?, answer.text("/id")?, token.clone());
        let newest = last.entry(partition.to_owned()).or_insert_with(|| at.clone());
        *newest = at.max(newest.clone());
    }
    println!("\n{count} products registered in {took:.1?}: {:.0}/s", rate(count, took));
    for (_, id, token) in last.values() {
        client.see(&format!("/products/{id}"), token).await?;
    }
    println!("all of them in MySQL after {:.1?}", begin.elapsed());
    for (_, _, token) in last.values() {
        client.find("청소기", token).await?;
    }
    println!("all of them in the search after {:.1?}", begin.elapsed());
    Ok(())
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

fn addresses(fleet: &Fleet, stack: &Stack) -> Result<()> {
    let base = fleet.base();
    println!("\n{:<14} {base}/docs  (key: demo-key)", "API");
    println!("{:<14} {base}/openapi.json", "");
    println!("{:<14} {base}/v1/demo/search?q=청소기", "");
    println!("{:<14} {base}/metrics", "metrics");
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Api) {
        let at = fleet.metrics(role).unwrap_or_default();
        println!("{:<14} {at}  ({})", "", role.binary());
    }
    for (name, key) in [
        ("Kafka", "JANGBU_KAFKA"),
        ("registry", "JANGBU_REGISTRY"),
        ("MySQL", "JANGBU_MYSQL"),
        ("OpenSearch", "JANGBU_OPENSEARCH"),
    ] {
        println!("{name:<14} {}", stack.address(key)?);
    }
    Ok(())
}

fn rate(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
