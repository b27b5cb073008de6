//! The rules of a feed that says what a product is.

use domain::{
    BrandId, Currency, PartnerId, Timestamp,
    product::{
        ProductBrandAssigned, ProductCategorised, ProductDisplayChanged, ProductOptionsExtended,
        ProductSaleScheduled, RegisterProduct, Rejection, SalePeriod, SaleState, SkuAdded,
        SkuReinstated, SkuRepriced, UpsertProduct,
    },
};
use uuid::Uuid;

use crate::{given::*, story::BEFORE};

fn upsert(change: impl FnOnce(&mut RegisterProduct)) -> UpsertProduct {
    let mut product = vacuum();
    change(&mut product);
    UpsertProduct { product, observed_at: None }
}

#[test]
fn what_is_absent_is_registered() {
    given([]).when(upsert(|_| {})).then([registered()]);
    let blank = upsert(|wish| wish.name = " ".into());
    given([]).when(blank).rejected(Rejection::BlankName, "BLANK_NAME");
}

#[test]
fn what_is_so_already_changes_nothing() {
    given([registered()]).when(upsert(|_| {})).then([]);
}

#[test]
fn only_what_differs_changes() {
    let wish = upsert(|wish| {
        wish.name = "V12".into();
        wish.list_price = krw(189_000);
    });
    given([registered()]).when(wish).then([renamed("V12"), repriced(krw(199_000), krw(189_000))]);
}

#[test]
fn what_is_left_out_stays_as_it_is() {
    let brand = ProductBrandAssigned { brand_id: Some(BrandId(Uuid::from_u128(8))) };
    let hidden = ProductDisplayChanged { displayed: false };
    let stopped = sale_state(SaleState::OnSale, SaleState::Stop);
    given([registered(), brand.into(), hidden.into(), stopped]).when(upsert(|_| {})).then([]);
    given([registered_by_partner()]).when(upsert(|_| {})).then([]);
}

#[test]
fn where_and_when_it_is_sold_changes_too() {
    let brand_id = Some(BrandId(Uuid::from_u128(8)));
    let sale_period = Some(SalePeriod { starts_at: Some(Timestamp(5)), ends_at: None });
    let wish = upsert(|wish| {
        wish.category_ids = vec![category(1)];
        wish.brand_id = brand_id;
        wish.sale_period = sale_period;
        wish.sale_state = Some(SaleState::Finished);
        wish.displayed = Some(false);
    });
    given([registered()]).when(wish).then([
        ProductCategorised { category_ids: vec![category(1)] }.into(),
        ProductBrandAssigned { brand_id }.into(),
        ProductSaleScheduled { sale_period }.into(),
        sale_state(SaleState::OnSale, SaleState::Finished),
        ProductDisplayChanged { displayed: false }.into(),
    ]);
}

#[test]
fn skus_come_go_come_back_and_change_their_price() {
    let fresh = sku("R", ["빨강"], None);
    let wish = || {
        let fresh = fresh.clone();
        upsert(move |wish| {
            wish.options = vec![colours(["흰색", "검정", "빨강"])];
            wish.skus = vec![sku("B", ["검정"], None), fresh];
        })
    };
    let extended =
        ProductOptionsExtended { options: vec![colours(["흰색", "검정", "빨강"])] };
    given([registered()]).when(wish()).then([
        extended.into(),
        SkuRepriced { sku_id: sku_id("B"), price: None, previous: Some(krw(219_000)) }.into(),
        SkuAdded { sku: known(fresh.clone()) }.into(),
        retired("W"),
    ]);
    let back = SkuReinstated { sku_id: sku_id("W") };
    given([registered(), retired("W")]).when(upsert(|_| {})).then([back.into()]);
}

#[test]
fn the_last_sku_may_be_replaced() {
    let wish = upsert(|wish| wish.skus = vec![sku("W2", ["흰색"], None)]);
    let added = SkuAdded { sku: known(sku("W2", ["흰색"], None)) };
    given([registered(), retired("B")]).when(wish).then([added.into(), retired("W")]);
}

#[test]
fn a_code_does_not_become_another_combination() {
    let wish = upsert(|wish| {
        wish.skus = vec![sku("W", ["검정"], None), sku("B", ["흰색"], None)];
    });
    given([registered()])
        .when(wish)
        .rejected(Rejection::SkuChoicesChanged("W".into()), "SKU_CHOICES_CHANGED");
}

#[test]
fn options_only_gain_values() {
    let changed = || Rejection::OptionsChanged;
    for options in [vec![], vec![colours(["흰색"])], vec![colours(["흰색", "빨강"])]] {
        let choices = options.iter().map(|_| "흰색".to_owned()).collect();
        let wish = upsert(|wish| {
            wish.skus.truncate(1);
            wish.skus[0].choices = choices;
            wish.options = options;
        });
        given([registered()]).when(wish).rejected(changed(), "OPTIONS_CHANGED");
    }
}

#[test]
fn seller_number_and_currency_stay() {
    let changed = || Rejection::IdentityChanged;
    let other = upsert(|wish| wish.partner_id = Some(PartnerId(Uuid::from_u128(9))));
    given([registered_by_partner()]).when(other).rejected(changed(), "IDENTITY_CHANGED");
    let renumbered = upsert(|wish| wish.external_id = Some("V13".into()));
    given([registered()]).when(renumbered).rejected(changed(), "IDENTITY_CHANGED");
    let unnumbered = upsert(|wish| wish.external_id = None);
    given([registered()]).when(unnumbered).then([]);
    let in_euro = upsert(|wish| {
        wish.list_price = eur(1);
        wish.skus.iter_mut().for_each(|sku| sku.price = None);
    });
    let mismatch = Rejection::CurrencyMismatch { expected: Currency::KRW, given: eur(0).currency };
    given([registered()]).when(in_euro).rejected(mismatch, "CURRENCY_MISMATCH");
}

#[test]
fn a_sale_state_keeps_its_rules() {
    let history = [registered_as(|fact| fact.sale_state = Some(SaleState::Prohibition))];
    let wish = upsert(|wish| wish.sale_state = Some(SaleState::OnSale));
    let (from, to) = (SaleState::Prohibition, SaleState::OnSale);
    given(history)
        .when(wish)
        .rejected(Rejection::SaleStateUnreachable { from, to }, "SALE_STATE_UNREACHABLE");
}

#[test]
fn an_old_view_changes_nothing() {
    let seen = |at: i64, name: &str| {
        let mut wish = upsert(|wish| wish.name = name.into());
        wish.observed_at = Some(Timestamp(at));
        wish
    };
    let stale = || Rejection::Stale { changed_at: BEFORE };
    let name = vacuum().name;
    given([registered()]).when(seen(BEFORE.0 - 1, "V12")).rejected(stale(), "STALE");
    given([registered()]).when(seen(BEFORE.0, "V12")).then([renamed("V12")]);
    given([registered()]).when(seen(BEFORE.0 - 1, &name)).then([]);
    let mut less = seen(BEFORE.0 - 1, &name);
    less.product.options = vec![colours(["흰색"])];
    less.product.skus.truncate(1);
    given([registered()]).when(less).rejected(stale(), "STALE");
}
