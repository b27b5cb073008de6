//! Each rule once, each rejection once.

use domain::{
    BrandId, Currency,
    product::{
        AssignBrand, CategoriseProduct, Event, ProductBrandAssigned, ProductCategorised,
        ProductRevised, Rejection,
    },
};

use crate::given::*;

#[test]
fn a_product_is_registered_as_wished() {
    given([]).when(register(|_| {})).then([registered()]);
}

#[test]
fn a_product_without_options_has_one_sku() {
    let plain = register(|wish| {
        wish.options.clear();
        wish.skus = vec![sku("ONE", [], None)];
    });
    let fact = registered_as(|fact| {
        fact.options.clear();
        fact.skus = vec![known(sku("ONE", [], None))];
    });
    given([]).when(plain).then([fact]);
}

#[test]
fn a_product_is_registered_once() {
    given([registered()])
        .when(register(|_| {}))
        .rejected(Rejection::AlreadyRegistered, "PRODUCT_ALREADY_REGISTERED");
}

#[test]
fn a_price_change_keeps_the_price_before() {
    given([registered()]).when(reprice(krw(189_000))).then([repriced(krw(199_000), krw(189_000))]);
    given([registered(), repriced(krw(199_000), krw(189_000))])
        .when(reprice(krw(199_000)))
        .then([repriced(krw(189_000), krw(199_000))]);
}

#[test]
fn the_same_price_again_changes_nothing() {
    given([registered()]).when(reprice(krw(199_000))).then([]);
}

#[test]
fn a_product_may_be_given_away() {
    given([registered()]).when(reprice(krw(0))).then([repriced(krw(199_000), krw(0))]);
}

#[test]
fn a_revision_says_only_what_changed() {
    given([registered()])
        .when(revise(Some("무선청소기 V12 플러스"), Some("가볍고 조용합니다"), None))
        .then([renamed("무선청소기 V12 플러스")]);
}

#[test]
fn a_description_may_be_removed_and_pictures_replaced() {
    let fact = ProductRevised {
        name: None,
        description: Some(String::new()),
        images: Some(vec!["http://img.example/new.png".into()]),
    };
    given([registered()])
        .when(revise(None, Some(""), Some("http://img.example/new.png")))
        .then([Event::ProductRevised(fact)]);
}

#[test]
fn a_revision_to_what_is_there_changes_nothing() {
    given([registered()]).when(revise(None, None, None)).then([]);
    given([registered(), renamed("V12")]).when(revise(Some("V12"), None, None)).then([]);
}

#[test]
fn what_does_not_exist_cannot_change() {
    given([]).when(reprice(krw(1))).rejected(Rejection::NotFound, "PRODUCT_NOT_FOUND");
    given([])
        .when(revise(Some("x"), None, None))
        .rejected(Rejection::NotFound, "PRODUCT_NOT_FOUND");
}

#[test]
fn a_name_is_not_blank() {
    let blank = register(|wish| wish.name = " \u{3000}\t".into());
    given([]).when(blank).rejected(Rejection::BlankName, "BLANK_NAME");
    given([registered()])
        .when(revise(Some(" "), None, None))
        .rejected(Rejection::BlankName, "BLANK_NAME");
}

#[test]
fn a_price_is_not_negative() {
    let code = "NEGATIVE_PRICE";
    let below_zero = register(|wish| wish.list_price = krw(-1));
    given([]).when(below_zero).rejected(Rejection::NegativePrice(-1), code);
    let sku_below_zero = register(|wish| wish.skus[1].price = Some(krw(-2)));
    given([]).when(sku_below_zero).rejected(Rejection::NegativePrice(-2), code);
    given([registered()]).when(reprice(krw(-3))).rejected(Rejection::NegativePrice(-3), code);
}

#[test]
fn a_product_keeps_its_currency() {
    let mismatch = Rejection::CurrencyMismatch { expected: Currency::KRW, given: eur(0).currency };
    given([registered()])
        .when(reprice(eur(19_900)))
        .rejected(mismatch.clone(), "CURRENCY_MISMATCH");
    let mixed = register(|wish| wish.skus[1].price = Some(eur(100)));
    given([]).when(mixed).rejected(mismatch, "CURRENCY_MISMATCH");
}

#[test]
fn something_must_be_for_sale() {
    let empty = register(|wish| wish.skus.clear());
    given([]).when(empty).rejected(Rejection::NoSku, "NO_SKU");
}

#[test]
fn a_sku_code_is_used_once() {
    let twice = register(|wish| wish.skus[1].code = "W".into());
    given([]).when(twice).rejected(Rejection::DuplicateSkuCode("W".into()), "DUPLICATE_SKU_CODE");
}

#[test]
fn a_combination_is_sold_once() {
    let twice = register(|wish| wish.skus[1].choices = vec!["흰색".into()]);
    given([])
        .when(twice)
        .rejected(Rejection::DuplicateSkuChoices("B".into()), "DUPLICATE_SKU_CHOICES");
}

#[test]
fn choices_are_one_value_of_each_option() {
    for choices in [vec![], vec!["빨강".into()], vec!["흰색".into(), "흰색".into()]] {
        let other = register(|wish| wish.skus[0].choices = choices);
        given([])
            .when(other)
            .rejected(Rejection::SkuChoicesMismatch("W".into()), "SKU_CHOICES_MISMATCH");
    }
}

#[test]
fn options_and_their_values_are_named_once() {
    let duplicate = || Rejection::DuplicateOption("색상".into());
    let value_twice = register(|wish| wish.options = vec![colours(["흰색", "흰색"])]);
    given([]).when(value_twice).rejected(duplicate(), "DUPLICATE_OPTION");
    let name_twice = register(|wish| wish.options = vec![colours(["흰색"]), colours(["검정"])]);
    given([]).when(name_twice).rejected(duplicate(), "DUPLICATE_OPTION");
}

#[test]
fn a_picture_has_a_web_address() {
    let invalid = |image: &str| Rejection::InvalidImage(image.into());
    let local = register(|wish| wish.images = vec!["file:///etc/passwd".into()]);
    given([]).when(local).rejected(invalid("file:///etc/passwd"), "INVALID_IMAGE");
    given([registered()])
        .when(revise(None, None, Some("v12.jpg")))
        .rejected(invalid("v12.jpg"), "INVALID_IMAGE");
    let endless = Rejection::TooLong { what: "an image's address", length: 2001, most: 2000 };
    let long = register(|wish| wish.images = vec!["x".repeat(2001)]);
    given([]).when(long).rejected(endless, "TOO_LONG");
}

#[test]
fn a_product_stands_in_a_few_categories() {
    let (some, more) = (vec![category(1), category(2)], vec![category(2), category(1)]);
    let wish = |ids: &[_]| CategoriseProduct { category_ids: ids.to_vec() };
    let fact = ProductCategorised { category_ids: some.clone() };
    given([registered()]).when(wish(&some)).then([fact.clone().into()]);
    given([registered(), fact.clone().into()]).when(wish(&some)).then([]);
    let reordered = ProductCategorised { category_ids: more.clone() };
    given([registered(), fact.into()]).when(wish(&more)).then([reordered.into()]);

    let twice = Rejection::DuplicateCategory(category(1));
    given([registered()])
        .when(wish(&[category(1), category(1)]))
        .rejected(twice.clone(), "DUPLICATE_CATEGORY");
    let repeated = register(|wish| wish.category_ids = vec![category(1); 2]);
    given([]).when(repeated).rejected(twice, "DUPLICATE_CATEGORY");
    let eleven: Vec<_> = (0..11).map(category).collect();
    given([registered()])
        .when(wish(&eleven))
        .rejected(Rejection::TooManyCategories, "TOO_MANY_CATEGORIES");
}

#[test]
fn a_brand_is_assigned_and_taken_away() {
    let brand = Some(BrandId(uuid::Uuid::from_u128(8)));
    let wish = |brand_id| AssignBrand { brand_id };
    let fact = |brand_id| Event::from(ProductBrandAssigned { brand_id });
    given([registered()]).when(wish(brand)).then([fact(brand)]);
    given([registered(), fact(brand)]).when(wish(brand)).then([]);
    given([registered(), fact(brand)]).when(wish(None)).then([fact(None)]);
}
