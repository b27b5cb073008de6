//! Requests at a given rate, whatever the answers do, for next to no processor time: they are
//! written beforehand, and answers are looked at no more than is needed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tests::samples;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::sleep_until,
};

/// Price changes over HTTP/1.1.
#[derive(Clone)]
pub(crate) struct Template {
    address: Arc<str>,
    /// All that stands before the length of the body.
    heads: Arc<Vec<String>>,
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

/// An answer that is larger is none of a price change.
const LARGEST: usize = 64 * 1024;

impl Template {
    pub(crate) fn new(base: &str, key: &str, paths: Vec<String>) -> Self {
        let address = base.trim_start_matches("http://");
        let head = |path: String| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
                 Content-Type: application/json\r\nContent-Length: "
            )
        };
        let heads = paths.into_iter().map(head).collect();
        Self { address: address.into(), heads: Arc::new(heads), next: Arc::default() }
    }

    /// Sends requests as planned; the answers in the order in which they were due.
    pub(crate) async fn run(&self, plan: Plan) -> Result<Vec<Answer>> {
        let (begin, sent) = (Instant::now(), Arc::<AtomicUsize>::default());
        let mut connections = JoinSet::new();
        for _ in 0..plan.connections {
            connections.spawn(self.clone().connection(plan, begin, sent.clone()));
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
    ) -> Result<Vec<Answer>> {
        let mut stream = TcpStream::connect(&*self.address).await?;
        stream.set_nodelay(true)?;
        let (mut answers, mut buffer) = (vec![], vec![]);
        loop {
            let number = u32::try_from(sent.fetch_add(1, Relaxed))?;
            let due = begin + Duration::from_secs_f64(f64::from(number) / plan.rate);
            // What could not be sent in time is not sent: the rate that was is told.
            if due > begin + plan.run || begin.elapsed() > plan.run {
                return Ok(answers);
            }
            sleep_until(due.into()).await;
            let (path, request) = self.request();
            let unsent = due.elapsed();
            stream.write_all(request.as_bytes()).await?;
            let code = answer(&mut stream, &mut buffer).await?;
            answers.push(Answer { path, due, took: due.elapsed(), unsent, code });
        }
    }

    /// The next one, and its path. The numbers run on, so that no price comes twice in a row.
    fn request(&self) -> (usize, String) {
        let number = self.next.fetch_add(1, Relaxed);
        let path = number % self.heads.len();
        let head = &self.heads[path];
        let body = samples::reprice(i64::try_from(number).unwrap_or(0) + 1).to_string();
        (path, format!("{head}{}\r\n\r\n{body}", body.len()))
    }
}

/// Reads one answer; the status and the code where it is not 200. A refusal says when to come back.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Option<String>> {
    buffer.clear();
    loop {
        if let Some((head, body)) = whole(buffer) {
            let status = head.get(9..12).context("no status")?;
            if status == "200" {
                return Ok(None);
            }
            let code = body.split_once("\"code\":\"").and_then(|(_, rest)| rest.split_once('"'));
            let code = code.map_or("", |(code, _)| code);
            let told = head.contains("retry-after: ");
            ensure!(told && ["202", "429", "503"].contains(&status), "{head}{body}");
            return Ok(Some(format!("{status} {code}").trim_end().to_owned()));
        }
        ensure!(buffer.len() < LARGEST, "an answer without an end");
        ensure!(stream.read_buf(buffer).await? > 0, "the connection was closed");
    }
}

/// The head and the body of an answer that is there to its end.
fn whole(buffer: &[u8]) -> Option<(&str, &str)> {
    let (head, body) = std::str::from_utf8(buffer).ok()?.split_once("\r\n\r\n")?;
    let (_, rest) = head.split_once("content-length: ")?;
    let length: usize = rest.split("\r\n").next()?.parse().ok()?;
    (body.len() >= length).then_some((head, body))
}
