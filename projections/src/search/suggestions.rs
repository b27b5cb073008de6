//! What somebody may be about to type.

use domain::MallId;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Search, SearchError, View,
    hangul::{letters, words},
    query::checked,
    question::{any, begins_initials, matches},
};

impl Search {
    /// Names of products that have the words typed so far, the last of them perhaps not to its end:
    /// 무선 처 for 무선청소기, ㅊㅅ for 청소기. Each once, the best first.
    ///
    /// # Errors
    /// [`SearchError::Question`] when the text is too long, else as the engine refuses or does not
    /// answer.
    pub async fn suggest(
        &self,
        mall: &MallId,
        view: &View,
        typed: &str,
        limit: u32,
    ) -> Result<Vec<String>, SearchError> {
        checked(typed)?;
        let path = format!("{}/_search?allow_partial_search_results=false", self.asked());
        let answer = self.ask(Method::POST, &path, Some(&body(mall, view, typed, limit))).await?;
        let hits = answer["hits"]["hits"].as_array().into_iter().flatten();
        Ok(hits.filter_map(|hit| Some(hit["_source"]["name"].as_str()?.to_owned())).collect())
    }
}

fn body(mall: &MallId, view: &View, typed: &str, limit: u32) -> Value {
    let mut words = words(typed);
    let last = words.pop();
    let mut must: Vec<Value> =
        words.iter().map(|word| any(&[matches(word), begun(word)])).collect();
    must.push(last.map_or_else(|| json!({ "match_none": {} }), |last| begun(&last)));
    let mut filter = vec![json!({ "term": { "mall": mall } })];
    let must_not = view.excluded(&mut filter);
    // A name that begins with the text comes first.
    let whole = json!({ "prefix": { "name.raw": { "value": typed, "case_insensitive": true } } });
    let should = json!({ "constant_score": { "filter": whole, "boost": 10 } });
    json!({
        "size": limit,
        "_source": ["name"],
        "query": { "bool": {
            "filter": filter, "must_not": must_not, "must": must, "should": should,
        } },
        "collapse": { "field": "name.raw" },
        "sort": [{ "_score": "desc" }, { "registered_at": "desc" }, { "id": "asc" }],
    })
}

fn begun(word: &str) -> Value {
    any(&[json!({ "prefix": { "letters": letters(word) } }), begins_initials(word)])
}
