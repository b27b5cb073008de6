//! What a visitor sees of a mall: a merchant all of it, a storefront what a buyer may have now.

use std::collections::HashSet;

use chrono::Utc;
use domain::{PartnerId, Timestamp};
use projections::{
    Error, Tables,
    directory::{self, EntryState},
    products::ProductRow,
    search,
};
use uuid::Uuid;

use crate::{
    app::App,
    auth::{Role, Visitor},
};

impl Visitor {
    /// The read models that a product is seen through. A partner's state is joined when it is read,
    /// so that whoever is suspended is gone at once.
    pub(crate) fn reads(&self) -> &'static [&'static str] {
        match self.role {
            Role::Merchant => &["products"],
            Role::Storefront => &["products", "directory"],
        }
    }

    /// The moment at which products must be on sale; none where all are seen.
    pub(crate) fn on_sale(&self) -> Option<Timestamp> {
        (self.role == Role::Storefront).then(|| Timestamp(Utc::now().timestamp_millis()))
    }

    /// Those of the products that the visitor may see.
    pub(crate) async fn seen(
        &self,
        app: &App,
        tables: &Tables,
        mut products: Vec<ProductRow>,
    ) -> Result<Vec<ProductRow>, Error> {
        let Some(now) = self.on_sale() else { return Ok(products) };
        products.retain(|product| product.offer().is_on_sale(now));
        let partners: HashSet<Uuid> =
            products.iter().filter_map(|p| Some(p.partner_id?.0)).collect();
        if partners.is_empty() {
            return Ok(products);
        }
        let partners: Vec<Uuid> = partners.into_iter().collect();
        let mut connection = app.db.acquire().await?;
        let entries = directory::by_keys(&mut connection, tables, &partners).await?;
        let is_suspended = |partner: PartnerId| {
            entries.iter().any(|of| of.id == partner.0 && of.state == EntryState::Suspended)
        };
        products.retain(|product| !product.partner_id.is_some_and(is_suspended));
        Ok(products)
    }

    /// What a search may show.
    pub(crate) async fn view(&self, app: &App, tables: &Tables) -> Result<search::View, Error> {
        let Some(at) = self.on_sale() else { return Ok(search::View::All) };
        let suspended = directory::suspended(&app.db, tables, &self.mall).await?;
        Ok(search::View::OnSale { at, suspended })
    }
}
