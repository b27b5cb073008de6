//! The bare loop: the same HTTP server and payload; it produces, consumes, and answers. No rules, no
//! transaction, no second topic.
#![expect(clippy::disallowed_types, reason = "the simplest producer, and it is never idle")]

use std::{
    collections::HashMap,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{Router, extract::State, http::StatusCode, routing::post};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseRecord, DefaultProducerContext, ThreadedProducer},
};
use tests::until;
use tokio::sync::oneshot;
use uuid::Uuid;

const TOPIC: &str = "bench.bare-loop";

struct Loop {
    producer: ThreadedProducer<DefaultProducerContext>,
    waiting: Mutex<HashMap<Uuid, oneshot::Sender<()>>>,
}

/// The bare loop in a process of its own; dropped, it is killed.
pub(crate) struct BareLoop {
    child: Child,
    /// Where it answers POST.
    pub(crate) address: String,
}

impl BareLoop {
    pub(crate) async fn start(kafka: &str) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bare-loop", kafka, &port.to_string()]).stdin(Stdio::null());
        let this = Self { child: command.spawn()?, address: format!("http://127.0.0.1:{port}/") };
        let http = reqwest::Client::new();
        until("the bare loop answers", Duration::from_secs(20), async || {
            let answer = http.post(&this.address).body("{}").send().await?;
            Ok(answer.status().is_success().then_some(()))
        })
        .await?;
        Ok(this)
    }
}

impl Drop for BareLoop {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs as the process that [`BareLoop::start`] starts.
pub(crate) async fn serve(words: &[String]) -> Result<()> {
    let [kafka, port] = words else { anyhow::bail!("bare-loop KAFKA PORT") };
    make_topic(kafka).await?;
    // As the api's own producer: acknowledged by all, in order, at once.
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka).set("enable.idempotence", "true");
    config.set("linger.ms", "0").set("socket.nagle.disable", "true");
    let producer = config.create()?;
    let state = Arc::new(Loop { producer, waiting: Mutex::default() });
    let consumer = consumer(kafka)?;
    let of_thread = state.clone();
    thread::spawn(move || {
        loop {
            if let Some(Ok(message)) = consumer.poll(Duration::from_secs(1)) {
                of_thread.answer(message.key());
            }
        }
    });
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let listener = axum::serve::ListenerExt::tap_io(listener, |tcp| drop(tcp.set_nodelay(true)));
    let router = Router::new().route("/", post(pass)).with_state(state);
    Ok(axum::serve(listener, router).await?)
}

async fn pass(State(state): State<Arc<Loop>>, body: axum::body::Bytes) -> StatusCode {
    let id = Uuid::now_v7();
    let Some(answer) = state.expect(id) else { return StatusCode::INTERNAL_SERVER_ERROR };
    let record = BaseRecord::to(TOPIC).key(id.as_bytes()).payload(&body[..]);
    if state.producer.send(record).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    match answer.await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Loop {
    fn expect(&self, id: Uuid) -> Option<oneshot::Receiver<()>> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().ok()?.insert(id, sender);
        Some(receiver)
    }

    fn answer(&self, key: Option<&[u8]>) {
        let id = key.and_then(|key| Uuid::from_slice(key).ok());
        let waiter = id.and_then(|id| self.waiting.lock().ok()?.remove(&id));
        // Nobody waits for what an earlier run has left.
        let _ = waiter.map(|waiter| waiter.send(()));
    }
}

async fn make_topic(kafka: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka).create()?;
    let topic = NewTopic::new(TOPIC, schemas::topic::PARTITIONS, TopicReplication::Fixed(1));
    admin.create_topics([&topic], &AdminOptions::new()).await?;
    Ok(())
}

/// It reads from the beginning: an end is looked up later, perhaps after the first record.
fn consumer(kafka: &str) -> Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka).set("group.id", "bench").set("fetch.wait.max.ms", "100");
    config.set("fetch.queue.backoff.ms", "1").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create()?;
    let mut all = TopicPartitionList::new();
    for partition in 0..schemas::topic::PARTITIONS {
        all.add_partition_offset(TOPIC, partition, Offset::Beginning).context("the beginning")?;
    }
    consumer.assign(&all)?;
    Ok(consumer)
}
