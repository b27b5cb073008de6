//! The network between our processes and a server, through toxiproxy: slow, silent, cut.

use std::{ops::Range, time::Duration};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, RequestBuilder};
use schemas::topic::PARTITIONS;
use serde_json::{Value, json};

use super::{PATIENCE, Scene, processes::owns};
use crate::{Role, process::Signal, wait::until_true};

/// How long each of it lasts, in milliseconds: shorter and longer than a session and a transaction
/// may be silent.
const LASTS: Range<u64> = 1_000..12_000;
/// Longer than a transaction may take.
const COMMIT_LOST: Duration = Duration::from_millis(3_500);

/// Who goes to which server.
const WAYS: [(Role, &str); 9] = [
    (Role::Handler, "kafka"),
    (Role::Handler, "mysql"),
    (Role::Projector, "kafka"),
    (Role::Projector, "mysql"),
    (Role::Indexer, "kafka"),
    (Role::Indexer, "mysql"),
    (Role::Indexer, "opensearch"),
    (Role::Api, "kafka"),
    (Role::Api, "mysql"),
];
/// What can happen to one of them alone.
const ALONE: [Wire; 4] = [Wire::Slow, Wire::HalfOpen, Wire::Reset, Wire::Cut];

/// What happens to the bytes; the names are toxiproxy's.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wire {
    /// Every packet takes up to a third of a second.
    Slow,
    /// Connections stay open, and nothing comes through.
    HalfOpen,
    /// What is sent comes through when it is over, and not before.
    Late,
    /// Connections are reset after a moment, again and again.
    Reset,
    /// Connections close late.
    SlowClose,
    /// Connections are closed, and no others are taken.
    Cut,
}

/// Something happens on the way to a server for a while.
pub(super) async fn disturb(mut scene: Scene<'_>, wire: Wire, server: &str) -> Result<u32> {
    let proxies = Proxies::before(&scene, server).await?;
    proxies.begin(wire).await?;
    tokio::time::sleep(Duration::from_millis(scene.chance.u64(LASTS))).await;
    proxies.end().await?;
    Ok(1)
}

/// One process alone is disturbed on its way to one server: each in turn, to each that it needs.
pub(super) async fn disturb_one(mut scene: Scene<'_>) -> Result<u32> {
    let ((role, server), wire) = (scene.in_turn(&WAYS), ALONE[scene.chance.usize(..ALONE.len())]);
    let proxies = Proxies::of(&scene, role, server).await?;
    let what = || format!("{} to {server}: {wire:?}", role.binary());
    proxies.begin(wire).await.with_context(what)?;
    tokio::time::sleep(Duration::from_millis(scene.chance.u64(LASTS))).await;
    proxies.end().await.with_context(what)?;
    Ok(1)
}

/// What a handler alone asks of the brokers does not come through. Another takes its partitions over;
/// then all that the first had asked for comes through at once.
pub(super) async fn isolate(scene: Scene<'_>) -> Result<u32> {
    let everything = f64::from(PARTITIONS);
    let successor = scene.fleet.another(Role::Handler, "command-handler-2", None)?;
    owns(&successor, |owned| owned > 0.0).await?;
    let proxies = Proxies::of(&scene, Role::Handler, "kafka").await?;
    proxies.begin(Wire::Late).await?;
    owns(&successor, |owned| owned >= everything).await.context("its successor")?;
    scene.load.until_decided(200, PATIENCE).await.context("by its successor")?;
    let first = scene.fleet.process(Role::Handler)?;
    owns(first, |owned| owned < 1.0).await.context("it knows that it is alone")?;
    proxies.end().await?;
    owns(first, |owned| owned > 0.0).await.context("back again")?;
    owns(&successor, |owned| owned < everything).await.context("they share again")?;
    scene.load.until_decided(200, PATIENCE).await.context("by both")?;
    successor.stop().await?;
    Ok(1)
}

/// A handler asks for its commit, and the answer is lost with the network: nobody knows whether the
/// transaction was committed.
pub(super) async fn lose_a_commit(mut scene: Scene<'_>) -> Result<u32> {
    let point = format!("handler.before_commit:{}:stop", scene.chance.u32(1..20));
    scene.fleet.restart(Role::Handler, Some(&point))?;
    scene.fleet.process(Role::Handler)?.until_stopped(PATIENCE).await?;
    let proxies = Proxies::before(&scene, "kafka").await?;
    // Half of them: what is asked still reaches the brokers, and what they answer is lost.
    let is_asked = scene.chance.bool();
    let stream = if is_asked { "downstream" } else { "upstream" };
    proxies.add("timeout", stream, &json!({"timeout": 0})).await?;
    scene.fleet.process(Role::Handler)?.signal(Signal::Continue)?;
    tokio::time::sleep(COMMIT_LOST).await;
    proxies.end().await?;
    let handler = scene.fleet.process(Role::Handler)?;
    until_true("the handler does not know of its commit", PATIENCE, async || {
        Ok(handler.metric_of("jangbu_transactions_total", "result=\"unknown\"").await? > 0.0)
    })
    .await?;
    Ok(1)
}

/// The proxies in front of a server.
struct Proxies {
    http: Client,
    base: String,
    names: Vec<String>,
}

impl Proxies {
    async fn before(scene: &Scene<'_>, server: &str) -> Result<Self> {
        Self::named(scene, |name| name.starts_with(server), server).await
    }

    /// Those that only the fleet's own process of a role comes through.
    async fn of(scene: &Scene<'_>, role: Role, server: &str) -> Result<Self> {
        let own = |name: &str| name.starts_with(server) && name.ends_with(role.word());
        Self::named(scene, own, server).await
    }

    async fn named(
        scene: &Scene<'_>,
        is_meant: impl Fn(&str) -> bool,
        server: &str,
    ) -> Result<Self> {
        let base = format!("{}/proxies", scene.fleet.setting("JANGBU_TOXIPROXY")?);
        let http = Client::new();
        let all: Value = http.get(&base).send().await?.error_for_status()?.json().await?;
        let all = all.as_object().context("no proxies")?;
        let names: Vec<_> = all.keys().filter(|name| is_meant(name)).cloned().collect();
        ensure!(!names.is_empty(), "no proxy before {server}");
        Ok(Self { http, base, names })
    }

    async fn begin(&self, wire: Wire) -> Result<()> {
        match wire {
            Wire::Slow => {
                let late = json!({"latency": 150, "jitter": 150});
                self.add("latency", "upstream", &late).await?;
                self.add("latency", "downstream", &late).await
            }
            Wire::HalfOpen => {
                self.add("timeout", "upstream", &json!({"timeout": 0})).await?;
                self.add("timeout", "downstream", &json!({"timeout": 0})).await
            }
            Wire::Late => self.add("latency", "upstream", &json!({"latency": 600_000})).await,
            Wire::Reset => self.add("reset_peer", "downstream", &json!({"timeout": 300})).await,
            Wire::SlowClose => self.add("slow_close", "downstream", &json!({"delay": 2_000})).await,
            Wire::Cut => self.enable(false).await,
        }
    }

    async fn add(&self, toxic: &str, stream: &str, attributes: &Value) -> Result<()> {
        let body = json!({"type": toxic, "stream": stream, "attributes": attributes});
        for name in &self.names {
            said(self.http.post(format!("{}/{name}/toxics", self.base)).json(&body)).await?;
        }
        Ok(())
    }

    /// Everything as it was.
    async fn end(&self) -> Result<()> {
        for name in &self.names {
            let toxics = self.http.get(format!("{}/{name}/toxics", self.base));
            let toxics: Vec<Value> = toxics.send().await?.error_for_status()?.json().await?;
            for toxic in toxics.iter().filter_map(|toxic| toxic["name"].as_str()) {
                said(self.http.delete(format!("{}/{name}/toxics/{toxic}", self.base))).await?;
            }
        }
        self.enable(true).await
    }

    async fn enable(&self, enabled: bool) -> Result<()> {
        for name in &self.names {
            let body = json!({ "enabled": enabled });
            said(self.http.post(format!("{}/{name}", self.base)).json(&body)).await?;
        }
        Ok(())
    }
}

async fn said(request: RequestBuilder) -> Result<()> {
    let answer = request.send().await?;
    let status = answer.status();
    ensure!(status.is_success(), "toxiproxy: {status} {}", answer.text().await?);
    Ok(())
}
