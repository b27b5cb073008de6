//! What the read models have applied, as those see it who wait for a write.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use projections::{Checkpoint, Error, Pool, checkpoint};
use tokio::{sync, time::timeout};

use crate::freshness::ASK;

/// The checkpoints of the versions that were waited for. Each is asked for once in [`ASK`], however
/// many wait: they only move on, so what was seen a moment ago never promises too much.
#[derive(Default)]
pub(crate) struct Checkpoints(Mutex<HashMap<Version, Arc<Seen>>>);

/// A projection, and which version of it.
type Version = (&'static str, i32);

/// How long one question may keep the next from being asked.
const ANSWER: Duration = Duration::from_secs(1);

/// The checkpoints of a version, by partition.
#[derive(Default)]
struct Seen {
    /// When the last answer came. Locked while somebody asks.
    answered: sync::Mutex<Option<Instant>>,
    known: Mutex<BTreeMap<i32, Checkpoint>>,
}

impl Checkpoints {
    /// What a version has applied in a partition, as far as is known: nobody waits for the question of
    /// another for long.
    ///
    /// # Errors
    /// [`Error`] when MySQL refuses or does not answer.
    pub(crate) async fn of(
        &self,
        db: &Pool,
        version: Version,
        partition: i32,
    ) -> Result<Checkpoint, Error> {
        let seen = self.seen(version);
        if let Ok(mut answered) = timeout(ASK, seen.answered.lock()).await
            && answered.is_none_or(|at| at.elapsed() >= ASK)
            && let Ok(all) = timeout(ANSWER, checkpoint::read_all(db, version.0, version.1)).await
        {
            *seen.known.lock().unwrap_or_else(PoisonError::into_inner) = all?;
            *answered = Some(Instant::now());
        }
        let known = seen.known.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(known.get(&partition).cloned().unwrap_or_default())
    }

    fn seen(&self, version: Version) -> Arc<Seen> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(version).or_default().clone()
    }
}
