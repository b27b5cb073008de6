//! What the read models and the search index hold of some aggregates.

use std::collections::{BTreeSet, HashMap};

use domain::{BrandId, CommandId, MallId, ProductId};
use projections::{
    command_status::CommandStatusRow,
    directory::{self, EntryRow},
    history::{self, Extent},
    products,
    products::ProductRow,
    search::{self, Document},
    snapshot,
};
use uuid::Uuid;

use super::super::history::History;
use crate::standing::Observer;

/// Rows, states and documents, by the ids of their aggregates.
pub(super) struct Stored {
    pub(super) states: HashMap<Uuid, snapshot::Stored>,
    pub(super) rows: HashMap<ProductId, ProductRow>,
    pub(super) entries: HashMap<Uuid, EntryRow>,
    pub(super) extents: HashMap<Uuid, Extent>,
    documents: HashMap<ProductId, (i64, Document)>,
    brands: HashMap<(MallId, BrandId), String>,
}

impl Stored {
    pub(super) fn of(
        observer: &Observer,
        partition: i32,
        piece: &[(Uuid, &History)],
        search_version: Option<i32>,
    ) -> anyhow::Result<Self> {
        let (db, tables) = (&observer.db, &observer.tables);
        let ids: Vec<Uuid> = piece.iter().map(|(id, _)| *id).collect();
        let products: Vec<ProductId> = ids.iter().copied().map(ProductId).collect();
        observer.runtime.block_on(async {
            let mut connection = db.acquire().await?;
            // Documents first: one that is newer than its rows would be none of theirs.
            let documents = match search_version {
                Some(version) => observer.search.fetch(version, &products).await?,
                None => HashMap::new(),
            };
            let rows = products::by_ids(&mut connection, tables, &products).await?;
            let keys = piece.iter().flat_map(|(_, history)| history.entries.keys().copied());
            let keys: Vec<Uuid> = keys.collect();
            let entries = directory::by_keys(&mut connection, tables, &keys).await?;
            let extents = history::extents(&mut connection, tables, &ids).await?;
            let brands = rows.iter().filter_map(|row| row.brand_id.map(|id| id.0));
            let brands: BTreeSet<Uuid> = brands.collect();
            let brands: Vec<Uuid> = brands.into_iter().collect();
            let brands = search::brand_names(&mut connection, tables, &brands).await?;
            drop(connection);
            Ok(Self {
                states: snapshot::load(db, tables, &[partition], &ids, &[]).await?.states,
                rows: rows.into_iter().map(|row| (row.id, row)).collect(),
                entries: entries.into_iter().map(|entry| (entry.key(), entry)).collect(),
                extents,
                documents,
                brands,
            })
        })
    }

    /// The document of a product, with the version of the product in it; 0 where there is none.
    pub(super) fn document(&self, id: Uuid) -> (i64, Option<&Document>) {
        let document = self.documents.get(&ProductId(id)).map(|(_, document)| document);
        (document.map_or(0, |document| document.version), document)
    }

    /// The document that the rows make; with the brand's name as it stands in the document, where
    /// `brands` may still be on their way.
    pub(super) fn expected(&self, id: Uuid, brands: bool) -> Option<Document> {
        let row = self.rows.get(&ProductId(id)).cloned()?;
        let brand = row.brand_id.and_then(|id| self.brands.get(&(row.mall.clone(), id)));
        let written = self.document(id).1.and_then(|document| document.brand_name.clone());
        let name = if brands { brand.cloned() } else { written };
        Some(Document::new(row, name))
    }
}

/// The statuses of commands.
pub(in super::super) fn statuses(
    observer: &Observer,
    partition: i32,
    ids: &[CommandId],
) -> anyhow::Result<HashMap<CommandId, CommandStatusRow>> {
    let partitions = [partition];
    let load = snapshot::load(&observer.db, &observer.tables, &partitions, &[], ids);
    Ok(observer.runtime.block_on(load)?.decisions)
}
