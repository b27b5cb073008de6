//! What the read models have applied, as those see it who wait for a write.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
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

/// When they were asked for, and by partition what they were. Locked while somebody asks, and then
/// the others have his answer.
type Seen = sync::Mutex<Option<(Instant, BTreeMap<i32, Checkpoint>)>>;

impl Checkpoints {
    /// What a version has applied in a partition; nothing where whoever asks has no answer for long,
    /// so that each waits as long as he means to.
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
        let Ok(mut seen) = timeout(ASK, seen.lock()).await else {
            return Ok(Checkpoint::default());
        };
        if seen.as_ref().is_none_or(|(at, _)| at.elapsed() >= ASK) {
            let at = Instant::now();
            *seen = Some((at, checkpoint::read_all(db, version.0, version.1).await?));
        }
        let applied = seen.as_ref().and_then(|(_, all)| all.get(&partition));
        Ok(applied.cloned().unwrap_or_default())
    }

    fn seen(&self, version: Version) -> Arc<Seen> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(version).or_default().clone()
    }
}
