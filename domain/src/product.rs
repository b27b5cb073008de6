//! What a product is, what it costs, and how both may change.

use std::collections::HashSet;

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Aggregate, Currency, Money, PartnerId, ProductId, Refusal, SkuId, Timestamp};

/// A product as its commands need it: what later decisions depend on, and no more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// What was registered; absent before the first event.
    registered: Option<Registered>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Registered {
    name: String,
    description: String,
    images: Vec<String>,
    list_price: Money,
}

/// A wish addressed to a product.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Bring a product into the catalog.
    RegisterProduct(RegisterProduct),
    /// Change its list price.
    RepriceProduct(RepriceProduct),
    /// Change how it is presented.
    ReviseProduct(ReviseProduct),
}

/// Bring a product into the catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct RegisterProduct {
    /// The seller, where the mall has more than one.
    #[serde(default)]
    pub partner_id: Option<PartnerId>,
    /// The product's own number at its seller: registering the same one again finds the same product.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100)]
    pub external_id: Option<String>,
    /// The name, in the mall's language.
    #[schema(min_length = 1, max_length = 200, example = "무선청소기 V12")]
    pub name: String,
    /// What a buyer should know, as plain text.
    #[serde(default)]
    #[schema(max_length = 20000)]
    pub description: String,
    /// What a buyer chooses, such as colour; none for a product of one kind.
    #[serde(default)]
    #[schema(max_items = 5)]
    pub options: Vec<ProductOption>,
    /// What can be bought: one entry per offered combination of option values.
    #[schema(min_items = 1, max_items = 500)]
    pub skus: Vec<NewSku>,
    /// The price of every SKU that names none of its own.
    pub list_price: Money,
    /// Addresses of pictures, the first one shown first.
    #[serde(default)]
    #[schema(max_items = 30)]
    pub images: Vec<String>,
}

/// Change the list price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct RepriceProduct {
    /// The new list price, in the currency that the product has.
    pub list_price: Money,
}

/// Change how the product is presented; what is left out stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ReviseProduct {
    /// The new name.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    /// The new description; an empty text removes it.
    #[serde(default)]
    #[schema(max_length = 20000)]
    pub description: Option<String>,
    /// The new pictures, in place of all earlier ones.
    #[serde(default)]
    #[schema(max_items = 30)]
    pub images: Option<Vec<String>>,
}

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

/// A fact of a product.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It came into the catalog.
    ProductRegistered(ProductRegistered),
    /// Its list price changed.
    ProductRepriced(ProductRepriced),
    /// Its presentation changed.
    ProductRevised(ProductRevised),
}

/// A product came into the catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ProductRegistered {
    /// The seller, where the mall has more than one.
    pub partner_id: Option<PartnerId>,
    /// The product's own number at its seller.
    pub external_id: Option<String>,
    /// The name.
    pub name: String,
    /// Plain text, may be empty.
    pub description: String,
    /// What a buyer chooses.
    pub options: Vec<ProductOption>,
    /// What can be bought.
    pub skus: Vec<Sku>,
    /// The price of every SKU without one of its own.
    pub list_price: Money,
    /// Addresses of pictures.
    pub images: Vec<String>,
}

/// The list price changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ProductRepriced {
    /// The price from now on.
    pub list_price: Money,
    /// The price until now.
    pub previous: Money,
}

/// The presentation changed; what is absent stayed as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct ProductRevised {
    /// The new name.
    pub name: Option<String>,
    /// The new description.
    pub description: Option<String>,
    /// The new pictures.
    pub images: Option<Vec<String>>,
}

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
    /// A text longer than anybody would show.
    #[error("{what} has {length} bytes; {MOST_BYTES} are allowed")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
    },
}

impl Refusal for Rejection {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyRegistered => "PRODUCT_ALREADY_REGISTERED",
            Self::NotFound => "PRODUCT_NOT_FOUND",
            Self::BlankName => "BLANK_NAME",
            Self::NegativePrice(_) => "NEGATIVE_PRICE",
            Self::CurrencyMismatch { .. } => "CURRENCY_MISMATCH",
            Self::NoSku => "NO_SKU",
            Self::DuplicateSkuCode(_) => "DUPLICATE_SKU_CODE",
            Self::DuplicateSkuChoices(_) => "DUPLICATE_SKU_CHOICES",
            Self::SkuChoicesMismatch(_) => "SKU_CHOICES_MISMATCH",
            Self::DuplicateOption(_) => "DUPLICATE_OPTION",
            Self::InvalidImage(_) => "INVALID_IMAGE",
            Self::TooLong { .. } => "TOO_LONG",
        }
    }
}

impl Aggregate for Product {
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, id: Uuid, command: &Command, _: Timestamp) -> Result<Vec<Event>, Rejection> {
        match (command, &self.registered) {
            (Command::RegisterProduct(_), Some(_)) => Err(Rejection::AlreadyRegistered),
            (Command::RegisterProduct(wish), None) => register(ProductId(id), wish),
            (_, None) => Err(Rejection::NotFound),
            (Command::RepriceProduct(wish), Some(product)) => product.reprice(wish),
            (Command::ReviseProduct(wish), Some(product)) => product.revise(wish),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match (event, &mut self.registered) {
            (Event::ProductRegistered(fact), _) => self.registered = Some(Registered::from(fact)),
            (Event::ProductRepriced(fact), Some(product)) => product.list_price = fact.list_price,
            (Event::ProductRevised(fact), Some(product)) => product.take_revision(fact),
            (Event::ProductRepriced(_) | Event::ProductRevised(_), None) => {}
        }
    }
}

fn register(id: ProductId, wish: &RegisterProduct) -> Result<Vec<Event>, Rejection> {
    check_name(&wish.name)?;
    check_images(&wish.images)?;
    check_amount(wish.list_price)?;
    check_options(&wish.options)?;
    check_skus(wish)?;
    let sku = |new: &NewSku| Sku {
        id: SkuId::of(id, &new.code),
        code: new.code.clone(),
        choices: new.choices.clone(),
        price: new.price,
    };
    Ok(vec![Event::ProductRegistered(ProductRegistered {
        partner_id: wish.partner_id,
        external_id: wish.external_id.clone(),
        name: wish.name.clone(),
        description: wish.description.clone(),
        options: wish.options.clone(),
        skus: wish.skus.iter().map(sku).collect(),
        list_price: wish.list_price,
        images: wish.images.clone(),
    })])
}

impl Registered {
    fn reprice(&self, wish: &RepriceProduct) -> Result<Vec<Event>, Rejection> {
        check_currency(self.list_price.currency, wish.list_price)?;
        if wish.list_price == self.list_price {
            return Ok(vec![]);
        }
        let previous = self.list_price;
        Ok(vec![Event::ProductRepriced(ProductRepriced { list_price: wish.list_price, previous })])
    }

    fn revise(&self, wish: &ReviseProduct) -> Result<Vec<Event>, Rejection> {
        wish.name.as_deref().map_or(Ok(()), check_name)?;
        wish.images.as_deref().map_or(Ok(()), check_images)?;
        let fact = ProductRevised {
            name: wish.name.clone().filter(|name| *name != self.name),
            description: wish.description.clone().filter(|text| *text != self.description),
            images: wish.images.clone().filter(|images| *images != self.images),
        };
        let unchanged = fact.name.is_none() && fact.description.is_none() && fact.images.is_none();
        Ok(if unchanged { vec![] } else { vec![Event::ProductRevised(fact)] })
    }

    fn take_revision(&mut self, fact: &ProductRevised) {
        if let Some(name) = &fact.name {
            self.name.clone_from(name);
        }
        if let Some(description) = &fact.description {
            self.description.clone_from(description);
        }
        if let Some(images) = &fact.images {
            self.images.clone_from(images);
        }
    }
}

impl From<&ProductRegistered> for Registered {
    fn from(fact: &ProductRegistered) -> Self {
        Self {
            name: fact.name.clone(),
            description: fact.description.clone(),
            images: fact.images.clone(),
            list_price: fact.list_price,
        }
    }
}

fn check_name(name: &str) -> Result<(), Rejection> {
    if name.trim().is_empty() { Err(Rejection::BlankName) } else { Ok(()) }
}

/// The longest address or option value.
const MOST_BYTES: usize = 2000;

fn check_length(what: &'static str, text: &str) -> Result<(), Rejection> {
    if text.len() > MOST_BYTES {
        return Err(Rejection::TooLong { what, length: text.len() });
    }
    Ok(())
}

fn check_images(images: &[String]) -> Result<(), Rejection> {
    images.iter().try_for_each(|image| check_length("an image's address", image))?;
    let is_other = |text: &&String| !text.starts_with("https://") && !text.starts_with("http://");
    match images.iter().find(is_other) {
        Some(image) => Err(Rejection::InvalidImage(image.clone())),
        None => Ok(()),
    }
}

fn check_amount(price: Money) -> Result<(), Rejection> {
    if price.minor < 0 { Err(Rejection::NegativePrice(price.minor)) } else { Ok(()) }
}

fn check_currency(expected: Currency, price: Money) -> Result<(), Rejection> {
    check_amount(price)?;
    if price.currency == expected {
        Ok(())
    } else {
        Err(Rejection::CurrencyMismatch { expected, given: price.currency })
    }
}

fn check_options(options: &[ProductOption]) -> Result<(), Rejection> {
    let mut names = HashSet::new();
    for option in options {
        option.values.iter().try_for_each(|value| check_length("an option's value", value))?;
        let mut values = HashSet::new();
        if !names.insert(&option.name) || !option.values.iter().all(|value| values.insert(value)) {
            return Err(Rejection::DuplicateOption(option.name.clone()));
        }
    }
    Ok(())
}

fn check_skus(wish: &RegisterProduct) -> Result<(), Rejection> {
    if wish.skus.is_empty() {
        return Err(Rejection::NoSku);
    }
    let (mut codes, mut combinations) = (HashSet::new(), HashSet::new());
    for sku in &wish.skus {
        sku.price.map_or(Ok(()), |price| check_currency(wish.list_price.currency, price))?;
        let fits = sku.choices.len() == wish.options.len()
            && sku.choices.iter().zip(&wish.options).all(|(value, o)| o.values.contains(value));
        if !fits {
            return Err(Rejection::SkuChoicesMismatch(sku.code.clone()));
        }
        if !codes.insert(&sku.code) {
            return Err(Rejection::DuplicateSkuCode(sku.code.clone()));
        }
        if !combinations.insert(&sku.choices) {
            return Err(Rejection::DuplicateSkuChoices(sku.code.clone()));
        }
    }
    Ok(())
}
