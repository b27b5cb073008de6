//! Events as the handler would have written them.

use anyhow::{Context, Result};
use domain::{
    CommandId, Currency, Money, ProductId, SkuId, Timestamp,
    catalog::Event,
    product::{ProductRegistered, ProductRepriced, Sku},
};
use schemas::{CATALOG, Codec, EventMessage, Origin, Records, Traceparent};
use uuid::Uuid;

use crate::append::Record;

const ADJECTIVES: [&str; 16] = [
    "가벼운",
    "조용한",
    "튼튼한",
    "따뜻한",
    "시원한",
    "부드러운",
    "단단한",
    "밝은",
    "작은",
    "넓은",
    "편안한",
    "빠른",
    "깨끗한",
    "새로운",
    "귀여운",
    "고급",
];
const NOUNS: [&str; 25] = [
    "무선청소기",
    "선풍기",
    "가습기",
    "전기밥솥",
    "냄비",
    "프라이팬",
    "이불",
    "베개",
    "커튼",
    "책상",
    "의자",
    "책장",
    "스탠드",
    "운동화",
    "구두",
    "점퍼",
    "셔츠",
    "바지",
    "모자",
    "가방",
    "지갑",
    "시계",
    "우산",
    "텀블러",
    "도마",
];

/// The name of a product: one of 400, and its number.
pub(crate) fn name(number: i64) -> String {
    let at = usize::try_from(number).unwrap_or_default();
    let (noun, adjective) = (NOUNS[at % 25], ADJECTIVES[at / 25 % 16]);
    format!("{adjective} {noun} {number}")
}

/// The registration of a product.
pub(crate) fn registered(codec: &Codec, id: Uuid, number: i64) -> Result<Record> {
    let list_price = Money { minor: number, currency: Currency::KRW };
    let sku = SkuId::of(ProductId(id), "ONE");
    let sku = Sku { id: sku, code: "ONE".to_owned(), choices: vec![], price: None };
    let body = ProductRegistered {
        partner_id: None,
        external_id: Some(number.to_string()),
        name: name(number),
        description: "오래 쓰도록 만들었습니다".to_owned(),
        options: vec![],
        skus: vec![sku],
        list_price,
        images: vec!["https://img.example/v12.jpg".to_owned()],
        brand_id: None,
        category_ids: vec![],
        sale_period: None,
        approval: None,
        sale_state: None,
        displayed: None,
    };
    record(codec, id, 1, number, Event::Product(body.into()))
}

/// A later price of it.
pub(crate) fn repriced(codec: &Codec, id: Uuid, version: i64, number: i64) -> Result<Record> {
    let price = |version| Money { minor: number + version, currency: Currency::KRW };
    let body = ProductRepriced { list_price: price(version), previous: price(version - 1) };
    record(codec, id, version, number, Event::Product(body.into()))
}

fn record(codec: &Codec, id: Uuid, version: i64, number: i64, body: Event) -> Result<Record> {
    let origin = Origin {
        aggregate: id,
        mall: "demo".parse().context("a mall")?,
        command: CommandId(Uuid::now_v7()),
        body_hash: "0".repeat(32),
        actor: "bench".to_owned(),
        correlation: id,
        trace: Traceparent::start(id),
    };
    let time = Timestamp(1_700_000_000_000 + number + version);
    let message = EventMessage { origin, version, time, observed_at: None, body };
    let headers = message.headers(&CATALOG.events);
    let key = message.origin.aggregate.to_string();
    Ok(Record { key, headers, payload: message.body.encode(codec)? })
}
