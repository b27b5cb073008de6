//! A partner: a seller in a mall, and whether it may sell at present.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Aggregate, Timestamp};

/// A partner as its commands need it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Partner {
    standing: Option<Standing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    Active,
    Suspended,
}

record_enum! {
    /// A wish addressed to a partner.
    pub enum Command in "jangbu.catalog" {
        /// Admit a seller to the mall.
        RegisterPartner,
        /// Keep it from selling.
        SuspendPartner,
        /// Let it sell again.
        ReinstatePartner,
    }
}

/// Admit a seller to the mall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct RegisterPartner {
    /// The seller's number in the mall's own systems. One partner has it: another registration of it is refused.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100)]
    pub external_id: Option<String>,
    /// The business name; nobody's private one.
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
}

/// Keep the partner from selling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct SuspendPartner {
    /// Why, in words for the partner.
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Let the partner sell again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ReinstatePartner {}

record_enum! {
    /// A fact of a partner.
    pub enum Event in "jangbu.catalog" {
        /// It was admitted.
        PartnerRegistered,
        /// It may not sell.
        PartnerSuspended,
        /// It may sell again.
        PartnerReinstated,
    }
}

/// A seller was admitted to the mall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct PartnerRegistered {
    /// The seller's number in the mall's own systems.
    pub external_id: Option<String>,
    /// The business name.
    pub name: String,
}

/// The partner may not sell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct PartnerSuspended {
    /// Why.
    pub reason: String,
}

/// The partner may sell again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct PartnerReinstated {}

/// Why a command to a partner is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The partner's number is taken.
    #[error("the partner is registered already")]
    AlreadyRegistered,
    /// There is no such partner in this mall.
    #[error("there is no such partner in this mall")]
    NotFound,
    /// A name of white space only.
    #[error("the name is blank")]
    BlankName,
    /// A reason of white space only.
    #[error("the reason is blank")]
    BlankReason,
}

refusal_codes! {
    Rejection::AlreadyRegistered => "PARTNER_ALREADY_REGISTERED",
    Rejection::NotFound => "PARTNER_NOT_FOUND",
    Rejection::BlankName => "BLANK_NAME",
    Rejection::BlankReason => "BLANK_REASON",
}

impl Aggregate for Partner {
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, _: Uuid, command: &Command, _: Timestamp) -> Result<Vec<Event>, Rejection> {
        match (command, self.standing) {
            (Command::RegisterPartner(_), Some(_)) => Err(Rejection::AlreadyRegistered),
            (Command::RegisterPartner(wish), None) => register(wish),
            (_, None) => Err(Rejection::NotFound),
            (Command::SuspendPartner(wish), _) if wish.reason.trim().is_empty() => {
                Err(Rejection::BlankReason)
            }
            (Command::SuspendPartner(_), Some(Standing::Suspended))
            | (Command::ReinstatePartner(_), Some(Standing::Active)) => Ok(vec![]),
            (Command::SuspendPartner(wish), Some(Standing::Active)) => {
                Ok(vec![PartnerSuspended { reason: wish.reason.clone() }.into()])
            }
            (Command::ReinstatePartner(_), Some(Standing::Suspended)) => {
                Ok(vec![PartnerReinstated {}.into()])
            }
        }
    }

    fn evolve(&mut self, event: &Event, _: Timestamp) {
        self.standing = Some(match event {
            Event::PartnerRegistered(_) | Event::PartnerReinstated(_) => Standing::Active,
            Event::PartnerSuspended(_) => Standing::Suspended,
        });
    }
}

fn register(wish: &RegisterPartner) -> Result<Vec<Event>, Rejection> {
    if wish.name.trim().is_empty() {
        return Err(Rejection::BlankName);
    }
    let (external_id, name) = (wish.external_id.clone(), wish.name.clone());
    Ok(vec![PartnerRegistered { external_id, name }.into()])
}
