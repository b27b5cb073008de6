//! Which commands are let into the log, and when. The log is a queue in which everybody stands
//! behind everybody: so it is kept short, whoever cannot enter it waits here, by mall, and whoever
//! is too many is refused before a body is read.
//!
//! A request arrives, is read and looked up, enters when it may, and has its place until its
//! command is decided.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{
        HeaderMap,
        header::{CONTENT_LENGTH, TRANSFER_ENCODING},
        request::Parts,
    },
};
use consumers::{log::Position, shutdown::Shutdown, telemetry};
use domain::MallId;
use metrics::gauge;
use schemas::topic::{PARTITIONS, partition_of};
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

use crate::{
    auth::{Caller, Keys},
    body,
    problem::ApiError,
    waiters::Waiter,
};

mod backlog;
mod fair;
mod gate;
mod window;

use gate::{Gate, Refusal};
use window::Sent;

/// How long a request waits to append.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an undecided command is watched once nobody waits for it.
const WATCHED: Duration = Duration::from_secs(30);
/// How often it is seen who may enter because of time alone.
const LOOK: Duration = Duration::from_millis(20);

/// Lets commands in; the same for every request.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Mutex<Gate<oneshot::Sender<Place>>>>);

/// A merchant's request that may be read, to append a command.
pub(crate) struct Arrived {
    /// Who asks.
    pub caller: Caller,
    /// Its way to the log.
    pub entry: Entry,
}

/// The right to wait for a place.
pub(crate) struct Entry {
    coming: Coming,
    body: Held,
}

/// A request that has no place yet.
struct Coming {
    admission: Admission,
    mall: MallId,
}

/// The room that a body takes until it is needed no longer.
struct Held {
    admission: Admission,
    mall: MallId,
    bytes: usize,
}

/// The place of one command, given back when dropped.
pub(crate) struct Place {
    /// None once it is given back.
    admission: Option<Admission>,
    mall: MallId,
    /// When the command was sent, and how it stood then.
    sent: (Instant, Sent),
    at: Option<Position>,
    /// None once nobody waits for the decision.
    body: Option<Held>,
}

impl Admission {
    /// `target` is how long a command may wait for others in the log.
    pub(crate) fn new(target: Duration) -> Self {
        Self(Arc::new(Mutex::new(Gate::new(target, Instant::now()))))
    }

    fn arrive(&self, mall: &MallId, bytes: usize) -> Result<Entry, ApiError> {
        match self.lock().arrive(mall, bytes, Instant::now()) {
            Ok(()) => {
                let (admission, mall) = (self.clone(), mall.clone());
                let body = Held { admission: admission.clone(), mall: mall.clone(), bytes };
                Ok(Entry { coming: Coming { admission, mall }, body })
            }
            Err(Refusal::OverShare) => Err(ApiError::OverShare),
            Err(Refusal::Overloaded) => Err(ApiError::Overloaded),
        }
    }

    fn place(&self, mall: MallId) -> Place {
        let sent = (Instant::now(), Sent::default());
        Place { admission: Some(self.clone()), mall, sent, at: None, body: None }
    }

    /// Tells those who may enter now. One that has gone away meanwhile gives its place back.
    fn call_next(&self) {
        loop {
            let next = self.lock().next(Instant::now());
            let Some((mall, waits)) = next else { return };
            if let Err(mut place) = waits.send(self.place(mall)) {
                place.give_back();
            }
        }
    }

    /// Keeps time for whoever waits, until the shutdown.
    pub(crate) async fn keep_time(self, shutdown: Shutdown) {
        let mut beat = tokio::time::interval(LOOK);
        let stop = shutdown.wait();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                _ = beat.tick() => {}
                () = &mut stop => return,
            }
            let (size, undecided) = {
                let mut gate = self.lock();
                gate.turn(Instant::now(), |waits| !waits.is_closed());
                (gate.size(), gate.in_all())
            };
            gauge!(telemetry::COMMANDS_UNDECIDED).set(count(undecided));
            gauge!(telemetry::COMMANDS_WINDOW).set(count(size));
            self.call_next();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gate<oneshot::Sender<Place>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Waits for the place of a command to an aggregate.
    ///
    /// # Errors
    /// When it takes too long, or the aggregate's partition has no owner, and as much to decide as
    /// it may be left with.
    pub(crate) async fn enter(self, aggregate: Uuid) -> Result<Place, ApiError> {
        let Self { coming, body } = self;
        let Coming { admission, mall } = &coming;
        let (tell, told) = oneshot::channel();
        let mut place = if admission.lock().enter(mall, tell, Instant::now()) {
            admission.place(mall.clone())
        } else {
            timeout(PATIENCE, told).await.ok().and_then(Result::ok).ok_or(ApiError::Overloaded)?
        };
        let partition = partition_of(&aggregate.to_string(), PARTITIONS);
        if admission.lock().is_full(mall, partition, Instant::now()) {
            return Err(ApiError::Overloaded);
        }
        place.body = Some(body);
        Ok(place)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.admission.lock().comes_no_more(&self.mall);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.admission.lock().let_go(&self.mall, self.bytes);
    }
}

impl Place {
    /// The command goes into the log now.
    pub(crate) fn sends(&mut self) {
        if let Some(admission) = &self.admission {
            let now = Instant::now();
            self.sent = (now, admission.lock().sends(now));
        }
    }

    /// It stands there.
    pub(crate) fn appended(&mut self, at: Position) {
        if let Some(admission) = &self.admission {
            admission.lock().appended(&self.mall, at.partition, at.offset, Instant::now());
            self.at = Some(at);
        }
    }

    /// It is decided; `alone` where no other copy of it is waited for, whose decision it may be.
    pub(crate) fn decided(self, alone: bool) {
        if let (Some(admission), Some(at)) = (&self.admission, self.at) {
            let ((sent, how), now) = (self.sent, Instant::now());
            let mut gate = admission.lock();
            match alone {
                true => gate.decided(at.partition, at.offset, (now - sent, how), now),
                false => gate.answered(at.partition, at.offset, now),
            }
        }
    }

    /// It counts until it is decided, although nobody waits for that.
    pub(crate) fn watch(mut self, mut waiter: Waiter) {
        self.body = None;
        tokio::spawn(async move {
            if waiter.outcome(WATCHED).await.is_some() {
                self.decided(waiter.is_alone());
            }
        });
    }

    fn give_back(&mut self) -> Option<Admission> {
        let admission = self.admission.take()?;
        admission.lock().leave(&self.mall, self.at.map(|at| at.partition));
        Some(admission)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(admission) = self.give_back() {
            admission.call_next();
        }
    }
}

impl<S> FromRequestParts<S> for Arrived
where
    S: Send + Sync,
    Keys: FromRef<S>,
    Admission: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let entry = Admission::from_ref(state).arrive(&caller.mall, expected(&parts.headers))?;
        Ok(Self { caller, entry })
    }
}

/// How many bytes of body follow: none where nothing says so (RFC 9112, 6.3), and the most that may
/// where it is not said how many.
fn expected(headers: &HeaderMap) -> usize {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let unsaid = if headers.contains_key(TRANSFER_ENCODING) { body::LIMIT } else { 0 };
    length.and_then(|length| length.parse().ok()).unwrap_or(unsaid).min(body::LIMIT)
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}
