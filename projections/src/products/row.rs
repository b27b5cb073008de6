//! What a product's events make of its row.

use domain::{
    BrandId, CategoryId, MallId, Money, PartnerId, ProductId, SkuId, Timestamp, catalog,
    product::{
        Approval, Event, Offer, ProductOption, ProductRegistered, ProductRevised, SalePeriod,
        SaleState, Sku,
    },
};
use schemas::EventMessage;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    fact::{EventHead, Fact},
    projection::{Fault, follows},
};

/// A product: the table's columns and the JSON answer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ProductRow {
    /// Its id.
    pub id: ProductId,
    /// The mall that sells it.
    #[schema(value_type = String)]
    pub mall: MallId,
    /// The seller, where the mall has more than one.
    pub partner_id: Option<PartnerId>,
    /// The product's own number at its seller; null to a storefront.
    pub external_id: Option<String>,
    /// The name.
    pub name: String,
    /// Plain text, may be empty.
    pub description: String,
    /// What a buyer chooses.
    pub options: Vec<ProductOption>,
    /// What can be bought; a storefront sees no retired ones.
    pub skus: Vec<SkuRow>,
    /// The price of every SKU without one of its own.
    pub list_price: Money,
    /// Addresses of pictures, the first one shown first.
    pub images: Vec<String>,
    /// The brand under which it is sold; null to a storefront once that is retired.
    pub brand_id: Option<BrandId>,
    /// The categories in which it stands; to a storefront, those that are not retired.
    pub category_ids: Vec<CategoryId>,
    /// When it is sold; always where it is null.
    pub sale_period: Option<SalePeriod>,
    /// How far its approval has come.
    pub approval: Approval,
    /// Whether it is meant to be sold.
    pub sale_state: SaleState,
    /// Whether buyers see it.
    pub displayed: bool,
    /// How many events have made it what it is.
    pub version: i64,
    /// When it came into the catalog.
    pub registered_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A SKU as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SkuRow {
    /// Its id.
    pub id: SkuId,
    /// The merchant's own code.
    pub code: String,
    /// One value of each option, in the order of the options.
    pub choices: Vec<String>,
    /// A price of its own; without it the list price holds.
    pub price: Option<Money>,
    /// Whether it is no longer sold.
    #[serde(default)]
    pub retired: bool,
}

impl ProductRow {
    /// What decides whether a buyer may have it.
    pub fn offer(&self) -> Offer {
        Offer {
            approval: self.approval,
            sale_state: self.sale_state,
            displayed: self.displayed,
            sale_period: self.sale_period,
        }
    }

    /// What a buyer may see of it: no number of the merchant's, and nothing that is no longer sold.
    /// Its brand and categories stay where `is_shown` says so of their ids.
    #[must_use]
    pub fn for_buyers(mut self, is_shown: impl Fn(Uuid) -> bool) -> Self {
        self.external_id = None;
        self.brand_id = self.brand_id.filter(|brand| is_shown(brand.0));
        self.category_ids.retain(|category| is_shown(category.0));
        self.skus.retain(|sku| !sku.retired);
        for (at, option) in self.options.iter_mut().enumerate() {
            let is_chosen =
                |value: &String| self.skus.iter().any(|s| s.choices.get(at) == Some(value));
            option.values.retain(is_chosen);
        }
        self
    }

    fn change_sku(&mut self, id: SkuId, change: impl FnOnce(&mut SkuRow)) {
        if let Some(sku) = self.skus.iter_mut().find(|sku| sku.id == id) {
            change(sku);
        }
    }

    fn revise(&mut self, fact: &ProductRevised) {
        let ProductRevised { name, description, images } = fact.clone();
        self.name = name.unwrap_or(std::mem::take(&mut self.name));
        self.description = description.unwrap_or(std::mem::take(&mut self.description));
        self.images = images.unwrap_or(std::mem::take(&mut self.images));
    }
}

impl From<Sku> for SkuRow {
    fn from(Sku { id, code, choices, price }: Sku) -> Self {
        Self { id, code, choices, price, retired: false }
    }
}

/// Takes an event in. One of a newer type counts, and changes nothing else that is known here.
pub(super) fn apply(row: Option<ProductRow>, fact: &Fact) -> Result<ProductRow, Fault> {
    let Some(head) = fact.event_head() else { return Err(Fault::Unknown("no event".to_owned())) };
    follows(row.as_ref().map_or(0, |row| row.version), head.version)?;
    let Some(mut row) = row else { return begin(head, fact) };
    row.version = head.version;
    row.updated_at = head.time;
    if let Fact::Event(EventMessage { body: catalog::Event::Product(event), .. }) = fact {
        change(&mut row, event);
    }
    Ok(row)
}

fn change(row: &mut ProductRow, event: &Event) {
    match event {
        Event::ProductRegistered(_) => {}
        Event::ProductRepriced(fact) => row.list_price = fact.list_price,
        Event::ProductRevised(fact) => row.revise(fact),
        Event::ProductOptionsExtended(fact) => row.options.clone_from(&fact.options),
        Event::ProductCategorised(fact) => row.category_ids.clone_from(&fact.category_ids),
        Event::ProductBrandAssigned(fact) => row.brand_id = fact.brand_id,
        Event::SkuAdded(fact) => row.skus.push(fact.sku.clone().into()),
        Event::SkuRepriced(fact) => row.change_sku(fact.sku_id, |sku| sku.price = fact.price),
        Event::SkuRetired(fact) => row.change_sku(fact.sku_id, |sku| sku.retired = true),
        Event::SkuReinstated(fact) => row.change_sku(fact.sku_id, |sku| sku.retired = false),
        Event::ProductSaleScheduled(fact) => row.sale_period = fact.sale_period,
        Event::ProductApprovalChanged(fact) => row.approval = fact.approval,
        Event::ProductSaleStateChanged(fact) => row.sale_state = fact.sale_state,
        Event::ProductDisplayChanged(fact) => row.displayed = fact.displayed,
    }
}

fn begin(head: EventHead<'_>, fact: &Fact) -> Result<ProductRow, Fault> {
    match fact {
        Fact::Event(EventMessage {
            body: catalog::Event::Product(Event::ProductRegistered(fact)),
            ..
        }) => Ok(registered(head, fact)),
        Fact::NewerEvent { record, .. } => Err(Fault::Unknown(record.clone())),
        _ => Err(Fault::Unknown("a history that begins with another event".to_owned())),
    }
}

fn registered(head: EventHead<'_>, fact: &ProductRegistered) -> ProductRow {
    ProductRow {
        id: ProductId(head.origin.aggregate),
        mall: head.origin.mall.clone(),
        partner_id: fact.partner_id,
        external_id: fact.external_id.clone(),
        name: fact.name.clone(),
        description: fact.description.clone(),
        options: fact.options.clone(),
        skus: fact.skus.iter().cloned().map(SkuRow::from).collect(),
        list_price: fact.list_price,
        images: fact.images.clone(),
        brand_id: fact.brand_id,
        category_ids: fact.category_ids.clone(),
        sale_period: fact.sale_period,
        // An event from before these were told means what was true of every product then.
        approval: fact.approval.unwrap_or(Approval::Finished),
        sale_state: fact.sale_state.unwrap_or(SaleState::OnSale),
        displayed: fact.displayed.unwrap_or(true),
        version: head.version,
        registered_at: head.time,
        updated_at: head.time,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Products, *};
    use crate::given::{event, folded, id, newer, registered, renamed, repriced, unknown, won};

    #[test]
    fn a_product_is_what_its_events_made_it() {
        let states = folded::<Products>(vec![
            event(1, 1, 11, registered("청소기")),
            event(2, 1, 12, registered("lamp")),
            event(1, 2, 13, repriced(250)),
            event(1, 3, 14, renamed("무선청소기")),
        ])
        .unwrap();
        let row = states[&id(1)].as_ref().unwrap();
        assert_eq!((row.name.as_str(), row.list_price, row.version), ("무선청소기", won(250), 3));
        assert_eq!((row.registered_at, row.updated_at), (Timestamp(1000), Timestamp(3000)));
        assert_eq!(states[&id(2)].as_ref().unwrap().version, 1);
    }

    #[test]
    fn a_version_missing_or_doubled_stops_at_its_record() {
        let begun = || vec![event(1, 1, 11, registered("lamp")), event(1, 2, 12, repriced(1))];
        for (version, fault) in [
            (4, Fault::Gap { at: 2, found: 4 }),
            (2, Fault::Doubled { at: 2, found: 2 }),
            (1, Fault::Doubled { at: 2, found: 1 }),
        ] {
            let mut facts = begun();
            facts.push(event(1, version, 13, repriced(2)));
            assert_eq!(folded::<Products>(facts).unwrap_err(), (2, fault));
        }
        let late = vec![event(1, 2, 12, repriced(1))];
        assert_eq!(folded::<Products>(late).unwrap_err(), (0, Fault::Gap { at: 0, found: 2 }));
    }

    #[test]
    fn a_newer_event_counts_and_changes_nothing_else() {
        let facts = vec![
            event(1, 1, 11, registered("lamp")),
            newer(1, 2, 12),
            event(1, 3, 13, repriced(5)),
        ];
        let states = folded::<Products>(facts).unwrap();
        let row = states[&id(1)].as_ref().unwrap();
        assert_eq!((row.version, row.list_price, &*row.name), (3, won(5), "lamp"));
    }

    #[test]
    fn what_cannot_be_read_or_begun_stops() {
        assert_eq!(folded::<Products>(vec![unknown()]).unwrap_err().0, 0);
        assert_eq!(folded::<Products>(vec![newer(1, 1, 12)]).unwrap_err().0, 0);
    }
}
