//! What is counted of all hits beside the page that is shown.

use domain::product::SaleState;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

/// Where prices are parted: 1, 2 and 5 times the powers of ten, in minor units.
const DECADES: std::ops::Range<u32> = 2..9;
/// Brands and categories that are counted, the most frequent ones.
const MOST: u32 = 100;

/// What can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facet {
    /// By brand.
    Brand,
    /// By category, each product in those that it stands in itself.
    Category,
    /// By list price.
    Price,
    /// By sale state.
    SaleState,
}

/// How many products there are of each kind. What was chosen of one facet does not narrow its own
/// counts, so that the choice can be changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Facets {
    /// By brand, the most frequent first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brands: Option<Vec<EntryCount>>,
    /// By category, the most frequent first; products count where they stand themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub categories: Option<Vec<EntryCount>>,
    /// By list price, the cheapest first; ranges without a product are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<Vec<PriceCount>>,
    /// By sale state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sale_states: Option<Vec<StateCount>>,
}

/// How many products refer to a brand or category.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EntryCount {
    /// The brand or category.
    pub id: Uuid,
    /// Its name, where it is known.
    pub name: Option<String>,
    /// How many.
    pub count: u64,
}

/// How many products have such a price.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PriceCount {
    /// The lowest, in minor units: a `price_from`.
    pub price_from: i64,
    /// The highest, in minor units: a `price_to`; none for the last range.
    pub price_to: Option<i64>,
    /// How many.
    pub count: u64,
}

/// How many products are in a sale state.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct StateCount {
    /// The state.
    pub sale_state: SaleState,
    /// How many.
    pub count: u64,
}

/// The aggregations of an answer, by the name of their facet; those that were asked for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Counted {
    brand: Option<Of<Uuid>>,
    category: Option<Of<Uuid>>,
    price: Option<Of<IgnoredAny>>,
    sale_state: Option<Of<SaleState>>,
}

/// What is counted within its filter.
#[derive(Deserialize)]
struct Of<Key> {
    counts: Counts<Key>,
}

#[derive(Deserialize)]
struct Counts<Key> {
    buckets: Vec<Bucket<Key>>,
}

#[derive(Deserialize)]
struct Bucket<Key> {
    key: Key,
    doc_count: u64,
}

impl Facet {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Brand, "brand"),
        (Self::Category, "category"),
        (Self::Price, "price"),
        (Self::SaleState, "sale_state"),
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(facet, _)| *facet == self).map_or("", |(_, text)| text)
    }

    /// The aggregation, under its name: of what all clauses but its own leave.
    pub(super) fn counted(self, narrowed: &[(Self, Value)]) -> (String, Value) {
        let others = narrowed.iter().filter(|(facet, _)| *facet != self);
        let others: Vec<&Value> = others.map(|(_, clause)| clause).collect();
        let counts = match self {
            Self::Brand => json!({ "terms": { "field": "brand_id", "size": MOST } }),
            Self::Category => json!({ "terms": { "field": "category_ids", "size": MOST } }),
            Self::SaleState => json!({ "terms": { "field": "sale_state" } }),
            Self::Price => {
                json!({ "range": { "field": "list_price_minor", "ranges": ranges() } })
            }
        };
        let left = json!({ "bool": { "filter": others } });
        let counted = json!({ "filter": left, "aggs": { "counts": counts } });
        (self.as_str().to_owned(), counted)
    }
}

impl std::str::FromStr for Facet {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, known)| *known == text);
        found.map(|(facet, _)| *facet).ok_or_else(|| {
            let known = Self::ALL.map(|(_, known)| known).join(", ");
            format!("`facets` are some of {known}, with commas")
        })
    }
}

impl Counted {
    /// Whether it was counted by this facet.
    pub(super) fn has(&self, facet: Facet) -> bool {
        match facet {
            Facet::Brand => self.brand.is_some(),
            Facet::Category => self.category.is_some(),
            Facet::Price => self.price.is_some(),
            Facet::SaleState => self.sale_state.is_some(),
        }
    }
}

impl From<Counted> for Facets {
    fn from(counted: Counted) -> Self {
        Self {
            brands: counted.brand.map(|of| of.counts.buckets.into_iter().map(entry).collect()),
            categories: counted
                .category
                .map(|of| of.counts.buckets.into_iter().map(entry).collect()),
            prices: counted.price.map(|of| prices(of.counts.buckets)),
            sale_states: counted.sale_state.map(|of| {
                let state = |of: Bucket<_>| StateCount { sale_state: of.key, count: of.doc_count };
                of.counts.buckets.into_iter().map(state).collect()
            }),
        }
    }
}

fn entry(Bucket { key: id, doc_count: count }: Bucket<Uuid>) -> EntryCount {
    EntryCount { id, name: None, count }
}

/// The engine answers in the order of the ranges.
fn prices(buckets: Vec<Bucket<IgnoredAny>>) -> Vec<PriceCount> {
    let ranges = bounds().zip(buckets).filter(|(_, bucket)| bucket.doc_count > 0);
    ranges
        .map(|((from, to), bucket)| PriceCount {
            price_from: from,
            price_to: to.map(|to| to - 1),
            count: bucket.doc_count,
        })
        .collect()
}

fn ranges() -> Vec<Value> {
    bounds().map(|(from, to)| json!({ "from": from, "to": to })).collect()
}

/// From, and up to but without.
fn bounds() -> impl Iterator<Item = (i64, Option<i64>)> {
    let steps = || DECADES.flat_map(|power| [1, 2, 5].map(|step| step * 10_i64.pow(power)));
    std::iter::once(0).chain(steps()).zip(steps().map(Some).chain([None]))
}
