//! Whether the read models have gone back behind what the index shows, as a backup does that was
//! restored.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;

use super::{Search, SearchError, reading::Look};
use crate::{Error, Pool, Tables};

/// How many of the documents that were written last are looked at.
const LAST: usize = 1000;

/// How far the read models that documents come from have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// By partition, the next event that one of them has not applied.
    pub next: BTreeMap<i32, i64>,
    /// The external version of a document that is read now.
    pub version: i64,
}

/// How far the read models have come, as of one moment.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn reached(db: &Pool, tables: &Tables) -> Result<Reached, Error> {
    Look::begin(db, tables).await?.reached().await
}

impl Search {
    /// The greatest external version among the documents of an index version that were written
    /// last; 0 where it holds none.
    ///
    /// # Errors
    /// [`SearchError`] when the engine refuses or does not answer.
    pub async fn newest(&self, version: i32) -> Result<i64, SearchError> {
        self.refresh(version).await?;
        let question = json!({
            "size": LAST,
            "sort": [{ "_seq_no": "desc" }],
            "version": true,
            "_source": false,
            "track_total_hits": false,
        });
        let path = format!("{}/_search?filter_path=hits.hits._version", self.index(version));
        let answer = self.ask(Method::POST, &path, Some(&question)).await?;
        let hits = answer["hits"]["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(hits.iter().filter_map(|hit| hit["_version"].as_i64()).max().unwrap_or_default())
    }
}
