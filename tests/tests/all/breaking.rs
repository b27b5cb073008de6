//! What a released client relies on is still so: the description as it is, against the one of the
//! last release.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::stack::root;

/// `make released` puts the present description in its place, when a version is released.
const RELEASED: &str = "tests/snapshots/openapi.released.json";

/// Where an operation says what it takes.
const BODY: &str = "/requestBody/content/application~1json/schema";

pub(crate) fn a_released_client_still_understands_the_api() -> Result<()> {
    let now = json!(api::openapi());
    let path = root().join(RELEASED);
    if std::env::var_os("JANGBU_RELEASE").is_some() {
        fs::write(&path, format!("{now}\n"))?;
    }
    let released: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let broken = Comparison::of(&released, &now);
    ensure!(broken.is_empty(), "clients of the last release would break:\n{}", broken.join("\n"));
    Ok(())
}

pub(crate) fn what_would_break_a_client_is_seen() -> Result<()> {
    let api = json!(api::openapi());
    let reprice = "/paths/~1v1~1{mall}~1products~1{id}~1reprice";
    let schema = |name: &str, rest: &str| format!("/components/schemas/{name}{rest}");
    let cases: [(&str, String, Value); 13] = [
        ("a path goes", reprice.to_owned(), Value::Null),
        ("an answer goes", format!("{reprice}/post/responses/200"), Value::Null),
        ("a header goes", format!("{reprice}/post/responses/200/headers/ETag"), Value::Null),
        ("a parameter must be given", format!("{reprice}/post/parameters/2/required"), json!(true)),
        ("a field of an answer goes", schema("ProductRow", "/properties/name"), Value::Null),
        ("a field of its part goes", schema("HistoryRow", "/properties/actor"), Value::Null),
        ("a field may be missing", schema("Problem", "/required"), json!(["type"])),
        ("a field must be given", schema("ReviseProduct", "/required"), json!(["name"])),
        ("a field is not taken", schema("ReviseProduct", "/properties/name"), Value::Null),
        ("a value is not taken", schema("SaleState", "/enum"), json!(["READY"])),
        ("a text is shorter", schema("RegisterBrand", "/properties/name/maxLength"), json!(100)),
        ("a kind is another", schema("Money", "/properties/minor/type"), json!("string")),
        (
            "null is not taken",
            schema("AssignBrand", "/properties/brand_id"),
            json!({"type": "string"}),
        ),
    ];
    for (what, pointer, value) in cases {
        let mut changed = api.clone();
        replace(&mut changed, &pointer, value).with_context(|| pointer.clone())?;
        ensure!(!Comparison::of(&api, &changed).is_empty(), "not seen: {what}");
    }
    let mut grown = api.clone();
    grown["paths"]["/v1/{mall}/shelves"] = json!({"get": {"responses": {}}});
    grown["components"]["schemas"]["ProductRow"]["properties"]["shelf"] = json!({"type": "string"});
    grown["components"]["schemas"]["ReviseProduct"]["properties"]["shelf"] =
        json!({"type": "string"});
    let broken = Comparison::of(&api, &grown);
    ensure!(broken.is_empty(), "what is new breaks nobody: {broken:?}");
    Ok(())
}

/// Puts `value` at `pointer`; null takes away what is there.
fn replace(document: &mut Value, pointer: &str, value: Value) -> Option<()> {
    let (parent, name) = pointer.rsplit_once('/')?;
    let parent = document.pointer_mut(parent)?;
    match value {
        Value::Null => parent.as_object_mut()?.remove(&name.replace("~1", "/")).map(drop),
        value => parent.as_object_mut().map(|fields| drop(fields.insert(name.to_owned(), value))),
    }
}

/// Who writes what a schema describes: what clients send may only grow laxer, what they get only
/// stricter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum From {
    Client,
    Server,
}

/// Two descriptions side by side.
struct Comparison<'a> {
    before: &'a Value,
    after: &'a Value,
    /// Pairs of named schemas that were compared already.
    seen: BTreeSet<(String, String, From)>,
    broken: Vec<String>,
}

impl<'a> Comparison<'a> {
    /// Everything of `before` that a client can no longer rely on.
    fn of(before: &Value, after: &Value) -> Vec<String> {
        let (before, after) = (joined(before), joined(after));
        let mut comparison =
            Comparison { before: &before, after: &after, seen: BTreeSet::new(), broken: vec![] };
        for (path, methods) in entries(&before["paths"]) {
            for (method, operation) in entries(methods) {
                let at = format!("{method} {path}");
                comparison.operation(&at, operation, &after["paths"][path][method]);
            }
        }
        comparison.broken
    }

    fn tell(&mut self, at: &str, what: &str) {
        self.broken.push(format!("{at}: {what}"));
    }

    fn operation(&mut self, at: &str, before: &Value, after: &Value) {
        if after.is_null() {
            return self.tell(at, "is gone");
        }
        self.parameters(at, &before["parameters"], &after["parameters"]);
        if let Some(old) = before.pointer(BODY) {
            match after.pointer(BODY) {
                Some(new) => self.schema(&format!("{at} body"), old, new, From::Client),
                None => self.tell(at, "takes no JSON body any more"),
            }
        }
        for (status, answer) in entries(&before["responses"]) {
            let at = format!("{at} {status}");
            match &after["responses"][status] {
                Value::Null if status.starts_with('2') => self.tell(&at, "is gone"),
                Value::Null => {}
                now => self.answer(&at, answer, now),
            }
        }
    }

    fn parameters(&mut self, at: &str, before: &Value, after: &Value) {
        let (before, after) = (list(before), list(after));
        let same =
            |one: &Value, other: &Value| one["name"] == other["name"] && one["in"] == other["in"];
        for new in after {
            let old = before.iter().find(|old| same(old, new));
            let was_required = old.is_some_and(|old| old["required"] == true);
            if new["required"] == true && !was_required {
                self.tell(at, &format!("{} must be given", new["name"]));
            }
        }
        for old in before {
            match after.iter().find(|new| same(old, new)) {
                None => self.tell(at, &format!("{} is not taken any more", old["name"])),
                Some(new) => {
                    let at = format!("{at} {}", old["name"]);
                    self.schema(&at, &old["schema"], &new["schema"], From::Client);
                }
            }
        }
    }

    fn answer(&mut self, at: &str, before: &Value, after: &Value) {
        for (name, _) in entries(&before["headers"]) {
            if after["headers"][name].is_null() {
                self.tell(at, &format!("the header {name} is gone"));
            }
        }
        for (kind, content) in entries(&before["content"]) {
            match &after["content"][kind] {
                Value::Null => self.tell(at, &format!("is no {kind} any more")),
                now => self.schema(at, &content["schema"], &now["schema"], From::Server),
            }
        }
    }

    fn schema(&mut self, at: &str, before: &Value, after: &Value, from: From) {
        if let (Some(old), Some(new)) = (before["$ref"].as_str(), after["$ref"].as_str())
            && !self.seen.insert((old.to_owned(), new.to_owned(), from))
        {
            return;
        }
        let (before, after) = (resolved(self.before, before), resolved(self.after, after));
        let (old, new) = (alternatives(self.before, before), alternatives(self.after, after));
        if old.len() > 1 || new.len() > 1 {
            return self.alternatives(at, &old, &new, from);
        }
        self.kinds(at, before, after, from);
        self.fields(at, before, after, from);
        if !before["items"].is_null() {
            self.schema(&format!("{at}[]"), &before["items"], &after["items"], from);
        }
    }

    /// Each that may come must be one that was, or is, expected.
    fn alternatives(&mut self, at: &str, before: &[&Value], after: &[&Value], from: From) {
        let (come, expected) = if from == From::Client { (before, after) } else { (after, before) };
        for one in come {
            let fits = expected.iter().any(|other| {
                let (old, new) = if from == From::Client { (one, other) } else { (other, one) };
                let seen = self.seen.clone();
                let (before, after) = (self.before, self.after);
                let mut trial = Comparison { before, after, seen, broken: vec![] };
                trial.schema(at, old, new, from);
                trial.broken.is_empty()
            });
            if !fits {
                self.tell(at, &format!("{one} is not among what is expected"));
            }
        }
    }

    fn kinds(&mut self, at: &str, before: &Value, after: &Value, from: From) {
        let (old, new) = (texts(&before["type"]), texts(&after["type"]));
        let (come, expected) = if from == From::Client { (&old, &new) } else { (&new, &old) };
        if !expected.is_empty() && !come.is_subset(expected) {
            self.tell(at, &format!("the type {old:?} is {new:?}"));
        }
        let (old, new) = (texts(&before["enum"]), texts(&after["enum"]));
        if !new.is_empty() && !old.is_subset(&new) || old.is_empty() && !new.is_empty() {
            self.tell(at, &format!("of the values {old:?} there are {new:?}"));
        }
        let (old, new) = (&before["format"], &after["format"]);
        let narrowed = if from == From::Client { !new.is_null() } else { !old.is_null() };
        if old != new && narrowed {
            self.tell(at, &format!("the format {old} is {new}"));
        }
        if from == From::Client {
            self.bounds(at, before, after);
        }
    }

    fn bounds(&mut self, at: &str, before: &Value, after: &Value) {
        for name in ["maxLength", "maxItems", "maximum", "minLength", "minItems", "minimum"] {
            let (old, new) = (before[name].as_f64(), after[name].as_f64());
            let narrower = match (old, new) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(old), Some(new)) if name.starts_with("max") => new < old,
                (Some(old), Some(new)) => new > old,
            };
            if narrower {
                self.tell(at, &format!("{name} {old:?} is {new:?}"));
            }
        }
        if before["pattern"] != after["pattern"] && !after["pattern"].is_null() {
            self.tell(at, "the pattern is another");
        }
    }

    fn fields(&mut self, at: &str, before: &Value, after: &Value, from: From) {
        let (old, new) = (texts(&before["required"]), texts(&after["required"]));
        for name in new.difference(&old).filter(|_| from == From::Client) {
            self.tell(at, &format!("the field {name} must be given"));
        }
        for name in old.difference(&new).filter(|_| from == From::Server) {
            self.tell(at, &format!("the field {name} may be missing"));
        }
        for (name, field) in entries(&before["properties"]) {
            let at = format!("{at}.{name}");
            match &after["properties"][name] {
                Value::Null => self.tell(&at, "is gone"),
                now => self.schema(&at, field, now, from),
            }
        }
    }
}

/// The description with each named schema that is made of others as the one object that they are.
fn joined(document: &Value) -> Value {
    let mut joined = document.clone();
    for (name, schema) in entries(&document["components"]["schemas"]) {
        let Some(parts) = schema["allOf"].as_array() else { continue };
        let parts = || parts.iter().map(|part| resolved(document, part));
        let fields = parts().flat_map(|part| entries(&part["properties"]));
        let fields: BTreeMap<_, _> = fields.collect();
        let required: BTreeSet<_> = parts().flat_map(|part| texts(&part["required"])).collect();
        let whole = json!({"type": "object", "properties": fields, "required": required});
        joined["components"]["schemas"][name] = whole;
    }
    joined
}

fn resolved<'v>(document: &'v Value, schema: &'v Value) -> &'v Value {
    let target = schema["$ref"].as_str().and_then(|target| target.strip_prefix('#'));
    target.and_then(|target| document.pointer(target)).unwrap_or(schema)
}

/// The schemas of which a value fits one.
fn alternatives<'v>(document: &'v Value, schema: &'v Value) -> Vec<&'v Value> {
    let several = ["oneOf", "anyOf"].iter().find_map(|name| schema[*name].as_array());
    several
        .map_or_else(|| vec![schema], |all| all.iter().map(|one| resolved(document, one)).collect())
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text, or a list of texts, as a set.
fn texts(value: &Value) -> BTreeSet<String> {
    let all = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
