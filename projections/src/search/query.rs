//! What a shopper types, and what is found.

use std::collections::HashMap;

use domain::{MallId, Money, PartnerId, ProductId, Timestamp};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Document, Search, SearchError};

/// How many characters of text a search may have.
pub const LONGEST_QUERY: usize = 200;

/// Every word must be found, wherever it is; a hit in the name weighs most. A SKU code counts
/// only when it is the whole text.
const FIELDS: [&str; 7] = [
    "name^4",
    "name.en^4",
    "description",
    "description.en",
    "options",
    "options.en",
    "sku_codes^8",
];
/// Beyond so many hits they are no longer counted.
const COUNTED: u64 = 10_000;

/// The best hits of a search.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SearchPage {
    /// How many products match; 10,000 stands for that many or more.
    pub total: u64,
    /// The best of them, best first.
    pub hits: Vec<SearchHit>,
}

/// A product that was found.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SearchHit {
    /// How well it matches; comparable within one answer only.
    pub score: f64,
    /// The product.
    pub id: ProductId,
    /// The seller, where the mall has more than one.
    pub partner_id: Option<PartnerId>,
    /// The product's own number at its seller.
    pub external_id: Option<String>,
    /// The name.
    pub name: String,
    /// The list price.
    pub list_price: Money,
    /// The first picture.
    pub image: Option<String>,
    /// The product's version, as of this hit.
    pub version: i64,
    /// When it came into the catalog.
    pub registered_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

#[derive(Deserialize)]
struct Found {
    _score: f64,
    _source: Document,
}

impl Search {
    /// Finds the products of a mall that match what a shopper typed; the text is only ever text,
    /// it has no operators. Equal scores are ordered by id.
    ///
    /// # Errors
    /// [`SearchError::Question`] when the text is too long, else as the engine refuses or does not
    /// answer.
    pub async fn query(
        &self,
        mall: &MallId,
        q: &str,
        limit: u32,
    ) -> Result<SearchPage, SearchError> {
        if q.chars().count() > LONGEST_QUERY {
            let why = format!("a search text has at most {LONGEST_QUERY} characters");
            return Err(SearchError::Question(why));
        }
        let path = format!("{}/_search?allow_partial_search_results=false", self.alias());
        let answer = self.ask(Method::POST, &path, Some(&question(mall, q, limit))).await?;
        let total = answer["hits"]["total"]["value"].as_u64().unwrap_or_default();
        let found: Vec<Found> = parse(&answer["hits"]["hits"])?;
        Ok(SearchPage { total, hits: found.into_iter().map(SearchHit::from).collect() })
    }

    /// The documents of an index version by id, as they were last written, with their versions.
    ///
    /// # Errors
    /// [`SearchError`] when the engine refuses or does not answer.
    pub async fn fetch(
        &self,
        version: i32,
        ids: &[ProductId],
    ) -> Result<HashMap<ProductId, (i64, Document)>, SearchError> {
        #[derive(Deserialize)]
        struct Got {
            _version: i64,
            _source: Document,
        }
        let path = format!("{}/_mget", self.index(version));
        let answer = self.ask(Method::POST, &path, Some(&json!({ "ids": ids }))).await?;
        let got = answer["docs"].as_array().into_iter().flatten();
        got.filter(|doc| doc["found"] == true)
            .map(|doc| {
                let got: Got = parse(doc)?;
                Ok((got._source.id, (got._version, got._source)))
            })
            .collect()
    }

    /// How many documents of an index version a search could find.
    ///
    /// # Errors
    /// [`SearchError`] when the engine refuses or does not answer.
    pub async fn count(&self, version: i32) -> Result<u64, SearchError> {
        let path = format!("{}/_count", self.index(version));
        let answer = self.ask(Method::GET, &path, None).await?;
        Ok(answer["count"].as_u64().unwrap_or_default())
    }
}

fn question(mall: &MallId, q: &str, limit: u32) -> Value {
    json!({
        "size": limit,
        "track_total_hits": COUNTED,
        "_source": { "excludes": ["description", "options", "sku_codes"] },
        "query": { "bool": {
            "filter": { "term": { "mall": mall } },
            "must": { "multi_match": {
                "query": q, "fields": FIELDS, "type": "cross_fields", "operator": "and"
            } }
        } },
        "sort": [{ "_score": "desc" }, { "id": "asc" }]
    })
}

fn parse<T: serde::de::DeserializeOwned>(from: &Value) -> Result<T, SearchError> {
    T::deserialize(from).map_err(|error| SearchError::Refused {
        status: 200,
        reason: format!("an answer that this build cannot read: {error}"),
    })
}

impl From<Found> for SearchHit {
    fn from(found: Found) -> Self {
        let document = found._source;
        Self {
            score: found._score,
            id: document.id,
            partner_id: document.partner_id,
            external_id: document.external_id,
            name: document.name,
            list_price: Money { minor: document.list_price_minor, currency: document.currency },
            image: document.image,
            version: document.version,
            registered_at: document.registered_at,
            updated_at: document.updated_at,
        }
    }
}
