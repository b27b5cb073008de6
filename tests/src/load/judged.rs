//! What the histories say of what the writers were told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::{task::JoinSet, time::sleep};
use uuid::Uuid;

use super::{Decided, Report};
use crate::client::Client;

/// How long the read side may need until it shows what was told.
const PATIENCE: Duration = Duration::from_secs(120);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// Products that are asked for at a time.
const AT_ONCE: usize = 16;

/// How the histories of all products differ from what their writers were told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Wishes said to be granted whose event is nowhere.
    pub lost: u64,
    /// Events of a command that has another, or of one that was refused or never sent.
    pub doubled: u64,
    /// Events whose version, or whose place among those of their product, is another than told.
    pub disordered: u64,
    /// The first of them.
    pub example: Option<String>,
}

impl Report {
    /// Compares what the writers were told with the histories: each accepted wish is the one
    /// version that it was said to be, refused ones are nowhere, and nothing else is there.
    ///
    /// # Errors
    /// When the API does not answer as documented.
    pub async fn judge(&self, client: &Client) -> Result<Judged> {
        let mut told: BTreeMap<Uuid, Vec<Decided>> = BTreeMap::new();
        for wish in &self.decided {
            told.entry(wish.product).or_default().push(*wish);
        }
        let (mut sum, mut tasks) = (Judged::default(), JoinSet::new());
        for (product, wishes) in told {
            let is_left = self.left.contains(&product);
            while tasks.len() >= AT_ONCE {
                sum.add(tasks.join_next().await.context("no task")???);
            }
            tasks.spawn(judge(client.clone(), product, wishes, is_left));
        }
        while let Some(one) = tasks.join_next().await {
            sum.add(one??);
        }
        Ok(sum)
    }

    /// As [`Report::judge`], where anything that differs is a fault.
    ///
    /// # Errors
    /// Naming the first product that disagrees.
    pub async fn check(&self, client: &Client) -> Result<()> {
        let judged = self.judge(client).await?;
        ensure!(judged == Judged::default(), "{judged:?}");
        Ok(())
    }
}

impl Judged {
    /// Adds what was found elsewhere.
    pub fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.disordered += other.disordered;
        self.example = self.example.take().or(other.example);
    }
}

async fn judge(
    client: Client,
    product: Uuid,
    wishes: Vec<Decided>,
    is_left: bool,
) -> Result<Judged> {
    let last = wishes.iter().filter_map(|wish| wish.version).max().unwrap_or(0);
    let (product, deadline) = (product.to_string(), Instant::now() + PATIENCE);
    // What never comes is not waited for in vain: it is what is looked for.
    let history = loop {
        let seen = history(&client, &product).await;
        let is_whole = matches!(&seen, Ok(seen) if seen.last().map_or(0, |(v, _)| *v) >= last);
        if is_whole || Instant::now() > deadline {
            break seen?;
        }
        sleep(BETWEEN_LOOKS).await;
    };
    let judged = compare(&wishes, &history, is_left);
    Ok(Judged { example: judged.example.map(|what| format!("{product}: {what}")), ..judged })
}

/// Where the product was left, its last event may be one that nobody was told of.
fn compare(wishes: &[Decided], history: &[(i64, Uuid)], is_left: bool) -> Judged {
    let mut judged = Judged::default();
    let granted: BTreeMap<Uuid, i64> =
        wishes.iter().filter_map(|wish| Some((wish.command, wish.version?))).collect();
    let there: BTreeSet<Uuid> = history.iter().map(|(_, command)| *command).collect();
    for (command, version) in granted.iter().filter(|(command, _)| !there.contains(command)) {
        judged.lost += 1;
        judged.note(format!("{command} was told version {version}, and is nowhere"));
    }
    let mut met = BTreeSet::new();
    let untold = history.split_last().filter(|((_, last), before)| {
        let is_new = before.iter().all(|(_, other)| other != last);
        is_left && is_new && wishes.iter().all(|wish| wish.command != *last)
    });
    let history = untold.map_or(history, |(_, before)| before);
    for (place, (version, command)) in (1..).zip(history) {
        if !met.insert(command) || !granted.contains_key(command) {
            judged.doubled += 1;
            judged.note(format!("version {version} is one too many, of {command}"));
        } else if granted.get(command) != Some(version) || *version != place {
            judged.disordered += 1;
            judged.note(format!("{command} is version {version} at place {place}"));
        }
    }
    // A writer waits for each answer before its next wish.
    let versions = wishes.iter().filter_map(|wish| wish.version).collect::<Vec<_>>();
    for pair in versions.windows(2).filter(|pair| pair[1] <= pair[0]) {
        judged.disordered += 1;
        judged.note(format!("version {} was told after {}", pair[1], pair[0]));
    }
    judged
}

impl Judged {
    fn note(&mut self, what: String) {
        self.example.get_or_insert(what);
    }
}

/// Every version of a product with the command that led to it.
///
/// # Errors
/// When the API does not answer as documented.
pub async fn history(client: &Client, product: &str) -> Result<Vec<(i64, Uuid)>> {
    let mut entries = Vec::new();
    let mut after = 0;
    loop {
        let path = format!("/products/{product}/history?limit=100&after={after}");
        let answer = client.get(&path).send().await?.expect(200)?;
        let page = answer.body["items"].as_array().context("no items")?;
        for entry in page {
            let version = entry["version"].as_i64().context("no version")?;
            let command = entry["command_id"].as_str().context("no command_id")?;
            entries.push((version, command.parse()?));
            after = version;
        }
        if page.len() < 100 {
            return Ok(entries);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(command: u128, version: Option<i64>) -> Decided {
        Decided { product: Uuid::nil(), command: Uuid::from_u128(command), version }
    }

    /// Lost, doubled and disordered, where 1 and 2 were granted and 3 was refused.
    fn judged(history: &[(i64, u128)], is_left: bool) -> (u64, u64, u64) {
        let wishes = [wish(1, Some(1)), wish(2, Some(2)), wish(3, None)];
        let history: Vec<_> = history.iter().map(|(v, c)| (*v, Uuid::from_u128(*c))).collect();
        let judged = compare(&wishes, &history, is_left);
        assert_eq!(judged.example.is_some(), judged != Judged::default());
        (judged.lost, judged.doubled, judged.disordered)
    }

    #[test]
    fn each_kind_of_difference_is_told_apart() {
        assert_eq!(judged(&[(1, 1), (2, 2)], false), (0, 0, 0));
        assert_eq!(judged(&[(1, 1)], false), (1, 0, 0));
        assert_eq!(judged(&[(1, 1), (2, 2), (3, 2)], false), (0, 1, 0));
        assert_eq!(judged(&[(1, 1), (2, 2), (3, 3)], false), (0, 1, 0), "it was refused");
        assert_eq!(judged(&[(1, 2), (2, 1)], false), (0, 0, 2));
        assert_eq!(judged(&[(1, 1), (3, 2)], false), (0, 0, 1));
        assert_eq!(judged(&[(1, 1), (2, 2), (3, 9)], true), (0, 0, 0));
        assert_eq!(judged(&[(1, 1), (2, 2), (3, 9), (4, 9)], true), (0, 2, 0));
        assert_eq!(judged(&[(1, 1), (2, 2), (3, 3)], true), (0, 1, 0), "it was refused");
    }
}
