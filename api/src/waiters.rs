//! Requests that wait for the outcome of their command.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use consumers::telemetry;
use dashmap::DashMap;
use domain::CommandId;
use metrics::{counter, gauge};
use schemas::{Outcome, Verdict};
use tokio::sync::oneshot;

/// Who waits, by command: several requests may wait for one.
#[derive(Clone, Default)]
pub(crate) struct Waiters(Arc<Waiting>);

#[derive(Default)]
struct Waiting {
    numbers: AtomicU64,
    requests: DashMap<CommandId, Vec<Request>>,
}

struct Request {
    number: u64,
    body_hash: String,
    tell: oneshot::Sender<Told>,
}

/// A request's place in the queue. It is given up when dropped, so that a caller who went away
/// leaves nothing behind.
pub(crate) struct Waiter {
    waiting: Arc<Waiting>,
    command: CommandId,
    number: u64,
    told: oneshot::Receiver<Told>,
    is_alone: bool,
}

/// An outcome, and whether it went to one request only.
struct Told {
    outcome: Outcome,
    is_alone: bool,
}

impl Waiters {
    /// Begins to wait. This must come before the command is appended, or its outcome may be missed.
    pub(crate) fn register(&self, command: CommandId, body_hash: &str) -> Waiter {
        let number = self.0.numbers.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        let request = Request { number, body_hash: body_hash.to_owned(), tell };
        self.0.requests.entry(command).or_default().push(request);
        gauge!(telemetry::WAITERS).increment(1.0);
        Waiter { waiting: self.0.clone(), command, number, told, is_alone: true }
    }

    /// Tells an outcome to every request that it answers.
    pub(crate) fn wake(&self, outcome: &Outcome) {
        let mut awaited = false;
        if let Some(mut requests) = self.0.requests.get_mut(&outcome.command_id) {
            let is_alone = requests.len() == 1;
            for request in requests.extract_if(.., |request| answers(outcome, &request.body_hash)) {
                let told = Told { outcome: outcome.clone(), is_alone };
                awaited |= request.tell.send(told).is_ok();
            }
        }
        let result = if awaited { "awaited" } else { "unawaited" };
        counter!(telemetry::OUTCOMES, "result" => result).increment(1);
    }
}

/// That a key was used before answers the request that used it again, and not the first one, which
/// waits under the same command id.
fn answers(outcome: &Outcome, body_hash: &str) -> bool {
    outcome.verdict != Verdict::KeyReused || outcome.body_hash == body_hash
}

impl Waiter {
    /// The outcome, if it comes within `patience`.
    pub(crate) async fn outcome(&mut self, patience: Duration) -> Option<Outcome> {
        let told = tokio::time::timeout(patience, &mut self.told).await.ok()?.ok()?;
        self.is_alone = told.is_alone;
        Some(told.outcome)
    }

    /// Whether the outcome is that of the record that this request appended: several requests for
    /// one command appended several, and the first one decided answers all.
    pub(crate) fn is_alone(&self) -> bool {
        self.is_alone
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(mut requests) = self.waiting.requests.get_mut(&self.command) {
            requests.retain(|request| request.number != self.number);
        }
        self.waiting.requests.remove_if(&self.command, |_, requests| requests.is_empty());
        gauge!(telemetry::WAITERS).decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    fn outcome(verdict: Verdict, body_hash: &str) -> Outcome {
        Outcome {
            command_id: CommandId(uuid::Uuid::nil()),
            aggregate_id: String::new(),
            body_hash: body_hash.to_owned(),
            verdict,
            code: None,
            detail: None,
            version: 1,
            partition: 0,
            offset: 0,
        }
    }

    #[tokio::test]
    async fn one_outcome_wakes_every_request_of_its_command() {
        let (waiters, command) = (Waiters::default(), CommandId(uuid::Uuid::nil()));
        let [mut one, mut two] = [(); 2].map(|()| waiters.register(command, "a"));
        let mut other = waiters.register(CommandId(uuid::Uuid::max()), "a");
        waiters.wake(&outcome(Verdict::Accepted, "a"));
        assert!(one.outcome(SOON).await.is_some());
        assert!(two.outcome(SOON).await.is_some());
        assert!(other.outcome(SOON).await.is_none());
        assert!(!one.is_alone() && !two.is_alone() && other.is_alone());
        drop((one, two, other));
        assert!(waiters.0.requests.is_empty());
    }

    #[tokio::test]
    async fn a_reused_key_is_told_to_whom_it_concerns() {
        let (waiters, command) = (Waiters::default(), CommandId(uuid::Uuid::nil()));
        let [mut first, mut second] = ["a", "b"].map(|body| waiters.register(command, body));
        waiters.wake(&outcome(Verdict::KeyReused, "b"));
        let told = second.outcome(SOON).await.map(|outcome| outcome.verdict);
        assert_eq!(told, Some(Verdict::KeyReused));
        waiters.wake(&outcome(Verdict::Accepted, "a"));
        let told = first.outcome(SOON).await.map(|outcome| outcome.verdict);
        assert_eq!(told, Some(Verdict::Accepted));
    }

    #[tokio::test]
    async fn whoever_goes_away_leaves_nothing_behind() {
        let (waiters, command) = (Waiters::default(), CommandId(uuid::Uuid::nil()));
        drop(waiters.register(command, "a"));
        assert!(waiters.0.requests.is_empty());
        waiters.wake(&outcome(Verdict::Accepted, "a"));
    }
}
