//! What the search engine holds of a product.

use domain::{Currency, MallId, PartnerId, ProductId, Timestamp};
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
    /// The list price in minor units.
    pub list_price_minor: i64,
    /// The currency of its prices.
    pub currency: Currency,
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

impl From<ProductRow> for Document {
    fn from(row: ProductRow) -> Self {
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
            list_price_minor: row.list_price.minor,
            currency: row.list_price.currency,
            image: row.images.into_iter().next(),
            version: row.version,
            registered_at: row.registered_at,
            updated_at: row.updated_at,
        }
    }
}
