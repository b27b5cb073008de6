//! What `jangbu verify` says of a run, and that it would say so if something were wrong.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Message},
    producer::{BaseProducer, BaseRecord, Producer},
};
use schemas::CATALOG;
use tests::{Role, process::Process, samples, until};

use crate::world::World;

/// Expects that log, read models and search agree once everything has caught up.
pub(crate) async fn finds_nothing(world: &World) -> Result<()> {
    let what = "verify finds nothing";
    until(what, Duration::from_secs(60), async || {
        let (status, printed) = world.fleet.jangbu(&["verify", "--wait", "20"])?;
        ensure!(status.success(), "{printed}");
        Ok(Some(()))
    })
    .await
}

pub(crate) async fn everything_agrees(world: &mut World) -> Result<()> {
    finds_nothing(world).await
}

pub(crate) async fn a_changed_row_is_found(world: &mut World) -> Result<()> {
    let (id, token) = world.client.register(&samples::vacuum()).await?;
    let path = format!("/products/{id}");
    world.client.see(&path, &token).await?;
    finds_nothing(world).await?;
    set_price(world, &id, 1).await?;
    let (status, printed) = world.fleet.jangbu(&["verify"])?;
    set_price(world, &id, 199_000).await?;
    ensure!(!status.success() && printed.contains(&id), "it went unseen: {printed}");
    finds_nothing(world).await
}

/// Past the projector: nobody else writes a row.
async fn set_price(world: &World, id: &str, minor: i64) -> Result<()> {
    let db = sqlx::MySqlPool::connect(world.stack.address("JANGBU_MYSQL")?).await?;
    let change = "UPDATE products_v1 SET list_price_minor = ? WHERE id = UUID_TO_BIN(?)";
    let done = sqlx::query(change).bind(minor).bind(id).execute(&db).await?;
    ensure!(done.rows_affected() == 1, "no row of {id}");
    Ok(())
}

/// The last test of all: what stands in the log stays there.
pub(crate) async fn a_doubled_event_stops_its_partition_and_is_found(
    world: &mut World,
) -> Result<()> {
    let (id, token) = world.client.register(&samples::vacuum()).await?;
    world.client.see(&format!("/products/{id}"), &token).await?;
    double_last_event(world.stack.address("JANGBU_KAFKA")?, &id)?;
    let projector: &Process = world.fleet.process(Role::Projector)?;
    until("the projector stops the partition", Duration::from_secs(20), async || {
        Ok((projector.metric("jangbu_partition_stopped").await? > 0.0).then_some(()))
    })
    .await?;
    let (status, printed) = world.fleet.jangbu(&["verify"])?;
    ensure!(!status.success() && printed.contains(&id), "it went unseen: {printed}");
    Ok(())
}

/// Writes the only event of a product a second time, byte for byte.
fn double_last_event(kafka: &str, id: &str) -> Result<()> {
    let topic = CATALOG.events;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka).set("group.id", "a-vandal");
    config.set("isolation.level", "read_committed").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create()?;
    let mut all = rdkafka::TopicPartitionList::new();
    let partition = schemas::partition_of(id, topic.partitions);
    all.add_partition_offset(topic.name, partition, rdkafka::Offset::Beginning)?;
    consumer.assign(&all)?;
    loop {
        let message = consumer.poll(Duration::from_secs(10)).context("no such event")??;
        if message.key() == Some(id.as_bytes()) {
            return produce_again(kafka, &message);
        }
    }
}

fn produce_again(kafka: &str, message: &BorrowedMessage<'_>) -> Result<()> {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", kafka).create()?;
    let mut record = BaseRecord::to(message.topic()).partition(message.partition());
    record = record.key(message.key().context("no key")?);
    record = record.payload(message.payload().context("no value")?);
    if let Some(headers) = message.headers() {
        record = record.headers(headers.detach());
    }
    producer.send(record).map_err(|(error, _)| error)?;
    for _ in 0..100 {
        if producer.in_flight_count() == 0 {
            return Ok(());
        }
        producer.poll(Duration::from_millis(100));
    }
    bail!("the doubled event was not acknowledged")
}
