//! What the handlers share, and the life of the process.

use std::{sync::Arc, thread::JoinHandle, time::Duration};

use anyhow::Context as _;
use axum::{Router, extract::FromRef, serve::ListenerExt as _};
use consumers::{
    config::{Config, Usage},
    log::{CommandLog, Decoder, Ends, Kafka, follow_outcomes, group_of_handler},
    needed,
    shutdown::Shutdown,
    telemetry::Telemetry,
};
use domain::{RecordEnum, catalog::Command};
use projections::{Pool, search::Search};
use schemas::{CATALOG, Codec, OUTCOMES};
use tokio::{net::TcpListener, runtime::Handle};

use crate::{
    admission::Admission, auth::Keys, body::Shapes, bulk, checkpoints::Checkpoints, docs, edge,
    freshness::Lags, malls::Malls, openapi, quota::Quotas, reads::Reads, trees::Trees,
    waiters::Waiters,
};

/// How long requests under way may take to finish once the process was asked to stop.
const FAREWELL: Duration = Duration::from_secs(10);
/// How often the ends of the log are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What the handlers share.
pub(crate) struct App {
    pub keys: Keys,
    pub shapes: Shapes,
    pub db: Pool,
    pub search: Search,
    pub trees: Trees,
    pub malls: Malls,
    pub checkpoints: Checkpoints,
    pub log: CommandLog,
    pub waiters: Waiters,
    pub admission: Admission,
    pub streams: bulk::Streams,
    pub ends: Ends,
    pub lags: Lags,
    pub outcomes: JoinHandle<()>,
    pub telemetry: Telemetry,
    pub shutdown: Shutdown,
    pub reply_partition: i32,
    pub wait: Duration,
    pub read_wait: Duration,
}

/// The same for every request.
pub(crate) type Shared = Arc<App>;

impl FromRef<Shared> for Keys {
    fn from_ref(app: &Shared) -> Self {
        app.keys.clone()
    }
}

impl FromRef<Shared> for Admission {
    fn from_ref(app: &Shared) -> Self {
        app.admission.clone()
    }
}

impl FromRef<Shared> for Shapes {
    fn from_ref(app: &Shared) -> Self {
        app.shapes.clone()
    }
}

/// What the process takes.
pub const USAGE: Usage = Usage {
    about: "api: takes commands and answers queries over HTTP.",
    settings: &[
        "http",
        "keys",
        "storefront_keys",
        "rate_limit",
        "reply_partition",
        "wait_ms",
        "command_queue_ms",
        "read_wait_ms",
        "mysql_connections",
    ],
    flags: &[],
};

/// Serves until the shutdown, then lets the requests under way finish. It does not listen before
/// it has schemas, read models and the end of the outcomes.
pub async fn run(config: &Config, telemetry: Telemetry, shutdown: Shutdown) -> anyhow::Result<()> {
    if config.keys.is_empty() {
        tracing::warn!("no mall has a key (setting `keys`): every request will be refused");
    }
    let kafka = Kafka::of("api", &config.kafka);
    // The threads go on while requests finish: they would wait in vain for their outcomes.
    let (last, threads_end) = Shutdown::pair();
    let Some(app) = open(config, &kafka, telemetry, &shutdown, &threads_end).await? else {
        return Ok(());
    };
    let keeping_time = tokio::spawn(app.admission.clone().keep_time(threads_end.clone()));
    let looking =
        app.lags.clone().watch(app.db.clone(), app.search.clone(), app.ends.clone(), threads_end);
    let looking = tokio::spawn(looking);
    let served = serve(config, app.clone(), &shutdown).await;
    last.stop();
    looking.await.context("looking at the lag")?;
    keeping_time.await.context("keeping time")?;
    // Nothing is served any more, so this thread may block.
    app.log.flush(Duration::from_secs(3));
    served
}

/// None where a stop was asked for before everything was there.
async fn open(
    config: &Config,
    kafka: &Kafka,
    telemetry: Telemetry,
    shutdown: &Shutdown,
    threads_end: &Shutdown,
) -> anyhow::Result<Option<Shared>> {
    let codec = needed::codec(config, &[CATALOG.commands, OUTCOMES], shutdown).await?;
    let read = ["products", "directory", "command_status", "history"];
    let read_models = needed::read_models(config, &read, shutdown).await?;
    let (Some(codec), Some((db, _))) = (codec, read_models) else { return Ok(None) };
    let (codec, waiters) = (Arc::new(codec), Waiters::default());
    let follow = async || follow(config, kafka, codec.clone(), &waiters, threads_end);
    let Some(outcomes) = needed::log(config, follow, shutdown).await? else { return Ok(None) };
    let watched = [CATALOG.commands, CATALOG.bulk, CATALOG.events, CATALOG.decisions];
    let group = group_of_handler(CATALOG.name);
    let (ends, _) = Ends::watch(kafka, Some(&group), &watched, LOOK, threads_end.clone())?;
    Ok(Some(Arc::new(App {
        keys: Keys::new(config.keys.iter(), config.storefront_keys.iter()),
        shapes: Shapes::new(&openapi::openapi(), &bodies())?,
        db,
        search: Search::new(&config.opensearch)?,
        trees: Trees::default(),
        malls: Malls::default(),
        checkpoints: Checkpoints::default(),
        log: CommandLog::open(kafka, codec)?,
        outcomes,
        waiters,
        admission: Admission::new(Duration::from_millis(config.command_queue_ms)),
        streams: bulk::Streams::default(),
        ends,
        lags: Lags::default(),
        telemetry,
        shutdown: shutdown.clone(),
        reply_partition: config.reply_partition,
        wait: Duration::from_millis(config.wait_ms),
        read_wait: Duration::from_millis(config.read_wait_ms),
    })))
}

/// The bodies that are checked: those of all commands, and a line of a stream of them.
fn bodies() -> Vec<String> {
    let schemas = <Command as RecordEnum>::schemas();
    let names = schemas.iter().filter_map(|schema| Some(schema.name()?.name().to_owned()));
    names.chain([bulk::SHAPE.to_owned()]).collect()
}

/// Follows the outcomes on a thread of its own. It blocks until their end is known, and comes
/// before the first request, so that none is missed.
fn follow(
    config: &Config,
    kafka: &Kafka,
    codec: Arc<Codec>,
    waiters: &Waiters,
    shutdown: &Shutdown,
) -> anyhow::Result<JoinHandle<()>> {
    let decoder = Decoder::new(codec, Handle::current());
    let waiters = waiters.clone();
    let wake = move |outcome| waiters.wake(&outcome);
    follow_outcomes(kafka, decoder, config.reply_partition, wake, shutdown.clone())
}

async fn serve(config: &Config, app: Shared, shutdown: &Shutdown) -> anyhow::Result<()> {
    let listener = TcpListener::bind(config.http).await;
    let listener = listener.with_context(|| format!("listening on {}", config.http))?;
    tracing::info!(address = %listener.local_addr()?, "serving");
    let listener = listener.tap_io(|tcp| {
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
    });
    let keys = || config.keys.iter().chain(config.storefront_keys.iter());
    let quotas = Quotas::new(config.rate_limit, keys().map(|(key, _)| key));
    let reads = Reads::new(config.mysql_connections, keys());
    let stop = shutdown.clone();
    let serving = axum::serve(listener, router(app, quotas, reads))
        .with_graceful_shutdown(async move { stop.wait().await });
    let overdue = async {
        shutdown.wait().await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        served = serving => served.context("serving"),
        () = overdue => {
            tracing::warn!("stopped with requests still under way");
            Ok(())
        }
    }
}

/// Everything that is served.
fn router(app: Shared, quotas: Quotas, reads: Reads) -> Router {
    let (routes, api) = openapi::routes().split_for_parts();
    let patience = edge::Patience {
        read: app.read_wait + Duration::from_secs(6),
        command: app.wait + Duration::from_secs(20),
    };
    edge::wrap(routes.with_state(app).merge(docs::router(&api)), patience, quotas, reads)
}
