//! The yardstick of everything that fills an index: `_bulk` of the same documents, rendered
//! beforehand, into an index that is laid out alike.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use domain::ProductId;
use projections::search::{Search, Versioned, lines};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tests::Stack;
use tokio::task::JoinSet;

use crate::replayed::{id, rate};

/// Documents of a request, and requests under way.
const EACH: usize = 1_000;
const CLIENTS: usize = 4;
const INDEX: &str = "bench_documents";

/// Requests to `_bulk`.
pub(crate) struct Bodies {
    bodies: Vec<Vec<u8>>,
    documents: i64,
    /// What an index for them is made with.
    layout: Value,
    base: String,
}

impl Bodies {
    /// Those that fill an index as that version is filled.
    pub(crate) async fn of(stack: &Stack, version: &str, documents: i64) -> Result<Self> {
        let base = stack.address("JANGBU_OPENSEARCH")?.to_owned();
        let (search, version) = (Search::new(&base)?, version.parse()?);
        let index = search.index(version);
        let known: Value = reqwest::get(format!("{base}/{index}")).await?.json().await?;
        let mut settings = known[&index]["settings"]["index"].clone();
        let of_its_own = settings.as_object_mut().context("no settings")?;
        for own in ["uuid", "creation_date", "provided_name", "version"] {
            of_its_own.remove(own);
        }
        // One refresh at the end, since nobody reads before.
        of_its_own.insert("refresh_interval".to_owned(), json!("-1"));
        let layout = json!({"settings": settings, "mappings": known[&index]["mappings"]});
        let ids: Vec<_> = (0..documents).map(|number| ProductId(id(number))).collect();
        let mut bodies = vec![];
        for ids in ids.chunks(EACH) {
            let found = search.fetch(version, ids).await?;
            ensure!(found.len() == ids.len(), "{} of {} documents", found.len(), ids.len());
            let found = found.into_values();
            let each = found.map(|(version, document)| lines(&Versioned { document, version }));
            bodies.push(each.collect::<Result<Vec<_>, _>>()?.concat());
        }
        Ok(Self { bodies, documents, layout, base })
    }

    /// Fills an index with them; documents in a second, until a search would find all.
    pub(crate) async fn write(&self) -> Result<f64> {
        let (http, base) = (reqwest::Client::new(), &self.base);
        let index = format!("{base}/{INDEX}");
        http.delete(&index).query(&[("ignore_unavailable", "true")]).send().await?;
        http.put(&index).json(&self.layout).send().await?.error_for_status()?;
        let left = Arc::new(Mutex::new(self.bodies.clone()));
        let (mut clients, began) = (JoinSet::new(), Instant::now());
        for _ in 0..CLIENTS {
            let (http, left, index) = (http.clone(), left.clone(), index.clone());
            clients.spawn(async move {
                let next = || left.lock().ok().and_then(|mut left| left.pop());
                while let Some(body) = next() {
                    let put = http.post(format!("{index}/_bulk?filter_path=errors"));
                    let put = put.header(CONTENT_TYPE, "application/json").body(body);
                    let told = put.send().await?.error_for_status()?.text().await?;
                    ensure!(told.contains("false"), "{told}");
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = clients.join_next().await {
            ended??;
        }
        http.post(format!("{index}/_refresh")).send().await?.error_for_status()?;
        let rate = rate(self.documents, began.elapsed())?;
        let counted: Value = http.get(format!("{index}/_count")).send().await?.json().await?;
        ensure!(counted["count"].as_i64() == Some(self.documents), "{counted}");
        http.delete(&index).send().await?.error_for_status()?;
        Ok(rate)
    }
}
