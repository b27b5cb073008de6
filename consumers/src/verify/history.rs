//! An aggregate as its events make it, and what it would conclude now.

use std::collections::BTreeMap;

use domain::{
    Aggregate, MallId, Refusal, Timestamp,
    catalog::{Event, State},
};
use projections::{
    Fact, Logged, Projection,
    directory::{Directory, EntryRow},
    history::Extent,
    products::{PRODUCT, ProductRow, Products},
};
use schemas::CommandMessage;
use uuid::Uuid;

/// The fold of an aggregate's events.
pub(super) struct History {
    pub(super) mall: MallId,
    pub(super) version: i64,
    pub(super) last_offset: i64,
    /// When its last event was appended.
    pub(super) changed: Timestamp,
    pub(super) state: State,
    pub(super) extent: Extent,
    pub(super) row: Option<ProductRow>,
    /// Its rows in the directory, by their ids.
    pub(super) entries: BTreeMap<Uuid, EntryRow>,
    /// False once an event could not follow: then there is nothing right to compare with.
    pub(super) sound: bool,
}

/// What follows from a command: its events, or the code of its rejection.
pub(super) type Conclusion = Result<Vec<Event>, String>;

impl History {
    /// An aggregate before its first event.
    pub(super) fn new(mall: MallId) -> Self {
        let (state, row, entries) = (State::default(), None, BTreeMap::new());
        let (last_offset, changed) = (-1, Timestamp(0));
        let extent = Extent::default();
        Self { mall, version: 0, last_offset, changed, state, extent, row, entries, sound: true }
    }

    pub(super) fn take(&mut self, logged: &Logged, version: i64) {
        if logged.fact.event_head().is_some_and(|head| head.kind == PRODUCT) {
            let row = Products::apply(self.row.take(), logged);
            self.sound &= row.is_ok();
            self.row = row.ok();
        } else if let Ok(Some(key)) = Directory::key(logged) {
            let entry = Directory::apply(self.entries.remove(&key), logged);
            self.sound &= entry.is_ok();
            self.entries.extend(entry.ok().map(|entry| (key, entry)));
        }
        if let Some(head) = logged.fact.event_head() {
            self.extent.take(&head);
        }
        (self.version, self.last_offset) = (version, logged.offset);
        self.changed = self.changed.max(logged.appended);
        match &logged.fact {
            Fact::Event(event) => self.state.evolve(&event.body, event.of_time()),
            Fact::NewerEvent { critical: false, .. } => {}
            // The state of an event of a newer build cannot be folded here.
            _ => self.sound = false,
        }
    }

    /// Decides as the handler does, at the recorded time.
    pub(super) fn conclude(&self, wish: &CommandMessage, at: Timestamp) -> Conclusion {
        if self.mall != wish.origin.mall {
            return Err(wish.body.not_found().code().to_owned());
        }
        let events = self.state.decide(wish.origin.aggregate, &wish.body, at);
        // What does not exist has no version to be compared with.
        let absent = self.version == 0 && events.is_err();
        if !absent && wish.expected_version.is_some_and(|expected| expected != self.version) {
            return Err("VERSION_CONFLICT".to_owned());
        }
        events.map_err(|rejection| rejection.code().to_owned())
    }
}
