//! What became of a command.

use std::collections::VecDeque;

use domain::catalog::Event;
use projections::{
    Logged, Projection,
    command_status::{CommandStatus, CommandStatusRow},
};
use schemas::{CommandMessage, DecisionMessage, EventMessage, Verdict};
use uuid::Uuid;

use super::history::{Conclusion, History};

/// What is known of a command.
#[derive(Default)]
pub(super) struct Fate {
    /// Its first offset in the command log.
    pub(super) asked: Option<i64>,
    pub(super) aggregate: Uuid,
    pub(super) decisions: u32,
    pub(super) events: u32,
    /// Its row in the read model, as the log makes it.
    pub(super) row: Option<CommandStatusRow>,
    /// What it said, until it is decided again.
    wish: Option<Box<CommandMessage>>,
    /// The events that deciding again gave and the log has not shown yet.
    expected: VecDeque<Event>,
    last_version: i64,
    fault: Option<&'static str>,
}

impl Fate {
    /// It was asked for; asked again, it is the same command.
    pub(super) fn ask(&mut self, offset: i64, aggregate: Uuid, wish: Option<CommandMessage>) {
        if self.asked.is_none() {
            (self.asked, self.aggregate) = (Some(offset), aggregate);
            self.wish = wish.map(Box::new);
        }
    }

    pub(super) fn take_decision(&mut self, logged: &Logged, aggregate: Uuid) {
        self.decisions += 1;
        self.row = CommandStatus::apply(self.row.take(), logged).ok();
        if self.asked.is_some() && self.aggregate != aggregate {
            self.fault = Some("was decided for another aggregate");
        }
    }

    pub(super) fn take_event(&mut self, logged: &Logged, aggregate: Uuid, version: i64) {
        if self.asked.is_some() && self.aggregate != aggregate {
            self.fault = Some("has an event of another aggregate");
        }
        if self.events > 0 && version != self.last_version + 1 {
            self.fault = Some("has events that do not follow each other");
        }
        self.events += 1;
        self.last_version = version;
        self.row = CommandStatus::apply(self.row.take(), logged).ok();
    }

    /// Whether deciding again, on the history before `event`, gives it; `None` if that cannot be
    /// said.
    pub(super) fn decides_again(&mut self, event: &EventMessage, before: &History) -> Option<bool> {
        if let Some(wish) = self.wish.take() {
            match before.conclude(&wish, event.time) {
                Ok(events) => self.expected = events.into(),
                Err(_) => return Some(false),
            }
        } else if self.expected.is_empty() {
            // Either its command is not in the log any more, or it shows more than was concluded.
            return (self.events > 0 && self.asked.is_some()).then_some(false);
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
        let wish = self.wish.take().filter(|_| verdict != Verdict::Undecodable)?;
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
            (None, ..) => Some("was decided and never asked for"),
            (_, 0, 0) => Some("has no decision"),
            (_, 1, 0) | (_, 0, 1..) => self.fault,
            _ => Some("has more than one decision"),
        }
    }
}
