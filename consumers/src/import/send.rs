//! Lines on their way to the api, and what it answers.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use domain::MallId;
use serde::Deserialize;
use serde_json::Value;

use super::{
    line::{Line, Refused},
    report::Report,
};

/// How long the api may be silent: it answers each line within a quarter of it.
const SILENCE: Duration = Duration::from_secs(60);

/// Speaks to the api with one mall's key.
pub(super) struct Sender {
    http: reqwest::Client,
    url: String,
    key: String,
}

/// A request that broke off, or was not taken.
pub(super) struct Failed {
    /// What was not decided.
    pub(super) rest: Vec<Line>,
    pub(super) error: anyhow::Error,
    /// Whether sending it again would change nothing, such as with a key that is nobody's.
    pub(super) is_final: bool,
}

/// The answer to a line.
#[derive(Deserialize)]
struct Answer {
    line: usize,
    status: u16,
    #[serde(default)]
    verdict: String,
    #[serde(default)]
    repeated: bool,
    #[serde(default)]
    code: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    errors: Vec<Value>,
}

impl Sender {
    /// A client of the api at `base`.
    ///
    /// # Errors
    /// When no client can be made.
    pub(super) fn new(base: &str, mall: &MallId, key: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().read_timeout(SILENCE).build()?;
        let url = format!("{}/v1/{mall}/commands", base.trim_end_matches('/'));
        Ok(Self { http, url, key })
    }

    /// Sends `lines` and tells `report` what became of them; returns those that are to be sent
    /// again.
    pub(super) async fn send(
        &self,
        lines: Vec<Line>,
        report: &mut Report,
    ) -> Result<Vec<Line>, Failed> {
        let mut open: Vec<Option<Line>> = lines.into_iter().map(Some).collect();
        let mut is_final = false;
        let exchange = self.exchange(&mut open, report, &mut is_final).await;
        let rest = open.into_iter().flatten().collect();
        match exchange {
            Ok(()) => Ok(rest),
            Err(error) => Err(Failed { rest, error, is_final }),
        }
    }

    async fn exchange(
        &self,
        open: &mut [Option<Line>],
        report: &mut Report,
        is_final: &mut bool,
    ) -> anyhow::Result<()> {
        let texts = open.iter().flatten().map(|line| line.text.as_str());
        let body = texts.collect::<Vec<_>>().join("\n");
        let request = self.http.post(&self.url).bearer_auth(&self.key);
        let request = request.header("content-type", "application/x-ndjson").body(body);
        let mut response = request.send().await.with_context(|| self.url.clone())?;
        if !response.status().is_success() {
            let status = response.status();
            *is_final = status.is_client_error() && !matches!(status.as_u16(), 408 | 429);
            let text = response.text().await.unwrap_or_default();
            return Err(anyhow!("{} answers {status}: {text}", self.url));
        }
        let mut text: Vec<u8> = vec![];
        while let Some(piece) = response.chunk().await? {
            text.extend_from_slice(&piece);
            let Some(end) = text.iter().rposition(|byte| *byte == b'\n') else { continue };
            let rest = text.split_off(end + 1);
            for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                take(&serde_json::from_slice(line)?, open, report)?;
            }
            text = rest;
        }
        Ok(())
    }
}

/// Takes an answer in; a line that may still be decided stays open.
fn take(answer: &Answer, open: &mut [Option<Line>], report: &mut Report) -> anyhow::Result<()> {
    let slot = answer.line.checked_sub(1).and_then(|at| open.get_mut(at));
    let slot = slot.with_context(|| format!("an answer to line {}", answer.line))?;
    if matches!(answer.status, 202 | 408 | 429 | 500..=599) {
        return Ok(());
    }
    let Some(line) = slot.take() else { return Ok(()) };
    if matches!(answer.status, 200 | 201) {
        report.decided(&line, &answer.verdict, answer.repeated);
        return Ok(());
    }
    if line.is_implied && answer.code.ends_with("_ALREADY_REGISTERED") {
        report.decided(&line, "UNCHANGED", answer.repeated);
        return Ok(());
    }
    report.refuse(&Refused {
        line: line.number,
        code: answer.code.clone(),
        reason: answer.detail.clone(),
        errors: answer.errors.clone(),
    })
}
