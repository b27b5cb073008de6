//! Who may append a command now, who waits for it, and who is refused.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use domain::MallId;

use super::{
    backlog::Backlog,
    fair::Fair,
    window::{Sent, Window},
};

/// How many requests may be on their way to the log: read, looked up, and waiting to append.
const COMING: usize = 512;
/// How many bytes the bodies of all requests may have that are not decided.
const HELD: usize = 32 * 1024 * 1024;
/// How long a mall counts as one that asks.
const ASKING: Duration = Duration::from_secs(1);
/// How often conclusions are drawn.
const TURN: Duration = Duration::from_millis(100);

/// The state of admission; `T` is whoever waits. Time is told to it.
#[derive(Debug)]
pub(super) struct Gate<T> {
    window: Window,
    backlog: Backlog,
    /// Admitted, and not in the log yet.
    appending: usize,
    malls: HashMap<MallId, Mall>,
    coming: usize,
    /// Bytes of bodies.
    held: usize,
    waiting: Fair<T>,
    turned: Instant,
}

#[derive(Debug)]
struct Mall {
    /// Arrived, and neither admitted nor gone.
    coming: usize,
    /// Admitted, and not in the log yet.
    appending: usize,
    /// In the log by partition, and neither decided nor given up.
    undecided: HashMap<i32, usize>,
    /// Bytes of bodies.
    held: usize,
    asked: Instant,
}

/// Why a request may not come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
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
            appending: 0,
            malls: HashMap::new(),
            coming: 0,
            held: 0,
            waiting: Fair::default(),
            turned: now,
        }
    }

    /// A request of `mall` arrives, of whose body of so many bytes nothing is read yet.
    ///
    /// # Errors
    /// When too many are coming already, or too much is held, and it has its share of that.
    pub(super) fn arrive(
        &mut self,
        mall: &MallId,
        bytes: usize,
        now: Instant,
    ) -> Result<(), Refusal> {
        if !self.malls.contains_key(mall) {
            self.malls.insert(mall.clone(), Mall::new(now));
        }
        let malls = self.malls.len();
        let Some(known) = self.malls.get_mut(mall) else { return Ok(()) };
        known.asked = now;
        let may_come = self.coming < COMING || known.coming < (COMING / malls).max(1);
        let is_small = self.held + bytes <= HELD || known.held + bytes <= HELD / malls;
        if may_come && (is_small || known.held == 0) {
            known.coming += 1;
            known.held += bytes;
            self.coming += 1;
            self.held += bytes;
            return Ok(());
        }
        Err(if malls == 1 { Refusal::Overloaded } else { Refusal::OverShare })
    }

    /// The body of a request is needed no longer.
    pub(super) fn let_go(&mut self, mall: &MallId, bytes: usize) {
        self.held -= bytes;
        if let Some(mall) = self.malls.get_mut(mall) {
            mall.held -= bytes;
        }
    }

    /// One that arrived wants to append: true if it may, else `waits` is kept until it may.
    pub(super) fn enter(&mut self, mall: &MallId, waits: T, now: Instant) -> bool {
        let under_way = self.under_way(mall, now);
        let may = self.waiting.of(mall) == 0 && under_way < self.may_have_under_way(now);
        match may {
            true => self.admit(mall),
            false => self.waiting.push(mall, waits),
        }
        may
    }

    /// One that arrived is not coming any more: it was admitted, or is gone.
    pub(super) fn comes_no_more(&mut self, mall: &MallId) {
        self.coming -= 1;
        if let Some(mall) = self.malls.get_mut(mall) {
            mall.coming -= 1;
        }
    }

    /// Whoever waits and may append now.
    pub(super) fn next(&mut self, now: Instant) -> Option<(MallId, T)> {
        let most = self.may_have_under_way(now);
        let (malls, backlog) = (&self.malls, &self.backlog);
        let under_way = |mall: &Mall| mall.under_way(backlog, now);
        let may = |mall: &MallId| malls.get(mall).is_none_or(|mall| under_way(mall) < most);
        let (mall, waits) = self.waiting.pop(may)?;
        self.admit(&mall);
        Some((mall, waits))
    }

    /// How many a mall must have fewer than, to append one more: one that has less than its share
    /// need not wait for what others have beyond theirs, and whoever waits already is asked the
    /// same as who comes.
    fn may_have_under_way(&mut self, now: Instant) -> usize {
        let (size, undecided) = (self.window.size(), self.undecided(now));
        self.window.see(undecided);
        match undecided {
            _ if undecided < size => usize::MAX,
            _ if undecided < 2 * size => self.share(),
            _ => 0,
        }
    }

    /// What a mall may have under way, whatever others have.
    fn share(&self) -> usize {
        (self.window.size() / self.malls.len().max(1)).max(1)
    }

    fn admit(&mut self, mall: &MallId) {
        self.appending += 1;
        if let Some(mall) = self.malls.get_mut(mall) {
            mall.appending += 1;
        }
    }

    fn under_way(&self, mall: &MallId, now: Instant) -> usize {
        self.malls.get(mall).map_or(0, |mall| mall.under_way(&self.backlog, now))
    }

    fn undecided(&self, now: Instant) -> usize {
        self.appending + self.backlog.counted(now)
    }

    /// How it stands for a command that is sent now.
    pub(super) fn sends(&self, now: Instant) -> Sent {
        self.window.sent(self.undecided(now))
    }

    /// Whether a partition has no owner, and as much to decide as it may be left with.
    pub(super) fn is_full(&self, mall: &MallId, partition: i32, now: Instant) -> bool {
        let there = self.malls.get(mall).and_then(|mall| mall.undecided.get(&partition));
        self.backlog.is_full(partition, *there.unwrap_or(&0), self.malls.len(), now)
    }

    /// An admitted command of `mall` stands in the log.
    pub(super) fn appended(&mut self, mall: &MallId, partition: i32, offset: i64, now: Instant) {
        self.appending -= 1;
        self.backlog.appended(partition, offset, now);
        if let Some(mall) = self.malls.get_mut(mall) {
            mall.appending -= 1;
            *mall.undecided.entry(partition).or_default() += 1;
        }
    }

    /// It is decided, `took` after it was `sent`.
    pub(super) fn decided(
        &mut self,
        partition: i32,
        offset: i64,
        (took, sent): (Duration, Sent),
        now: Instant,
    ) {
        if self.backlog.decided(partition, offset, now) {
            self.window.sample(took, sent);
        }
    }

    /// It was decided by the decision of another copy of it, which says nothing of its place.
    pub(super) fn answered(&mut self, partition: i32, offset: i64, now: Instant) {
        self.backlog.answered(partition, offset, now);
    }

    /// An admitted request ends, whose command came into a partition of the log, or into none.
    pub(super) fn leave(&mut self, mall: &MallId, partition: Option<i32>) {
        if partition.is_none() {
            self.appending -= 1;
        }
        let Some(mall) = self.malls.get_mut(mall) else { return };
        match partition {
            None => mall.appending -= 1,
            Some(partition) => {
                if let Some(there) = mall.undecided.get_mut(&partition) {
                    *there -= 1;
                }
                mall.undecided.retain(|_, there| *there > 0);
            }
        }
    }

    /// Time goes by; `waits` says who still does.
    pub(super) fn turn(&mut self, now: Instant, waits: impl Fn(&T) -> bool) {
        if now.saturating_duration_since(self.turned) < TURN {
            return;
        }
        self.turned = now;
        self.waiting.retain(waits);
        self.backlog.turn(now);
        self.window.conclude();
        self.malls.retain(|_, mall| {
            let asks = now.saturating_duration_since(mall.asked) < ASKING;
            asks || !mall.is_idle()
        });
    }

    /// How many may be undecided.
    pub(super) fn size(&self) -> usize {
        self.window.size()
    }

    /// How many are undecided, waived or not.
    pub(super) fn in_all(&self) -> usize {
        self.appending + self.backlog.len()
    }
}

impl Mall {
    fn new(asked: Instant) -> Self {
        Self { coming: 0, appending: 0, undecided: HashMap::new(), held: 0, asked }
    }

    /// Admitted, and not decided by whoever could.
    fn under_way(&self, backlog: &Backlog, now: Instant) -> usize {
        let there = self.undecided.iter().filter(|(at, _)| !backlog.is_silent(**at, now));
        self.appending + there.map(|(_, count)| count).sum::<usize>()
    }

    fn is_idle(&self) -> bool {
        self.coming + self.appending + self.held == 0 && self.undecided.is_empty()
    }
}

#[cfg(test)]
mod tests;
