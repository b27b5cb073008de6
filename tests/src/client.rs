//! The API as a merchant's program uses it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// A client with the key of one mall.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    mall: String,
    key: String,
}

/// A request in the making.
pub struct Request(RequestBuilder);

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, null where there is none or it is no JSON.
    pub body: Value,
}

impl Client {
    /// A client of the API at `base`, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(base: &str, mall: &str, key: &str) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { http, base: base.to_owned(), mall: mall.to_owned(), key: key.to_owned() })
    }

    /// The same client for another mall, or with another key.
    #[must_use]
    pub fn with(&self, mall: &str, key: &str) -> Self {
        Self { mall: mall.to_owned(), key: key.to_owned(), ..self.clone() }
    }

    /// The address of a path below the mall.
    pub fn address(&self, path: &str) -> String {
        format!("{}/v1/{}{path}", self.base, self.mall)
    }

    /// A request to a path below the mall, such as `/products`.
    pub fn request(&self, method: Method, path: &str) -> Request {
        Request(self.http.request(method, self.address(path)).bearer_auth(&self.key))
    }

    /// A request to a path below the root, without a key.
    pub fn open(&self, path: &str) -> Request {
        Request(self.http.get(format!("{}{path}", self.base)))
    }

    /// Reads what a `Location` names.
    pub fn located(&self, path: &str) -> Request {
        Request(self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.key))
    }

    /// Reads below the mall.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    /// Posts JSON below the mall.
    pub fn post(&self, path: &str, body: &Value) -> Request {
        Request(self.request(Method::POST, path).0.json(body))
    }

    /// Finds products.
    pub fn search(&self, words: &str) -> Request {
        Request(self.get("/search").0.query(&[("q", words)]))
    }

    /// Posts a wish under its key again and again, until it is decided.
    ///
    /// # Errors
    /// When it is not decided within a minute.
    pub async fn insist(&self, path: &str, body: &Value, key: &str) -> Result<Answer> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.post(path, body).key(key).send().await;
            match answer {
                Ok(answer) if ![202, 429, 503].contains(&answer.status) => return Ok(answer),
                answer if Instant::now() > deadline => bail!("no decision: {answer:?}"),
                _ => sleep(BETWEEN_TRIES).await,
            }
        }
    }

    /// Reads `path` until it shows the write that answered `token`.
    ///
    /// # Errors
    /// When it does not within a minute, or is not to be read at all.
    pub async fn see(&self, path: &str, token: &str) -> Result<Answer> {
        see(|| self.get(path).seeing(token)).await
    }

    /// As [`Client::see`], for a search.
    ///
    /// # Errors
    /// When it does not within a minute, or is not to be read at all.
    pub async fn find(&self, words: &str, token: &str) -> Result<Answer> {
        see(|| self.search(words).seeing(token)).await
    }

    /// Registers a product and returns its id and the token of the write.
    ///
    /// # Errors
    /// When it is not accepted.
    pub async fn register(&self, body: &Value) -> Result<(String, String)> {
        let answer = self.post("/products", body).send().await?;
        ensure!(answer.status == 201, "register: {answer:?}");
        Ok((answer.text("/id")?, answer.header("consistency-token")?))
    }
}

async fn see(read: impl Fn() -> Request) -> Result<Answer> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = read().send().await?;
        if answer.status != 503 || Instant::now() > deadline {
            return answer.expect(200);
        }
        sleep(BETWEEN_TRIES).await;
    }
}

impl Request {
    /// Sets a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// Adds to the query.
    #[must_use]
    pub fn query(self, pairs: &[(&str, &str)]) -> Self {
        Self(self.0.query(pairs))
    }

    /// Names the wish, so that it is granted once however often it is sent.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Asks to see what a write answered with `token` did.
    #[must_use]
    pub fn seeing(self, token: &str) -> Self {
        self.header("consistency-token", token)
    }

    /// Sets a body as it is.
    #[must_use]
    pub fn body(self, kind: &str, bytes: Vec<u8>) -> Self {
        Self(self.0.header("content-type", kind).body(bytes))
    }

    /// Sends it.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(self) -> Result<Answer> {
        let answer = self.0.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
        Ok(Answer { status, headers, body })
    }
}

impl Request {
    /// Sends it, and reads the JSON lines of the answer.
    ///
    /// # Errors
    /// When there is no answer, or it is none of JSON lines.
    pub async fn lines(self) -> Result<Vec<Value>> {
        let answer = self.0.send().await?.error_for_status()?;
        let text = answer.text().await?;
        Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    }
}

impl Answer {
    /// A header's text.
    ///
    /// # Errors
    /// When it is not there.
    pub fn header(&self, name: &str) -> Result<String> {
        let value = self.headers.get(name).with_context(|| format!("no {name} in {self:?}"))?;
        Ok(value.to_str()?.to_owned())
    }

    /// A text of the body by its JSON pointer.
    ///
    /// # Errors
    /// When it is not there.
    pub fn text(&self, pointer: &str) -> Result<String> {
        let found = self.body.pointer(pointer).and_then(Value::as_str);
        Ok(found.with_context(|| format!("no {pointer} in {self:?}"))?.to_owned())
    }

    /// A number of the body by its JSON pointer.
    ///
    /// # Errors
    /// When it is not there.
    pub fn number(&self, pointer: &str) -> Result<i64> {
        let found = self.body.pointer(pointer).and_then(Value::as_i64);
        found.with_context(|| format!("no {pointer} in {self:?}"))
    }

    /// Fails unless it has this status.
    ///
    /// # Errors
    /// When the status is another one.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "expected {status}: {self:?}");
        Ok(self)
    }
}
