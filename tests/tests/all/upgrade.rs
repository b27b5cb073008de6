//! This build and the next one at work side by side: the next one has a new field in an event, two new
//! types of events, and folds its states otherwise (`tests/next/change.patch`).

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use schemas::{CATALOG, partition_of};
use serde_json::json;
use tests::{
    Client, Load, Role,
    client::Answer,
    fleet::free_port,
    process::{self, Process, Settings},
    wait::until_true,
};
use uuid::Uuid;

use crate::{expired, reading::Reading, replay::filled, restore::Log, world::World};

const PATIENCE: Duration = Duration::from_secs(120);
const READERS: [Role; 3] = [Role::Projector, Role::Handler, Role::Indexer];
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
    async fn jangbu(&self, words: &[&str]) -> Result<String> {
        let binary = self.binary("jangbu");
        let (status, printed) = process::run_beside(&binary, words, &self.settings).await?;
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
    let reading = Reading::start(world, |_| Ok(())).await?;
    let (handler, version) = prepare(&next).await?;

    // All of both.
    let others = [next.start(Role::Projector)?, next.start(Role::Indexer)?];
    let api = next.start(Role::Api)?;
    let new = next.client().await?;
    let brands = register(&old).await?;
    rename(&old, &brands, "one", None).await?;
    rename(&new, &brands, "two", None).await?;
    rename(&old, &brands, "three", None).await?;
    load.until_decided(500, PATIENCE).await?;

    // With this build's handler gone, the new command and the new field are decided.
    world.fleet.terminate(Role::Handler).await?;
    for brand in &brands {
        ensure!(describe(&new, brand).await?.text("/verdict")? == "ACCEPTED");
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
    for role in READERS {
        world.fleet.terminate(role).await?;
    }
    next.jangbu(&["replay", "swap", "snapshot", "--version", &version]).await?;
    for brand in &brands {
        let again = describe(&new, brand).await?;
        ensure!(again.text("/verdict")? == "UNCHANGED", "{again:?}");
    }
    load.until_decided(200, PATIENCE).await?;
    let report = load.finish().await?;
    println!("{} decided, longest stall {:?}", report.decided.len(), report.stall);
    report.check(&old).await?;
    next.jangbu(&["verify", "--wait", "30"]).await?;
    histories(world).await?;

    let mut load = Load::start(&old, 8, 6);
    load.until_decided(100, PATIENCE).await?;
    back(world, &version, others.into_iter().chain([handler, api]).collect()).await?;
    load.until_decided(200, PATIENCE).await?;
    rename(&old, &brands, "six", None).await?;
    reading.finish().await?;
    load.finish().await?.check(&old).await?;
    world.fleet.verify(&[]).await
}

/// An event of the next build may forbid what this one would decide. This one decides nothing there,
/// and loses nothing; a build that knows the event goes on. This build's snapshot does not get past
/// it any more.
pub(crate) async fn a_critical_event_waits_for_a_build_that_knows_it(
    world: &mut World,
) -> Result<()> {
    let (old, next) = (world.client.clone(), Next::of(world)?);
    let (handler, version) = prepare(&next).await?;
    let others = [next.start(Role::Projector)?, next.start(Role::Api)?];
    let new = next.client().await?;
    let sealed = brand_in(&old, |partition| partition == expired::PARTITION).await?;
    let free = brand_in(&old, |partition| partition != expired::PARTITION).await?;
    world.fleet.terminate(Role::Handler).await?;
    let key = Uuid::now_v7().to_string();
    let seal = new.insist(&format!("/brands/{sealed}/seal"), &json!({}), &key).await?;
    ensure!(seal.expect(200)?.text("/verdict")? == "ACCEPTED");
    stops_there(world, Role::Projector).await?;

    world.fleet.restart(Role::Handler, None)?;
    handler.stop().await?;
    stops_there(world, Role::Handler).await?;
    rename(&old, &[free], "elsewhere", None).await?;
    let (path, body) = (format!("/brands/{sealed}/rename"), json!({ "name": "another" }));
    let key = Uuid::now_v7().to_string();
    let waits = old.post(&path, &body).key(&key).send().await?.expect(202)?;
    let location = waits.header("location")?;
    let handler = world.fleet.process(Role::Handler)?;
    ensure!(handler.metric_of("jangbu_partition_stopped", &there()).await? > 0.0, "it went on");

    let handler = next.start(Role::Handler)?;
    world.fleet.terminate(Role::Handler).await?;
    let decided = new.insist(&path, &body, &key).await?.expect(409)?;
    ensure!(decided.text("/code")? == "BRAND_SEALED", "{decided:?}");
    let concluded = async || Ok(new.located(&location).send().await?.status == 200);
    until_true("the command's state says so too", PATIENCE, concluded).await?;

    world.fleet.restart(Role::Handler, None)?;
    for process in others.into_iter().chain([handler]) {
        process.stop().await?;
    }
    next.jangbu(&["replay", "drop", "snapshot", "--version", &version]).await?;
    world.fleet.mend().await
}

/// A brand that stands in such a partition.
async fn brand_in(client: &Client, is_there: impl Fn(i32) -> bool) -> Result<String> {
    loop {
        let body = json!({ "name": "brand" });
        let id = client.post("/brands", &body).send().await?.expect(201)?.text("/id")?;
        if is_there(partition_of(&id, CATALOG.events.partitions)) {
            return Ok(id);
        }
    }
}

fn there() -> String {
    format!("partition=\"{}\"", expired::PARTITION)
}

async fn stops_there(world: &mut World, role: Role) -> Result<()> {
    let process = world.fleet.process(role)?;
    until_true("it stops before the event", PATIENCE, async || {
        Ok(process.metric_of("jangbu_partition_stopped", &there()).await? > 0.0)
    })
    .await
}

/// Makes what the next build needs beside what this one uses; its handler, which waited for that,
/// and the version of its snapshot.
async fn prepare(next: &Next) -> Result<(Process, String)> {
    next.jangbu(&["topics", "apply", "--yes"]).await?;
    let printed = next.jangbu(&["migrate"]).await?;
    ensure!(printed.contains("no version of \"snapshot\""), "{printed}");
    let log = Log::of("next-command-handler")?;
    let handler = next.start(Role::Handler)?;
    log.says("has the shape of this build", PATIENCE).await?;
    let printed = next.jangbu(&["replay", "start", "snapshot"]).await?;
    let version = filled(&printed).with_context(|| printed.clone())?.to_string();
    log.says("partition taken", PATIENCE).await?;
    Ok((handler, version))
}

/// Home again, whatever the next build has left.
async fn back(world: &mut World, version: &str, others: Vec<Process>) -> Result<()> {
    for role in READERS {
        world.fleet.restart(role, None)?;
    }
    let swap = ["replay", "swap", "snapshot", "--version", "1"];
    let swapped = async || Ok(world.fleet.jangbu(&swap)?.0.success());
    until_true("the first version is level again", PATIENCE, swapped).await?;
    for process in others {
        process.stop().await?;
    }
    let (dropped, printed) =
        world.fleet.jangbu(&["replay", "drop", "snapshot", "--version", version])?;
    ensure!(dropped.success(), "{printed}");
    Ok(())
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

async fn describe(client: &Client, brand: &str) -> Result<Answer> {
    let (path, body) = (format!("/brands/{brand}/describe"), json!({ "text": TEXT }));
    client.insist(&path, &body, &Uuid::now_v7().to_string()).await?.expect(200)
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
