//! Documents as of one moment of the read models.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{BrandId, MallId, ProductId};
use schemas::CATALOG;
use uuid::Uuid;

use super::{Document, Reached, Versioned};
use crate::{
    Page, Pool, Projection, Tables, checkpoint,
    directory::{self, Directory, EntryKind},
    error::Error,
    moment::Moment,
    products::{self, Cursor, Filter, ProductRow, Products},
};

/// An event that made a document old: its offset, and the product that it is about.
pub type Change = (i64, ProductId);

/// What one look at the read models brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// By partition, the next event that one of the read models has not applied: changes below it
    /// are in `documents`.
    pub next: BTreeMap<i32, i64>,
    /// The products of those changes, each once.
    pub documents: Vec<Versioned>,
}

/// Reads the products of those changes, by partition, that the read models cover.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn documents(
    db: &Pool,
    tables: &Tables,
    changes: &BTreeMap<i32, Vec<Change>>,
) -> Result<Read, Error> {
    let mut look = Look::begin(db, tables).await?;
    let next_of = |partition: &i32| look.next.get(partition).copied().unwrap_or_default();
    let covered = changes.iter().flat_map(|(partition, changes)| {
        let next = next_of(partition);
        changes.iter().filter(move |(offset, _)| *offset < next).map(|(_, id)| *id)
    });
    let ids: BTreeSet<ProductId> = covered.collect();
    let next = changes.keys().map(|partition| (*partition, next_of(partition))).collect();
    let ids: Vec<ProductId> = ids.into_iter().collect();
    let rows = products::by_ids(look.moment.connection(), tables, &ids).await?;
    Ok(Read { next, documents: look.end(rows).await? })
}

/// Rows and checkpoints of one moment, so an external version says exactly which rows it stands
/// for: `products version * 2^48 + the sum of all checkpoints that documents depend on`. The
/// moments of one primary are totally ordered, and checkpoints only grow, so of two versions the
/// greater one has seen more. Where a backup was restored they have not only grown: see
/// [`Reached`].
pub(super) struct Look<'t> {
    moment: Moment,
    tables: &'t Tables,
    /// By partition, the next event that one of the read models has not applied.
    next: BTreeMap<i32, i64>,
    version: i64,
}

impl<'t> Look<'t> {
    pub(super) async fn begin(db: &Pool, tables: &'t Tables) -> Result<Self, Error> {
        let mut moment = Moment::begin(db).await?;
        let mut look = (BTreeMap::new(), i64::from(tables.version(Products::NAME)) << 48);
        for (name, is_first) in [(Products::NAME, true), (Directory::NAME, false)] {
            let version = tables.version(name);
            let checkpoints = checkpoint::read_all(moment.connection(), name, version).await?;
            let applied: BTreeMap<i32, i64> =
                checkpoints.iter().map(|(&at, to)| (at, to.next(CATALOG.events.name))).collect();
            look.1 += applied.values().sum::<i64>();
            look.0 = if is_first { applied } else { least(&look.0, &applied) };
        }
        let (next, version) = look;
        Ok(Self { moment, tables, next, version })
    }

    /// At most `most` products of a brand, in the order of their registration.
    pub(super) async fn of_brand(
        &mut self,
        mall: &MallId,
        brand: BrandId,
        after: Option<Cursor>,
        most: u32,
    ) -> Result<Page<ProductRow, Cursor>, Error> {
        let filter = Filter { brand: Some(brand), ..Filter::default() };
        let connection = self.moment.connection();
        products::page(connection, self.tables, mall, &filter, after, most).await
    }

    /// The products with ids above `after` up to `upto`.
    pub(super) async fn between(
        &mut self,
        after: &[u8],
        upto: &[u8],
    ) -> Result<Vec<ProductRow>, Error> {
        products::between(self.moment.connection(), self.tables, after, upto).await
    }

    /// How far the read models had come; the look is over then.
    pub(super) async fn reached(self) -> Result<Reached, Error> {
        self.moment.end().await?;
        Ok(Reached { next: self.next, version: self.version })
    }

    /// The documents of rows that were read in this look, which is over then.
    pub(super) async fn end(mut self, rows: Vec<ProductRow>) -> Result<Vec<Versioned>, Error> {
        let brands: BTreeSet<Uuid> =
            rows.iter().filter_map(|row| row.brand_id.map(|id| id.0)).collect();
        let brands: Vec<Uuid> = brands.into_iter().collect();
        let names = brand_names(self.moment.connection(), self.tables, &brands).await?;
        self.moment.end().await?;
        let version = self.version;
        let document = |row: ProductRow| {
            let brand = row.brand_id.and_then(|id| names.get(&(row.mall.clone(), id)).cloned());
            Versioned { document: Document::new(row, brand), version }
        };
        Ok(rows.into_iter().map(document).collect())
    }
}

/// The names of brands, by mall: a product may name what is another mall's.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn brand_names(
    db: &mut sqlx::MySqlConnection,
    tables: &Tables,
    ids: &[Uuid],
) -> Result<HashMap<(MallId, BrandId), String>, Error> {
    let entries = directory::by_keys(db, tables, ids).await?;
    let brands = entries.into_iter().filter(|entry| entry.kind == EntryKind::Brand);
    Ok(brands.map(|entry| ((entry.mall, BrandId(entry.id)), entry.name)).collect())
}

/// What both have passed.
fn least(one: &BTreeMap<i32, i64>, other: &BTreeMap<i32, i64>) -> BTreeMap<i32, i64> {
    let both = one.iter().filter_map(|(at, next)| Some((*at, *next.min(other.get(at)?))));
    both.collect()
}
