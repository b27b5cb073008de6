//! How a document is analysed and stored.

use serde_json::{Value, json};

/// Which parts of speech carry no meaning to a search: endings, particles, the verb-making 하 and
/// 되, the copula, and marks. Prefixes and nominal suffixes stay: they tell products apart.
const STOP_TAGS: [&str; 22] = [
    "EP", "EF", "EC", "ETN", "ETM", "JKS", "JKC", "JKG", "JKO", "JKB", "JKV", "JKQ", "JX", "JC",
    "XSV", "XSA", "VCP", "SP", "SSC", "SSO", "SC", "SE",
];

/// The analysers: `korean` for text in the mall's language, `english` for its English words.
pub(super) fn analysis() -> Value {
    json!({
        "tokenizer": {
            // Mixed keeps a compound beside its parts, so 청소기 finds 무선청소기.
            "nori_mixed": { "type": "nori_tokenizer", "decompound_mode": "mixed" }
        },
        "filter": {
            "without_particles": { "type": "nori_part_of_speech", "stoptags": STOP_TAGS },
            "english_stems": { "type": "stemmer", "language": "english" },
            "english_possessives": { "type": "stemmer", "language": "possessive_english" }
        },
        "analyzer": {
            "korean": {
                "type": "custom",
                "tokenizer": "nori_mixed",
                "filter": ["without_particles", "nori_readingform", "cjk_width", "lowercase"]
            },
            "english": {
                "type": "custom",
                "tokenizer": "standard",
                "filter": ["english_possessives", "cjk_width", "lowercase", "english_stems"]
            }
        },
        "normalizer": {
            "lower": { "type": "custom", "filter": ["lowercase"] }
        }
    })
}

/// The fields that are made of the names when a document is written, and are not read back.
pub(super) const DERIVED: [&str; 2] = ["letters", "initials"];

/// The fields. Strict: a document with a field that is not listed is refused, never guessed at.
pub(super) fn fields() -> Value {
    let keyword = json!({ "type": "keyword" });
    let text = json!({
        "type": "text",
        "analyzer": "korean",
        "fields": { "en": { "type": "text", "analyzer": "english" } }
    });
    let mut name = text.clone();
    name["fields"]["raw"] =
        json!({ "type": "keyword", "ignore_above": 256, "normalizer": "lower" });
    let date = json!({ "type": "date", "format": "strict_date_time" });
    json!({
        "id": keyword,
        "mall": keyword,
        "partner_id": keyword,
        "external_id": keyword,
        "name": name,
        "description": text,
        "options": text,
        "sku_codes": { "type": "keyword", "normalizer": "lower" },
        "brand_id": keyword,
        "brand_name": text,
        "category_ids": keyword,
        "letters": keyword,
        "initials": keyword,
        "approval": keyword,
        "sale_state": keyword,
        "displayed": { "type": "boolean" },
        "sale_starts_at": date,
        "sale_ends_at": date,
        "list_price_minor": { "type": "long" },
        "currency": keyword,
        // Shown, never searched.
        "image": { "type": "keyword", "index": false, "doc_values": false },
        "version": { "type": "long" },
        "registered_at": date,
        "updated_at": date
    })
}
