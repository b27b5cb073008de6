//! Index versions, and the alias that names the live one.

use std::time::Duration;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Search, SearchError, mapping, refused};
use crate::{Error, Pool, Projection, Tables, directory::Directory, products::Products};

/// How an index is laid out over the cluster.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Primary shards; fixed for the life of an index version.
    pub shards: u32,
    /// Copies of each.
    pub replicas: u32,
    /// How long a written document may stay invisible. Always set: an index without it stops
    /// refreshing once nobody searches.
    pub refresh: Duration,
}

impl Default for Layout {
    fn default() -> Self {
        Self { shards: 1, replicas: 0, refresh: Duration::from_millis(500) }
    }
}

/// Changes with what is kept of a product and how it is analysed: an index of another format is
/// refused, and another version is filled beside it.
pub(super) const FORMAT: &str = "2";

/// Where the documents of an index version come from, for all its life: their versions are
/// comparable only within one log and the same read models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The version of the `products` read model.
    pub products: i32,
    /// The version of the `directory` read model.
    #[serde(default)]
    pub directory: i32,
    /// The id of the topic of events.
    pub topic_id: String,
    /// How the build that made it writes documents.
    #[serde(default)]
    format: String,
}

impl Source {
    /// The live read models, as this build writes documents.
    ///
    /// # Errors
    /// [`Error`] when MySQL refuses or does not answer.
    pub async fn live(db: &Pool, topic_id: &str) -> Result<Self, Error> {
        let tables = Tables::active(db).await?;
        tables.require(&[Products::NAME, Directory::NAME])?;
        let versions = (tables.version(Products::NAME), tables.version(Directory::NAME));
        Ok(Self::of(versions, topic_id))
    }

    /// Those versions of `products` and `directory`, as this build writes documents.
    pub fn of((products, directory): (i32, i32), topic_id: &str) -> Self {
        Self { products, directory, topic_id: topic_id.to_owned(), format: FORMAT.to_owned() }
    }

    /// The same read models of the log as it is now, as this build writes documents.
    #[must_use]
    pub fn now(&self, topic_id: &str) -> Self {
        Self::of((self.products, self.directory), topic_id)
    }

    pub(super) fn format(&self) -> &str {
        if self.format.is_empty() { "1" } else { &self.format }
    }

    /// Whether this build writes such documents.
    pub fn is_ours(&self) -> bool {
        self.format == FORMAT
    }

    /// The read models to fill it from.
    pub fn tables(&self) -> Tables {
        Tables::only(Products::NAME, self.products).with(Directory::NAME, self.directory)
    }
}

impl Search {
    /// What an index version was filled from; `None` where there is no such index.
    ///
    /// # Errors
    /// [`SearchError`] when the engine refuses or does not answer.
    pub async fn source(&self, version: i32) -> Result<Option<Source>, SearchError> {
        let index = self.index(version);
        let (status, answer) =
            self.exchange(Method::GET, &format!("{index}/_mapping"), None::<String>).await?;
        match status.as_u16() {
            404 => Ok(None),
            200 => {
                let source = &answer[&index]["mappings"]["_meta"]["source"];
                let source = serde_json::from_value(source.clone());
                source.map(Some).map_err(|_| SearchError::OtherSource {
                    index,
                    found: "somewhere unknown".to_owned(),
                    expected: "a log of ours".to_owned(),
                })
            }
            _ => Err(refused(status, &answer)),
        }
    }

    /// Makes the index version where it does not exist, brings an existing one's fields and
    /// refresh interval up to date, and points the alias at it where no index has it. An alias
    /// that is taken is never moved here.
    ///
    /// # Errors
    /// [`SearchError`], [`SearchError::OtherSource`] where the index belongs to another log.
    pub async fn ensure_index(
        &self,
        version: i32,
        source: &Source,
        layout: Layout,
    ) -> Result<(), SearchError> {
        match self.source(version).await? {
            Some(found) if found == *source => {}
            Some(found) => return Err(self.other_source(version, &found, source)),
            None => self.create(version, source, settings(layout)).await?,
        }
        self.update(version, source, layout).await?;
        self.claim_alias(version).await
    }

    /// Makes an index version that is to be filled before anybody reads it, where it does not exist:
    /// without copies, and nothing becomes visible, until [`Self::open`] says so.
    ///
    /// # Errors
    /// [`SearchError`] when the engine refuses or does not answer.
    pub async fn create_bare(
        &self,
        version: i32,
        source: &Source,
        layout: Layout,
    ) -> Result<(), SearchError> {
        let mut settings = settings(Layout { replicas: 0, ..layout });
        settings["refresh_interval"] = json!("-1");
        self.create(version, source, settings).await
    }

    /// Gives a filled index version the copies and the refresh interval of the others.
    ///
    /// # Errors
    /// [`SearchError`] when the engine refuses or does not answer.
    pub async fn open(&self, version: i32, layout: Layout) -> Result<(), SearchError> {
        let settings = json!({ "index": {
            "refresh_interval": interval(layout), "number_of_replicas": layout.replicas,
        } });
        let path = format!("{}/_settings", self.index(version));
        // A large one takes long to refresh, and the other has the cluster write its state.
        let set = self.ask(Method::PUT, &path, Some(&settings));
        tokio::try_join!(self.refresh(version), set).map(drop)
    }

    /// Points the alias at another index version, all at once: whoever reads meanwhile reads one of
    /// the two. What was written to it before is visible then.
    ///
    /// # Errors
    /// [`SearchError`] when the engine refuses, as where `from` is not live, or does not answer.
    pub async fn swap(&self, from: Option<i32>, to: i32) -> Result<(), SearchError> {
        self.refresh(to).await?;
        let (alias, index) = (self.alias(), |version| self.index(version));
        let remove = from.map(|from| {
            json!({ "remove": { "index": index(from), "alias": alias, "must_exist": true } })
        });
        let add = json!({ "index": index(to), "alias": alias, "is_write_index": true });
        let actions: Vec<Value> = remove.into_iter().chain([json!({ "add": add })]).collect();
        self.ask(Method::POST, "_aliases", Some(&json!({ "actions": actions }))).await.map(drop)
    }

    /// The version that the alias names, where there is one.
    ///
    /// # Errors
    /// [`SearchError`] when the engine refuses or does not answer.
    pub async fn live(&self) -> Result<Option<i32>, SearchError> {
        let path = format!("_alias/{}", self.alias());
        let (status, answer) = self.exchange(Method::GET, &path, None::<String>).await?;
        match status.as_u16() {
            404 => Ok(None),
            200 => Ok(answer.as_object().into_iter().flatten().find_map(|(index, _)| {
                index.strip_prefix(&format!("{}_v", self.alias()))?.parse().ok()
            })),
            _ => Err(refused(status, &answer)),
        }
    }

    /// Removes an index version and all its documents.
    ///
    /// # Errors
    /// [`SearchError`] when the engine refuses or does not answer.
    pub async fn drop_index(&self, version: i32) -> Result<(), SearchError> {
        let path = format!("{}?ignore_unavailable=true", self.index(version));
        self.ask(Method::DELETE, &path, None).await.map(drop)
    }

    async fn create(
        &self,
        version: i32,
        source: &Source,
        settings: Value,
    ) -> Result<(), SearchError> {
        let body = json!({ "settings": settings, "mappings": mappings(source) });
        let path = self.index(version);
        let (status, answer) = self.exchange(Method::PUT, &path, Some(body.to_string())).await?;
        // Another indexer was quicker.
        let exists = answer["error"]["type"] == "resource_already_exists_exception";
        if status.is_success() || exists { Ok(()) } else { Err(refused(status, &answer)) }
    }

    /// New fields are added; a field that changed its meaning is refused, since it needs another
    /// index version.
    async fn update(
        &self,
        version: i32,
        source: &Source,
        layout: Layout,
    ) -> Result<(), SearchError> {
        let index = self.index(version);
        self.ask(Method::PUT, &format!("{index}/_mapping"), Some(&mappings(source))).await?;
        let settings = json!({ "index": { "refresh_interval": interval(layout) } });
        self.ask(Method::PUT, &format!("{index}/_settings"), Some(&settings)).await.map(drop)
    }

    /// How an index version is laid out.
    ///
    /// # Errors
    /// [`SearchError`] when the engine refuses or does not answer.
    pub async fn layout(&self, version: i32) -> Result<Layout, SearchError> {
        let index = self.index(version);
        let answer = self.ask(Method::GET, &format!("{index}/_settings"), None).await?;
        let settings = &answer[&index]["settings"]["index"];
        let number = |name: &str| settings[name].as_str().and_then(|text| text.parse().ok());
        let unsaid = Layout::default();
        Ok(Layout {
            shards: number("number_of_shards").unwrap_or(unsaid.shards),
            replicas: number("number_of_replicas").unwrap_or(unsaid.replicas),
            ..unsaid
        })
    }

    async fn claim_alias(&self, version: i32) -> Result<(), SearchError> {
        if self.live().await?.is_some() {
            return Ok(());
        }
        // Of two that find no alias, one wins: an alias has at most one write index.
        let add = json!({
            "index": self.index(version), "alias": self.alias(), "is_write_index": true
        });
        let claimed =
            self.ask(Method::POST, "_aliases", Some(&json!({ "actions": [{ "add": add }] }))).await;
        match claimed {
            Err(SearchError::Refused { .. }) if self.live().await?.is_some() => Ok(()),
            other => other.map(drop),
        }
    }

    /// That an index version is made of something else than expected.
    pub fn other_source(&self, version: i32, found: &Source, expected: &Source) -> SearchError {
        let told = |source: &Source| {
            let Source { products, directory, topic_id, .. } = source;
            let format = source.format();
            format!(
                "products_v{products} and directory_v{directory} of the log {topic_id} in format {format}"
            )
        };
        SearchError::OtherSource {
            index: self.index(version),
            found: told(found),
            expected: told(expected),
        }
    }
}

fn settings(layout: Layout) -> Value {
    json!({
        "number_of_shards": layout.shards,
        "number_of_replicas": layout.replicas,
        "refresh_interval": interval(layout),
        "analysis": mapping::analysis(),
    })
}

fn mappings(source: &Source) -> Value {
    json!({
        "dynamic": "strict",
        // Made of the names, and as long as they are.
        "_source": { "excludes": mapping::DERIVED },
        "_meta": { "source": source },
        "properties": mapping::fields(),
    })
}

fn interval(layout: Layout) -> String {
    format!("{}ms", layout.refresh.as_millis())
}
