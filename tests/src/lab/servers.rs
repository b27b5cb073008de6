//! The servers: killed, stopped, and refusing.

use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::Client;
use serde_json::{Value, json};

use super::{PATIENCE, Scene};
use crate::{Role, process::Signal, until, wait::until_true};

/// How long a server is away beside the time that it takes to start.
const AWAY: Duration = Duration::from_secs(3);

/// How long a server stands still: longer than most of what is asked of it may take.
const FROZEN: Duration = Duration::from_secs(8);

/// kill -9 of a server, which is started again after a while.
pub(super) async fn kill(scene: Scene<'_>, server: &str) -> Result<u32> {
    scene.stack.kill(server)?;
    tokio::time::sleep(AWAY).await;
    scene.stack.start(server)?;
    Ok(1)
}

/// A server stands still, and goes on as if nothing had been: what was asked of it is done late.
pub(super) async fn freeze(scene: Scene<'_>, server: &str) -> Result<u32> {
    scene.stack.signal(server, Signal::Stop)?;
    tokio::time::sleep(FROZEN).await;
    scene.stack.signal(server, Signal::Continue)?;
    Ok(1)
}

/// A server is stopped in order, and started again after a while.
pub(super) async fn restart(scene: Scene<'_>, server: &str) -> Result<u32> {
    scene.stack.stop(server)?;
    tokio::time::sleep(AWAY).await;
    scene.stack.start(server)?;
    Ok(1)
}

/// Without the registry what runs goes on, and what is started says what it waits for.
pub(super) async fn without_registry(scene: Scene<'_>) -> Result<u32> {
    scene.stack.stop("registry")?;
    scene.load.until_decided(200, PATIENCE).await?;
    let role = if scene.chance.clone().bool() { Role::Projector } else { Role::Handler };
    scene.fleet.restart(role, None)?;
    let waits = scene.fleet.process(role)?;
    let says = until("it says what it waits for", PATIENCE, async || {
        ensure!(waits.ended()?.is_none(), "it ended: {}", waits.log_tail());
        Ok(waits.log_tail().contains("the schema registry").then_some(()))
    })
    .await;
    scene.stack.start("registry")?;
    says.map(|()| 1)
}

/// The disks of the search engine are said to be full: it takes no documents for a while.
pub(super) async fn search_is_full(scene: Scene<'_>) -> Result<u32> {
    let base = scene.fleet.setting("JANGBU_OPENSEARCH")?;
    let block = async |value: serde_json::Value| {
        let body = json!({"index.blocks.read_only_allow_delete": value});
        let request = Client::new().put(format!("{base}/*/_settings")).json(&body);
        request.send().await?.error_for_status().map(drop)
    };
    block(json!(true)).await?;
    tokio::time::sleep(AWAY).await;
    block(json!(null)).await?;
    Ok(1)
}

/// The search engine answers 429, as one does that has more to do than it can: by its admission
/// control, whose limit any load is above. First to documents, then to searches too.
pub(super) async fn search_is_busy(scene: Scene<'_>) -> Result<u32> {
    let base = scene.fleet.setting("JANGBU_OPENSEARCH")?.to_owned();
    let limit = async |mode: Value, [documents, searches]: [Value; 2]| {
        let settings = json!({"transient": {
            "admission_control.transport.mode": mode,
            "admission_control.indexing.cpu_usage.limit": documents,
            "admission_control.search.cpu_usage.limit": searches,
            // It refuses nobody before it has measured for as long as this: else for 2 minutes.
            "node.resource.tracker.global_io_usage.window_duration": "5s",
        }});
        let request = Client::new().put(format!("{base}/_cluster/settings")).json(&settings);
        request.send().await?.error_for_status().map(drop)
    };
    let client = scene.fleet.client()?;
    let indexer = scene.fleet.process(Role::Indexer)?;
    let retried = async || indexer.metric_of("jangbu_retries_total", "reason=\"index\"").await;
    let before = retried().await?;
    let felt = async {
        limit(json!("enforced"), [json!(0), Value::Null]).await?;
        let are_sent_again = async || Ok(retried().await? > before);
        until_true("documents are refused and sent again", PATIENCE, are_sent_again).await?;
        limit(json!("enforced"), [json!(0), json!(0)]).await?;
        until_true("searches are refused", PATIENCE, async || {
            let search = client.search("청소기").send().await?;
            ensure!([200, 503].contains(&search.status), "{search:?}");
            Ok(search.status == 503 && search.header("retry-after").is_ok())
        })
        .await
    }
    .await;
    tokio::time::sleep(AWAY).await;
    limit(Value::Null, [Value::Null, Value::Null]).await?;
    felt.map(|()| 1)
}
