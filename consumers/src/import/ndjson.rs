//! NDJSON of commands, as `POST /v1/{mall}/commands` takes them.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

use anyhow::Context as _;
use serde_json::Value;

use super::line::{Line, Refused, Row};

/// More than a command may have; a longer line is read over.
const LONGEST: u64 = 2 << 20;

/// The commands of a file, line by line.
pub(super) fn open(
    file: &Path,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Row>> + use<>> {
    let opened = File::open(file).with_context(|| file.display().to_string())?;
    let mut reader = BufReader::with_capacity(1 << 20, opened);
    let (mut number, mut end, mut text) = (0, 0, Vec::new());
    Ok(std::iter::from_fn(move || {
        loop {
            text.clear();
            match reader.by_ref().take(LONGEST).read_until(b'\n', &mut text) {
                Ok(0) => return None,
                Ok(length) => end += length as u64,
                Err(error) => return Some(Err(error.into())),
            }
            number += 1;
            if text.len() as u64 == LONGEST && text.last() != Some(&b'\n') {
                end += reader.skip_until(b'\n').unwrap_or_default() as u64;
                let refused = Refused::new(number, "BODY_TOO_LARGE", "the line is too long");
                return Some(Ok(Row::Refused(refused)));
            }
            if !text.trim_ascii().is_empty() {
                return Some(Ok(row(number, end, &text)));
            }
        }
    }))
}

fn row(number: u64, end: u64, text: &[u8]) -> Row {
    match serde_json::from_slice::<Value>(text) {
        Ok(command) => Row::Line(Line::new(number, end, command, true)),
        Err(error) => Row::Refused(Refused::new(number, "MALFORMED_JSON", error.to_string())),
    }
}
