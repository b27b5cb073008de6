//! The wish to stop, as every thread and task sees it.

use std::{
    process,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// Whether to stop. Clones see the same wish.
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// Asks the holders of a [`Shutdown`] to stop; to drop it asks as well.
#[derive(Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

/// A shutdown that SIGTERM or SIGINT asks for. A second signal ends the process at once.
///
/// # Errors
/// When no handler can be installed.
pub fn shutdown_signal() -> anyhow::Result<Shutdown> {
    let (stop, shutdown) = Shutdown::pair();
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _entered = runtime.enter();
        [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?]
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            either(&mut signals).await;
            tracing::info!("asked to stop; once more ends the process at once");
            stop.stop();
            either(&mut signals).await;
            leave_at_once();
        });
    })?;
    Ok(shutdown)
}

#[expect(clippy::disallowed_methods, reason = "whoever asks twice does not want to wait")]
fn leave_at_once() {
    process::exit(130);
}

async fn either([terminate, interrupt]: &mut [Signal; 2]) {
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
}

impl Shutdown {
    /// A shutdown to ask for by hand.
    pub fn pair() -> (Stop, Self) {
        let (sender, receiver) = watch::channel(false);
        (Stop(Arc::new(sender)), Self(receiver))
    }

    /// Whether to stop. Cheap enough for every turn of a loop.
    pub fn requested(&self) -> bool {
        // A sender that is gone can never ask, so its going counts as asking.
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Sleeps on a thread of its own; wakes early when a stop is asked for.
    pub fn sleep(&self, duration: Duration) {
        let end = Instant::now() + duration;
        while !self.requested() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            pause(left.min(Duration::from_millis(50)));
        }
    }

    /// Waits until a stop is asked for.
    pub async fn wait(&self) {
        let _ = self.0.clone().wait_for(|stop| *stop).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the pause itself, in slices that see a stop")]
fn pause(time: Duration) {
    thread::sleep(time);
}

impl Stop {
    /// Asks.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_reaches_threads_and_tasks() {
        let (stop, shutdown) = Shutdown::pair();
        assert!(!shutdown.requested());
        let seen = shutdown.clone();
        let thread = std::thread::spawn(move || while !seen.requested() {});
        stop.stop();
        shutdown.wait().await;
        thread.join().unwrap();
    }

    #[tokio::test]
    async fn a_dropped_stop_asks_too() {
        let (stop, shutdown) = Shutdown::pair();
        drop(stop);
        shutdown.wait().await;
        assert!(shutdown.requested());
    }
}
