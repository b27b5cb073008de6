//! A load of mixed commands by writers that never let go of a wish: each is sent again under its
//! key until it is decided. Some have no key and are sent once, so that nothing hides their second
//! decision.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use uuid::Uuid;

use crate::{
    client::{Answer, Client, Request},
    wait::until,
};

mod judged;
mod stalls;
mod writer;

pub use judged::{Judged, history};
use stalls::Stalls;
use writer::Writer;

/// How long the last wishes may take.
const LAST_WISHES: Duration = Duration::from_secs(120);
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// A running load.
pub struct Load {
    shared: Arc<Shared>,
    writers: JoinSet<Result<Written>>,
}

struct Shared {
    client: Client,
    ending: AtomicBool,
    decided: AtomicU64,
    sent_again: AtomicU64,
    stalls: Stalls,
}

/// A wish and what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Decided {
    /// The product.
    pub product: Uuid,
    /// The command.
    pub command: Uuid,
    /// The version it led to; `None` where it left no event.
    pub version: Option<i64>,
}

/// What a writer did.
#[derive(Debug, Default)]
struct Written {
    decided: Vec<Decided>,
    left: BTreeSet<Uuid>,
}

/// What a load did.
#[derive(Debug)]
pub struct Report {
    /// Every wish with its decision, each product's in the order of its writer.
    pub decided: Vec<Decided>,
    /// Products whose last wish was sent without a key, and may be in the log or not.
    pub left: BTreeSet<Uuid>,
    /// How often a wish had to be sent again.
    pub sent_again: u64,
    /// The longest time that a partition decided nothing.
    pub stall: Duration,
}

impl Load {
    /// Starts so many writers, each changing products of its own. What they wish follows from
    /// `seed`, and nothing else of it.
    pub fn start(client: &Client, writers: u64, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            client: client.clone(),
            ending: AtomicBool::new(false),
            decided: AtomicU64::new(0),
            sent_again: AtomicU64::new(0),
            stalls: Stalls::default(),
        });
        let mut tasks = JoinSet::new();
        for number in 0..writers {
            let writer = Writer::new(shared.clone(), seed.wrapping_add(number << 32));
            tasks.spawn(writer.write());
        }
        Self { shared, writers: tasks }
    }

    /// Waits until `count` more wishes have been decided.
    ///
    /// # Errors
    /// When the deadline passes, or a writer has given up.
    pub async fn until_decided(&mut self, count: u64, within: Duration) -> Result<()> {
        let goal = self.decided() + count;
        until(&format!("{count} more decisions"), within, async || {
            Ok(match self.ended()? {
                Some(end) => Some(Err(end)),
                None => (self.decided() >= goal).then_some(Ok(())),
            })
        })
        .await?
    }

    /// How many wishes have been decided so far.
    pub fn decided(&self) -> u64 {
        self.shared.decided.load(Relaxed)
    }

    /// The stalls so far do not count.
    pub fn forget_stalls(&self) {
        self.shared.stalls.forget();
    }

    /// Lets every writer finish what it wished last.
    ///
    /// # Errors
    /// When a writer met an answer that it should never get, or is not decided in time.
    pub async fn finish(mut self) -> Result<Report> {
        self.shared.ending.store(true, Relaxed);
        let Written { mut decided, mut left } = Written::default();
        let all = async {
            while let Some(ended) = self.writers.join_next().await {
                let mut written = ended??;
                decided.append(&mut written.decided);
                left.append(&mut written.left);
            }
            anyhow::Ok(())
        };
        timeout(LAST_WISHES, all).await.context("a wish is still not decided")??;
        let sent_again = self.shared.sent_again.load(Relaxed);
        Ok(Report { decided, left, sent_again, stall: self.shared.stalls.longest() })
    }

    /// Why a writer has ended before it was asked to, if one has.
    fn ended(&mut self) -> Result<Option<anyhow::Error>> {
        let Some(ended) = self.writers.try_join_next() else { return Ok(None) };
        Ok(Some(ended?.err().context("a writer ended by itself")?))
    }
}

impl Shared {
    /// Sends a wish until it is decided.
    async fn insist(&self, request: impl Fn() -> Request) -> Result<Answer> {
        loop {
            if let Ok(answer) = request().send().await {
                if is_decided(&answer)? {
                    return Ok(answer);
                }
                if answer.status == 202 {
                    self.until_concluded(&answer).await?;
                }
            }
            self.sent_again.fetch_add(1, Relaxed);
            sleep(BETWEEN_TRIES).await;
        }
    }

    /// Sends a wish without a key; none where nobody can tell whether it is in the log.
    async fn once(&self, request: Request) -> Result<Option<Answer>> {
        let Ok(answer) = request.send().await else { return Ok(None) };
        match (is_decided(&answer)?, answer.status) {
            (true, _) => Ok(Some(answer)),
            (false, 202) => self.until_concluded(&answer).await.map(Some),
            (false, _) => Ok(None),
        }
    }

    /// Waits until a wish is decided that was answered 202: it is in the log, so it need not be sent
    /// again. What the decision was.
    async fn until_concluded(&self, accepted: &Answer) -> Result<Answer> {
        let path = accepted.header("location")?;
        loop {
            if let Ok(answer) = self.client.located(&path).send().await {
                match answer.status {
                    200 => return Ok(answer),
                    202 | 429 | 503 => {}
                    _ => bail!("accepted at {path}, and then {answer:?}"),
                }
            }
            sleep(BETWEEN_TRIES).await;
        }
    }

    fn has_decided(&self, product: Uuid) {
        self.decided.fetch_add(1, Relaxed);
        self.stalls.heard_of(product);
    }
}

/// Whether an answer is a decision, or says to try again; anything else should never be answered.
fn is_decided(answer: &Answer) -> Result<bool> {
    match answer.status {
        200 | 201 | 409 | 412 | 422 => Ok(true),
        202 | 429 | 503 => answer.header("retry-after").map(|_| false),
        _ => bail!("{answer:?}"),
    }
}

/// A UUID of an answer by its JSON pointer.
fn uuid(answer: &Answer, pointer: &str) -> Result<Uuid> {
    Ok(answer.text(pointer)?.parse()?)
}

/// Fails unless an answer has the status that its wish must have, and the code where it has one.
fn expect(answer: &Answer, wish: &Value, status: u16, code: Option<&str>) -> Result<()> {
    let told = answer.body.pointer("/code").and_then(Value::as_str);
    ensure!(answer.status == status && told == code, "{wish}: {answer:?}");
    Ok(())
}
