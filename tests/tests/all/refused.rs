//! Rows that MySQL does not take.

use std::time::Duration;

use anyhow::{Result, ensure};
use projections::Tables;
use schemas::{CATALOG, partition_of};
use sqlx::AssertSqlSafe;
use tests::{samples, wait::until_true};

use crate::{verify, world::World};

const PATIENCE: Duration = Duration::from_secs(60);

/// One row holds up its partition of its projection, and nothing else.
pub(crate) async fn what_mysql_refuses_waits_alone(world: &mut World) -> Result<()> {
    let client = &world.client;
    let (id, token) = client.register(&samples::vacuum()).await?;
    let partition = |id: &str| partition_of(id, CATALOG.events.partitions);
    let history = |id: &str| format!("/products/{id}/history");
    client.see(&history(&id), &token).await?;
    let db = projections::connect(world.fleet.setting("JANGBU_MYSQL")?, 1).await?;
    let table = format!("history_v{}", Tables::active(&db).await?.version("history"));
    let refuse = format!(
        "ALTER TABLE {table} ADD CONSTRAINT refused \
         CHECK (version < 2 OR aggregate_id <> UUID_TO_BIN('{id}'))"
    );
    sqlx::query(AssertSqlSafe(refuse)).execute(&db).await?;

    let others = async {
        let path = format!("/products/{id}/reprice");
        let refused = client.post(&path, &samples::reprice(5)).send().await?.expect(200)?;
        let refused = refused.header("consistency-token")?;
        client.see(&format!("/products/{id}"), &refused).await?;
        let read = client.get(&history(&id)).seeing(&refused).send().await?;
        ensure!(read.status == 503, "{read:?}");
        // A few of them: some lie in other partitions.
        for _ in 0..6 {
            let (other, token) = client.register(&samples::vacuum()).await?;
            client.see(&format!("/products/{other}"), &token).await?;
            if partition(&other) != partition(&id) {
                client.see(&history(&other), &token).await?;
            }
        }
        anyhow::Ok(refused)
    };
    let refused = others.await;
    let take = format!("ALTER TABLE {table} DROP CONSTRAINT refused");
    sqlx::query(AssertSqlSafe(take)).execute(&db).await?;
    let refused = refused?;
    until_true("the row is taken", PATIENCE, async || {
        Ok(client.get(&history(&id)).seeing(&refused).send().await?.status == 200)
    })
    .await?;
    verify::finds_nothing(world).await
}
