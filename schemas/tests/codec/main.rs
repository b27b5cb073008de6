//! Every record comes back as it was written, also from a writer that knew fewer fields.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod stub;

use apache_avro::{Schema, writer::datum::GenericDatumWriter};
use domain::{
    CommandId, Currency, Money, ProductId, SkuId,
    product::{
        Command, Event, NewSku, ProductOption, ProductRegistered, ProductRepriced, ProductRevised,
        RegisterProduct, RepriceProduct, ReviseProduct, Sku,
    },
};
use schemas::{Codec, CodecError, Decision, Outcome, Records, Registry, TOPICS, Verdict};
use serde_json::json;
use uuid::Uuid;

async fn codec() -> Codec {
    let registry = Registry::new(&stub::start()).unwrap();
    Codec::load(registry, &TOPICS).await.unwrap()
}

fn comes_back<T: Records + PartialEq + std::fmt::Debug>(codec: &Codec, record: &T) {
    let bytes = record.encode(codec).unwrap();
    let frame = codec.open(&bytes).unwrap();
    assert_eq!(frame.record_name(), record.record_name());
    assert_eq!(T::decode(&frame).unwrap().as_ref(), Some(record));
}

const ID: Uuid = Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0001);

fn krw(minor: i64) -> Money {
    Money { minor, currency: Currency::KRW }
}

fn register() -> RegisterProduct {
    RegisterProduct {
        partner_id: Some(domain::PartnerId(ID)),
        external_id: Some("V12".into()),
        name: "무선청소기 V12 🧹".into(),
        description: String::new(),
        options: vec![ProductOption { name: "색상".into(), values: vec!["흰색".into()] }],
        skus: vec![NewSku {
            code: "W".into(), choices: vec!["흰색".into()], price: Some(krw(1))
        }],
        list_price: krw(i64::MAX),
        images: vec![],
        brand_id: None,
        category_ids: vec![],
        sale_period: None,
        approval: None,
        sale_state: None,
        displayed: None,
    }
}

fn registered() -> ProductRegistered {
    let wish = register();
    let id = SkuId::of(ProductId(ID), "W");
    let sku = Sku { id, code: "W".into(), choices: vec!["흰색".into()], price: None };
    ProductRegistered {
        partner_id: wish.partner_id,
        external_id: None,
        name: wish.name,
        description: wish.description,
        options: wish.options,
        skus: vec![sku],
        list_price: krw(0),
        images: vec!["https://img.example/1.jpg".into()],
        brand_id: None,
        category_ids: vec![],
        sale_period: None,
        approval: None,
        sale_state: None,
        displayed: None,
    }
}

fn outcome() -> Outcome {
    Outcome {
        command_id: CommandId(ID),
        aggregate_id: ID.to_string(),
        body_hash: "00ff".into(),
        verdict: Verdict::Rejected,
        code: Some("BLANK_NAME".into()),
        detail: None,
        version: 3,
        partition: 5,
        offset: -1,
    }
}

#[tokio::test]
async fn every_record_comes_back() {
    let codec = codec().await;
    let revise = ReviseProduct { name: None, description: Some("x".into()), images: Some(vec![]) };
    let revised = ProductRevised { name: Some("y".into()), description: None, images: None };
    comes_back(&codec, &Command::RegisterProduct(register()));
    comes_back(&codec, &Command::RepriceProduct(RepriceProduct { list_price: krw(5) }));
    comes_back(&codec, &Command::ReviseProduct(revise));
    comes_back(&codec, &Event::ProductRegistered(registered()));
    let repriced = ProductRepriced { list_price: krw(5), previous: krw(4) };
    comes_back(&codec, &Event::ProductRepriced(repriced));
    comes_back(&codec, &Event::ProductRevised(revised));
    comes_back(&codec, &outcome());
    for (verdict, code) in [(Verdict::Unchanged, None), (Verdict::Undecodable, Some("X".into()))] {
        let decision = Decision { verdict, code, detail: None, version: 0, last_event_offset: -1 };
        comes_back(&codec, &decision);
    }
}

#[tokio::test]
async fn a_record_of_another_set_is_none_of_this_one() {
    let codec = codec().await;
    let bytes = outcome().encode(&codec).unwrap();
    assert_eq!(Event::decode(&codec.open(&bytes).unwrap()).unwrap(), None);
}

/// A writer of an earlier version: the fields that came later take their defaults.
#[tokio::test]
async fn what_an_earlier_writer_left_out_is_its_default() {
    let codec = codec().await;
    let earlier = json!({"type": "record", "name": "ReviseProduct", "namespace": "jangbu.catalog",
        "fields": [{"name": "name", "type": ["null", "string"], "default": null}]});
    let bytes = written(stub::learn(&earlier), &earlier, &json!({"name": "새 이름"}));
    let Err(CodecError::NotLearnt(id)) = codec.open(&bytes).map(drop) else {
        panic!("a schema nobody has looked up cannot be known")
    };
    codec.learn(id).await.unwrap();
    let read = Command::decode(&codec.open(&bytes).unwrap()).unwrap();
    let expected =
        ReviseProduct { name: Some("새 이름".into()), description: None, images: None };
    assert_eq!(read, Some(Command::ReviseProduct(expected)));
}

/// A writer of a later version: what this build does not know is passed over.
#[tokio::test]
async fn what_a_later_writer_added_is_passed_over() {
    let codec = codec().await;
    let mut later = json!(RepriceProduct::schema());
    let added = json!({"name": "reason", "type": ["null", "string"], "default": null});
    later["fields"].as_array_mut().unwrap().push(added);
    let body = json!({"list_price": {"minor": 7, "currency": "KRW"}, "reason": "행사"});
    let bytes = written(stub::learn(&later), &later, &body);
    if let Err(CodecError::NotLearnt(id)) = codec.open(&bytes).map(drop) {
        codec.learn(id).await.unwrap();
    }
    let read = Command::decode(&codec.open(&bytes).unwrap()).unwrap();
    assert_eq!(read, Some(Command::RepriceProduct(RepriceProduct { list_price: krw(7) })));
}

#[tokio::test]
async fn bytes_that_are_no_record_are_refused() {
    let codec = codec().await;
    for bytes in [&b""[..], b"\0\0\0", b"{\"a\":1}"] {
        assert!(matches!(codec.open(bytes), Err(CodecError::NotFramed)));
    }
    let unknown = [0, 0, 0, 0xff, 0xff, 1];
    let Err(CodecError::NotLearnt(id)) = codec.open(&unknown).map(drop) else { panic!("learnt") };
    codec.learn(id).await.unwrap();
    assert!(matches!(codec.open(&unknown), Err(CodecError::UnknownSchema(0xffff))));
    let mut cut = outcome().encode(&codec).unwrap();
    cut.truncate(12);
    assert!(Outcome::decode(&codec.open(&cut).unwrap()).is_err());
}

fn written(id: u32, schema: &serde_json::Value, body: &serde_json::Value) -> Vec<u8> {
    let schema: &'static Schema = Box::leak(Box::new(Schema::parse(schema).unwrap()));
    let mut bytes = vec![0];
    bytes.extend_from_slice(&id.to_be_bytes());
    let writer = GenericDatumWriter::builder(schema).human_readable(false).build().unwrap();
    let value = apache_avro::types::Value::try_from(body.clone()).unwrap();
    writer.write_value(&mut bytes, value.resolve(schema).unwrap()).unwrap();
    bytes
}

/// The schema of one record, found among those of its topic.
trait OneSchema {
    fn schema() -> Schema;
}

impl OneSchema for RepriceProduct {
    fn schema() -> Schema {
        let all = <Command as Records>::schemas();
        all.into_iter().find(|s| schemas::full_name(s).ends_with("RepriceProduct")).unwrap()
    }
}
