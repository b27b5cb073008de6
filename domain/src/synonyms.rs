//! The words that mean the same to a mall's shoppers. They are one aggregate for each mall, replaced
//! as a whole, because a word in two groups says something of both.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Aggregate, Timestamp};

/// The synonyms as their commands need them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Synonyms {
    groups: Vec<SynonymGroup>,
}

record_enum! {
    /// A wish addressed to a mall's synonyms.
    pub enum Command in "jangbu.catalog" {
        /// Say which words mean the same.
        SetSynonyms,
    }
}

/// Say which words mean the same. The given groups replace all earlier ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct SetSynonyms {
    /// The groups; a word stands in one of them at most.
    #[schema(max_items = 1000)]
    pub groups: Vec<SynonymGroup>,
}

/// Words of which a search for one finds the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct SynonymGroup {
    /// The words; one of them may be several, such as `vacuum cleaner`.
    #[schema(min_items = 2, max_items = 20, example = json!(["청소기", "vacuum cleaner"]))]
    pub words: Vec<String>,
}

record_enum! {
    /// A fact of a mall's synonyms.
    pub enum Event in "jangbu.catalog" {
        /// Other words mean the same.
        SynonymsSet,
    }
}

/// Other words mean the same from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct SynonymsSet {
    /// All groups.
    pub groups: Vec<SynonymGroup>,
}

/// Why a command to a mall's synonyms is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The mall has no synonyms.
    #[error("there is no such list of synonyms in this mall")]
    NotFound,
    /// A word of white space only, or of too many characters.
    #[error("{0:?} is no word: a word has 1 to 50 characters that are not all blank")]
    NoWord(String),
    /// A word stands twice.
    #[error("{0:?} stands twice; a word belongs to one group")]
    DuplicateWord(String),
}

refusal_codes! {
    Rejection::NotFound => "SYNONYMS_NOT_FOUND",
    Rejection::NoWord(_) => "SYNONYM_NO_WORD",
    Rejection::DuplicateWord(_) => "DUPLICATE_SYNONYM",
}

impl Aggregate for Synonyms {
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, _: Uuid, command: &Command, _: Timestamp) -> Result<Vec<Event>, Rejection> {
        let Command::SetSynonyms(wish) = command;
        check(&wish.groups)?;
        if wish.groups == self.groups {
            return Ok(vec![]);
        }
        Ok(vec![SynonymsSet { groups: wish.groups.clone() }.into()])
    }

    fn evolve(&mut self, event: &Event, _: Timestamp) {
        let Event::SynonymsSet(fact) = event;
        self.groups.clone_from(&fact.groups);
    }
}

fn check(groups: &[SynonymGroup]) -> Result<(), Rejection> {
    let mut seen = std::collections::BTreeSet::new();
    for word in groups.iter().flat_map(|group| &group.words) {
        if word.trim().is_empty() || word.chars().count() > 50 {
            return Err(Rejection::NoWord(word.chars().take(50).collect()));
        }
        if !seen.insert(word.trim().to_lowercase()) {
            return Err(Rejection::DuplicateWord(word.clone()));
        }
    }
    Ok(())
}
