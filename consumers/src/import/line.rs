//! What a file holds, as the api takes it.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What was found in a file.
pub(super) enum Row {
    /// Something to send.
    Line(Line),
    /// Something that is no command.
    Refused(Refused),
    /// Something that the catalog has no place for, by what it is called.
    LeftOut(&'static str),
}

/// A command to send.
pub(super) struct Line {
    /// Where the file has it: a line, counted from 1.
    pub(super) number: u64,
    /// How far into the file it reaches, in bytes.
    pub(super) end: u64,
    /// The command, as one line of JSON.
    pub(super) text: String,
    /// Whether no row asked for it, but others refer to it: it may be there already.
    pub(super) is_implied: bool,
}

/// A row that was not taken, as it is written beside the file.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    /// Where the file has it.
    pub(super) line: u64,
    /// The stable code.
    pub(super) code: String,
    /// What to mend.
    pub(super) reason: String,
    /// Every fault that the api named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) errors: Vec<Value>,
}

impl Line {
    /// A command at its place. Without a key it gets one that follows from its content, and from
    /// the line where a file may hold the same command twice.
    pub(super) fn new(number: u64, end: u64, mut command: Value, may_repeat: bool) -> Self {
        if command.get("key").is_none_or(Value::is_null) && command.is_object() {
            let mut hash = Sha256::new();
            hash.update(command.to_string());
            hash.update(if may_repeat { number.to_be_bytes() } else { [0; 8] });
            let digest: [u8; 32] = hash.finalize().into();
            let text: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            command["key"] = Value::from(format!("import-{text}"));
        }
        Self { number, end, text: command.to_string(), is_implied: false }
    }

    /// The same command, one that may be there already.
    pub(super) fn implied(self) -> Self {
        Self { is_implied: true, ..self }
    }
}

impl Refused {
    /// A row that the file itself spoils.
    pub(super) fn new(line: u64, code: &str, reason: impl Into<String>) -> Self {
        Self { line, code: code.to_owned(), reason: reason.into(), errors: vec![] }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_follows_from_the_file_alone() {
        let line = |number, minor| Line::new(number, 0, json!({"data": {"minor": minor}}), true);
        assert_eq!(line(1, 5).text, line(1, 5).text);
        assert_ne!(line(1, 5).text, line(2, 5).text);
        assert_ne!(line(1, 5).text, line(1, 6).text);
        let own = Line::new(1, 0, json!({"key": "mine"}), true);
        assert_eq!(own.text, r#"{"key":"mine"}"#);
    }
}
