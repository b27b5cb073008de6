//! What a person would type into a filled shop, and what such a person would expect to find.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{Client, stack::root, until};

use crate::{bulk, world::World};

const PATIENCE: Duration = Duration::from_secs(120);
const SHOWN: usize = 10;

/// How a text is understood, what is typed; and words of which every fitting product's name has one.
pub(crate) type Judged = (&'static str, &'static str, &'static [&'static str]);

/// Between them all ways that a text is understood.
const JUDGED: [Judged; 16] = [
    ("a compound", "무선청소기", &["무선청소기"]),
    ("a part of a compound", "청소기", &["청소기"]),
    ("a part of a compound", "세탁기", &["세탁기"]),
    ("initials", "ㅊㅅㄱ", &["청소기"]),
    ("initials", "ㅁㄱㅇ", &["목걸이"]),
    ("a slip in Korean", "첨소기", &["청소기"]),
    ("a slip in Korean", "등싼화", &["등산화"]),
    ("a slip in English", "headfones", &["Headphones", "헤드폰"]),
    ("a slip in English", "expresso machine", &["Espresso Machine"]),
    ("English, in plural", "pearl earring", &["진주 귀걸이"]),
    ("a synonym", "랩탑 충전기", &["고속충전기"]),
    ("two words of either language", "northwood jacket", &["Jacket", "재킷"]),
    ("a category", "목걸이", &["목걸이", "Necklace"]),
    (
        "a category above",
        "주얼리",
        &["목걸이", "팔찌", "귀걸이", "커플링", "Necklace", "Bracelet", "Ear"],
    ),
    ("a category", "정원", &["화분", "Plant Pot", "물뿌리개", "모종삽", "Garden"]),
    ("a brand and a category", "maru 가구", &["소파", "Armchair", "침대협탁"]),
];
/// Of what is shown first, the share that fits, at least: descriptions name other things too.
pub(crate) const FLOOR: f64 = 0.95;

pub(crate) async fn people_find_what_they_expect(world: &mut World) -> Result<()> {
    let client = Client::new(world.fleet.base(), "shop", "shop-key")?;
    let groups = json!({"groups": [{"words": ["노트북", "랩탑"]}]});
    client.post("/synonyms", &groups).send().await?.expect(200)?;
    import(world, "shop", &root().join("deploy/demo/shop.csv"), "KRW")?;
    until_found(&client, 340).await?;
    let front = client.with("shop", "shop-shop-key");
    let precision = precision(&front, &JUDGED).await?;
    ensure!(precision >= FLOOR, "precision is {precision:.2}, was {FLOOR} at least");
    suggestions_come_while_typing(&front).await
}

/// Imports a file into a mall of the fleet; nothing of it may be refused.
pub(crate) fn import(world: &World, mall: &str, file: &Path, currency: &str) -> Result<()> {
    let key = format!("{mall}-key");
    let arguments = ["--mall", mall, "--key", &key, "--currency", currency];
    let (ended, told) = bulk::import_with(world, file, &arguments)?;
    println!("{}", told.trim());
    ensure!(ended.success() && told.contains(" 0 refused"), "{told}");
    Ok(())
}

/// Waits until so many products of the mall are in the search.
pub(crate) async fn until_found(client: &Client, products: i64) -> Result<()> {
    until("all are in the search", PATIENCE, async || {
        let total = client.get("/search?limit=1").send().await?.expect(200)?.number("/total")?;
        Ok((total >= products).then_some(()))
    })
    .await
}

/// Of what each search shows first, the share that fits, over all of them.
pub(crate) async fn precision(front: &Client, searches: &[Judged]) -> Result<f64> {
    let mut sum = 0.0;
    for (kind, typed, fitting) in searches {
        let hits = names(front, typed).await?;
        let fits = |name: &&String| fitting.iter().any(|word| name.contains(word));
        let fit = hits.iter().filter(fits).count();
        let precision = if hits.is_empty() { 0.0 } else { ratio(fit, hits.len()) };
        println!("{precision:.2} of {:2}  {typed}  ({kind}): {}", hits.len(), hits.join(", "));
        sum += precision;
    }
    let precision = sum / ratio(searches.len(), 1);
    println!("{precision:.2} over {} searches", searches.len());
    Ok(precision)
}

async fn suggestions_come_while_typing(front: &Client) -> Result<()> {
    for (typed, expected) in [
        ("무선 이어", "무선이어폰 프로"),
        ("무선처", "무선청소기 프로"),
        ("ㅁㅅㅊㅅ", "무선청소기 에어"),
        ("espr", "Espresso Machine One"),
        ("wireless head", "Wireless Headphones"),
    ] {
        let answer =
            front.get("/suggestions").query(&[("q", typed), ("limit", "20")]).send().await?;
        let listed = answer.expect(200)?.body["suggestions"].clone();
        let listed = listed.as_array().context("no suggestions")?;
        ensure!(listed.contains(&json!(expected)), "{typed} suggests {listed:?}");
    }
    Ok(())
}

async fn names(front: &Client, typed: &str) -> Result<Vec<String>> {
    let answer = front.search(typed).send().await?.expect(200)?;
    let hits = answer.body["hits"].as_array().context("no hits")?;
    let name = |hit: &Value| hit["name"].as_str().map(str::to_owned);
    Ok(hits.iter().filter_map(name).take(SHOWN).collect())
}

fn ratio(part: usize, whole: usize) -> f64 {
    let part = u32::try_from(part).unwrap_or(u32::MAX);
    f64::from(part) / f64::from(u32::try_from(whole).unwrap_or(u32::MAX))
}
