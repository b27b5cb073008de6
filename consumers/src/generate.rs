//! `jangbu generate`: a shop as NDJSON of commands for `jangbu import`, the same for the same seed.
//!
//! Lines are made one by one, so any number of products takes the same memory.

use std::{
    fs::File,
    io::{BufWriter, Write, stdout},
};

use anyhow::Context as _;
use domain::{BrandId, CategoriesId, CategoryId, MallId, PartnerId};
use serde_json::{Value, json};

use crate::config::{Flag, Given, Usage};

mod chance;
mod words;

use chance::{Chance, Skewed};
use words::{ADJECTIVES, BRAND_ENDS, BRAND_STARTS, COLOURS, GROUPS, Kind, PARTNERS, SIZES};

/// What `jangbu generate` takes.
pub const USAGE: Usage = Usage {
    about: "jangbu generate: a shop of any size as NDJSON of commands, for `jangbu import`.",
    settings: &[],
    flags: &[
        Flag { name: "products", value: Some("N"), meaning: "How many; default 1000." },
        Flag { name: "seed", value: Some("S"), meaning: "Another one makes another shop." },
        Flag { name: "mall", value: Some("MALL"), meaning: "Whose ids; default demo." },
        Flag { name: "out", value: Some("FILE"), meaning: "Where to; default stdout." },
    ],
};

/// When everything was seen to be so: a shop that is generated again is not newer.
const OBSERVED_AT: &str = "2026-01-01T00:00:00.000Z";

/// Runs the command.
///
/// # Errors
/// When a flag is no number, or what is made cannot be written.
pub fn run(given: &Given) -> anyhow::Result<bool> {
    let number = |name: &str, usual: u64| -> anyhow::Result<u64> {
        let given = given.value(name).map(str::parse).transpose();
        Ok(given.with_context(|| format!("--{name}"))?.unwrap_or(usual))
    };
    let mall = given.value("mall").unwrap_or("demo").parse().context("--mall")?;
    let (products, seed) = (number("products", 1000)?, number("seed", 1)?);
    let out: Box<dyn Write> = match given.value("out") {
        Some(path) => Box::new(File::create(path).with_context(|| path.to_owned())?),
        None => Box::new(stdout()),
    };
    let mut out = BufWriter::new(out);
    for command in Shop::new(&mall, products, seed).commands() {
        if writeln!(out, "{command}").is_err() {
            return Ok(true); // whoever reads has seen enough
        }
    }
    out.flush()?;
    Ok(true)
}

/// A shop in the making.
struct Shop {
    tree: CategoriesId,
    products: u64,
    seed: u64,
    partners: Vec<PartnerId>,
    brands: Vec<(BrandId, String)>,
    /// The most sold few have most of the products.
    by_partner: Skewed,
    by_brand: Skewed,
    by_kind: Skewed,
}

impl Shop {
    fn new(mall: &MallId, products: u64, seed: u64) -> Self {
        let sized = |least: u64, each: u64, most: u64| (least + products / each).min(most);
        let partners = (0..sized(8, 2000, 60)).map(|at| PartnerId::of(mall, &number("P", at)));
        let brands = 0..sized(20, 100, 1000);
        let brands = brands.map(|at| (BrandId::of(mall, &number("B", at)), brand(at)));
        let (partners, brands): (Vec<_>, Vec<_>) = (partners.collect(), brands.collect());
        Self {
            tree: CategoriesId::of(mall),
            products,
            seed,
            by_partner: Skewed::over(partners.len()),
            by_brand: Skewed::over(brands.len()),
            by_kind: Skewed::over(kinds().count()),
            partners,
            brands,
        }
    }

    /// Partners, brands and categories first, since products refer to them.
    fn commands(&self) -> impl Iterator<Item = Value> {
        let partners = (0..).zip(&self.partners).map(|(at, _)| {
            let name = PARTNERS[usize::try_from(at).unwrap_or_default() % PARTNERS.len()];
            let name =
                if at < PARTNERS.len() as u64 { name.to_owned() } else { format!("{name} {at}") };
            let data = json!({"external_id": number("P", at), "name": name});
            json!({"command": "register_partner", "key": number("generated-P", at), "data": data})
        });
        let brands = (0..).zip(&self.brands).map(|(at, (_, name))| {
            let data = json!({"external_id": number("B", at), "name": name});
            json!({"command": "register_brand", "key": number("generated-B", at), "data": data})
        });
        let groups = GROUPS.iter().flat_map(|group| {
            let parent = CategoryId::of(self.tree, None, group.name);
            let below = group.kinds.iter().map(move |kind| category(Some(parent), kind.category));
            [category(None, group.name)].into_iter().chain(below)
        });
        let products = (0..self.products).map(|at| self.product(at));
        partners.chain(brands).chain(groups).chain(products)
    }

    /// The product of a number: it depends on that and the seed alone.
    fn product(&self, at: u64) -> Value {
        let mut chance = Chance::new(self.seed, at);
        let (group, kind) = kinds().nth(self.by_kind.pick(&mut chance)).unwrap_or(kinds_first());
        let (brand_id, brand) = &self.brands[self.by_brand.pick(&mut chance)];
        let partner = self.partners[self.by_partner.pick(&mut chance)];
        let (korean, english) = chance.of(kind.names);
        let (adjective, adjective_en) = chance.of(ADJECTIVES);
        let model = chance.model();
        let name = match chance.below(10) {
            0..7 => format!("{brand} {adjective} {korean} {model}"),
            _ => format!("{brand} {adjective_en} {english} {model}"),
        };
        let price = kind.won * chance.price_percent() / 100 / 100 * 100;
        let price = price.max(900);
        let (options, skus) = options(kind, price, &mut chance);
        let parent = CategoryId::of(self.tree, None, group);
        let external_id = format!("G{}-{at}", self.seed);
        let product = json!({
            "external_id": external_id,
            "partner_id": partner,
            "name": name,
            "description": format!("{adjective} {korean}. {adjective_en} {english} by {brand}, {model}."),
            "options": options,
            "skus": skus,
            "list_price": won(price),
            "images": [format!("https://img.example/{external_id}.jpg")],
            "brand_id": brand_id,
            "category_ids": [CategoryId::of(self.tree, Some(parent), kind.category)],
            "approval": "FINISHED",
            "sale_state": if chance.below(50) == 0 { "STOP" } else { "ONSALE" },
        });
        let data = json!({"product": product, "observed_at": OBSERVED_AT});
        json!({"command": "upsert_product", "key": format!("generated-{external_id}"), "data": data})
    }
}

fn kinds() -> impl Iterator<Item = (&'static str, &'static Kind)> {
    GROUPS.iter().flat_map(|group| group.kinds.iter().map(|kind| (group.name, kind)))
}

fn kinds_first() -> (&'static str, &'static Kind) {
    (GROUPS[0].name, &GROUPS[0].kinds[0])
}

fn category(parent: Option<CategoryId>, name: &str) -> Value {
    let parent_text = parent.map(|id| id.to_string()).unwrap_or_default();
    let key = format!("generated-C{}", domain::id::derive(&[&parent_text, name]).simple());
    json!({"command": "add_category", "key": key, "data": {"parent_id": parent, "name": name}})
}

/// The combinations of what can be chosen, each under a code of its own; some cost more.
fn options(kind: &Kind, price: i64, chance: &mut Chance) -> (Value, Value) {
    let some = |values: &[&'static str], chance: &mut Chance| -> Vec<&'static str> {
        let most = u64::try_from(values.len()).unwrap_or(1);
        let count = usize::try_from(1 + chance.below(most)).unwrap_or(1);
        values.iter().take(count).copied().collect()
    };
    let colours = if kind.has_colours { some(COLOURS, chance) } else { vec![] };
    let sizes = if kind.has_sizes { some(SIZES, chance) } else { vec![] };
    let option = |name: &str, values: &[&str]| {
        (!values.is_empty()).then(|| json!({"name": name, "values": values}))
    };
    let options: Vec<Value> =
        [option("색상", &colours), option("사이즈", &sizes)].into_iter().flatten().collect();
    let or_none = |values: &[&'static str]| -> Vec<Option<&'static str>> {
        if values.is_empty() { vec![None] } else { values.iter().copied().map(Some).collect() }
    };
    let mut skus = vec![];
    for (c, colour) in or_none(&colours).into_iter().enumerate() {
        for (s, size) in or_none(&sizes).into_iter().enumerate() {
            let choices: Vec<&str> = colour.into_iter().chain(size).collect();
            let dearer = (s > 2).then(|| won(price + price / 1000 * 100));
            skus.push(json!({"code": format!("C{c}S{s}"), "choices": choices, "price": dearer}));
        }
    }
    (json!(options), json!(skus))
}

fn won(minor: i64) -> Value {
    json!({"minor": minor, "currency": "KRW"})
}

fn number(prefix: &str, at: u64) -> String {
    format!("{prefix}{at:05}")
}

/// The name of the brand of a number; no two are alike.
fn brand(at: u64) -> String {
    let at = usize::try_from(at).unwrap_or_default();
    let (start, end) = (at % BRAND_STARTS.len(), at / BRAND_STARTS.len());
    let (name, round) = (BRAND_ENDS[end % BRAND_ENDS.len()], end / BRAND_ENDS.len());
    let start = BRAND_STARTS[start];
    if round == 0 { format!("{start}{name}") } else { format!("{start}{name} {}", round + 1) }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn shop(products: u64, seed: u64) -> Vec<Value> {
        Shop::new(&"demo".parse().unwrap(), products, seed).commands().collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_shop_and_another_one_another() {
        assert_eq!(shop(50, 7), shop(50, 7));
        assert_ne!(shop(50, 7), shop(50, 8));
        // A larger shop holds the smaller one's products.
        let names = |shop: Vec<Value>| -> HashSet<String> {
            shop.iter().map(|c| c["data"]["product"]["external_id"].to_string()).collect()
        };
        assert!(names(shop(50, 7)).is_subset(&names(shop(60, 7))));
    }

    #[test]
    fn what_products_refer_to_comes_first() {
        let shop = shop(300, 1);
        let brands = (0..).map(|at| BrandId::of(&"demo".parse().unwrap(), &number("B", at)));
        let brands: HashSet<String> = brands.take(23).map(|id| id.to_string()).collect();
        let products: Vec<_> = shop.iter().filter(|c| c["command"] == "upsert_product").collect();
        assert_eq!(products.len(), 300);
        for product in &products {
            let brand = product["data"]["product"]["brand_id"].as_str().unwrap();
            assert!(brands.contains(brand), "{product}");
        }
        let keys: HashSet<_> = shop.iter().map(|c| c["key"].to_string()).collect();
        assert_eq!(keys.len(), shop.len(), "a key is used twice");
    }

    #[test]
    fn a_few_brands_have_most_of_the_products() {
        let mut counts: HashMap<String, u32> = HashMap::new();
        for command in shop(2000, 1) {
            if command["command"] == "upsert_product" {
                *counts.entry(command["data"]["product"]["brand_id"].to_string()).or_default() += 1;
            }
        }
        let mut counts: Vec<u32> = counts.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        assert!(counts.iter().take(10).sum::<u32>() > 900, "{counts:?}");
    }

    #[test]
    fn no_two_brands_are_alike() {
        let names: HashSet<String> = (0..1000).map(brand).collect();
        assert_eq!(names.len(), 1000);
    }
}
