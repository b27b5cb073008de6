//! From an acknowledged change to a read, and to a search, that shows it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tests::{Client, Fleet, Stack, samples};
use uuid::Uuid;

use crate::{
    REPEATS,
    figures::{Figures, Latencies, alone, head, line, processor_times, tell_processor_time},
};

const CHANGES: u32 = 100;

pub(crate) async fn measure(stack: &Stack, fleet: &mut Fleet) -> Result<()> {
    let client = fleet.client()?;
    let index = format!("{}/bench", stack.address("JANGBU_OPENSEARCH")?);
    let mut search: [[Figures; 2]; 2] = Default::default();
    let mut read: [Figures; 2] = Default::default();
    let settings = json!({"settings": {"number_of_shards": 1, "number_of_replicas": 0}});
    let made = reqwest::Client::new().put(&index).json(&settings).send().await?;
    made.error_for_status()?;
    let before = processor_times(fleet, stack)?;
    for _ in 0..REPEATS {
        let (rows, documents) = changes(&client, CHANGES).await?;
        let bare = documents_alone(&index).await?;
        for (at, share) in [0.5, 0.99].into_iter().enumerate() {
            read[at].add(rows.at(share));
            search[at][0].add(documents.at(share));
            search[at][1].add(bare.at(share));
        }
    }
    head("change to visible");
    alone("in MySQL, p50 ms", &read[0]);
    alone("in MySQL, p99 ms", &read[1]);
    line("in the search, p50 ms", &search[0][0], &search[0][1]);
    line("in the search, p99 ms", &search[1][0], &search[1][1]);
    let changes = REPEATS * usize::try_from(CHANGES)?;
    tell_processor_time(&before, &processor_times(fleet, stack)?, changes);
    Ok(())
}

/// Both clocks begin when the change is acknowledged.
pub(crate) async fn changes(client: &Client, count: u32) -> Result<(Latencies, Latencies)> {
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
async fn documents_alone(index: &str) -> Result<Latencies> {
    let http = reqwest::Client::new();
    let mut latencies = Latencies::new()?;
    for _ in 0..CHANGES {
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
