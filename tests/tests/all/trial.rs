//! Shops of real files, which are not part of this project: three of Shopify's samples and a
//! catalog of 101 outdoor products. Whoever has them names their folder in `JANGBU_TRIAL_DATA`.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use domain::{BrandId, CategoriesId, CategoryId, MallId};
use serde_json::{Value, json};
use tests::Client;

use crate::{
    judged::{FLOOR, Judged, import, precision, until_found},
    world::World,
};

const MALL: &str = "trial";
const CSVS: [&str; 3] = ["shopify-apparel", "shopify-home-and-garden", "shopify-jewelery"];

/// The files are in English; a Korean shopper is understood by the mall's synonyms.
const JUDGED: [Judged; 11] = [
    ("a category, in plural", "necklaces", &["Necklace", "Choker", "Pendant"]),
    ("a category, its products call themselves otherwise", "footwear", &["Shoes", "Boots"]),
    ("a name", "sofa", &["Sofa"]),
    ("two words", "gps watch", &["GPS Watch"]),
    ("two words, in plural", "bike helmets", &["Helmet"]),
    ("two words", "leather jacket", &["Leather Jacket"]),
    ("a slip", "snowbord", &["Snowboard"]),
    ("a brand and a category", "gravitator climbing", &["Harness", "Rope"]),
    ("a brand and a thing", "sterling earrings", &["Earrings"]),
    ("Korean, by a synonym", "배낭", &["Backpack", "backpack", "Daypack"]),
    ("Korean, by a synonym", "스노보드", &["Snowboard"]),
];

pub(crate) async fn real_files_become_a_shop(world: &mut World) -> Result<()> {
    let folder = env::var_os("JANGBU_TRIAL_DATA").map(PathBuf::from);
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
        println!("SKIPPED: JANGBU_TRIAL_DATA names no folder with the files of the trial");
        return Ok(());
    };
    for name in CSVS {
        import(world, MALL, &copied(&folder, &format!("{name}.csv"))?, "USD")?;
    }
    let commands = converted(&folder.join("eshop-catalog.json"))?;
    import(world, MALL, &commands, "USD")?;

    let client = Client::new(world.fleet.base(), MALL, "trial-key")?;
    let words = [["배낭", "backpack"], ["스노보드", "snowboard"]];
    let groups: Vec<Value> = words.iter().map(|words| json!({"words": words})).collect();
    client.post("/synonyms", &json!({"groups": groups})).send().await?.expect(200)?;
    until_found(&client, 161).await?;
    let front = client.with(MALL, "trial-shop-key");
    for (path, items, expected) in
        [("/brands", "items", 18), ("/categories", "items", 13), ("/products", "items", 100)]
    {
        let page = front.get(&format!("{path}?limit=100")).send().await?.expect(200)?;
        let listed = page.body[items].as_array().map(Vec::len);
        ensure!(listed == Some(expected), "{path}: {listed:?} of {expected}");
    }
    let skis = CategoryId::of(CategoriesId::of(&MALL.parse()?), None, "Ski/boarding");
    let page = front.get(&format!("/categories/{skis}/products")).send().await?.expect(200)?;
    ensure!(page.number("/total")? == 18, "{page:?}");
    let precision = precision(&front, &JUDGED).await?;
    ensure!(precision >= FLOOR, "precision is {precision:.2}, was {FLOOR} at least");
    Ok(())
}

/// A copy of a file, beside which what is refused may be written.
fn copied(folder: &Path, name: &str) -> Result<PathBuf> {
    let copy = scratch(name);
    fs::write(&copy, fs::read(folder.join(name)).with_context(|| name.to_owned())?)?;
    Ok(copy)
}

fn scratch(name: &str) -> PathBuf {
    env::temp_dir().join(format!("jangbu-{}-{name}", std::process::id()))
}

/// A list of products as commands: their brands and types, each once, then themselves.
fn converted(list: &Path) -> Result<PathBuf> {
    let mall: MallId = MALL.parse()?;
    let tree = CategoriesId::of(&mall);
    let list: Vec<Value> = serde_json::from_slice(&fs::read(list)?)?;
    let (mut named, mut products) = (vec![], vec![]);
    for row in &list {
        let text = |name: &str| row[name].as_str().with_context(|| format!("{row}: no {name}"));
        let (brand, kind) = (text("Brand")?, text("Type")?);
        let data = json!({"external_id": brand, "name": brand});
        named.push(json!({"command": "register_brand", "data": data}).to_string());
        named.push(json!({"command": "add_category", "data": {"name": kind}}).to_string());
        let price = format!("{:.2}", row["Price"].as_f64().context("no price")?);
        let product = json!({
            "external_id": format!("eshop-{}", row["Id"]),
            "name": text("Name")?,
            "description": text("Description")?,
            "brand_id": BrandId::of(&mall, brand),
            "category_ids": [CategoryId::of(tree, None, kind)],
            "skus": [{"code": "ONLY"}],
            "list_price": {"minor": price.replace('.', "").parse::<i64>()?, "currency": "USD"},
        });
        let data = json!({"product": product});
        products.push(json!({"command": "upsert_product", "data": data}).to_string());
    }
    named.sort();
    named.dedup();
    let file = scratch("trial.ndjson");
    fs::write(&file, [named, products].concat().join("\n"))?;
    Ok(file)
}
