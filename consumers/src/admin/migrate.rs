//! Tables and the search index, made at deploy.

use std::io::{Write, stdout};

use ::schemas::CATALOG;
use anyhow::Context;
use projections::{
    Pool, Tables, known,
    search::{self, Layout, Search, Source},
};
use rdkafka::consumer::BaseConsumer;

use super::kafka;
use crate::{
    config::{Config, Given, Usage},
    log::native,
};

/// What `jangbu migrate` takes.
pub const USAGE: Usage = Usage {
    about: "jangbu migrate: makes the tables, the search index and its alias, where missing.",
    settings: &["mysql_connections", "search_version", "search_shards", "search_replicas"],
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
            index(config, &db, &topic_id).await?;
            writeln!(stdout(), "the search index is up to date")?;
        }
        // Documents are bound to the log that they come from, so there must be one first.
        Err(why) => writeln!(stdout(), "no search index before `jangbu topics apply`: {why}")?,
    }
    Ok(true)
}

/// Makes the index version that indexers write, from the read models that are live.
async fn index(config: &Config, db: &Pool, topic_id: &str) -> anyhow::Result<()> {
    let (search, version) = (Search::new(&config.opensearch)?, config.search_version);
    let source = match search.source(version).await? {
        Some(source) => source.now(topic_id),
        None => {
            // Whatever the checkpoints say is gone with the index.
            search::forget(db, version).await?;
            Source::live(db, topic_id).await?
        }
    };
    let layout = Layout {
        shards: config.search_shards,
        replicas: config.search_replicas,
        ..Layout::default()
    };
    search.ensure_index(version, &source, layout).await.context("search index")
}

fn events_id(config: &Config) -> Result<String, String> {
    let client: BaseConsumer =
        kafka(config).asking("read_committed").create().map_err(|error| error.to_string())?;
    Ok(native::topic_ids(&client, &[CATALOG.events.name], 10_000)?.concat())
}
