//! Requests at a given rate, whatever the answers do, or as many as are answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use tests::samples;
use tokio::{task::JoinSet, time::sleep_until};

use crate::{
    figures::Latencies,
    wire::{Wire, request},
};

/// Makes the request of a number, and says to which of the paths it goes.
type Make = dyn Fn(usize) -> (usize, Vec<u8>) + Send + Sync;

/// Requests to one server. Their numbers run on, so that no price comes twice in a row.
#[derive(Clone)]
pub(crate) struct Template {
    address: Arc<str>,
    make: Arc<Make>,
    next: Arc<AtomicUsize>,
}

/// How often, how long, and over how many connections.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Requests in a second.
    pub(crate) rate: f64,
    pub(crate) run: Duration,
    pub(crate) connections: usize,
}

/// What became of one request.
pub(crate) struct Answer {
    /// Which of the paths it was sent to.
    pub(crate) path: usize,
    /// When it should have been sent.
    pub(crate) due: Instant,
    /// How long after that it was answered.
    pub(crate) took: Duration,
    /// How long of that a connection was waited for.
    pub(crate) unsent: Duration,
    /// The status and the code where it was not 200.
    pub(crate) code: Option<String>,
}

/// What came of sending as many as are answered.
pub(crate) struct FlatOut {
    /// Answers of 200 in a second.
    pub(crate) rate: f64,
    pub(crate) latencies: Latencies,
    /// How many were answered otherwise.
    pub(crate) refused: usize,
}

impl Template {
    /// Price changes, to each of the paths in turn.
    pub(crate) fn reprices(base: &str, key: &str, paths: Vec<String>) -> Self {
        let (host, key) = (base.trim_start_matches("http://").to_owned(), key.to_owned());
        let lines: Vec<_> = paths.into_iter().map(|path| format!("POST {path}")).collect();
        Self::new(base, move |number| {
            let path = number % lines.len();
            let body = samples::reprice(i64::try_from(number).unwrap_or(0) + 1).to_string();
            (path, request(&host, &lines[path], &key, &body))
        })
    }

    /// Each of the requests in turn.
    pub(crate) fn given(base: &str, requests: Vec<Vec<u8>>) -> Self {
        Self::new(base, move |number| {
            let path = number % requests.len();
            (path, requests[path].clone())
        })
    }

    fn new(base: &str, make: impl Fn(usize) -> (usize, Vec<u8>) + Send + Sync + 'static) -> Self {
        let address = base.trim_start_matches("http://").trim_end_matches('/').into();
        Self { address, make: Arc::new(make), next: Arc::default() }
    }

    /// Sends requests as planned; the answers in the order in which they were due.
    pub(crate) async fn run(&self, plan: Plan) -> Result<Vec<Answer>> {
        self.run_until(plan, &Arc::default()).await
    }

    /// The same until it has ended, where that is earlier.
    pub(crate) async fn run_until(
        &self,
        plan: Plan,
        ended: &Arc<AtomicBool>,
    ) -> Result<Vec<Answer>> {
        let (begin, sent) = (Instant::now(), Arc::<AtomicUsize>::default());
        let mut connections = JoinSet::new();
        for _ in 0..plan.connections {
            let (sent, ended) = (sent.clone(), ended.clone());
            connections.spawn(self.clone().connection(plan, begin, sent, ended));
        }
        let mut answers = vec![];
        while let Some(ended) = connections.join_next().await {
            answers.append(&mut ended??);
        }
        answers.sort_by_key(|answer| answer.due);
        Ok(answers)
    }

    /// Sends whatever is due next, and never two at once.
    async fn connection(
        self,
        plan: Plan,
        begin: Instant,
        sent: Arc<AtomicUsize>,
        ended: Arc<AtomicBool>,
    ) -> Result<Vec<Answer>> {
        let (mut wire, mut answers) = (Wire::connect(&self.address).await?, vec![]);
        loop {
            let number = u32::try_from(sent.fetch_add(1, Relaxed))?;
            let due = begin + Duration::from_secs_f64(f64::from(number) / plan.rate);
            // What could not be sent in time is not sent: the rate that was is told.
            if due > begin + plan.run || begin.elapsed() > plan.run || ended.load(Relaxed) {
                return Ok(answers);
            }
            sleep_until(due.into()).await;
            let (path, request) = self.request();
            let unsent = due.elapsed();
            let code = wire.exchange(&request).await?;
            answers.push(Answer { path, due, took: due.elapsed(), unsent, code });
        }
    }

    /// As many as are answered, with a fixed number under way.
    pub(crate) async fn flat_out(&self, connections: usize, run: Duration) -> Result<FlatOut> {
        let (mut writers, begin) = (JoinSet::new(), Instant::now());
        for _ in 0..connections {
            let this = self.clone();
            writers.spawn(async move {
                let (mut wire, mut took) = (Wire::connect(&this.address).await?, vec![]);
                while begin.elapsed() < run {
                    let ((_, request), sent) = (this.request(), Instant::now());
                    let code = wire.exchange(&request).await?;
                    took.push((sent.elapsed(), code));
                }
                anyhow::Ok(took)
            });
        }
        let (mut latencies, mut refused) = (Latencies::new()?, 0);
        while let Some(took) = writers.join_next().await {
            for (took, code) in took?? {
                match code {
                    None => latencies.add(took)?,
                    Some(_) => refused += 1,
                }
            }
        }
        let rate = float(latencies.count()) / begin.elapsed().as_secs_f64();
        Ok(FlatOut { rate, latencies, refused })
    }

    /// The next one, and its path.
    fn request(&self) -> (usize, Vec<u8>) {
        (self.make)(self.next.fetch_add(1, Relaxed))
    }
}

/// The latencies of what was answered with 200.
pub(crate) fn accepted(answers: &[Answer]) -> Result<Latencies> {
    let mut latencies = Latencies::new()?;
    for answer in answers.iter().filter(|answer| answer.code.is_none()) {
        latencies.add(answer.took)?;
    }
    Ok(latencies)
}

/// A count as a figure.
pub(crate) fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::NAN, f64::from)
}
