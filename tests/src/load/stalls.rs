//! How long each partition was silent.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use schemas::topic::{PARTITIONS, partition_of};
use uuid::Uuid;

/// When each partition was heard of last, and the longest silence between two of its decisions.
#[derive(Default)]
pub(super) struct Stalls(Mutex<Silence>);

#[derive(Default)]
struct Silence {
    heard: [Option<Instant>; PARTITIONS as usize],
    longest: Duration,
}

impl Stalls {
    pub(super) fn heard_of(&self, product: Uuid) {
        let partition = partition_of(&product.to_string(), PARTITIONS);
        let mut silence = self.lock();
        let Some(heard) = silence.heard.get_mut(usize::try_from(partition).unwrap_or(0)) else {
            return;
        };
        let now = Instant::now();
        let since = heard.replace(now).map_or(Duration::ZERO, |before| now - before);
        silence.longest = silence.longest.max(since);
    }

    /// What was longest so far does not count; when each partition was heard of does.
    pub(super) fn forget(&self) {
        self.lock().longest = Duration::ZERO;
    }

    /// The longest silence between two decisions.
    pub(super) fn longest(&self) -> Duration {
        self.lock().longest
    }

    fn lock(&self) -> MutexGuard<'_, Silence> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
