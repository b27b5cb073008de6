//! How a product comes into the catalog, and how what it says of itself changes.

use super::{
    Approval, Decided, Event, NewSku, ProductBrandAssigned, ProductCategorised, ProductRegistered,
    ProductRepriced, ProductRevised, RegisterProduct, ReviseProduct, SalePeriod, SaleState, Sku,
    checks::{check_categories, check_currency, check_images, check_name, check_product},
    state::{Registered, digest},
};
use crate::{BrandId, CategoryId, Money, ProductId, SkuId};

pub(super) fn register(id: ProductId, wish: &RegisterProduct) -> Decided {
    check_product(wish)?;
    // The mall's own goods need no approval.
    let initial =
        if wish.partner_id.is_some() { Approval::RegistrationReady } else { Approval::Finished };
    Ok(vec![Event::ProductRegistered(ProductRegistered {
        partner_id: wish.partner_id,
        external_id: wish.external_id.clone(),
        name: wish.name.clone(),
        description: wish.description.clone(),
        options: wish.options.clone(),
        skus: wish.skus.iter().map(|new| named(id, new)).collect(),
        list_price: wish.list_price,
        images: wish.images.clone(),
        brand_id: wish.brand_id,
        category_ids: wish.category_ids.clone(),
        sale_period: wish.sale_period.filter(SalePeriod::is_bounded),
        approval: Some(wish.approval.unwrap_or(initial)),
        sale_state: Some(wish.sale_state.unwrap_or(SaleState::OnSale)),
        displayed: Some(wish.displayed.unwrap_or(true)),
    })])
}

/// The SKU under its id.
pub(super) fn named(id: ProductId, new: &NewSku) -> Sku {
    Sku {
        id: SkuId::of(id, &new.code),
        code: new.code.clone(),
        choices: new.choices.clone(),
        price: new.price,
    }
}

impl Registered {
    pub(super) fn reprice(&self, list_price: Money) -> Decided {
        check_currency(self.list_price.currency, list_price)?;
        let previous = self.list_price;
        if list_price == previous {
            return Ok(vec![]);
        }
        Ok(vec![ProductRepriced { list_price, previous }.into()])
    }

    pub(super) fn revise(&self, wish: &ReviseProduct) -> Decided {
        wish.name.as_deref().map_or(Ok(()), check_name)?;
        wish.images.as_deref().map_or(Ok(()), check_images)?;
        let fact = ProductRevised {
            name: wish.name.clone().filter(|name| digest([name]) != self.name),
            description: wish.description.clone().filter(|text| digest([text]) != self.description),
            images: wish.images.clone().filter(|images| digest(images) != self.images),
        };
        let unchanged = fact.name.is_none() && fact.description.is_none() && fact.images.is_none();
        Ok(if unchanged { vec![] } else { vec![fact.into()] })
    }

    pub(super) fn categorise(&self, category_ids: &[CategoryId]) -> Decided {
        check_categories(category_ids)?;
        if category_ids == self.category_ids {
            return Ok(vec![]);
        }
        Ok(vec![ProductCategorised { category_ids: category_ids.to_vec() }.into()])
    }

    pub(super) fn assign_brand(&self, brand_id: Option<BrandId>) -> Vec<Event> {
        if brand_id == self.brand_id {
            return vec![];
        }
        vec![ProductBrandAssigned { brand_id }.into()]
    }
}
