//! Whether the process lives, whether it can serve, and what it measures.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use projections::Tables;
use schemas::CATALOG;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::{App, Shared};

/// How long MySQL may take to answer before it counts as down.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the log may stay silent before it counts as down.
const SILENCE: Duration = Duration::from_secs(5);

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready)).routes(routes!(metrics))
}

/// Whether the process lives
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "health",
    security(()),
    responses((status = 200, description = "It does.", body = String)),
)]
async fn live() -> &'static str {
    "live"
}

/// What serving depends on.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// The log takes commands, and their outcomes are followed.
    log: bool,
    /// The read models answer.
    read_models: bool,
    /// The process is not about to end.
    staying: bool,
}

/// Whether it can serve
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "It can.", body = Readiness),
        (status = 503, description = "It cannot; the body says why.", body = Readiness),
    ),
)]
async fn ready(State(app): State<Shared>) -> impl IntoResponse {
    let readiness = Readiness {
        log: follows_the_log(&app),
        read_models: reads(&app).await,
        staying: !app.shutdown.requested(),
    };
    let all = readiness.log && readiness.read_models && readiness.staying;
    let status = if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

fn follows_the_log(app: &App) -> bool {
    let seen = app.ends.seen(CATALOG.commands.name, 0);
    !app.outcomes.is_finished() && seen.is_some_and(|seen| seen.elapsed() < SILENCE)
}

async fn reads(app: &App) -> bool {
    matches!(tokio::time::timeout(PATIENCE, Tables::active(&app.db)).await, Ok(Ok(_)))
}

/// What the process measures, as Prometheus reads it
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    security(()),
    responses((status = 200, description = "The metrics.", body = String)),
)]
async fn metrics(State(app): State<Shared>) -> String {
    app.telemetry.render()
}
