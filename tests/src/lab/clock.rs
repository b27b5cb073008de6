//! A machine whose clock jumps, through libfaketime.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use super::{PATIENCE, Scene};
use crate::stack;

/// Decided while the clock is wrong.
const MEANWHILE: u64 = 300;

/// The clock of one process goes an hour ahead, then an hour back, and is right again.
pub(super) async fn jump(mut scene: Scene<'_>) -> Result<u32> {
    let (role, clock) = (scene.any_role(), scene.stack.folder().join("clock"));
    fs::write(&clock, "+0")?;
    let library = library()?;
    let texts = [library, clock.clone()].map(|path| path.to_string_lossy().into_owned());
    let settings = [
        ("LD_PRELOAD", texts[0].as_str()),
        ("FAKETIME_TIMESTAMP_FILE", &texts[1]),
        ("FAKETIME_NO_CACHE", "1"),
        // Time-outs are measured by another clock, which no administrator sets.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    scene.fleet.start_with(role, &settings)?;
    scene.load.until_decided(MEANWHILE, PATIENCE).await?;
    for offset in ["+3600", "-3600"] {
        fs::write(&clock, offset)?;
        scene.load.until_decided(MEANWHILE, PATIENCE).await?;
    }
    scene.fleet.restart(role, None)?;
    Ok(2)
}

/// Where pip has put it.
fn library() -> Result<PathBuf> {
    let versions = fs::read_dir(stack::root().join(".venv/lib")).context("make .venv/installed")?;
    let inside = "site-packages/libfaketime/vendor/libfaketime/src/libfaketime.so.1";
    let found = versions.flatten().map(|version| version.path().join(inside));
    let found = found.into_iter().find(|path| path.exists()).context("no libfaketime in .venv")?;
    Ok(found.canonicalize()?)
}
