//! Everything that can go wrong, as a client meets it: RFC 9457 problem documents with stable codes.

use axum::{
    Json,
    extract::rejection::RawPathParamsRejection,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::CommandId;
use projections::{products::CursorError, search::SearchError};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request is not answered as wished. The text says what to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The path or the query cannot be read.
    #[error("{0}")]
    MalformedRequest(String),
    /// A header cannot be read.
    #[error("the header {name} {fault}")]
    MalformedHeader {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// A cursor that this server never gave.
    #[error("the cursor `after` is not one that this server gave; begin without it")]
    InvalidCursor,
    /// A token that no write of this system answered.
    #[error("the Consistency-Token was not given by this system; send none, or one of a write")]
    InvalidToken,
    /// The body is not JSON text.
    #[error("the body is not JSON: {0}")]
    MalformedJson(String),
    /// The body does not have the shape that the operation asks for.
    #[error("the body has {}; see `errors`", counted(.0.len()))]
    InvalidBody(Vec<Fault>),
    /// A stream has more lines than one request may.
    #[error("the body has more than {0} lines; send the rest in further requests")]
    TooManyLines(usize),
    /// A stream is declared as something else.
    #[error("send the body as application/x-ndjson, a command in each line")]
    NoStream,
    /// The body is declared as something else.
    #[error("send the body as application/json")]
    UnsupportedMediaType,
    /// The body is longer than any command may be.
    #[error("the body is longer than a command may be: send less than 900 kB")]
    BodyTooLarge,
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    BodyTimedOut,
    /// No key, or one that is nobody's.
    #[error("send `Authorization: Bearer <key>` with the key of the mall")]
    Unauthenticated,
    /// The key of another mall, or a mall that does not exist: one answer for both.
    #[error("the key is not for this mall")]
    Forbidden,
    /// A storefront's key, where a merchant's is needed.
    #[error(
        "this is a storefront's key, which reads what is on sale and no more; use a merchant's"
    )]
    StorefrontKey,
    /// No such route.
    #[error("there is nothing at this path; /docs lists what there is")]
    RouteNotFound,
    /// The route has other methods.
    #[error("this path does not take the method; the header Allow names those that it takes")]
    MethodNotAllowed,
    /// The read model has no such thing (yet).
    #[error("there is no such {0} in this mall")]
    NotFound(&'static str),
    /// The command names what is not there to be named.
    #[error("the body refers to what this mall does not have, or has taken out of use")]
    UnknownReference(Vec<Fault>),
    /// Nothing is known of the command.
    #[error("no such command is known; ask with the `at` that its answer named")]
    CommandNotFound,
    /// The log no longer reaches back to the command.
    #[error("the command is older than what is kept")]
    CommandExpired,
    /// The command was decided, against it.
    #[error("{detail}")]
    Refused {
        /// The command.
        command: CommandId,
        /// The stable code of the rejection.
        code: String,
        /// What to mend.
        detail: String,
    },
    /// The key was used with another body.
    #[error("the Idempotency-Key was used before with another body or If-Match; use a new one")]
    KeyReused(CommandId),
    /// The read model has not caught up with the token.
    #[error("the write of the Consistency-Token is not visible yet; ask again")]
    NotYetVisible,
    /// The log did not take the command in time: it may yet be decided.
    #[error(
        "the log does not answer; repeat with the same Idempotency-Key, or ask for the command"
    )]
    LogUnavailable(CommandId),
    /// A read model does not answer.
    #[error("the read model does not answer; ask again")]
    ReadModelUnavailable(#[source] anyhow::Error),
    /// The search engine does not answer.
    #[error("the search does not answer; ask again")]
    SearchUnavailable(#[source] anyhow::Error),
    /// The key has sent more requests than it may.
    #[error("the key sends more requests than it may; wait as Retry-After says")]
    RateLimited,
    /// The mall has more under way than its share.
    #[error("the mall has more under way than its share of what can be done; ask again")]
    OverShare,
    /// Too many requests are under way.
    #[error("too many requests are under way; ask again")]
    Overloaded,
    /// The request took too long.
    #[error("the request took too long; ask again")]
    TimedOut,
    /// A fault of this server.
    #[error("the server failed; the log has the reason under this X-Request-Id")]
    Internal(#[source] anyhow::Error),
}

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "/docs#CURRENCY_MISMATCH",
    "title": "Conflict",
    "status": 409,
    "detail": "the price is in USD, the product is sold in KRW",
    "code": "CURRENCY_MISMATCH",
    "command_id": "0190d5a2-7e1c-7cc0-9b3e-0c8f3f4f9a10"
}))]
pub(crate) struct Problem {
    /// Identifies the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the status says.
    pub title: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// What to mend.
    pub detail: String,
    /// The stable code of the problem: match on this.
    pub code: String,
    /// The command that the problem is about, if it came that far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_id: Option<CommandId>,
    /// Every fault of the body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<Fault>,
}

/// One fault of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Fault {
    /// Where it is: a JSON pointer (RFC 6901) into the body, empty for the body itself.
    #[schema(example = "/list_price/minor")]
    pub pointer: String,
    /// What is wrong there.
    #[schema(example = "value is not of type \"integer\"")]
    pub detail: String,
}

/// Gives each variant its status and its stable code, and lists them.
macro_rules! own_codes {
    ($($pattern:pat => $status:ident $code:literal,)+) => {
        impl ApiError {
            /// The codes of the api itself, beside those of rejections.
            pub(crate) const OWN: &[(StatusCode, &str)] = &[$((StatusCode::$status, $code)),+];

            /// The status and the stable code.
            fn status_and_code(&self) -> (StatusCode, &str) {
                match self {
                    Self::Refused { code, .. } => (status_of(code), code),
                    $($pattern => (StatusCode::$status, $code),)+
                }
            }
        }
    };
}

own_codes! {
    ApiError::MalformedRequest(_) => BAD_REQUEST "MALFORMED_REQUEST",
    ApiError::MalformedHeader { .. } => BAD_REQUEST "MALFORMED_HEADER",
    ApiError::InvalidCursor => BAD_REQUEST "INVALID_CURSOR",
    ApiError::InvalidToken => BAD_REQUEST "INVALID_TOKEN",
    ApiError::MalformedJson(_) => BAD_REQUEST "MALFORMED_JSON",
    ApiError::InvalidBody(_) => UNPROCESSABLE_ENTITY "INVALID_BODY",
    ApiError::TooManyLines(_) => PAYLOAD_TOO_LARGE "TOO_MANY_LINES",
    ApiError::UnsupportedMediaType | ApiError::NoStream => UNSUPPORTED_MEDIA_TYPE "UNSUPPORTED_MEDIA_TYPE",
    ApiError::BodyTooLarge => PAYLOAD_TOO_LARGE "BODY_TOO_LARGE",
    ApiError::BodyTimedOut => REQUEST_TIMEOUT "BODY_TIMED_OUT",
    ApiError::Unauthenticated => UNAUTHORIZED "UNAUTHENTICATED",
    ApiError::Forbidden => FORBIDDEN "FORBIDDEN",
    ApiError::StorefrontKey => FORBIDDEN "STOREFRONT_KEY",
    ApiError::RouteNotFound => NOT_FOUND "ROUTE_NOT_FOUND",
    ApiError::MethodNotAllowed => METHOD_NOT_ALLOWED "METHOD_NOT_ALLOWED",
    ApiError::NotFound("partner") => NOT_FOUND "PARTNER_NOT_FOUND",
    ApiError::NotFound("brand") => NOT_FOUND "BRAND_NOT_FOUND",
    ApiError::NotFound("synonyms") => NOT_FOUND "SYNONYMS_NOT_FOUND",
    ApiError::NotFound("category") => NOT_FOUND "CATEGORY_NOT_FOUND",
    ApiError::NotFound(_) => NOT_FOUND "PRODUCT_NOT_FOUND",
    ApiError::UnknownReference(_) => UNPROCESSABLE_ENTITY "UNKNOWN_REFERENCE",
    ApiError::CommandNotFound => NOT_FOUND "COMMAND_NOT_FOUND",
    ApiError::CommandExpired => GONE "COMMAND_EXPIRED",
    ApiError::KeyReused(_) => UNPROCESSABLE_ENTITY "KEY_REUSED",
    ApiError::NotYetVisible => SERVICE_UNAVAILABLE "NOT_YET_VISIBLE",
    ApiError::LogUnavailable(_) => SERVICE_UNAVAILABLE "LOG_UNAVAILABLE",
    ApiError::ReadModelUnavailable(_) => SERVICE_UNAVAILABLE "READ_MODEL_UNAVAILABLE",
    ApiError::SearchUnavailable(_) => SERVICE_UNAVAILABLE "SEARCH_UNAVAILABLE",
    ApiError::RateLimited => TOO_MANY_REQUESTS "RATE_LIMITED",
    ApiError::OverShare => TOO_MANY_REQUESTS "OVER_SHARE",
    ApiError::Overloaded => SERVICE_UNAVAILABLE "OVERLOADED",
    ApiError::TimedOut => SERVICE_UNAVAILABLE "TIMED_OUT",
    ApiError::Internal(_) => INTERNAL_SERVER_ERROR "INTERNAL",
}

impl ApiError {
    fn command(&self) -> Option<CommandId> {
        match self {
            Self::Refused { command, .. }
            | Self::KeyReused(command)
            | Self::LogUnavailable(command) => Some(*command),
            _ => None,
        }
    }

    /// The status of the answer and its body.
    pub(crate) fn problem(self) -> (StatusCode, Problem) {
        if let Self::ReadModelUnavailable(cause)
        | Self::SearchUnavailable(cause)
        | Self::Internal(cause) = &self
        {
            tracing::error!(error = format!("{cause:#}"), "request failed");
        }
        let (status, code) = self.status_and_code();
        let problem = Problem {
            kind: format!("/docs#{code}"),
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            detail: self.to_string(),
            code: code.to_owned(),
            command_id: self.command(),
            errors: match self {
                Self::InvalidBody(faults) | Self::UnknownReference(faults) => faults,
                _ => vec![],
            },
        };
        (status, problem)
    }
}

/// The status of a rejection: most contradict the state.
pub(crate) fn status_of(rejection: &str) -> StatusCode {
    match rejection {
        "PRODUCT_NOT_FOUND" | "PARTNER_NOT_FOUND" | "BRAND_NOT_FOUND" | "CATEGORY_NOT_FOUND"
        | "SKU_NOT_FOUND" => StatusCode::NOT_FOUND,
        "VERSION_CONFLICT" => StatusCode::PRECONDITION_FAILED,
        "UNDECODABLE" => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::CONFLICT,
    }
}

/// Marks an answer that refuses because more was asked for than can be done or is allowed.
#[derive(Clone, Copy)]
pub(crate) struct TooMuch;

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let is_too_much = matches!(self, Self::RateLimited | Self::OverShare | Self::Overloaded);
        let (status, problem) = self.problem();
        let mut response = (status, Json(problem)).into_response();
        if is_too_much {
            response.extensions_mut().insert(TooMuch);
        }
        let mut set = |name: HeaderName, value| {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        };
        set(header::CONTENT_TYPE, "application/problem+json");
        match status {
            StatusCode::UNAUTHORIZED => set(header::WWW_AUTHENTICATE, "Bearer"),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                set(header::RETRY_AFTER, "1");
            }
            _ => {}
        }
        response
    }
}

/// What is stored but cannot be read is our fault; all else is a server that may come back.
impl From<projections::Error> for ApiError {
    fn from(error: projections::Error) -> Self {
        match error {
            projections::Error::Corrupt { .. } => Self::Internal(error.into()),
            _ => Self::ReadModelUnavailable(error.into()),
        }
    }
}

impl From<CursorError> for ApiError {
    fn from(_: CursorError) -> Self {
        Self::InvalidCursor
    }
}

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Question(why) => Self::MalformedRequest(why),
            _ => Self::SearchUnavailable(error.into()),
        }
    }
}

impl From<RawPathParamsRejection> for ApiError {
    fn from(_: RawPathParamsRejection) -> Self {
        Self::MalformedRequest("the path is not UTF-8 text once its % are resolved".to_owned())
    }
}

fn counted(faults: usize) -> String {
    if faults == 1 { "1 fault".to_owned() } else { format!("{faults} faults") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> ApiError {
        ApiError::Refused {
            command: CommandId(uuid::Uuid::nil()),
            code: code.to_owned(),
            detail: "mend it".to_owned(),
        }
    }

    #[test]
    fn a_rejection_keeps_its_code_and_finds_its_status() {
        for (code, status) in [
            ("PRODUCT_NOT_FOUND", 404),
            ("VERSION_CONFLICT", 412),
            ("UNDECODABLE", 422),
            ("CURRENCY_MISMATCH", 409),
            ("SOMETHING_NEWER", 409),
        ] {
            let (_, problem) = refused(code).problem();
            assert_eq!((problem.code.as_str(), problem.status), (code, status));
            assert!(problem.command_id.is_some());
        }
    }

    #[test]
    fn a_problem_is_an_rfc_9457_document() {
        let fault = Fault { pointer: "/name".to_owned(), detail: "is required".to_owned() };
        let (_, problem) = ApiError::InvalidBody(vec![fault]).problem();
        assert_eq!(
            serde_json::json!(problem),
            serde_json::json!({
                "type": "/docs#INVALID_BODY",
                "title": "Unprocessable Entity",
                "status": 422,
                "detail": "the body has 1 fault; see `errors`",
                "code": "INVALID_BODY",
                "errors": [{"pointer": "/name", "detail": "is required"}],
            })
        );
    }

    #[test]
    fn an_answer_says_when_to_come_back_and_how_to_sign_in() {
        let busy = ApiError::Overloaded.into_response();
        assert_eq!(busy.headers()["retry-after"], "1");
        assert_eq!(busy.headers()["content-type"], "application/problem+json");
        let stranger = ApiError::Unauthenticated.into_response();
        assert_eq!(stranger.headers()["www-authenticate"], "Bearer");
    }
}
