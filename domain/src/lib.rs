//! The rules of the shop as pure values: what may be wished ([`catalog::Command`]), what became
//! true ([`catalog::Event`]) and what is refused ([`catalog::Rejection`]).
//!
//! No IO, clock, randomness, async or Kafka: ids and times come in with the command, so deciding
//! again over the same history gives the same answer.

#[macro_use]
mod context;
#[macro_use]
mod refusal_codes;
#[macro_use]
mod text_enum;
#[macro_use]
pub mod record_enum;

pub mod aggregate;
pub mod brand;
pub mod catalog;
pub mod categories;
pub mod id;
pub mod money;
pub mod partner;
pub mod product;
pub mod synonyms;
pub mod time;

pub use aggregate::{Aggregate, Refusal};
pub use id::{
    BrandId, CategoriesId, CategoryId, CommandId, MallId, PartnerId, ProductId, SkuId, SynonymsId,
};
pub use money::{Currency, Money};
pub use record_enum::{RecordEnum, RecordReader, RecordWriter};
pub use time::Timestamp;
