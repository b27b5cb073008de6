//! What a visitor sees of a mall: a merchant all of it, a storefront what a buyer may have now.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use chrono::Utc;
use domain::{CategoryId, PartnerId, Timestamp};
use projections::{
    Error, Tables,
    directory::{self, EntryKind, EntryRow, EntryState, Tree},
    products::ProductRow,
    search::{self, EntryCount, SearchPage},
};
use uuid::Uuid;

use crate::{
    app::App,
    auth::{Role, Visitor},
    malls::{Brands, Known},
    trees::Pair,
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

    /// Those of the products that the visitor may see, and of each what is for its eyes.
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
        if !partners.is_empty() {
            let partners: Vec<Uuid> = partners.into_iter().collect();
            let mut connection = app.db.acquire().await?;
            let entries = directory::by_keys(&mut connection, tables, &partners).await?;
            let is_suspended = |partner: PartnerId| {
                entries.iter().any(|of| of.id == partner.0 && of.state == EntryState::Suspended)
            };
            products.retain(|product| !product.partner_id.is_some_and(is_suspended));
        }
        let brands: BTreeSet<Uuid> = products.iter().filter_map(|p| Some(p.brand_id?.0)).collect();
        let brands = self.brands(app, tables, brands).await?;
        let tree = self.tree(app, tables).await?;
        let is_shown = |id| brands.contains_key(&id) || tree.get(CategoryId(id)).is_some();
        Ok(products.into_iter().map(|product| product.for_buyers(is_shown)).collect())
    }

    /// What a search may show.
    pub(crate) fn view(&self, known: &Known) -> search::View {
        self.on_sale().map_or(search::View::All, |at| search::View::OnSale {
            at,
            suspended: known.suspended.clone(),
        })
    }

    /// What the visitor may see of an entry of the directory.
    pub(crate) fn entry(&self, entry: EntryRow) -> Option<EntryRow> {
        match self.role {
            Role::Merchant => Some(entry),
            Role::Storefront => entry.for_buyers(),
        }
    }

    /// The state that listed entries must be in; none where all are seen.
    pub(crate) fn entries_in(&self) -> Option<EntryState> {
        (self.role == Role::Storefront).then_some(EntryState::Active)
    }

    /// The categories of the mall, as the visitor may see them.
    pub(crate) async fn tree(&self, app: &App, tables: &Tables) -> Result<Arc<Tree>, Error> {
        Ok(self.part(&app.trees.of(app, tables, &self.mall).await?))
    }

    /// What of the categories the visitor may see.
    pub(crate) fn part(&self, trees: &Pair) -> Arc<Tree> {
        match self.role {
            Role::Merchant => trees.whole.clone(),
            Role::Storefront => trees.shown.clone(),
        }
    }

    /// The brands that are told of what was found.
    pub(crate) fn brands_in(&self, page: &SearchPage) -> BTreeSet<Uuid> {
        let counted = page.facets.iter().flat_map(|facets| facets.brands.iter().flatten());
        let mut brands: BTreeSet<Uuid> = counted.map(|count| count.id).collect();
        if self.is_buyer() {
            brands.extend(page.hits.iter().filter_map(|hit| Some(hit.brand_id?.0)));
        }
        brands
    }

    /// What was found, with the present names of what was counted, and only what is for the
    /// visitor's eyes.
    pub(crate) fn found(&self, brands: &Brands, tree: &Tree, page: &mut SearchPage) {
        let is_buyer = self.is_buyer();
        if is_buyer {
            let is_shown = |id| brands.contains_key(&id) || tree.get(CategoryId(id)).is_some();
            let hits = std::mem::take(&mut page.hits).into_iter();
            page.hits = hits.map(|hit| hit.for_buyers(is_shown)).collect();
        }
        if let Some(facets) = &mut page.facets {
            name(facets.brands.as_mut(), |id| brands.get(&id).map(Arc::as_ref), is_buyer);
            name(facets.categories.as_mut(), |id| tree.get(CategoryId(id)), is_buyer);
        }
    }

    /// Whether it is a buyer, to whom a brand that is retired is as unknown as any that never was.
    pub(crate) fn is_buyer(&self) -> bool {
        self.role == Role::Storefront
    }

    /// The brands among `ids` that the visitor may see.
    pub(crate) async fn brands(
        &self,
        app: &App,
        tables: &Tables,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<HashMap<Uuid, EntryRow>, Error> {
        let ids: Vec<Uuid> = ids.into_iter().collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let brands = directory::by_ids(&app.db, tables, &self.mall, EntryKind::Brand, &ids).await?;
        Ok(brands.into_iter().filter_map(|(id, entry)| Some((id, self.entry(entry)?))).collect())
    }

    /// Those of the brands that the visitor may know of.
    pub(crate) fn may_know(&self, mut brands: Brands) -> Brands {
        brands.retain(|_, entry| !self.is_buyer() || entry.is_for_buyers());
        brands
    }
}

/// Gives what was counted its names; a buyer learns nothing of what has none.
fn name<'e>(
    counts: Option<&mut Vec<EntryCount>>,
    entry: impl Fn(Uuid) -> Option<&'e EntryRow>,
    is_buyer: bool,
) {
    let Some(counts) = counts else { return };
    for count in &mut *counts {
        count.name = entry(count.id).map(|entry| entry.name.clone());
    }
    counts.retain(|count| !is_buyer || count.name.is_some());
}
