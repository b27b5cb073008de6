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
/// are found later than that. Much less than [`projections::version::GRACE`], as its tables must
/// still be there.
const KEPT: Duration = Duration::from_millis(250);

/// The malls that were asked for. As many as have keys: nobody else asks.
#[derive(Default)]
pub(crate) struct Malls(Mutex<HashMap<MallId, Slot>>);

/// When it was read, and what. Whoever finds it too old reads it again, while the others wait.
type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Arc<Known>)>>>;

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
    brands: Mutex<HashMap<Uuid, Option<EntryRow>>>,
}

impl Malls {
    /// The mall as it was a moment ago at most.
    ///
    /// # Errors
    /// [`Error`] when MySQL refuses or does not answer.
    pub(crate) async fn lately(&self, app: &App, mall: &MallId) -> Result<Arc<Known>, Error> {
        let slot = self.slot(mall);
        let mut slot = slot.lock().await;
        match &*slot {
            Some((at, known)) if at.elapsed() < KEPT => Ok(known.clone()),
            _ => {
                let at = Instant::now();
                let tables = Tables::active(&app.db).await?;
                let known = Arc::new(Known::read(app, tables, mall).await?);
                *slot = Some((at, known.clone()));
                Ok(known)
            }
        }
    }

    fn slot(&self, mall: &MallId) -> Slot {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(mall.clone()).or_default().clone()
    }
}

impl Known {
    /// The mall as these tables have it now.
    ///
    /// # Errors
    /// [`Error`] when MySQL refuses or does not answer.
    pub(crate) async fn read(app: &App, tables: Tables, mall: &MallId) -> Result<Self, Error> {
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
    pub(crate) async fn brands(
        &self,
        app: &App,
        ids: BTreeSet<Uuid>,
    ) -> Result<HashMap<Uuid, EntryRow>, Error> {
        let unknown: Vec<Uuid> = {
            let known = self.looked_up();
            ids.iter().copied().filter(|id| !known.contains_key(id)).collect()
        };
        if !unknown.is_empty() {
            let (db, kind) = (&app.db, EntryKind::Brand);
            let mut found = directory::by_ids(db, &self.tables, &self.mall, kind, &unknown).await?;
            let found = unknown.into_iter().map(|id| (id, found.remove(&id)));
            self.looked_up().extend(found);
        }
        let known = self.looked_up();
        Ok(ids.into_iter().filter_map(|id| Some((id, known.get(&id)?.clone()?))).collect())
    }

    fn looked_up(&self) -> MutexGuard<'_, HashMap<Uuid, Option<EntryRow>>> {
        self.brands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
