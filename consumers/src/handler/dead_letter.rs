//! What cannot be decoded, kept as it came.

use schemas::{CATALOG, DEAD_LETTERS};

use super::{
    refused::shortened,
    wish::{Undecodable, Wish},
};
use crate::log::Outgoing;

/// The record as it came, with what is wrong and where it stood.
pub(super) fn dead_letter(wish: &Wish, record: &Undecodable) -> Outgoing {
    let topic = CATALOG.lane(wish.lane).name;
    let position = format!("{topic}.{}.{}", wish.partition, wish.offset);
    let mut headers = record.headers.clone();
    headers.push(("dead-letter-bytes".into(), record.bytes.to_string().into()));
    headers.push(("dead-letter-reason".into(), shortened(record.why.clone()).into()));
    headers.push(("dead-letter-position".into(), position.into()));
    Outgoing {
        topic: DEAD_LETTERS.name,
        partition: wish.partition,
        key: record.key.clone(),
        payload: record.payload.clone(),
        headers,
    }
}
