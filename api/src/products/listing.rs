//! Products page by page, and many by their ids.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use domain::{
    BrandId, MallId, PartnerId, ProductId,
    product::{Approval, SaleState},
};
use projections::products::{self, Cursor, Filter, ProductRow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::PRODUCTS;
use crate::{
    app::{App, Shared},
    auth::Visitor,
    freshness::{Lagging, Wanted, live_in},
    openapi::{CallHeaders, InMall, ReadHeaders, ReadProblems},
    problem::ApiError,
    request::{Query, limit, list},
};

/// How many products may be asked for by their ids.
const MOST_IDS: usize = 100;

/// Which products, and which page of them.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// How many, 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// Where to go on: the `next` of the page before.
    after: Option<String>,
    /// Those of one seller only.
    partner_id: Option<PartnerId>,
    /// Those of one brand only.
    brand_id: Option<BrandId>,
    /// Those in one sale state only.
    sale_state: Option<SaleState>,
    /// Those that have come so far in their approval only.
    approval: Option<Approval>,
    /// Those that are displayed, or those that are hidden.
    displayed: Option<bool>,
    /// These only, in this order: up to 100 ids with commas, and nothing else beside them.
    ids: Option<String>,
    /// These only, by the numbers that their seller gave them: up to 100 with commas, and nothing
    /// else beside them but `partner_id`, which says whose; without it, the mall's own.
    external_ids: Option<String>,
}

impl PageQuery {
    /// The products that are asked for one by one, where they are.
    fn named(&self, mall: &MallId) -> Result<Option<Vec<ProductId>>, ApiError> {
        if let Some(ids) = &self.ids {
            return Ok(Some(list("ids", ids, MOST_IDS)?));
        }
        let Some(numbers) = &self.external_ids else { return Ok(None) };
        let numbers: Vec<String> = list("external_ids", numbers, MOST_IDS)?;
        let of = |number: &String| ProductId::of(mall, self.partner_id, number);
        Ok(Some(numbers.iter().map(of).collect()))
    }
}

/// Some products, in the order of their registration, or in that of the ids.
#[derive(Serialize, ToSchema)]
pub(super) struct ProductPage {
    /// The products.
    items: Vec<ProductRow>,
    /// Where the next page begins; null on the last one.
    #[schema(value_type = Option<String>)]
    next: Option<Cursor>,
    /// The ids asked for that are not there to be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Vec<ProductId>>,
}

/// List the products
///
/// In the order of their registration. A product keeps its place, so that no page skips or
/// repeats one. A storefront sees what is on sale.
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
pub(super) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Query(query): Query<PageQuery>,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    let limit = limit(query.limit)?;
    let after = query.after.as_deref().map(str::parse).transpose();
    let after = after.map_err(|_| ApiError::InvalidCursor)?;
    let filter = Filter {
        partner: query.partner_id,
        brand: query.brand_id,
        sale_state: query.sale_state,
        approval: query.approval,
        displayed: query.displayed,
        on_sale: None,
    };
    if let Some(named) = query.named(&visitor.mall)? {
        let whose = if query.ids.is_some() { None } else { query.partner_id };
        let alone = Filter { partner: whose, ..Filter::default() };
        let both = query.ids.is_some() && query.external_ids.is_some();
        if both || filter != alone || after.is_some() || query.limit.is_some() {
            let why = "`ids` or `external_ids` says which products; leave out what else chooses";
            return Err(ApiError::MalformedRequest(why.to_owned()));
        }
        return many(&app, &visitor, named, wanted).await;
    }
    let filter = Filter { on_sale: visitor.on_sale(), ..filter };
    let tables = live_in(&app, visitor.reads(), wanted).await?;
    let asked = filter.brand.filter(|_| visitor.is_buyer()).map(|brand| brand.0);
    let page = if asked.is_some() && visitor.brands(&app, &tables, asked).await?.is_empty() {
        ProductPage { items: vec![], next: None, missing: None }
    } else {
        let page = products::page(&app.db, &tables, &visitor.mall, &filter, after, limit).await?;
        let items = visitor.seen(&app, &tables, page.items).await?;
        ProductPage { items, next: page.next, missing: None }
    };
    Ok(Lagging(app.lags.of(PRODUCTS), Json(page)).into_response())
}

async fn many(
    app: &App,
    visitor: &Visitor,
    ids: Vec<ProductId>,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    let tables = live_in(app, visitor.reads(), wanted).await?;
    let mut connection = app.db.acquire().await.map_err(projections::Error::from)?;
    let mut products = products::by_ids(&mut connection, &tables, &ids).await?;
    drop(connection);
    products.retain(|product| product.mall == visitor.mall);
    let mut products = visitor.seen(app, &tables, products).await?;
    let place = |id: ProductId| ids.iter().position(|asked| *asked == id);
    products.sort_by_key(|product| place(product.id));
    let is_there = |id: &ProductId| products.iter().any(|product| product.id == *id);
    let missing = ids.iter().copied().filter(|id| !is_there(id)).collect();
    let page = ProductPage { items: products, next: None, missing: Some(missing) };
    Ok(Lagging(app.lags.of(PRODUCTS), Json(page)).into_response())
}
