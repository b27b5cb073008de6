//! What a command must keep to whatever the product is.

use std::collections::HashSet;

use super::{
    MOST_CATEGORIES, MOST_SKUS, NewSku, ProductOption, RegisterProduct, Rejection, SalePeriod,
};
use crate::{CategoryId, Currency, Money};

/// All that holds of a whole product.
pub(super) fn check_product(wish: &RegisterProduct) -> Result<(), Rejection> {
    check_name(&wish.name)?;
    check_images(&wish.images)?;
    check_amount(wish.list_price)?;
    check_options(&wish.options)?;
    check_skus(wish)?;
    check_categories(&wish.category_ids)?;
    check_period(wish.sale_period)
}

pub(super) fn check_name(name: &str) -> Result<(), Rejection> {
    if name.trim().is_empty() { Err(Rejection::BlankName) } else { Ok(()) }
}

/// The longest address.
const MOST_OF_ADDRESS: usize = 2000;
/// The longest option value: every SKU that ever was repeats one of each option in its row.
const MOST_OF_VALUE: usize = 200;

pub(super) fn check_length(what: &'static str, most: usize, text: &str) -> Result<(), Rejection> {
    if text.len() > most {
        return Err(Rejection::TooLong { what, length: text.len(), most });
    }
    Ok(())
}

pub(super) fn check_images(images: &[String]) -> Result<(), Rejection> {
    images
        .iter()
        .try_for_each(|image| check_length("an image's address", MOST_OF_ADDRESS, image))?;
    let is_other = |text: &&String| !text.starts_with("https://") && !text.starts_with("http://");
    match images.iter().find(is_other) {
        Some(image) => Err(Rejection::InvalidImage(image.clone())),
        None => Ok(()),
    }
}

pub(super) fn check_amount(price: Money) -> Result<(), Rejection> {
    if price.minor < 0 { Err(Rejection::NegativePrice(price.minor)) } else { Ok(()) }
}

pub(super) fn check_currency(expected: Currency, price: Money) -> Result<(), Rejection> {
    check_amount(price)?;
    if price.currency == expected {
        Ok(())
    } else {
        Err(Rejection::CurrencyMismatch { expected, given: price.currency })
    }
}

pub(super) fn check_options(options: &[ProductOption]) -> Result<(), Rejection> {
    let mut names = HashSet::new();
    for option in options {
        for value in &option.values {
            check_length("an option's value", MOST_OF_VALUE, value)?;
        }
        let mut values = HashSet::new();
        if !names.insert(&option.name) || !option.values.iter().all(|value| values.insert(value)) {
            return Err(Rejection::DuplicateOption(option.name.clone()));
        }
    }
    Ok(())
}

/// Whether `sku` is one combination of `options`, at a price that the product can have.
pub(super) fn check_sku(
    sku: &NewSku,
    options: &[ProductOption],
    currency: Currency,
) -> Result<(), Rejection> {
    sku.price.map_or(Ok(()), |price| check_currency(currency, price))?;
    let fits = sku.choices.len() == options.len()
        && sku.choices.iter().zip(options).all(|(value, o)| o.values.contains(value));
    if fits { Ok(()) } else { Err(Rejection::SkuChoicesMismatch(sku.code.clone())) }
}

fn check_skus(wish: &RegisterProduct) -> Result<(), Rejection> {
    match wish.skus.len() {
        0 => return Err(Rejection::NoSku),
        1..=MOST_SKUS => {}
        _ => return Err(Rejection::TooManySkus),
    }
    let (mut codes, mut combinations) = (HashSet::new(), HashSet::new());
    for sku in &wish.skus {
        check_sku(sku, &wish.options, wish.list_price.currency)?;
        if !codes.insert(&sku.code) {
            return Err(Rejection::DuplicateSkuCode(sku.code.clone()));
        }
        if !combinations.insert(&sku.choices) {
            return Err(Rejection::DuplicateSkuChoices(sku.code.clone()));
        }
    }
    Ok(())
}

pub(super) fn check_categories(ids: &[CategoryId]) -> Result<(), Rejection> {
    if ids.len() > MOST_CATEGORIES {
        return Err(Rejection::TooManyCategories);
    }
    let mut seen = HashSet::new();
    match ids.iter().find(|id| !seen.insert(**id)) {
        Some(id) => Err(Rejection::DuplicateCategory(*id)),
        None => Ok(()),
    }
}

pub(super) fn check_period(period: Option<SalePeriod>) -> Result<(), Rejection> {
    match period {
        Some(SalePeriod { starts_at: Some(start), ends_at: Some(end) }) if start >= end => {
            Err(Rejection::InvalidSalePeriod)
        }
        _ => Ok(()),
    }
}

pub(super) fn check_reason(reason: &str) -> Result<(), Rejection> {
    if reason.trim().is_empty() { Err(Rejection::BlankReason) } else { Ok(()) }
}
