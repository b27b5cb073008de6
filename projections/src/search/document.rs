//! What the search engine holds of a product.

use domain::{
    BrandId, CategoryId, Currency, MallId, PartnerId, ProductId, Timestamp,
    product::{Approval, SaleState},
};
use serde::{Deserialize, Serialize};

use crate::products::ProductRow;

/// A product as it is searched and listed: always written whole, never patched. What a listing
/// does not show is left out of hits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The product.
    pub id: ProductId,
    /// The mall that sells it.
    pub mall: MallId,
    /// The seller, where the mall has more than one.
    pub partner_id: Option<PartnerId>,
    /// The product's own number at its seller.
    pub external_id: Option<String>,
    /// The name.
    pub name: String,
    /// Plain text, may be empty.
    #[serde(default)]
    pub description: String,
    /// The names and values of its options.
    #[serde(default)]
    pub options: Vec<String>,
    /// The merchant's codes of its SKUs.
    #[serde(default)]
    pub sku_codes: Vec<String>,
    /// The brand, where it has one.
    pub brand_id: Option<BrandId>,
    /// The brand's name, where the brand is known.
    pub brand_name: Option<String>,
    /// The categories in which it stands itself; a search names those below a category.
    #[serde(default)]
    pub category_ids: Vec<CategoryId>,
    /// The list price in minor units.
    pub list_price_minor: i64,
    /// The currency of its prices.
    pub currency: Currency,
    /// How far its approval has come.
    pub approval: Approval,
    /// Whether it is meant to be sold.
    pub sale_state: SaleState,
    /// Whether buyers see it.
    pub displayed: bool,
    /// The first moment of its sale; from ever where it is absent.
    pub sale_starts_at: Option<Timestamp>,
    /// The first moment after its sale; for ever where it is absent.
    pub sale_ends_at: Option<Timestamp>,
    /// The first picture.
    pub image: Option<String>,
    /// The product's version.
    pub version: i64,
    /// When it came into the catalog.
    pub registered_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// A document and the external version that it is written under.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned {
    /// The document.
    pub document: Document,
    /// Grows with everything that the document depends on.
    pub version: i64,
}

impl Document {
    /// The document of a product whose brand has that name.
    pub fn new(row: ProductRow, brand_name: Option<String>) -> Self {
        let options = row.options.into_iter().flat_map(|option| {
            std::iter::once(option.name).chain(option.values).collect::<Vec<_>>()
        });
        Self {
            id: row.id,
            mall: row.mall,
            partner_id: row.partner_id,
            external_id: row.external_id,
            name: row.name,
            description: row.description,
            options: options.collect(),
            sku_codes: row.skus.into_iter().map(|sku| sku.code).collect(),
            brand_id: row.brand_id,
            brand_name,
            category_ids: row.category_ids,
            list_price_minor: row.list_price.minor,
            currency: row.list_price.currency,
            approval: row.approval,
            sale_state: row.sale_state,
            displayed: row.displayed,
            sale_starts_at: row.sale_period.and_then(|period| period.starts_at),
            sale_ends_at: row.sale_period.and_then(|period| period.ends_at),
            image: row.images.into_iter().next(),
            version: row.version,
            registered_at: row.registered_at,
            updated_at: row.updated_at,
        }
    }
}
