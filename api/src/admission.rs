//! Which commands are let into the log, and when. The log is a queue in which everybody stands
//! behind everybody: so it is kept short, whoever cannot enter it waits here, by mall, and whoever
//! is too many is refused before a body is read.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use consumers::{log::Position, shutdown::Shutdown, telemetry};
use domain::MallId;
use metrics::gauge;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    auth::{Caller, Keys},
    problem::ApiError,
    waiters::Waiter,
};

mod backlog;
mod fair;
mod gate;
mod window;

use gate::{Arrival, Gate};

/// How long a request waits to append.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an undecided command is watched once nobody waits for it.
const WATCHED: Duration = Duration::from_secs(30);
/// How often it is seen who may enter because of time alone.
const LOOK: Duration = Duration::from_millis(20);

/// Lets commands in; the same for every request.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Mutex<Gate<oneshot::Sender<Place>>>>);

/// A merchant's request that may append a command.
pub(crate) struct Admitted {
    /// Who asks.
    pub caller: Caller,
    /// Where the command counts until it is decided.
    pub place: Place,
}

/// The place of one command, given back when dropped.
pub(crate) struct Place {
    /// None once it is given back.
    admission: Option<Admission>,
    mall: MallId,
    sent: Instant,
    at: Option<Position>,
}

impl Admission {
    /// `target` is how long a command may wait for others in the log.
    pub(crate) fn new(target: Duration) -> Self {
        Self(Arc::new(Mutex::new(Gate::new(target, Instant::now()))))
    }

    /// Waits for a place, if there is one to wait for.
    async fn enter(&self, mall: &MallId) -> Result<Place, ApiError> {
        let (tell, told) = oneshot::channel();
        let arrival = self.lock().arrive(mall, tell, Instant::now());
        match arrival {
            Arrival::Admitted => Ok(self.place(mall.clone())),
            Arrival::Waits => match timeout(PATIENCE, told).await {
                Ok(Ok(place)) => Ok(place),
                _ => Err(ApiError::Overloaded),
            },
            Arrival::OverShare => Err(ApiError::OverShare),
            Arrival::Overloaded => Err(ApiError::Overloaded),
        }
    }

    fn place(&self, mall: MallId) -> Place {
        Place { admission: Some(self.clone()), mall, sent: Instant::now(), at: None }
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

impl Place {
    /// The command goes into the log now.
    pub(crate) fn sends(&mut self) {
        self.sent = Instant::now();
    }

    /// It stands there.
    pub(crate) fn appended(&mut self, at: Position) {
        if let Some(admission) = &self.admission {
            admission.lock().appended(at.partition, at.offset, Instant::now());
            self.at = Some(at);
        }
    }

    /// It is decided; `alone` where no other copy of it is waited for, whose decision it may be.
    pub(crate) fn decided(self, alone: bool) {
        if let (Some(admission), Some(at)) = (&self.admission, self.at) {
            let (took, now) = (self.sent.elapsed(), Instant::now());
            let mut gate = admission.lock();
            match alone {
                true => gate.decided(at.partition, at.offset, took, now),
                false => gate.answered(at.partition, at.offset),
            }
        }
    }

    /// It counts until it is decided, although nobody waits for that.
    pub(crate) fn watch(self, mut waiter: Waiter) {
        tokio::spawn(async move {
            if waiter.outcome(WATCHED).await.is_some() {
                self.decided(waiter.is_alone());
            }
        });
    }

    fn give_back(&mut self) -> Option<Admission> {
        let admission = self.admission.take()?;
        admission.lock().leave(&self.mall, self.at.is_some());
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

impl<S> FromRequestParts<S> for Admitted
where
    S: Send + Sync,
    Keys: FromRef<S>,
    Admission: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let place = Admission::from_ref(state).enter(&caller.mall).await?;
        Ok(Self { caller, place })
    }
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}
