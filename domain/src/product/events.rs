//! What became true of a product. Each struct is the Avro record, too.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Approval, ProductOption, SalePeriod, SaleState, Sku};
use crate::{BrandId, CategoryId, Money, PartnerId, SkuId};

record_enum! {
    /// A fact of a product.
    pub enum Event in "jangbu.catalog" {
        /// It came into the catalog.
        ProductRegistered,
        /// Its list price changed.
        ProductRepriced,
        /// Its presentation changed.
        ProductRevised,
        /// There is more to choose from.
        ProductOptionsExtended,
        /// It stands in other categories.
        ProductCategorised,
        /// It is sold under another brand.
        ProductBrandAssigned,
        /// One more SKU is offered.
        SkuAdded,
        /// A SKU's price changed.
        SkuRepriced,
        /// A SKU is no longer offered.
        SkuRetired,
        /// A retired SKU is offered again.
        SkuReinstated,
        /// It is sold at another time.
        ProductSaleScheduled,
        /// Its approval came further.
        ProductApprovalChanged,
        /// Whether it is meant to be sold changed.
        ProductSaleStateChanged,
        /// It is shown, or no longer.
        ProductDisplayChanged,
    }
}

/// A product came into the catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ProductRegistered {
    /// The seller, where the mall has more than one.
    pub partner_id: Option<PartnerId>,
    /// The product's own number at its seller.
    pub external_id: Option<String>,
    /// The name.
    pub name: String,
    /// Plain text, may be empty.
    pub description: String,
    /// What a buyer chooses.
    pub options: Vec<ProductOption>,
    /// What can be bought.
    pub skus: Vec<Sku>,
    /// The price of every SKU without one of its own.
    pub list_price: Money,
    /// Addresses of pictures.
    pub images: Vec<String>,
    /// The brand under which it is sold.
    #[serde(default)]
    pub brand_id: Option<BrandId>,
    /// The categories in which it stands.
    #[serde(default)]
    #[avro(default = "[]")]
    pub category_ids: Vec<CategoryId>,
    /// When it is sold; always when absent.
    #[serde(default)]
    pub sale_period: Option<SalePeriod>,
    /// How far approval has come; FINISHED where an early event says nothing.
    #[serde(default)]
    pub approval: Option<Approval>,
    /// Whether it is meant to be sold; ONSALE where an early event says nothing.
    #[serde(default)]
    pub sale_state: Option<SaleState>,
    /// Whether buyers see it; they do where an early event says nothing.
    #[serde(default)]
    pub displayed: Option<bool>,
}

/// The list price changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ProductRepriced {
    /// The price from now on.
    pub list_price: Money,
    /// The price until now.
    pub previous: Money,
}

/// The presentation changed; what is absent stayed as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ProductRevised {
    /// The new name.
    pub name: Option<String>,
    /// The new description.
    pub description: Option<String>,
    /// The new pictures.
    pub images: Option<Vec<String>>,
}

/// There is more to choose from; every earlier value is still among them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ProductOptionsExtended {
    /// All options from now on.
    pub options: Vec<ProductOption>,
}

/// The product stands in other categories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ProductCategorised {
    /// All categories from now on.
    pub category_ids: Vec<CategoryId>,
}

/// The product is sold under another brand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ProductBrandAssigned {
    /// The brand from now on; none when it was taken away.
    pub brand_id: Option<BrandId>,
}

/// One more SKU is offered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct SkuAdded {
    /// The SKU.
    pub sku: Sku,
}

/// A SKU's price changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct SkuRepriced {
    /// The SKU.
    pub sku_id: SkuId,
    /// The price from now on; without it the list price holds.
    pub price: Option<Money>,
    /// The price until now.
    pub previous: Option<Money>,
}

/// A SKU is no longer offered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct SkuRetired {
    /// The SKU.
    pub sku_id: SkuId,
}

/// A retired SKU is offered again, at the price that it had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct SkuReinstated {
    /// The SKU.
    pub sku_id: SkuId,
}

/// The product is sold at another time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ProductSaleScheduled {
    /// The period from now on; always when absent.
    pub sale_period: Option<SalePeriod>,
}

/// The approval came further, or was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ProductApprovalChanged {
    /// How far it has come.
    pub approval: Approval,
    /// Why it was refused.
    pub reason: Option<String>,
}

/// Whether the product is meant to be sold changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ProductSaleStateChanged {
    /// The state from now on.
    pub sale_state: SaleState,
    /// The state until now.
    pub previous: SaleState,
}

/// The product is shown to buyers, or no longer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ProductDisplayChanged {
    /// Whether buyers see it.
    pub displayed: bool,
}
