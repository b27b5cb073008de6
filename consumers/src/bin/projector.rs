//! Keeps the read models: from the log to MySQL.

use consumers::{config::Config, projector, shutdown::shutdown_signal, telemetry};

fn main() -> anyhow::Result<()> {
    let config = Config::load(&projector::USAGE)?;
    let shutdown = shutdown_signal()?;
    let _telemetry = telemetry::start("projector", &config)?;
    projector::run(&config, &shutdown)
}
