//! That `jangbu verify` finds nothing where nothing is wrong.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Result, ensure};
use serde_json::json;
use tests::{Load, Role, process, process::Signal, samples, until};

use crate::{
    expired,
    storefront::{new, post},
    world::World,
};

/// The rules that something is checked by wherever there is a write.
const CHECKED: [&str; 11] = ["1", "2", "3", "4", "5", "8", "10", "11", "13", "14", "15"];
const SOON: Duration = Duration::from_secs(60);

/// Expects that log, read models and search agree once everything has caught up.
pub(crate) async fn finds_nothing(world: &World) -> Result<()> {
    world.fleet.verify(&[]).await
}

pub(crate) async fn everything_agrees(world: &mut World) -> Result<()> {
    finds_nothing(world).await
}

/// Under writes, in slices, and asking the api: what moves is compared as of its checkpoints.
pub(crate) async fn nothing_is_found_while_others_write(world: &mut World) -> Result<()> {
    let mut load = Load::start(&world.client, 8, 1);
    // A partition is read again for each slice of it, and other tests have made it long.
    for slice in ["100000", "5000"] {
        load.until_decided(50, Duration::from_secs(60)).await?;
        let flags = ["verify", "--slice", slice, "--api", world.fleet.base()];
        let (status, printed) = world.fleet.jangbu(&flags)?;
        ensure!(status.success(), "{printed}");
        ensure!(CHECKED.iter().all(|rule| checked(&printed, rule) > 0), "{printed}");
    }
    load.finish().await?.check(&world.client).await?;
    finds_nothing(world).await
}

/// How much of a rule was checked, by the table that is printed.
fn checked(printed: &str, rule: &str) -> u64 {
    let row = printed.lines().find(|line| line.split_whitespace().next() == Some(rule));
    let number = row.and_then(|row| row.split_whitespace().rev().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// It begins at rest, and stands still behind the first partition while something is appended.
pub(crate) async fn nothing_is_found_where_a_quiet_shop_wakes(world: &mut World) -> Result<()> {
    let client = &world.client;
    let brand = new(client, "/brands").await?;
    let mut product = samples::vacuum();
    product["brand_id"] = json!(brand);
    let (_, token) = expired::product(client, |at| at != 0, &product).await?;
    client.find("청소기", &token).await?;
    finds_nothing(world).await?;
    let mut pass = begin_to_verify(world)?;
    let found = wake(world, &brand, &mut pass).await;
    // Whatever it came to, nobody is left standing.
    world.fleet.process(Role::Indexer)?.signal(Signal::Continue)?;
    pass.kill()?;
    let output = pass.wait_with_output()?;
    found?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    finds_nothing(world).await
}

fn begin_to_verify(world: &World) -> Result<Child> {
    let mut command = Command::new(process::binaries()?.join("jangbu"));
    command.args(["verify", "--wait", "20"]).envs(world.fleet.settings());
    command.env("JANGBU_FAULT", "verify.slice:1:stop");
    Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// A product appears where it has been, and a brand whose documents keep the name before.
async fn wake(world: &mut World, brand: &str, pass: &mut Child) -> Result<()> {
    let status = format!("/proc/{}/status", pass.id());
    let stands = async || Ok(fs::read_to_string(&status)?.contains("State:\tT").then_some(()));
    until("it stands still", SOON, stands).await?;
    world.fleet.process(Role::Indexer)?.signal(Signal::Stop)?;
    let client = &world.client;
    let (id, token) = expired::product(client, |at| at == 0, &samples::vacuum()).await?;
    client.see(&format!("/products/{id}"), &token).await?;
    let name = json!({"name": format!("{brand} anew")});
    let renamed = post(client, &format!("/brands/{brand}/rename"), name).await?.expect(200)?;
    client.see(&format!("/brands/{brand}"), &renamed.header("consistency-token")?).await?;
    let go_on = Command::new("kill").args(["-CONT", &pass.id().to_string()]).status()?;
    ensure!(go_on.success(), "it is gone");
    until("it ends", SOON, async || Ok(pass.try_wait()?.map(drop))).await
}
