//! What products are made of.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Money, SkuId, Timestamp};

/// What a buyer chooses, and among which values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ProductOption {
    /// What is chosen.
    #[schema(min_length = 1, max_length = 50, example = "색상")]
    pub name: String,
    /// The values to choose from.
    #[schema(min_items = 1, max_items = 100)]
    pub values: Vec<String>,
}

/// A SKU as its merchant names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct NewSku {
    /// The merchant's own code, unique within the product.
    #[schema(min_length = 1, max_length = 100)]
    pub code: String,
    /// One value of each option, in the order of the options.
    #[serde(default)]
    #[schema(max_items = 5)]
    pub choices: Vec<String>,
    /// A price of its own, in the currency of the list price.
    #[serde(default)]
    pub price: Option<Money>,
}

/// A SKU of a registered product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct Sku {
    /// Derived from the product and the code, so it survives retries and replays.
    pub id: SkuId,
    /// The merchant's own code.
    pub code: String,
    /// One value of each option, in the order of the options.
    pub choices: Vec<String>,
    /// A price of its own; without it the list price holds.
    pub price: Option<Money>,
}

/// When a product is sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct SalePeriod {
    /// The first moment; from ever when left out.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// The first moment after; for ever when left out.
    #[serde(default)]
    pub ends_at: Option<Timestamp>,
}

impl SalePeriod {
    /// Whether a product of this period is sold at `at`.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.starts_at.is_none_or(|start| start <= at) && self.ends_at.is_none_or(|end| at < end)
    }

    /// Whether it ends at all, or begins.
    pub(super) fn is_bounded(&self) -> bool {
        self.starts_at.is_some() || self.ends_at.is_some()
    }
}

text_enum! {
    /// How far the mall's approval of a product has come.
    pub enum Approval {
        /// It was registered, and its partner has not asked for approval.
        RegistrationReady = "REGISTRATION_READY",
        /// The mall is asked.
        ApprovalReady = "APPROVAL_READY",
        /// The mall refused; its partner may ask again.
        ApprovalRejection = "APPROVAL_REJECTION",
        /// Approved, or in need of no approval.
        Finished = "FINISHED",
    }
}

text_enum! {
    /// Whether a product is meant to be sold.
    pub enum SaleState {
        /// Not yet.
        Ready = "READY",
        /// It is.
        OnSale = "ONSALE",
        /// No longer; it may only be made ready again.
        Finished = "FINISHED",
        /// For the moment not.
        Stop = "STOP",
        /// The mall forbids it; only a stop leads out.
        Prohibition = "PROHIBITION",
    }
}
