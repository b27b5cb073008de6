//! Decides commands: from the command log to events, exactly once.

use consumers::{config::Config, handler, shutdown::shutdown_signal, telemetry};

fn main() -> anyhow::Result<()> {
    let config = Config::load(&handler::USAGE)?;
    let shutdown = shutdown_signal()?;
    let _telemetry = telemetry::start("command-handler", &config)?;
    handler::run(&config, &shutdown)
}
