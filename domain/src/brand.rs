//! A brand, under which products are sold.
//!
//! A product whose brand is retired is left as it is: it is still sold under that name, but the
//! brand is no longer offered for new products. That is a courtesy of the API, since a product
//! decides on its own history alone.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Aggregate, Timestamp};

/// A brand as its commands need it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Brand {
    /// What was registered; absent before the first event.
    registered: Option<Registered>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Registered {
    name: String,
    retired: bool,
}

record_enum! {
    /// A wish addressed to a brand.
    pub enum Command in "jangbu.catalog" {
        /// Bring a brand into the catalog.
        RegisterBrand,
        /// Call it otherwise.
        RenameBrand,
        /// Offer it no longer for new products.
        RetireBrand,
        /// Offer it again.
        ReinstateBrand,
    }
}

/// Bring a brand into the catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct RegisterBrand {
    /// The brand's number in the mall's own systems. One brand has it: another registration of it is refused.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100)]
    pub external_id: Option<String>,
    /// The name that buyers know.
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
}

/// Call the brand otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct RenameBrand {
    /// The new name.
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
}

/// Offer the brand no longer for new products; those that have it keep it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct RetireBrand {}

/// Offer the brand again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ReinstateBrand {}

record_enum! {
    /// A fact of a brand.
    pub enum Event in "jangbu.catalog" {
        /// It came into the catalog.
        BrandRegistered,
        /// It is called otherwise.
        BrandRenamed,
        /// It is no longer offered.
        BrandRetired,
        /// It is offered again.
        BrandReinstated,
    }
}

/// A brand came into the catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct BrandRegistered {
    /// The brand's number in the mall's own systems.
    pub external_id: Option<String>,
    /// The name that buyers know.
    pub name: String,
}

/// The brand is called otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct BrandRenamed {
    /// The name from now on.
    pub name: String,
    /// The name until now.
    pub previous: String,
}

/// The brand is no longer offered for new products.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct BrandRetired {}

/// The brand is offered again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct BrandReinstated {}

/// Why a command to a brand is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The brand's number is taken.
    #[error("the brand is registered already")]
    AlreadyRegistered,
    /// There is no such brand in this mall.
    #[error("there is no such brand in this mall")]
    NotFound,
    /// A name of white space only.
    #[error("the name is blank")]
    BlankName,
}

refusal_codes! {
    Rejection::AlreadyRegistered => "BRAND_ALREADY_REGISTERED",
    Rejection::NotFound => "BRAND_NOT_FOUND",
    Rejection::BlankName => "BLANK_NAME",
}

impl Aggregate for Brand {
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, _: Uuid, command: &Command, _: Timestamp) -> Result<Vec<Event>, Rejection> {
        match (command, &self.registered) {
            (Command::RegisterBrand(_), Some(_)) => Err(Rejection::AlreadyRegistered),
            (Command::RegisterBrand(wish), None) => {
                check_name(&wish.name)?;
                let (external_id, name) = (wish.external_id.clone(), wish.name.clone());
                Ok(vec![BrandRegistered { external_id, name }.into()])
            }
            (_, None) => Err(Rejection::NotFound),
            (Command::RenameBrand(wish), Some(brand)) => brand.rename(&wish.name),
            (Command::RetireBrand(_), Some(brand)) => {
                Ok(if brand.retired { vec![] } else { vec![BrandRetired {}.into()] })
            }
            (Command::ReinstateBrand(_), Some(brand)) => {
                Ok(if brand.retired { vec![BrandReinstated {}.into()] } else { vec![] })
            }
        }
    }

    fn evolve(&mut self, event: &Event, _: Timestamp) {
        match (event, &mut self.registered) {
            (Event::BrandRegistered(fact), _) => {
                self.registered = Some(Registered { name: fact.name.clone(), retired: false });
            }
            (Event::BrandRenamed(fact), Some(brand)) => brand.name.clone_from(&fact.name),
            (Event::BrandRetired(_), Some(brand)) => brand.retired = true,
            (Event::BrandReinstated(_), Some(brand)) => brand.retired = false,
            (_, None) => {}
        }
    }
}

impl Registered {
    fn rename(&self, name: &str) -> Result<Vec<Event>, Rejection> {
        check_name(name)?;
        if name == self.name {
            return Ok(vec![]);
        }
        Ok(vec![BrandRenamed { name: name.to_owned(), previous: self.name.clone() }.into()])
    }
}

fn check_name(name: &str) -> Result<(), Rejection> {
    if name.trim().is_empty() { Err(Rejection::BlankName) } else { Ok(()) }
}
