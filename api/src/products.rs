//! Products: the commands that change them, and the read models that show them.

use axum::{Json, extract::State, http::header, response::IntoResponse};
use domain::{
    PartnerId, ProductId,
    product::{Command, RegisterProduct, UpsertProduct},
};
use projections::{
    history::{self, HistoryRow},
    products::{self, Cursor, Filter, ProductRow},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    auth::Caller,
    body::Checked,
    freshness::{Lagging, Wanted, live},
    headers::{Call, CommandHeaders},
    identity,
    openapi::{CallHeaders, CommandProblems, InMall, Later, OfProduct, ReadHeaders, ReadProblems},
    problem::ApiError,
    request::{Path, Query, limit},
    submit::{Answer, Ask, Decided, etag, submit},
};

mod changes;

const PRODUCTS: &str = "products";
const HISTORY: &str = "history";

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(register, page))
        .routes(routes!(by_id))
        .routes(routes!(upsert))
        .routes(routes!(history_of))
        .merge(changes::router())
}

/// Register a product
///
/// Brings a product into the catalog. With an `external_id`, or with an `Idempotency-Key`, the
/// same request sent again finds the same product.
#[utoipa::path(
    post,
    path = "/products",
    operation_id = "register_product",
    tag = "products",
    params(InMall, CommandHeaders, CallHeaders),
    request_body(content = RegisterProduct, example = json!({
        "external_id": "V12-2024",
        "name": "무선청소기 V12",
        "description": "가볍고 조용한 무선 청소기",
        "options": [{"name": "색상", "values": ["흰색", "검정"]}],
        "skus": [{"code": "V12-W", "choices": ["흰색"]}, {"code": "V12-B", "choices": ["검정"]}],
        "list_price": {"minor": 459_000, "currency": "KRW"},
        "images": ["https://images.example.com/v12.jpg"]
    })),
    responses(
        (status = 201, description = "The product is registered.", body = Decided, headers(
            ("Location" = String, description = "The product's address."),
            ("ETag" = String, description = "Its version, for `If-Match`."),
            ("Consistency-Token" = String, description = "Send it with a read that must show this."),
        )),
        Later,
        CommandProblems,
    ),
)]
async fn register(
    State(app): State<Shared>,
    caller: Caller,
    call: Call,
    headers: CommandHeaders,
    Checked(wish): Checked<RegisterProduct>,
) -> Result<Answer, ApiError> {
    let aggregate = identity::product_id(&caller, &wish, headers.idempotency_key.as_deref());
    let wish = Command::from(wish).into();
    submit(&app, Ask { caller, call, headers, aggregate, wish }).await
}

/// Make a product what a feed says it is
///
/// Registers it where it is not known, and records only what differs; sent again, it changes
/// nothing. `observed_at` refuses what is older than the product's last change.
#[utoipa::path(
    post,
    path = "/products/upsert",
    operation_id = "upsert_product",
    tag = "products",
    params(InMall, CommandHeaders, CallHeaders),
    request_body = UpsertProduct,
    responses(
        (status = 200, description = "The product is so.", body = Decided, headers(
            ("ETag" = String, description = "The product's version, for `If-Match`."),
            ("Consistency-Token" = String, description = "Send it with a read that must show this."),
        )),
        Later,
        CommandProblems,
    ),
)]
async fn upsert(
    State(app): State<Shared>,
    caller: Caller,
    call: Call,
    headers: CommandHeaders,
    Checked(wish): Checked<UpsertProduct>,
) -> Result<Answer, ApiError> {
    if let Some(fault) = identity::nameless(&wish) {
        return Err(ApiError::InvalidBody(vec![fault]));
    }
    let aggregate = identity::product_id(&caller, &wish.product, None);
    let wish = Command::from(wish).into();
    submit(&app, Ask { caller, call, headers, aggregate, wish }).await
}

/// Show a product
#[utoipa::path(
    get,
    path = "/products/{id}",
    operation_id = "show_product",
    tag = "products",
    params(InMall, OfProduct, ReadHeaders, CallHeaders),
    responses(
        (status = 200, description = "The product.", body = ProductRow, headers(
            ("ETag" = String, description = "Its version, for `If-Match`."),
            ("Projection-Lag" = String, description = "Seconds of the log that this may lack."),
        )),
        ReadProblems,
    ),
)]
async fn by_id(
    State(app): State<Shared>,
    caller: Caller,
    Path((_, id)): Path<(String, ProductId)>,
    wanted: Wanted,
) -> Result<impl IntoResponse, ApiError> {
    let tables = live(&app, PRODUCTS, wanted).await?;
    let product = products::by_id(&app.db, &tables, &caller.mall, id).await?;
    let product = product.ok_or(ApiError::NotFound("product"))?;
    let lag = app.lags.of_product(PRODUCTS, id);
    Ok(Lagging(lag, ([(header::ETAG, etag(product.version))], Json(product))))
}

/// Which page of the products.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// How many, 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// Where to go on: the `next` of the page before.
    after: Option<String>,
    /// Those of one seller only.
    partner_id: Option<PartnerId>,
}

/// Some products, in the order of their registration.
#[derive(Serialize, ToSchema)]
struct ProductPage {
    /// The products.
    items: Vec<ProductRow>,
    /// Where the next page begins; null on the last one.
    #[schema(value_type = Option<String>)]
    next: Option<Cursor>,
}

/// List the products
///
/// In the order of their registration. A product keeps its place, so that no page skips or
/// repeats one.
#[utoipa::path(
    get,
    path = "/products",
    operation_id = "list_products",
    tag = "products",
    params(InMall, PageQuery, ReadHeaders, CallHeaders),
    responses(
        (status = 200, description = "A page of products.", body = ProductPage, headers(
            ("Projection-Lag" = String, description = "Seconds of the log that this may lack."),
        )),
        ReadProblems,
    ),
)]
async fn page(
    State(app): State<Shared>,
    caller: Caller,
    Query(query): Query<PageQuery>,
    wanted: Wanted,
) -> Result<impl IntoResponse, ApiError> {
    let limit = limit(query.limit)?;
    let after = query.after.as_deref().map(str::parse).transpose();
    let after = after.map_err(|_| ApiError::InvalidCursor)?;
    let filter = Filter { partner: query.partner_id };
    let tables = live(&app, PRODUCTS, wanted).await?;
    let page = products::page(&app.db, &tables, &caller.mall, filter, after, limit).await?;
    let page = ProductPage { items: page.items, next: page.next };
    Ok(Lagging(app.lags.of(PRODUCTS), Json(page)))
}

/// Which page of a history.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct HistoryQuery {
    /// How many, 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// Where to go on: the `next` of the page before, a version.
    #[param(minimum = 0)]
    after: Option<i64>,
}

/// Some of what happened to a product, oldest first.
#[derive(Serialize, ToSchema)]
struct HistoryPage {
    /// The events.
    items: Vec<HistoryRow>,
    /// Where the next page begins; null on the last one.
    next: Option<i64>,
}

/// Tell a product's history
///
/// Every event of the product, oldest first: who asked for what, and when it was decided.
#[utoipa::path(
    get,
    path = "/products/{id}/history",
    operation_id = "tell_product_history",
    tag = "products",
    params(InMall, OfProduct, HistoryQuery, ReadHeaders, CallHeaders),
    responses(
        (status = 200, description = "A page of events.", body = HistoryPage, headers(
            ("Projection-Lag" = String, description = "Seconds of the log that this may lack."),
        )),
        ReadProblems,
    ),
)]
async fn history_of(
    State(app): State<Shared>,
    caller: Caller,
    Path((_, id)): Path<(String, ProductId)>,
    Query(query): Query<HistoryQuery>,
    wanted: Wanted,
) -> Result<impl IntoResponse, ApiError> {
    let limit = limit(query.limit)?;
    let after = query.after.unwrap_or_default();
    if after < 0 {
        return Err(ApiError::InvalidCursor);
    }
    let tables = live(&app, HISTORY, wanted).await?;
    let page = history::page(&app.db, &tables, &caller.mall, id.0, after, limit).await?;
    if after == 0 && page.items.is_empty() {
        return Err(ApiError::NotFound("product"));
    }
    let page = HistoryPage { items: page.items, next: page.next };
    Ok(Lagging(app.lags.of_product(HISTORY, id), Json(page)))
}
