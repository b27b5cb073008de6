//! Consumers that know Kafka, the registry and Avro, and nothing of this project: those of
//! docs/quickstart, over every event of the run.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use tests::stack::root;

use crate::world::World;

pub(crate) async fn strangers_decode_every_event(world: &mut World) -> Result<()> {
    let quickstart = root().join("docs/quickstart");
    let python = root().join(".venv/bin/python");
    let jars = quickstart.join("java/target/dependency");
    ensure!(python.exists() && jars.exists(), "the quick starts are not set up: run `make test`");
    let mut in_python = Command::new(python);
    in_python.arg(quickstart.join("consumer.py"));
    let java = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    let mut in_java = Command::new(java.unwrap_or_else(|| PathBuf::from("java")));
    in_java.arg("-cp").arg(jars.join("*")).arg(quickstart.join("java/Consumer.java"));
    let counted = (count(world, in_python)?, count(world, in_java)?);
    println!("{}", counted.0);
    ensure!(counted.0 == counted.1, "in Python {}, in Java {}", counted.0, counted.1);
    ensure!(!counted.0.starts_with("0 events"), "they saw nothing");
    Ok(())
}

/// The last line, which counts; before it stands one line for each event.
fn count(world: &World, mut consumer: Command) -> Result<String> {
    let output = consumer
        .arg(world.stack.address("JANGBU_KAFKA")?)
        .arg(world.stack.address("JANGBU_REGISTRY")?)
        .output()
        .with_context(|| format!("{consumer:?} does not start"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let last = printed.lines().last().unwrap_or_default().to_owned();
    ensure!(output.status.success(), "{last}\n{}", String::from_utf8_lossy(&output.stderr));
    let events: usize = last.split(' ').next().unwrap_or_default().parse()?;
    ensure!(printed.lines().count() == events + 1, "it counted {events} and printed others");
    Ok(last)
}
