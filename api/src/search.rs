//! Products as a shopper finds them: by words, by category, and while typing.

use std::{sync::Arc, time::Instant};

use axum::{Json, extract::State, response::IntoResponse};
use domain::{BrandId, CategoryId, product::SaleState};
use projections::search::{LONGEST_QUERY, PROJECTION, Place, Question, Search, SearchPage, Sort};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::{App, Shared},
    auth::Visitor,
    freshness::{Lagging, Wanted, live_in, reached},
    malls::Known,
    openapi::{CallHeaders, InMall, ReadHeaders, ReadProblems},
    problem::ApiError,
    request::{Path, Query, limit, list},
    route::InPath,
};

/// How many brands may be chosen at once.
const MOST_BRANDS: usize = 50;
/// Suggestions where no number is asked for.
const SUGGESTIONS: u32 = 8;

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(search))
        .routes(routes!(suggest))
        .routes(routes!(of_category))
}

/// What to look for.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SearchQuery {
    /// What a shopper typed: words that must all be found, or initials such as ㅊㅅㄱ. It has no
    /// operators.
    #[param(min_length = 1, max_length = 200, example = "청소기")]
    q: Option<String>,
    /// Products in this category, or in one below it.
    category_id: Option<CategoryId>,
    /// Products of one of these brands: ids with commas.
    brand_id: Option<String>,
    /// The lowest list price, in minor units.
    #[param(minimum = 0)]
    price_from: Option<i64>,
    /// The highest list price, in minor units.
    #[param(minimum = 0)]
    price_to: Option<i64>,
    /// Products in this sale state.
    sale_state: Option<SaleState>,
    /// `relevance` where there is a `q`, else `newest`, unless told: one of those two, `price` or
    /// `-price`.
    sort: Option<String>,
    /// How many, 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// Where to go on: the `next` of the page before.
    after: Option<String>,
    /// What to count over all hits: some of `brand`, `category`, `price`, `sale_state`, with commas.
    #[param(example = "brand,category,price")]
    facets: Option<String>,
}

/// Search the products
///
/// Korean and English. Finds 무선청소기 for 청소기 and for ㅊㅅㄱ. A word may also name the category
/// that a product stands in, or one above it. Where nothing has the words as they are typed, finds
/// what nearly has them. A storefront sees what is on sale.
#[utoipa::path(
    get,
    path = "/search",
    operation_id = "search_products",
    tag = "products",
    params(InMall, SearchQuery, ReadHeaders, CallHeaders),
    responses(
        (status = 200, description = "Some hits.", body = SearchPage, headers(
            ("Projection-Lag" = String, description = "Seconds of the log that this may lack."),
        )),
        ReadProblems,
    ),
)]
async fn search(
    State(app): State<Shared>,
    visitor: Visitor,
    Query(query): Query<SearchQuery>,
    wanted: Wanted,
) -> Result<impl IntoResponse, ApiError> {
    let category = query.category_id;
    let question = query.question(&visitor)?;
    let shown = shown(&app, &visitor, wanted).await?;
    let found = find(&app, &visitor, &shown, question, category).await;
    let page = found.map_err(|error| match error {
        ApiError::NotFound(_) => {
            let why = "`category_id` names no category of this mall";
            ApiError::MalformedRequest(why.to_owned())
        }
        error => error,
    })?;
    Ok(Lagging(app.lags.of(PROJECTION), Json(page)))
}

/// Which page of a category.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CategoryQuery {
    /// `newest` unless told, `price` or `-price`.
    sort: Option<String>,
    /// How many, 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// Where to go on: the `next` of the page before.
    after: Option<String>,
}

/// List the products of a category
///
/// Those that stand in it or in a category below it. A search with its `category_id` narrows them
/// further, and counts.
#[utoipa::path(
    get,
    path = "/categories/{id}/products",
    operation_id = "list_products_of_category",
    tag = "categories",
    params(InMall, InPath, CategoryQuery, ReadHeaders, CallHeaders),
    responses(
        (status = 200, description = "A page of products.", body = SearchPage, headers(
            ("Projection-Lag" = String, description = "Seconds of the log that this may lack."),
        )),
        ReadProblems,
    ),
)]
async fn of_category(
    State(app): State<Shared>,
    visitor: Visitor,
    Path((_, id)): Path<(String, CategoryId)>,
    Query(CategoryQuery { sort, limit, after }): Query<CategoryQuery>,
    wanted: Wanted,
) -> Result<impl IntoResponse, ApiError> {
    let query = SearchQuery { sort, limit, after, ..SearchQuery::default() };
    let question = query.question(&visitor)?;
    let shown = shown(&app, &visitor, wanted).await?;
    let page = find(&app, &visitor, &shown, question, Some(id)).await?;
    Ok(Lagging(app.lags.of(PROJECTION), Json(page)))
}

/// What was typed so far.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SuggestQuery {
    /// The text, perhaps in the middle of a word or of a syllable.
    #[param(min_length = 1, max_length = 200, example = "무선 처")]
    q: String,
    /// How many, 8 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// What somebody may be about to type.
#[derive(Serialize, ToSchema)]
struct Suggestions {
    /// Names of products, the best first, each once.
    suggestions: Vec<String>,
}

/// Suggest what to search for
///
/// While somebody types: 무선 처 and ㅊㅅㄱ find 무선청소기. A storefront sees what is on sale.
#[utoipa::path(
    get,
    path = "/suggestions",
    operation_id = "suggest_products",
    tag = "products",
    params(InMall, SuggestQuery, ReadHeaders, CallHeaders),
    responses((status = 200, description = "Suggestions.", body = Suggestions), ReadProblems),
)]
async fn suggest(
    State(app): State<Shared>,
    visitor: Visitor,
    Query(query): Query<SuggestQuery>,
    wanted: Wanted,
) -> Result<impl IntoResponse, ApiError> {
    let typed = text("q", &query.q)?;
    let limit = limit(query.limit.or(Some(SUGGESTIONS)))?;
    let (known, search) = shown(&app, &visitor, wanted).await?;
    let view = visitor.view(&known);
    let suggestions = search.suggest(&visitor.mall, &view, typed, limit).await?;
    Ok(Lagging(app.lags.of(PROJECTION), Json(Suggestions { suggestions })))
}

impl SearchQuery {
    fn question(self, visitor: &Visitor) -> Result<Question, ApiError> {
        let malformed = ApiError::MalformedRequest;
        let limit = limit(self.limit)?;
        let words = self.q.as_deref().map(|q| text("q", q)).transpose()?;
        let usual = if words.is_some() { Sort::Relevance } else { Sort::Newest };
        let sort = self.sort.as_deref().map_or(Ok(usual), str::parse).map_err(malformed)?;
        if sort == Sort::Relevance && words.is_none() {
            return Err(malformed("`sort=relevance` needs a `q`".to_owned()));
        }
        if self.price_from.zip(self.price_to).is_some_and(|(from, to)| from > to) {
            return Err(malformed("`price_from` is greater than `price_to`".to_owned()));
        }
        let after: Option<Place> = self.after.as_deref().map(str::parse).transpose()?;
        if after.as_ref().is_some_and(|place| place.sort() != sort) {
            return Err(ApiError::InvalidCursor);
        }
        let brands = self.brand_id.as_deref().map(|ids| list("brand_id", ids, MOST_BRANDS));
        let brands: Option<Vec<BrandId>> = brands.transpose()?;
        let facets = match &self.facets {
            Some(names) => list("facets", names, 4)?,
            None => vec![],
        };
        let nothing = projections::search::View::All;
        Ok(Question {
            text: words.map(str::to_owned),
            brands,
            price_from: self.price_from,
            price_to: self.price_to,
            sale_state: self.sale_state,
            sort,
            after,
            facets,
            ..Question::all(visitor.mall.clone(), nothing, limit)
        })
    }
}

/// A text that was typed, without the blanks around it.
fn text<'t>(name: &str, typed: &'t str) -> Result<&'t str, ApiError> {
    let text = typed.trim();
    if text.is_empty() || text.chars().count() > LONGEST_QUERY {
        let why = format!("`{name}` is 1 to {LONGEST_QUERY} characters");
        return Err(ApiError::MalformedRequest(why));
    }
    Ok(text)
}

/// The mall and the index to ask, once both show the write that the request wants to see. What was
/// waited for in one version of the index is asked of that one, whichever the alias names by then.
async fn shown(
    app: &App,
    visitor: &Visitor,
    wanted: Wanted,
) -> Result<(Arc<Known>, Search), ApiError> {
    if wanted.0.is_none() {
        return Ok((app.malls.lately(app, &visitor.mall).await?, app.search.clone()));
    }
    let asked = Instant::now();
    let tables = live_in(app, &["directory"], wanted).await?;
    let mut live = app.search.live().await?;
    let mut shown = reached(app, PROJECTION, live.unwrap_or_default(), wanted).await;
    if shown.is_err() {
        // It may have been dropped, or be fed no more.
        let now = app.search.live().await?;
        if now != live {
            live = now;
            shown = reached(app, PROJECTION, live.unwrap_or_default(), wanted).await;
        }
    }
    shown?;
    let live = live.unwrap_or_default();
    app.search.refresh(live).await?;
    let known = app.malls.now(app, (tables, asked), &visitor.mall).await?;
    Ok((known, app.search.in_version(live)))
}

/// Asks, with what is known of the mall: the categories below the one asked for, which brands and
/// sellers are shown, what words mean the same or name a category, and the names of what was counted.
async fn find(
    app: &App,
    visitor: &Visitor,
    (known, search): &(Arc<Known>, Search),
    mut question: Question,
    category: Option<CategoryId>,
) -> Result<SearchPage, ApiError> {
    question.view = visitor.view(known);
    let tree = visitor.part(&known.trees);
    if let Some(category) = category {
        let below = tree.below(category);
        if below.is_empty() {
            return Err(ApiError::NotFound("category"));
        }
        question.categories = Some(below);
    }
    if let Some(brands) = question.brands.as_mut().filter(|_| visitor.is_buyer()) {
        let asked = brands.iter().map(|brand| brand.0).collect();
        let shown = visitor.may_know(known.brands(app, asked).await?);
        brands.retain(|brand| shown.contains_key(&brand.0));
    }
    if question.text.is_some() {
        question.synonyms = known.synonyms.clone();
        question.tree = tree.clone();
    }
    let mut page = search.query(&question).await?;
    let brands = known.brands(app, visitor.brands_in(&page)).await?;
    visitor.found(&visitor.may_know(brands), &tree, &mut page);
    Ok(page)
}
