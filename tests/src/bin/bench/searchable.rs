//! From an acknowledged change to a search that shows it, one at a time, beside a document that is
//! put into an index, refreshed and found.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tests::{Client, Fleet, Stack, samples};
use uuid::Uuid;

use crate::{
    Run,
    figures::{Latencies, Pair, processor_times, spent},
    report::Report,
};

const CHANGES: usize = 100;

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet, run: Run) -> Result<Report> {
    let (client, changes) = (fleet.client()?, run.pick(CHANGES, 20));
    let index = format!("{}/bench", stack.address("JANGBU_OPENSEARCH")?);
    let settings = json!({"settings": {"number_of_shards": 1, "number_of_replicas": 0}});
    let made = reqwest::Client::new().put(&index).json(&settings).send().await?;
    made.error_for_status()?;
    let (mut read, mut found, mut bare) = <(Pair, Pair, Pair)>::default();
    let mut before = processor_times(fleet, stack)?;
    for repeat in 0..=run.repeats {
        let (rows, documents) = these(&client, changes).await?;
        let alone = documents_alone(&index, changes).await?;
        // The first turn warms up.
        if repeat == 0 {
            before = processor_times(fleet, stack)?;
            continue;
        }
        read.add(&rows);
        found.add(&documents);
        bare.add(&alone);
    }
    let mut report = Report::default();
    report.head("from an acknowledged change to visible, one at a time");
    report.pair("in MySQL", &read, None);
    report.pair("in the search", &found, Some(&bare));
    report.note(spent(&before, &processor_times(fleet, stack)?, run.repeats * changes));
    Ok(report)
}

/// Both clocks begin when the change is acknowledged.
async fn these(client: &Client, count: usize) -> Result<(Latencies, Latencies)> {
    let (mut rows, mut documents) = (Latencies::new()?, Latencies::new()?);
    for number in 0..count {
        let name = format!("측정 {number} {}", Uuid::now_v7().simple());
        let (id, token) = client.register(&samples::plain(&name)).await?;
        let acknowledged = Instant::now();
        let seen = async |request: tests::client::Request| {
            request.seeing(&token).send().await?.expect(200)?;
            anyhow::Ok(acknowledged.elapsed())
        };
        let (row, document) = tokio::try_join!(
            seen(client.get(&format!("/products/{id}"))),
            seen(client.search(&name)),
        )?;
        rows.add(row)?;
        documents.add(document)?;
    }
    Ok((rows, documents))
}

/// The limit: a document put into an index of its own, refreshed and found.
async fn documents_alone(index: &str, count: usize) -> Result<Latencies> {
    let http = reqwest::Client::new();
    let mut latencies = Latencies::new()?;
    for _ in 0..count {
        let (name, begin) = (Uuid::now_v7().simple().to_string(), Instant::now());
        let put = http.put(format!("{index}/_doc/{name}?refresh=true"));
        put.json(&json!({ "name": name })).send().await?.error_for_status()?;
        let found = http.get(format!("{index}/_search")).query(&[("q", format!("name:{name}"))]);
        let found = found.timeout(Duration::from_secs(10)).send().await?.text().await?;
        ensure!(found.contains(&name), "{found}");
        latencies.add(begin.elapsed())?;
    }
    Ok(latencies)
}
