//! The committed schemas are what the types say, and none of them ever broke a reader or a writer.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use apache_avro::Schema;
use schemas::{TOPICS, compatibility::read_each_other, full_name};
use serde_json::{Value, json};

/// A record's schema and where it is committed: `avro/<topic>/<Record>.avsc`, its earlier versions
/// at `avro/history/<topic>/<Record>.<n>.avsc`.
struct Committed {
    topic: &'static str,
    record: String,
    schema: Schema,
}

fn records() -> impl Iterator<Item = Committed> {
    TOPICS.iter().flat_map(|topic| {
        (topic.records)().into_iter().map(|schema| {
            let name = full_name(&schema);
            let record = name.rsplit('.').next().unwrap_or_default().to_owned();
            Committed { topic: topic.name, record, schema }
        })
    })
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("avro")
}

impl Committed {
    fn path(&self) -> PathBuf {
        folder().join(self.topic).join(format!("{}.avsc", self.record))
    }

    fn earlier(&self, version: usize) -> PathBuf {
        let name = format!("{}.{version}.avsc", self.record);
        folder().join("history").join(self.topic).join(name)
    }

    fn history(&self) -> Vec<PathBuf> {
        (1..).map(|version| self.earlier(version)).take_while(|path| path.exists()).collect()
    }

    fn text(&self) -> String {
        serde_json::to_string_pretty(&self.schema).unwrap() + "\n"
    }

    /// Puts the schema in place of the committed one, which becomes history.
    fn rewrite(&self) {
        let path = self.path();
        if let Ok(before) = fs::read_to_string(&path)
            && before != self.text()
        {
            let earlier = self.earlier(self.history().len() + 1);
            fs::create_dir_all(earlier.parent().unwrap()).unwrap();
            fs::write(earlier, before).unwrap();
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, self.text()).unwrap();
    }
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    for record in records() {
        if std::env::var_os("JANGBU_REWRITE").is_some() {
            record.rewrite();
        }
        let committed = fs::read_to_string(record.path()).unwrap_or_default();
        assert_eq!(committed, record.text(), "{:?}: run `make avro`", record.path());
    }
}

#[test]
fn no_schema_is_committed_for_a_record_that_is_gone() {
    let known: Vec<PathBuf> =
        records().flat_map(|record| [record.history(), vec![record.path()]].concat()).collect();
    let mut folders = vec![folder()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert!(known.contains(&path), "{path:?} belongs to no topic");
            }
        }
    }
}

#[test]
fn every_version_reads_every_other() {
    for record in records() {
        for earlier in record.history() {
            let before = Schema::parse_str(&fs::read_to_string(&earlier).unwrap()).unwrap();
            assert!(keeps_its_kind(&json!(before), &json!(record.schema)), "{earlier:?}");
            read_each_other(&before, &record.schema)
                .unwrap_or_else(|broken| panic!("{} against {earlier:?}: {broken}", record.record));
        }
    }
}

/// Avro reads text as bytes and does not look at namespaces, and so does the registry; our types,
/// and those that others generate, know the difference.
fn keeps_its_kind(before: &Value, after: &Value) -> bool {
    let same = |part: &str| before[part] == after[part];
    match (before, after) {
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| keeps_its_kind(old, new))
        }
        (Value::Object(_), Value::Object(_)) if before["type"] == "record" => {
            let kept = |field: &Value| {
                let now = fields(after).find(|now| now["name"] == field["name"]);
                now.is_none_or(|now| keeps_its_kind(&field["type"], &now["type"]))
            };
            ["type", "name", "namespace"].iter().all(|part| same(part)) && fields(before).all(kept)
        }
        (Value::Object(_), Value::Object(_)) => {
            let parts = ["items", "values"].iter();
            same("type")
                && same("logicalType")
                && parts.clone().all(|part| keeps_its_kind(&before[part], &after[part]))
        }
        _ => before == after,
    }
}

fn fields(record: &Value) -> impl Iterator<Item = &Value> {
    record["fields"].as_array().into_iter().flatten()
}

#[test]
fn a_kind_that_readers_would_mistake_is_seen() {
    let of = |kind: Value| {
        let field = json!({"name": "codes", "type": {"type": "array", "items": kind}});
        json!({"type": "record", "name": "X", "namespace": "a", "fields": [field]})
    };
    let before = of(json!("string"));
    assert!(keeps_its_kind(&before, &before));
    assert!(!keeps_its_kind(&before, &of(json!("bytes"))));
    let mut elsewhere = before.clone();
    elsewhere["namespace"] = json!("b");
    assert!(!keeps_its_kind(&before, &elsewhere));
    let mut more = before.clone();
    more["fields"].as_array_mut().unwrap().push(json!({"name": "n", "type": "long"}));
    assert!(keeps_its_kind(&before, &more));
}

#[test]
fn what_would_break_a_reader_is_seen() {
    let price = |fields: Value| {
        let record = json!({"type": "record", "name": "Price", "fields": fields});
        Schema::parse(&record).unwrap()
    };
    let minor = json!({"name": "minor", "type": "long"});
    let before = price(json!([minor]));
    let optional = json!({"name": "tax", "type": ["null", "long"], "default": null});
    let required = json!({"name": "tax", "type": "long"});
    let agrees = |fields| read_each_other(&before, &price(fields)).is_ok();
    assert!(agrees(json!([minor, optional])));
    assert!(!agrees(json!([minor, required])));
    assert!(!agrees(json!([])));
    assert!(!agrees(json!([{"name": "minor", "type": "string"}])));
    let nullable = json!({"name": "minor", "type": ["null", "long"], "default": null});
    assert!(!agrees(json!([nullable])), "null has no number");
}

#[test]
fn the_types_keep_to_what_can_grow() {
    for record in records() {
        let schema: Value = serde_json::from_str(&record.text()).unwrap();
        check(&schema, &format!("{}/{}", record.topic, record.record));
    }
}

/// An enumeration could not gain a symbol, a field without a default could never be taken away
/// again, and identifiers are text that any language reads.
fn check(schema: &Value, at: &str) {
    if let Some(variants) = schema.as_array() {
        return variants.iter().for_each(|variant| check(variant, at));
    }
    let kind = schema.as_str().or_else(|| schema["type"].as_str()).unwrap_or_default();
    assert!(kind != "enum" && kind != "fixed", "{at} is an Avro {kind}");
    if let inner @ (Value::Object(_) | Value::Array(_)) = &schema["type"] {
        check(inner, at);
    }
    check_fields(&schema["fields"], at);
    for part in ["items", "values"] {
        if !schema[part].is_null() {
            check(&schema[part], &format!("{at}[]"));
        }
    }
}

fn check_fields(fields: &Value, at: &str) {
    for field in fields.as_array().into_iter().flatten() {
        let at = format!("{at}.{}", field["name"].as_str().unwrap());
        if field["type"].is_array() {
            assert_eq!(field["type"][0], "null", "{at}: the default of a union is its first type");
            assert_eq!(field.get("default"), Some(&Value::Null), "{at} has no default");
        }
        check(&field["type"], &at);
    }
}
