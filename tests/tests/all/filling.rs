//! A version filled by several hosts that share the partitions by hand, or begun as a copy of the
//! one that is read; and what machines are told meanwhile.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use projections::Tables;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use tests::{
    Load, Process, Role, load::history, process, process::Settings, samples, until,
    wait::until_true,
};

use crate::{restore::Log, waiting::end, world::World};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `jangbu replay` with further settings; whether it ended well, and what it printed.
async fn replay_with(settings: &Settings, words: &str) -> Result<(bool, String)> {
    let words: Vec<&str> = ["replay"].into_iter().chain(words.split_whitespace()).collect();
    let (status, printed) = process::run_beside("jangbu", &words, settings).await?;
    Ok((status.success(), printed))
}

async fn replay(world: &World, words: &str) -> Result<(bool, String)> {
    replay_with(world.fleet.settings(), words).await
}

/// What machines were told, beside the log.
fn lines(printed: &str) -> Vec<Value> {
    let lines = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["projection"].is_string()).collect()
}

/// The version and the result in the last line.
fn result(printed: &str) -> Result<(i64, String)> {
    let last = lines(printed).pop().with_context(|| format!("no line: {printed}"))?;
    let result = last["result"].as_str().with_context(|| format!("no result: {printed}"))?;
    Ok((last["version"].as_i64().context("no version")?, result.to_owned()))
}

/// The line of a version in `replay status --json`.
async fn status(world: &World, projection: &str, version: i64) -> Result<Option<Value>> {
    let (_, printed) = replay(world, "status --json").await?;
    let is_it = |line: &Value| line["projection"] == projection && line["version"] == version;
    Ok(lines(&printed).into_iter().find(is_it))
}

async fn is_equal_and_dropped(world: &World, projection: &str, version: i64) -> Result<()> {
    let (equal, printed) =
        replay(world, &format!("compare {projection} --version {version}")).await?;
    ensure!(equal && printed.contains(" rows, 0 different"), "{printed}");
    let (dropped, printed) =
        replay(world, &format!("drop {projection} --version {version}")).await?;
    ensure!(dropped, "{printed}");
    Ok(())
}

/// What a build brings that is new is read once it has what the log held, not before.
pub(crate) async fn a_new_read_model_is_filled_before_it_is_read(world: &mut World) -> Result<()> {
    // Enough for more than one transaction.
    let mut load = Load::start(&world.client, 4, 20);
    load.until_decided(100, PATIENCE).await?;
    load.finish().await?;
    let (id, token) = world.client.register(&samples::vacuum()).await?;
    world.client.see(&format!("/products/{id}/history"), &token).await?;
    end(world, &[Role::Projector, Role::Api]).await?;
    let db = projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 1).await?;
    // As if there had never been a history.
    for text in [
        "DELETE FROM active WHERE set_name = 'history'",
        "DELETE FROM shapes WHERE table_name LIKE 'history\\_v%'",
        "DELETE FROM checkpoints WHERE projection = 'history'",
        "DROP TABLE history_v1",
    ] {
        sqlx::query(text).execute(&db).await?;
    }
    let (ended, printed) = world.fleet.jangbu(&["migrate"])?;
    ensure!(ended.success() && printed.contains("no version of \"history\""), "{printed}");
    let log = Log::of(Role::Api.binary())?;
    world.fleet.restart(Role::Api, None)?;
    log.says("no version of", PATIENCE).await?;

    let mut settings = world.fleet.settings().clone();
    settings.insert("JANGBU_FAULT".to_owned(), "projector.before_mysql_commit:2:kill".to_owned());
    let (ended, printed) = replay_with(&settings, "start history --throttle 50").await?;
    ensure!(!ended, "{printed}");
    let (ended, printed) = world.fleet.jangbu(&["migrate"])?;
    ensure!(ended.success() && printed.contains("no version of \"history\""), "{printed}");
    let (ended, printed) = replay(world, "start history").await?;
    ensure!(ended && printed.contains("history: version 1 is level"), "{printed}");
    world.fleet.restart(Role::Projector, None)?;
    world.fleet.mend().await?;
    ensure!(history(&world.client, &id).await?.len() == 1);
    let (ended, printed) = replay(world, "swap history --version 1").await?;
    ensure!(ended && printed.contains("version 1 is active"), "{printed}");
    world.fleet.verify(&[]).await
}

pub(crate) async fn hosts_share_partitions_by_hand(world: &mut World) -> Result<()> {
    let mut load = Load::start(&world.client, 4, 21);
    load.until_decided(300, PATIENCE).await?;
    for wrong in ["6", "0,one", ""] {
        let words = format!("start products --partitions={wrong}");
        let (ended, refused) = replay(world, &words).await?;
        ensure!(!ended && refused.contains("has the partitions 0 to 5"), "{refused}");
    }

    // Killed, it goes on where it was; and it is level where it was told to be.
    let mut settings = world.fleet.settings().clone();
    settings.insert("JANGBU_FAULT".to_owned(), "projector.before_mysql_commit:2:kill".to_owned());
    let share = "start products --partitions 0,2,4 --json";
    let (ended, printed) = replay_with(&settings, share).await?;
    ensure!(!ended && !printed.contains("result"), "{printed}");
    let (ended, printed) = replay(world, share).await?;
    let (version, end) = result(&printed)?;
    ensure!(ended && end == "share_level", "{printed}");
    let told: Vec<Value> =
        lines(&printed).into_iter().filter(|line| line["partition"].is_i64()).collect();
    let is_whole = |line: &Value| {
        let numbers = ["applied", "end", "rate"].iter().all(|of| line[of].is_number());
        numbers && line.get("lag_seconds").is_some() && line.get("seconds_left").is_some()
    };
    ensure!(!told.is_empty() && told.iter().all(is_whole), "{printed}");
    // Then it looks for a moment whether the others are level as well.
    let first: Vec<&Value> = told.iter().map(|line| &line["partition"]).take(3).collect();
    ensure!(first == [0, 2, 4] && told.iter().any(|line| line["partition"] == 1), "{printed}");
    let line = status(world, "products", version).await?.context("no line")?;
    ensure!(line["ready"] == false && line["active"] == false, "{line}");
    let untouched = |line: &Value, of: usize| line["partitions"][of]["next"] == 0;
    ensure!([1, 3, 5].iter().all(|of| untouched(&line, *of)), "{line}");
    ensure!([0, 2, 4].iter().all(|of| !untouched(&line, *of)), "{line}");

    // Whoever follows waits for the others; then it may be read, and the projector feeds it.
    let words = ["replay", "start", "products", "--partitions", "0,2,4", "--follow"];
    let log = process::log_of("share")?;
    let _ = fs::remove_file(&log);
    let follow = Process::start_with("jangbu", &words, "share", world.fleet.settings())?;
    // The other waits for it no longer than what it has may be old.
    until_true("its share is level", PATIENCE, async || {
        Ok(fs::read_to_string(&log)?.contains("it can be read once 1, 3, 5 are as well"))
    })
    .await?;
    let (ended, printed) = replay(world, "start products --partitions 1,3,5 --json").await?;
    let (same, end) = result(&printed)?;
    ensure!(ended && same == version && end == "level", "{printed}");
    until("the version may be read", PATIENCE, async || {
        let line = status(world, "products", version).await?;
        Ok(line.filter(|line| line["ready"] == true))
    })
    .await?;
    until_true("the other notices it", PATIENCE, async || {
        Ok(fs::read_to_string(&log)?.contains(&format!("version {version} is level with")))
    })
    .await?;
    let (ended, refused) = replay(world, share).await?;
    ensure!(!ended && refused.contains("is read already"), "{refused}");
    follow.stop().await?;
    load.finish().await?.check(&world.client).await?;
    world.fleet.verify(&[]).await?;
    is_equal_and_dropped(world, "products", version).await
}

/// Whoever fills outlasts an outage; once the version is dropped, nobody is left who keeps it level.
pub(crate) async fn who_fills_outlasts_mysql_but_not_the_version(world: &mut World) -> Result<()> {
    let mut load = Load::start(&world.client, 4, 23);
    load.until_decided(300, PATIENCE).await?;
    load.finish().await?.check(&world.client).await?;
    let records = events(world).await?;
    let throttle = (records / 16).max(1).to_string();
    let log = process::log_of("outlasts")?;
    let _ = fs::remove_file(&log);
    let words = ["replay", "start", "products", "--follow", "--json", "--throttle", &throttle];
    let mut follow = Process::start_with("jangbu", &words, "outlasts", world.fleet.settings())?;
    let says = async |what: &str| {
        until_true(what, 2 * PATIENCE, async || Ok(fs::read_to_string(&log)?.contains(what))).await
    };
    says("\"partition\":0").await?;
    world.stack.stop("mysql")?;
    let noticed = says("beginning anew at the checkpoints").await;
    world.stack.start("mysql")?;
    noticed?;
    says("\"result\":\"level\"").await?;
    let told = fs::read_to_string(&log)?;
    let (version, _) = result(&told)?;
    // Throttled it has its keys from the start: built at the end they would be felt.
    ensure!(told.contains("\"keys\":0") && keys(world, version).await? > 1, "{told}");
    is_equal_and_dropped(world, "products", version).await?;
    ensure!(!follow.until_ended(PATIENCE).await?.success());
    ensure!(fs::read_to_string(&log)?.contains(&format!("version {version} was dropped")));
    for (verb, number) in [("drop", version + 1), ("compare", version)] {
        let words = format!("{verb} products --version {number}");
        let (ended, refused) = replay(world, &words).await?;
        let why = ["there is no version", "was dropped"].iter().any(|why| refused.contains(why));
        ensure!(!ended && why, "{words}: {refused}");
    }
    world.fleet.verify(&[]).await
}

/// How many keys a version of `products` has, the primary one too.
async fn keys(world: &World, version: i64) -> Result<i64> {
    let db = projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 1).await?;
    let count = "SELECT COUNT(DISTINCT index_name) FROM information_schema.statistics \
                 WHERE table_schema = DATABASE() AND table_name = ?";
    Ok(sqlx::query_scalar(count).bind(format!("products_v{version}")).fetch_one(&db).await?)
}

/// How many events there are.
async fn events(world: &World) -> Result<i64> {
    let db = projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 1).await?;
    let history = Tables::active(&db).await?.version("history");
    let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM history_v{history}"));
    Ok(sqlx::query_scalar(count).fetch_one(&db).await?)
}

/// What is not equal is not equal to whoever asks for its mall.
async fn some_malls_are_compared(world: &World, version: i64) -> Result<()> {
    let db = projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 1).await?;
    world.client.with("other", "other-key").register(&samples::vacuum()).await?;
    let turn = async || {
        let set = "displayed = NOT displayed WHERE mall = 'demo' ORDER BY id LIMIT 1";
        let text = AssertSqlSafe(format!("UPDATE products_v{version} SET {set}"));
        sqlx::query(text).execute(&db).await
    };
    turn().await?;
    let compare = format!("compare products --version {version} --malls");
    for (malls, is_equal, what) in [
        ("other", true, " rows, 0 different"),
        ("demo,other", false, " different"),
        ("other,demmo", false, "has no row of demmo"),
        ("Demo", false, "--malls"),
    ] {
        let (equal, printed) = replay(world, &format!("{compare} {malls}")).await?;
        ensure!(equal == is_equal && printed.contains(what), "{malls}: {printed}");
    }
    turn().await.map(drop).map_err(Into::into)
}

pub(crate) async fn a_version_is_begun_as_a_copy(world: &mut World) -> Result<()> {
    let mut load = Load::start(&world.client, 4, 22);
    load.until_decided(300, PATIENCE).await?;
    let start = "start products --from-snapshot --json";
    let mut settings = world.fleet.settings().clone();
    settings.insert("JANGBU_FAULT".to_owned(), "replay.copied:1:kill".to_owned());
    let (ended, printed) = replay_with(&settings, start).await?;
    ensure!(!ended && !printed.contains("result"), "{printed}");
    let (_, printed) = replay(world, "status --json").await?;
    let copying = lines(&printed).into_iter().find(|line| line["state"] == "being copied");
    let copying = copying.context("no copy was begun")?["version"].as_i64();

    // Begun anew it is the same version, and as equal as one that is filled from the log.
    let throttled = replay(world, &format!("{start} --throttle 100000")).await?.1;
    let (version, _) = result(&throttled)?;
    ensure!(copying == Some(version) && throttled.contains("\"keys\":0"), "{throttled}");
    ensure!(keys(world, version).await? > 1, "{throttled}");
    is_equal_and_dropped(world, "products", version).await?;
    for name in ["products", "directory", "command_status", "snapshot", "history"] {
        let (ended, printed) =
            replay(world, &format!("start {name} --from-snapshot --json")).await?;
        let (version, end) = result(&printed)?;
        ensure!(ended && end == "level", "{printed}");
        let rows = lines(&printed).iter().filter_map(|line| line["rows_copied"].as_i64()).max();
        ensure!(rows > Some(0) || name == "directory", "{printed}");
        let built = lines(&printed).pop().and_then(|line| line["keys"].as_i64());
        ensure!(built > Some(0) || name != "products", "no keys were built: {printed}");
        let (ended, refused) = replay(world, &format!("start {name} --from-snapshot")).await?;
        ensure!(!ended && refused.contains("is there already"), "{refused}");
        is_equal_and_dropped(world, name, version).await?;
    }
    let (_, printed) = replay(world, "status").await?;
    ensure!(!printed.contains("being copied"), "{printed}");
    load.finish().await?.check(&world.client).await?;
    world.fleet.verify(&[]).await?;
    // At rest, so that nobody mends what is made unequal.
    let (_, printed) = replay(world, start).await?;
    let (version, _) = result(&printed)?;
    some_malls_are_compared(world, version).await?;
    is_equal_and_dropped(world, "products", version).await
}
