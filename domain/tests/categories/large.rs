//! A tree of 10,000 categories. Nothing is timed: every state that there ever was is kept, which
//! no machine could if each were a whole copy.

use domain::{
    Aggregate, Timestamp,
    categories::{Categories, Rejection},
};

use crate::given::{ID, add, relocate, retire};

const SIZE: u128 = 10_000;

/// Ten below each; the topmost are ten, too.
fn parent(number: u128) -> Option<u128> {
    (number > 10).then(|| (number - 1) / 10)
}

#[test]
fn a_state_shares_what_did_not_change() {
    let mut states = vec![Categories::default()];
    for number in 1..=SIZE {
        let mut next = states.last().unwrap().clone();
        let wish = add(number, parent(number), &number.to_string()).into();
        let events = next.decide(ID.0, &wish, Timestamp(0)).unwrap();
        events.iter().for_each(|event| next.evolve(event, Timestamp(0)));
        states.push(next);
    }
    let full = states.last().unwrap();
    let decide = |wish| full.decide(ID.0, &wish, Timestamp(0));
    assert_eq!(decide(relocate(1, Some(SIZE)).into()).map(|events| events.len()), Ok(1));
    assert_eq!(decide(relocate(1, Some(111)).into()), Err(Rejection::Cycle));
    assert_eq!(decide(retire(1).into()), Err(Rejection::HasChildren));
    assert_eq!(decide(retire(SIZE).into()).map(|events| events.len()), Ok(1));
}
