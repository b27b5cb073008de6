//! How long each partition was silent.

use std::{
    mem,
    sync::{Mutex, PoisonError},
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
        let mut silence = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(heard) = silence.heard.get_mut(usize::try_from(partition).unwrap_or(0)) else {
            return;
        };
        let now = Instant::now();
        let since = heard.replace(now).map_or(Duration::ZERO, |before| now - before);
        silence.longest = silence.longest.max(since);
    }

    /// The longest silence, of which nothing is remembered afterwards.
    pub(super) fn take(&self) -> Duration {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).longest
    }
}
