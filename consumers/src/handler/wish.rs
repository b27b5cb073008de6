//! A command as it was found in the log.

use std::{borrow::Cow, str::FromStr};

use domain::{Timestamp, catalog};
use rdkafka::{Message, message::BorrowedMessage};
use schemas::{
    CATALOG, CodecError, CommandMessage, HeaderError, HeaderSource, Headers, Lane, Origin, Records,
    partition_of,
};
use uuid::Uuid;

use crate::log::{
    Decoder, MOST_HEADERS, MessageHeaders, bytes_of, is_too_large, key_of, origin_of,
};

/// A command and where it stands in the log.
pub(super) struct Wish {
    pub(super) lane: Lane,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) appended: Timestamp,
    /// How many bytes the record has.
    pub(super) size: usize,
    pub(super) content: Content,
}

/// What the record says.
pub(super) enum Content {
    /// A command of ours.
    Command(Box<CommandMessage>),
    /// Something else; with an origin, if its headers could be read, so that it can be answered.
    Undecodable(Box<Undecodable>),
}

/// A record that is no command, kept byte for byte for the dead letters; of one that is larger than
/// a command may be, the beginning.
pub(super) struct Undecodable {
    pub(super) origin: Option<Origin>,
    pub(super) reply_partition: Option<i32>,
    pub(super) why: String,
    /// Of the record as it came: its key, its value and its headers.
    pub(super) bytes: usize,
    pub(super) headers: Headers,
    pub(super) key: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

/// What is kept of the key, of the value, and of the headers of a larger one.
const KEPT: usize = 64 << 10;

impl Wish {
    /// Reads a record of a command topic. Whatever it holds, it is one wish.
    ///
    /// # Errors
    /// [`CodecError::Registry`] when the registry does not answer, which may pass.
    pub(super) fn read(
        decoder: &Decoder,
        lane: Lane,
        message: &BorrowedMessage<'_>,
    ) -> Result<Self, CodecError> {
        let content = match command(decoder, message) {
            Ok(command) => Content::Command(Box::new(command)),
            Err(Unreadable::Codec(error @ CodecError::Registry(_))) => return Err(error),
            Err(error) => Content::Undecodable(Box::new(undecodable(message, error.to_string()))),
        };
        Ok(Self {
            lane,
            partition: message.partition(),
            offset: message.offset(),
            appended: Timestamp(message.timestamp().to_millis().unwrap_or_default()),
            size: bytes_of(message, &MessageHeaders::of(message)),
            content,
        })
    }

    /// The aggregate that it is addressed to.
    pub(super) fn aggregate(&self) -> Option<Uuid> {
        match &self.content {
            Content::Command(command) => Some(command.origin.aggregate),
            Content::Undecodable(_) => None,
        }
    }
}

#[cfg(test)]
impl Wish {
    /// One that says nothing, for tests of where it stands; each of one byte.
    pub(super) fn unread(lane: Lane, partition: i32, offset: i64) -> Self {
        let nothing = Undecodable {
            origin: None,
            reply_partition: None,
            why: String::new(),
            bytes: 0,
            headers: vec![],
            key: vec![],
            payload: vec![],
        };
        let content = Content::Undecodable(Box::new(nothing));
        Self { lane, partition, offset, appended: Timestamp(0), size: 1, content }
    }
}

#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("its key is no UUID in canonical text")]
    Key,
    #[error("its key belongs to another partition")]
    Partition,
    #[error("the name of a header is no text")]
    HeaderName,
    #[error("this build knows no command {0}")]
    Unknown(String),
    #[error("it is larger than a command may be: {0} bytes, {1} of them headers")]
    TooLarge(usize, usize),
}

fn command(decoder: &Decoder, message: &BorrowedMessage<'_>) -> Result<CommandMessage, Unreadable> {
    let headers = MessageHeaders::of(message);
    if is_too_large(message, &headers) {
        return Err(Unreadable::TooLarge(bytes_of(message, &headers), headers.bytes()));
    }
    let frame = decoder.open(message.payload().unwrap_or_default())?;
    let aggregate = key_of(message).ok_or(Unreadable::Key)?;
    let home = partition_of(&aggregate.to_string(), CATALOG.commands.partitions);
    if home != message.partition() {
        return Err(Unreadable::Partition);
    }
    if !headers.have_names() {
        return Err(Unreadable::HeaderName);
    }
    let body = catalog::Command::decode(&frame)?
        .ok_or_else(|| Unreadable::Unknown(frame.record_name().to_owned()))?;
    Ok(CommandMessage::read(&headers, aggregate, body)?)
}

fn undecodable(message: &BorrowedMessage<'_>, why: String) -> Undecodable {
    let headers = MessageHeaders::of(message);
    let most = if is_too_large(message, &headers) { KEPT } else { usize::MAX };
    let kept = |all: Option<&[u8]>| {
        let all = all.unwrap_or_default();
        all[..all.len().min(most)].to_vec()
    };
    let reply_to = headers.header("ce_replypartition").and_then(|b| std::str::from_utf8(b).ok());
    Undecodable {
        origin: key_of(message).and_then(|key| origin_of(&headers, key)),
        reply_partition: reply_to.and_then(|text| i32::from_str(text).ok()),
        why,
        bytes: bytes_of(message, &headers),
        headers: if most == KEPT { beginning(headers.all()) } else { headers.all() },
        key: kept(message.key()),
        payload: kept(message.payload()),
    }
}

/// Those of the first headers that have that many bytes together, without what is longer.
fn beginning(headers: Headers) -> Headers {
    let mut left = KEPT;
    let fits = |(name, value): &(Cow<'_, str>, Vec<u8>)| {
        let rest = left.checked_sub(name.len() + value.len());
        left = rest.unwrap_or(left);
        rest.is_some()
    };
    headers.into_iter().take(MOST_HEADERS).filter(fits).collect()
}
