//! How a feed makes a registered product what its source says it is.

use super::{
    Decided, ProductOption, ProductOptionsExtended, RegisterProduct, Rejection, ReviseProduct,
    UpsertProduct, checks::check_product, state::Registered,
};
use crate::ProductId;

impl Registered {
    pub(super) fn upsert(&self, id: ProductId, wish: &UpsertProduct) -> Decided {
        check_product(&wish.product)?;
        let changes = self.changes(id, &wish.product);
        let is_late = wish.observed_at.is_some_and(|seen| seen < self.changed_at);
        match changes {
            Ok(events) if events.is_empty() => Ok(events),
            // An old view may even break a rule by what it does not know of, so age comes first.
            _ if is_late => Err(Rejection::Stale { changed_at: self.changed_at }),
            changes => changes,
        }
    }

    fn changes(&self, id: ProductId, wish: &RegisterProduct) -> Decided {
        self.check_identity(wish)?;
        let mut events = self.revise(&ReviseProduct {
            name: Some(wish.name.clone()),
            description: Some(wish.description.clone()),
            images: Some(wish.images.clone()),
        })?;
        events.extend(self.reprice(wish.list_price)?);
        events.extend(self.extend_options(&wish.options)?);
        events.extend(self.replace_skus(id, wish)?);
        // Many feeds know no categories; taking all away is a wish of its own.
        if !wish.category_ids.is_empty() {
            events.extend(self.categorise(&wish.category_ids)?);
        }
        if wish.brand_id.is_some() {
            events.extend(self.assign_brand(wish.brand_id));
        }
        if wish.sale_period.is_some() {
            events.extend(self.schedule(wish.sale_period)?);
        }
        if let Some(sale_state) = wish.sale_state {
            events.extend(self.sale_state_to(sale_state)?);
        }
        if let Some(displayed) = wish.displayed {
            events.extend(self.display(displayed));
        }
        Ok(events)
    }

    fn check_identity(&self, wish: &RegisterProduct) -> Result<(), Rejection> {
        let other_partner = wish.partner_id.is_some() && wish.partner_id != self.partner_id;
        let other_number = wish.external_id.is_some() && wish.external_id != self.external_id;
        if other_partner || other_number { Err(Rejection::IdentityChanged) } else { Ok(()) }
    }

    fn extend_options(&self, options: &[ProductOption]) -> Decided {
        if options == self.options {
            return Ok(vec![]);
        }
        let gains = |(new, old): (&ProductOption, &ProductOption)| {
            new.name == old.name && old.values.iter().all(|value| new.values.contains(value))
        };
        if options.len() != self.options.len() || !options.iter().zip(&self.options).all(gains) {
            return Err(Rejection::OptionsChanged);
        }
        Ok(vec![ProductOptionsExtended { options: options.to_vec() }.into()])
    }
}
