//! The one way a command goes into the log, whatever it is, and how its decision is answered.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use consumers::{
    faults,
    log::{AppendError, Position},
    telemetry::stage,
};
use domain::{CommandId, MallId, brand, catalog::Command, partner, product};
use projections::{
    Tables,
    command_status::{self, CommandStatusRow},
};
use schemas::{CommandMessage, Lane, Origin, Outcome, Verdict};
use serde::Serialize;
use tracing::Instrument as _;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    admission::{Entry, Place},
    app::{App, Shared},
    auth::Caller,
    courtesy,
    freshness::{CONSISTENCY_TOKEN, Token},
    headers::{Call, CommandHeaders},
    identity::{body_hash, command_id},
    problem::ApiError,
};

/// How long the courtesy of looking a keyed command up may take.
const COURTESY: Duration = Duration::from_millis(500);

/// A command as the request asks for it.
pub(crate) struct Ask {
    /// Who asks.
    pub caller: Caller,
    /// The request.
    pub call: Call,
    /// Its headers.
    pub headers: CommandHeaders,
    /// The aggregate it is addressed to.
    pub aggregate: Uuid,
    /// The wish itself.
    pub wish: Command,
}

/// A command was decided, and nothing stood against it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Decided {
    /// What was changed: a product, a partner, a brand or the category tree.
    pub id: Uuid,
    /// Its version after the decision.
    #[schema(example = 1)]
    pub version: i64,
    /// The command.
    pub command_id: CommandId,
    /// ACCEPTED, or UNCHANGED where everything was so already.
    #[schema(value_type = String, example = "ACCEPTED")]
    pub verdict: Verdict,
}

/// A command is in the log and will be decided.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pending {
    /// What is to be changed.
    pub id: Uuid,
    /// The command; Location says where to ask for its decision.
    pub command_id: CommandId,
    /// PENDING.
    #[schema(example = "PENDING")]
    pub verdict: &'static str,
}

/// What is answered to a command that was not refused.
pub(crate) enum Answer {
    /// Decided while the request waited.
    Decided {
        /// What is told in the body.
        body: Decided,
        /// Where to read what was written; none where it is not known.
        token: Option<Token>,
        /// The address of what the command brought into the catalog, where it did.
        created: Option<String>,
    },
    /// Not decided yet.
    Pending {
        /// What is told in the body.
        body: Pending,
        /// Where to ask for the decision.
        status: String,
    },
}

/// Appends the command, waits for its decision and answers.
pub(crate) async fn submit(app: &Shared, entry: Entry, ask: Ask) -> Result<Answer, ApiError> {
    let wait = !ask.headers.respond_async;
    let keyed = ask.headers.idempotency_key.is_some();
    let message = message(ask, Some(app.reply_partition));
    if keyed && let Some(first) = first_decision(app, &message).await {
        return conclude(&message, first);
    }
    if let Err(refused) = courtesy::references_exist(app, &message).await {
        // It may have been decided when what it names was still in use.
        let first = if keyed { first_decision(app, &message).await } else { None };
        return first.map_or(Err(refused), |first| conclude(&message, first));
    }
    let place = entry.enter(message.origin.aggregate).await?;
    let message = Arc::new(message);
    let wait = if wait { app.wait } else { Duration::ZERO };
    // A task of its own: a caller who hangs up does not take the command back, which counts until
    // it is decided.
    let sent = tokio::spawn(send(app.clone(), message.clone(), place, wait).in_current_span());
    let (position, outcome) = sent.await.map_err(|error| ApiError::Internal(error.into()))??;
    faults::point("api.before_answer");
    match outcome {
        Some(outcome) => conclude(&message, outcome),
        None => Ok(pending(&message.origin, position)),
    }
}

/// Appends the command, and waits so long for its decision.
async fn send(
    app: Shared,
    message: Arc<CommandMessage>,
    mut place: Place,
    wait: Duration,
) -> Result<(Position, Option<Outcome>), ApiError> {
    // Registered before the append: afterwards the outcome may already have passed.
    let mut waiter = app.waiters.register(message.origin.command, &message.origin.body_hash);
    place.sends();
    let begun = Instant::now();
    let position = append(&app, &message).await?;
    let begun = stage("append", begun);
    place.appended(position);
    let outcome = waiter.outcome(wait).await;
    match outcome {
        Some(_) => {
            stage("outcome", begun);
            place.decided(waiter.is_alone());
        }
        None => place.watch(waiter),
    }
    Ok((position, outcome))
}

/// The command as it goes into the log; `reply_partition` where somebody waits for its outcome.
pub(crate) fn message(ask: Ask, reply_partition: Option<i32>) -> CommandMessage {
    let aggregate = ask.aggregate;
    let command = command_id(&ask.caller, aggregate, ask.headers.idempotency_key.as_deref());
    let expected_version = ask.headers.expected_version;
    let origin = Origin {
        aggregate,
        mall: ask.caller.mall,
        command,
        body_hash: body_hash(&ask.wish, expected_version),
        actor: ask.caller.actor,
        correlation: ask.call.correlation,
        trace: ask.call.trace,
    };
    CommandMessage { origin, expected_version, reply_partition, body: ask.wish }
}

async fn first_decision(app: &App, message: &CommandMessage) -> Option<Outcome> {
    first_decisions(app, &message.origin.mall, &[message.origin.command]).await.pop()
}

/// The decisions that keyed commands got before. A courtesy that spares the log most retries: their
/// owner knows them too, so the request goes on where this is not to be had.
pub(crate) async fn first_decisions(
    app: &App,
    mall: &MallId,
    commands: &[CommandId],
) -> Vec<Outcome> {
    if commands.is_empty() {
        return vec![];
    }
    let look_up = async {
        let tables = Tables::active(&app.db).await?;
        command_status::of_mall(&app.db, &tables, mall, commands).await
    };
    match tokio::time::timeout(COURTESY, look_up).await {
        Ok(Ok(rows)) => rows.into_iter().map(told).collect(),
        Ok(Err(error)) => {
            tracing::warn!(%error, "keyed commands were not looked up");
            vec![]
        }
        Err(_) => {
            tracing::warn!("keyed commands were not looked up in time");
            vec![]
        }
    }
}

/// A stored decision, as an outcome tells it.
fn told(row: CommandStatusRow) -> Outcome {
    Outcome {
        command_id: row.command_id,
        aggregate_id: row.aggregate_id.to_string(),
        body_hash: row.body_hash,
        verdict: row.verdict,
        code: row.code,
        detail: row.detail,
        version: row.version,
        partition: row.partition,
        offset: row.offset,
    }
}

async fn append(app: &App, message: &CommandMessage) -> Result<Position, ApiError> {
    let appended = app.log.append(Lane::Interactive, message).await;
    appended.map_err(|error| not_appended(message.origin.command, error))
}

/// What is answered where a command did not come into the log, or may not have.
pub(crate) fn not_appended(command: CommandId, error: AppendError) -> ApiError {
    match error {
        AppendError::TooLarge => ApiError::BodyTooLarge,
        AppendError::TimedOut | AppendError::Unavailable(_) => {
            tracing::warn!(%command, %error, "a command was not acknowledged");
            ApiError::LogUnavailable(command)
        }
        AppendError::Codec(_) => ApiError::Internal(error.into()),
    }
}

/// An outcome under our command id, but of another body, is no answer to ours: the key was reused.
pub(crate) fn conclude(message: &CommandMessage, outcome: Outcome) -> Result<Answer, ApiError> {
    let Origin { aggregate, command, mall, body_hash, .. } = &message.origin;
    if outcome.verdict == Verdict::KeyReused || outcome.body_hash != *body_hash {
        return Err(ApiError::KeyReused(*command));
    }
    if matches!(outcome.verdict, Verdict::Rejected | Verdict::Undecodable) {
        return Err(ApiError::Refused {
            command: *command,
            code: outcome.code.unwrap_or_else(|| outcome.verdict.to_string()),
            detail: outcome.detail.unwrap_or_else(|| "the command was refused".to_owned()),
        });
    }
    let id = *aggregate;
    Ok(Answer::Decided {
        body: Decided {
            id,
            version: outcome.version,
            command_id: *command,
            verdict: outcome.verdict,
        },
        token: Token::of(outcome.partition, outcome.offset),
        created: list_of(&message.body).map(|list| address(mall, &format!("{list}/{id}"))),
    })
}

/// The list that the command adds its aggregate to, if it does.
fn list_of(wish: &Command) -> Option<&'static str> {
    match wish {
        Command::Product(product::Command::RegisterProduct(_)) => Some("products"),
        Command::Partner(partner::Command::RegisterPartner(_)) => Some("partners"),
        Command::Brand(brand::Command::RegisterBrand(_)) => Some("brands"),
        _ => None,
    }
}

/// What is answered to a command that stands in the log at `position` and is not decided yet.
pub(crate) fn pending(origin: &Origin, position: Position) -> Answer {
    let path = format!("commands/{}?at={position}", origin.command);
    Answer::Pending {
        body: Pending { id: origin.aggregate, command_id: origin.command, verdict: "PENDING" },
        status: address(&origin.mall, &path),
    }
}

fn address(mall: &MallId, path: &str) -> String {
    format!("/v1/{mall}/{path}")
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Decided { body, token, created } => {
                let status = if created.is_some() { StatusCode::CREATED } else { StatusCode::OK };
                let headers = [
                    (header::ETAG, Some(etag(body.version))),
                    (CONSISTENCY_TOKEN, token.map(|token| token.to_string())),
                    (header::LOCATION, created),
                ];
                with_headers((status, Json(body)).into_response(), headers)
            }
            Self::Pending { body, status } => {
                let headers =
                    [(header::RETRY_AFTER, Some("1".to_owned())), (header::LOCATION, Some(status))];
                with_headers((StatusCode::ACCEPTED, Json(body)).into_response(), headers)
            }
        }
    }
}

/// The ETag of a version.
pub(crate) fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

fn with_headers<const N: usize>(
    mut response: Response,
    headers: [(HeaderName, Option<String>); N],
) -> Response {
    for (name, value) in headers {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use domain::{Currency, Money, product::RepriceProduct};

    use super::*;

    fn message() -> CommandMessage {
        let list_price = Money { minor: 1, currency: Currency::KRW };
        let ask = Ask {
            caller: Caller { mall: "demo".parse().unwrap(), actor: "key:demo".to_owned() },
            call: Call::of(&axum::http::HeaderMap::new()),
            headers: CommandHeaders {
                idempotency_key: Some("k".to_owned()),
                expected_version: None,
                respond_async: false,
            },
            aggregate: Uuid::nil(),
            wish: Command::Product(RepriceProduct { list_price }.into()),
        };
        super::message(ask, Some(0))
    }

    fn outcome(message: &CommandMessage, verdict: Verdict) -> Outcome {
        Outcome {
            command_id: message.origin.command,
            aggregate_id: message.origin.aggregate.to_string(),
            body_hash: message.origin.body_hash.clone(),
            verdict,
            code: None,
            detail: None,
            version: 3,
            partition: 2,
            offset: 7,
        }
    }

    #[test]
    fn a_decision_tells_its_version_and_where_to_read_it() {
        let message = message();
        for verdict in [Verdict::Accepted, Verdict::Unchanged] {
            let answer = conclude(&message, outcome(&message, verdict)).unwrap().into_response();
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()["etag"], "\"3\"");
            assert_eq!(answer.headers()["consistency-token"], "catalog.events.2.7");
        }
        let unknown = Outcome { offset: -1, ..outcome(&message, Verdict::Unchanged) };
        let answer = conclude(&message, unknown).unwrap().into_response();
        assert!(!answer.headers().contains_key("consistency-token"));
    }

    #[test]
    fn the_outcome_of_another_body_is_never_our_success() {
        let message = message();
        let other = Outcome { body_hash: "0".repeat(32), ..outcome(&message, Verdict::Accepted) };
        assert!(matches!(conclude(&message, other), Err(ApiError::KeyReused(_))));
        let reused = outcome(&message, Verdict::KeyReused);
        assert!(matches!(conclude(&message, reused), Err(ApiError::KeyReused(_))));
    }

    #[test]
    fn a_rejection_keeps_its_code() {
        let message = message();
        let code = Some("CURRENCY_MISMATCH".to_owned());
        let rejected = Outcome { code, ..outcome(&message, Verdict::Rejected) };
        let Err(ApiError::Refused { code, .. }) = conclude(&message, rejected) else { panic!() };
        assert_eq!(code, "CURRENCY_MISMATCH");
        let undecodable = outcome(&message, Verdict::Undecodable);
        let Err(ApiError::Refused { code, .. }) = conclude(&message, undecodable) else { panic!() };
        assert_eq!(code, "UNDECODABLE");
    }

    #[test]
    fn who_need_not_wait_is_told_where_to_ask() {
        let origin = message().origin;
        for (lane, at) in [(Lane::Interactive, "4.99"), (Lane::Bulk, "bulk.4.99")] {
            let position = Position { lane, partition: 4, offset: 99 };
            let answer = pending(&origin, position).into_response();
            assert_eq!(answer.status(), StatusCode::ACCEPTED);
            let expected = format!("/v1/demo/commands/{}?at={at}", origin.command);
            assert_eq!(answer.headers()["location"], expected.as_str());
        }
    }
}
