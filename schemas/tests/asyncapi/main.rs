//! The published description of every topic: made of the types, committed, and fit for the official
//! schema of AsyncAPI 3. `make asyncapi` rewrites it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "../codec/stub.rs"]
mod stub;

mod document;
mod headers;
mod page;
mod story;

use std::{collections::BTreeSet, fs, path::PathBuf};

use schemas::{Codec, Registry, TOPICS};
use serde_json::{Value, json};

use headers::Holds;

fn docs(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file)
}

/// Compares a file with what it should be, or makes it so.
fn committed(file: &str, expected: &str) {
    if std::env::var_os("JANGBU_REWRITE").is_some() {
        fs::write(docs(file), expected).unwrap();
    }
    let committed = fs::read_to_string(docs(file)).unwrap_or_default();
    assert!(committed == expected, "docs/{file} is not what the types say: run `make asyncapi`");
}

async fn described() -> Value {
    let registry = Registry::new(&stub::start()).unwrap();
    let codec = Codec::load(registry, &TOPICS).await.unwrap();
    document::document(&story::tell(), &codec)
}

#[tokio::test]
async fn the_topics_are_described_as_committed() {
    committed("asyncapi.json", &(serde_json::to_string_pretty(&described().await).unwrap() + "\n"));
}

#[test]
fn the_events_are_explained_as_committed() {
    let page = fs::read_to_string(docs("events.md")).unwrap();
    committed("events.md", &page::renewed(&page, &story::tell()));
}

#[tokio::test]
async fn the_description_is_asyncapi() {
    let schema: Value = serde_json::from_str(include_str!("asyncapi-3.0.0.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let described = described().await;
    let faults: Vec<String> = validator
        .iter_errors(&described)
        .map(|fault| format!("{}: {fault:.300}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let mut broken = described;
    broken["channels"]["catalog_events"]["adress"] = json!("catalog.events");
    assert!(!validator.is_valid(&broken), "the schema lets everything pass");
}

/// What the official schema cannot see.
#[tokio::test]
async fn what_the_description_refers_to_is_in_it() {
    let described = described().await;
    let mut targets = vec![];
    references(&described, &mut targets);
    assert!(targets.len() > 50, "{targets:?}");
    for target in targets {
        assert!(described.pointer(target.trim_start_matches('#')).is_some(), "{target}");
    }
    let messages = described["components"]["messages"].as_object().unwrap();
    for (name, message) in messages {
        let summary = message["summary"].as_str().unwrap_or_default();
        assert!(summary.ends_with('.'), "{name} does not say what it means");
        let schema = &message["payload"]["schema"];
        if !schema.is_null() {
            schemas::Schema::parse(schema).unwrap();
            undocumented(schema, name);
        }
    }
    assert_eq!(described["channels"].as_object().unwrap().len(), TOPICS.len());
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| match value.as_str() {
            Some(target) if name == "$ref" => found.push(target.to_owned()),
            _ => references(value, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn undocumented(schema: &Value, at: &str) {
    for field in schema["fields"].as_array().into_iter().flatten() {
        assert!(field["doc"].is_string(), "{at}.{} has no doc comment", field["name"]);
    }
}

/// No header without a meaning, and none described that is not sent.
#[test]
fn the_headers_are_those_that_are_sent() {
    for (holds, is_of_it) in [
        (Holds::Commands, (|body| matches!(body, story::Body::Command(_))) as fn(&_) -> bool),
        (Holds::Events, |body| matches!(body, story::Body::Event(_))),
        (Holds::Decisions, |body| matches!(body, story::Body::Decision(_))),
    ] {
        let told = story::tell();
        let told: Vec<_> = told.iter().filter(|told| is_of_it(&told.body)).collect();
        let sent: BTreeSet<&str> =
            told.iter().flat_map(|told| told.headers.iter().map(|(name, _)| &**name)).collect();
        let mut described: BTreeSet<&str> = headers::of(holds).map(|header| header.name).collect();
        // No event of this build may be stepped over; one of another may.
        assert_eq!(described.remove("ce_critical"), holds == Holds::Events);
        assert_eq!(sent, described);
        for header in headers::of(holds).filter(|header| header.always) {
            let has =
                |told: &&&story::Told| told.headers.iter().any(|(name, _)| name == header.name);
            assert_eq!(told.iter().filter(has).count(), told.len(), "{}", header.name);
        }
    }
}
