//! A backup of MySQL comes back: an older one under load, and some that are not of this log.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use projections::{Pool, checkpoint};
use schemas::{CATALOG, partition_of};
use tests::{Load, Role, process, samples, until, wait::until_true};

use crate::{verify, waiting::end, world::World};

const PATIENCE: Duration = Duration::from_secs(120);
/// Who reads or writes what a backup holds, besides the api.
const READERS: [Role; 3] = [Role::Projector, Role::Handler, Role::Indexer];
/// What every refusal ends with.
const ADVICE: &str = "docs/reliability.md, Backup and restore";

/// The whole of MySQL as of one moment.
struct Backup(Vec<u8>);

/// What a process writes into its log from now on.
pub(crate) struct Log {
    path: PathBuf,
    from: usize,
}

/// Everything that was written since the backup comes from the log again, and the index, which has
/// seen more than the backup and less than the log, ends right.
pub(crate) async fn an_older_backup_catches_up(world: &mut World) -> Result<()> {
    let client = world.client.clone();
    let (id, token) = client.register(&samples::vacuum()).await?;
    client.find("청소기", &token).await?;
    let mut load = Load::start(&client, 8, 1);
    load.until_decided(200, PATIENCE).await?;
    let backup = Backup::make(world)?;
    load.until_decided(300, PATIENCE).await?;
    // What comes now, nobody sees before the restore but the log and MySQL.
    end(world, &[Role::Indexer]).await?;
    client.post(&format!("/products/{id}/reprice"), &samples::reprice(5)).send().await?;
    load.until_decided(100, PATIENCE).await?;
    end(world, &READERS[..2]).await?;
    backup.restore(world)?;
    catch_up(world).await?;
    load.until_decided(200, PATIENCE).await?;
    let report = load.finish().await?;
    println!("{} decided, sent again {}", report.decided.len(), report.sent_again);
    report.check(&client).await?;
    is_whole(world).await
}

/// As above, where nobody writes meanwhile.
pub(crate) async fn a_backup_restored_in_a_quiet_shop_catches_up(world: &mut World) -> Result<()> {
    let backup = Backup::make(world)?;
    let (_, token) = world.client.register(&samples::vacuum()).await?;
    world.client.find("청소기", &token).await?;
    end(world, &READERS).await?;
    backup.restore(world)?;
    catch_up(world).await?;
    is_whole(world).await
}

/// Starts the readers on what was restored; the indexer first, which is to meet it as it is.
async fn catch_up(world: &mut World) -> Result<()> {
    let index = Log::of(Role::Indexer.binary())?;
    world.fleet.restart(Role::Indexer, None)?;
    index.says("the read models have gone back behind the index", PATIENCE).await?;
    world.fleet.restart(Role::Projector, None)?;
    world.fleet.restart(Role::Handler, None)?;
    index.says("the read models have caught up", PATIENCE).await
}

/// A backup of another log, and a checkpoint beyond the end of this one, stop whoever would use
/// them, loudly; with the right one they go on.
pub(crate) async fn what_is_not_of_this_log_is_refused(world: &mut World) -> Result<()> {
    let (id, token) = world.client.register(&samples::vacuum()).await?;
    world.client.find("청소기", &token).await?;
    end(world, &READERS).await?;
    let honest = Backup::make(world)?;
    let db = projections::connect(world.stack.address("JANGBU_MYSQL")?, 2).await?;
    let (at, topic) = (partition_of(&id, CATALOG.events.partitions), CATALOG.events.name);
    let known = checkpoint::read(&db, "products", 1, at).await?.context("no checkpoint")?;
    let topic_id = &known.offsets.get(topic).context("nothing of the events")?.topic_id;

    honest.with(topic_id, "AAAAAAAAAAAAAAAAAAAAAA")?.restore(world)?;
    let foreign = are_refused(world, "has the id").await;
    honest.restore(world)?;
    foreign?;
    forge_ends(&db, at).await?;
    let beyond = are_refused(world, "is the next to apply").await;
    honest.restore(world)?;
    beyond?;
    for role in READERS {
        world.fleet.restart(role, None)?;
    }
    is_whole(world).await?;
    for role in READERS {
        let stopped = world.fleet.process(role)?.metric("jangbu_partition_stopped").await?;
        ensure!(stopped < 1.0, "{role:?} has stopped {stopped}");
    }
    Ok(())
}

/// Moves all checkpoints of a partition beyond the end of the log.
async fn forge_ends(db: &Pool, at: i32) -> Result<()> {
    let forge = "UPDATE checkpoints SET offsets = JSON_SET(offsets, ?, 999999999) \
                 WHERE partition_no = ?";
    let path = format!("$.\"{}\".next", CATALOG.events.name);
    let forged = sqlx::query(forge).bind(path).bind(at).execute(db).await?.rows_affected();
    ensure!(forged >= 6, "only {forged} checkpoints");
    Ok(())
}

/// Starts all readers, expects each to refuse, and ends them.
async fn are_refused(world: &mut World, why: &str) -> Result<()> {
    for role in READERS {
        let log = Log::of(role.binary())?;
        world.fleet.restart(role, None)?;
        log.says_at_once(&["the partition is stopped", why, ADVICE], PATIENCE)
            .await
            .with_context(|| format!("{role:?}"))?;
        until_true("its metrics say so", PATIENCE, async || {
            Ok(world.fleet.process(role)?.metric("jangbu_partition_stopped").await? > 0.0)
        })
        .await
        .with_context(|| format!("{role:?}"))?;
    }
    end(world, &READERS).await
}

async fn is_whole(world: &World) -> Result<()> {
    let client = &world.client;
    until("a new write is seen and found", PATIENCE, async || {
        let (id, token) = client.register(&samples::vacuum()).await?;
        client.see(&format!("/products/{id}"), &token).await?;
        client.find("청소기", &token).await.map(|_| Some(()))
    })
    .await?;
    verify::finds_nothing(world).await
}

impl Backup {
    /// As docs/reliability.md says it is made.
    fn make(world: &World) -> Result<Self> {
        let words = [
            "--single-transaction",
            "--set-gtid-purged=OFF",
            "--hex-blob",
            "--no-tablespaces",
            "--add-drop-database",
            "--databases",
            "jangbu",
        ];
        let output = client(world, "mysqldump", &words)?.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(Self(output.stdout))
    }

    /// The same of another log, whose topic has `other` as its id.
    fn with(&self, id: &str, other: &str) -> Result<Self> {
        let text = str::from_utf8(&self.0)?;
        ensure!(text.contains(id), "{id} is not in the backup");
        Ok(Self(text.replace(id, other).into_bytes()))
    }

    fn restore(&self, world: &World) -> Result<()> {
        let mut client = client(world, "mysql", &[])?.stdin(Stdio::piped()).spawn()?;
        client.stdin.take().context("no stdin")?.write_all(&self.0)?;
        ensure!(client.wait()?.success(), "the backup does not come back");
        Ok(())
    }
}

/// A program of MySQL's own, as root.
fn client(world: &World, program: &str, words: &[&str]) -> Result<Command> {
    let script = fs::read_to_string(world.stack.folder().join("mysql/client.sh"))?;
    let options = " --no-defaults";
    let script = script.replacen(&format!("mysql{options}"), &format!("{program}{options}"), 1);
    let mut command = Command::new("sh");
    command.args(["-c", &script, program]).args(words);
    Ok(command)
}

impl Log {
    /// Of the process of that name.
    pub(crate) fn of(name: &str) -> Result<Self> {
        let path = process::log_of(name)?;
        let from = fs::read(&path).map_or(0, |text| text.len());
        Ok(Self { path, from })
    }

    /// Waits for a line with that text.
    pub(crate) async fn says(&self, text: &str, within: Duration) -> Result<()> {
        self.says_at_once(&[text], within).await
    }

    /// Waits for a line with all of that.
    pub(crate) async fn says_at_once(&self, parts: &[&str], within: Duration) -> Result<()> {
        until_true(&format!("a line with {parts:?}"), within, async || {
            let text = fs::read(&self.path)?;
            let text = String::from_utf8_lossy(text.get(self.from..).unwrap_or_default());
            Ok(text.lines().any(|line| parts.iter().all(|part| line.contains(part))))
        })
        .await
    }
}
