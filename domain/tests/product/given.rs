//! `given([events]).when(command).then([events])`, and samples to say it with.

use domain::{
    CategoryId, Currency, Money, PartnerId, ProductId, SkuId,
    product::{
        Approval, Command, Event, NewSku, Product, ProductApprovalChanged, ProductOption,
        ProductRegistered, ProductRepriced, ProductRevised, ProductSaleStateChanged,
        RegisterProduct, RepriceProduct, ReviseProduct, SaleState, Sku, SkuRetired,
    },
};
use uuid::Uuid;

use crate::story;

/// A seller.
pub(crate) const PARTNER: PartnerId = PartnerId(Uuid::from_u128(7));

/// The product of every example.
pub(crate) const ID: Uuid = Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0001);

/// A product after `history`.
pub(crate) fn given<const N: usize>(history: [Event; N]) -> story::Given<Product> {
    story::given(ID, history)
}

pub(crate) fn krw(minor: i64) -> Money {
    Money { minor, currency: Currency::KRW }
}

pub(crate) fn eur(minor: i64) -> Money {
    Money { minor, currency: "EUR".parse().unwrap() }
}

/// A vacuum cleaner in two colours, the black one dearer.
pub(crate) fn vacuum() -> RegisterProduct {
    RegisterProduct {
        partner_id: None,
        external_id: Some("V12".into()),
        name: "무선청소기 V12".into(),
        description: "가볍고 조용합니다".into(),
        options: vec![colours(["흰색", "검정"])],
        skus: vec![sku("W", ["흰색"], None), sku("B", ["검정"], Some(krw(219_000)))],
        list_price: krw(199_000),
        images: vec!["https://img.example/v12.jpg".into()],
        brand_id: None,
        category_ids: vec![],
        sale_period: None,
        approval: None,
        sale_state: None,
        displayed: None,
    }
}

pub(crate) fn colours<const N: usize>(values: [&str; N]) -> ProductOption {
    ProductOption { name: "색상".into(), values: values.map(Into::into).to_vec() }
}

pub(crate) fn sku<const N: usize>(code: &str, choices: [&str; N], price: Option<Money>) -> NewSku {
    NewSku { code: code.into(), choices: choices.map(Into::into).to_vec(), price }
}

pub(crate) fn register(change: impl FnOnce(&mut RegisterProduct)) -> Command {
    let mut wish = vacuum();
    change(&mut wish);
    Command::RegisterProduct(wish)
}

pub(crate) fn reprice(list_price: Money) -> Command {
    Command::RepriceProduct(RepriceProduct { list_price })
}

pub(crate) fn revise(
    name: Option<&str>,
    description: Option<&str>,
    image: Option<&str>,
) -> Command {
    let images = image.map(|image| vec![image.to_owned()]);
    Command::ReviseProduct(ReviseProduct {
        name: name.map(Into::into),
        description: description.map(Into::into),
        images,
    })
}

/// The event that [`vacuum`] leads to.
pub(crate) fn registered() -> Event {
    registered_as(|_| {})
}

/// The event that [`vacuum`] leads to, but for a `change`.
pub(crate) fn registered_as(change: impl FnOnce(&mut ProductRegistered)) -> Event {
    let wish = vacuum();
    let mut fact = ProductRegistered {
        partner_id: wish.partner_id,
        external_id: wish.external_id,
        name: wish.name,
        description: wish.description,
        options: wish.options,
        skus: wish.skus.into_iter().map(known).collect(),
        list_price: wish.list_price,
        images: wish.images,
        brand_id: None,
        category_ids: vec![],
        sale_period: None,
        approval: Some(Approval::Finished),
        sale_state: Some(SaleState::OnSale),
        displayed: Some(true),
    };
    change(&mut fact);
    Event::ProductRegistered(fact)
}

/// The vacuum cleaner of a partner, who has not asked for approval.
pub(crate) fn registered_by_partner() -> Event {
    registered_as(|fact| {
        fact.partner_id = Some(PARTNER);
        fact.approval = Some(Approval::RegistrationReady);
    })
}

pub(crate) fn known(new: NewSku) -> Sku {
    Sku { id: sku_id(&new.code), code: new.code, choices: new.choices, price: new.price }
}

pub(crate) fn sku_id(code: &str) -> SkuId {
    SkuId::of(ProductId(ID), code)
}

pub(crate) fn retired(code: &str) -> Event {
    SkuRetired { sku_id: sku_id(code) }.into()
}

pub(crate) fn category(number: u128) -> CategoryId {
    CategoryId(Uuid::from_u128(number))
}

pub(crate) fn approval(approval: Approval, reason: Option<&str>) -> Event {
    ProductApprovalChanged { approval, reason: reason.map(Into::into) }.into()
}

pub(crate) fn sale_state(previous: SaleState, sale_state: SaleState) -> Event {
    ProductSaleStateChanged { sale_state, previous }.into()
}

pub(crate) fn repriced(previous: Money, list_price: Money) -> Event {
    Event::ProductRepriced(ProductRepriced { list_price, previous })
}

pub(crate) fn renamed(name: &str) -> Event {
    Event::ProductRevised(ProductRevised {
        name: Some(name.into()),
        description: None,
        images: None,
    })
}
