//! Products: the commands that change them, and the read models that show them.

use axum::{Json, extract::State, http::header, response::IntoResponse};
use domain::{
    ProductId, Timestamp,
    product::{Command, RegisterProduct, UpsertProduct},
};
use projections::{
    history,
    products::{self, ProductEvent, ProductRow},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    admission::Arrived,
    app::Shared,
    auth::{Caller, Role, Visitor},
    body::Checked,
    freshness::{Lagging, Wanted, live, live_in},
    headers::{Call, CommandHeaders},
    identity,
    openapi::{CallHeaders, CommandProblems, InMall, Later, OfProduct, ReadHeaders, ReadProblems},
    problem::ApiError,
    request::{Path, Query, limit},
    submit::{Answer, Ask, Decided, etag, submit},
};

mod changes;
mod listing;
// Two operations on one path are routed by one call.
use listing::{__path_page, page};

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
/// Brings a product into the catalog. With an `Idempotency-Key` the same request sent again gets
/// the first answer. An `external_id` is one product's: to register it once more is refused with
/// `PRODUCT_ALREADY_REGISTERED`.
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
    Arrived { caller, entry }: Arrived,
    call: Call,
    headers: CommandHeaders,
    Checked(wish): Checked<RegisterProduct>,
) -> Result<Answer, ApiError> {
    let aggregate = identity::product_id(&caller, &wish, headers.idempotency_key.as_deref());
    let wish = Command::from(wish).into();
    submit(&app, entry, Ask { caller, call, headers, aggregate, wish }).await
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
    Arrived { caller, entry }: Arrived,
    call: Call,
    headers: CommandHeaders,
    Checked(wish): Checked<UpsertProduct>,
) -> Result<Answer, ApiError> {
    if let Some(fault) = identity::nameless(&wish) {
        return Err(ApiError::InvalidBody(vec![fault]));
    }
    let aggregate = identity::product_id(&caller, &wish.product, None);
    let wish = Command::from(wish).into();
    submit(&app, entry, Ask { caller, call, headers, aggregate, wish }).await
}

/// Which state of a product.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Moment {
    /// As it was then, in UTC. An event counts by the time at which it was decided, and none behind
    /// one that was decided later. Not for a storefront.
    #[param(value_type = Option<String>, format = DateTime, example = "2026-01-31T09:00:00Z")]
    as_of: Option<Timestamp>,
}

/// Show a product
///
/// A storefront finds what is on sale, and nothing else.
#[utoipa::path(
    get,
    path = "/products/{id}",
    operation_id = "show_product",
    tag = "products",
    params(InMall, OfProduct, Moment, ReadHeaders, CallHeaders),
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
    visitor: Visitor,
    Path((_, id)): Path<(String, ProductId)>,
    Query(query): Query<Moment>,
    wanted: Wanted,
) -> Result<impl IntoResponse, ApiError> {
    let (product, shown_by) = match query.as_of {
        None => {
            let tables = live_in(&app, visitor.reads(), wanted).await?;
            let product = products::by_id(&app.db, &tables, &visitor.mall, id).await?;
            let seen = visitor.seen(&app, &tables, product.into_iter().collect()).await?;
            (seen.into_iter().next(), PRODUCTS)
        }
        Some(at) if visitor.role == Role::Merchant => {
            let tables = live(&app, HISTORY, wanted).await?;
            (products::as_of(&app.db, &tables, &visitor.mall, id, at).await?, HISTORY)
        }
        Some(_) => return Err(ApiError::StorefrontKey),
    };
    let product = product.ok_or(ApiError::NotFound("product"))?;
    let lag = app.lags.of_product(shown_by, id);
    Ok(Lagging(lag, ([(header::ETAG, etag(product.version))], Json(product))))
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
    /// Whether to tell which fields each event changed, of at most 20 events.
    changes: Option<bool>,
}

/// Most events whose changes are told at once: each may name the whole list of SKUs.
const MOST_CHANGES: u32 = 20;

/// Some of what happened to a product, oldest first.
#[derive(Serialize, ToSchema)]
struct HistoryPage {
    /// The events.
    items: Vec<ProductEvent>,
    /// Where the next page begins; null on the last one.
    next: Option<i64>,
}

/// Tell a product's history
///
/// Every event of the product, oldest first: who asked for what, when it was decided and, where that
/// is asked for, which fields it changed.
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
    let tells_changes = query.changes.unwrap_or_default();
    let limit = if tells_changes { limit.min(MOST_CHANGES) } else { limit };
    let page = history::page(&app.db, &tables, &caller.mall, id.0, after, limit).await?;
    if after == 0 && page.items.is_empty() {
        return Err(ApiError::NotFound("product"));
    }
    let page = match tells_changes {
        true => products::with_changes(&app.db, &tables, page).await?,
        false => page.into(),
    };
    let page = HistoryPage { items: page.items, next: page.next };
    Ok(Lagging(app.lags.of_product(HISTORY, id), Json(page)))
}
