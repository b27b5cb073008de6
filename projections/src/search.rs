//! Products as a shopper finds them: whole documents in OpenSearch.
//!
//! An index version is written by one indexer group under external versions, so whoever writes
//! last cannot make a document older; readers ask the alias.

use std::{
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;

mod bulk;
mod document;
mod facets;
mod fan_out;
mod filling;
mod hangul;
mod index;
mod keeping;
mod mapping;
mod place;
mod progress;
mod query;
mod question;
mod reading;
mod rewound;
mod suggestions;
mod versions;

pub use bulk::{Bulk, Written, lines};
pub use document::{Document, Versioned};
pub use facets::{EntryCount, Facet, Facets, PriceCount, StateCount};
pub use fan_out::{
    FanOut, Following, Renamed, Slice, count as fan_outs_left, following, lags, open, pass, slice,
};
pub use filling::{Claimed, Piece, claim};
pub(crate) use hangul::words;
pub use index::{Layout, Source};
pub use keeping::Kept;
pub use place::{Place, Sort};
pub use progress::{Move, Moved, PROJECTION, TOPICS, advance, forget, take};
pub use query::{Fragment, LONGEST_QUERY, SearchHit, SearchPage};
pub use question::{Question, Synonyms, View};
pub use reading::{Change, Read, brand_names, documents};
pub use rewound::{Reached, reached};
pub use versions::{
    IndexVersion, adopt, alone, begin, complete, discard_index, is_kept, next_number, versions,
};

/// A connection to the search engine.
#[derive(Clone, Debug)]
pub struct Search {
    http: reqwest::Client,
    base: String,
    prefix: String,
    /// What readers ask instead of the alias.
    asked: Option<i32>,
    /// When the last refresh began that succeeded, and of which index version.
    refreshed: Arc<Mutex<Option<(i32, Instant)>>>,
}

/// Why the search engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// It could not be reached, or did not answer in time.
    #[error("opensearch: {}", root(.0))]
    Unreachable(#[from] reqwest::Error),
    /// It answered, and would not.
    #[error("opensearch: {status}: {reason}")]
    Refused {
        /// The HTTP status, of the request or of the first document that failed.
        status: u16,
        /// What it said.
        reason: String,
    },
    /// The question is at fault, not the engine.
    #[error("{0}")]
    Question(String),
    /// An index of that name holds documents of another log or read model.
    #[error(
        "the index {index} was filled from {found}, not from {expected}: delete it or fill another version"
    )]
    OtherSource {
        /// The index.
        index: String,
        /// Where its documents came from.
        found: String,
        /// Where they should come from.
        expected: String,
    },
}

impl SearchError {
    /// Whether OpenSearch is away or busy: it may answer otherwise at the next try.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::Question(_) | Self::OtherSource { .. } => false,
        }
    }
}

impl Search {
    /// Opens a connection to `base_url`; nothing is sent yet.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(base_url: &str) -> Result<Self, SearchError> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(30))
            .build()?;
        let (base, prefix) = (base_url.trim_end_matches('/').to_owned(), String::new());
        Ok(Self { http, base, prefix, asked: None, refreshed: Arc::default() })
    }

    /// The same, whose readers ask an index version, live or not: what was waited for there, the
    /// alias may no longer name.
    #[must_use]
    pub fn in_version(&self, version: i32) -> Self {
        Self { asked: Some(version), ..self.clone() }
    }

    /// The same, with `prefix` before the name of each index and alias, for installations that
    /// share a cluster.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// The alias that readers ask.
    pub fn alias(&self) -> String {
        format!("{}products", self.prefix)
    }

    /// What readers ask.
    fn asked(&self) -> String {
        self.asked.map_or_else(|| self.alias(), |version| self.index(version))
    }

    /// The name of an index version.
    pub fn index(&self, version: i32) -> String {
        format!("{}_v{version}", self.alias())
    }

    /// Makes what was written before visible to searches that come after, in an index version.
    /// Those who ask while one is under way share the next: however many ask, one at a time is done.
    ///
    /// # Errors
    /// [`SearchError`] when the engine refuses or does not answer.
    pub async fn refresh(&self, version: i32) -> Result<(), SearchError> {
        let asked = Instant::now();
        let mut refreshed = self.refreshed.lock().await;
        if refreshed.is_some_and(|(of, began)| of == version && began > asked) {
            return Ok(());
        }
        let began = Instant::now();
        self.ask(Method::POST, &format!("{}/_refresh", self.index(version)), None).await?;
        *refreshed = Some((version, began));
        Ok(())
    }

    /// One exchange; statuses other than 2xx are errors.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, SearchError> {
        let (status, answer) = self.exchange(method, path, body.map(Value::to_string)).await?;
        if status.is_success() { Ok(answer) } else { Err(refused(status, &answer)) }
    }

    /// One exchange whose answer is read as `T` from its text: a page of hits is large.
    async fn ask_for<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, SearchError> {
        let (status, text) = self.send(Method::POST, path, Some(body.to_string())).await?;
        match status.is_success() {
            true => serde_json::from_str(&text).map_err(|error| unreadable(&error)),
            false => Err(refused(status, &value(text))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<impl Into<reqwest::Body>>,
    ) -> Result<(StatusCode, Value), SearchError> {
        let (status, text) = self.send(method, path, body).await?;
        Ok((status, value(text)))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<impl Into<reqwest::Body>>,
    ) -> Result<(StatusCode, String), SearchError> {
        let mut request = self.http.request(method, format!("{}/{path}", self.base));
        if let Some(body) = body {
            // NDJSON is accepted under this type too.
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request.send().await?;
        Ok((response.status(), response.text().await?))
    }
}

/// A proxy in between answers in text of its own.
fn value(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn unreadable(why: &impl Display) -> SearchError {
    SearchError::Refused {
        status: 200,
        reason: format!("an answer that this build cannot read: {why}"),
    }
}

fn refused(status: StatusCode, answer: &Value) -> SearchError {
    SearchError::Refused { status: status.as_u16(), reason: reason(&answer["error"], answer) }
}

/// What the engine complained of, with the cause that names the field or value.
fn reason(error: &Value, otherwise: &Value) -> String {
    let kind = error["type"].as_str().unwrap_or_default();
    let why = error["reason"].as_str();
    let cause = error["caused_by"]["reason"].as_str();
    match (why, cause) {
        (Some(why), Some(cause)) => format!("{kind}: {why}: {cause}"),
        (Some(why), None) => format!("{kind}: {why}"),
        _ => otherwise.to_string().chars().take(500).collect(),
    }
}

/// The innermost cause: reqwest's own text stops at "error sending request".
fn root(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    format!("{}: {deepest}", error.url().map(ToString::to_string).unwrap_or_default())
}
