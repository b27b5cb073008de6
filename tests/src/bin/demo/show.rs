//! A shop of 20,000 products, imported, and what a storefront sees of it.

use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use domain::{CategoriesId, CategoryId, MallId, ProductId};
use serde_json::{Value, json};
use tests::{
    Client,
    process::{self, Settings},
    stack::root,
    until,
};

const MALL: &str = "demo";
const GENERATED: &str = "20000";
const PATIENCE: Duration = Duration::from_secs(300);
const NOW_AND_THEN: Duration = Duration::from_secs(10);

/// Sells, and tells what happened; `settings` are those of the processes.
pub(crate) async fn show(client: Client, settings: &Settings) -> Result<()> {
    let generated = process::binaries()?.join("jangbu-demo.ndjson");
    let out = generated.to_str().context("a path that is no text")?;
    let (made, told) =
        process::run("jangbu", &["generate", "--products", GENERATED, "--out", out], settings)?;
    ensure!(made.success(), "{told}");
    println!("\na small shop, as Shopify exports it");
    import(&root().join("deploy/demo/shop.csv"), settings).await?;
    println!("\n{GENERATED} generated products, with their sellers, brands and categories");
    import(&generated, settings).await?;
    let status = until_shown(settings).await?;
    println!("\n{status}");
    browse(&client.with(MALL, "demo-shop-key")).await?;
    let id = change_prices(&client).await?;
    tell_history(&client, &id).await
}

async fn import(file: &Path, settings: &Settings) -> Result<()> {
    let file = file.to_str().context("a path that is no text")?;
    let at = settings.get("JANGBU_HTTP").context("no JANGBU_HTTP")?;
    let (api, here) = (format!("http://{at}"), root().canonicalize()?);
    let absolute = Path::new(file).canonicalize()?;
    let shown = absolute.strip_prefix(here).unwrap_or(&absolute);
    println!("  jangbu import {} --key demo-key --currency KRW", shown.display());
    let arguments =
        ["import", file, "--api", &api, "--mall", MALL, "--key", "demo-key", "--currency", "KRW"];
    process::watch("jangbu", &arguments, settings).await
}

/// Waits until every read model and the search have all of the log; answers what `status` tells
/// then.
async fn until_shown(settings: &Settings) -> Result<String> {
    let (begin, mut told_at) = (Instant::now(), Instant::now());
    until("everything is shown", PATIENCE, async || {
        let (_, told) = process::run("jangbu", &["status", "--json"], settings)?;
        let status: Value = serde_json::from_str(&told).with_context(|| told.clone())?;
        let readers = status["readers"].as_array().context("no readers")?.iter();
        let partitions = readers.flat_map(|r| r["partitions"].as_array().into_iter().flatten());
        let behind: Vec<_> = partitions.filter_map(|at| at["behind"].as_u64()).collect();
        if told_at.elapsed() > NOW_AND_THEN {
            told_at = Instant::now();
            println!("read models and search: {} records to go", behind.iter().sum::<u64>());
        }
        // Names of brands follow what was indexed before them.
        let is_shown = behind.iter().all(|records| *records == 0) && status["fan_outs"] == 0;
        Ok(is_shown.then_some(()))
    })
    .await?;
    println!("\nall of it in MySQL and in the search {:.1?} after the import", begin.elapsed());
    Ok(process::run("jangbu", &["status"], settings)?.1)
}

/// What a buyer would ask, each as somebody may send it again.
async fn browse(front: &Client) -> Result<()> {
    let mall: MallId = MALL.parse()?;
    let appliances = CategoryId::of(CategoriesId::of(&mall), None, "가전디지털");
    println!("what a storefront sees");
    for (what, path) in [
        ("a part of a word", "/search?q=청소기&limit=3".to_owned()),
        ("a slip", "/search?q=첨소기&limit=3".to_owned()),
        ("initials", "/search?q=ㅊㅅㄱ&limit=3".to_owned()),
        ("two languages, cheapest first", "/search?q=northwood+재킷&sort=price&limit=3".to_owned()),
        ("counts", "/search?q=티셔츠&facets=brand,category,price&limit=1".to_owned()),
        ("while typing", "/suggestions?q=무선처&limit=5".to_owned()),
        ("a category", format!("/categories/{appliances}/products?sort=-price&limit=3")),
    ] {
        let begin = Instant::now();
        let answer = front.get(&path).send().await?.expect(200)?;
        let took = begin.elapsed();
        println!("\n{what}, in {took:.1?}");
        println!("  curl -s '{}' -H 'Authorization: Bearer demo-shop-key'", front.address(&path));
        print!("{}", answered(&answer.body));
    }
    Ok(())
}

/// An answer on a few lines.
fn answered(body: &Value) -> String {
    let mut text = String::new();
    if let Some(total) = body["total"].as_u64() {
        let nearly = if body["approximate"] == true { " that nearly have it" } else { "" };
        let _ = writeln!(text, "    {total} products{nearly}");
    }
    for hit in each(&body["hits"]) {
        let price = plain(&hit["list_price"]["minor"]);
        let _ = writeln!(text, "    {price:>10} KRW  {}", plain(&hit["name"]));
    }
    for (facet, label) in [("brands", "name"), ("categories", "name"), ("prices", "price_from")] {
        let counts = each(&body["facets"][facet]).take(5);
        let counts = counts.map(|of| format!("{} ({})", plain(&of[label]), of["count"]));
        let counts = counts.collect::<Vec<_>>().join(", ");
        if !counts.is_empty() {
            let _ = writeln!(text, "    {facet}: {counts}");
        }
    }
    let suggestions: Vec<String> = each(&body["suggestions"]).map(plain).collect();
    if !suggestions.is_empty() {
        let _ = writeln!(text, "    {}", suggestions.join(" · "));
    }
    text
}

/// The prices of an autumn sale, for a product that shall have a history.
async fn change_prices(client: &Client) -> Result<String> {
    let id = ProductId::of(&MALL.parse()?, None, "VC-001").to_string();
    let mut token = String::new();
    for (day, price) in [("first", 316_000), ("second", 281_000), ("last", 351_300)] {
        let body = json!({"list_price": {"minor": price, "currency": "KRW"}});
        let path = format!("/products/{id}/reprice");
        let answer = client.insist(&path, &body, &format!("demo-sale-{day}")).await?;
        token = answer.expect(200)?.header("consistency-token")?;
    }
    client.see(&format!("/products/{id}/history"), &token).await?;
    Ok(id)
}

async fn tell_history(client: &Client, id: &str) -> Result<()> {
    let path = format!("/products/{id}/history");
    let history = client.get(&path).send().await?.expect(200)?;
    println!("\nwhat happened to a product, as its merchant sees it");
    println!("  curl -s '{}' -H 'Authorization: Bearer demo-key'", client.address(&path));
    for entry in each(&history.body["items"]) {
        let [version, at, kind] = ["version", "at", "type"].map(|field| plain(&entry[field]));
        println!(
            "    {version}  {at}  {kind:<34} {}",
            plain(&entry["data"]["list_price"]["minor"])
        );
    }
    Ok(())
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
