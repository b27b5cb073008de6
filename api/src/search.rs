//! Products as a shopper finds them.

use axum::{Json, extract::State, response::IntoResponse};
use projections::search::{LONGEST_QUERY, PROJECTION, SearchPage};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    auth::Caller,
    freshness::{Lagging, Wanted, reached},
    openapi::{CallHeaders, InMall, ReadHeaders, ReadProblems},
    problem::ApiError,
    request::{Query, limit},
};

/// The route.
pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(search))
}

/// What to look for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SearchQuery {
    /// What a shopper typed: words that must all be found. It has no operators.
    #[param(min_length = 1, max_length = 200, example = "청소기")]
    q: String,
    /// How many, 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// Search the products
///
/// Korean and English. Finds 무선청소기 for 청소기.
#[utoipa::path(
    get,
    path = "/search",
    operation_id = "search_products",
    tag = "products",
    params(InMall, SearchQuery, ReadHeaders, CallHeaders),
    responses(
        (status = 200, description = "The best hits.", body = SearchPage, headers(
            ("Projection-Lag" = String, description = "Seconds of the log that this may lack."),
        )),
        ReadProblems,
    ),
)]
async fn search(
    State(app): State<Shared>,
    caller: Caller,
    Query(query): Query<SearchQuery>,
    wanted: Wanted,
) -> Result<impl IntoResponse, ApiError> {
    let limit = limit(query.limit)?;
    let text = query.q.trim();
    if text.is_empty() || text.chars().count() > LONGEST_QUERY {
        let why = format!("`q` is 1 to {LONGEST_QUERY} characters");
        return Err(ApiError::MalformedRequest(why));
    }
    if wanted.0.is_some() {
        let live = app.search.live().await?.unwrap_or_default();
        reached(&app, PROJECTION, live, wanted).await?;
        app.search.refresh().await?;
    }
    let page = app.search.query(&caller.mall, text, limit).await?;
    Ok(Lagging(app.lags.of(PROJECTION), Json(page)))
}
