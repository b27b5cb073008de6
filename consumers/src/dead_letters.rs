//! `jangbu dead-letters`: what could not be decoded, and what was done about it.
//!
//! What an operator does is a record of the same topic, beside the letter that it is about: whoever
//! reads the one has read the other, and it is kept for as long after the act as a letter is.

use std::{
    io::{Write, stdout},
    time::Duration,
};

use anyhow::{Context as _, bail};
use schemas::DEAD_LETTERS;

use crate::{
    config::{Config, Flag, Given, Usage},
    log::{Bounds, Kafka, Tail, group_of_handler},
};

mod act;
mod letter;
mod shown;

pub use act::{drop_letter, resend};
use letter::{Letter, Place, Read, Summary};

const AT: Flag = Flag { name: "at", value: Some("PLACE"), meaning: "Which: partition.offset." };
const BY: Flag = Flag { name: "by", value: Some("NAME"), meaning: "Who does it; default $USER." };
const NOTE: Flag = Flag { name: "note", value: Some("TEXT"), meaning: "Why, for the next one." };
const JSON: Flag = Flag { name: "json", value: None, meaning: "As JSON lines." };

/// What `jangbu dead-letters list` takes.
pub const LIST: Usage = Usage {
    about: "jangbu dead-letters list: what could not be decoded and is open, newest last.",
    settings: &[],
    flags: &[Flag { name: "all", value: None, meaning: "Also those that were dealt with." }, JSON],
};

/// What `jangbu dead-letters show` takes.
pub const SHOW: Usage = Usage {
    about: "jangbu dead-letters show PLACE: its headers and bytes, and what was done about it.",
    settings: &[],
    flags: &[AT, JSON],
};

/// What `jangbu dead-letters resend` takes.
pub const RESEND: Usage = Usage {
    about: "jangbu dead-letters resend PLACE: sends it again, where this build can decode it.",
    settings: &[],
    flags: &[
        AT,
        BY,
        NOTE,
        Flag { name: "force", value: None, meaning: "Also what cannot be decoded, or once more." },
    ],
};

/// What `jangbu dead-letters drop` takes.
pub const DROP: Usage = Usage {
    about: "jangbu dead-letters drop PLACE: marks it as dealt with; its record stays.",
    settings: &[],
    flags: &[AT, BY, NOTE],
};

/// How long the brokers may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// Runs `list`.
///
/// # Errors
/// When the brokers do not answer.
pub fn list(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let mut letters = vec![];
    for partition in 0..DEAD_LETTERS.partitions {
        letters.extend(summaries(&tail(config)?, partition)?);
    }
    letters.retain(|letter| given.has("all") || letter.actions.is_empty());
    letters.sort_by_key(|letter| (letter.appended, letter.place));
    if given.has("json") {
        letters.iter().try_for_each(|letter| writeln!(stdout(), "{}", shown::line(letter)))?;
    } else {
        write!(stdout(), "{}", shown::list(&letters))?;
    }
    Ok(true)
}

/// Runs `show`.
///
/// # Errors
/// When the brokers do not answer, or there is no such letter.
pub fn show(config: &Config, given: &Given) -> anyhow::Result<bool> {
    let letter = find(&tail(config)?, place(given)?)?;
    if given.has("json") {
        writeln!(stdout(), "{}", shown::whole(&letter))?;
    } else {
        write!(stdout(), "{}", shown::page(&letter))?;
    }
    Ok(true)
}

/// How many letters nobody has dealt with.
///
/// # Errors
/// When the brokers do not answer.
pub(crate) fn open(tail: &Tail) -> anyhow::Result<usize> {
    let mut open = 0;
    for partition in 0..DEAD_LETTERS.partitions {
        let letters = summaries(tail, partition)?;
        open += letters.iter().filter(|letter| letter.actions.is_empty()).count();
    }
    Ok(open)
}

fn tail(config: &Config) -> anyhow::Result<Tail> {
    Tail::of(&Kafka::of("tool", &config.kafka), &group_of_handler(schemas::CATALOG.name))
}

fn place(given: &Given) -> anyhow::Result<Place> {
    given.value("at").context("which? say its place, such as 3.17")?.parse()
}

/// Every letter of a partition with what was done about it; without bytes, so that many may be
/// held.
fn summaries(tail: &Tail, partition: i32) -> anyhow::Result<Vec<Summary>> {
    let mut letters: Vec<Summary> = vec![];
    let bounds = tail.bounds(DEAD_LETTERS.name, partition)?;
    read(tail, partition, bounds, |read| match read {
        Read::Letter(letter) => letters.push(letter.summary),
        // An act stands behind its letter, and may outlive it.
        Read::Action(of, action) => {
            let known = letters.binary_search_by_key(&of, |letter| letter.place);
            if let Some(letter) = known.ok().and_then(|at| letters.get_mut(at)) {
                letter.actions.push(action);
            }
        }
    })?;
    Ok(letters)
}

/// One letter, with its bytes.
fn find(tail: &Tail, place: Place) -> anyhow::Result<Letter> {
    let mut found: Option<Letter> = None;
    let known = 0..DEAD_LETTERS.partitions;
    if known.contains(&place.partition) {
        let bounds = tail.bounds(DEAD_LETTERS.name, place.partition)?;
        let bounds = Bounds { next: place.offset.max(bounds.next), ..bounds };
        read(tail, place.partition, bounds, |read| match read {
            Read::Letter(letter) if letter.summary.place == place => found = Some(letter),
            Read::Action(of, action) if of == place => {
                found.iter_mut().for_each(|letter| letter.summary.actions.push(action.clone()));
            }
            _ => {}
        })?;
    }
    let Some(letter) = found else {
        bail!("there is no dead letter at {place}; `jangbu dead-letters list` shows them")
    };
    Ok(letter)
}

fn read(
    tail: &Tail,
    partition: i32,
    bounds: Bounds,
    mut take: impl FnMut(Read),
) -> anyhow::Result<()> {
    if bounds.next >= bounds.end {
        return Ok(());
    }
    tail.read(DEAD_LETTERS.name, partition, bounds, SILENCE, |message| {
        take(letter::read(message));
        Ok(())
    })
}
