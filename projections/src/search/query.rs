//! What is found.

use std::collections::HashMap;

use domain::{BrandId, CategoryId, Money, PartnerId, ProductId, Timestamp, product::SaleState};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Document, Facets, Place, Question, Search, SearchError, facets::Counted, question::MARKS,
    unreadable,
};

/// How many characters of text a search may have.
pub const LONGEST_QUERY: usize = 200;

/// Some hits of a search.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SearchPage {
    /// How many products match; 10,000 stands for that many or more.
    pub total: u64,
    /// Whether nothing has the words as they were typed, so that these have nearly those words.
    pub approximate: bool,
    /// The hits, in the order asked for.
    pub hits: Vec<SearchHit>,
    /// Where the next page begins; null on the last one.
    #[schema(value_type = Option<String>)]
    pub next: Option<Place>,
    /// What was counted, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facets: Option<Facets>,
}

/// A product that was found.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SearchHit {
    /// How well it matches, where the hits are in that order; comparable within one answer only, and
    /// null to a storefront.
    pub score: Option<f64>,
    /// The product.
    pub id: ProductId,
    /// The seller, where the mall has more than one.
    pub partner_id: Option<PartnerId>,
    /// The product's own number at its seller; null to a storefront.
    pub external_id: Option<String>,
    /// The name.
    pub name: String,
    /// The name in pieces, where words of it were searched for; joined they are the name.
    pub highlight: Vec<Fragment>,
    /// The brand, where it has one; a storefront sees none that is retired.
    pub brand_id: Option<BrandId>,
    /// The brand's name.
    pub brand_name: Option<String>,
    /// The categories in which it stands; to a storefront, those that are not retired.
    pub category_ids: Vec<CategoryId>,
    /// The list price.
    pub list_price: Money,
    /// Whether it is meant to be sold.
    pub sale_state: SaleState,
    /// The first picture.
    pub image: Option<String>,
    /// The product's version, as of this hit.
    pub version: i64,
    /// When it came into the catalog.
    pub registered_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// A piece of a text: plain text, to be escaped by whoever shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fragment {
    /// The piece.
    pub text: String,
    /// Whether it is what was searched for.
    pub is_match: bool,
}

/// Of an answer, what is looked at.
#[derive(Deserialize)]
struct Answer {
    hits: Hits,
    aggregations: Option<Counted>,
}

#[derive(Deserialize)]
struct Hits {
    total: Total,
    hits: Vec<Found>,
}

#[derive(Deserialize)]
struct Total {
    value: u64,
}

#[derive(Deserialize)]
struct Found {
    _score: Option<f64>,
    _source: Document,
    #[serde(default)]
    highlight: HashMap<String, Vec<String>>,
    sort: Vec<Value>,
}

impl Search {
    /// Finds products. Where none has the words as they were typed, it finds those that nearly have
    /// them.
    ///
    /// # Errors
    /// [`SearchError::Question`] when the text is too long, else as the engine refuses or does not
    /// answer.
    pub async fn query(&self, question: &Question) -> Result<SearchPage, SearchError> {
        checked(question.text.as_deref().unwrap_or_default())?;
        let approximate = question.after.as_ref().is_some_and(|place| place.approximate);
        let page = self.page(question, approximate).await?;
        let may_be_near = question.text.is_some() && question.after.is_none();
        if page.total == 0 && may_be_near { self.page(question, true).await } else { Ok(page) }
    }

    async fn page(&self, asked: &Question, approximate: bool) -> Result<SearchPage, SearchError> {
        let path = format!("{}/_search?allow_partial_search_results=false", self.asked());
        let answer: Answer = self.ask_for(&path, &asked.body(approximate)).await?;
        let (mut found, total) = (answer.hits.hits, answer.hits.total.value);
        let counted = answer.aggregations.unwrap_or_default();
        if let Some(missing) = asked.facets.iter().find(|facet| !counted.has(**facet)) {
            return Err(unreadable(&format!("nothing was counted by {}", missing.as_str())));
        }
        let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more).map(|last| last.sort.clone());
        Ok(SearchPage {
            total,
            approximate: approximate && total > 0,
            hits: found.into_iter().map(SearchHit::from).collect(),
            next: last.map(|after| Place { sort: asked.sort, approximate, after }),
            facets: (!asked.facets.is_empty()).then(|| Facets::from(counted)),
        })
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

pub(super) fn checked(text: &str) -> Result<(), SearchError> {
    if text.chars().count() > LONGEST_QUERY {
        let why = format!("a search text has at most {LONGEST_QUERY} characters");
        return Err(SearchError::Question(why));
    }
    Ok(())
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(from: &Value) -> Result<T, SearchError> {
    T::deserialize(from).map_err(|error| unreadable(&error))
}

impl From<Found> for SearchHit {
    fn from(found: Found) -> Self {
        let document = found._source;
        let marked = ["name", "name.en"].iter().find_map(|field| found.highlight.get(*field));
        Self {
            score: found._score,
            id: document.id,
            partner_id: document.partner_id,
            external_id: document.external_id,
            name: document.name,
            highlight: marked.and_then(|marked| marked.first()).map_or(vec![], |m| fragments(m)),
            brand_id: document.brand_id,
            brand_name: document.brand_name,
            category_ids: document.category_ids,
            list_price: Money { minor: document.list_price_minor, currency: document.currency },
            sale_state: document.sale_state,
            image: document.image,
            version: document.version,
            registered_at: document.registered_at,
            updated_at: document.updated_at,
        }
    }
}

impl SearchHit {
    /// What a buyer may see of it. Its brand and categories stay where `is_shown` says so of their
    /// ids.
    #[must_use]
    pub fn for_buyers(mut self, is_shown: impl Fn(Uuid) -> bool) -> Self {
        (self.score, self.external_id) = (None, None);
        self.brand_id = self.brand_id.filter(|brand| is_shown(brand.0));
        self.brand_name = self.brand_name.filter(|_| self.brand_id.is_some());
        self.category_ids.retain(|category| is_shown(category.0));
        self
    }
}

/// A marked text in pieces.
fn fragments(marked: &str) -> Vec<Fragment> {
    let mut is_match = false;
    let mut fragments = vec![];
    for piece in marked.split_inclusive(MARKS) {
        let text = piece.trim_end_matches(MARKS).to_owned();
        if !text.is_empty() {
            fragments.push(Fragment { text, is_match });
        }
        is_match = piece.ends_with(MARKS[0]);
    }
    fragments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_name_falls_into_pieces() {
        let [begin, end] = MARKS;
        let pieces = fragments(&format!("{begin}무선{end}{begin}청소기{end} <V12>"));
        let pieces: Vec<_> = pieces.iter().map(|of| (of.text.as_str(), of.is_match)).collect();
        assert_eq!(pieces, [("무선", true), ("청소기", true), (" <V12>", false)]);
    }
}
