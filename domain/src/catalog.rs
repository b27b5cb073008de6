//! The catalog: what a mall sells, of whom, under which brands and in which categories, and what
//! its shoppers call it.
//!
//! Each aggregate decides on its own history alone. That a named partner, brand or category exists
//! is a courtesy of the API, and reads join current states.

use crate::{Timestamp, brand, categories, partner, product, synonyms};

context! {
    Product(product::Product),
    Partner(partner::Partner),
    Brand(brand::Brand),
    Categories(categories::Categories),
    Synonyms(synonyms::Synonyms),
}

impl Command {
    /// When what the command tells was seen to be so, where it tells of something seen elsewhere.
    pub fn observed_at(&self) -> Option<Timestamp> {
        match self {
            Self::Product(product::Command::UpsertProduct(feed)) => feed.observed_at,
            _ => None,
        }
    }
}
