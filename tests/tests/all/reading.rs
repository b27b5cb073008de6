//! Somebody who reads again and again, without waiting for a write: each read is answered, and shows
//! what it must.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::{Client, samples};
use tokio::task::JoinHandle;

use crate::world::World;

/// Of a mall in which nothing else happens.
pub(crate) const MALL: &str = "still";
/// What is read: lists of products by a read model, and by the search.
const READS: [&str; 3] = ["/products?limit=100", "/search?limit=100", "/search?q=의자&limit=100"];
const PRODUCTS: usize = 5;

/// A reader.
pub(crate) struct Reading {
    ends: Arc<AtomicBool>,
    task: JoinHandle<Result<u64>>,
}

impl Reading {
    /// Reads all products of the mall that is still, in each way, and looks at their names.
    pub(crate) async fn start(
        world: &World,
        is_right: impl Fn(&[&str]) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        let client = world.client.with(MALL, "still-key");
        for number in 0..PRODUCTS {
            let name = format!("의자 {number}");
            let (_, token) = client.register(&samples::plain(&name)).await?;
            client.find(&name, &token).await?;
            client.see("/products", &token).await?;
        }
        let (ends, all) = (Arc::<AtomicBool>::default(), products(&client, READS[0]).await?.len());
        let is_over = ends.clone();
        let task = tokio::spawn(async move {
            let mut read = 0;
            while !is_over.load(Relaxed) {
                for path in READS {
                    let found = products(&client, path).await?;
                    ensure!(found.len() == all, "{path}: {} of {all}", found.len());
                    is_right(&found.iter().map(String::as_str).collect::<Vec<_>>())?;
                    read += 1;
                }
            }
            Ok(read)
        });
        Ok(Self { ends, task })
    }

    /// Ends it; all reads were answered, and rightly.
    ///
    /// # Errors
    /// What the first of the others was.
    pub(crate) async fn finish(self) -> Result<()> {
        self.ends.store(true, Relaxed);
        let read = self.task.await??;
        println!("{read} reads");
        ensure!(read > 10, "only {read} reads");
        Ok(())
    }
}

async fn products(client: &Client, path: &str) -> Result<Vec<String>> {
    let answer = client.get(path).send().await?.expect(200)?;
    let list = if path.starts_with("/products") { "items" } else { "hits" };
    let found = answer.body[list].as_array().with_context(|| format!("{path}: {answer:?}"))?;
    let name = |product: &Value| product["name"].as_str().map(str::to_owned).context("no name");
    found.iter().map(name).collect()
}
