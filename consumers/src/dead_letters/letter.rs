//! A record of the dead letters: a letter, or what was done about one.

use std::{fmt, str::FromStr};

use anyhow::Context as _;
use domain::Timestamp;
use rdkafka::{Message, message::BorrowedMessage};
use schemas::{HeaderSource as _, Headers};

use crate::log::{LARGEST_COMMAND, LONGEST_HEADERS, MOST_HEADERS, MessageHeaders};

/// The headers that the handler puts behind those of the record.
const BYTES: &str = "dead-letter-bytes";
const REASON: &str = "dead-letter-reason";
const POSITION: &str = "dead-letter-position";
/// How many they are.
const ADDED: usize = 3;
/// The headers of what was done.
const ACTION: &str = "dead-letter-action";
const OF: &str = "dead-letter-of";
const BY: &str = "dead-letter-by";
const NOTE: &str = "dead-letter-note";
const COMMAND: &str = "dead-letter-command";

/// Where a letter stands in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// What came of a record.
pub(super) enum Read {
    Letter(Letter),
    Action(Place, Action),
}

/// A letter without its bytes.
pub(super) struct Summary {
    pub(super) place: Place,
    /// When it became one.
    pub(super) appended: Timestamp,
    pub(super) key: Vec<u8>,
    /// Why it could not be read.
    pub(super) reason: String,
    /// Its topic, partition and offset, as the handler wrote them; empty for a foreign record.
    pub(super) source: String,
    /// Where it was too large to be kept whole: how many bytes its key, value and headers had.
    pub(super) cut: Option<usize>,
    /// What was done about it, in order.
    pub(super) actions: Vec<Action>,
}

/// A letter.
pub(super) struct Letter {
    pub(super) summary: Summary,
    /// The headers that the record came with.
    pub(super) headers: Headers,
    pub(super) payload: Vec<u8>,
}

/// What somebody did about a letter.
#[derive(Clone, Debug)]
pub(super) struct Action {
    /// `resent` or `dropped`.
    pub(super) what: String,
    pub(super) by: String,
    pub(super) note: String,
    /// The command that it was sent as; empty where it names none, or was not sent.
    pub(super) command: String,
    /// When the broker took note of it.
    pub(super) at: Timestamp,
}

/// Tells letters and acts apart: the handler's headers stand on every letter, and last, so a record
/// that came with such a header of its own is a letter all the same.
pub(super) fn read(message: &BorrowedMessage<'_>) -> Read {
    let mut headers = MessageHeaders::of(message).all();
    let at = Timestamp(message.timestamp().to_millis().unwrap_or_default());
    let source = take(&mut headers, POSITION);
    if let (None, Some(of)) = (&source, value(&headers, OF).and_then(|of| of.parse().ok())) {
        let text = |name| value(&headers, name).unwrap_or_default().to_owned();
        let action = Action {
            what: text(ACTION),
            by: text(BY),
            note: text(NOTE),
            command: text(COMMAND),
            at,
        };
        return Read::Action(of, action);
    }
    let reason = take(&mut headers, REASON).unwrap_or_default();
    let bytes = take(&mut headers, BYTES).and_then(|bytes| bytes.parse().ok());
    let kept = message.key_len() + message.payload_len() + bytes_of(&headers);
    let summary = Summary {
        place: Place { partition: message.partition(), offset: message.offset() },
        appended: at,
        key: message.key().unwrap_or_default().to_vec(),
        reason,
        source: source.unwrap_or_default(),
        cut: bytes.filter(|bytes| *bytes > kept),
        actions: vec![],
    };
    let payload = message.payload().unwrap_or_default().to_vec();
    Read::Letter(Letter { summary, headers, payload })
}

fn bytes_of(headers: &Headers) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// Takes the last header of that name out, if it is one of those that the handler adds.
fn take(headers: &mut Headers, name: &str) -> Option<String> {
    let from = headers.len().saturating_sub(ADDED);
    let at = headers[from..].iter().rposition(|(known, _)| known == name)?;
    Some(String::from_utf8_lossy(&headers.remove(from + at).1).into_owned())
}

fn value<'h>(headers: &'h Headers, name: &str) -> Option<&'h str> {
    str::from_utf8(headers.header(name)?).ok()
}

impl Action {
    /// The record's headers.
    pub(super) fn headers(&self, of: Place) -> Headers {
        let pairs = [
            (ACTION, self.what.clone()),
            (OF, of.to_string()),
            (BY, self.by.clone()),
            (NOTE, self.note.clone()),
            (COMMAND, self.command.clone()),
        ];
        pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }
}

impl Letter {
    /// Whether the handler would look at it at all.
    pub(super) fn could_be_a_command(&self) -> bool {
        let headers = bytes_of(&self.headers);
        self.headers.len() <= MOST_HEADERS
            && headers <= LONGEST_HEADERS
            && self.summary.key.len() + self.payload.len() + headers <= LARGEST_COMMAND
    }
}

impl Summary {
    /// The key, where it is text.
    pub(super) fn key(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.key)
    }

    /// The topic, partition and offset that it came from; none where that is not known.
    pub(super) fn source(&self) -> Option<(&str, i32, i64)> {
        let mut parts = self.source.rsplitn(3, '.');
        let offset = parts.next()?.parse().ok()?;
        let partition = parts.next()?.parse().ok()?;
        Some((parts.next()?, partition, offset))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let parts = text.split_once('.').and_then(|(partition, offset)| {
            Some(Self { partition: partition.parse().ok()?, offset: offset.parse().ok()? })
        });
        parts.with_context(|| format!("{text:?} is no place, such as 3.17"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &'static str, value: &str) -> (std::borrow::Cow<'static, str>, Vec<u8>) {
        (name.into(), value.into())
    }

    #[test]
    fn only_the_headers_of_the_handler_are_taken_out() {
        let own = header(POSITION, "a lie");
        let mut headers = vec![own.clone(), header("x", "y"), header(BYTES, "12")];
        headers.push(header(REASON, "why"));
        headers.push(header(POSITION, "catalog.commands.3.17"));
        assert_eq!(take(&mut headers, POSITION).as_deref(), Some("catalog.commands.3.17"));
        assert_eq!(take(&mut headers, REASON).as_deref(), Some("why"));
        assert_eq!(take(&mut headers, BYTES).as_deref(), Some("12"));
        assert_eq!(headers, [own, header("x", "y")]);
    }

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let place = Place { partition: 3, offset: 17 };
        assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        for bad in ["", "3", "3.", "a.1", "3.1.2"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
