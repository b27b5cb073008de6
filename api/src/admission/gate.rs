//! Who may append a command now, who waits for it, and who is refused.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use domain::MallId;

use super::{backlog::Backlog, fair::Fair, window::Window};

/// The most commands undecided, whatever is waived: what an owner's absence may cost in memory.
const MOST: usize = 4096;
/// How many requests wait to append.
const WAITING: usize = 512;
/// How long a mall counts as one that asks, and a refusal as a sign that too much is asked for.
const ASKING: Duration = Duration::from_secs(1);
/// How often conclusions are drawn.
const TURN: Duration = Duration::from_millis(100);

/// The state of admission; `T` is whoever waits. Time is told to it.
#[derive(Debug)]
pub(super) struct Gate<T> {
    window: Window,
    backlog: Backlog,
    /// Admitted, and not in the log yet.
    on_the_way: usize,
    malls: HashMap<MallId, Mall>,
    waiting: Fair<T>,
    turned: Instant,
    /// When somebody was refused last.
    refused: Option<Instant>,
}

#[derive(Debug)]
struct Mall {
    /// Admitted, and neither decided nor given up.
    under_way: usize,
    asked: Instant,
}

/// What becomes of a request that arrives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It may append.
    Admitted,
    /// It is told later.
    Waits,
    /// The mall has its share already, and others ask too.
    OverShare,
    /// The mall is the only one that asks.
    Overloaded,
}

impl<T> Gate<T> {
    /// `target` is how long a command may wait for others in the log.
    pub(super) fn new(target: Duration, now: Instant) -> Self {
        Self {
            window: Window::new(target),
            backlog: Backlog::default(),
            on_the_way: 0,
            malls: HashMap::new(),
            waiting: Fair::default(),
            turned: now,
            refused: None,
        }
    }

    /// A request of `mall` arrives; `waits` is kept where it has to wait.
    pub(super) fn arrive(&mut self, mall: &MallId, waits: T, now: Instant) -> Arrival {
        let under_way = match self.malls.get_mut(mall) {
            Some(known) => {
                known.asked = now;
                known.under_way
            }
            None => {
                self.malls.insert(mall.clone(), Mall { under_way: 0, asked: now });
                0
            }
        };
        let (malls, waiting) = (self.malls.len(), self.waiting.of(mall));
        if waiting == 0 && self.has_room(under_way, now) {
            self.admit(mall);
            return Arrival::Admitted;
        }
        if waiting < (WAITING / malls).max(1) {
            self.waiting.push(mall, waits);
            return Arrival::Waits;
        }
        self.refused = Some(now);
        if malls == 1 { Arrival::Overloaded } else { Arrival::OverShare }
    }

    /// A mall that has less than its share need not wait for what others have beyond theirs.
    fn has_room(&mut self, under_way: usize, now: Instant) -> bool {
        under_way < self.may_have_under_way(now)
    }

    /// Whoever waits and may append now.
    pub(super) fn next(&mut self, now: Instant) -> Option<(MallId, T)> {
        let most = self.may_have_under_way(now);
        let malls = &self.malls;
        let may = |mall: &MallId| malls.get(mall).is_none_or(|mall| mall.under_way < most);
        let (mall, waits) = self.waiting.pop(may)?;
        self.admit(&mall);
        Some((mall, waits))
    }

    /// How many a mall must have fewer than, to append one more: whoever waits already is asked the
    /// same as who comes.
    fn may_have_under_way(&mut self, now: Instant) -> usize {
        let (size, undecided) = (self.window.size(), self.undecided(now));
        self.window.see(undecided);
        if !self.is_bearable() || undecided >= 2 * size {
            return 0;
        }
        if undecided < size { usize::MAX } else { (size / self.malls.len().max(1)).max(1) }
    }

    fn admit(&mut self, mall: &MallId) {
        self.on_the_way += 1;
        if let Some(mall) = self.malls.get_mut(mall) {
            mall.under_way += 1;
        }
    }

    /// An admitted command stands in the log.
    pub(super) fn appended(&mut self, partition: i32, offset: i64, now: Instant) {
        self.on_the_way -= 1;
        self.backlog.appended(partition, offset, now);
    }

    /// It is decided, `took` after it was sent.
    pub(super) fn decided(&mut self, partition: i32, offset: i64, took: Duration, now: Instant) {
        let pressed = |at| now.saturating_duration_since(at) < ASKING;
        let pressed = self.refused.is_some_and(pressed);
        if self.backlog.decided(partition, offset, now, pressed) {
            self.window.sample(took);
        }
    }

    /// It was decided by the decision of another copy of it, which says nothing of its place.
    pub(super) fn answered(&mut self, partition: i32, offset: i64) {
        self.backlog.answered(partition, offset);
    }

    /// An admitted request ends; `appended` says whether it came into the log.
    pub(super) fn leave(&mut self, mall: &MallId, appended: bool) {
        if !appended {
            self.on_the_way -= 1;
        }
        if let Some(mall) = self.malls.get_mut(mall) {
            mall.under_way -= 1;
        }
    }

    /// Time goes by; `waits` says who still does.
    pub(super) fn turn(&mut self, now: Instant, waits: impl Fn(&T) -> bool) {
        let elapsed = now.saturating_duration_since(self.turned);
        if elapsed < TURN {
            return;
        }
        self.turned = now;
        self.waiting.retain(waits);
        self.backlog.turn(now, elapsed);
        self.window.conclude();
        let waiting = &self.waiting;
        self.malls.retain(|name, mall| {
            let asks = now.saturating_duration_since(mall.asked) < ASKING;
            asks || mall.under_way > 0 || waiting.of(name) > 0
        });
    }

    /// How many may be undecided.
    pub(super) fn size(&self) -> usize {
        self.window.size()
    }

    /// How many are undecided, waived or not.
    pub(super) fn in_all(&self) -> usize {
        self.on_the_way + self.backlog.len()
    }

    fn undecided(&self, now: Instant) -> usize {
        self.on_the_way + self.backlog.counted(now)
    }

    fn is_bearable(&self) -> bool {
        self.in_all() < MOST
    }
}

#[cfg(test)]
mod tests;
