//! Which SKUs of a product are offered, and at what price.

use super::{
    Decided, Event, MOST_SKUS, MOST_SKUS_EVER, NewSku, RegisterProduct, Rejection, RepriceSku,
    SkuAdded, SkuReinstated, SkuRepriced, SkuRetired,
    checks::{check_currency, check_sku},
    register::named,
    state::{KnownSku, Registered, digest},
};
use crate::{Money, ProductId, SkuId};

impl Registered {
    pub(super) fn add_sku(&self, id: ProductId, new: &NewSku) -> Decided {
        check_sku(new, &self.options, self.list_price.currency)?;
        let choices = digest(&new.choices);
        match self.skus.get(&SkuId::of(id, &new.code)) {
            Some(known) if known.retired => {
                return Err(Rejection::SkuCodeRetired(new.code.clone()));
            }
            Some(known) if known.choices == choices && known.price == new.price => {
                return Ok(vec![]);
            }
            Some(_) => return Err(Rejection::DuplicateSkuCode(new.code.clone())),
            None => {}
        }
        if self.live_skus().any(|(_, known)| known.choices == choices) {
            return Err(Rejection::DuplicateSkuChoices(new.code.clone()));
        }
        if self.live_skus().count() >= MOST_SKUS || self.skus.size() >= MOST_SKUS_EVER {
            return Err(Rejection::TooManySkus);
        }
        Ok(vec![SkuAdded { sku: named(id, new) }.into()])
    }

    pub(super) fn reprice_sku(&self, wish: &RepriceSku) -> Decided {
        let known = self.skus.get(&wish.sku_id).filter(|known| !known.retired);
        let known = known.ok_or(Rejection::UnknownSku(wish.sku_id))?;
        wish.price.map_or(Ok(()), |price| check_currency(self.list_price.currency, price))?;
        Ok(repriced(wish.sku_id, known, wish.price).into_iter().collect())
    }

    pub(super) fn retire_sku(&self, sku_id: SkuId) -> Decided {
        let known = self.skus.get(&sku_id).ok_or(Rejection::UnknownSku(sku_id))?;
        if known.retired {
            return Ok(vec![]);
        }
        if self.live_skus().count() == 1 {
            return Err(Rejection::LastSku);
        }
        Ok(vec![SkuRetired { sku_id }.into()])
    }

    /// What makes the SKUs on offer those of `wish`, which fit its options and its currency.
    pub(super) fn replace_skus(&self, id: ProductId, wish: &RegisterProduct) -> Decided {
        let mut events = Vec::new();
        let mut missing: Vec<SkuId> = self.live_skus().map(|(sku_id, _)| *sku_id).collect();
        let mut ever = self.skus.size();
        for new in &wish.skus {
            let sku_id = SkuId::of(id, &new.code);
            let Some(known) = self.skus.get(&sku_id) else {
                ever += 1;
                events.push(SkuAdded { sku: named(id, new) }.into());
                continue;
            };
            if known.choices != digest(&new.choices) {
                return Err(Rejection::SkuChoicesChanged(new.code.clone()));
            }
            if known.retired {
                events.push(SkuReinstated { sku_id }.into());
            }
            events.extend(repriced(sku_id, known, new.price));
            missing.retain(|other| *other != sku_id);
        }
        if ever > MOST_SKUS_EVER {
            return Err(Rejection::TooManySkus);
        }
        events.extend(missing.into_iter().map(|sku_id| SkuRetired { sku_id }.into()));
        Ok(events)
    }

    fn live_skus(&self) -> impl Iterator<Item = (&SkuId, &KnownSku)> {
        self.skus.iter().filter(|(_, known)| !known.retired)
    }
}

fn repriced(sku_id: SkuId, known: &KnownSku, price: Option<Money>) -> Option<Event> {
    let previous = known.price;
    (price != previous).then(|| SkuRepriced { sku_id, price, previous }.into())
}
