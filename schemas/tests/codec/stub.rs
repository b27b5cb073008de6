//! A registry of a few lines: it gives every schema that it is shown an id.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Mutex,
    thread,
};

use serde_json::{Value, json};

static SCHEMAS: Mutex<Vec<Value>> = Mutex::new(Vec::new());

/// Answers on a port of its own, at the address returned.
pub(crate) fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(|stream| answer(stream.unwrap())));
    format!("http://{address}")
}

/// The id of `schema`, which begins at 1.
pub(crate) fn learn(schema: &Value) -> u32 {
    let mut known = SCHEMAS.lock().unwrap();
    let at = known.iter().position(|other| other == schema).unwrap_or_else(|| {
        known.push(schema.clone());
        known.len() - 1
    });
    u32::try_from(at).unwrap() + 1
}

fn answer(mut stream: TcpStream) {
    let (head, body) = request(&mut stream);
    let (status, answer) = match head.split(' ').collect::<Vec<_>>()[..] {
        ["POST", ..] => {
            let schema: Value = serde_json::from_str(body["schema"].as_str().unwrap()).unwrap();
            (200, json!({ "id": learn(&schema) }))
        }
        [_, path, ..] => by_id(path),
        _ => unreachable!(),
    };
    let text = answer.to_string();
    write!(
        stream,
        "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{text}",
        text.len()
    )
    .unwrap();
}

fn by_id(path: &str) -> (u16, Value) {
    let id: usize = path.rsplit('/').next().unwrap().parse().unwrap();
    match SCHEMAS.lock().unwrap().get(id - 1) {
        Some(schema) => (200, json!({ "schema": schema.to_string() })),
        None => (404, json!({ "error_code": 40403 })),
    }
}

/// The first line of a request, and its body as JSON.
fn request(stream: &mut TcpStream) -> (String, Value) {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                let first = head.lines().next().unwrap_or_default().to_owned();
                return (first, serde_json::from_str(body).unwrap_or_default());
            }
        }
        let count = stream.read(&mut chunk).unwrap();
        bytes.extend_from_slice(&chunk[..count]);
    }
}
