//! What a person would type into a filled shop, and what such a person would expect to find.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context, Result, ensure};
use domain::{CategoriesId, CategoryId};
use serde_json::{Value, json};
use tests::{Client, stack::root};
use tokio::task::JoinSet;

use crate::world::World;

const AT_ONCE: usize = 16;
const SHOWN: usize = 10;

/// What is typed; and words of which every fitting product's name has one. Between them all ways
/// that a text is understood.
const JUDGED: [(&str, &str, &[&str]); 12] = [
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
];
/// Of what is shown first, the share that fits, at least. It is 0.97: descriptions of blankets name
/// the washing machine too.
const FLOOR: f64 = 0.95;

pub(crate) async fn people_find_what_they_expect(world: &mut World) -> Result<()> {
    let client = Client::new(world.fleet.base(), "shop", "shop-key")?;
    let tokens = Shop::default().fill(&client).await?;
    let front = client.with("shop", "shop-shop-key");
    for token in &tokens {
        front.find("청소기", token).await?;
    }
    let mut sum = 0.0;
    for (kind, typed, fitting) in JUDGED {
        let hits = names(&front, typed).await?;
        let fits = |name: &&String| fitting.iter().any(|word| name.contains(word));
        let fit = hits.iter().filter(fits).count();
        let precision = if hits.is_empty() { 0.0 } else { ratio(fit, hits.len()) };
        println!("{precision:.2} of {:2}  {typed}  ({kind}): {}", hits.len(), hits.join(", "));
        sum += precision;
    }
    let precision = sum / ratio(JUDGED.len(), 1);
    println!("{precision:.2} over {} searches", JUDGED.len());
    ensure!(precision >= FLOOR, "precision is {precision:.2}, was {FLOOR} at least");
    suggestions_come_while_typing(&front).await
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

/// The brands and categories that rows name, as they are made.
#[derive(Default)]
struct Shop {
    brands: BTreeMap<String, String>,
    categories: BTreeSet<String>,
    /// Of the last write to each partition.
    tokens: BTreeMap<String, (u64, String)>,
}

impl Shop {
    /// Registers what `deploy/demo` has; answers the tokens that a read must show to show it all.
    async fn fill(mut self, client: &Client) -> Result<Vec<String>> {
        let groups = json!({"groups": [{"words": ["노트북", "랩탑"]}]});
        let answer = client.post("/synonyms", &groups).send().await?.expect(200)?;
        self.saw(&answer.header("consistency-token")?)?;
        let mut products = vec![];
        for file in ["products", "lifestyle"] {
            let text = fs::read_to_string(root().join(format!("deploy/demo/{file}.ndjson")))?;
            for line in text.lines() {
                let mut row: Value = serde_json::from_str(line)?;
                self.refer(client, &mut row).await?;
                products.push(row);
            }
        }
        let mut under_way = JoinSet::new();
        for product in products {
            if under_way.len() == AT_ONCE
                && let Some(token) = under_way.join_next().await
            {
                let token: String = token??;
                self.saw(&token)?;
            }
            let client = client.clone();
            under_way.spawn(async move {
                let key = product["external_id"].to_string();
                let answer = client.insist("/products", &product, &key).await?;
                answer.expect(201)?.header("consistency-token")
            });
        }
        while let Some(token) = under_way.join_next().await {
            let token: String = token??;
            self.saw(&token)?;
        }
        Ok(self.tokens.into_values().map(|(_, token)| token).collect())
    }

    /// Puts ids in the place of the names of brand and category.
    async fn refer(&mut self, client: &Client, row: &mut Value) -> Result<()> {
        let fields = row.as_object_mut().context("no object")?;
        let mut text = |name| fields.remove(name).and_then(|of| Some(of.as_str()?.to_owned()));
        let (brand, category) = (text("brand"), text("category"));
        if let Some(brand) = brand {
            row["brand_id"] = json!(self.brand(client, brand).await?);
        }
        if let Some(category) = category {
            row["category_ids"] = json!([self.category(client, &category).await?]);
        }
        Ok(())
    }

    async fn brand(&mut self, client: &Client, name: String) -> Result<String> {
        if let Some(id) = self.brands.get(&name) {
            return Ok(id.clone());
        }
        let body = json!({"external_id": name, "name": name});
        let answer = client.insist("/brands", &body, &format!("brand-{name}")).await?;
        let id = answer.expect(201)?.text("/id")?;
        self.brands.insert(name, id.clone());
        Ok(id)
    }

    /// The category of a path such as 의류/상의, with those above it.
    async fn category(&mut self, client: &Client, path: &str) -> Result<String> {
        let tree = CategoriesId::of(&"shop".parse()?);
        let (mut parent, mut above) = (None, String::new());
        for name in path.split('/') {
            above = format!("{above}/{name}");
            let id = CategoryId::of(tree, parent, name);
            if self.categories.insert(above.clone()) {
                let body = json!({"parent_id": parent, "name": name});
                client.post("/categories", &body).send().await?.expect(200)?;
            }
            parent = Some(id);
        }
        Ok(parent.context("an empty path")?.to_string())
    }

    fn saw(&mut self, token: &str) -> Result<()> {
        let (partition, offset) = token.rsplit_once('.').context("not a token")?;
        let seen = (offset.parse::<u64>()?, token.to_owned());
        let last = self.tokens.entry(partition.to_owned()).or_insert_with(|| seen.clone());
        *last = seen.max(last.clone());
        Ok(())
    }
}
