//! Records for tests, said in few words.

use domain::{
    CommandId, Currency, Money, Timestamp,
    catalog::Event,
    product::{ProductRegistered, ProductRepriced, ProductRevised},
};
use schemas::{CATALOG, Decision, DecisionMessage, EventMessage, Origin, Traceparent, Verdict};
use uuid::Uuid;

use crate::{
    fact::{Fact, Logged},
    projection::{Failed, Fault, Projection, States, fold},
};

pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn won(minor: i64) -> Money {
    Money { minor, currency: Currency::KRW }
}

pub(crate) fn origin(aggregate: u128, command: u128) -> Origin {
    Origin {
        aggregate: id(aggregate),
        mall: "demo".parse().unwrap(),
        command: CommandId(id(command)),
        body_hash: format!("hash of {command}"),
        actor: "tester".to_owned(),
        correlation: id(9),
        trace: Traceparent::start(id(8)),
    }
}

pub(crate) fn event(aggregate: u128, version: i64, command: u128, body: Event) -> Fact {
    let (origin, time) = (origin(aggregate, command), Timestamp(1000 * version));
    Fact::Event(EventMessage { origin, version, time, observed_at: None, body })
}

pub(crate) fn decision(aggregate: u128, command: u128, verdict: Verdict) -> Fact {
    let code = (verdict == Verdict::Rejected).then(|| "BLANK_NAME".to_owned());
    let body = Decision { verdict, code, detail: None, version: 4, last_event_offset: 17 };
    let origin = origin(aggregate, command);
    Fact::Decision(DecisionMessage { origin, time: Timestamp(7), body })
}

/// An event of a newer build, which others may step over.
pub(crate) fn aside(aggregate: u128, version: i64, command: u128) -> Fact {
    let mut fact = newer(aggregate, version, command);
    if let Fact::NewerEvent { critical, .. } = &mut fact {
        *critical = false;
    }
    fact
}

/// An event of a newer build.
pub(crate) fn newer(aggregate: u128, version: i64, command: u128) -> Fact {
    let (record, kind) = ("jangbu.catalog.ProductPolished".to_owned(), "product".to_owned());
    let (origin, time) = (origin(aggregate, command), Timestamp(1000 * version));
    Fact::NewerEvent { record, kind, origin, version, time, critical: true }
}

pub(crate) fn unknown() -> Fact {
    Fact::Unknown { record: "undecodable".to_owned() }
}

pub(crate) fn registered(name: &str) -> Event {
    let fact = ProductRegistered {
        partner_id: None,
        external_id: None,
        name: name.to_owned(),
        description: String::new(),
        options: vec![],
        skus: vec![],
        list_price: won(100),
        images: vec![],
        brand_id: None,
        category_ids: vec![],
        sale_period: None,
        approval: None,
        sale_state: None,
        displayed: None,
    };
    happened(fact)
}

/// Any fact of a product.
pub(crate) fn happened(fact: impl Into<domain::product::Event>) -> Event {
    Event::Product(fact.into())
}

pub(crate) fn repriced(to: i64) -> Event {
    happened(ProductRepriced { list_price: won(to), previous: won(100) })
}

pub(crate) fn renamed(to: &str) -> Event {
    happened(ProductRevised { name: Some(to.to_owned()), description: None, images: None })
}

/// `facts` in the log, each in its topic, at offsets 0, 1, 2.
pub(crate) fn logged(facts: Vec<Fact>) -> Vec<Logged> {
    let place = |(offset, fact): (i64, Fact)| {
        let topic =
            if matches!(fact, Fact::Decision(_)) { CATALOG.decisions } else { CATALOG.events };
        let (topic, appended) = (topic.name.to_owned(), Timestamp(offset));
        Logged { topic, partition: 3, offset, appended, fact, as_written: None }
    };
    (0..).zip(facts).map(place).collect()
}

/// The states after `facts`, or the place and the fault at which the fold stopped.
pub(crate) fn folded<P: Projection>(facts: Vec<Fact>) -> Result<States<P>, (usize, Fault)> {
    fold::<P>(States::<P>::new(), &logged(facts)).map_err(|failed| match failed {
        Failed::At(place, fault) => (place, fault),
        Failed::Db(error) => panic!("no database here: {error}"),
    })
}
