//! Bodies to send.

use serde_json::{Value, json};
use uuid::Uuid;

/// A vacuum cleaner in two colours that nobody has registered before.
pub fn vacuum() -> Value {
    json!({
        "external_id": Uuid::now_v7().to_string(),
        "name": "무선청소기 V12",
        "description": "가볍고 조용한 스틱 청소기",
        "options": [{"name": "색상", "values": ["흰색", "검정"]}],
        "skus": [
            {"code": "W", "choices": ["흰색"]},
            {"code": "B", "choices": ["검정"], "price": krw(219_000)},
        ],
        "list_price": krw(199_000),
        "images": ["https://img.example/v12.jpg"],
    })
}

/// A product of one kind, by its name.
pub fn plain(name: &str) -> Value {
    json!({
        "external_id": Uuid::now_v7().to_string(),
        "name": name,
        "skus": [{"code": "ONE"}],
        "list_price": krw(10_000),
    })
}

/// The body of a price change.
pub fn reprice(won: i64) -> Value {
    json!({ "list_price": krw(won) })
}

/// An amount in won.
pub fn krw(minor: i64) -> Value {
    json!({ "minor": minor, "currency": "KRW" })
}
