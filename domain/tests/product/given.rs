//! `given([events]).when(command).then([events])`, and samples to say it with.

use domain::{
    Aggregate, Money, Refusal, Timestamp,
    product::{
        Command, Event, NewSku, Product, ProductOption, ProductRegistered, ProductRepriced,
        ProductRevised, RegisterProduct, Rejection, RepriceProduct, ReviseProduct, Sku,
    },
};
use domain::{ProductId, SkuId};
use uuid::Uuid;

/// The product of every example.
pub(crate) const ID: Uuid = Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0001);

/// A product with a history.
pub(crate) struct Given(Product);

/// What was decided of a command.
pub(crate) struct Decided(Result<Vec<Event>, Rejection>);

/// A product after `history`.
pub(crate) fn given<const N: usize>(history: [Event; N]) -> Given {
    let mut product = Product::default();
    history.iter().for_each(|event| product.evolve(event));
    Given(product)
}

impl Given {
    /// Decides `command`.
    pub(crate) fn when(self, command: Command) -> Decided {
        Decided(self.0.decide(ID, &command, Timestamp(0)))
    }
}

impl Decided {
    /// Expects exactly these events.
    #[track_caller]
    pub(crate) fn then<const N: usize>(self, events: [Event; N]) {
        assert_eq!(self.0, Ok(events.to_vec()));
    }

    /// Expects the rejection and the code under which clients know it.
    #[track_caller]
    pub(crate) fn rejected(self, rejection: Rejection, code: &str) {
        assert_eq!(rejection.code(), code);
        assert_eq!(self.0, Err(rejection));
    }
}

pub(crate) fn krw(minor: i64) -> Money {
    Money { minor, currency: domain::Currency::KRW }
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
    let wish = vacuum();
    let sku = |new: NewSku| Sku {
        id: SkuId::of(ProductId(ID), &new.code),
        code: new.code,
        choices: new.choices,
        price: new.price,
    };
    Event::ProductRegistered(ProductRegistered {
        partner_id: wish.partner_id,
        external_id: wish.external_id,
        name: wish.name,
        description: wish.description,
        options: wish.options,
        skus: wish.skus.into_iter().map(sku).collect(),
        list_price: wish.list_price,
        images: wish.images,
    })
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
