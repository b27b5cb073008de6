//! What the api itself answers, for some of what was found in the log.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use domain::{CommandId, MallId};
use projections::command_status::CommandStatusRow;
use reqwest::{RequestBuilder, StatusCode};
use schemas::{CATALOG, Lane};
use serde_json::Value;
use uuid::Uuid;

use super::{Checks, Pass, Rule, fate::Fate, history::History, ledger::Ledger};
use crate::config::Keys;

/// How many products and commands are asked for in each slice.
const SAMPLE: usize = 20;
/// How long an answer may be put off before nothing is said of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause before what was put off is asked for again.
const AGAIN: Duration = Duration::from_millis(200);

/// Asks the api with the keys of its malls.
pub(super) struct Caller {
    http: reqwest::Client,
    base: String,
    keys: Keys,
}

impl Caller {
    /// A client of the api at `base`.
    ///
    /// # Errors
    /// When no client can be made, or no key is known.
    pub(super) fn new(base: &str, keys: &Keys) -> anyhow::Result<Self> {
        ensure!(!keys.is_empty(), "--api: whose keys? give --keys or JANGBU_KEYS");
        let http = reqwest::Client::builder().timeout(PATIENCE).build()?;
        Ok(Self { http, base: base.to_owned(), keys: keys.clone() })
    }

    fn get(&self, mall: &MallId, path: &str) -> Option<RequestBuilder> {
        let (key, _) = self.keys.iter().find(|(_, opens)| *opens == mall)?;
        Some(self.http.get(format!("{}/v1/{mall}{path}", self.base)).bearer_auth(key))
    }
}

/// Asks for the products changed last, with the token of their last event, and for the commands
/// decided last, by their position.
pub(super) fn ask(pass: &mut Pass<'_>, partition: i32, ledger: &Ledger<'_>) -> anyhow::Result<()> {
    let Some(caller) = &pass.caller else { return Ok(()) };
    let is_product = |history: &History| history.sound && history.row.is_some();
    let mut products: Vec<(&Uuid, &History)> =
        ledger.aggregates.iter().filter(|(_, history)| is_product(history)).collect();
    products.sort_by_key(|(_, history)| std::cmp::Reverse(history.last_offset));
    let mut commands: Vec<(&CommandId, &Fate)> =
        ledger.commands.iter().filter(|(_, fate)| fate.is_judged && fate.row.is_some()).collect();
    commands.sort_by_key(|(_, fate)| std::cmp::Reverse(fate.concluded));
    pass.observer.runtime.block_on(async {
        for (id, history) in products.into_iter().take(SAMPLE) {
            product(caller, partition, *id, history, &mut pass.checks).await?;
        }
        for (id, fate) in commands.into_iter().take(SAMPLE) {
            command(caller, partition, *id, fate, &mut pass.checks).await?;
        }
        anyhow::Ok(())
    })
}

async fn product(
    caller: &Caller,
    partition: i32,
    id: Uuid,
    history: &History,
    checks: &mut Checks,
) -> anyhow::Result<()> {
    let Some(request) = caller.get(&history.mall, &format!("/products/{id}")) else {
        return Ok(());
    };
    let token = format!("{}.{partition}.{}", CATALOG.events.name, history.last_offset);
    let request = request.header("consistency-token", &token);
    let Some((status, body)) = answer(request).await? else { return Ok(()) };
    let version = body["version"].as_i64().unwrap_or_default();
    let sees = status.is_success() && version >= history.version;
    checks.note(Rule::ReadYourWrites, sees, || {
        format!("product {id}: {status}, version {version} with {token} of {}", history.version)
    });
    Ok(())
}

async fn command(
    caller: &Caller,
    partition: i32,
    id: CommandId,
    fate: &Fate,
    checks: &mut Checks,
) -> anyhow::Result<()> {
    let (Some(row), Some((lane, offset, _))) = (&fate.row, fate.stands) else { return Ok(()) };
    let lane = if lane == Lane::Bulk { "bulk." } else { "" };
    let path = format!("/commands/{id}?at={lane}{partition}.{offset}");
    let Some(request) = caller.get(&row.mall, &path) else { return Ok(()) };
    let Some((status, body)) = answer(request).await? else { return Ok(()) };
    checks.note(Rule::Resolved, status.is_success() && says(&body, row), || {
        let (told, is) = (&body["verdict"], row.verdict);
        format!("command {id} at {lane}{partition}.{offset}: {status}, {told}, and is {is}")
    });
    Ok(())
}

fn says(body: &Value, row: &CommandStatusRow) -> bool {
    let (verdict, version) = (body["verdict"].as_str(), body["version"].as_i64());
    verdict == Some(row.verdict.as_str()) && version == Some(row.version)
}

/// The answer, once it is one: what is busy or pending is asked again for a while, and nothing is
/// said of what stays so.
async fn answer(request: RequestBuilder) -> anyhow::Result<Option<(StatusCode, Value)>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let request = request.try_clone().context("a request without a body")?;
        let response = request.send().await?;
        let status = response.status();
        if !matches!(status.as_u16(), 202 | 429 | 503) {
            return Ok(Some((status, response.json().await.unwrap_or_default())));
        }
        if Instant::now() > deadline {
            return Ok(None);
        }
        tokio::time::sleep(AGAIN).await;
    }
}
