//! The lines of one request on their way into the log, and the answers on their way out.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use consumers::log::AppendError;
use domain::CommandId;
use http_body::Frame;
use schemas::{CommandMessage, Lane, Outcome};
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};

use super::{
    BulkAnswer, Place,
    line::{in_data, read},
    turns::{Turn, Turns},
};
use crate::{
    app::Shared,
    auth::Caller,
    courtesy::{Shown, unknown_references},
    headers::Call,
    problem::ApiError,
    submit::{Answer, conclude, first_decisions, message, not_appended, pending},
};

/// Lines that are looked up together.
const PIECE: usize = 250;
/// Commands of one request that are in the log and not yet answered.
const IN_FLIGHT: usize = 1000;
/// How long one command, and how long a whole request, waits for decisions.
const WAIT: Duration = Duration::from_secs(15);
const WAIT_IN_ALL: Duration = Duration::from_secs(60);

/// Who asks, and how.
pub(super) struct Asked {
    pub(super) caller: Caller,
    pub(super) call: Call,
    /// Whether decisions are waited for.
    pub(super) wait: bool,
}

/// One request.
struct Request {
    app: Shared,
    asked: Asked,
    /// Without a bound of its own: it holds no more answers than a request has lines, and so a
    /// caller that reads none before it has sent all keeps nobody waiting.
    answers: mpsc::UnboundedSender<Bytes>,
    in_flight: Arc<Semaphore>,
    deadline: Instant,
    /// Given back when the last line is answered.
    _place: Place,
}

/// A line that may go into the log.
struct Ready {
    line: usize,
    message: CommandMessage,
}

/// Begins with the lines of `text`, and returns the answers as they come.
pub(super) fn answers(app: Shared, asked: Asked, text: Vec<u8>, place: Place) -> Body {
    let (answers, told) = mpsc::unbounded_channel();
    let request = Arc::new(Request {
        app,
        asked,
        answers,
        in_flight: Arc::new(Semaphore::new(IN_FLIGHT)),
        deadline: Instant::now() + WAIT_IN_ALL,
        _place: place,
    });
    tokio::spawn(request.take(text));
    Body::new(Told(told))
}

impl Request {
    async fn take(self: Arc<Self>, text: Vec<u8>) {
        let lines: Vec<(usize, &[u8])> = (1..)
            .zip(text.split(|byte| *byte == b'\n'))
            .filter(|(_, line)| !line.trim_ascii().is_empty())
            .collect();
        let (mut shown, mut turns) = (Shown::default(), Turns::default());
        for piece in lines.chunks(PIECE) {
            // Whoever went away sends the rest again; what is in the log is decided all the same.
            if self.answers.is_closed() {
                return;
            }
            if self.app.shutdown.requested() {
                piece.iter().for_each(|(line, _)| self.tell(*line, Err(ApiError::TimedOut)));
                continue;
            }
            self.take_piece(piece, &mut shown, &mut turns).await;
        }
    }

    async fn take_piece(
        self: &Arc<Self>,
        piece: &[(usize, &[u8])],
        shown: &mut Shown,
        turns: &mut Turns,
    ) {
        let mut ready = Vec::with_capacity(piece.len());
        for (line, text) in piece {
            let reply = self.asked.wait.then_some(self.app.reply_partition);
            match read(&self.app.shapes, &self.asked, text) {
                Ok(ask) => {
                    let message = message(ask, reply);
                    shown.announce(&message);
                    ready.push(Ready { line: *line, message });
                }
                Err(error) => self.tell(*line, Err(error)),
            }
            // Others are served between two lines.
            tokio::task::yield_now().await;
        }
        let ready = self.without_decided(ready).await;
        for ready in self.without_refused(ready, shown).await {
            // Once there is room, in the order of the lines: whoever waits for a turn waits for
            // one that has room already.
            let Ok(room) = self.in_flight.clone().acquire_owned().await else { return };
            let turn = turns.of(ready.message.origin.aggregate);
            let request = self.clone();
            tokio::spawn(async move {
                let _room = room;
                let line = ready.line;
                let answer = request.send(ready.message, turn).await;
                request.tell(line, answer);
            });
        }
    }

    /// Answers those that were decided before.
    async fn without_decided(&self, ready: Vec<Ready>) -> Vec<Ready> {
        let ids = ready.iter().map(|ready| ready.message.origin.command);
        let ids: Vec<CommandId> = ids.filter(|id| id.may_be_sent_again()).collect();
        let firsts = first_decisions(&self.app, &self.asked.caller.mall, &ids).await;
        let firsts: HashMap<CommandId, Outcome> =
            firsts.into_iter().map(|first| (first.command_id, first)).collect();
        let mut rest = vec![];
        for ready in ready {
            match firsts.get(&ready.message.origin.command) {
                Some(first) => {
                    let answer = conclude(&ready.message, first.clone());
                    self.write(&BulkAnswer {
                        repeated: true,
                        ..BulkAnswer::of(ready.line, answer)
                    });
                }
                None => rest.push(ready),
            }
        }
        rest
    }

    /// Answers those that name what is not there.
    async fn without_refused(&self, ready: Vec<Ready>, shown: &mut Shown) -> Vec<Ready> {
        let messages: Vec<&CommandMessage> = ready.iter().map(|ready| &ready.message).collect();
        let faults = unknown_references(&self.app, &messages, shown).await;
        let (mut rest, mut refused, mut why) = (vec![], vec![], HashMap::new());
        for (ready, faults) in ready.into_iter().zip(faults) {
            if faults.is_empty() {
                rest.push(ready);
            } else {
                why.insert(ready.line, faults.into_iter().map(in_data).collect());
                refused.push(ready);
            }
        }
        // They may have been decided when what they name was still in use.
        for ready in self.without_decided(refused).await {
            let faults = why.remove(&ready.line).unwrap_or_default();
            self.tell(ready.line, Err(ApiError::UnknownReference(faults)));
        }
        rest
    }

    /// Sends a command when it is its turn, and waits for its decision.
    async fn send(&self, message: CommandMessage, mut turn: Turn) -> Result<Answer, ApiError> {
        let origin = &message.origin;
        if !turn.comes().await {
            return Err(ApiError::LogUnavailable(origin.command));
        }
        // Registered before it is sent: afterwards the outcome may already have passed.
        let wait = self.asked.wait;
        let waiter = wait.then(|| self.app.waiters.register(origin.command, &origin.body_hash));
        let appended = self.app.log.append(Lane::Bulk, &message).await;
        // What is refused for good keeps nothing from following.
        if !matches!(appended, Err(AppendError::TimedOut | AppendError::Unavailable(_))) {
            turn.pass();
        }
        let position = appended.map_err(|error| not_appended(origin.command, error))?;
        let outcome = match waiter {
            Some(mut waiter) => waiter.outcome(self.patience()).await,
            None => None,
        };
        match outcome {
            Some(outcome) => conclude(&message, outcome),
            None => Ok(pending(origin, position)),
        }
    }

    fn patience(&self) -> Duration {
        WAIT.min(self.deadline.saturating_duration_since(Instant::now()))
    }

    fn tell(&self, line: usize, answer: Result<Answer, ApiError>) {
        self.write(&BulkAnswer::of(line, answer));
    }

    fn write(&self, answer: &BulkAnswer) {
        let mut text = serde_json::to_vec(answer).unwrap_or_default();
        text.push(b'\n');
        // Nobody reads any more: the task that sends sees it too.
        let _ = self.answers.send(Bytes::from(text));
    }
}

/// The answers as the body of a response.
struct Told(mpsc::UnboundedReceiver<Bytes>);

impl HttpBody for Told {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.0.poll_recv(cx).map(|told| told.map(|text| Ok(Frame::data(text))))
    }
}
