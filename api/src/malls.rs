//! What most searches of a mall need of the directory, kept in memory for a moment.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use domain::{MallId, PartnerId, SynonymsId};
use projections::{
    Error, Tables,
    directory::{self, EntryKind, EntryRow},
    search::Synonyms,
};
use uuid::Uuid;

use crate::{app::App, trees::Pair};

/// How old what a search knows of its mall may be where it waits for no write: documents themselves
/// are found later than that.
const KEPT: Duration = Duration::from_millis(250);
/// How old it may be while somebody reads it anew, who may have to wait for MySQL. Well below
/// [`projections::version::GRACE`], since its tables must still be there.
const OLDEST: Duration = Duration::from_secs(1);

/// So many brands are read anew together; more are forgotten.
const MOST_BRANDS: usize = 500;

/// The malls that were asked for. As many as have keys: nobody else asks.
#[derive(Default)]
pub(crate) struct Malls(Mutex<HashMap<MallId, Slot>>);

struct Slot {
    known: Arc<Known>,
    /// What was read of its tables is not older than this.
    at: Instant,
    /// When somebody last began to read it anew. If that failed another does, and nobody waits.
    renewed: Instant,
}

/// A mall as of one moment.
pub(crate) struct Known {
    mall: MallId,
    tables: Tables,
    /// Its categories.
    pub trees: Pair,
    /// Words that mean the same.
    pub synonyms: Synonyms,
    /// Its partners that may not sell for the moment.
    pub suspended: Vec<PartnerId>,
    /// The brands that were looked up since; none where there is no such brand.
    brands: Mutex<HashMap<Uuid, Option<Arc<EntryRow>>>>,
}

/// Brands by id.
pub(crate) type Brands = HashMap<Uuid, Arc<EntryRow>>;

impl Malls {
    /// The mall as it was a moment ago.
    ///
    /// # Errors
    /// [`Error`] when MySQL refuses or does not answer.
    pub(crate) async fn lately(&self, app: &App, mall: &MallId) -> Result<Arc<Known>, Error> {
        if let Some(known) = self.known(mall) {
            return Ok(known);
        }
        let at = Instant::now();
        self.now(app, (Tables::active(&app.db).await?, at), mall).await
    }

    /// The mall as these tables have it now, kept for those who come next. It is as old as the tables,
    /// which were the live ones at that instant or later: whoever waited has old ones.
    ///
    /// # Errors
    /// [`Error`] when MySQL refuses or does not answer.
    pub(crate) async fn now(
        &self,
        app: &App,
        (tables, at): (Tables, Instant),
        mall: &MallId,
    ) -> Result<Arc<Known>, Error> {
        let known = Known::read(app, tables, mall).await?;
        // Most will be asked for again, by all who search at the moment.
        known.brands(app, self.asked_for(mall)).await?;
        Ok(self.keep(mall, at, Arc::new(known)))
    }

    /// The brands that searches of the mall asked for, where they are not too many.
    fn asked_for(&self, mall: &MallId) -> BTreeSet<Uuid> {
        let known = self.lock().get(mall).map(|slot| slot.known.clone());
        let asked = known.map(|known| {
            let known = known.looked_up();
            known.iter().filter_map(|(id, brand)| brand.as_ref().map(|_| *id)).collect()
        });
        asked.filter(|asked: &BTreeSet<_>| asked.len() <= MOST_BRANDS).unwrap_or_default()
    }

    /// What is known and not too old; none to the one who is to read it anew.
    fn known(&self, mall: &MallId) -> Option<Arc<Known>> {
        let mut all = self.lock();
        let slot = all.get_mut(mall)?;
        let is_read = slot.renewed.elapsed() < KEPT && slot.at.elapsed() < OLDEST;
        if slot.at.elapsed() < KEPT || is_read {
            return Some(slot.known.clone());
        }
        slot.renewed = Instant::now();
        None
    }

    /// Keeps what was read, unless what is kept was read later.
    fn keep(&self, mall: &MallId, at: Instant, known: Arc<Known>) -> Arc<Known> {
        let mut all = self.lock();
        let before = all.get(mall).map(|slot| (slot.at, slot.renewed));
        if before.is_none_or(|(was, _)| was < at) {
            let renewed = before.map_or(at, |(_, renewed)| renewed.max(at));
            all.insert(mall.clone(), Slot { known: known.clone(), at, renewed });
        }
        known
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MallId, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The mall as these tables have it now.
    ///
    /// # Errors
    /// [`Error`] when MySQL refuses or does not answer.
    async fn read(app: &App, tables: Tables, mall: &MallId) -> Result<Self, Error> {
        let trees = app.trees.of(app, &tables, mall).await?;
        let id = SynonymsId::of(mall).0;
        let entry = directory::by_id(&app.db, &tables, mall, EntryKind::Synonyms, id).await?;
        let groups = entry.and_then(|entry| entry.groups).unwrap_or_default();
        let synonyms = Synonyms(groups.into_iter().map(|group| group.words).collect());
        let suspended = directory::suspended(&app.db, &tables, mall).await?;
        let (mall, brands) = (mall.clone(), Mutex::default());
        Ok(Self { mall, tables, trees, synonyms, suspended, brands })
    }

    /// Those of `ids` that are brands of the mall.
    ///
    /// # Errors
    /// [`Error`] when MySQL refuses or does not answer.
    pub(crate) async fn brands(&self, app: &App, ids: BTreeSet<Uuid>) -> Result<Brands, Error> {
        let unknown: Vec<Uuid> = {
            let known = self.looked_up();
            ids.iter().copied().filter(|id| !known.contains_key(id)).collect()
        };
        if !unknown.is_empty() {
            let (db, kind) = (&app.db, EntryKind::Brand);
            let mut found = directory::by_ids(db, &self.tables, &self.mall, kind, &unknown).await?;
            let found = unknown.into_iter().map(|id| (id, found.remove(&id).map(Arc::new)));
            self.looked_up().extend(found);
        }
        let known = self.looked_up();
        Ok(ids.into_iter().filter_map(|id| Some((id, known.get(&id)?.clone()?))).collect())
    }

    fn looked_up(&self) -> MutexGuard<'_, HashMap<Uuid, Option<Arc<EntryRow>>>> {
        self.brands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Arc<Known> {
        Arc::new(Known {
            mall: name.parse().unwrap(),
            tables: Tables::only("directory", 1),
            trees: Pair { whole: Arc::default(), shown: Arc::default() },
            synonyms: Synonyms::default(),
            suspended: vec![],
            brands: Mutex::default(),
        })
    }

    #[test]
    fn one_reads_anew_while_the_others_take_what_is_known() {
        let (mall, now) = ("demo".parse().unwrap(), Instant::now());
        let asked_thrice = |age: Duration| {
            let malls = Malls::default();
            malls.keep(&mall, now - age, known("demo"));
            [(); 3].map(|()| malls.known(&mall).is_some())
        };
        assert_eq!(asked_thrice(Duration::ZERO), [true; 3]);
        assert_eq!(asked_thrice(KEPT), [false, true, true]);
        assert_eq!(asked_thrice(OLDEST), [false; 3], "nobody waits for whoever may be stuck");
    }

    #[test]
    fn what_was_read_later_is_kept() {
        let (malls, mall, now) = (Malls::default(), "demo".parse().unwrap(), Instant::now());
        assert!(malls.known(&mall).is_none());
        malls.keep(&mall, now, known("later"));
        malls.keep(&mall, now - KEPT / 2, known("earlier"));
        assert_eq!(malls.known(&mall).unwrap().mall.as_str(), "later");
    }
}
