//! What products refer to: partners, brands and the category tree.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use domain::{BrandId, PartnerId, brand, brand::RegisterBrand, partner, partner::RegisterPartner};
use projections::directory::{self, EntryKind, EntryRow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    admission::Arrived,
    app::{App, Shared},
    auth::{Caller, Visitor},
    body::Checked,
    freshness::{Lagging, Wanted, live},
    headers::{Call, CommandHeaders},
    identity,
    openapi::{CallHeaders, CommandProblems, InMall, Later, ReadHeaders, ReadProblems},
    problem::ApiError,
    request::{Query, limit},
    route::{InPath, SynonymsOfMall},
    submit::{Answer, Ask, Decided, etag, submit},
};

mod changes;
// Two operations on one path are routed by one call.
use changes::{
    tree::{__path_add_category, add_category},
    words::{__path_set_synonyms, set_synonyms},
};

const DIRECTORY: &str = "directory";

/// The routes.
pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(register_partner, partners))
        .routes(routes!(partner_by_id))
        .routes(routes!(register_brand, brands))
        .routes(routes!(brand_by_id))
        .routes(routes!(add_category, categories))
        .routes(routes!(set_synonyms, synonyms))
        .merge(changes::router())
}

/// Register a partner
///
/// With an `Idempotency-Key` the same request sent again gets the first answer. An `external_id` is
/// one partner's: to register it once more is refused with `PARTNER_ALREADY_REGISTERED`.
#[utoipa::path(
    post,
    path = "/partners",
    operation_id = "register_partner",
    tag = "partners",
    params(InMall, CommandHeaders, CallHeaders),
    request_body = RegisterPartner,
    responses((status = 201, description = "It is registered.", body = Decided), Later, CommandProblems),
)]
async fn register_partner(
    State(app): State<Shared>,
    Arrived { caller, entry }: Arrived,
    call: Call,
    headers: CommandHeaders,
    Checked(wish): Checked<RegisterPartner>,
) -> Result<Answer, ApiError> {
    let numbered = wish.external_id.as_deref().map(|number| PartnerId::of(&caller.mall, number).0);
    let aggregate =
        identity::new_id(&caller, "partner", numbered, headers.idempotency_key.as_deref());
    let wish = partner::Command::from(wish).into();
    submit(&app, entry, Ask { caller, call, headers, aggregate, wish }).await
}

/// Register a brand
///
/// With an `Idempotency-Key` the same request sent again gets the first answer. An `external_id` is
/// one brand's: to register it once more is refused with `BRAND_ALREADY_REGISTERED`.
#[utoipa::path(
    post,
    path = "/brands",
    operation_id = "register_brand",
    tag = "brands",
    params(InMall, CommandHeaders, CallHeaders),
    request_body = RegisterBrand,
    responses((status = 201, description = "It is registered.", body = Decided), Later, CommandProblems),
)]
async fn register_brand(
    State(app): State<Shared>,
    Arrived { caller, entry }: Arrived,
    call: Call,
    headers: CommandHeaders,
    Checked(wish): Checked<RegisterBrand>,
) -> Result<Answer, ApiError> {
    let numbered = wish.external_id.as_deref().map(|number| BrandId::of(&caller.mall, number).0);
    let aggregate =
        identity::new_id(&caller, "brand", numbered, headers.idempotency_key.as_deref());
    let wish = brand::Command::from(wish).into();
    submit(&app, entry, Ask { caller, call, headers, aggregate, wish }).await
}

/// Which page of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// How many, 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// Where to go on: the `next` of the page before.
    after: Option<Uuid>,
}

/// Some entries, in the order of their ids.
#[derive(Serialize, ToSchema)]
struct EntryPage {
    /// The entries.
    items: Vec<EntryRow>,
    /// Where the next page begins; null on the last one.
    next: Option<Uuid>,
}

/// Declares the route that lists the entries of a kind.
macro_rules! list_route {
    ($(#[$doc:meta])* $name:ident: $kind:ident to $who:ident, $path:tt, $operation:tt, $tag:tt) => {
        $(#[$doc])*
        #[utoipa::path(
            get,
            path = $path,
            operation_id = $operation,
            tag = $tag,
            params(InMall, PageQuery, ReadHeaders, CallHeaders),
            responses((status = 200, description = "A page of them.", body = EntryPage), ReadProblems),
        )]
        async fn $name(
            State(app): State<Shared>,
            caller: $who,
            Query(query): Query<PageQuery>,
            wanted: Wanted,
        ) -> Result<Response, ApiError> {
            page(&app, &caller.into(), EntryKind::$kind, query, wanted).await
        }
    };
}

list_route! {
    /// List the partners
    partners: Partner to Caller, "/partners", "list_partners", "partners"
}
list_route! {
    /// List the brands
    ///
    /// A storefront sees those in use.
    brands: Brand to Visitor, "/brands", "list_brands", "brands"
}
list_route! {
    /// List the categories
    ///
    /// All of the tree, page by page, each with the category that it stands below. A storefront sees
    /// no retired one, nor what stands below it.
    categories: Category to Visitor, "/categories", "list_categories", "categories"
}

/// Show a partner
///
/// A storefront may name a seller that is not suspended.
#[utoipa::path(
    get,
    path = "/partners/{id}",
    operation_id = "show_partner",
    tag = "partners",
    params(InMall, InPath, ReadHeaders, CallHeaders),
    responses((status = 200, description = "The partner.", body = EntryRow), ReadProblems),
)]
async fn partner_by_id(
    State(app): State<Shared>,
    visitor: Visitor,
    of: InPath,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    entry(&app, &visitor, EntryKind::Partner, of, wanted).await
}

/// Show a brand
///
/// A storefront finds no retired one.
#[utoipa::path(
    get,
    path = "/brands/{id}",
    operation_id = "show_brand",
    tag = "brands",
    params(InMall, InPath, ReadHeaders, CallHeaders),
    responses((status = 200, description = "The brand.", body = EntryRow), ReadProblems),
)]
async fn brand_by_id(
    State(app): State<Shared>,
    visitor: Visitor,
    of: InPath,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    entry(&app, &visitor, EntryKind::Brand, of, wanted).await
}

/// Show the synonyms
#[utoipa::path(
    get,
    path = "/synonyms",
    operation_id = "show_synonyms",
    tag = "synonyms",
    params(InMall, ReadHeaders, CallHeaders),
    responses((status = 200, description = "All groups.", body = EntryRow), ReadProblems),
)]
async fn synonyms(
    State(app): State<Shared>,
    caller: Caller,
    SynonymsOfMall { id }: SynonymsOfMall,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    entry(&app, &caller.into(), EntryKind::Synonyms, InPath { id }, wanted).await
}

async fn page(
    app: &App,
    visitor: &Visitor,
    kind: EntryKind,
    query: PageQuery,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    let limit = limit(query.limit)?;
    let after = query.after.unwrap_or_default();
    let tables = live(app, DIRECTORY, wanted).await?;
    let page = match kind {
        // Whether a category is shown depends on those above it.
        EntryKind::Category => visitor.tree(app, &tables).await?.page(after, limit),
        _ => {
            let of = (&visitor.mall, kind, visitor.entries_in());
            directory::page(&app.db, &tables, of, after, limit).await?
        }
    };
    let items = page.items.into_iter().filter_map(|entry| visitor.entry(entry)).collect();
    let page = EntryPage { items, next: page.next };
    Ok(Lagging(app.lags.of(DIRECTORY), Json(page)).into_response())
}

async fn entry(
    app: &App,
    visitor: &Visitor,
    kind: EntryKind,
    of: InPath,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    let tables = live(app, DIRECTORY, wanted).await?;
    let entry = directory::by_id(&app.db, &tables, &visitor.mall, kind, of.id).await?;
    let entry = entry.and_then(|entry| visitor.entry(entry));
    let entry = entry.ok_or(ApiError::NotFound(kind.as_str()))?;
    let answer = ([(header::ETAG, etag(entry.version))], Json(entry));
    Ok(Lagging(app.lags.of(DIRECTORY), answer).into_response())
}
