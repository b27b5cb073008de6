//! How many commands may be in the log undecided: few enough that none waits long for the others,
//! and enough that the owners of the partitions never lack work.

use std::time::Duration;

/// The least, and the most, whatever was measured; and what is taken for right before it was. A
/// transaction costs much and a command in it little, so fewer than the least would gain nobody
/// anything.
const LEAST: f64 = 32.0;
const MOST: f64 = 1024.0;
const FIRST: f64 = 64.0;
/// How many commands make a measurement.
const ENOUGH: usize = 8;

/// Follows the time from append to outcome, as Netflix's concurrency-limits does
/// (`GradientLimit`, `Gradient2Limit`): `limit = limit * gradient + sqrt(limit)`, with a gradient
/// of 0.5 to 1. Here it is what a command may take over what it took, and nothing is added while it
/// takes too long. What it may take is twice what it takes where nothing waits, since a busy owner
/// has a transaction open when a command comes, and the target on top.
#[derive(Debug)]
pub(super) struct Window {
    /// How long a command may wait for others, in seconds.
    target: f64,
    size: f64,
    /// What a command takes where none waits for others, in seconds.
    unloaded: Option<f64>,
    samples: Vec<f64>,
    /// The most that were undecided since the last measurement.
    used: usize,
}

impl Window {
    pub(super) fn new(target: Duration) -> Self {
        let target = target.as_secs_f64();
        Self { target, size: FIRST, unloaded: None, samples: vec![], used: 0 }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "32 to 1024")]
    pub(super) fn size(&self) -> usize {
        self.size as usize
    }

    /// So many are undecided now.
    pub(super) fn see(&mut self, undecided: usize) {
        self.used = self.used.max(undecided);
    }

    /// A command took so long from append to outcome.
    pub(super) fn sample(&mut self, took: Duration) {
        self.samples.push(took.as_secs_f64());
    }

    /// Draws the conclusion of what was measured, where that was enough.
    pub(super) fn conclude(&mut self) {
        if self.samples.len() < ENOUGH {
            return;
        }
        let middle = self.samples.len() / 2;
        let (_, median, _) = self.samples.select_nth_unstable_by(middle, f64::total_cmp);
        let median = *median;
        let in_use = self.used * 2 >= self.size();
        let unloaded = self.learn(median, in_use);
        self.samples.clear();
        self.used = 0;
        // What is not used says nothing about its size.
        if !in_use {
            return;
        }
        let may_take = 2.0 * unloaded + self.target;
        if median > may_take {
            self.size *= (may_take / median).max(0.5);
        } else {
            self.size += self.size.sqrt() / 2.0;
        }
        self.size = self.size.clamp(LEAST, MOST);
    }

    /// The least counts, and is forgotten slowly: under load hardly at all, since then all take
    /// longer.
    fn learn(&mut self, median: f64, in_use: bool) -> f64 {
        let known = self.unloaded.unwrap_or(median);
        let weight = match (median < known, in_use) {
            (true, _) => 0.3,
            (false, false) => 0.02,
            (false, true) => 0.001,
        };
        *self.unloaded.insert(known + (median - known) * weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(20);

    /// An owner that decides so many in a second, and takes 10 ms where none waits.
    fn turn(window: &mut Window, wanted: usize, per_second: f64) {
        let undecided = wanted.min(window.size());
        let waiting = f64::from(u32::try_from(undecided).unwrap()) / per_second;
        window.see(undecided);
        for _ in 0..20 {
            window.sample(Duration::from_millis(10).max(Duration::from_secs_f64(waiting)));
        }
        window.conclude();
    }

    #[test]
    fn under_a_flood_it_holds_what_is_decided_in_the_time_that_a_command_may_take() {
        let mut window = Window::new(TARGET);
        (0..50).for_each(|_| turn(&mut window, 2, 1_000.0));
        (0..100).for_each(|_| turn(&mut window, 10_000, 1_000.0));
        // 1000 a second, for twice 10 and 20 ms.
        assert!((32..=56).contains(&window.size()), "{window:?}");
        (0..100).for_each(|_| turn(&mut window, 10_000, 4_000.0));
        assert!((110..=220).contains(&window.size()), "{window:?}");
        (0..100).for_each(|_| turn(&mut window, 10_000, 100.0));
        assert_eq!(window.size(), 32);
    }

    #[test]
    fn what_is_not_used_keeps_its_size() {
        let mut window = Window::new(TARGET);
        (0..100).for_each(|_| turn(&mut window, 10, 1_000.0));
        assert_eq!(window.size(), 64);
        window.see(10);
        (0..20).for_each(|_| window.sample(Duration::from_secs(1)));
        window.conclude();
        assert_eq!(window.size(), 64);
    }
}
