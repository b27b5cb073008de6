//! The part of docs/events.md that follows from the types: topics, headers and events.

use std::fmt::Write as _;

use schemas::{CATALOG, TOPICS};
use serde_json::Value;

use crate::{
    document::kept,
    headers::{self, Holds},
    story::{self, Told},
};

const BEGIN: &str = "<!-- From here on written by `make asyncapi`. -->";

/// The page with its generated part made anew.
pub(crate) fn renewed(page: &str, told: &[Told]) -> String {
    let (written, _) = page.split_once(BEGIN).expect("docs/events.md has lost its mark");
    let mut page = format!("{written}{BEGIN}\n\n## Topics\n\n");
    page.push_str("| topic | partitions | kept |\n|---|---|---|\n");
    for topic in TOPICS {
        let kept = kept(topic.retention);
        writeln!(page, "| `{}` | {} | {kept} |", topic.name, topic.partitions).unwrap();
    }
    page.push_str("\n## Headers of an event\n\n| header | meaning |\n|---|---|\n");
    for header in headers::of(Holds::Events) {
        let often = if header.always { "" } else { " Not on every event." };
        writeln!(page, "| `{}` | {}{often} |", header.name, header.meaning).unwrap();
    }
    page.push_str("\n## The events\n");
    for (name, schema) in story::records(&CATALOG.events) {
        let example = told.iter().find(|told| told.record.ends_with(&format!(".{name}")));
        event(&mut page, &name, &schema, example.unwrap());
    }
    page
}

fn event(page: &mut String, name: &str, schema: &Value, told: &Told) {
    let meaning = schema["doc"].as_str().unwrap_or_default();
    write!(page, "\n### {name}\nOf a `{}`. {meaning}\n\n", told.kind).unwrap();
    for field in schema["fields"].as_array().into_iter().flatten() {
        let (name, doc) = (field["name"].as_str().unwrap(), field["doc"].as_str().unwrap());
        writeln!(page, "- `{name}` {}: {doc}", kind(&field["type"])).unwrap();
    }
    writeln!(page, "\n```json\n{}\n```", told.body.to_json()).unwrap();
}

/// An Avro type in a few words.
fn kind(of: &Value) -> String {
    match (of, of["type"].as_str(), of["logicalType"].as_str()) {
        (_, _, Some("timestamp-millis")) => "time".to_owned(),
        (_, Some("record"), _) => of["name"].as_str().unwrap_or_default().to_owned(),
        (_, Some("array"), _) => format!("list of {}", kind(&of["items"])),
        (Value::Array(kinds), ..) => {
            let kinds: Vec<_> = kinds.iter().filter(|one| *one != "null").map(kind).collect();
            format!("{} or nothing", kinds.join(" or "))
        }
        (Value::String(name), ..) => name.rsplit('.').next().unwrap_or_default().to_owned(),
        _ => of["type"].as_str().unwrap_or_default().to_owned(),
    }
}
