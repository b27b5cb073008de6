//! A search engine that passes everything on to the real one, and keeps what was searched for.

use std::sync::{Arc, Mutex};

use anyhow::{Result, anyhow};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// Ends when it is dropped.
pub(crate) struct Recorder {
    /// Where it answers.
    pub(crate) address: String,
    passing: Arc<Passing>,
    serving: JoinHandle<()>,
}

struct Passing {
    to: String,
    http: reqwest::Client,
    /// Path and body of each search since they were last taken.
    seen: Mutex<Vec<(String, String)>>,
}

impl Recorder {
    pub(crate) async fn start(to: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let http = reqwest::Client::new();
        let to = to.trim_end_matches('/').to_owned();
        let passing = Arc::new(Passing { to, http, seen: Mutex::default() });
        let router = Router::new().fallback(pass).with_state(passing.clone());
        let serving = tokio::spawn(async move {
            // It serves until it is dropped.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, passing, serving })
    }

    /// What was searched for since it was last asked.
    pub(crate) fn take(&self) -> Result<Vec<(String, String)>> {
        let mut seen = self.passing.seen.lock().map_err(|_| anyhow!("poisoned"))?;
        Ok(std::mem::take(&mut seen))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(
    State(passing): State<Arc<Passing>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Bytes), StatusCode> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if uri.path().ends_with("/_search") {
        let text = String::from_utf8_lossy(&body).into_owned();
        let mut seen = passing.seen.lock().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        seen.push((path.to_owned(), text));
    }
    let mut request = passing.http.request(method, format!("{}{path}", passing.to)).body(body);
    if let Some(kind) = headers.get(CONTENT_TYPE) {
        request = request.header(CONTENT_TYPE, kind);
    }
    let answer = request.send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let status = answer.status();
    Ok((status, answer.bytes().await.map_err(|_| StatusCode::BAD_GATEWAY)?))
}
