//! Paths and queries, with their faults told as problems in plain words.

use std::str::FromStr;

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use crate::problem::ApiError;

/// What a path names.
pub(crate) struct Path<T>(pub T);

/// What a query asks for.
pub(crate) struct Query<T>(pub T);

impl<S, T> FromRequestParts<S> for Path<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if let Ok(path) = axum::extract::Path::<T>::from_request_parts(parts, state).await {
            return Ok(Self(path.0));
        }
        // The mall is any text here; what can be wrong is the id behind it.
        let params = RawPathParams::from_request_parts(parts, state).await?;
        let name = params.iter().last().map_or("id", |(name, _)| name);
        Err(ApiError::MalformedRequest(format!("`{name}` in the path is not {ID}")))
    }
}

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(query) => Ok(Self(query.0)),
            Err(rejection) => Err(ApiError::MalformedRequest(plain(&rejection.body_text()))),
        }
    }
}

/// How many rows a page has where nothing else is asked.
const USUAL: u32 = 20;
/// How many it has at most.
const MOST: u32 = 100;

/// The number of rows that a page is to have.
pub(crate) fn limit(asked: Option<u32>) -> Result<u32, ApiError> {
    match asked {
        None => Ok(USUAL),
        Some(limit @ 1..=MOST) => Ok(limit),
        Some(_) => Err(ApiError::MalformedRequest(format!("`limit` is 1 to {MOST}"))),
    }
}

/// The values of a list with commas, each once, in the order given.
pub(crate) fn list<T>(name: &str, text: &str, most: usize) -> Result<Vec<T>, ApiError>
where
    T: FromStr + PartialEq,
{
    let mut values = vec![];
    for item in text.split(',') {
        let value = item.trim().parse().map_err(|_| {
            let item: String = item.chars().take(50).collect();
            ApiError::MalformedRequest(format!("`{name}` holds {item:?}, which is none"))
        })?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    match values.len() {
        count if count > most => {
            Err(ApiError::MalformedRequest(format!("`{name}` holds at most {most}")))
        }
        _ => Ok(values),
    }
}

/// What serde says of a query, in the words of who sent it.
fn plain(text: &str) -> String {
    let quoted = |after: &str| {
        let (_, rest) = text.split_once(after)?;
        rest.split_once('`').map(|(name, rest)| (name.to_owned(), rest.to_owned()))
    };
    if let Some((name, rest)) = quoted("unknown field `") {
        let known = rest.trim_start_matches(", expected ").trim_start_matches("one of ");
        return format!("there is no parameter `{name}`; there is {known}");
    }
    if let Some((name, _)) = quoted("missing field `") {
        return format!("the parameter `{name}` is missing");
    }
    if let Some((name, _)) = quoted("duplicate field `") {
        return format!("the parameter `{name}` is given twice");
    }
    let (_, fault) = text.split_once("query string: ").unwrap_or_default();
    match fault.split_once(": ") {
        Some((name, told)) => match expected(name) {
            Some(expected) => format!("the parameter `{name}` is not {expected}"),
            None => format!("the parameter `{name}`: {told}"),
        },
        None => "the query cannot be read: it is name=value, with & between them".to_owned(),
    }
}

/// What every id is.
const ID: &str = "a UUID such as 0190d5a2-7e1c-7cc0-9b3e-0c8f3f4f9a10";

/// What a parameter holds; none where its own words say it.
fn expected(name: &str) -> Option<&'static str> {
    match name {
        "limit" => Some("a whole number, 1 to 100"),
        "after" => Some("the `next` of the page before"),
        _ if name.ends_with("_id") => Some(ID),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde::Deserialize;
    use uuid::Uuid;

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        #[allow(dead_code, reason = "only read")]
        q: String,
        #[allow(dead_code, reason = "only read")]
        limit: Option<u32>,
        #[allow(dead_code, reason = "only read")]
        partner_id: Option<Uuid>,
        #[allow(dead_code, reason = "only read")]
        is_new: Option<bool>,
    }

    async fn told(query: &str) -> String {
        let request = Request::builder().uri(format!("/?{query}")).body(()).unwrap();
        let (mut parts, ()) = request.into_parts();
        match Query::<Asked>::from_request_parts(&mut parts, &()).await {
            Ok(_) => "nothing".to_owned(),
            Err(problem) => problem.to_string(),
        }
    }

    #[tokio::test]
    async fn a_query_is_told_what_is_wrong_with_which_parameter() {
        assert_eq!(told("q=a&limit=3").await, "nothing");
        assert_eq!(
            told("q=a&limit=many").await,
            "the parameter `limit` is not a whole number, 1 to 100"
        );
        assert!(
            told("q=a&partner_id=7").await.starts_with("the parameter `partner_id` is not a UUID")
        );
        assert!(told("q=a&is_new=perhaps").await.starts_with("the parameter `is_new`: "));
        assert_eq!(told("limit=3").await, "the parameter `q` is missing");
        assert_eq!(told("q=a&q=b").await, "the parameter `q` is given twice");
        assert_eq!(
            told("q=a&colour=red").await,
            "there is no parameter `colour`; there is `q`, `limit`, `partner_id`, `is_new`"
        );
    }
}
