//! What became of a command whose caller did not wait for the decision.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use consumers::log::Position;
use domain::{CommandId, ProductId};
use projections::{
    Tables,
    command_status::{self, CommandStatusRow},
};
use schemas::{CATALOG, Lane};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::{App, Shared},
    auth::Caller,
    freshness::{ASK, CONSISTENCY_TOKEN, Lagging, Token, position_of},
    openapi::{CallHeaders, InMall, ReadProblems},
    problem::ApiError,
    request::{Path, Query},
};

const COMMAND_STATUS: &str = "command_status";

/// The route.
pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(by_id))
}

/// Which command.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfCommand {
    /// The command.
    #[allow(dead_code, reason = "named for the published API; the handler reads the pair")]
    command_id: CommandId,
}

/// Where the command stands.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StatusQuery {
    /// The command's position in the log, as the Location of its 202 named it.
    #[param(pattern = "^(bulk[.])?[0-9]+[.][0-9]{1,18}$", example = "3.1201")]
    at: Option<String>,
}

/// A command that is in the log and not decided yet, as far as the read model knows.
#[derive(Serialize, ToSchema)]
struct Undecided {
    /// The command.
    command_id: CommandId,
    /// PENDING.
    #[schema(example = "PENDING")]
    verdict: &'static str,
}

/// Ask what became of a command
///
/// The decision, or PENDING with `Retry-After` while there is none. It is kept for 7 days.
#[utoipa::path(
    get,
    path = "/commands/{command_id}",
    operation_id = "ask_command",
    tag = "commands",
    params(InMall, OfCommand, StatusQuery, CallHeaders),
    responses(
        (status = 200, description = "The decision.", body = CommandStatusRow, headers(
            ("Consistency-Token" = String, description = "Send it with a read that must show this."),
            ("Projection-Lag" = String, description = "Seconds of the log that this may lack."),
        )),
        (status = 202, description = "Not decided yet; ask again.", body = Undecided, headers(
            ("Retry-After" = String, description = "Seconds to wait before asking again."),
            ("Projection-Lag" = String, description = "Seconds of the log that this may lack."),
        )),
        (status = 410, description = "Older than what is kept.", body = crate::problem::Problem,
            content_type = "application/problem+json"),
        ReadProblems,
    ),
)]
async fn by_id(
    State(app): State<Shared>,
    caller: Caller,
    Path((_, command)): Path<(String, CommandId)>,
    Query(query): Query<StatusQuery>,
) -> Result<Response, ApiError> {
    let at = query.at.as_deref().map(position).transpose()?;
    let tables = Tables::active(&app.db).await?;
    let status = || command_status::by_id(&app.db, &tables, &caller.mall, command);
    if let Some(row) = status().await? {
        return Ok(decided(&app, row));
    }
    let at = at.ok_or(ApiError::CommandNotFound)?;
    let pending = undecided(&app, command, at)?;
    if !is_concluded(&app, &tables, at).await? {
        return Ok(pending);
    }
    // All that was decided up to there has a status now, so it was another command that stood there.
    status().await?.map(|row| decided(&app, row)).ok_or(ApiError::CommandNotFound)
}

/// Whether the command at a position is decided, and the status has come past the decision. Waits for
/// the status, bounded.
async fn is_concluded(app: &App, tables: &Tables, at: Position) -> Result<bool, ApiError> {
    let Position { lane, partition, offset } = at;
    let decided = app.ends.committed(CATALOG.lane(lane).name, partition);
    if decided.is_none_or(|decided| offset >= decided) {
        return Ok(false);
    }
    let passes = async {
        // Its decision was committed before now, so it stands before these ends.
        let topics = [CATALOG.events.name, CATALOG.decisions.name];
        app.ends.look_again(&topics.map(|topic| (topic, partition))).await;
        let ends = topics.map(|topic| app.ends.end(topic, partition));
        let version = (COMMAND_STATUS, tables.version(COMMAND_STATUS));
        loop {
            let read = app.checkpoints.of(&app.db, version, partition).await?;
            // The marker of the last transaction is no record.
            let is_passed = |(topic, end): (&str, Option<i64>)| {
                end.is_some_and(|end| end - read.next(topic) <= 1)
            };
            if topics.into_iter().zip(ends).all(is_passed) {
                return Ok(true);
            }
            tokio::time::sleep(ASK).await;
        }
    };
    tokio::time::timeout(app.read_wait, passes).await.unwrap_or(Ok(false))
}

fn position(text: &str) -> Result<Position, ApiError> {
    let (lane, text) = match text.strip_prefix("bulk.") {
        Some(rest) => (Lane::Bulk, rest),
        None => (Lane::Interactive, text),
    };
    let known = |(partition, _): &(i32, i64)| *partition < CATALOG.lane(lane).partitions;
    let at = position_of(text).filter(known);
    at.map(|(partition, offset)| Position { lane, partition, offset }).ok_or_else(|| {
        ApiError::MalformedRequest("`at` is the position that the Location named".to_owned())
    })
}

fn decided(app: &App, row: CommandStatusRow) -> Response {
    let lag = app.lags.of_product(COMMAND_STATUS, ProductId(row.aggregate_id));
    let token = Token::of(row.partition, row.offset).map(|token| token.to_string());
    match token {
        Some(token) => Lagging(lag, ([(CONSISTENCY_TOKEN, token)], Json(row))).into_response(),
        None => Lagging(lag, Json(row)).into_response(),
    }
}

/// Without a decision the log itself is asked: it holds the command, no longer, or not at all.
fn undecided(app: &App, command: CommandId, at: Position) -> Result<Response, ApiError> {
    let Position { lane, partition, offset } = at;
    let topic = CATALOG.lane(lane).name;
    if app.ends.start(topic, partition).is_some_and(|start| offset < start) {
        return Err(ApiError::CommandExpired);
    }
    // The end is looked at every so often; a position just past it may be newer than the look.
    if app.ends.end(topic, partition).is_some_and(|end| offset > end + JUST_APPENDED) {
        return Err(ApiError::CommandNotFound);
    }
    let body = Json(Undecided { command_id: command, verdict: "PENDING" });
    let answer = (StatusCode::ACCEPTED, [(header::RETRY_AFTER, "1")], body);
    Ok(Lagging(app.lags.of(COMMAND_STATUS), answer).into_response())
}

/// More commands than a partition takes between two looks at its end.
const JUST_APPENDED: i64 = 10_000;
