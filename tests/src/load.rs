//! Writers that never let go of a wish: each is sent again under its key until it is decided.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};
use uuid::Uuid;

use crate::{
    client::{Answer, Client},
    samples,
    wait::until,
};

const PRODUCTS_PER_WRITER: usize = 3;

/// A running load.
pub struct Load {
    shared: Arc<Shared>,
    writers: JoinSet<Result<Vec<Decided>>>,
}

struct Shared {
    client: Client,
    ending: AtomicBool,
    decided: AtomicU64,
    sent_again: AtomicU64,
    price: AtomicI64,
}

/// A wish and what came of it.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The product.
    pub product: String,
    /// The command.
    pub command: String,
    /// The version it led to; `None` where it was refused.
    pub version: Option<i64>,
}

/// What a load did.
#[derive(Debug)]
pub struct Report {
    /// Every wish with its decision.
    pub decided: Vec<Decided>,
    /// How often a wish had to be sent again.
    pub sent_again: u64,
}

impl Load {
    /// Starts so many writers, each changing products of its own.
    pub fn start(client: &Client, writers: usize) -> Self {
        let shared = Arc::new(Shared {
            client: client.clone(),
            ending: AtomicBool::new(false),
            decided: AtomicU64::new(0),
            sent_again: AtomicU64::new(0),
            price: AtomicI64::new(1),
        });
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            tasks.spawn(write(shared.clone()));
        }
        Self { shared, writers: tasks }
    }

    /// Waits until `count` more wishes have been decided.
    ///
    /// # Errors
    /// When the deadline passes, or a writer has given up.
    pub async fn until_decided(&mut self, count: u64, within: Duration) -> Result<()> {
        let goal = self.shared.decided.load(Relaxed) + count;
        until(&format!("{count} more decisions"), within, async || {
            match self.writers.try_join_next() {
                Some(ended) => Err(ended?.err().context("a writer ended by itself")?),
                None => Ok((self.shared.decided.load(Relaxed) >= goal).then_some(())),
            }
        })
        .await
    }

    /// How many wishes have been decided so far.
    pub fn decided(&self) -> u64 {
        self.shared.decided.load(Relaxed)
    }

    /// Lets every writer finish what it wished last.
    ///
    /// # Errors
    /// When a writer met an answer that it should never get.
    pub async fn finish(mut self) -> Result<Report> {
        self.shared.ending.store(true, Relaxed);
        let mut decided = Vec::new();
        while let Some(ended) = self.writers.join_next().await {
            decided.append(&mut ended??);
        }
        Ok(Report { decided, sent_again: self.shared.sent_again.load(Relaxed) })
    }
}

async fn write(shared: Arc<Shared>) -> Result<Vec<Decided>> {
    let mut decided = Vec::new();
    let mut products = Vec::new();
    for _ in 0..PRODUCTS_PER_WRITER {
        let wish = shared.insist("/products", &samples::vacuum()).await?;
        products.push(wish.product.clone());
        decided.push(wish);
    }
    for turn in 0.. {
        if shared.ending.load(Relaxed) {
            break;
        }
        let path = format!("/products/{}/reprice", products[turn % products.len()]);
        let price = shared.price.fetch_add(1, Relaxed);
        // One wish in eight breaks a rule, since a refusal has to be as certain as an acceptance.
        let currency = if turn % 8 == 7 { "EUR" } else { "KRW" };
        let body = json!({"list_price": {"minor": price, "currency": currency}});
        decided.push(shared.insist(&path, &body).await?);
    }
    Ok(decided)
}

impl Shared {
    /// Sends a wish until it is decided.
    async fn insist(&self, path: &str, body: &Value) -> Result<Decided> {
        let key = Uuid::now_v7().to_string();
        loop {
            let answer = self.client.post(path, body).key(&key).send().await;
            if let Ok(answer) = answer
                && let Some(decided) = decided(path, &answer)?
            {
                self.decided.fetch_add(1, Relaxed);
                return Ok(decided);
            }
            self.sent_again.fetch_add(1, Relaxed);
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// What an answer says of a wish; `None` where it says to try again.
fn decided(path: &str, answer: &Answer) -> Result<Option<Decided>> {
    match answer.status {
        200 | 201 => Ok(Some(Decided {
            product: answer.text("/id")?,
            command: answer.text("/command_id")?,
            version: Some(answer.number("/version")?),
        })),
        409 => Ok(Some(Decided {
            product: path.split('/').nth(2).unwrap_or_default().to_owned(),
            command: answer.text("/command_id")?,
            version: None,
        })),
        202 | 503 => answer.header("retry-after").map(|_| None),
        _ => bail!("{path}: {answer:?}"),
    }
}

impl Report {
    /// Compares what the writers were told with the histories: each accepted wish is the one
    /// version that it was said to be, refused ones are nowhere, and nothing else is there.
    ///
    /// # Errors
    /// Naming the first product that disagrees.
    pub async fn check(&self, client: &Client) -> Result<()> {
        let mut told: BTreeMap<&str, BTreeMap<i64, &str>> = BTreeMap::new();
        for wish in &self.decided {
            let versions = told.entry(&wish.product).or_default();
            if let Some(version) = wish.version {
                let twice = versions.insert(version, &wish.command);
                ensure!(twice.is_none(), "two commands were told one version: {wish:?}");
            }
        }
        for (product, versions) in told {
            let what = format!("the history of {product} is what was told: {versions:?}");
            until(&what, Duration::from_secs(60), async || {
                let history = history(client, product).await?;
                let entries = history.iter().map(|(version, command)| (*version, command.as_str()));
                ensure!(versions.iter().map(|(v, c)| (*v, *c)).eq(entries), "{history:?}");
                Ok(Some(()))
            })
            .await?;
        }
        Ok(())
    }
}

/// Every version of a product with the command that led to it.
///
/// # Errors
/// When the API does not answer as documented.
pub async fn history(client: &Client, product: &str) -> Result<Vec<(i64, String)>> {
    let mut entries = Vec::new();
    let mut after = 0;
    loop {
        let path = format!("/products/{product}/history?limit=100&after={after}");
        let answer = client.get(&path).send().await?.expect(200)?;
        let page = answer.body["items"].as_array().context("no items")?;
        for entry in page {
            let version = entry["version"].as_i64().context("no version")?;
            let command = entry["command_id"].as_str().context("no command_id")?;
            entries.push((version, command.to_owned()));
            after = version;
        }
        if page.len() < 100 {
            return Ok(entries);
        }
    }
}
