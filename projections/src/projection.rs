//! What a projection is: a pure fold, and a table to keep it in.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc};

use schemas::Topic;
use sqlx::{
    MySqlConnection,
    error::BoxDynError,
    mysql::{MySqlArguments, MySqlRow},
};
use uuid::Uuid;

use crate::{
    error::Error,
    fact::Logged,
    memory::{Known, Memory},
    store,
    table::TableName,
};

/// A fold over some topics, kept in one table. Each state has one key, and every record belongs to
/// at most one key. States are never removed: what disappears for a reader is marked so.
pub trait Projection: Send + Sync + 'static {
    /// What is folded for one key.
    type State: Clone + Send + Sync;
    /// A row of the table.
    type Row: Sync;

    /// Its name: that of its table, its checkpoints and its consumer group.
    const NAME: &'static str;
    /// The topics it reads, of one context; the first is the one that decides on ownership. A fold
    /// of several must commute between them, for only the order within a topic is given.
    const TOPICS: &'static [Topic];
    /// The DDL of the table, named `{table}`.
    const CREATE: &'static str;
    /// Selects the states of the keys in `{values}`, a list, or in `{keys}`, rows of a VALUES; a
    /// key may stand there several times, and has one row at most.
    const LOAD: &'static str;
    /// Writes the rows in `{values}`, each a group of [`Self::WIDTH`] columns.
    const STORE: &'static str;
    /// How many columns a row has.
    const WIDTH: usize;
    /// Changes with what is kept inside a column and with how it is folded, as does
    /// [`Self::CREATE`] with the columns: builds that differ in either fill versions of their own.
    const FORMAT: &'static str = "1";

    /// The rows, as a condition, in which two versions are equal once they have applied the same;
    /// not those that are about to be deleted; `{now}` is the time in milliseconds.
    const COMPARED: &'static str = "TRUE";

    /// The key that a record belongs to; `None` where the projection has no use for it.
    ///
    /// # Errors
    /// [`Fault`] when it may not be skipped, but cannot be read.
    fn key(logged: &Logged) -> Result<Option<Uuid>, Fault>;

    /// Takes a record in.
    ///
    /// # Errors
    /// [`Fault`] when the record cannot follow; the partition then stops.
    fn apply(state: Option<Self::State>, logged: &Logged) -> Result<Self::State, Fault>;

    /// Whether the record is the first of its key, so that nothing can be kept of it yet.
    fn begins(_logged: &Logged) -> bool {
        false
    }

    /// What is to be known of a state once its rows are written.
    fn written(state: Arc<Self::State>) -> Arc<Self::State> {
        state
    }

    /// Reads what [`Self::LOAD`] selected.
    ///
    /// # Errors
    /// [`Error`] when a column holds something else.
    fn read(row: &MySqlRow) -> Result<(Uuid, Self::State), Error>;

    /// What of a state is to be written, in the order of the primary key.
    fn rows(state: &Self::State) -> &[Self::Row];

    /// Adds a row's columns, in the order of [`Self::STORE`].
    ///
    /// # Errors
    /// When a value cannot be written.
    fn write(row: &Self::Row, to: &mut MySqlArguments) -> Result<(), BoxDynError>;

    /// About how many bytes the row takes on its way.
    fn size(_row: &Self::Row) -> usize {
        500
    }
}

/// Why a record cannot follow what was applied before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Versions in between are missing.
    #[error("a gap: version {found} follows version {at}")]
    Gap {
        /// The version applied last.
        at: i64,
        /// The version of the record.
        found: i64,
    },
    /// The version was there before.
    #[error("a double: version {found} comes again after version {at}")]
    Doubled {
        /// The version applied last.
        at: i64,
        /// The version of the record.
        found: i64,
    },
    /// A record that this projection may not skip.
    #[error("{0} is unknown to this build, and may not be skipped")]
    Unknown(String),
}

/// That `found` is the version after `at`, which is 0 where nothing was applied.
///
/// # Errors
/// [`Fault::Gap`] or [`Fault::Doubled`].
pub fn follows(at: i64, found: i64) -> Result<(), Fault> {
    match found - at {
        1 => Ok(()),
        ..1 => Err(Fault::Doubled { at, found }),
        _ => Err(Fault::Gap { at, found }),
    }
}

/// A future of one engine step.
pub(crate) type Step<'a, E = Failed> = Pin<Box<dyn Future<Output = Result<(), E>> + Send + 'a>>;

/// Why a batch was not applied.
#[derive(Debug)]
pub enum Failed {
    /// MySQL.
    Db(Error),
    /// The record at this place of the batch.
    At(usize, Fault),
}

/// A projection whose types do not matter any more.
pub trait AnyProjection: Send + Sync {
    /// [`Projection::NAME`].
    fn name(&self) -> &'static str;
    /// [`Projection::TOPICS`].
    fn topics(&self) -> &'static [Topic];
    /// [`Projection::CREATE`].
    fn table(&self) -> &'static str;
    /// [`Projection::COMPARED`].
    fn compared(&self) -> &'static str;
    /// What tells apart tables that look different or whose rows were folded otherwise.
    fn shape(&self) -> String;
    /// A memory for the states of one partition; `whole` where nothing of it is in the table.
    fn memory(&self, whole: bool) -> Box<dyn Memory>;
    /// Loads the states that `records` touch, folds, and writes what came out.
    fn apply_all<'a>(
        &'a self,
        transaction: &'a mut MySqlConnection,
        table: &'a TableName,
        records: &'a [&'a Logged],
    ) -> Step<'a>;
}

impl<P: Projection> AnyProjection for P {
    fn name(&self) -> &'static str {
        P::NAME
    }
    fn topics(&self) -> &'static [Topic] {
        P::TOPICS
    }
    fn table(&self) -> &'static str {
        P::CREATE
    }
    fn compared(&self) -> &'static str {
        P::COMPARED
    }
    fn shape(&self) -> String {
        domain::id::derive(&["shape", P::CREATE, P::FORMAT]).to_string()
    }
    fn memory(&self, whole: bool) -> Box<dyn Memory> {
        Box::new(Known::<P>::new(whole))
    }
    fn apply_all<'a>(
        &'a self,
        transaction: &'a mut MySqlConnection,
        table: &'a TableName,
        records: &'a [&'a Logged],
    ) -> Step<'a> {
        Box::pin(async move {
            let touched = touched::<P>(records)?;
            let states = store::load::<P>(transaction, table, touched).await.map_err(Failed::Db)?;
            let states = fold::<P>(states, records.iter().copied())?;
            store::store::<P>(transaction, table, states.values().flatten())
                .await
                .map_err(Failed::Db)
        })
    }
}

/// The states by key, so that they are written in the order of the primary key: two writers that
/// meet, as at a rebuild, then queue up and do not deadlock.
pub(crate) type States<P> = BTreeMap<Uuid, Option<<P as Projection>::State>>;

/// The keys of `records`, with nothing known of them yet.
fn touched<P: Projection>(records: &[&Logged]) -> Result<States<P>, Failed> {
    let mut keys = States::<P>::new();
    for (place, logged) in records.iter().enumerate() {
        if let Some(key) = P::key(logged).map_err(|fault| Failed::At(place, fault))? {
            keys.insert(key, None);
        }
    }
    Ok(keys)
}

/// Folds `records` in order into `states`.
pub(crate) fn fold<'a, P: Projection>(
    mut states: States<P>,
    records: impl IntoIterator<Item = &'a Logged>,
) -> Result<States<P>, Failed> {
    for (place, logged) in records.into_iter().enumerate() {
        let at = |fault| Failed::At(place, fault);
        let Some(key) = P::key(logged).map_err(at)? else { continue };
        let state = states.entry(key).or_insert(None);
        *state = Some(P::apply(state.take(), logged).map_err(at)?);
    }
    Ok(states)
}
