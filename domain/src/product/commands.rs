//! What may be wished of a product. Each struct is the HTTP body, too.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Approval, NewSku, ProductOption, SalePeriod, SaleState};
use crate::{BrandId, CategoryId, Money, PartnerId, SkuId, Timestamp};

record_enum! {
    /// A wish addressed to a product.
    pub enum Command in "jangbu.catalog" {
        /// Bring a product into the catalog.
        RegisterProduct,
        /// Make it what a feed says it is.
        UpsertProduct,
        /// Change its list price.
        RepriceProduct,
        /// Change how it is presented.
        ReviseProduct,
        /// Say in which categories it stands.
        CategoriseProduct,
        /// Say under which brand it is sold.
        AssignBrand,
        /// Offer one more SKU.
        AddSku,
        /// Change the price of a SKU.
        RepriceSku,
        /// Offer a SKU no longer.
        RetireSku,
        /// Say when it is sold.
        ScheduleSale,
        /// Ask the mall to approve it.
        RequestApproval,
        /// Approve it.
        ApproveProduct,
        /// Refuse to approve it.
        RejectApproval,
        /// Say whether it is meant to be sold.
        ChangeSaleState,
        /// Show it to buyers.
        DisplayProduct,
        /// Show it to nobody.
        HideProduct,
    }
}

/// Bring a product into the catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct RegisterProduct {
    /// The seller, where the mall has more than one.
    #[serde(default)]
    pub partner_id: Option<PartnerId>,
    /// The product's own number at its seller. One product has it: another registration of it is refused, and an upsert finds it.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100)]
    pub external_id: Option<String>,
    /// The name, in the mall's language.
    #[schema(min_length = 1, max_length = 200, example = "무선청소기 V12")]
    pub name: String,
    /// What a buyer should know, as plain text.
    #[serde(default)]
    #[schema(max_length = 20000)]
    pub description: String,
    /// What a buyer chooses, such as colour; none for a product of one kind.
    #[serde(default)]
    #[schema(max_items = 5)]
    pub options: Vec<ProductOption>,
    /// What can be bought: one entry per offered combination of option values.
    #[schema(min_items = 1, max_items = 500)]
    pub skus: Vec<NewSku>,
    /// The price of every SKU that names none of its own.
    pub list_price: Money,
    /// Addresses of pictures, the first one shown first.
    #[serde(default)]
    #[schema(max_items = 30)]
    pub images: Vec<String>,
    /// The brand under which it is sold.
    #[serde(default)]
    pub brand_id: Option<BrandId>,
    /// The categories in which it stands, the most telling one first.
    #[serde(default)]
    #[avro(default = "[]")]
    #[schema(max_items = 10)]
    pub category_ids: Vec<CategoryId>,
    /// When it is sold; always when left out.
    #[serde(default)]
    pub sale_period: Option<SalePeriod>,
    /// How far approval has come: REGISTRATION_READY for a partner's product and FINISHED for the
    /// mall's own when left out.
    #[serde(default)]
    pub approval: Option<Approval>,
    /// Whether it is meant to be sold, once approved; ONSALE when left out.
    #[serde(default)]
    pub sale_state: Option<SaleState>,
    /// Whether buyers see it; they do when left out.
    #[serde(default)]
    pub displayed: Option<bool>,
}

/// Make a product what a feed says it is: registered if it is not there, else changed where it
/// differs. What may be left out and is, stays as it is; so does its approval. SKUs that are missing
/// are retired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct UpsertProduct {
    /// The whole product. Brand, categories, period, state and display stay as they are where they
    /// are left out; a description or pictures left out are taken away.
    pub product: RegisterProduct,
    /// When the feed's source saw it so. A change is refused when the product changed later.
    #[serde(default)]
    pub observed_at: Option<Timestamp>,
}

/// Change the list price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct RepriceProduct {
    /// The new list price, in the currency that the product has.
    pub list_price: Money,
}

/// Change how the product is presented; what is left out stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ReviseProduct {
    /// The new name.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    /// The new description; an empty text removes it.
    #[serde(default)]
    #[schema(max_length = 20000)]
    pub description: Option<String>,
    /// The new pictures, in place of all earlier ones.
    #[serde(default)]
    #[schema(max_items = 30)]
    pub images: Option<Vec<String>>,
}

/// Say in which categories the product stands, in place of all earlier ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct CategoriseProduct {
    /// The categories, the most telling one first.
    #[schema(max_items = 10)]
    pub category_ids: Vec<CategoryId>,
}

/// Say under which brand the product is sold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct AssignBrand {
    /// The brand; none takes it away.
    #[serde(default)]
    pub brand_id: Option<BrandId>,
}

/// Offer one more SKU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct AddSku {
    /// The SKU.
    pub sku: NewSku,
}

/// Change the price of a SKU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct RepriceSku {
    /// The SKU.
    pub sku_id: SkuId,
    /// The new price, in the currency that the product has; without it the list price holds.
    #[serde(default)]
    pub price: Option<Money>,
}

/// Offer a SKU no longer. Its code may not be used again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct RetireSku {
    /// The SKU.
    pub sku_id: SkuId,
}

/// Say when the product is sold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ScheduleSale {
    /// The period; always when left out.
    #[serde(default)]
    pub sale_period: Option<SalePeriod>,
}

/// Ask the mall to approve the product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct RequestApproval {}

/// Approve the product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ApproveProduct {}

/// Refuse to approve the product. Its partner may mend it and ask again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct RejectApproval {
    /// Why, in words for the partner.
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Say whether the product is meant to be sold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ChangeSaleState {
    /// The new state.
    pub sale_state: SaleState,
}

/// Show the product to buyers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct DisplayProduct {}

/// Show the product to nobody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct HideProduct {}
