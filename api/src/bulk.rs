//! Many commands in one request: one in each line, and an answer in each line as decisions come in.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use dashmap::DashMap;
use domain::MallId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    app::Shared,
    auth::Caller,
    body,
    headers::{Call, responds_async},
    openapi::{CallHeaders, CommandProblems, InMall},
    problem::{ApiError, Fault},
};

mod line;
mod stream;
mod turns;

/// The name of a line's shape in the published API.
pub(crate) const SHAPE: &str = "BulkCommand";

/// How many lines and bytes one request may have.
const MOST_LINES: usize = 10_000;
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// How many such requests are answered at once, since each holds its body in memory; and how many
/// of one mall, so that others find room.
const AT_ONCE: usize = 4;
const OF_ONE_MALL: usize = 2;

/// The route.
pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(send_commands))
}

/// The streams of commands under way.
pub(crate) struct Streams {
    all: Arc<Semaphore>,
    malls: DashMap<MallId, Arc<Semaphore>>,
}

/// The place of one of them, given back when dropped.
struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_mall: OwnedSemaphorePermit,
}

impl Default for Streams {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), malls: DashMap::new() }
    }
}

impl Streams {
    fn enter(&self, mall: &MallId) -> Result<Place, ApiError> {
        let new = || Arc::new(Semaphore::new(OF_ONE_MALL));
        let mall = self.malls.entry(mall.clone()).or_insert_with(new).clone();
        let of_mall = mall.try_acquire_owned().map_err(|_| ApiError::OverShare)?;
        let of_all = self.all.clone().try_acquire_owned().map_err(|_| ApiError::Overloaded)?;
        Ok(Place { _of_all: of_all, _of_mall: of_mall })
    }
}

/// One line of a request.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({
    "command": "upsert_product",
    "key": "feed-7-line-1",
    "data": {
        "product": {
            "external_id": "V12-2024",
            "name": "무선청소기 V12",
            "skus": [{"code": "V12"}],
            "list_price": {"minor": 459_000, "currency": "KRW"}
        },
        "observed_at": "2026-03-01T09:00:00.000Z"
    }
}))]
struct BulkCommand {
    /// What is wished: the `operationId` of the command's own endpoint, such as `reprice_product`.
    #[allow(dead_code, reason = "looked up before the line is read as a whole")]
    command: String,
    /// What is to be changed, where the command's own endpoint names it in its path.
    #[serde(default)]
    id: Option<Uuid>,
    /// As `Idempotency-Key`: the caller's own name for the command, 1 to 200 visible ASCII
    /// characters.
    #[serde(default)]
    key: Option<String>,
    /// As `If-Match`: the only version that the command may change.
    #[serde(default)]
    #[schema(minimum = 0)]
    expected_version: Option<i64>,
    /// The body of the command's own endpoint.
    #[schema(value_type = std::collections::HashMap<String, Value>)]
    data: Map<String, Value>,
}

/// The answer to one line.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
struct BulkAnswer {
    /// The line, counted from 1.
    line: usize,
    /// The status that the command's own endpoint would answer with.
    #[schema(example = 200)]
    status: u16,
    /// What was, or is to be, changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    /// Its version after the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    /// The command, if it came that far.
    #[serde(skip_serializing_if = "Option::is_none")]
    command_id: Option<Uuid>,
    /// ACCEPTED, UNCHANGED or PENDING.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<String>,
    /// Whether it was decided before this request, under the same key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    repeated: bool,
    /// Of what is PENDING: where to ask for the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    /// The stable code of the problem, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// What to mend.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Every fault of the line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Fault>,
}

/// What the headers may ask for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "describes what the handler reads")]
struct PreferHeader {
    /// `respond-async`: do not wait for the decisions.
    #[param(rename = "Prefer", value_type = String, required = false, example = "respond-async")]
    prefer: Option<String>,
}

/// Send many commands
///
/// One command in each line, up to 10,000 lines, 1 MiB each and 32 MiB in all. Each is answered as
/// its own endpoint would answer it, in a line of its own, in the order in which they are decided;
/// what is not decided in time is answered as PENDING. A line that is refused keeps no other from
/// being decided. They go by a lane of their own, in which commands to one aggregate keep their
/// order: whoever waits at an endpoint of its own goes first. With a `key` in each line, the whole
/// may be sent again.
#[utoipa::path(
    post,
    path = "/commands",
    operation_id = "send_commands",
    tag = "commands",
    params(InMall, PreferHeader, CallHeaders),
    request_body(content = BulkCommand, content_type = "application/x-ndjson"),
    responses(
        (status = 200, description = "An answer to each line.", body = BulkAnswer,
            content_type = "application/x-ndjson"),
        CommandProblems,
    ),
)]
async fn send_commands(
    State(app): State<Shared>,
    caller: Caller,
    call: Call,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    if !body::is_ndjson(&headers) {
        return Err(ApiError::NoStream);
    }
    let place = app.streams.enter(&caller.mall)?;
    let bytes = body::read(body, MOST_BYTES).await?;
    if bytes.iter().filter(|byte| **byte == b'\n').take(MOST_LINES + 1).count() > MOST_LINES {
        return Err(ApiError::TooManyLines(MOST_LINES));
    }
    let asked = stream::Asked { caller, call, wait: !responds_async(&headers) };
    let answers = stream::answers(app, asked, bytes, place);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], answers).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mall_leaves_room_for_others() {
        let streams = Streams::default();
        let [busy, other] = ["busy", "other"].map(|mall| mall.parse().unwrap());
        let places = [(); OF_ONE_MALL].map(|()| streams.enter(&busy).unwrap());
        assert!(matches!(streams.enter(&busy), Err(ApiError::OverShare)));
        let others = [(); AT_ONCE - OF_ONE_MALL].map(|()| streams.enter(&other).unwrap());
        let third = "third".parse().unwrap();
        assert!(matches!(streams.enter(&third), Err(ApiError::Overloaded)));
        drop((places, others));
        assert!(streams.enter(&busy).is_ok());
    }
}
