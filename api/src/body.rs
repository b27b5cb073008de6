//! Bodies: checked against the published schema, unknown fields refused and every fault named at
//! once; then read leniently, so that the types may grow.

use std::{collections::HashMap, pin::Pin, sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody},
    extract::{FromRef, FromRequest, Request},
    http::{HeaderMap, header},
};
use jsonschema::{ValidationError, Validator, error::ValidationErrorKind as Kind};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::problem::{ApiError, Fault};

/// The longest body that a command may have.
pub(crate) const LIMIT: usize = 1024 * 1024;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many faults one answer names.
const FAULTS: usize = 100;

/// A body that has the shape of `T` as the API publishes it.
pub(crate) struct Checked<T>(pub T);

impl<S, T> FromRequest<S> for Checked<T>
where
    S: Send + Sync,
    Shapes: FromRef<S>,
    T: DeserializeOwned + ToSchema,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        // A wish without fields needs no body, and none that is no JSON either.
        if !is_json(request.headers()) && !request.body().is_end_stream() {
            return Err(ApiError::UnsupportedMediaType);
        }
        let bytes = read(request.into_body(), LIMIT).await?;
        let text = if bytes.is_empty() { b"{}" } else { bytes.as_slice() };
        let body: Value = serde_json::from_slice(text)
            .map_err(|error| ApiError::MalformedJson(error.to_string()))?;
        Shapes::from_ref(state).check(&T::name(), &body)?;
        // The schema calls 1.0 an integer, serde does not.
        T::deserialize(body).map(Self).map_err(|error| {
            ApiError::InvalidBody(vec![Fault { pointer: String::new(), detail: error.to_string() }])
        })
    }
}

/// What each body must look like, compiled once.
#[derive(Clone)]
pub(crate) struct Shapes(Arc<HashMap<String, Validator>>);

impl Shapes {
    /// Compiles the schemas `names` of the published API.
    pub(crate) fn new(
        api: &utoipa::openapi::OpenApi,
        names: &[impl AsRef<str>],
    ) -> anyhow::Result<Self> {
        let mut schemas = json!(api)["components"]["schemas"].take();
        close(&mut schemas);
        let compile = |name: &str| {
            let root = json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$ref": format!("#/components/schemas/{name}"),
                "components": {"schemas": schemas},
            });
            let validator = jsonschema::options().should_validate_formats(true).build(&root)?;
            Ok((name.to_owned(), validator))
        };
        Ok(Self(Arc::new(
            names.iter().map(|name| compile(name.as_ref())).collect::<anyhow::Result<_>>()?,
        )))
    }

    fn check(&self, name: &str, body: &Value) -> Result<(), ApiError> {
        let faults = self.faults(name, body)?;
        if faults.is_empty() { Ok(()) } else { Err(ApiError::InvalidBody(faults)) }
    }

    /// What keeps `body` from having the shape `name`.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when no such shape was compiled.
    pub(crate) fn faults(&self, name: &str, body: &Value) -> Result<Vec<Fault>, ApiError> {
        let validator = self.0.get(name);
        let validator = validator
            .ok_or_else(|| ApiError::Internal(anyhow::anyhow!("no schema compiled for {name}")))?;
        let mut faults = vec![];
        if !validator.is_valid(body) {
            let errors = validator.iter_errors(body).take(FAULTS);
            errors.for_each(|error| name_faults(&error, &mut faults));
            faults.truncate(FAULTS);
        }
        Ok(faults)
    }
}

/// Refuses unknown fields in every object that names its fields.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            let is_empty_object = fields.get("type") == Some(&json!("object"))
                && !["additionalProperties", "allOf", "oneOf"]
                    .iter()
                    .any(|key| fields.contains_key(*key));
            if is_empty_object || fields.get("properties").is_some_and(Value::is_object) {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// One fault for each thing to mend: a missing or unknown field is named where it (should) stand.
fn name_faults(error: &ValidationError<'_>, faults: &mut Vec<Fault>) {
    let at = error.instance_path().as_str();
    let mut add = |field: &str, detail: String| {
        let field = field.replace('~', "~0").replace('/', "~1");
        let field: String = field.chars().take(200).collect();
        let slash = if field.is_empty() { "" } else { "/" };
        faults.push(Fault { pointer: format!("{at}{slash}{field}"), detail });
    };
    match error.kind() {
        Kind::Required { property } => {
            add(property.as_str().unwrap_or_default(), "is required".to_owned());
        }
        Kind::AdditionalProperties { unexpected } => {
            let names = unexpected.iter().take(FAULTS);
            names.for_each(|name| add(name, "is not a field of this object".to_owned()));
        }
        Kind::OneOfNotValid { context } | Kind::AnyOf { context } => {
            match context.iter().find(|branch| !is_of_another_type(branch, at)) {
                Some(branch) => branch.iter().for_each(|inner| name_faults(inner, faults)),
                None => add("", other_types(context)),
            }
        }
        Kind::Enum { options } => add("", format!("must be one of {options}")),
        // Masked: an answer repeats nothing of what was sent.
        _ => add("", error.masked().to_string()),
    }
}

/// Whether an alternative of a schema, such as `null`, was not meant at all.
fn is_of_another_type(branch: &[ValidationError<'_>], at: &str) -> bool {
    let wrong_type = |error: &ValidationError<'_>| {
        matches!(error.kind(), Kind::Type { .. }) && error.instance_path().as_str() == at
    };
    branch.iter().any(wrong_type)
}

fn other_types(context: &[Vec<ValidationError<'_>>]) -> String {
    let reasons = context.iter().flatten().map(|error| error.masked().to_string());
    reasons.collect::<Vec<_>>().join(", and ")
}

/// Whether a body is declared as JSON lines.
pub(crate) fn is_ndjson(headers: &HeaderMap) -> bool {
    let declared = media_type(headers);
    ["application/x-ndjson", "application/jsonl"].iter().any(|n| declared.eq_ignore_ascii_case(n))
}

fn media_type(headers: &HeaderMap) -> &str {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    declared.and_then(|value| value.split(';').next()).unwrap_or_default().trim()
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = media_type(headers);
    let subtype = media_type.get(..12).filter(|start| start.eq_ignore_ascii_case("application/"));
    let subtype = subtype.and_then(|_| media_type.get(12..)).unwrap_or_default();
    subtype.eq_ignore_ascii_case("json") || subtype.to_ascii_lowercase().ends_with("+json")
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// When it is longer, does not arrive in time, or breaks off.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Vec<u8>, ApiError> {
    let read = tokio::time::timeout(PATIENCE, to_end(body, limit));
    read.await.map_err(|_| ApiError::BodyTimedOut)?
}

async fn to_end(mut body: Body, limit: usize) -> Result<Vec<u8>, ApiError> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(limit).min(LIMIT);
    let mut bytes = Vec::with_capacity(expected);
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| ApiError::MalformedRequest(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(ApiError::BodyTooLarge);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use domain::product::{RegisterProduct, RepriceProduct};
    use utoipa::OpenApi;

    use super::*;

    #[derive(OpenApi)]
    #[openapi(components(schemas(RegisterProduct, RepriceProduct)))]
    struct Published;

    fn faults(name: &str, body: &Value) -> Vec<(String, String)> {
        let shapes = Shapes::new(&Published::openapi(), &["RegisterProduct", "RepriceProduct"]);
        match shapes.unwrap().check(name, body) {
            Ok(()) => vec![],
            Err(ApiError::InvalidBody(faults)) => {
                faults.into_iter().map(|fault| (fault.pointer, fault.detail)).collect()
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn pointers(name: &str, body: &Value) -> Vec<String> {
        let mut pointers: Vec<_> = faults(name, body).into_iter().map(|fault| fault.0).collect();
        pointers.sort();
        pointers
    }

    #[test]
    fn a_good_body_passes_with_and_without_what_may_be_left_out() {
        let least = json!({
            "name": "무선청소기", "skus": [{"code": "a"}], "list_price": {"minor": 1, "currency": "KRW"}
        });
        assert_eq!(faults("RegisterProduct", &least), []);
        let mut more = least;
        more["partner_id"] = json!(null);
        more["skus"][0]["price"] = json!({"minor": 2, "currency": "KRW"});
        assert_eq!(faults("RegisterProduct", &more), []);
    }

    #[test]
    fn every_fault_is_named_at_once_where_it_is() {
        let body = json!({
            "nmae": "x",
            "partner_id": "seven",
            "skus": [{"code": "", "price": {"minor": "2", "currency": "WON", "tax": 1}}, 5],
            "list_price": {"minor": 1.5},
            "images": "no"
        });
        assert_eq!(
            pointers("RegisterProduct", &body),
            [
                "/images",
                "/list_price/currency",
                "/list_price/minor",
                "/name",
                "/nmae",
                "/partner_id",
                "/skus/0/code",
                "/skus/0/price/currency",
                "/skus/0/price/minor",
                "/skus/0/price/tax",
                "/skus/1"
            ]
        );
    }

    #[test]
    fn a_fault_tells_what_to_mend_and_repeats_nothing() {
        let body = json!({"list_price": {"minor": "secret", "currency": "KRW"}, "a/b~": 1});
        let mut told = faults("RepriceProduct", &body);
        told.sort();
        let told: Vec<_> = told.iter().map(|(at, what)| (at.as_str(), what.as_str())).collect();
        assert_eq!(
            told,
            [
                ("/a~1b~0", "is not a field of this object"),
                ("/list_price/minor", "value is not of type \"integer\""),
            ]
        );
        let body = json!({"list_price": {"minor": 1, "currency": "secret"}});
        let told = faults("RepriceProduct", &body).remove(0).1;
        assert!(told.starts_with("must be one of [") && told.contains("\"KRW\""), "{told}");
        for body in [json!(null), json!([]), json!("x"), json!(1)] {
            assert_eq!(faults("RepriceProduct", &body).len(), 1, "{body}");
        }
    }

    #[test]
    fn only_json_is_taken_for_json() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            is_json(&headers)
        };
        assert!(of("application/json") && of("Application/JSON; charset=utf-8"));
        assert!(of("application/merge-patch+json"));
        assert!(!of("text/plain") && !of("application/jsonp") && !of("") && !of("application/"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
