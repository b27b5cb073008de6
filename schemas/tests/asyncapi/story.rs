//! What happens to one partner, brand, category tree and product, and to the synonyms of their mall:
//! the real values behind every example.

use std::collections::BTreeMap;

use domain::{
    Aggregate as _, CategoriesId, CommandId, MallId, ProductId, RecordEnum, RecordReader, Refusal,
    SkuId, SynonymsId, Timestamp, catalog, id::derive,
};
use schemas::{
    CATALOG, CommandMessage, Decision, DecisionMessage, EventMessage, Headers, Origin, Outcome,
    Records, Topic, Traceparent, Verdict, partition_of,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

/// A message of the story: what a record of its name looks like.
pub(crate) struct Told {
    /// The full name of its record.
    pub(crate) record: String,
    /// The kind of aggregate that it is about; empty for an outcome.
    pub(crate) kind: &'static str,
    pub(crate) headers: Headers,
    pub(crate) body: Body,
}

/// A record of any topic.
pub(crate) enum Body {
    Command(catalog::Command),
    Event(catalog::Event),
    Decision(Decision),
    Outcome(Outcome),
}

/// A line of `story.json`.
#[derive(Deserialize)]
struct Line {
    of: String,
    command: String,
    body: Value,
}

struct FromJson(Value);

impl RecordReader for FromJson {
    type Error = serde_json::Error;

    fn read<T: DeserializeOwned>(&self) -> Result<T, Self::Error> {
        T::deserialize(&self.0)
    }
}

/// Every message of the story, in order.
pub(crate) fn tell() -> Vec<Told> {
    let text = include_str!("story.json");
    let product = ProductId(key_of("product"));
    let text = ["V12-W", "V12-B"].iter().fold(text.to_owned(), |text, code| {
        text.replace(&format!("sku:{code}"), &SkuId::of(product, code).to_string())
    });
    let lines: Vec<Line> = serde_json::from_str(&text).unwrap();
    let mut teller = Teller::default();
    lines.into_iter().for_each(|line| teller.decide(line));
    teller.told
}

/// The key of an aggregate of the story.
fn key_of(kind: &str) -> Uuid {
    let text = match kind {
        "partner" => "01970000-0000-7000-8000-00000000a001",
        "brand" => "01970000-0000-7000-8000-00000000b001",
        "product" => "01970000-0000-7000-8000-00000000d001",
        "synonyms" => return SynonymsId::of(&mall()).0,
        _ => return CategoriesId::of(&mall()).0,
    };
    text.parse().unwrap()
}

fn mall() -> MallId {
    "demo".parse().unwrap()
}

/// The states as the log's owner would keep them.
#[derive(Default)]
struct Teller {
    states: BTreeMap<Uuid, (catalog::State, i64)>,
    count: u32,
    told: Vec<Told>,
}

impl Teller {
    fn decide(&mut self, line: Line) {
        self.count += 1;
        let aggregate = key_of(&line.of);
        let name = format!("jangbu.catalog.{}", line.command);
        let body = catalog::Command::read(&name, &FromJson(line.body)).unwrap().unwrap();
        let origin = origin(aggregate, self.count);
        let begin: Timestamp = "2026-11-20T09:00:00Z".parse().unwrap();
        let time = Timestamp(begin.0 + i64::from(self.count) * 60_000);
        let (mut state, mut version) = self.states.remove(&aggregate).unwrap_or_default();
        let decided = state.decide(aggregate, &body, time);
        let observed_at = body.observed_at();
        self.tell_command(origin.clone(), body);
        match decided {
            Ok(events) if !events.is_empty() => {
                for body in events {
                    version += 1;
                    state.evolve(&body, time);
                    let origin = origin.clone();
                    self.tell_event(EventMessage { origin, version, time, observed_at, body });
                }
                self.tell_outcome(&origin, Verdict::Accepted, version);
            }
            Ok(_) => self.tell_decision(origin, time, version, None),
            Err(refusal) => self.tell_decision(origin, time, version, Some(&refusal)),
        }
        self.states.insert(aggregate, (state, version));
    }

    fn tell_command(&mut self, origin: Origin, body: catalog::Command) {
        let expected_version = (self.count == 18).then_some(5);
        let message = CommandMessage { origin, expected_version, reply_partition: Some(0), body };
        self.tell(message.headers(&CATALOG.commands), Body::Command(message.body));
    }

    fn tell_event(&mut self, message: EventMessage) {
        self.tell(message.headers(&CATALOG.events), Body::Event(message.body));
    }

    fn tell_decision(
        &mut self,
        origin: Origin,
        time: Timestamp,
        version: i64,
        refusal: Option<&catalog::Rejection>,
    ) {
        let body = Decision {
            verdict: refusal.map_or(Verdict::Unchanged, |_| Verdict::Rejected),
            code: refusal.map(|refusal| refusal.code().to_owned()),
            detail: refusal.map(ToString::to_string),
            version,
            last_event_offset: 1200 + version,
        };
        let message = DecisionMessage { origin, time, body };
        self.tell(message.headers(&CATALOG.decisions), Body::Decision(message.body));
    }

    fn tell_outcome(&mut self, origin: &Origin, verdict: Verdict, version: i64) {
        let key = origin.aggregate.to_string();
        let outcome = Outcome {
            command_id: origin.command,
            body_hash: origin.body_hash.clone(),
            verdict,
            code: None,
            detail: None,
            version,
            partition: partition_of(&key, CATALOG.events.partitions),
            offset: 1200 + version,
            aggregate_id: key,
        };
        self.tell(vec![], Body::Outcome(outcome));
    }

    fn tell(&mut self, headers: Headers, body: Body) {
        let kind = if let Body::Event(event) = &body { event.kind() } else { "" };
        self.told.push(Told { record: body.record_name().to_owned(), kind, headers, body });
    }
}

fn origin(aggregate: Uuid, count: u32) -> Origin {
    let of = |what: &str| derive(&["story", what, &count.to_string()]);
    Origin {
        aggregate,
        mall: mall(),
        command: CommandId(of("command")),
        body_hash: of("body").simple().to_string(),
        actor: "key:demo".to_owned(),
        correlation: of("request"),
        trace: Traceparent::start(of("trace")),
    }
}

impl Body {
    fn record_name(&self) -> &'static str {
        match self {
            Self::Command(body) => Records::record_name(body),
            Self::Event(body) => Records::record_name(body),
            Self::Decision(body) => body.record_name(),
            Self::Outcome(body) => body.record_name(),
        }
    }

    /// The content as JSON.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Command(body) => body.to_json(),
            Self::Event(body) => body.to_json(),
            Self::Decision(body) => body.to_json(),
            Self::Outcome(body) => body.to_json(),
        }
    }

    /// The content as it stands in the log, under the schema id 1, and that it reads back alike.
    pub(crate) fn encode(&self, codec: &schemas::Codec) -> Vec<u8> {
        match self {
            Self::Command(body) => encoded(codec, body),
            Self::Event(body) => encoded(codec, body),
            Self::Decision(body) => encoded(codec, body),
            Self::Outcome(body) => encoded(codec, body),
        }
    }
}

fn encoded<T: Records + PartialEq + std::fmt::Debug>(codec: &schemas::Codec, body: &T) -> Vec<u8> {
    let mut bytes = body.encode(codec).unwrap();
    let read = T::decode(&codec.open(&bytes).unwrap()).unwrap();
    assert_eq!(read.as_ref(), Some(body));
    bytes[1..5].copy_from_slice(&[0, 0, 0, 1]);
    bytes
}

/// The records that a topic may hold, as pairs of short name and schema.
pub(crate) fn records(topic: &Topic) -> Vec<(String, Value)> {
    let named = |schema: schemas::Schema| {
        let full = schemas::full_name(&schema);
        (full.rsplit('.').next().unwrap().to_owned(), serde_json::json!(schema))
    };
    (topic.records)().into_iter().map(named).collect()
}
