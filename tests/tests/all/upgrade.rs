//! This build and the next one at work side by side: the next one has a new field in an event, a new
//! type of event, and folds its states otherwise (`tests/next/change.patch`).

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use serde_json::json;
use tests::{
    Client, Load, Role,
    client::Answer,
    fleet::free_port,
    process::{self, Process, Settings},
    wait::until_true,
};
use tokio::task::spawn_blocking;

use crate::{restore::Log, world::World};

const PATIENCE: Duration = Duration::from_secs(120);
/// Enough for each partition to have some.
const BRANDS: usize = 24;
/// What only the next build's events have room for.
const TEXT: &str = "청정";
const REASON: Option<&str> = Some("a new owner");

/// The next build, on the servers of this one.
struct Next {
    folder: PathBuf,
    settings: Settings,
    base: String,
}

impl Next {
    fn of(world: &World) -> Result<Self> {
        let folder = process::binaries()?.join("next");
        ensure!(folder.join("jangbu").exists(), "there is no next build: `make next`");
        let mut settings = world.fleet.settings().clone();
        let port = free_port()?;
        settings.insert("JANGBU_HTTP".to_owned(), format!("127.0.0.1:{port}"));
        settings.insert("JANGBU_REPLY_PARTITION".to_owned(), "1".to_owned());
        Ok(Self { folder, settings, base: format!("http://127.0.0.1:{port}") })
    }

    fn binary(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn start(&self, role: Role) -> Result<Process> {
        Process::start(
            &self.binary(role.binary()),
            &format!("next-{}", role.binary()),
            &self.settings,
        )
    }

    /// Its operator's tool; what it prints, if it ends well.
    async fn jangbu(&self, words: &'static [&'static str]) -> Result<String> {
        let (binary, settings) = (self.binary("jangbu"), self.settings.clone());
        let (status, printed) =
            spawn_blocking(move || process::run(&binary, words, &settings)).await??;
        ensure!(status.success(), "jangbu {}: {printed}", words.join(" "));
        Ok(printed)
    }

    async fn client(&self) -> Result<Client> {
        let client = Client::new(&self.base, "demo", "demo-key")?;
        let ready = async || Ok(client.open("/health/ready").send().await?.status == 200);
        until_true("the next api is ready", PATIENCE, ready).await?;
        Ok(client)
    }
}

pub(crate) async fn two_builds_work_side_by_side(world: &mut World) -> Result<()> {
    let (old, next) = (world.client.clone(), Next::of(world)?);
    let mut load = Load::start(&old, 8, 5);
    load.until_decided(100, PATIENCE).await?;

    // What the next build needs is made beside what this one uses.
    next.jangbu(&["topics", "apply", "--yes"]).await?;
    let printed = next.jangbu(&["migrate"]).await?;
    ensure!(printed.contains("no version of \"snapshot\""), "{printed}");
    let log = Log::of("next-command-handler")?;
    let handler = next.start(Role::Handler)?;
    log.says("has the shape of this build", PATIENCE).await?;
    let printed = next.jangbu(&["replay", "start", "snapshot"]).await?;
    ensure!(printed.contains("version 2 is level with the log"), "{printed}");

    // All of both.
    let others = [next.start(Role::Projector)?, next.start(Role::Indexer)?];
    let api = next.start(Role::Api)?;
    let new = next.client().await?;
    log.says("partition taken", PATIENCE).await?;
    let brands = register(&old).await?;
    rename(&old, &brands, "one", None).await?;
    rename(&new, &brands, "two", None).await?;
    rename(&old, &brands, "three", None).await?;
    load.until_decided(500, PATIENCE).await?;

    // With this build's handler gone, the new command is decided.
    world.fleet.terminate(Role::Handler).await?;
    for brand in &brands {
        ensure!(describe(&new, brand, TEXT).await?.text("/verdict")? == "ACCEPTED");
    }
    rename(&new, &brands, "four", REASON).await?;
    load.until_decided(200, PATIENCE).await?;

    // And back: what this build does not know, it may step over.
    let log = Log::of(Role::Handler.binary())?;
    world.fleet.restart(Role::Handler, None)?;
    handler.stop().await?;
    log.says("partition taken", PATIENCE).await?;
    rename(&old, &brands, "five", None).await?;
    load.until_decided(200, PATIENCE).await?;

    // Forth for good, on nothing but its own snapshot.
    let handler = next.start(Role::Handler)?;
    for role in [Role::Handler, Role::Projector, Role::Indexer] {
        world.fleet.terminate(role).await?;
    }
    next.jangbu(&["replay", "swap", "snapshot", "--version", "2"]).await?;
    for brand in &brands {
        let again = describe(&new, brand, TEXT).await?;
        ensure!(again.text("/verdict")? == "UNCHANGED", "{again:?}");
    }
    load.until_decided(200, PATIENCE).await?;
    let report = load.finish().await?;
    println!("{} decided, longest stall {:?}", report.decided.len(), report.stall);
    report.check(&old).await?;
    next.jangbu(&["verify", "--wait", "30"]).await?;
    histories(world).await?;

    // Home again, whatever the next build has left.
    next.jangbu(&["replay", "swap", "snapshot", "--version", "1"]).await?;
    handler.stop().await?;
    for process in others.into_iter().chain([api]) {
        process.stop().await?;
    }
    for role in [Role::Projector, Role::Handler, Role::Indexer] {
        world.fleet.restart(role, None)?;
    }
    rename(&old, &brands, "six", None).await?;
    let (status, printed) =
        world.fleet.jangbu(&["replay", "drop", "snapshot", "--version", "2"])?;
    ensure!(status.success(), "{printed}");
    world.fleet.verify(&[]).await
}

async fn register(client: &Client) -> Result<Vec<String>> {
    let mut brands = vec![];
    for number in 0..BRANDS {
        let body = json!({ "name": format!("brand {number}") });
        brands.push(client.post("/brands", &body).send().await?.expect(201)?.text("/id")?);
    }
    Ok(brands)
}

/// Calls each brand otherwise, for a reason if the api knows of such.
async fn rename(
    client: &Client,
    brands: &[String],
    name: &str,
    reason: Option<&str>,
) -> Result<()> {
    for (number, brand) in brands.iter().enumerate() {
        let mut body = json!({ "name": format!("{name} {number}") });
        if let Some(reason) = reason {
            body["reason"] = json!(reason);
        }
        let (path, key) = (format!("/brands/{brand}/rename"), format!("{brand}-{name}"));
        client.insist(&path, &body, &key).await?.expect(200)?;
    }
    Ok(())
}

async fn describe(client: &Client, brand: &str, text: &str) -> Result<Answer> {
    let (path, body) = (format!("/brands/{brand}/describe"), json!({ "text": text }));
    client.insist(&path, &body, &uuid::Uuid::now_v7().to_string()).await?.expect(200)
}

/// Whichever build wrote them down, nothing of the events is missing.
async fn histories(world: &World) -> Result<()> {
    let db = projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 1).await?;
    let told = async |kind: &str, what: &str| {
        let rows: Vec<(String,)> = sqlx::query_as("SELECT data FROM history_v1 WHERE kind = ?")
            .bind(format!("jangbu.catalog.{kind}"))
            .fetch_all(&db)
            .await?;
        let whole = rows.iter().filter(|(data,)| data.contains(what)).count();
        ensure!(whole >= BRANDS, "{whole} of {} {kind} tell {what:?}", rows.len());
        Ok(())
    };
    told("BrandDescribed", TEXT).await?;
    told("BrandRenamed", REASON.unwrap_or_default()).await
}
