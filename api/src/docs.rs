//! The contract to read: as JSON, and as a page that needs nothing from elsewhere.

use std::sync::Arc;

use axum::{
    Json, Router,
    http::header,
    response::{Html, IntoResponse, Redirect},
    routing::get,
};
use serde_json::{Value, json};

use crate::errors;

/// Shows the contract with plain script; it loads `/openapi.json` and nothing else.
const PAGE: &str = include_str!("docs.html");
const ONLY_OURS: &str =
    "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// What `make asyncapi` made of the topics and the types.
const TOPICS: &str = include_str!("../../docs/asyncapi.json");

/// The routes.
pub(crate) fn router(api: &utoipa::openapi::OpenApi) -> Router {
    // Not through `Value`, which would lose the order in which the contract is told.
    let text: Arc<str> = serde_json::to_string(api).unwrap_or_default().into();
    let json = move || {
        let text = text.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], text.to_string()) }
    };
    let topics = async || ([(header::CONTENT_TYPE, "application/json")], TOPICS);
    Router::new()
        .route("/", get(async || Json(entrance())))
        .route("/openapi.json", get(json))
        .route("/asyncapi.json", get(topics))
        .route("/docs", get(page))
        .route("/docs/", get(async || Redirect::permanent("/docs")))
}

/// Where to go on from the root.
fn entrance() -> Value {
    json!({
        "name": "jangbu",
        "docs": "/docs",
        "openapi": "/openapi.json",
        "health": "/health/ready",
        "metrics": "/metrics",
    })
}

/// Every `type` of a problem leads here, to the row of its code.
async fn page() -> impl IntoResponse {
    let page = PAGE.replace("<!-- errors -->", &errors::rows());
    ([(header::CONTENT_SECURITY_POLICY, ONLY_OURS)], Html(page))
}
