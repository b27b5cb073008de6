//! Dead letters on a terminal, and as JSON.

use std::{borrow::Cow, fmt::Write as _};

use serde_json::{Value, json};

use super::letter::{Action, Letter, Summary};
use crate::screen::{Align, table};

/// How many bytes stand in a line.
const WIDTH: usize = 16;
/// How much of an error a line shows.
const SHORT: usize = 60;

/// A line for each letter.
pub(super) fn list(letters: &[Summary]) -> String {
    if letters.is_empty() {
        return "no dead letters\n".to_owned();
    }
    let head = [
        ("PLACE", Align::Right),
        ("TIME", Align::Left),
        ("SOURCE", Align::Left),
        ("KEY", Align::Left),
        ("ERROR", Align::Left),
        ("DONE", Align::Left),
    ];
    let row = |letter: &Summary| {
        let done = letter.actions.last();
        let mut error: String = printable(&letter.reason).chars().take(SHORT).collect();
        if letter.reason.chars().count() > SHORT {
            error.push('…');
        }
        vec![
            letter.place.to_string(),
            letter.appended.to_string(),
            source(letter),
            printable(&letter.key()),
            error,
            done.map_or_else(|| "-".to_owned(), |done| format!("{} by {}", done.what, done.by)),
        ]
    };
    table(&head, &letters.iter().map(row).collect::<Vec<_>>())
}

/// Everything of a letter.
pub(super) fn page(letter: &Letter) -> String {
    let summary = &letter.summary;
    let mut text = String::new();
    let _ = writeln!(text, "place   {}", summary.place);
    let _ = writeln!(text, "time    {}", summary.appended);
    let _ = writeln!(text, "source  {}", source(summary));
    let _ = writeln!(text, "key     {}", printable(&summary.key()));
    let _ = writeln!(text, "error   {}", printable(&summary.reason));
    let _ = writeln!(text, "headers");
    for (name, value) in &letter.headers {
        let _ = writeln!(text, "  {}: {}", printable(name), readable(value));
    }
    let cut = summary.cut.map(|bytes| format!(", cut: the record had {bytes} in all"));
    let _ = writeln!(text, "{} bytes{}", letter.payload.len(), cut.unwrap_or_default());
    for (at, bytes) in letter.payload.chunks(WIDTH).enumerate() {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let seen = |byte: &u8| if matches!(byte, 0x20..=0x7e) { char::from(*byte) } else { '.' };
        let shown: String = bytes.iter().map(seen).collect();
        let _ = writeln!(text, "  {:06x}  {:<47}  {shown}", at * WIDTH, hex.join(" "));
    }
    for Action { what, by, note, command, at } in &summary.actions {
        let called = if command.is_empty() { String::new() } else { format!(" as {command}") };
        let _ = writeln!(text, "{what} by {by} at {at}{called} {}", printable(note));
    }
    text
}

/// A letter as JSON, without its bytes.
pub(super) fn line(letter: &Summary) -> Value {
    let source = letter.source().map(|(topic, partition, offset)| {
        json!({"topic": topic, "partition": partition, "offset": offset})
    });
    json!({
        "place": letter.place.to_string(),
        "appended": letter.appended.to_string(),
        "source": source,
        "key": letter.key(),
        "error": letter.reason,
        "cut": letter.cut,
        "done": letter.actions.iter().map(done).collect::<Vec<_>>(),
    })
}

/// A letter as JSON, with its headers in order, and its bytes in hexadecimal; so is a header that is
/// no text.
pub(super) fn whole(letter: &Letter) -> Value {
    let mut value = line(&letter.summary);
    let header = |(name, value): &(Cow<'_, str>, Vec<u8>)| match str::from_utf8(value) {
        Ok(text) => json!({"name": name, "value": text}),
        Err(_) => json!({"name": name, "bytes": hex(value)}),
    };
    value["headers"] = letter.headers.iter().map(header).collect();
    value["bytes"] = Value::from(hex(&letter.payload));
    value
}

fn done(action: &Action) -> Value {
    let Action { what, by, note, command, at } = action;
    let at = at.to_string();
    json!({"action": what, "by": by, "note": note, "command": command, "at": at})
}

fn source(letter: &Summary) -> String {
    if letter.source.is_empty() { "unknown".to_owned() } else { printable(&letter.source) }
}

/// A header's text, or its bytes where it has none.
fn readable(value: &[u8]) -> String {
    str::from_utf8(value).map_or_else(|_| format!("0x{}", hex(value)), printable)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A stranger's text must not move the cursor of a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
