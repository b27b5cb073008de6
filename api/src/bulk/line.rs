//! A line, and the command that it holds.

use std::{collections::HashMap, sync::LazyLock};

use domain::{
    RecordEnum, RecordReader,
    catalog::Command,
    product::{self},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{BulkAnswer, BulkCommand, SHAPE, stream::Asked};
use crate::{
    body::{LIMIT, Shapes},
    headers::{CommandHeaders, fault_of_key},
    identity,
    problem::{ApiError, Fault},
    submit::{Answer, Ask},
};

/// How many faults of one line are named.
const FAULTS: usize = 20;

/// The name of each command's record, in full, by the name of its operation.
static RECORDS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let schemas = <Command as RecordEnum>::schemas();
    let names = schemas.iter().filter_map(|schema| schema.name());
    names.map(|name| (snake_case(name.name()), name.fullname(None))).collect()
});

/// The command of a line, if there is nothing wrong with it.
pub(super) fn read(shapes: &Shapes, asked: &Asked, text: &[u8]) -> Result<Ask, ApiError> {
    if text.len() > LIMIT {
        return Err(ApiError::BodyTooLarge);
    }
    let value: Value =
        serde_json::from_slice(text).map_err(|error| ApiError::MalformedJson(error.to_string()))?;
    let mut faults = shapes.faults(SHAPE, &value)?;
    faults.extend(value["key"].as_str().and_then(fault_of_key).map(|why| fault("/key", why)));
    let named = value["command"].as_str();
    let record = named.and_then(|name| RECORDS.get(name));
    match record {
        Some(record) if value["data"].is_object() => {
            let shape = record.rsplit('.').next().unwrap_or_default();
            faults.extend(shapes.faults(shape, &value["data"])?.into_iter().map(in_data));
        }
        None if named.is_some() => faults.push(fault("/command", "is no command; see /docs")),
        _ => {}
    }
    if let (true, Some(record)) = (faults.is_empty(), record) {
        return ask(asked, record, value);
    }
    faults.truncate(FAULTS);
    Err(ApiError::InvalidBody(faults))
}

fn ask(asked: &Asked, record: &str, value: Value) -> Result<Ask, ApiError> {
    // The schema calls 1.0 an integer, serde does not.
    let misread = |at: &str, error: serde_json::Error| {
        ApiError::InvalidBody(vec![fault(at, &error.to_string())])
    };
    let line: BulkCommand = serde_json::from_value(value).map_err(|error| misread("", error))?;
    let data = Body(Value::Object(line.data));
    let wish = <Command as RecordEnum>::read(record, &data)
        .ok_or_else(|| ApiError::Internal(anyhow::anyhow!("no command {record}")))?
        .map_err(|error| misread("/data", error))?;
    if let Command::Product(product::Command::UpsertProduct(feed)) = &wish
        && let Some(fault) = identity::nameless(feed)
    {
        return Err(ApiError::InvalidBody(vec![in_data(fault)]));
    }
    let implied = identity::implied(&asked.caller, &wish, line.key.as_deref());
    let aggregate = match (implied, line.id) {
        (Some(implied), None) => implied,
        (Some(implied), Some(id)) if implied == id => implied,
        (Some(_), Some(_)) => {
            return Err(wrong_id("is another than the one that follows from data"));
        }
        (None, Some(id)) => id,
        (None, None) => return Err(wrong_id("is required: it says what to change")),
    };
    let headers = CommandHeaders {
        idempotency_key: line.key,
        expected_version: line.expected_version,
        respond_async: !asked.wait,
    };
    Ok(Ask { caller: asked.caller.clone(), call: asked.call, headers, aggregate, wish })
}

fn wrong_id(why: &str) -> ApiError {
    ApiError::InvalidBody(vec![fault("/id", why)])
}

fn fault(pointer: &str, detail: &str) -> Fault {
    Fault { pointer: pointer.to_owned(), detail: detail.to_owned() }
}

/// A fault of the body, where it stands in the line.
pub(super) fn in_data(fault: Fault) -> Fault {
    Fault { pointer: format!("/data{}", fault.pointer), ..fault }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// A command's record out of JSON.
struct Body(Value);

impl RecordReader for Body {
    type Error = serde_json::Error;

    fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.0)
    }
}

impl BulkAnswer {
    /// What the command's own endpoint would answer, as a line.
    pub(super) fn of(line: usize, answer: Result<Answer, ApiError>) -> Self {
        let blank = Self {
            line,
            status: 0,
            id: None,
            version: None,
            command_id: None,
            verdict: None,
            repeated: false,
            location: None,
            code: None,
            detail: None,
            errors: vec![],
        };
        match answer {
            Ok(Answer::Decided { body, created, .. }) => Self {
                status: if created.is_some() { 201 } else { 200 },
                id: Some(body.id),
                version: Some(body.version),
                command_id: Some(body.command_id.0),
                verdict: Some(body.verdict.to_string()),
                ..blank
            },
            Ok(Answer::Pending { body, status }) => Self {
                status: 202,
                id: Some(body.id),
                command_id: Some(body.command_id.0),
                verdict: Some(body.verdict.to_owned()),
                location: Some(status),
                ..blank
            },
            Err(error) => {
                let (status, problem) = error.problem();
                Self {
                    status: status.as_u16(),
                    command_id: problem.command_id.map(|command| command.0),
                    code: Some(problem.code),
                    detail: Some(problem.detail),
                    errors: problem.errors,
                    ..blank
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::{auth::Caller, headers::Call};

    fn read(line: &str) -> Result<Ask, Vec<String>> {
        let names = RECORDS.values().map(|name| name.rsplit('.').next().unwrap_or_default());
        let names: Vec<&str> = names.chain([SHAPE]).collect();
        let shapes = Shapes::new(&crate::openapi(), &names).unwrap();
        let asked = Asked {
            caller: Caller { mall: "demo".parse().unwrap(), actor: "key:demo".to_owned() },
            call: Call::of(&axum::http::HeaderMap::new()),
            wait: true,
        };
        super::read(&shapes, &asked, line.as_bytes()).map_err(|error| {
            error.problem().1.errors.into_iter().map(|fault| fault.pointer).collect()
        })
    }

    #[test]
    fn every_command_is_called_as_its_own_endpoint_is() {
        let api = json!(crate::openapi()).to_string();
        for name in RECORDS.keys() {
            assert!(api.contains(&format!("\"operationId\":\"{name}\"")), "{name}");
        }
        assert!(RECORDS.len() > 20);
    }

    #[test]
    fn a_line_finds_what_its_own_endpoint_would_change() {
        let id = Uuid::from_u128(7);
        let hide = json!({"command": "hide_product", "id": id, "key": "k", "data": {}});
        let ask = read(&hide.to_string()).ok().unwrap();
        assert_eq!((ask.aggregate, ask.headers.idempotency_key.as_deref()), (id, Some("k")));
        let brand = json!({"command": "register_brand", "data": {"name": "a", "external_id": "7"}});
        let (one, two) = (read(&brand.to_string()), read(&brand.to_string()));
        assert_eq!(one.ok().unwrap().aggregate, two.ok().unwrap().aggregate);
    }

    #[test]
    fn every_fault_of_a_line_is_told_where_it_is() {
        let told = |line: Value| {
            let mut told = read(&line.to_string()).err().unwrap();
            told.sort();
            told
        };
        let data = json!({"list_price": {"minor": "1"}});
        let line = json!({"command": "reprice_product", "key": "a b", "extra": 1, "data": data});
        let faults = ["/data/list_price/currency", "/data/list_price/minor", "/extra", "/key"];
        assert_eq!(told(line), faults);
        assert_eq!(told(json!({"command": "fly", "data": {}})), ["/command"]);
        assert_eq!(told(json!({"command": "hide_product", "data": {}})), ["/id"]);
        assert_eq!(told(json!({"command": 1})), ["/command", "/data"]);
        let product = json!({"name": "n", "skus": [{"code": "a"}],
            "list_price": {"minor": 1, "currency": "KRW"}});
        let feed = json!({"command": "upsert_product", "data": {"product": product}});
        assert_eq!(told(feed), ["/data/product/external_id"]);
    }
}
