//! What later decisions need to know of a registered product.

use rpds::RedBlackTreeMapSync;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Approval, Event, ProductOption, ProductRegistered, ProductRevised, SalePeriod, SaleState, Sku,
};
use crate::{BrandId, CategoryId, Money, PartnerId, SkuId, Timestamp, id::derive};

/// Texts are kept as digests: whether they differ is all that is ever asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Registered {
    pub(super) partner_id: Option<PartnerId>,
    pub(super) external_id: Option<String>,
    pub(super) name: Uuid,
    pub(super) description: Uuid,
    pub(super) images: Uuid,
    pub(super) options: Vec<ProductOption>,
    /// A persistent map, since every command clones the state.
    pub(super) skus: RedBlackTreeMapSync<SkuId, KnownSku>,
    pub(super) list_price: Money,
    pub(super) brand_id: Option<BrandId>,
    pub(super) category_ids: Vec<CategoryId>,
    pub(super) sale_period: Option<SalePeriod>,
    pub(super) approval: Approval,
    pub(super) sale_state: SaleState,
    pub(super) displayed: bool,
    /// The time of the last event.
    pub(super) changed_at: Timestamp,
}

/// A SKU; its id stands for its code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct KnownSku {
    pub(super) choices: Uuid,
    pub(super) price: Option<Money>,
    pub(super) retired: bool,
}

/// Tells texts apart. Stored in snapshots, so it never changes.
pub(super) fn digest<'a>(texts: impl IntoIterator<Item = &'a String>) -> Uuid {
    let texts: Vec<&str> = texts.into_iter().map(String::as_str).collect();
    derive(&texts)
}

impl From<&Sku> for KnownSku {
    fn from(sku: &Sku) -> Self {
        Self { choices: digest(&sku.choices), price: sku.price, retired: false }
    }
}

impl Registered {
    pub(super) fn new(fact: &ProductRegistered, at: Timestamp) -> Self {
        Self {
            partner_id: fact.partner_id,
            external_id: fact.external_id.clone(),
            name: digest([&fact.name]),
            description: digest([&fact.description]),
            images: digest(&fact.images),
            options: fact.options.clone(),
            skus: fact.skus.iter().map(|sku| (sku.id, KnownSku::from(sku))).collect(),
            list_price: fact.list_price,
            brand_id: fact.brand_id,
            category_ids: fact.category_ids.clone(),
            sale_period: fact.sale_period,
            approval: fact.approval.unwrap_or(Approval::Finished),
            sale_state: fact.sale_state.unwrap_or(SaleState::OnSale),
            displayed: fact.displayed.unwrap_or(true),
            changed_at: at,
        }
    }

    pub(super) fn evolve(&mut self, event: &Event, at: Timestamp) {
        self.changed_at = at;
        match event {
            Event::ProductRegistered(fact) => *self = Self::new(fact, at),
            Event::ProductRepriced(fact) => self.list_price = fact.list_price,
            Event::ProductRevised(fact) => self.take_revision(fact),
            Event::ProductOptionsExtended(fact) => self.options.clone_from(&fact.options),
            Event::ProductCategorised(fact) => self.category_ids.clone_from(&fact.category_ids),
            Event::ProductBrandAssigned(fact) => self.brand_id = fact.brand_id,
            Event::SkuAdded(fact) => self.skus.insert_mut(fact.sku.id, (&fact.sku).into()),
            Event::SkuRepriced(fact) => self.change_sku(fact.sku_id, |sku| sku.price = fact.price),
            Event::SkuRetired(fact) => self.change_sku(fact.sku_id, |sku| sku.retired = true),
            Event::SkuReinstated(fact) => self.change_sku(fact.sku_id, |sku| sku.retired = false),
            Event::ProductSaleScheduled(fact) => self.sale_period = fact.sale_period,
            Event::ProductApprovalChanged(fact) => self.approval = fact.approval,
            Event::ProductSaleStateChanged(fact) => self.sale_state = fact.sale_state,
            Event::ProductDisplayChanged(fact) => self.displayed = fact.displayed,
        }
    }

    fn change_sku(&mut self, id: SkuId, change: impl FnOnce(&mut KnownSku)) {
        if let Some(sku) = self.skus.get_mut(&id) {
            change(sku);
        }
    }

    fn take_revision(&mut self, fact: &ProductRevised) {
        if let Some(name) = &fact.name {
            self.name = digest([name]);
        }
        if let Some(description) = &fact.description {
            self.description = digest([description]);
        }
        if let Some(images) = &fact.images {
            self.images = digest(images);
        }
    }
}
