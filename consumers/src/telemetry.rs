//! Logs as JSON lines on stderr, and metrics for Prometheus.

use std::{
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::{config::Config, faults};

mod names;

pub use names::*;

/// 0.5 ms to 10 s, in steps of about two.
const SECONDS: [f64; 16] = [
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.008, 0.012, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0,
    10.0,
];
const BATCHES: [f64; 13] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0];

/// The telemetry of this process.
#[derive(Clone)]
pub struct Telemetry {
    metrics: PrometheusHandle,
    address: Option<SocketAddr>,
}

/// Begins to log and to count, and arms the fault that a test may have asked for. `/metrics` is
/// served on `config.metrics`; the api mounts [`Telemetry::render`] on its own address instead.
///
/// # Errors
/// When the log filter or the fault is malformed, or the address is taken.
pub fn start(process: &'static str, config: &Config) -> anyhow::Result<Telemetry> {
    log(config)?;
    faults::arm()?;
    let address = config.metrics.map(free_port).transpose().context("metrics")?;
    let metrics = record(process, address)?;
    tracing::info!(process, metrics = ?address, "started");
    Ok(Telemetry { metrics, address })
}

/// Begins to log, and no more: for tools that end by themselves.
///
/// # Errors
/// When the log filter is malformed.
pub fn log(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log).context("log")?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .try_init()
        .map_err(|error| anyhow!("logs: {error}"))
}

impl Telemetry {
    /// The metrics as Prometheus reads them.
    pub fn render(&self) -> String {
        self.metrics.render()
    }

    /// Where `/metrics` is served, with the port that was picked.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

/// Notes how long a stage of the path took, and begins the next.
pub fn stage(name: &'static str, begun: Instant) -> Instant {
    let now = Instant::now();
    metrics::histogram!(STAGE_SECONDS, "stage" => name).record(now - begun);
    now
}

/// Port 0 becomes a free one here, since the exporter would not tell which it took.
fn free_port(address: SocketAddr) -> std::io::Result<SocketAddr> {
    if address.port() != 0 {
        return Ok(address);
    }
    TcpListener::bind(address)?.local_addr()
}

/// Installs the recorder; a thread of its own serves it, and drains its histograms.
fn record(process: &'static str, address: Option<SocketAddr>) -> anyhow::Result<PrometheusHandle> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (ready, handle) = mpsc::channel();
    thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        runtime.block_on(async {
            match install(process, address) {
                Ok((handle, serve)) => {
                    let _ = ready.send(Ok(handle.clone()));
                    serve_and_drain(handle, serve).await;
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        });
    })?;
    let handle = handle.recv().context("metrics")??;
    names::describe();
    Ok(handle)
}

type Exporter = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn install(
    process: &'static str,
    address: Option<SocketAddr>,
) -> anyhow::Result<(PrometheusHandle, Exporter)> {
    let builder = PrometheusBuilder::new()
        .add_global_label("process", process)
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_batch_records".to_owned()), &BATCHES)?;
    let (recorder, exporter): (_, Exporter) = match address {
        Some(address) => {
            let (recorder, serve) = builder.with_http_listener(address).build()?;
            let end = async move {
                if serve.await.is_err() {
                    tracing::error!("/metrics is no longer served");
                }
            };
            (recorder, Box::pin(end))
        }
        None => (builder.build_recorder(), Box::pin(std::future::pending())),
    };
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| anyhow!("metrics: {error}"))?;
    Ok((handle, exporter))
}

async fn serve_and_drain(handle: PrometheusHandle, serve: Exporter) {
    let drain = async {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            handle.run_upkeep();
        }
    };
    tokio::join!(serve, drain);
}
