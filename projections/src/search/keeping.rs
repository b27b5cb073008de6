//! What an index version holds, document by document.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Search, SearchError, query::parse};

/// A document as it is kept.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Kept {
    /// The external version under which it was written.
    #[serde(rename = "_version")]
    pub version: i64,
    /// Its fields.
    #[serde(rename = "_source")]
    pub fields: Map<String, Value>,
}

impl Search {
    /// Documents in the order of their ids, beginning after `after` and no further than `upto`, at
    /// most so many: by id.
    ///
    /// # Errors
    /// [`SearchError`] when the engine refuses or does not answer.
    pub async fn walk(
        &self,
        version: i32,
        after: Option<&str>,
        upto: Option<&str>,
        most: usize,
    ) -> Result<BTreeMap<String, Kept>, SearchError> {
        let mut range = json!({});
        if let Some(after) = after {
            range["gt"] = json!(after);
        }
        if let Some(upto) = upto {
            range["lte"] = json!(upto);
        }
        let question = json!({
            "size": most,
            "sort": [{ "id": "asc" }],
            "query": { "range": { "id": range } },
            "version": true,
            "track_total_hits": false,
        });
        let path = format!("{}/_search?allow_partial_search_results=false", self.index(version));
        let answer = self.ask(Method::POST, &path, Some(&question)).await?;
        by_id(answer["hits"]["hits"].as_array().into_iter().flatten())
    }

    /// Documents as they were last written, by id; those that are there.
    ///
    /// # Errors
    /// [`SearchError`] when the engine refuses or does not answer.
    pub async fn kept(
        &self,
        version: i32,
        ids: &[String],
    ) -> Result<BTreeMap<String, Kept>, SearchError> {
        let path = format!("{}/_mget", self.index(version));
        let answer = self.ask(Method::POST, &path, Some(&json!({ "ids": ids }))).await?;
        let docs = answer["docs"].as_array().into_iter().flatten();
        by_id(docs.filter(|doc| doc["found"] == true))
    }
}

fn by_id<'d>(docs: impl Iterator<Item = &'d Value>) -> Result<BTreeMap<String, Kept>, SearchError> {
    docs.map(|doc| Ok((doc["_id"].as_str().unwrap_or_default().to_owned(), parse(doc)?))).collect()
}
