//! The commands that change a product.

use domain::product::{
    AddSku, ApproveProduct, AssignBrand, CategoriseProduct, ChangeSaleState, Command,
    DisplayProduct, HideProduct, RejectApproval, RepriceProduct, RepriceSku, RequestApproval,
    RetireSku, ReviseProduct, ScheduleSale,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::Shared, route::command_route};

/// The routes.
pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(reprice))
        .routes(routes!(revise))
        .routes(routes!(categorise))
        .routes(routes!(assign_brand))
        .routes(routes!(add_sku))
        .routes(routes!(reprice_sku))
        .routes(routes!(retire_sku))
        .routes(routes!(schedule_sale))
        .routes(routes!(change_sale_state))
        .routes(routes!(display))
        .routes(routes!(hide))
        .routes(routes!(request_approval))
        .routes(routes!(approve))
        .routes(routes!(reject_approval))
}

command_route! {
    /// Change the list price
    ///
    /// The new price is in the currency that the product has.
    reprice: RepriceProduct in InPath, "/products/{id}/reprice", "reprice_product", "products"
}

command_route! {
    /// Change name, description or pictures
    ///
    /// What is left out stays as it is.
    revise: ReviseProduct in InPath, "/products/{id}/revise", "revise_product", "products"
}

command_route! {
    /// Say in which categories it stands
    ///
    /// The given categories replace all earlier ones.
    categorise: CategoriseProduct in InPath,
        "/products/{id}/categorise", "categorise_product", "products"
}

command_route! {
    /// Sell it under a brand
    ///
    /// Without a brand, the one it has is taken away.
    assign_brand: AssignBrand in InPath, "/products/{id}/assign-brand", "assign_brand", "products"
}

command_route! {
    /// Add a SKU
    ///
    /// Its code was never used in this product, or is that of the same SKU.
    add_sku: AddSku in InPath, "/products/{id}/add-sku", "add_sku", "products"
}

command_route! {
    /// Give a SKU a price of its own
    ///
    /// Without a price, the list price holds again.
    reprice_sku: RepriceSku in InPath, "/products/{id}/reprice-sku", "reprice_sku", "products"
}

command_route! {
    /// Sell a SKU no longer
    ///
    /// The last one may not be retired: stop the sale of the product instead.
    retire_sku: RetireSku in InPath, "/products/{id}/retire-sku", "retire_sku", "products"
}

command_route! {
    /// Say when it is sold
    ///
    /// Without a period, it is sold whenever its state allows.
    schedule_sale: ScheduleSale in InPath,
        "/products/{id}/schedule-sale", "schedule_sale", "products"
}

command_route! {
    /// Begin, stop, finish or prohibit its sale
    ///
    /// Only an approved product may go on sale.
    change_sale_state: ChangeSaleState in InPath,
        "/products/{id}/change-sale-state", "change_sale_state", "products"
}

command_route! {
    /// Show it to buyers
    display: DisplayProduct in InPath, "/products/{id}/display", "display_product", "products"
}

command_route! {
    /// Hide it from buyers
    hide: HideProduct in InPath, "/products/{id}/hide", "hide_product", "products"
}

command_route! {
    /// Ask the mall for approval
    request_approval: RequestApproval in InPath,
        "/products/{id}/request-approval", "request_approval", "products"
}

command_route! {
    /// Approve it
    approve: ApproveProduct in InPath, "/products/{id}/approve", "approve_product", "products"
}

command_route! {
    /// Refuse approval
    ///
    /// Its partner may mend it and ask again.
    reject_approval: RejectApproval in InPath,
        "/products/{id}/reject-approval", "reject_approval", "products"
}
