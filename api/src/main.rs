//! Serves the HTTP interface.

use consumers::{config::Config, shutdown::shutdown_signal, telemetry};

fn main() -> anyhow::Result<()> {
    let config = Config::load(&api::USAGE)?;
    let shutdown = shutdown_signal()?;
    let telemetry = telemetry::start("api", &config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(api::run(&config, telemetry, shutdown))
}
