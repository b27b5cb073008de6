//! The rules of single SKUs.

use domain::product::{
    AddSku, Command, Event, MOST_SKUS, NewSku, Rejection, RepriceSku, RetireSku, SkuAdded,
    SkuReinstated, SkuRepriced,
};

use crate::given::*;

fn add<const N: usize>(code: &str, choices: [&str; N]) -> Command {
    AddSku { sku: sku(code, choices, None) }.into()
}

fn retire(code: &str) -> RetireSku {
    RetireSku { sku_id: sku_id(code) }
}

fn reprice_sku(code: &str, price: Option<domain::Money>) -> RepriceSku {
    RepriceSku { sku_id: sku_id(code), price }
}

fn repriced_sku(
    code: &str,
    previous: Option<domain::Money>,
    price: Option<domain::Money>,
) -> Event {
    SkuRepriced { sku_id: sku_id(code), price, previous }.into()
}

#[test]
fn a_sku_is_added_for_a_free_combination() {
    let fact = SkuAdded { sku: known(sku("W2", ["흰색"], None)) };
    given([registered(), retired("W")]).when(add("W2", ["흰색"])).then([fact.into()]);
    given([registered()])
        .when(add("W2", ["흰색"]))
        .rejected(Rejection::DuplicateSkuChoices("W2".into()), "DUPLICATE_SKU_CHOICES");
    given([registered()])
        .when(add("R", ["빨강"]))
        .rejected(Rejection::SkuChoicesMismatch("R".into()), "SKU_CHOICES_MISMATCH");
}

#[test]
fn a_code_stands_for_one_sku() {
    given([registered()]).when(add("W", ["흰색"])).then([]);
    given([registered()])
        .when(add("W", ["검정"]))
        .rejected(Rejection::DuplicateSkuCode("W".into()), "DUPLICATE_SKU_CODE");
}

#[test]
fn a_retired_code_is_not_used_again() {
    given([registered(), retired("W")])
        .when(add("W", ["흰색"]))
        .rejected(Rejection::SkuCodeRetired("W".into()), "SKU_CODE_RETIRED");
    let back = SkuReinstated { sku_id: sku_id("W") };
    given([registered(), retired("W"), back.into()]).when(add("W", ["흰색"])).then([]);
}

#[test]
fn a_sku_is_retired_once_and_never_the_last() {
    given([registered()]).when(retire("W")).then([retired("W")]);
    given([registered(), retired("W")]).when(retire("W")).then([]);
    given([registered(), retired("W")]).when(retire("B")).rejected(Rejection::LastSku, "LAST_SKU");
}

#[test]
fn a_sku_has_a_price_of_its_own_or_the_list_price() {
    let (old, new) = (Some(krw(219_000)), Some(krw(209_000)));
    given([registered()]).when(reprice_sku("B", new)).then([repriced_sku("B", old, new)]);
    given([registered()]).when(reprice_sku("B", None)).then([repriced_sku("B", old, None)]);
    given([registered()]).when(reprice_sku("B", old)).then([]);
    given([registered(), repriced_sku("B", old, new)]).when(reprice_sku("B", new)).then([]);
    given([registered()])
        .when(reprice_sku("B", Some(krw(-1))))
        .rejected(Rejection::NegativePrice(-1), "NEGATIVE_PRICE");
    let (expected, given_in) = (krw(0).currency, eur(0).currency);
    given([registered()])
        .when(reprice_sku("B", Some(eur(1))))
        .rejected(Rejection::CurrencyMismatch { expected, given: given_in }, "CURRENCY_MISMATCH");
}

#[test]
fn only_a_sku_on_offer_changes() {
    let unknown = |code: &str| Rejection::UnknownSku(sku_id(code));
    given([registered()]).when(retire("X")).rejected(unknown("X"), "SKU_NOT_FOUND");
    given([registered()]).when(reprice_sku("X", None)).rejected(unknown("X"), "SKU_NOT_FOUND");
    given([registered(), retired("W")])
        .when(reprice_sku("W", Some(krw(1))))
        .rejected(unknown("W"), "SKU_NOT_FOUND");
}

#[test]
fn a_product_has_so_many_skus() {
    let values: Vec<String> = (0..=MOST_SKUS).map(|n| n.to_string()).collect();
    let skus = |count: usize| -> Vec<NewSku> {
        values[..count].iter().map(|n| sku(n, [n.as_str()], None)).collect()
    };
    let full = registered_as(|fact| {
        fact.options[0].values = values.clone();
        fact.skus = skus(MOST_SKUS).into_iter().map(known).collect();
    });
    let last = &values[MOST_SKUS];
    given([full]).when(add(last, [last])).rejected(Rejection::TooManySkus, "TOO_MANY_SKUS");
    let more = register(|wish| {
        wish.options[0].values = values.clone();
        wish.skus = skus(MOST_SKUS + 1);
    });
    given([]).when(more).rejected(Rejection::TooManySkus, "TOO_MANY_SKUS");
}
