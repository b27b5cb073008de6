//! One writer: what it wishes, and what it must be answered.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use anyhow::{Result, ensure};
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::join;
use uuid::Uuid;

use super::{Decided, Shared, Written, expect, uuid};
use crate::{
    client::{Answer, Request},
    samples,
};

/// Products that a writer changes in turn; the oldest is left for a new one now and then.
const PRODUCTS: usize = 3;
/// One wish in so many registers a product.
const NEW: u32 = 60;

/// Changes products that nobody else changes, so that it knows what each wish must lead to.
pub(super) struct Writer {
    shared: Arc<Shared>,
    chance: Rng,
    products: Vec<Product>,
    written: Written,
}

/// A product as it must be by all that was answered.
#[derive(Clone)]
struct Product {
    id: Uuid,
    version: i64,
    price: i64,
}

/// What is wished of a product.
#[derive(Clone, Copy)]
enum Wish {
    /// Another price.
    Reprice,
    /// Another name.
    Revise,
    /// The price that it has: no event.
    Unchanged,
    /// Another currency: against a rule.
    Refused,
    /// Another price, if it still has the version that it has.
    Matching,
    /// Another price, if it still had a version that it had.
    Stale,
    /// Another price, sent twice at once under one key.
    Twice,
    /// Another price, without a key.
    Once,
    /// Another price, and the same again after the answer; then another under the same key.
    Again,
}

/// What is drawn from: a wish and its share.
const WISHES: [(Wish, u32); 9] = [
    (Wish::Reprice, 40),
    (Wish::Once, 10),
    (Wish::Revise, 15),
    (Wish::Unchanged, 5),
    (Wish::Refused, 10),
    (Wish::Matching, 5),
    (Wish::Stale, 5),
    (Wish::Twice, 5),
    (Wish::Again, 5),
];

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, seed: u64) -> Self {
        Self { shared, chance: Rng::with_seed(seed), products: vec![], written: Written::default() }
    }

    /// Writes until the load ends, and answers every decision.
    pub(super) async fn write(mut self) -> Result<Written> {
        while !self.shared.ending.load(Relaxed) {
            if self.products.len() < PRODUCTS || self.chance.u32(..NEW) == 0 {
                self.register().await?;
            } else {
                let nth = self.chance.usize(..self.products.len());
                let wish = self.draw();
                match self.grant(wish, self.products[nth].clone()).await? {
                    Some(product) => self.products[nth] = product,
                    None => drop(self.written.left.insert(self.products.remove(nth).id)),
                }
            }
        }
        Ok(self.written)
    }

    fn draw(&mut self) -> Wish {
        let all: u32 = WISHES.iter().map(|(_, share)| share).sum();
        let mut left = self.chance.u32(..all);
        let chosen = WISHES.iter().find(|(_, share)| match left.checked_sub(*share) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        });
        chosen.map_or(Wish::Reprice, |(wish, _)| *wish)
    }

    async fn register(&mut self) -> Result<()> {
        let (body, key) = (samples::vacuum(), key());
        let client = &self.shared.client;
        let answer = self.shared.insist(|| client.post("/products", &body).key(&key)).await?;
        expect(&answer, &body, 201, None)?;
        let product = Product { id: uuid(&answer, "/id")?, version: 1, price: 199_000 };
        self.tell(&product, &answer, Some(1))?;
        self.products.insert(0, product);
        self.products.truncate(PRODUCTS);
        Ok(())
    }

    /// The product as it is then; none where nobody can tell.
    async fn grant(&mut self, wish: Wish, mut product: Product) -> Result<Option<Product>> {
        let price = self.chance.i64(1_000..1_000_000);
        let (price, status, code) = match wish {
            Wish::Unchanged => (product.price, 200, None),
            Wish::Refused => (price, 409, Some("CURRENCY_MISMATCH")),
            Wish::Stale if product.version > 1 => (price, 412, Some("VERSION_CONFLICT")),
            _ => (price, 200, None),
        };
        let (change, mut body) = match wish {
            // With its version, it is never the name that the product has.
            Wish::Revise => {
                ("revise", json!({"name": format!("무선청소기 {price}.{}", product.version)}))
            }
            _ => ("reprice", samples::reprice(price)),
        };
        if matches!(wish, Wish::Refused) {
            body["list_price"]["currency"] = "EUR".into();
        }
        let expected = match wish {
            Wish::Matching => Some(product.version),
            Wish::Stale if product.version > 1 => Some(product.version - 1),
            _ => None,
        };
        let (shared, key) = (self.shared.clone(), key());
        let path = format!("/products/{}/{change}", product.id);
        let post = |body: &Value| request(&shared, &path, body, &key, expected);
        let answer = if matches!(wish, Wish::Twice) {
            let (one, other) = join!(shared.insist(|| post(&body)), shared.insist(|| post(&body)));
            alike(one?, &other?)?
        } else if matches!(wish, Wish::Once) {
            let answer = shared.once(shared.client.post(&path, &body)).await?;
            let Some(answer) = answer else { return Ok(None) };
            answer
        } else {
            shared.insist(|| post(&body)).await?
        };
        expect(&answer, &body, status, code)?;
        if matches!(wish, Wish::Again) {
            alike(answer.clone(), &shared.insist(|| post(&body)).await?)?;
            let other = samples::reprice(price + 1);
            let refused = shared.insist(|| post(&other)).await?;
            expect(&refused, &other, 422, Some("KEY_REUSED"))?;
        }
        // The price that the product has changes nothing.
        let is_event = status == 200 && answer.text("/verdict")? == "ACCEPTED";
        let stays = change == "reprice" && price == product.price;
        ensure!(status != 200 || is_event || stays, "{body}: {answer:?}");
        if is_event {
            product.version = answer.number("/version")?;
            if change == "reprice" {
                product.price = price;
            }
        }
        let version = is_event.then_some(product.version);
        self.tell(&product, &answer, version)?;
        Ok(Some(product))
    }

    fn tell(&mut self, product: &Product, answer: &Answer, version: Option<i64>) -> Result<()> {
        let command = uuid(answer, "/command_id")?;
        self.shared.has_decided(product.id);
        self.written.decided.push(Decided { product: product.id, command, version });
        Ok(())
    }
}

fn request(shared: &Shared, path: &str, body: &Value, key: &str, expected: Option<i64>) -> Request {
    let request = shared.client.post(path, body).key(key);
    match expected {
        Some(version) => request.header("if-match", &format!("\"{version}\"")),
        None => request,
    }
}

fn key() -> String {
    Uuid::now_v7().to_string()
}

/// Fails unless the same wish was answered alike.
fn alike(first: Answer, second: &Answer) -> Result<Answer> {
    let same = first.status == second.status && first.body == second.body;
    ensure!(same, "one key, two answers: {first:?} and {second:?}");
    Ok(first)
}
