//! Why a command to a product is refused.

use super::{Approval, MOST_CATEGORIES, MOST_SKUS, MOST_SKUS_EVER, SaleState};
use crate::{CategoryId, Currency, SkuId, Timestamp};

/// Why a command to a product is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The product's number is taken.
    #[error("the product is registered already; change it with reprice or revise")]
    AlreadyRegistered,
    /// There is no such product in this mall.
    #[error("there is no such product in this mall")]
    NotFound,
    /// A name of white space only.
    #[error("the name is blank")]
    BlankName,
    /// A negative amount.
    #[error("the price {0} is negative")]
    NegativePrice(i64),
    /// Another currency than the product's.
    #[error("the price is in {given}, the product is sold in {expected}")]
    CurrencyMismatch {
        /// The currency of the product.
        expected: Currency,
        /// The currency of the command.
        given: Currency,
    },
    /// No SKU at all.
    #[error("a product needs at least one SKU")]
    NoSku,
    /// A SKU code used twice.
    #[error("the SKU code {0:?} is used twice")]
    DuplicateSkuCode(String),
    /// Two SKUs for one combination.
    #[error("the SKU {0:?} repeats the choices of another")]
    DuplicateSkuChoices(String),
    /// Choices that are not one value of each option.
    #[error("the choices of SKU {0:?} are not one value of each option, in order")]
    SkuChoicesMismatch(String),
    /// An option or a value of it named twice.
    #[error("the option {0:?} is named twice or repeats a value")]
    DuplicateOption(String),
    /// A picture that is not a web address.
    #[error("{0:?} is not an http or https address")]
    InvalidImage(String),
    /// More SKUs than a product may have.
    #[error("a product has at most {MOST_SKUS} SKUs, and {MOST_SKUS_EVER} with retired ones")]
    TooManySkus,
    /// No such SKU, or a retired one.
    #[error("the product has no SKU {0}")]
    UnknownSku(SkuId),
    /// The code of a SKU that was retired.
    #[error("the SKU code {0:?} was retired and may not be used again")]
    SkuCodeRetired(String),
    /// A SKU with other choices than it was registered with.
    #[error("the SKU {0:?} cannot become another combination; give that one a code of its own")]
    SkuChoicesChanged(String),
    /// The last SKU on offer.
    #[error("the last SKU cannot be retired; stop the product's sale instead")]
    LastSku,
    /// Options changed otherwise than by more values.
    #[error("the options of a product may only gain values")]
    OptionsChanged,
    /// Another seller or number than the product was registered with.
    #[error("the product was registered with another partner or external id")]
    IdentityChanged,
    /// More categories than a product may stand in.
    #[error("a product stands in at most {MOST_CATEGORIES} categories")]
    TooManyCategories,
    /// A category named twice.
    #[error("the category {0} is named twice")]
    DuplicateCategory(CategoryId),
    /// A period that ends before it begins.
    #[error("a sale period starts before it ends")]
    InvalidSalePeriod,
    /// An approval that does not follow on the one it has.
    #[error("the approval cannot go from {from} to {to}")]
    ApprovalUnreachable {
        /// What it is.
        from: Approval,
        /// What was wished.
        to: Approval,
    },
    /// A sale state that does not follow on the one it has.
    #[error("the sale state cannot go from {from} to {to}")]
    SaleStateUnreachable {
        /// What it is.
        from: SaleState,
        /// What was wished.
        to: SaleState,
    },
    /// Put on sale before it was approved.
    #[error("the product is not approved: its approval is {0}")]
    NotApproved(Approval),
    /// A reason of white space only.
    #[error("the reason is blank")]
    BlankReason,
    /// A feed that saw less than what was decided since.
    #[error("the product changed at {changed_at}, after it was observed")]
    Stale {
        /// When the product changed last.
        changed_at: Timestamp,
    },
    /// A text longer than anybody would show.
    #[error("{what} has {length} bytes; {most} are allowed")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// How many there may be.
        most: usize,
    },
}

refusal_codes! {
    Rejection::AlreadyRegistered => "PRODUCT_ALREADY_REGISTERED",
    Rejection::NotFound => "PRODUCT_NOT_FOUND",
    Rejection::BlankName => "BLANK_NAME",
    Rejection::NegativePrice(_) => "NEGATIVE_PRICE",
    Rejection::CurrencyMismatch { .. } => "CURRENCY_MISMATCH",
    Rejection::NoSku => "NO_SKU",
    Rejection::DuplicateSkuCode(_) => "DUPLICATE_SKU_CODE",
    Rejection::DuplicateSkuChoices(_) => "DUPLICATE_SKU_CHOICES",
    Rejection::SkuChoicesMismatch(_) => "SKU_CHOICES_MISMATCH",
    Rejection::DuplicateOption(_) => "DUPLICATE_OPTION",
    Rejection::InvalidImage(_) => "INVALID_IMAGE",
    Rejection::TooManySkus => "TOO_MANY_SKUS",
    Rejection::UnknownSku(_) => "SKU_NOT_FOUND",
    Rejection::SkuCodeRetired(_) => "SKU_CODE_RETIRED",
    Rejection::SkuChoicesChanged(_) => "SKU_CHOICES_CHANGED",
    Rejection::LastSku => "LAST_SKU",
    Rejection::OptionsChanged => "OPTIONS_CHANGED",
    Rejection::IdentityChanged => "IDENTITY_CHANGED",
    Rejection::TooManyCategories => "TOO_MANY_CATEGORIES",
    Rejection::DuplicateCategory(_) => "DUPLICATE_CATEGORY",
    Rejection::InvalidSalePeriod => "INVALID_SALE_PERIOD",
    Rejection::ApprovalUnreachable { .. } => "APPROVAL_UNREACHABLE",
    Rejection::SaleStateUnreachable { .. } => "SALE_STATE_UNREACHABLE",
    Rejection::NotApproved(_) => "NOT_APPROVED",
    Rejection::BlankReason => "BLANK_REASON",
    Rejection::Stale { .. } => "STALE",
    Rejection::TooLong { .. } => "TOO_LONG",
}
