//! A thousand requests that cannot be granted: each is told what to mend, none breaks the server.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, Client, client::Request, samples};
use tokio::task::JoinSet;

use crate::world::World;

const COUNT: usize = 1_000;
const AT_ONCE: usize = 16;

pub(crate) async fn a_thousand_bad_requests_are_told_what_to_mend(world: &mut World) -> Result<()> {
    let (id, _) = world.client.register(&samples::vacuum()).await?;
    let mut under_way = JoinSet::new();
    for number in 0..COUNT {
        if under_way.len() == AT_ONCE
            && let Some(done) = under_way.join_next().await
        {
            done??;
        }
        let (client, id) = (world.client.clone(), id.clone());
        under_way.spawn(async move {
            let case = case(&client, &id, number);
            let answer = case.request.send().await?;
            told(&answer).map_err(|fault| fault.context(format!("{} ({number})", case.what)))?;
            ensure!(answer.status == case.status, "{}: {answer:?}", case.what);
            anyhow::Ok(())
        });
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    let live = world.client.get(&format!("/products/{id}")).send().await?;
    ensure!(live.status == 200 && live.number("/version")? == 1, "{live:?}");
    Ok(())
}

pub(crate) async fn every_fault_of_a_body_is_told_at_once(world: &mut World) -> Result<()> {
    let body = json!({
        "name": 7, "list_price": {"minor": "much", "currency": "WON"},
        "skus": [{"code": ""}, {"price": null, "code": "B", "stock": 1}], "colour": "red",
    });
    let answer = world.client.post("/products", &body).send().await?.expect(422)?;
    let faults = answer.body["errors"].as_array().cloned().unwrap_or_default();
    let pointers: Vec<&str> = faults.iter().filter_map(|fault| fault["pointer"].as_str()).collect();
    for expected in [
        "/name",
        "/list_price/minor",
        "/list_price/currency",
        "/skus/0/code",
        "/skus/1/stock",
        "/colour",
    ] {
        ensure!(pointers.contains(&expected), "{expected} is not in {pointers:?}");
    }
    Ok(())
}

/// What every refusal has to be.
fn told(answer: &Answer) -> Result<()> {
    ensure!((400..500).contains(&answer.status), "{answer:?}");
    ensure!(answer.header("content-type")? == "application/problem+json", "{answer:?}");
    ensure!(answer.number("/status")? == i64::from(answer.status));
    for member in ["/type", "/title", "/detail", "/code"] {
        ensure!(!answer.text(member)?.is_empty(), "{member}: {answer:?}");
    }
    if answer.text("/code")? == "INVALID_BODY" {
        let faults = answer.body["errors"].as_array().cloned().unwrap_or_default();
        let is_whole = |fault: &Value| fault["pointer"].is_string() && fault["detail"].is_string();
        ensure!(!faults.is_empty() && faults.iter().all(is_whole), "{answer:?}");
    }
    Ok(())
}

struct Case {
    what: &'static str,
    status: u16,
    request: Request,
}

/// The kinds of bad request in turn, each a little different every time.
fn case(client: &Client, id: &str, number: usize) -> Case {
    let of = |what, status, request| Case { what, status, request };
    let json =
        |bytes: Vec<u8>| client.request(Method::POST, "/products").body("application/json", bytes);
    let reprice = format!("/products/{id}/reprice");
    let product = |change: fn(&mut Value, usize)| {
        let mut body = samples::vacuum();
        change(&mut body, number);
        client.post("/products", &body)
    };
    match number % 20 {
        0 => of("a number for a name", 422, product(|body, n| body["name"] = n.into())),
        1 => of("an unknown field", 422, product(|body, n| body[format!("field{n}")] = json!(1))),
        2 => of("a missing field", 422, product(|body, _| drop(take(body, "list_price")))),
        3 => of(
            "a price in words",
            422,
            product(|body, _| body["list_price"]["minor"] = "ten".into()),
        ),
        4 => of(
            "a fraction",
            422,
            product(|body, n| body["list_price"]["minor"] = json!(n as f64 + 0.5)),
        ),
        5 => {
            of("no currency", 422, product(|body, _| body["list_price"]["currency"] = "WON".into()))
        }
        6 => of(
            "a name too long",
            422,
            product(|body, n| body["name"] = "긴".repeat(201 + n).into()),
        ),
        7 => of("no object", 422, json(format!("[{number}]").into_bytes())),
        8 => of("half of a document", 400, json(format!("{{\"name\": \"{number}").into_bytes())),
        9 => of(
            "bad UTF-8",
            400,
            json(vec![b'"', 0xff, 0xc0, u8::try_from(number % 256).unwrap_or(0), b'"']),
        ),
        10 => of("a huge body", 413, json(vec![b' '; 3_000_000 + number])),
        11 => of("another kind of body", 415, {
            client.request(Method::POST, "/products").body("text/plain", b"name=x".to_vec())
        }),
        12 => of("another mall's key", 403, client.with("other", "demo-key").get("/products")),
        13 => of(
            "a mall that is not there",
            403,
            client.with(&format!("m{number}"), "demo-key").get("/products"),
        ),
        14 => of("a wrong key", 401, client.with("demo", &format!("key{number}")).get("/products")),
        15 => of("a version conflict", 412, {
            let version = format!("\"{}\"", number + 7);
            client.post(&reprice, &samples::reprice(1)).header("if-match", &version)
        }),
        16 => of("a product that is not there", 404, {
            let path = format!("/products/{}/reprice", uuid::Uuid::now_v7());
            client.post(&path, &samples::reprice(1))
        }),
        17 => of("an id that is none", 400, client.get(&format!("/products/{number}"))),
        18 => of("a path that is not there", 404, client.get(&format!("/shelves/{number}"))),
        _ => of(
            "a limit out of bounds",
            400,
            client.get(&format!("/products?limit={}", number * 1_000)),
        ),
    }
}

fn take(body: &mut Value, field: &str) -> Option<Value> {
    body.as_object_mut().and_then(|fields| fields.remove(field))
}
