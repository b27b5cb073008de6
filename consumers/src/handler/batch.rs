//! Deciding a batch of commands on an overlay of what is known, so that an aborted transaction
//! leaves nothing to undo.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context as _;
use domain::{Aggregate as _, CommandId, Timestamp, catalog};
use schemas::{
    CATALOG, Codec, CommandMessage, DEAD_LETTERS, Decision, DecisionMessage, EventMessage, Headers,
    Origin, Outcome, Records, Verdict,
};
use uuid::Uuid;

use super::{
    dead_letter::dead_letter,
    partition::{Decided, Entry, Partition, Stands},
    refused::{Refused, shortened},
    wish::{Content, Undecodable, Wish},
};
use crate::{log::Outgoing, telemetry};

/// What is said where the group's offsets stand behind what was decided.
pub(super) const GONE_BACK: &str = "the group's offsets have gone back; nothing is decided again";

/// The partitions that a worker owns.
pub(super) type Owned = BTreeMap<i32, Partition>;

/// What a batch concludes, not yet true.
pub(super) struct Batch<'a> {
    codec: &'a Codec,
    owned: &'a mut Owned,
    at: Timestamp,
    states: HashMap<Uuid, Draft<Entry>>,
    decided: HashMap<CommandId, Draft<Decided>>,
    replies: Vec<Draft<Reply>>,
    /// What has to be written for it to become true.
    pub(super) records: Vec<Outgoing>,
}

/// A value that depends on the offset that record `last` of the batch will get.
#[derive(Clone)]
struct Draft<T> {
    partition: i32,
    value: T,
    last: Option<usize>,
}

/// An outcome and where somebody waits for it.
#[derive(Clone)]
pub(super) struct Reply {
    pub(super) partition: i32,
    pub(super) outcome: Outcome,
}

impl<'a> Batch<'a> {
    /// An empty batch, decided at `at`.
    pub(super) fn new(codec: &'a Codec, owned: &'a mut Owned, at: Timestamp) -> Self {
        Self {
            codec,
            owned,
            at,
            states: HashMap::new(),
            decided: HashMap::new(),
            replies: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Concludes what follows from one wish; wishes of a partition come in the order of the log.
    ///
    /// # Errors
    /// When a conclusion cannot be encoded, or a state was not loaded.
    pub(super) fn decide(&mut self, wish: &Wish) -> anyhow::Result<()> {
        match &wish.content {
            Content::Command(command) => self.command(wish.partition, command),
            Content::Undecodable(record) => self.undecodable(wish, record),
        }
    }

    fn command(&mut self, partition: i32, command: &CommandMessage) -> anyhow::Result<()> {
        let origin = &command.origin;
        if let Some(first) = self.first_decision(partition, origin.command) {
            self.look_back(partition, origin.command);
            self.repeat(partition, command, &first);
            return Ok(());
        }
        let before = self.state(partition, origin.aggregate)?;
        // To another mall the aggregate does not exist, whatever the command.
        if before.value.mall.as_ref().is_some_and(|mall| *mall != origin.mall) {
            let absent = Draft { partition, value: Entry::absent(), last: None };
            let refused = Refused::rejected(&command.body.not_found());
            return self.refuse(partition, command, &absent, refused);
        }
        match self.conclude(command, &before.value) {
            Ok(events) if !events.is_empty() => self.accept(command, before, events),
            Ok(_) => self.refuse(partition, command, &before, Refused::unchanged()),
            Err(refused) => self.refuse(partition, command, &before, refused),
        }
    }

    /// A command whose id is not derived is sent once. If it was decided before, the log was not read
    /// on where the last decision ended.
    fn look_back(&mut self, partition: i32, command: CommandId) {
        if command.may_be_sent_again() {
            return;
        }
        metrics::counter!(telemetry::DECIDED_BEFORE).increment(1);
        if self.owned.get_mut(&partition).is_some_and(Partition::goes_back) {
            tracing::error!(partition, %command, "{GONE_BACK}");
        }
    }

    /// The decision that this command got when it came first, in this batch or earlier.
    fn first_decision(&self, partition: i32, command: CommandId) -> Option<Draft<Decided>> {
        if let Some(draft) = self.decided.get(&command) {
            return Some(draft.clone());
        }
        let value = self.owned.get(&partition)?.decision(command)?.clone();
        Some(Draft { partition, value, last: None })
    }

    /// An aggregate that was not loaded is a fault of ours, never taken for one that is absent.
    fn state(&mut self, partition: i32, aggregate: Uuid) -> anyhow::Result<Draft<Entry>> {
        if let Some(draft) = self.states.get(&aggregate) {
            return Ok(draft.clone());
        }
        let known = self.owned.get_mut(&partition).and_then(|owned| owned.entry(aggregate));
        let value = known.cloned().with_context(|| format!("{aggregate} was not loaded"))?;
        Ok(Draft { partition, value, last: None })
    }

    fn conclude(
        &self,
        command: &CommandMessage,
        before: &Entry,
    ) -> Result<Vec<catalog::Event>, Refused> {
        let aggregate = command.origin.aggregate;
        let decided = before.state.decide(aggregate, &command.body, self.at);
        // What does not exist has no version to be compared with: like what another mall has.
        let absent = before.version == 0 && decided.is_err();
        if !absent && command.expected_version.is_some_and(|expected| expected != before.version) {
            return Err(Refused::version_conflict(before.version));
        }
        decided.map_err(|rejection| Refused::rejected(&rejection))
    }

    fn accept(
        &mut self,
        command: &CommandMessage,
        mut draft: Draft<Entry>,
        events: Vec<catalog::Event>,
    ) -> anyhow::Result<()> {
        let partition = draft.partition;
        for body in events {
            let version = draft.value.version + 1;
            let origin = next_step(&command.origin, version);
            let observed_at = command.body.observed_at();
            let event = EventMessage { origin, version, time: self.at, observed_at, body };
            let payload = event.body.encode(self.codec)?;
            let headers = event.headers(&CATALOG.events);
            let topic = CATALOG.events.name;
            self.write(topic, partition, &event.origin.aggregate, payload, headers);
            draft.value.take(&event, -1);
        }
        draft.last = Some(self.records.len() - 1);
        let version = draft.value.version;
        let decided = decided(command, Verdict::Accepted, version, Stands::Events(-1));
        self.states.insert(command.origin.aggregate, draft.clone());
        self.remember(partition, command, decided, draft.last);
        Ok(())
    }

    fn refuse(
        &mut self,
        partition: i32,
        command: &CommandMessage,
        before: &Draft<Entry>,
        refused: Refused,
    ) -> anyhow::Result<()> {
        let version = before.value.version;
        let mut decided = decided(command, refused.verdict, version, Stands::Decisions(-1));
        decided.last_event = before.value.last_event;
        decided.code = refused.code;
        decided.detail = refused.detail;
        self.write_decision(partition, &command.origin, &decided)?;
        if let Some(code) = &decided.code {
            metrics::counter!(telemetry::REJECTIONS, "code" => code.clone()).increment(1);
        }
        let stands = Some(self.records.len() - 1);
        self.reply(partition, command, &decided, before.last);
        self.decided
            .insert(command.origin.command, Draft { partition, value: decided, last: stands });
        Ok(())
    }

    fn undecodable(&mut self, wish: &Wish, record: &Undecodable) -> anyhow::Result<()> {
        let origin = record.origin.as_ref();
        let first = origin.and_then(|of| self.first_decision(wish.partition, of.command));
        if let Some((origin, first)) = origin.zip(first.as_ref()) {
            self.look_back(wish.partition, origin.command);
            self.tell(wish.partition, origin, record.reply_partition, &first.value);
            // The same record again: it is kept where it was found first.
            if first.value.body_hash == origin.body_hash {
                return Ok(());
            }
        }
        tracing::error!(
            partition = wish.partition,
            offset = wish.offset,
            why = record.why,
            "undecodable command"
        );
        self.records.push(dead_letter(wish, record));
        let Some(origin) = origin.filter(|_| first.is_none()) else { return Ok(()) };
        let decided = Decided {
            body_hash: origin.body_hash.clone(),
            verdict: Verdict::Undecodable,
            code: Some("UNDECODABLE".to_owned()),
            detail: Some(shortened(record.why.clone())),
            version: 0,
            last_event: -1,
            stands: Stands::Decisions(-1),
        };
        self.write_decision(wish.partition, origin, &decided)?;
        let stands = Some(self.records.len() - 1);
        self.tell(wish.partition, origin, record.reply_partition, &decided);
        let draft = Draft { partition: wish.partition, value: decided, last: stands };
        self.decided.insert(origin.command, draft);
        Ok(())
    }

    fn tell(
        &mut self,
        partition: i32,
        origin: &Origin,
        reply_partition: Option<i32>,
        decided: &Decided,
    ) {
        if let Some(to) = reply_partition {
            let outcome = outcome(origin, partition, decided, &decided.body_hash);
            let value = Reply { partition: to, outcome };
            self.replies.push(Draft { partition, value, last: None });
        }
    }

    fn remember(
        &mut self,
        partition: i32,
        command: &CommandMessage,
        decided: Decided,
        last: Option<usize>,
    ) {
        self.reply(partition, command, &decided, last);
        self.decided.insert(command.origin.command, Draft { partition, value: decided, last });
    }

    /// Answers a retry with the first decision; under the same key, another body is refused.
    fn repeat(&mut self, partition: i32, command: &CommandMessage, first: &Draft<Decided>) {
        let events = matches!(first.value.stands, Stands::Events(_));
        if first.value.body_hash == command.origin.body_hash {
            let last = if events { first.last } else { None };
            return self.reply(partition, command, &first.value, last);
        }
        let stands = first.value.stands;
        let mut other = decided(command, Verdict::KeyReused, first.value.version, stands);
        other.code = Some("KEY_REUSED".to_owned());
        self.reply(partition, command, &other, None);
    }

    fn reply(
        &mut self,
        partition: i32,
        command: &CommandMessage,
        decided: &Decided,
        last: Option<usize>,
    ) {
        metrics::counter!(telemetry::DECISIONS, "verdict" => decided.verdict.as_str()).increment(1);
        if let Some(reply_partition) = command.reply_partition {
            let body_hash = &command.origin.body_hash;
            let outcome = outcome(&command.origin, partition, decided, body_hash);
            let value = Reply { partition: reply_partition, outcome };
            self.replies.push(Draft { partition, value, last });
        }
    }

    fn write_decision(
        &mut self,
        partition: i32,
        origin: &Origin,
        decided: &Decided,
    ) -> anyhow::Result<()> {
        let body = Decision {
            verdict: decided.verdict,
            code: decided.code.clone(),
            detail: decided.detail.clone(),
            version: decided.version,
            last_event_offset: decided.last_event,
        };
        let decision = DecisionMessage { origin: next_step(origin, 0), time: self.at, body };
        let payload = decision.body.encode(self.codec)?;
        let headers = decision.headers(&CATALOG.decisions);
        self.write(CATALOG.decisions.name, partition, &origin.aggregate, payload, headers);
        Ok(())
    }

    fn write(
        &mut self,
        topic: &'static str,
        partition: i32,
        key: &Uuid,
        payload: Vec<u8>,
        headers: Headers,
    ) {
        let key = key.to_string().into_bytes();
        self.records.push(Outgoing { topic, partition, key, payload, headers });
    }

    /// Counts the dead letters that are written, or may be.
    pub(super) fn count_letters(&self) {
        let letters = self.records.iter().filter(|record| record.topic == DEAD_LETTERS.name);
        metrics::counter!(telemetry::DEAD_LETTERS).increment(letters.count() as u64);
    }

    /// Takes everything as true, now that the records stand at `delivered`, and returns what is
    /// to be told.
    pub(super) fn settle(self, delivered: &[i64]) -> Vec<Reply> {
        self.count_letters();
        let offset_of = |last: Option<usize>| last.and_then(|at| delivered.get(at)).copied();
        for (aggregate, mut draft) in self.states {
            draft.value.last_event = offset_of(draft.last).unwrap_or(draft.value.last_event);
            if let Some(partition) = self.owned.get_mut(&draft.partition) {
                partition.put(aggregate, draft.value);
            }
        }
        for (command, draft) in self.decided {
            let offset = offset_of(draft.last).unwrap_or(-1);
            if let Some(partition) = self.owned.get_mut(&draft.partition) {
                partition.conclude(command, draft.value.standing_at(offset));
            }
        }
        let told = |mut draft: Draft<Reply>| {
            draft.value.outcome.offset =
                offset_of(draft.last).unwrap_or(draft.value.outcome.offset);
            draft.value
        };
        self.replies.into_iter().map(told).collect()
    }
}

fn decided(command: &CommandMessage, verdict: Verdict, version: i64, stands: Stands) -> Decided {
    Decided {
        body_hash: command.origin.body_hash.clone(),
        verdict,
        code: None,
        detail: None,
        version,
        last_event: -1,
        stands,
    }
}

fn outcome(origin: &Origin, partition: i32, decided: &Decided, body_hash: &str) -> Outcome {
    Outcome {
        command_id: origin.command,
        aggregate_id: origin.aggregate.to_string(),
        body_hash: body_hash.to_owned(),
        verdict: decided.verdict,
        code: decided.code.clone(),
        detail: decided.detail.clone(),
        version: decided.version,
        partition,
        offset: decided.last_event,
    }
}

/// The origin of what follows from a command: the same, one step further in the trace.
fn next_step(origin: &Origin, version: i64) -> Origin {
    Origin { trace: origin.trace.child(version.unsigned_abs() + 1), ..origin.clone() }
}
