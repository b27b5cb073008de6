//! The category trees of the malls, kept in memory: most requests of a storefront need theirs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use domain::MallId;
use projections::{
    Error, Projection as _, Tables,
    directory::{self, Directory, Tree},
};

use crate::app::App;

/// The trees that were read. As many as malls have keys: nobody else asks.
#[derive(Default)]
pub(crate) struct Trees(Mutex<HashMap<MallId, (Stamp, Pair)>>);

/// The tree of a mall, whole and as buyers see it.
#[derive(Clone)]
pub(crate) struct Pair {
    /// All of it.
    pub whole: Arc<Tree>,
    /// What is not retired.
    pub shown: Arc<Tree>,
}

/// The version of the read model, and that of the tree in it.
type Stamp = (i32, i64);

impl Trees {
    /// The tree of a mall as these tables have it now.
    pub(crate) async fn of(
        &self,
        app: &App,
        tables: &Tables,
        mall: &MallId,
    ) -> Result<Pair, Error> {
        let generation = tables.version(Directory::NAME);
        let stamp = (generation, directory::tree_version(&app.db, tables, mall).await?);
        if let Some((known, pair)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(mall)
            && *known == stamp
        {
            return Ok(pair.clone());
        }
        let entries = directory::categories(&app.db, tables, mall).await?;
        let version = entries.iter().map(|entry| entry.version).max().unwrap_or_default();
        let whole = Tree::new(entries);
        let shown = Arc::new(whole.for_buyers());
        let pair = Pair { whole: Arc::new(whole), shown };
        let kept = ((generation, version), pair.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(mall.clone(), kept);
        Ok(pair)
    }
}
