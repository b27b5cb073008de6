//! What became of a command.

use std::collections::VecDeque;

use domain::{Timestamp, catalog::Event};
use projections::{
    Logged, Projection,
    command_status::{CommandStatus, CommandStatusRow},
};
use schemas::{CommandMessage, DecisionMessage, EventMessage, Lane, Verdict};
use uuid::Uuid;

use super::history::{Conclusion, History};

/// A command as it stands in the log.
pub(super) struct Asked {
    pub(super) lane: Lane,
    pub(super) offset: i64,
    pub(super) appended: Timestamp,
    pub(super) aggregate: Uuid,
    /// Whether it is where commands are known to be decided.
    pub(super) is_due: bool,
    /// Whether what becomes of it is to be judged.
    pub(super) is_judged: bool,
    /// What it says, where that can be read.
    pub(super) wish: Option<CommandMessage>,
}

/// What is known of a command.
#[derive(Default)]
pub(super) struct Fate {
    /// Whether it is in the command log.
    pub(super) asked: bool,
    /// Whether it is within the scope of the check.
    pub(super) is_judged: bool,
    /// How often it stands in the log.
    pub(super) times: u32,
    /// Where it stands first; none where both lanes hold it, and either may have been decided.
    pub(super) stands: Option<(Lane, i64, Timestamp)>,
    /// When it was appended first.
    pub(super) appended: Timestamp,
    /// Where its decision, or its last event, stands.
    pub(super) concluded: i64,
    /// Whether it is where commands are known to be decided.
    due: bool,
    pub(super) aggregate: Uuid,
    pub(super) decisions: u32,
    pub(super) events: u32,
    /// Its row in the read model, as the log makes it.
    pub(super) row: Option<CommandStatusRow>,
    /// What it said, until it is decided again: which of several bodies under one key came first
    /// is not known where they came by both lanes.
    wishes: Vec<CommandMessage>,
    /// The events that deciding again gave and the log has not shown yet.
    expected: VecDeque<Event>,
    last_version: i64,
    fault: Option<&'static str>,
}

impl Fate {
    /// It was asked for; asked again, it is the same command.
    pub(super) fn ask(&mut self, asked: Asked) {
        let Asked { lane, offset, appended, aggregate, is_due, is_judged, wish } = asked;
        if !self.asked {
            (self.asked, self.aggregate) = (true, aggregate);
            self.stands = Some((lane, offset, appended));
            (self.is_judged, self.appended) = (is_judged, appended);
        }
        self.appended = self.appended.min(appended);
        self.stands = self.stands.filter(|(known, ..)| *known == lane);
        self.times += 1;
        self.due |= is_due;
        let is_known = |wish: &CommandMessage| {
            self.wishes.iter().any(|known| known.origin.body_hash == wish.origin.body_hash)
        };
        self.wishes.extend(wish.filter(|wish| !is_known(wish)));
    }

    /// Whether it may still be undecided.
    pub(super) fn may_wait(&self) -> bool {
        self.asked && !self.due
    }

    /// What was decided, by the hash that the decision carries.
    fn take_wish(&mut self, body_hash: &str) -> Option<CommandMessage> {
        let wishes = std::mem::take(&mut self.wishes);
        wishes.into_iter().find(|wish| wish.origin.body_hash == body_hash)
    }

    pub(super) fn take_decision(&mut self, logged: &Logged, aggregate: Uuid) {
        self.decisions += 1;
        self.concluded = logged.offset;
        self.row = CommandStatus::apply(self.row.take(), logged).ok();
        if self.asked && self.aggregate != aggregate {
            self.fault = Some("was decided for another aggregate");
        }
    }

    pub(super) fn take_event(&mut self, logged: &Logged, aggregate: Uuid, version: i64) {
        if self.asked && self.aggregate != aggregate {
            self.fault = Some("has an event of another aggregate");
        }
        if self.events > 0 && version != self.last_version + 1 {
            self.fault = Some("has events that do not follow each other");
        }
        self.events += 1;
        self.concluded = logged.offset;
        self.last_version = version;
        self.row = CommandStatus::apply(self.row.take(), logged).ok();
    }

    /// Whether deciding again, on the history before `event`, gives it; `None` if that cannot be
    /// said.
    pub(super) fn decides_again(&mut self, event: &EventMessage, before: &History) -> Option<bool> {
        if let Some(wish) = self.take_wish(&event.origin.body_hash) {
            match before.conclude(&wish, event.time) {
                Ok(events) => self.expected = events.into(),
                Err(_) => return Some(false),
            }
        } else if self.expected.is_empty() {
            // Either its command is not in the log any more, or it shows more than was concluded.
            return (self.events > 0 && self.asked).then_some(false);
        }
        Some(self.expected.pop_front().is_some_and(|expected| expected == event.body))
    }

    /// Whether deciding again, on the history that was decided on, concludes the same; `None` if
    /// that cannot be said.
    pub(super) fn refuses_again(
        &mut self,
        decision: &DecisionMessage,
        on: &History,
    ) -> Option<bool> {
        let verdict = decision.body.verdict;
        let wish = self.take_wish(&decision.origin.body_hash);
        let wish = wish.filter(|_| verdict != Verdict::Undecodable)?;
        Some(match (on.conclude(&wish, decision.time), verdict) {
            (Conclusion::Ok(events), Verdict::Unchanged) => events.is_empty(),
            (Conclusion::Err(code), Verdict::Rejected) => Some(code) == decision.body.code,
            _ => false,
        })
    }

    /// Whether deciding again gave events that the log lacks.
    pub(super) fn is_short(&self) -> bool {
        !self.expected.is_empty()
    }

    /// Why this is not exactly one decision, if it is not.
    pub(super) fn fault(&self) -> Option<&'static str> {
        match (self.asked, self.decisions, self.events) {
            (false, ..) => Some("was decided and never asked for"),
            (_, 0, 0) => Some("has no decision"),
            (_, 1, 0) | (_, 0, 1..) => self.fault,
            _ => Some("has more than one decision"),
        }
    }
}
