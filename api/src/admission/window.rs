//! How many commands may be in the log undecided: few enough that none waits long for the others,
//! and enough that the owners of the partitions never lack work.

use std::{mem, time::Duration};

/// The least, and the most, whatever was measured; and what is taken for right before it was. A
/// transaction costs much and a command in it little, so fewer than the least would gain nobody
/// anything.
const LEAST: f64 = 32.0;
const MOST: f64 = 1024.0;
const FIRST: f64 = 64.0;
/// How much longer than usual a command may take, however small the target is.
const LEEWAY: f64 = 0.25;
/// How much of a measurement is believed: what takes now longer and now shorter would else close
/// the window, since it shrinks faster than it grows.
const BELIEVED: f64 = 0.3;
/// How many commands make a measurement.
const ENOUGH: usize = 8;
/// After how many measurements under load it is seen again what a command takes without it, and
/// after how many that has to have been seen.
const PROBE: u32 = 100;
const PROBED: u32 = 120;

/// How it stood when a command was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    /// Whether few were undecided.
    is_calm: bool,
    /// How often the size had changed.
    changes: u64,
}

/// Follows the time from append to outcome, as Netflix's concurrency-limits does
/// (`GradientLimit`, `Gradient2Limit`): `limit = limit * gradient + sqrt(limit)`, with a gradient
/// of 0.5 to 1. Here it is what a command may take over what it took, nothing is added while it
/// takes too long, and more the less it takes. What it may take is what it takes where few are
/// undecided, and the target on top, or a quarter where that is more, since nothing takes equally
/// long each time. Twice as much would grow with whatever else makes everything slow, and let in
/// more where there is less to be had.
///
/// What it takes where few are is measured by commands that were sent where few were, or the queue
/// of a long flood would come to be taken for what a command needs; so every ten seconds of a flood
/// the window is at its least for a moment, as in BBR's ProbeRTT (draft-ietf-ccwg-bbr, 5.3.4).
#[derive(Debug)]
pub(super) struct Window {
    /// How long a command may wait for others, in seconds.
    target: f64,
    size: f64,
    /// What a command takes lately, in seconds; 0 before it was measured.
    recent: f64,
    /// What a command takes where no more than the least are undecided, in seconds.
    calm: f64,
    /// Measurements since that was seen. It begins with a probe.
    since_calm: u32,
    /// How often the size has changed: what was sent before says nothing about what it is now.
    changes: u64,
    samples: Vec<f64>,
    /// Of commands that were sent where few were undecided.
    calm_samples: Vec<f64>,
    /// The most that were undecided since the last measurement.
    used: usize,
}

impl Window {
    pub(super) fn new(target: Duration) -> Self {
        Self {
            target: target.as_secs_f64(),
            size: FIRST,
            recent: 0.0,
            calm: 0.0,
            since_calm: PROBE,
            changes: 0,
            samples: vec![],
            calm_samples: vec![],
            used: 0,
        }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "32 to 1024")]
    pub(super) fn size(&self) -> usize {
        if self.is_probing() { LEAST as usize } else { self.size as usize }
    }

    fn is_probing(&self) -> bool {
        self.since_calm >= PROBE
    }

    /// So many are undecided now.
    pub(super) fn see(&mut self, undecided: usize) {
        self.used = self.used.max(undecided);
    }

    /// How it stands for a command that is sent while so many are undecided. While it is looked for
    /// what one takes where few are, malls with less than their share come on top of the least.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the least is 32")]
    pub(super) fn sent(&self, undecided: usize) -> Sent {
        let few = if self.is_probing() { 2.0 * LEAST } else { LEAST };
        Sent { is_calm: undecided <= few as usize, changes: self.changes }
    }

    /// A command took so long from append to outcome.
    pub(super) fn sample(&mut self, took: Duration, sent: Sent) {
        if sent.changes == self.changes {
            self.samples.push(took.as_secs_f64());
            if sent.is_calm {
                self.calm_samples.push(took.as_secs_f64());
            }
        }
    }

    /// Draws the conclusion of what was measured, where that was enough.
    pub(super) fn conclude(&mut self) {
        if self.samples.len() < ENOUGH {
            return;
        }
        let median = median(&mut self.samples);
        let weight = if self.recent > 0.0 { BELIEVED } else { 1.0 };
        self.recent += (median - self.recent) * weight;
        let used = mem::take(&mut self.used);
        let (size, probed) = (self.size(), self.is_probing());
        self.learn();
        // What is not used says nothing about its size.
        if !probed && used * 2 >= size {
            self.resize();
        }
        if self.size() != size {
            self.changes += 1;
            self.calm_samples.clear();
        }
    }

    fn resize(&mut self) {
        let may_take = self.calm + self.target.max(self.calm * LEEWAY);
        if self.recent > may_take {
            self.size *= (may_take / self.recent).max(0.5);
        } else {
            let headroom = (may_take / self.recent - 1.0).min(1.0);
            self.size += (self.size * headroom / 4.0).max(self.size.sqrt() / 2.0);
        }
        self.size = self.size.clamp(LEAST, MOST);
    }

    /// What a command takes where few are undecided. One measurement among many moves it little,
    /// up or down: a value that is too small closes the window.
    fn learn(&mut self) {
        self.since_calm += 1;
        if self.calm_samples.len() >= ENOUGH {
            let calm = median(&mut self.calm_samples);
            let weight = if self.is_probing() { 1.0 } else { 0.1 };
            self.calm += (calm - self.calm) * weight;
            self.since_calm = 0;
        }
        // It is not to be had, so what is known stays.
        if self.since_calm >= PROBED {
            self.since_calm = 0;
        }
    }
}

/// The median of what is then forgotten.
fn median(samples: &mut Vec<f64>) -> f64 {
    let middle = samples.len() / 2;
    let (_, median, _) = samples.select_nth_unstable_by(middle, f64::total_cmp);
    let median = *median;
    samples.clear();
    median
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(20);

    /// An owner that decides so many in a second, and takes so many milliseconds where none waits.
    fn turn(window: &mut Window, wanted: usize, per_second: f64, least: u64) {
        let undecided = wanted.min(window.size());
        let waiting = f64::from(u32::try_from(undecided).unwrap()) / per_second;
        window.see(undecided);
        let sent = window.sent(undecided);
        for _ in 0..20 {
            let took = Duration::from_millis(least).max(Duration::from_secs_f64(waiting));
            window.sample(took, sent);
        }
        window.conclude();
    }

    #[test]
    fn under_a_flood_it_holds_what_is_decided_in_the_time_that_a_command_may_take() {
        let mut window = Window::new(TARGET);
        (0..50).for_each(|_| turn(&mut window, 2, 1_000.0, 10));
        (0..300).for_each(|_| turn(&mut window, 10_000, 1_000.0, 10));
        // 1000 a second, for what 32 take, and 20 ms.
        assert!((45..=60).contains(&window.size()), "{window:?}");
        (0..300).for_each(|_| turn(&mut window, 10_000, 4_000.0, 10));
        assert!((100..=150).contains(&window.size()), "{window:?}");
        (0..300).for_each(|_| turn(&mut window, 10_000, 100.0, 10));
        assert!((32..=48).contains(&window.size()), "{window:?}");
    }

    #[test]
    fn a_long_flood_is_not_taken_for_what_a_command_needs() {
        let mut window = Window::new(TARGET);
        let sizes = (0..20_000).map(|_| {
            turn(&mut window, 10_000, 1_000.0, 10);
            window.size()
        });
        assert!(sizes.max().unwrap() <= 80);
    }

    #[test]
    fn what_takes_long_however_few_there_are_does_not_close_it() {
        let mut window = Window::new(TARGET);
        (0..50).for_each(|_| turn(&mut window, 2, 10_000.0, 10));
        // 75 ms, and up to 30 more or less, in no order.
        let sizes = (0..900).map(|number| {
            turn(&mut window, 200, 10_000.0, 45 + number * 23 % 61);
            window.size()
        });
        let closed = sizes.skip(300).filter(|size| *size < 200).count();
        assert!(closed < 60, "but for looking what a command takes among few: {closed}");
    }

    #[test]
    fn what_is_not_used_keeps_its_size() {
        let mut window = Window::new(TARGET);
        (0..100).for_each(|_| turn(&mut window, 10, 1_000.0, 10));
        assert_eq!(window.size(), 64);
        window.see(10);
        let sent = window.sent(10);
        (0..20).for_each(|_| window.sample(Duration::from_secs(1), sent));
        window.conclude();
        assert_eq!(window.size(), 64);
    }
}
