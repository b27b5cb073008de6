//! What the headers of a request ask for.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, header, request::Parts},
};
use schemas::Traceparent;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::problem::ApiError;

/// Names the request in answers and logs, and ties its messages together.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Makes a command safe to repeat.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The trace that a request belongs to.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// How the caller would like to be answered (RFC 7240).
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");

/// What a command's headers say beside its body.
#[derive(Clone, Debug, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct CommandHeaders {
    /// The caller's own name for the command: sent again with it, the command is decided once,
    /// and answered alike. 1 to 200 visible ASCII characters.
    #[param(
        rename = "Idempotency-Key",
        value_type = String,
        required = false,
        min_length = 1,
        max_length = 200,
        pattern = "^[!-~]+$"
    )]
    pub idempotency_key: Option<String>,
    /// The only version that the command may change, as an ETag told it.
    #[param(
        rename = "If-Match",
        value_type = String,
        required = false,
        pattern = "^\"[0-9]{1,18}\"$",
        example = "\"3\""
    )]
    pub expected_version: Option<i64>,
    /// `respond-async`: do not wait for the decision.
    #[param(rename = "Prefer", value_type = String, required = false, example = "respond-async")]
    pub respond_async: bool,
}

impl CommandHeaders {
    fn read(headers: &HeaderMap) -> Result<Self, ApiError> {
        Ok(Self {
            idempotency_key: idempotency_key(headers)?,
            expected_version: if_match(headers)?,
            respond_async: responds_async(headers),
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CommandHeaders {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::read(&parts.headers)
    }
}

/// The request as logs, events and traces name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// The `X-Request-Id`, the caller's where it is a UUID.
    pub correlation: Uuid,
    /// The step of the trace that this request is.
    pub trace: Traceparent,
}

impl Call {
    /// Reads both from `headers`, or begins them.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let own = Uuid::now_v7();
        let given = text(REQUEST_ID).and_then(|id| Uuid::try_parse(id).ok());
        // A malformed traceparent begins a new trace, as W3C Trace Context asks.
        let parent = text(TRACEPARENT).and_then(|value| value.parse::<Traceparent>().ok());
        let (high, low) = own.as_u64_pair();
        let step = high ^ low;
        Self {
            correlation: given.unwrap_or(own),
            trace: parent.map_or_else(|| Traceparent::start(own), |trace| trace.child(step)),
        }
    }
}

/// Read from the extensions of a request, where the edge put it; begun anew elsewhere.
impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().copied().unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

/// Whether the caller would rather not wait for a decision.
pub(crate) fn responds_async(headers: &HeaderMap) -> bool {
    headers.get_all(PREFER).iter().any(|value| {
        let mut wishes = value.to_str().unwrap_or_default().split(',');
        wishes.any(|wish| wish.trim().eq_ignore_ascii_case("respond-async"))
    })
}

/// What is wrong with an idempotency key, if anything is.
pub(crate) fn fault_of_key(key: &str) -> Option<&'static str> {
    let visible = key.bytes().all(|c| c.is_ascii_graphic());
    let fault = "is 1 to 200 visible ASCII characters, without blanks";
    (!visible || key.is_empty() || key.len() > 200).then_some(fault)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = single(headers, &IDEMPOTENCY_KEY, "Idempotency-Key")? else {
        return Ok(None);
    };
    if let Some(fault) = fault_of_key(value) {
        return Err(ApiError::MalformedHeader { name: "Idempotency-Key", fault });
    }
    Ok(Some(value.to_owned()))
}

fn if_match(headers: &HeaderMap) -> Result<Option<i64>, ApiError> {
    let Some(value) = single(headers, &header::IF_MATCH, "If-Match")? else { return Ok(None) };
    let fault = "is one ETag as an answer gave it, such as \"3\" with its quotes";
    let number = value.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let digits = number.filter(|text| text.bytes().all(|c| c.is_ascii_digit()));
    match digits.and_then(|text| text.parse().ok()) {
        Some(version) => Ok(Some(version)),
        None => Err(ApiError::MalformedHeader { name: "If-Match", fault }),
    }
}

/// The text of a header that may stand once.
pub(crate) fn single<'h>(
    headers: &'h HeaderMap,
    header: &HeaderName,
    name: &'static str,
) -> Result<Option<&'h str>, ApiError> {
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ApiError::MalformedHeader { name, fault: "is given twice" });
    }
    let text = value.to_str();
    text.map(Some).map_err(|_| ApiError::MalformedHeader { name, fault: "is not ASCII text" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn a_command_says_its_key_its_version_and_whether_it_waits() {
        let read = CommandHeaders::read(&headers(&[
            (&IDEMPOTENCY_KEY, "order-7"),
            (&header::IF_MATCH, "\"3\""),
            (&PREFER, "return=minimal, Respond-Async"),
        ]));
        let read = read.unwrap();
        assert_eq!(read.idempotency_key.as_deref(), Some("order-7"));
        assert_eq!((read.expected_version, read.respond_async), (Some(3), true));
        let none = CommandHeaders::read(&HeaderMap::new()).unwrap();
        assert_eq!((none.idempotency_key, none.expected_version), (None, None));
    }

    #[test]
    fn a_malformed_key_or_version_is_refused() {
        let long = "k".repeat(201);
        for key in ["", "a b", "열쇠", &long] {
            assert!(CommandHeaders::read(&headers(&[(&IDEMPOTENCY_KEY, key)])).is_err(), "{key}");
        }
        for tag in [
            "3",
            "*",
            "W/\"3\"",
            "\"-1\"",
            "\"+1\"",
            "\"\"",
            "\"1\", \"2\"",
            "\"9999999999999999999\"",
        ] {
            assert!(CommandHeaders::read(&headers(&[(&header::IF_MATCH, tag)])).is_err(), "{tag}");
        }
        let twice = headers(&[(&IDEMPOTENCY_KEY, "a"), (&IDEMPOTENCY_KEY, "b")]);
        assert!(CommandHeaders::read(&twice).is_err());
    }

    #[test]
    fn a_request_keeps_its_trace_and_a_uuid_it_came_with() {
        let id = "0190d5a2-7e1c-7cc0-9b3e-0c8f3f4f9a10";
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let call = Call::of(&headers(&[(&REQUEST_ID, id), (&TRACEPARENT, trace)]));
        assert_eq!(call.correlation.to_string(), id);
        assert_eq!(call.trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_ne!(call.trace.to_string(), trace);
        let odd = Call::of(&headers(&[(&REQUEST_ID, "me"), (&TRACEPARENT, "00-zz")]));
        assert_eq!(odd.correlation.get_version_num(), 7);
    }
}
