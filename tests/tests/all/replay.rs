//! A version of a read model is filled beside the one that is read, made the active one while others
//! read and write, and dropped.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use projections::{Pool, Tables, version};
use sqlx::AssertSqlSafe;
use tests::{Client, Load, Role, process, samples, wait};

use crate::{
    reading::{MALL, Reading},
    world::World,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// What a projector feeds that keeps no other version of products than the first.
const THE_FIRST: &str = "products@1+directory+command_status+snapshot+history";

/// Runs the operator's tool; whether it ended well, and what it printed.
pub(crate) async fn replay(world: &World, words: &str) -> Result<(bool, String)> {
    let words: Vec<&str> = ["replay"].into_iter().chain(words.split_whitespace()).collect();
    let (status, printed) = process::run_beside("jangbu", &words, world.fleet.settings()).await?;
    Ok((status.success(), printed))
}

async fn swap(world: &World, to: i32) -> Result<(bool, String)> {
    replay(world, &format!("swap products --version {to}")).await
}

/// The number of the version that `replay start` fills.
pub(crate) fn filled(printed: &str) -> Option<i32> {
    printed.split_once("filling version ")?.1.split_whitespace().next()?.parse().ok()
}

/// Changes the price and looks, again and again: each change is seen at once.
async fn write_and_read(client: &Client, id: &str, price: i64) -> Result<()> {
    let path = format!("/products/{id}");
    for price in price..price + 20 {
        let reprice = client.post(&format!("{path}/reprice"), &samples::reprice(price));
        let token = reprice.send().await?.expect(200)?.header("consistency-token")?;
        let seen = client.get(&path).seeing(&token).send().await?.expect(200)?;
        ensure!(seen.number("/list_price/minor")? == price, "{seen:?}");
    }
    Ok(())
}

/// Whether the names are as one version has them.
fn are_of_one_version(names: &[&str]) -> Result<()> {
    let marked = names.iter().filter(|name| name.ends_with('+')).count();
    ensure!(marked == 0 || marked == names.len(), "{names:?}");
    Ok(())
}

/// Two processes that fill one version share its partitions, and neither is faster than it may be.
async fn two_share_what_takes_some_seconds(world: &World, db: &Pool) -> Result<()> {
    let history = Tables::active(db).await?.version("history");
    let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM history_v{history}"));
    // Of all that is in the log, or it would take the longer, the more other tests have left there.
    let events: i64 = sqlx::query_scalar(count).fetch_one(db).await?;
    let words = format!("start history --throttle {}", (events / 16).max(1));
    let begun = Instant::now();
    let (one, other) = tokio::join!(replay(world, &words), replay(world, &words));
    let (took, ((ended, printed), (other_ended, other))) = (begun.elapsed(), (one?, other?));
    ensure!(ended && other_ended, "{printed}\n{other}");
    let version = filled(&printed).context("no version")?;
    ensure!(filled(&other) == Some(version), "{printed}\n{other}");
    ensure!(took >= Duration::from_secs(6), "{events} events in {took:?}");
    for compare in ["", " --sample 1", " --sample 3"] {
        let words = format!("compare history --version {version}{compare}");
        let (equal, printed) = replay(world, &words).await?;
        ensure!(equal && printed.contains(" rows, 0 different"), "{printed}");
        ensure!(!printed.contains(" 0 rows"), "{printed}");
    }
    ensure!(replay(world, &format!("drop history --version {version}")).await?.0);
    Ok(())
}

pub(crate) async fn what_has_been_seen_is_seen_in_the_next_version(
    world: &mut World,
) -> Result<()> {
    let client = world.client.clone();
    world.fleet.terminate(Role::Projector).await?;
    world.fleet.start_with(Role::Projector, &[("JANGBU_PROJECTIONS", THE_FIRST)])?;
    let (ended, printed) = replay(world, "start products").await?;
    let next = filled(&printed).context("no version")?;
    ensure!(ended, "{printed}");
    let (id, token) = client.register(&samples::vacuum()).await?;
    let path = format!("/products/{id}");
    client.see(&path, &token).await?;
    let (swapped, refused) = swap(world, next).await?;
    ensure!(!swapped && refused.contains("stays behind 1, which is active"), "{refused}");
    // Of one that feeds it as well the first batches are waited for.
    let load = Load::start(&client, 2, 4);
    world.fleet.restart(Role::Projector, None)?;
    wait::until_true("the swap", PATIENCE, async || Ok(swap(world, next).await?.0)).await?;
    client.get(&path).send().await?.expect(200)?;
    let (swapped, printed) = swap(world, 1).await?;
    ensure!(swapped, "{printed}");
    load.finish().await?.check(&client).await?;
    ensure!(replay(world, &format!("drop products --version {next}")).await?.0);
    world.fleet.verify(&[]).await
}

pub(crate) async fn a_version_is_filled_swapped_and_dropped(world: &mut World) -> Result<()> {
    let client = world.client.clone();
    let db = projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 2).await?;
    let (id, _) = client.register(&samples::vacuum()).await?;
    let mut load = Load::start(&client, 6, 3);
    load.until_decided(200, PATIENCE).await?;

    let (ended, printed) = replay(world, "start products").await?;
    let next = filled(&printed).context("no version")?;
    let level = format!("products: version {next} is level with the log");
    ensure!(ended && printed.contains(&level), "{printed}");

    // From now on the projector keeps both.
    let (_, printed) = replay(world, "status").await?;
    let row = |version: i32, state: &str| {
        let row = ["products", &version.to_string(), state];
        printed.lines().any(|line| line.split_whitespace().take(3).eq(row))
    };
    ensure!(row(1, "active") && row(next, "ready"), "{printed}");
    let (swapped, refused) = swap(world, next + 1).await?;
    ensure!(!swapped && refused.contains("has not been level"), "{refused}");

    // Whoever reads meanwhile reads one or the other, here told apart by the names of a mall.
    let reading = Reading::start(world, are_of_one_version).await?;
    let rename = async |name: &str| {
        let text = format!("UPDATE products_v{next} SET name = {name} WHERE mall = '{MALL}'");
        sqlx::query(AssertSqlSafe(text)).execute(&db).await
    };
    rename("CONCAT(name, '+')").await?;
    for (version, price) in [(next, 1_000), (1, 2_000), (next, 3_000)] {
        let (swapped, written) =
            tokio::join!(swap(world, version), write_and_read(&client, &id, price));
        written?;
        let (swapped, printed) = swapped?;
        ensure!(swapped, "{printed}");
        ensure!(Tables::active(&db).await?.version("products") == version);
    }
    reading.finish().await?;
    rename("TRIM(TRAILING '+' FROM name)").await?;
    // Without a throttle too it becomes level while others write, of whatever little it reads.
    let (ended, printed) = replay(world, "start directory").await?;
    let directory = filled(&printed).context("no version")?;
    ensure!(ended, "{printed}");
    let report = load.finish().await?;
    report.check(&client).await?;
    world.fleet.verify(&[]).await?;
    ensure!(replay(world, &format!("drop directory --version {directory}")).await?.0);
    two_share_what_takes_some_seconds(world, &db).await?;
    let (equal, printed) =
        replay(world, &format!("compare products --version 1 --with {next}")).await?;
    ensure!(equal && printed.contains(" rows, 0 different"), "{printed}");

    let drop = async |of: i32| replay(world, &format!("drop products --version {of}")).await;
    let (dropped, refused) = drop(next).await?;
    ensure!(!dropped && refused.contains("is active"), "{refused}");
    let (dropped, refused) = drop(1).await?;
    ensure!(!dropped && refused.contains("the search index is made of"), "{refused}");
    ensure!(replay(world, "rollback products").await?.0 && drop(next).await?.0);
    let (back, refused) = replay(world, "rollback products").await?;
    ensure!(!back && refused.contains("no earlier version"), "{refused}");
    let mut left = version::all(&db).await?.into_iter();
    ensure!(left.all(|left| left.projection != "products" || left.version == 1 || left.dropped));
    let (id, token) = client.register(&samples::vacuum()).await?;
    client.see(&format!("/products/{id}"), &token).await?;
    world.fleet.verify(&[]).await
}

/// Where a rebuild dies, at which passage.
const KILLS: [&str; 10] = [
    "projector.after_poll:2",
    "projector.after_poll:5",
    "projector.before_mysql_commit:1",
    "projector.before_mysql_commit:2",
    "projector.before_mysql_commit:5",
    "projector.before_mysql_commit:9",
    "projector.after_mysql_commit:1",
    "projector.after_mysql_commit:2",
    "projector.after_mysql_commit:4",
    "projector.after_mysql_commit:7",
];
/// Records in a second while it is killed.
const SLOWLY: u32 = 500;

pub(crate) async fn a_rebuild_killed_ten_times_goes_on(world: &mut World) -> Result<()> {
    let db = projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 2).await?;
    let mut load = Load::start(&world.client, 8, 1);
    load.until_decided(1_500, PATIENCE).await?;
    let start = format!("replay start products --throttle {SLOWLY}");
    let words: Vec<&str> = start.split_whitespace().collect();
    let applied = async || -> Result<i64> {
        let text = "SELECT CAST(COALESCE(SUM(offsets->>'$.\"catalog.events\".next'), 0) AS SIGNED) \
                    FROM checkpoints WHERE projection = 'products' AND version = \
                    (SELECT MAX(version) FROM checkpoints WHERE projection = 'products')";
        Ok(sqlx::query_scalar(text).fetch_one(&db).await?)
    };
    let mut seen = vec![];
    for point in KILLS {
        let mut settings = world.fleet.settings().clone();
        settings.insert("JANGBU_FAULT".to_owned(), format!("{point}:kill"));
        let (status, printed) = process::run_beside("jangbu", &words, &settings).await?;
        ensure!(!status.success() && status.code().is_none(), "{point}: {status} {printed}");
        seen.push(applied().await?);
    }
    ensure!(seen.is_sorted() && seen.first() < seen.last(), "it began anew: {seen:?}");
    load.finish().await?.check(&world.client).await?;
    let (ended, printed) = replay(world, "start products").await?;
    let next = filled(&printed).context("no version")?;
    ensure!(ended, "{printed}");
    let compare = format!("compare products --version {next}");
    let (equal, printed) = replay(world, &compare).await?;
    ensure!(equal && printed.contains(" rows, 0 different"), "{printed}");

    // What is not equal is found, and named.
    let vandal = |set: &str| {
        let text = format!("UPDATE products_v{next} SET {set} ORDER BY id LIMIT 1");
        sqlx::query(AssertSqlSafe(text)).execute(&db)
    };
    vandal("version = version + 1, displayed = NOT displayed").await?;
    let (equal, printed) = replay(world, &compare).await?;
    ensure!(!equal && printed.contains(": displayed, version\n"), "{printed}");
    let (status, printed) = world.fleet.jangbu(&["verify", "--wait", "30"])?;
    ensure!(!status.success() && printed.contains("broken 12: products"), "{printed}");
    vandal("version = version - 1, displayed = NOT displayed").await?;
    world.fleet.verify(&[]).await?;

    // Whatever is folded, from one topic or two, into rows that change or that are added.
    let mut kept = vec![format!("products --version {next}")];
    for name in ["directory", "command_status", "snapshot", "history"] {
        let (ended, printed) = replay(world, &format!("start {name}")).await?;
        let next = filled(&printed).context("no version")?;
        ensure!(ended, "{printed}");
        let (equal, printed) = replay(world, &format!("compare {name} --version {next}")).await?;
        ensure!(equal && printed.contains(" rows, 0 different"), "{printed}");
        kept.push(format!("{name} --version {next}"));
    }
    world.fleet.verify(&[]).await?;
    for kept in kept {
        let (dropped, printed) = replay(world, &format!("drop {kept}")).await?;
        ensure!(dropped, "{printed}");
    }
    Ok(())
}
