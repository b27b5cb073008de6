//! Records that no process of ours would write, among the commands of the others.

use anyhow::{Result, ensure};
use schemas::{CATALOG, partition_of};
use uuid::Uuid;

use super::{PATIENCE, Scene};
use crate::{
    Role,
    forge::{Forged, Forger},
    samples, until,
};

/// A payload that begins as a frame does: the magic byte and the id of a schema that nobody has.
const UNKNOWN_SCHEMA: &[u8] = b"\x00\x7f\xff\xff\xfe\x02";
const TEN_MEGABYTES: usize = 10 << 20;

/// Each kind of unreadable record in each lane; all become dead letters, and nothing stops.
pub(super) async fn unreadable(mut scene: Scene<'_>) -> Result<u32> {
    let payloads = [&b""[..], b"no frame\xff", UNKNOWN_SCHEMA, &UNKNOWN_SCHEMA[..3]];
    write(&mut scene, &payloads).await
}

/// A body of 10 MB is refused before it comes near the log, and as a record by the log. Where its topics
/// were told to take it compressed, it is a dead letter.
pub(super) async fn too_large(mut scene: Scene<'_>) -> Result<u32> {
    let client = scene.fleet.client()?;
    let mut body = samples::vacuum();
    body["description"] = "가".repeat(TEN_MEGABYTES / 3).into();
    let answer = client.post("/products", &body).send().await?;
    ensure!(answer.status == 413, "{answer:?}");
    let forger = Forger::new(scene.fleet.setting("JANGBU_KAFKA")?);
    for topic in [CATALOG.commands, CATALOG.bulk] {
        forger.configure(topic.name, "compression.type", "producer").await?;
    }
    let written = write(&mut scene, &[&vec![0; TEN_MEGABYTES]]).await;
    let (applied, printed) = scene.fleet.jangbu(&["topics", "apply", "--yes"])?;
    ensure!(applied.success(), "{printed}");
    Ok(1 + written?)
}

/// Writes such records into each lane, and waits until each is a dead letter.
async fn write(scene: &mut Scene<'_>, payloads: &[&[u8]]) -> Result<u32> {
    let forger = Forger::new(scene.fleet.setting("JANGBU_KAFKA")?);
    let handler = scene.fleet.process(Role::Handler)?;
    let before = handler.metric("jangbu_dead_letters_total").await?;
    let mut written = 0;
    for topic in [CATALOG.commands, CATALOG.bulk] {
        for payload in payloads {
            let key = Uuid::now_v7().to_string();
            forger.write(&Forged {
                topic: topic.name.to_owned(),
                partition: partition_of(&key, topic.partitions),
                offset: -1,
                key: key.into_bytes(),
                payload: payload.to_vec(),
                headers: vec![],
            })?;
            written += 1;
        }
    }
    until("each is a dead letter", PATIENCE, async || {
        let letters = handler.metric("jangbu_dead_letters_total").await? - before;
        Ok((letters >= f64::from(written)).then_some(()))
    })
    .await?;
    Ok(written)
}
