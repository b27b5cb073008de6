//! The schema registry, by the Confluent REST API.

use std::time::Duration;

use apache_avro::Schema;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// A client of one registry.
#[derive(Clone)]
pub struct Registry {
    http: Client,
    base: String,
}

/// The registry did not answer, or not as it should.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No answer.
    #[error("the schema registry does not answer: {0}")]
    Http(#[from] reqwest::Error),
    /// A refusal.
    #[error("the schema registry refuses {what}: {status} {detail}")]
    Refused {
        /// What was asked.
        what: String,
        /// The status of the answer.
        status: StatusCode,
        /// Its text.
        detail: String,
    },
}

impl RegistryError {
    /// Whether it may be otherwise at the next try: the registry is away, starting or busy.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Http(error) => !error.is_builder(),
            Self::Refused { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
        }
    }
}

impl Registry {
    /// A registry whose API begins at `base`, such as `http://127.0.0.1:8081/apis/ccompat/v7`.
    ///
    /// # Errors
    /// [`RegistryError::Http`] when no client can be made.
    pub fn new(base: &str) -> Result<Self, RegistryError> {
        let http = Client::builder().timeout(Duration::from_secs(10)).build()?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned() })
    }

    /// The id under which `subject` holds exactly this schema.
    ///
    /// # Errors
    /// [`RegistryError`] when the registry does not answer.
    pub async fn id_of(
        &self,
        subject: &str,
        schema: &Schema,
    ) -> Result<Option<u32>, RegistryError> {
        let path = format!("/subjects/{subject}");
        let answer = self.ask(self.post(&path, schema), &path).await?;
        Ok(answer.and_then(|found| found["id"].as_u64()).and_then(|id| u32::try_from(id).ok()))
    }

    /// Registers a new version of `subject`, and returns its id.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] when it is not compatible with every earlier version.
    pub async fn register(&self, subject: &str, schema: &Schema) -> Result<(), RegistryError> {
        let path = format!("/subjects/{subject}/versions");
        self.ask(self.post(&path, schema), &path).await.map(drop)
    }

    /// Whether `schema` would be compatible with what `subject` holds; true where it holds nothing.
    ///
    /// # Errors
    /// [`RegistryError`] when the registry does not answer.
    pub async fn accepts(&self, subject: &str, schema: &Schema) -> Result<bool, RegistryError> {
        let path = format!("/compatibility/subjects/{subject}/versions");
        let answer = self.ask(self.post(&path, schema), &path).await?;
        Ok(answer.is_none_or(|found| found["is_compatible"].as_bool().unwrap_or(false)))
    }

    /// How many versions `subject` has; none where it is unknown.
    ///
    /// # Errors
    /// [`RegistryError`] when the registry does not answer.
    pub async fn versions(&self, subject: &str) -> Result<usize, RegistryError> {
        let path = format!("/subjects/{subject}/versions");
        let answer = self.ask(self.request(Method::GET, &path), &path).await?;
        Ok(answer.and_then(|list| list.as_array().map(Vec::len)).unwrap_or(0))
    }

    /// The schema of an id, if there is one and it is Avro.
    ///
    /// # Errors
    /// [`RegistryError`] when the registry does not answer.
    pub async fn schema(&self, id: u32) -> Result<Option<Schema>, RegistryError> {
        let path = format!("/schemas/ids/{id}");
        let found = match self.ask(self.request(Method::GET, &path), &path).await {
            // Whatever is wrong with the id stays wrong, so it must not be asked for again.
            Err(RegistryError::Refused { status, .. }) if status.is_client_error() => None,
            found => found?,
        };
        let text = found.as_ref().and_then(|found| found["schema"].as_str());
        Ok(text.and_then(|text| Schema::parse_str(text).ok()))
    }

    /// The compatibility that holds where a subject says nothing else.
    ///
    /// # Errors
    /// [`RegistryError`] when the registry does not answer.
    pub async fn compatibility(&self) -> Result<String, RegistryError> {
        let answer = self.ask(self.request(Method::GET, "/config"), "/config").await?;
        let level = answer.map(|config| config["compatibilityLevel"].clone());
        Ok(level.and_then(|level| level.as_str().map(str::to_owned)).unwrap_or_default())
    }

    /// Sets that compatibility.
    ///
    /// # Errors
    /// [`RegistryError`] when the registry does not answer.
    pub async fn set_compatibility(&self, level: &str) -> Result<(), RegistryError> {
        let request = self.request(Method::PUT, "/config").json(&json!({"compatibility": level}));
        self.ask(request, "/config").await.map(drop)
    }

    fn post(&self, path: &str, schema: &Schema) -> RequestBuilder {
        let text = json!(schema).to_string();
        self.request(Method::POST, path).json(&json!({"schema": text, "schemaType": "AVRO"}))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request; nothing found is `None`.
    async fn ask(
        &self,
        request: RequestBuilder,
        what: &str,
    ) -> Result<Option<Value>, RegistryError> {
        let answer = request.send().await?;
        let status = answer.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            let detail = answer.text().await.unwrap_or_default();
            return Err(RegistryError::Refused { what: what.to_owned(), status, detail });
        }
        Ok(Some(answer.json().await?))
    }
}
