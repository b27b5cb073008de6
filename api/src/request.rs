//! Paths and queries, with their faults told as problems.

use std::str::FromStr;

use axum::extract::FromRequestParts;

use crate::problem::ApiError;

/// What a path names.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub(crate) struct Path<T>(pub T);

/// What a query asks for.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub(crate) struct Query<T>(pub T);

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
