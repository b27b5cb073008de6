//! The rules of a mall's synonyms.

#[path = "../story/mod.rs"]
mod story;

use domain::synonyms::{Event, Rejection, SetSynonyms, SynonymGroup, Synonyms, SynonymsSet};
use uuid::Uuid;

fn given<const N: usize>(history: [Event; N]) -> story::Given<Synonyms> {
    story::given(Uuid::from_u128(1), history)
}

fn groups(all: &[&[&str]]) -> Vec<SynonymGroup> {
    let group = |words: &&[&str]| SynonymGroup {
        words: words.iter().map(|&word| word.to_owned()).collect(),
    };
    all.iter().map(group).collect()
}

fn wish(all: &[&[&str]]) -> SetSynonyms {
    SetSynonyms { groups: groups(all) }
}

fn fact(all: &[&[&str]]) -> Event {
    SynonymsSet { groups: groups(all) }.into()
}

#[test]
fn the_groups_replace_all_earlier_ones() {
    let (one, other): (&[&[&str]], &[&[&str]]) =
        (&[&["청소기", "vacuum cleaner"]], &[&["티셔츠", "tee"]]);
    given([]).when(wish(one)).then([fact(one)]);
    given([fact(one)]).when(wish(other)).then([fact(other)]);
    given([fact(one)]).when(wish(&[])).then([fact(&[])]);
    given([fact(one)]).when(wish(one)).then([]);
    given([]).when(wish(&[])).then([]);
}

#[test]
fn a_word_is_one_and_belongs_to_one_group() {
    given([])
        .when(wish(&[&["Tee", "티셔츠"], &["tee ", "반팔"]]))
        .rejected(Rejection::DuplicateWord("tee ".to_owned()), "DUPLICATE_SYNONYM");
    given([])
        .when(wish(&[&["tee", " "]]))
        .rejected(Rejection::NoWord(" ".to_owned()), "SYNONYM_NO_WORD");
}
