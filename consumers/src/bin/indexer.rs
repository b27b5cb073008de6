//! Keeps the search index: from the read model to OpenSearch.

use consumers::{config::Config, indexer, shutdown::shutdown_signal, telemetry};

fn main() -> anyhow::Result<()> {
    let config = Config::load(&indexer::USAGE)?;
    let shutdown = shutdown_signal()?;
    let _telemetry = telemetry::start("indexer", &config)?;
    indexer::run(&config, &shutdown)
}
