//! A consumer that knows Kafka, the registry and Avro, and nothing of this project.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::stack::root;

use crate::world::World;

pub(crate) async fn a_stranger_decodes_every_event(world: &mut World) -> Result<()> {
    let python = root().join(".venv/bin/python");
    ensure!(python.exists(), "{python:?} is missing: run `make test`");
    let mut command = Command::new(python);
    command.arg(root().join("tests/foreign/consumer.py"));
    command.args(["--kafka", world.stack.address("JANGBU_KAFKA")?]);
    command.args(["--registry", world.stack.address("JANGBU_REGISTRY")?]);
    let output = command.output().context("python does not start")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    println!("{printed}");
    ensure!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(!printed.starts_with("0 events"), "it saw nothing");
    Ok(())
}
