//! States that are kept in memory while a version of a projection is filled: what many records
//! change is written once, and nothing is read that is still known.

use std::{collections::HashMap, sync::Arc};

use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    error::Error,
    fact::Logged,
    projection::{Failed, Projection, Step},
    store,
    table::TableName,
};

/// What a state takes beside its rows, about.
const BESIDE: usize = 200;

/// The states of one partition, folded up to some offset, of which not all are written.
pub trait Memory: Send {
    /// Loads what `records` need and is neither known nor certain not to be there.
    fn load<'a>(
        &'a mut self,
        db: &'a mut MySqlConnection,
        table: &'a TableName,
        records: &'a [&'a Logged],
    ) -> Step<'a>;
    /// Whether [`Self::load`] has anything to do.
    fn needs(&self, records: &[&Logged]) -> bool;
    /// Takes records in, in order.
    ///
    /// # Errors
    /// [`Failed::At`]; the memory is of no use any more then.
    fn fold(&mut self, records: &[&Logged]) -> Result<(), Failed>;
    /// What was changed since the last call, to be written. Unless it is, the memory is of no use
    /// any more.
    fn take(&mut self) -> Box<dyn Changes>;
    /// Forgets what is written, and reads it again where it is needed.
    fn forget(&mut self);
    /// About how many bytes have changed and were not taken.
    fn changed(&self) -> usize;
    /// About how many bytes are kept.
    fn size(&self) -> usize;
}

/// States to be written.
pub trait Changes: Send + Sync {
    /// Writes them.
    fn write<'a>(
        &'a self,
        transaction: &'a mut MySqlConnection,
        table: &'a TableName,
    ) -> Step<'a, Error>;
}

/// The states of a projection in one partition.
pub(crate) struct Known<P: Projection> {
    states: HashMap<Uuid, Entry<P::State>>,
    changed: Vec<Uuid>,
    changed_bytes: usize,
    bytes: usize,
    /// Whether a key that is not known is not in the table either.
    whole: bool,
}

struct Entry<S> {
    /// None while it is being changed.
    state: Option<Arc<S>>,
    bytes: usize,
    is_stored: bool,
    is_changed: bool,
}

/// Sorted by key, so that pages are written one after the other and two writers queue up.
struct Taken<P: Projection> {
    new: Vec<Arc<P::State>>,
    stored: Vec<Arc<P::State>>,
}

impl<P: Projection> Known<P> {
    pub(crate) fn new(whole: bool) -> Self {
        Self { states: HashMap::new(), changed: vec![], changed_bytes: 0, bytes: 0, whole }
    }

    /// Keys of which nothing is known. Those of records that cannot be read are left to the fold.
    fn missing(&self, records: &[&Logged]) -> Vec<Uuid> {
        if self.whole {
            return vec![];
        }
        let mut missing = vec![];
        for logged in records {
            let Ok(Some(key)) = P::key(logged) else { continue };
            if !P::begins(logged) && !self.states.contains_key(&key) {
                missing.push(key);
            }
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    fn put(&mut self, key: Uuid, state: P::State, was: Option<Entry<P::State>>) {
        let bytes = size::<P>(&state);
        let (before, is_stored, was_changed) =
            was.map_or((0, false, false), |was| (was.bytes, was.is_stored, was.is_changed));
        if was_changed {
            self.changed_bytes -= before;
        } else {
            self.changed.push(key);
        }
        self.changed_bytes += bytes;
        self.bytes = self.bytes - before + bytes;
        let state = Some(Arc::new(state));
        self.states.insert(key, Entry { state, bytes, is_stored, is_changed: true });
    }

    fn taken(&mut self) -> Taken<P> {
        let mut keys = std::mem::take(&mut self.changed);
        keys.sort_unstable();
        let mut taken = Taken::<P> { new: vec![], stored: vec![] };
        for key in keys {
            let Some(entry) = self.states.get_mut(&key) else { continue };
            let Some(state) = entry.state.take() else { continue };
            let written = P::written(Arc::clone(&state));
            if !Arc::ptr_eq(&written, &state) {
                self.bytes -= entry.bytes;
                entry.bytes = size::<P>(&written);
                self.bytes += entry.bytes;
            }
            entry.state = Some(written);
            let list = if entry.is_stored { &mut taken.stored } else { &mut taken.new };
            list.push(state);
            (entry.is_stored, entry.is_changed) = (true, false);
        }
        self.changed_bytes = 0;
        taken
    }
}

/// About how many bytes a state takes.
fn size<P: Projection>(state: &P::State) -> usize {
    BESIDE + P::rows(state).iter().map(P::size).sum::<usize>()
}

impl<P: Projection> Memory for Known<P> {
    fn load<'a>(
        &'a mut self,
        db: &'a mut MySqlConnection,
        table: &'a TableName,
        records: &'a [&'a Logged],
    ) -> Step<'a> {
        Box::pin(async move {
            for keys in self.missing(records).chunks(store::MOST_KEYS) {
                for row in
                    store::select(&mut *db, table, P::LOAD, keys).await.map_err(Failed::Db)?
                {
                    let (key, state) = P::read(&row).map_err(Failed::Db)?;
                    let bytes = size::<P>(&state);
                    self.bytes += bytes;
                    let state = Some(Arc::new(state));
                    let entry = Entry { state, bytes, is_stored: true, is_changed: false };
                    self.states.insert(key, entry);
                }
            }
            Ok(())
        })
    }

    fn needs(&self, records: &[&Logged]) -> bool {
        !self.missing(records).is_empty()
    }

    fn fold(&mut self, records: &[&Logged]) -> Result<(), Failed> {
        for (place, logged) in records.iter().enumerate() {
            let at = |fault| Failed::At(place, fault);
            let Some(key) = P::key(logged).map_err(at)? else { continue };
            let mut was = self.states.remove(&key);
            let state = was.as_mut().and_then(|entry| entry.state.take());
            let state = P::apply(state.map(Arc::unwrap_or_clone), logged).map_err(at)?;
            self.put(key, state, was);
        }
        Ok(())
    }

    fn take(&mut self) -> Box<dyn Changes> {
        Box::new(self.taken())
    }

    fn forget(&mut self) {
        self.states.retain(|_, entry| entry.is_changed);
        self.bytes = self.changed_bytes;
        self.whole = false;
    }

    fn changed(&self) -> usize {
        self.changed_bytes
    }

    fn size(&self) -> usize {
        self.bytes
    }
}

impl<P: Projection> Changes for Taken<P> {
    fn write<'a>(
        &'a self,
        transaction: &'a mut MySqlConnection,
        table: &'a TableName,
    ) -> Step<'a, Error> {
        Box::pin(async move {
            let (new, stored) = (&self.new, &self.stored);
            store::insert::<P>(transaction, table, new.iter().map(Arc::as_ref)).await?;
            store::store::<P>(transaction, table, stored.iter().map(Arc::as_ref)).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        given::{event, id, logged, registered, repriced},
        history::History,
        products::Products,
    };

    fn fold<P: Projection>(known: &mut Known<P>, records: &[Logged]) {
        known.fold(&records.iter().collect::<Vec<_>>()).unwrap();
    }

    fn two_products() -> Vec<Logged> {
        logged(vec![
            event(2, 1, 1, registered("둘")),
            event(1, 1, 2, registered("하나")),
            event(2, 2, 3, repriced(7)),
        ])
    }

    #[test]
    fn what_many_records_change_is_written_once_and_in_order() {
        let mut known = Known::<Products>::new(true);
        fold(&mut known, &two_products());
        assert!(known.changed() > 0 && known.changed() == known.size());
        let taken = known.taken();
        let rows: Vec<_> = taken.new.iter().map(|row| (row.id.0, row.version)).collect();
        assert_eq!((rows, taken.stored.len()), (vec![(id(1), 1), (id(2), 2)], 0));
        assert_eq!(known.changed(), 0);
        fold(&mut known, &logged(vec![event(1, 2, 4, repriced(8))]));
        let taken = known.taken();
        assert_eq!((taken.new.len(), taken.stored.len()), (0, 1), "the row is there by now");
    }

    #[test]
    fn only_what_was_forgotten_is_read_again() {
        let later = logged(vec![event(1, 2, 4, repriced(8)), event(3, 1, 5, registered("셋"))]);
        let later: Vec<_> = later.iter().collect();
        let mut known = Known::<Products>::new(true);
        fold(&mut known, &two_products());
        known.forget();
        assert!(!known.needs(&later), "what is not written is not forgotten");
        assert_eq!(known.size(), known.changed());
        let _ = known.taken();
        assert!(!known.needs(&later));
        known.forget();
        assert_eq!(known.size(), 0);
        assert_eq!(known.missing(&later), [id(1)], "the log begins the other one here");
    }

    #[test]
    fn an_event_is_added_once() {
        let mut known = Known::<History>::new(true);
        fold(&mut known, &two_products());
        assert_eq!(
            known.taken().new.iter().map(|tail| History::rows(tail).len()).sum::<usize>(),
            3
        );
        fold(&mut known, &logged(vec![event(1, 2, 4, repriced(8))]));
        let taken = known.taken();
        assert_eq!(taken.stored.iter().map(|tail| History::rows(tail).len()).sum::<usize>(), 1);
        known.forget();
        assert_eq!((known.size(), known.changed()), (0, 0));
    }
}
