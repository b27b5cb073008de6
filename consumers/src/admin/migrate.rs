//! Tables and the search index, made at deploy.

use std::io::{Write, stdout};

use ::schemas::CATALOG;
use anyhow::Context;
use projections::{Tables, known, search::Search};
use rdkafka::consumer::BaseConsumer;

use super::kafka;
use crate::{
    config::{Config, Given, Usage},
    indexer,
    log::native,
};

/// What `jangbu migrate` takes.
pub const USAGE: Usage = Usage {
    about: "jangbu migrate: makes the tables, the search index and its alias, where missing.",
    settings: &["mysql_connections", "search_shards", "search_replicas"],
    flags: &[],
};

/// Runs the command.
///
/// # Errors
/// When a server does not answer, or refuses a change.
pub async fn run(config: &Config, _: &Given) -> anyhow::Result<bool> {
    let db = projections::connect(&config.mysql, config.mysql_connections).await;
    let db = db.context("mysql")?;
    projections::migrate(&db).await.context("mysql")?;
    writeln!(stdout(), "tables are up to date")?;
    let tables = Tables::active(&db).await.context("mysql")?;
    for projection in known() {
        if let Err(error) = tables.require(&[projection.name()]) {
            writeln!(stdout(), "{error}")?;
        }
    }
    match events_id(config) {
        Ok(topic_id) => {
            let search = Search::new(&config.opensearch)?;
            let made = indexer::ensure_live(&db, &search, &topic_id, indexer::layout(config));
            made.await.context("search index")?;
            writeln!(stdout(), "the search index is up to date")?;
        }
        // Documents are bound to the log that they come from, so there must be one first.
        Err(why) => writeln!(stdout(), "no search index before `jangbu topics apply`: {why}")?,
    }
    Ok(true)
}

fn events_id(config: &Config) -> Result<String, String> {
    let client: BaseConsumer =
        kafka(config).asking("read_committed").create().map_err(|error| error.to_string())?;
    Ok(native::topic_ids(&client, &[CATALOG.events.name], 10_000)?.concat())
}
