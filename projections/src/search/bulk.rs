//! Writing many documents at once.

use std::{ops::Range, time::Duration};

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Document, Search, SearchError, Versioned, hangul, reason, refused, unreadable, value};

/// A request carries at most so many documents, and about so many bytes.
const MOST_DOCUMENTS: usize = 1000;
const MOST_BYTES: usize = 5 << 20;
/// What is not taken after these pauses is given back to the caller.
const PAUSES_MS: [u64; 5] = [50, 100, 200, 400, 800];

/// What became of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is in the index.
    Indexed,
    /// The index has it already, as new or newer.
    Newer,
    /// The engine will never take it as it is.
    Refused(String),
}

/// What became of each document of a bulk, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bulk {
    /// One result per document.
    pub written: Vec<Written>,
    /// How many documents had to be sent again.
    pub retried: usize,
}

impl Search {
    /// Writes whole documents into an index version, each under its external version: of two
    /// writers the one that read later wins, in whichever order they write.
    ///
    /// # Errors
    /// [`SearchError`] when some document was neither written nor refused. To write all of them
    /// again is safe.
    pub async fn bulk(&self, version: i32, documents: &[Versioned]) -> Result<Bulk, SearchError> {
        let path = format!(
            "{}/_bulk?filter_path=items.*.status,items.*.error,error,status",
            self.index(version)
        );
        let lines = documents.iter().map(lines).collect::<Result<Vec<_>, _>>()?;
        let mut bulk = Bulk::default();
        for part in parts(&lines) {
            self.write(&path, &lines[part], &mut bulk).await?;
        }
        Ok(bulk)
    }

    async fn write(
        &self,
        path: &str,
        lines: &[Vec<u8>],
        bulk: &mut Bulk,
    ) -> Result<(), SearchError> {
        let mut results = vec![None; lines.len()];
        let mut pauses = PAUSES_MS.iter();
        while let Some(busy) = self.attempt(path, lines, &mut results).await? {
            let Some(pause) = pauses.next() else { return Err(busy) };
            bulk.retried += results.iter().filter(|result| result.is_none()).count();
            tokio::time::sleep(Duration::from_millis(*pause)).await;
        }
        bulk.written.extend(results.into_iter().flatten());
        Ok(())
    }

    /// Sends the documents that have no result yet, and answers why some still have none.
    async fn attempt(
        &self,
        path: &str,
        lines: &[Vec<u8>],
        results: &mut [Option<Written>],
    ) -> Result<Option<SearchError>, SearchError> {
        let open: Vec<usize> = (0..lines.len()).filter(|&at| results[at].is_none()).collect();
        let body = open.iter().map(|&at| lines[at].as_slice()).collect::<Vec<_>>().concat();
        match self.send(Method::POST, path, Some(body)).await {
            Ok((status, text)) if status.is_success() => settle(&text, &open, results),
            Ok((status, text)) if passes(status) => Ok(Some(refused(status, &value(text)))),
            Ok((status, text)) => Err(refused(status, &value(text))),
            Err(error) => Ok(Some(error)),
        }
    }
}

/// What the engine says of a bulk: of each document by itself.
#[derive(Deserialize)]
struct Answer {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
    #[serde(default)]
    error: Value,
}

/// Notes what became of each document of an answer, which lists them in the order sent.
fn settle(
    answer: &str,
    open: &[usize],
    results: &mut [Option<Written>],
) -> Result<Option<SearchError>, SearchError> {
    let Answer { items } = serde_json::from_str(answer).map_err(|why| unreadable(&why))?;
    if items.len() != open.len() {
        return Err(unreadable(&format!("{} results of {}", items.len(), open.len())));
    }
    let mut busy = None;
    for (&at, Item { index: Outcome { status, error } }) in open.iter().zip(items) {
        let why = || reason(&error, &error);
        results[at] = match StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY) {
            StatusCode::CONFLICT => Some(Written::Newer),
            // Only these are the document's own fault; a missing index or right is not.
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => {
                Some(Written::Refused(why()))
            }
            status if status.is_success() => Some(Written::Indexed),
            status if passes(status) => {
                busy = Some(SearchError::Refused { status: status.as_u16(), reason: why() });
                None
            }
            status => return Err(SearchError::Refused { status: status.as_u16(), reason: why() }),
        };
    }
    Ok(busy)
}

fn passes(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// A document with what is searched of its names; they are not read back.
#[derive(Serialize)]
struct Sent<'d> {
    #[serde(flatten)]
    document: &'d Document,
    letters: Vec<String>,
    initials: Vec<String>,
}

impl<'d> Sent<'d> {
    fn of(document: &'d Document) -> Self {
        let brand = document.brand_name.as_deref().unwrap_or_default();
        // Between the two a mark, so that no initials run over it.
        let names = format!("{}/{brand}", document.name);
        let (letters, initials) = (hangul::all_letters(&names), hangul::all_initials(&names));
        Self { document, letters, initials }
    }
}

/// The two lines of a bulk request that write a document under its version.
///
/// # Errors
/// [`SearchError::Question`] when it is no JSON.
pub fn lines(versioned: &Versioned) -> Result<Vec<u8>, SearchError> {
    let (id, version) = (versioned.document.id, versioned.version);
    let action = r#"{"index":{"version_type":"external","version":"#;
    let mut lines = format!("{action}{version},\"_id\":\"{id}\"}}}}\n").into_bytes();
    serde_json::to_writer(&mut lines, &Sent::of(&versioned.document))
        .map_err(|error| SearchError::Question(error.to_string()))?;
    lines.push(b'\n');
    Ok(lines)
}

/// Cuts documents into requests.
fn parts(lines: &[impl AsRef<[u8]>]) -> Vec<Range<usize>> {
    let (mut parts, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (at, line) in lines.iter().enumerate() {
        let line = line.as_ref();
        if at > begin && (at - begin == MOST_DOCUMENTS || bytes + line.len() > MOST_BYTES) {
            parts.push(begin..at);
            (begin, bytes) = (at, 0);
        }
        bytes += line.len();
    }
    if begin < lines.len() {
        parts.push(begin..lines.len());
    }
    parts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settled(items: &Value) -> (Vec<Option<Written>>, Option<String>) {
        let open: Vec<usize> = (0..items.as_array().map_or(0, Vec::len)).collect();
        let mut results = vec![None; open.len()];
        let busy = settle(&json!({ "items": items }).to_string(), &open, &mut results);
        (results, busy.unwrap().map(|error| error.to_string()))
    }

    #[test]
    fn a_conflict_is_success_and_only_the_busy_stay_open() {
        let error =
            json!({ "type": "strict_dynamic_mapping_exception", "reason": "no such field" });
        let (results, busy) = settled(&json!([
            { "index": { "status": 201 } },
            { "index": { "status": 409, "error": { "type": "version_conflict_engine_exception" } } },
            { "index": { "status": 429, "error": { "type": "rejected", "reason": "full" } } },
            { "index": { "status": 400, "error": error } },
        ]));
        let why = "strict_dynamic_mapping_exception: no such field".to_owned();
        let expected =
            [Some(Written::Indexed), Some(Written::Newer), None, Some(Written::Refused(why))];
        assert_eq!(results, expected);
        assert!(busy.is_some_and(|why| why.contains("rejected: full")));
    }

    #[test]
    fn a_missing_index_is_nobodys_document() {
        let items = json!([{ "index": { "status": 404 } }]);
        assert!(settle(&json!({ "items": items }).to_string(), &[0], &mut [None]).is_err());
        assert!(settle(r#"{"items":[]}"#, &[0], &mut [None]).is_err());
    }

    #[test]
    fn requests_are_bounded_in_count_and_size() {
        assert_eq!(parts(&vec!["x".to_owned(); 2500]), [0..1000, 1000..2000, 2000..2500]);
        let large = "x".repeat(MOST_BYTES + 1);
        assert_eq!(parts(&[large.clone(), "x".to_owned(), large]), [0..1, 1..2, 2..3]);
        assert_eq!(parts(&[""; 0]), []);
    }
}
