//! The read models and the search index against the fold of the log.

use std::collections::{BTreeSet, HashMap};

use chrono::Utc;
use domain::{BrandId, CommandId, MallId, ProductId};
use projections::{
    Projection, checkpoint,
    command_status::CommandStatus,
    directory::{self, Directory, EntryRow},
    products::{self, ProductRow, Products},
    search::{self, Document},
    snapshot::{self, Snapshot},
};
use schemas::CATALOG;
use uuid::Uuid;

use super::{Checks, Rule, fate::Fate, history::History, passage::Passage};
use crate::{log::Bounds, standing::Observer};

/// Aggregates that are compared at a time.
const PIECE: usize = 500;
/// The status of a command is kept for 7 days; within the last hour of them nobody can tell.
const KEPT_MS: i64 = (7 * 24 - 1) * 3_600_000;

/// Compares one partition; returns how many products it holds.
///
/// A store that had applied everything when it was asked, and a log that ends where it did, must
/// agree in full; otherwise only what stands at the same version is compared, and a brand's name,
/// whose events stand in another partition, only at rest.
pub(super) fn compare(
    observer: &Observer,
    partition: i32,
    passage: &Passage,
    at_rest: bool,
    checks: &mut Checks,
) -> anyhow::Result<u64> {
    let level = Level::of(observer, partition, passage, at_rest)?;
    let histories: Vec<(&Uuid, &History)> = passage.ledger.aggregates.iter().collect();
    for piece in histories.chunks(PIECE) {
        let sound = piece.iter().copied().filter(|(_, history)| history.sound);
        let piece: Vec<(&Uuid, &History)> = sound.collect();
        if piece.is_empty() {
            continue;
        }
        let stored = Stored::of(observer, partition, &piece, level.search_version)?;
        for (id, history) in piece {
            stored.compare(*id, history, &level, checks);
        }
    }
    let fates: Vec<(&CommandId, &Fate)> = passage.ledger.commands.iter().collect();
    for piece in fates.chunks(PIECE) {
        compare_status(observer, partition, piece, level.status, checks)?;
    }
    Ok(histories.iter().filter(|(_, history)| history.row.is_some()).count() as u64)
}

fn compare_status(
    observer: &Observer,
    partition: i32,
    piece: &[(&CommandId, &Fate)],
    is_level: bool,
    checks: &mut Checks,
) -> anyhow::Result<()> {
    let ids: Vec<CommandId> = piece.iter().map(|(id, _)| **id).collect();
    let (db, tables) = (&observer.db, &observer.tables);
    let loaded = observer.runtime.block_on(snapshot::load(db, tables, &[partition], &[], &ids))?;
    let recent = Utc::now().timestamp_millis() - KEPT_MS;
    for (id, fate) in piece {
        let Some(expected) = &fate.row else { continue };
        let found = loaded.decisions.get(id);
        let may_be_pruned = expected.decided_at.0 < recent;
        if found.is_some() || (is_level && !may_be_pruned) {
            checks.note(Rule::Rows, found == Some(expected), || {
                format!("command {id}: {:?} in MySQL", found.map(|row| row.verdict))
            });
        }
    }
    Ok(())
}

/// Which stores have applied all of a partition.
struct Level {
    snapshot: bool,
    status: bool,
    products: bool,
    directory: bool,
    search: bool,
    search_version: Option<i32>,
    /// Whether brand names have reached all documents.
    brands: bool,
}

impl Level {
    fn of(
        observer: &Observer,
        partition: i32,
        passage: &Passage,
        brands: bool,
    ) -> anyhow::Result<Self> {
        let search_version = observer.runtime.block_on(observer.search.live())?;
        let version = |name| observer.tables.version(name);
        let (events, decisions) = (
            (CATALOG.events.name, passage.events_end),
            (CATALOG.decisions.name, passage.decisions_end),
        );
        let covers_events = |name, version| covers(observer, partition, events, name, version);
        let status = CommandStatus::NAME;
        let of_decisions = covers(observer, partition, decisions, status, version(status))?;
        let products = covers_events(Products::NAME, version(Products::NAME))?;
        Ok(Self {
            snapshot: covers_events(Snapshot::NAME, version(Snapshot::NAME))?,
            status: of_decisions && covers_events(status, version(status))?,
            products,
            directory: covers_events(Directory::NAME, version(Directory::NAME))?,
            search: match search_version {
                Some(version) => products && covers_events(search::PROJECTION, version)?,
                None => false,
            },
            search_version,
            brands,
        })
    }
}

/// Whether a projection has applied every record of a topic up to the end that was read, and none
/// was appended since.
fn covers(
    observer: &Observer,
    partition: i32,
    (topic, end): (&str, i64),
    projection: &str,
    version: i32,
) -> anyhow::Result<bool> {
    let stored = checkpoint::read(&observer.db, projection, version, partition);
    let next = observer.runtime.block_on(stored)?.map_or(0, |at| at.next(topic));
    let unread = observer.log.unread(topic, partition, Bounds { next, end })?;
    Ok(unread.is_none() && observer.log.tail.bounds(topic, partition)?.end == end)
}

/// What the stores hold of some aggregates.
struct Stored {
    states: HashMap<Uuid, snapshot::Stored>,
    rows: HashMap<ProductId, ProductRow>,
    entries: HashMap<Uuid, EntryRow>,
    documents: HashMap<ProductId, (i64, Document)>,
    brands: HashMap<(MallId, BrandId), String>,
}

impl Stored {
    fn of(
        observer: &Observer,
        partition: i32,
        piece: &[(&Uuid, &History)],
        search_version: Option<i32>,
    ) -> anyhow::Result<Self> {
        let (db, tables) = (&observer.db, &observer.tables);
        let ids: Vec<Uuid> = piece.iter().map(|(id, _)| **id).collect();
        let products: Vec<ProductId> = ids.iter().copied().map(ProductId).collect();
        observer.runtime.block_on(async {
            let mut connection = db.acquire().await?;
            let rows = products::by_ids(&mut connection, tables, &products).await?;
            let keys = piece.iter().flat_map(|(_, history)| history.entries.keys().copied());
            let keys: Vec<Uuid> = keys.collect();
            let entries = directory::by_keys(&mut connection, tables, &keys).await?;
            let brands = rows.iter().filter_map(|row| row.brand_id.map(|id| id.0));
            let brands: BTreeSet<Uuid> = brands.collect();
            let brands: Vec<Uuid> = brands.into_iter().collect();
            let brands = search::brand_names(&mut connection, tables, &brands).await?;
            let documents = match search_version {
                Some(version) => observer.search.fetch(version, &products).await?,
                None => HashMap::new(),
            };
            Ok(Self {
                states: snapshot::load(db, tables, &[partition], &ids, &[]).await?.states,
                rows: rows.into_iter().map(|row| (row.id, row)).collect(),
                entries: entries.into_iter().map(|entry| (entry.key(), entry)).collect(),
                documents,
                brands,
            })
        })
    }

    fn compare(&self, id: Uuid, history: &History, level: &Level, checks: &mut Checks) {
        let version = history.version;
        let state = self.states.get(&id);
        if level.snapshot || state.is_some_and(|state| state.version == version) {
            let equal = state.is_some_and(|state| {
                state.version == version
                    && state.mall == history.mall
                    && state.last_offset == history.last_offset
                    && state.state == history.state
            });
            let found = state.map_or(0, |state| state.version);
            checks.note(Rule::Snapshot, equal, || {
                format!("{id}: snapshot at {found}, fold at {version}")
            });
        }
        let row = self.rows.get(&ProductId(id));
        if level.products || row.is_some_and(|row| row.version == version) {
            let found = row.map_or(0, |row| row.version);
            checks.note(Rule::Rows, row == history.row.as_ref(), || {
                format!("{id}: row at {found}, fold at {version}")
            });
        }
        for (key, expected) in &history.entries {
            let entry = self.entries.get(key);
            if level.directory || entry.is_some_and(|entry| entry.version == expected.version) {
                let found = entry.map_or(0, |entry| entry.version);
                checks.note(Rule::Rows, entry == Some(expected), || {
                    format!("{key}: entry at {found}, fold at {}", expected.version)
                });
            }
        }
        self.compare_document(ProductId(id), level, checks);
    }

    fn compare_document(&self, id: ProductId, level: &Level, checks: &mut Checks) {
        let row = self.rows.get(&id);
        let document = self.documents.get(&id).map(|(_, document)| document);
        let expected = row.cloned().map(|row| {
            let brand = row.brand_id.and_then(|id| self.brands.get(&(row.mall.clone(), id)));
            let written = document.and_then(|document| document.brand_name.clone());
            let name = if level.brands { brand.cloned() } else { written };
            Document::new(row, name)
        });
        let same_version = document.map(|d| d.version) == row.map(|row| row.version);
        if level.search || (document.is_some() && same_version) {
            let found = document.map_or(0, |document| document.version);
            checks.note(Rule::Documents, document == expected.as_ref(), || {
                format!("{id}: document at {found}, row at {}", row.map_or(0, |row| row.version))
            });
        }
    }
}

/// At rest no store holds more products than the log.
pub(super) fn count(observer: &Observer, expected: u64, checks: &mut Checks) -> anyhow::Result<()> {
    let rows = observer.runtime.block_on(products::count(&observer.db, &observer.tables))?;
    checks.note(Rule::Rows, rows == expected, || format!("{rows} rows, {expected} products"));
    let Some(version) = observer.runtime.block_on(observer.search.live())? else { return Ok(()) };
    let documents = observer.runtime.block_on(async {
        observer.search.refresh_version(version).await?;
        observer.search.count(version).await
    })?;
    checks.note(Rule::Documents, documents == expected, || {
        format!("{documents} documents, {expected} products")
    });
    Ok(())
}
