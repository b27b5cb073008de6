//! That a changed fold gets another format: a build that folds otherwise must not write into what
//! another build folded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "../../schemas/tests/asyncapi/story.rs"]
#[allow(dead_code, reason = "it is told for others too")]
mod story;

use std::{collections::BTreeMap, fmt::Debug, fs, path::PathBuf};

use domain::{Timestamp, id::derive};
use projections::{
    AnyProjection as _, Fact, Logged, Projection, command_status::CommandStatus,
    directory::Directory, history::History, products::Products, snapshot::Snapshot,
};
use schemas::{CATALOG, EventMessage, HeaderSource as _};
use story::Body;
use uuid::Uuid;

/// Every event of the story, as the log would have it.
fn events() -> Vec<Logged> {
    let mut events = vec![];
    for told in story::tell() {
        let Body::Event(body) = told.body else { continue };
        let key = told.headers.header("ce_subject").unwrap();
        let aggregate = Uuid::try_parse_ascii(key).unwrap();
        let fact = Fact::Event(EventMessage::read(&told.headers, aggregate, body).unwrap());
        let offset = i64::try_from(events.len()).unwrap();
        let (topic, appended) = (CATALOG.events.name.to_owned(), Timestamp(offset));
        let as_written = None;
        events.push(Logged { topic, partition: 0, offset, appended, fact, as_written });
    }
    events
}

/// The name of a fold, the shape of its tables, and what it makes of the story.
fn line<P: Projection<State: Debug>>(of: &P, events: &[Logged]) -> String {
    let mut states: BTreeMap<Uuid, P::State> = BTreeMap::new();
    for logged in events {
        let Some(key) = P::key(logged).unwrap() else { continue };
        let state = P::apply(states.remove(&key), logged).unwrap();
        states.insert(key, state);
    }
    format!("{} {} {}\n", P::NAME, of.shape(), digest(&states))
}

fn digest(of: &impl Debug) -> Uuid {
    derive(&["fold", &format!("{of:?}")])
}

#[test]
fn a_changed_fold_has_another_format() {
    let events = events();
    let folds = format!("story - {}\n", digest(&events))
        + &line(&Products, &events)
        + &line(&Directory, &events)
        + &line(&CommandStatus, &events)
        + &line(&Snapshot, &events)
        + &line(&History, &events);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/folds.txt");
    let committed = fs::read_to_string(&path).unwrap_or_default();
    // Of another story, whatever is made of it says nothing.
    let same_story = folds.lines().next() == committed.lines().next();
    for (now, before) in folds.lines().zip(committed.lines()).filter(|_| same_story) {
        let (of, was) = (now.rsplit_once(' ').unwrap(), before.rsplit_once(' ').unwrap());
        assert!(
            of.0 != was.0 || of.1 == was.1,
            "what {} makes of the same events has changed: give it another FORMAT, or builds with \
             and without the change would write into one table",
            of.0
        );
    }
    if std::env::var_os("JANGBU_REWRITE").is_some() {
        fs::write(&path, &folds).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == folds, "projections/tests/folds.txt is not up to date: run `make folds`");
}
