//! What a shopper asks, in the words of the engine.

use std::sync::Arc;

use domain::{
    BrandId, CategoryId, MallId, PartnerId, Timestamp,
    product::{Approval, SaleState},
};
use serde_json::{Value, json};

use super::{
    facets::Facet,
    hangul::{is_initials, letters, words},
    place::{Place, Sort},
};
use crate::directory::Tree;

/// Every word must be found, wherever it is; a hit in the name weighs most. A SKU code counts
/// only when it is the whole text.
const FIELDS: [&str; 9] = [
    "name^4",
    "name.en^4",
    "brand_name^3",
    "brand_name.en^3",
    "description",
    "description.en",
    "options",
    "options.en",
    "sku_codes^8",
];
/// What a product counts that a word only names the category of: less than any word of its own.
const OF_CATEGORY: f64 = 0.01;
/// Beyond so many hits they are no longer counted.
const COUNTED: u64 = 10_000;
/// Texts that a text is searched as beside itself, at most.
const READINGS: usize = 16;
/// Around what of a name matches: characters that no name should have.
pub(super) const MARKS: [char; 2] = ['\u{E000}', '\u{E001}'];

/// What is looked for, and how it is shown.
#[derive(Clone, Debug)]
pub struct Question {
    /// The mall.
    pub mall: MallId,
    /// What of it may be shown.
    pub view: View,
    /// What a shopper typed. It is only ever text, it has no operators.
    pub text: Option<String>,
    /// What else words may be called.
    pub synonyms: Synonyms,
    /// The categories that words of the text may name.
    pub tree: Arc<Tree>,
    /// The categories of which a product stands in one; none asked for: all.
    pub categories: Option<Vec<CategoryId>>,
    /// The brands of which a product has one; none asked for: all.
    pub brands: Option<Vec<BrandId>>,
    /// The lowest list price in minor units.
    pub price_from: Option<i64>,
    /// The highest.
    pub price_to: Option<i64>,
    /// The sale state.
    pub sale_state: Option<SaleState>,
    /// The order.
    pub sort: Sort,
    /// Where to go on.
    pub after: Option<Place>,
    /// How many hits.
    pub limit: u32,
    /// What to count.
    pub facets: Vec<Facet>,
}

/// What of a mall may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// Everything.
    All,
    /// What a buyer may have.
    OnSale {
        /// At this moment.
        at: Timestamp,
        /// Of none of these sellers.
        suspended: Vec<PartnerId>,
    },
}

/// Groups of words that mean the same to a mall's shoppers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synonyms(pub Vec<Vec<String>>);

impl Question {
    /// All that `view` shows of `mall`, the newest first.
    pub fn all(mall: MallId, view: View, limit: u32) -> Self {
        Self {
            mall,
            view,
            text: None,
            synonyms: Synonyms::default(),
            tree: Arc::default(),
            categories: None,
            brands: None,
            price_from: None,
            price_to: None,
            sale_state: None,
            sort: Sort::Newest,
            after: None,
            limit,
            facets: vec![],
        }
    }

    /// The request body; near misses count where `approximate`.
    pub(super) fn body(&self, approximate: bool) -> Value {
        let text = self.text.as_deref();
        let must = text.map(|text| match approximate {
            false => exactly(text, &self.synonyms, &self.tree),
            true => nearly(text, &self.tree),
        });
        let mut filter = vec![json!({ "term": { "mall": self.mall } })];
        let narrowed: Vec<(Facet, Value)> = self.narrowed();
        let all = narrowed.iter().map(|(_, clause)| clause.clone());
        let mut body = json!({
            // One more, to see whether any follow.
            "size": self.limit + 1,
            "track_total_hits": COUNTED,
            "_source": { "excludes": ["description", "options", "sku_codes"] },
            "sort": self.sort.clauses(),
            "highlight": {
                "pre_tags": [MARKS[0]], "post_tags": [MARKS[1]], "number_of_fragments": 0,
                "fields": { "name": {}, "name.en": {} },
            },
        });
        if self.facets.is_empty() {
            filter.extend(all);
        } else {
            // What is counted of a facet is narrowed by the others, not by what is chosen of it.
            body["post_filter"] = json!({ "bool": { "filter": all.collect::<Vec<_>>() } });
            body["aggs"] = self.facets.iter().map(|facet| facet.counted(&narrowed)).collect();
        }
        let must_not = self.view.excluded(&mut filter);
        body["query"] = json!({ "bool": {
            "filter": filter, "must_not": must_not, "must": must.as_slice(),
        } });
        if let Some(place) = &self.after {
            body["search_after"] = json!(place.after);
        }
        body
    }

    fn narrowed(&self) -> Vec<(Facet, Value)> {
        let mut narrowed = vec![];
        if let Some(categories) = &self.categories {
            narrowed.push((Facet::Category, json!({ "terms": { "category_ids": categories } })));
        }
        if let Some(brands) = &self.brands {
            narrowed.push((Facet::Brand, json!({ "terms": { "brand_id": brands } })));
        }
        if self.price_from.is_some() || self.price_to.is_some() {
            let range = json!({ "gte": self.price_from, "lte": self.price_to });
            narrowed.push((Facet::Price, json!({ "range": { "list_price_minor": range } })));
        }
        if let Some(state) = self.sale_state {
            narrowed.push((Facet::SaleState, json!({ "term": { "sale_state": state } })));
        }
        narrowed
    }
}

impl View {
    /// What [`domain::product::Offer::is_on_sale`] says of a document: adds what must be to
    /// `filter`, answers what must not.
    pub(super) fn excluded(&self, filter: &mut Vec<Value>) -> Vec<Value> {
        let Self::OnSale { at, suspended } = self else { return vec![] };
        filter.push(json!({ "term": { "sale_state": SaleState::OnSale } }));
        filter.push(json!({ "term": { "approval": Approval::Finished } }));
        filter.push(json!({ "term": { "displayed": true } }));
        vec![
            json!({ "range": { "sale_starts_at": { "gt": at } } }),
            json!({ "range": { "sale_ends_at": { "lte": at } } }),
            json!({ "terms": { "partner_id": suspended } }),
        ]
    }
}

impl Synonyms {
    /// The text, then what it is with other words of the mall in the place of some.
    fn readings(&self, text: &str) -> Vec<String> {
        let normal = |text: &str| format!(" {} ", words(text).join(" "));
        let typed = normal(text);
        let mut readings = vec![text.to_owned()];
        for group in &self.0 {
            let group: Vec<String> = group.iter().map(|word| normal(word)).collect();
            for said in group.iter().filter(|said| typed.contains(said.as_str())) {
                let others = group.iter().filter(|other| *other != said);
                readings.extend(others.map(|other| typed.replace(said, other).trim().to_owned()));
            }
        }
        readings.truncate(READINGS);
        readings
    }
}

/// All words as they are, and those that are initials as such.
fn exactly(text: &str, synonyms: &Synonyms, tree: &Tree) -> Value {
    let (initials, others): (Vec<&str>, Vec<&str>) =
        text.split_whitespace().partition(|word| is_initials(word));
    let mut must: Vec<Value> = initials.into_iter().map(begins_initials).collect();
    if must.is_empty() || !others.is_empty() {
        let readings = synonyms.readings(&others.join(" "));
        let ways = readings
            .iter()
            .flat_map(|text| std::iter::once(matches(text)).chain(names_category(text, tree)));
        must.push(any(&ways.collect::<Vec<_>>()));
    }
    json!({ "bool": { "must": must } })
}

/// All words, each as the product has it or as its category is called; nothing where none of them
/// names one.
fn names_category(text: &str, tree: &Tree) -> Option<Value> {
    let words = words(text);
    let meant = tree.meant(&words);
    if meant.iter().all(Vec::is_empty) {
        return None;
    }
    let ways = words.iter().zip(&meant).map(|(word, ids)| any(&[matches(word), stands_in(ids)]));
    Some(json!({ "bool": { "must": ways.collect::<Vec<_>>() } }))
}

fn stands_in(categories: &[CategoryId]) -> Value {
    let terms = json!({ "terms": { "category_ids": categories } });
    json!({ "constant_score": { "filter": terms, "boost": OF_CATEGORY } })
}

/// All words, each as it is or nearly so.
fn nearly(text: &str, tree: &Tree) -> Value {
    let words = words(text);
    if words.is_empty() {
        return json!({ "match_none": {} });
    }
    let nearly = |(word, meant): (&String, &Vec<CategoryId>)| {
        let typed = letters(word);
        let fuzziness = misses(&typed);
        let near = json!({ "fuzzy": { "letters": { "value": typed, "fuzziness": fuzziness } } });
        let begun = json!({ "prefix": { "letters": typed } });
        any(&[matches(word), near, begun, begins_initials(word), stands_in(meant)])
    };
    let must: Vec<Value> = words.iter().zip(&tree.meant(&words)).map(nearly).collect();
    json!({ "bool": { "must": must } })
}

/// The best of several ways.
pub(super) fn any(ways: &[Value]) -> Value {
    json!({ "dis_max": { "queries": ways } })
}

/// How many letters of a word may be wrong. Hangul has more letters to a word than Latin has.
fn misses(letters: &str) -> u8 {
    match letters.chars().count() {
        ..4 => 0,
        4..8 => 1,
        _ => 2,
    }
}

pub(super) fn begins_initials(word: &str) -> Value {
    json!({ "prefix": { "initials": word } })
}

pub(super) fn matches(text: &str) -> Value {
    json!({ "multi_match": {
        "query": text, "fields": FIELDS, "type": "cross_fields", "operator": "and"
    } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_with_the_other_words_of_the_mall() {
        let group = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let synonyms =
            Synonyms(vec![group(&["티셔츠", "Tee", "t-shirt"]), group(&["빨강", "레드"])]);
        assert_eq!(
            synonyms.readings("빨강 TEE"),
            ["빨강 TEE", "빨강 티셔츠", "빨강 t shirt", "레드 tee",]
        );
        assert_eq!(synonyms.readings("committee"), ["committee"]);
    }
}
