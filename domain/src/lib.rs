//! The rules of the shop as pure values: what may be wished ([`product::Command`]), what became
//! true ([`product::Event`]) and what is refused ([`product::Rejection`]).
//!
//! No IO, clock, randomness, async or Kafka: ids and times come in with the command, so deciding
//! again over the same history gives the same answer.

pub mod aggregate;
pub mod id;
pub mod money;
pub mod product;
pub mod time;

pub use aggregate::{Aggregate, Refusal};
pub use id::{CommandId, MallId, PartnerId, ProductId, SkuId};
pub use money::{Currency, Money};
pub use time::Timestamp;
