//! An aggregate is of one kind, from its first event on.

use domain::{
    Aggregate, MallId, Refusal, Timestamp, brand,
    catalog::{Command, Event, Rejection, State},
    categories,
    id::{BrandId, CategoriesId, PartnerId, ProductId, derive},
    partner, product,
};
use uuid::Uuid;

use crate::story;

fn given<const N: usize>(history: [Event; N]) -> story::Given<State> {
    story::given(Uuid::from_u128(1), history)
}

fn register_brand() -> Command {
    let wish = brand::RegisterBrand { external_id: None, name: "바람".into() };
    brand::Command::from(wish).into()
}

fn brand_registered() -> Event {
    let fact = brand::BrandRegistered { external_id: None, name: "바람".into() };
    brand::Event::from(fact).into()
}

fn add_category() -> Command {
    let name = "주방".into();
    let wish = categories::AddCategory { category_id: None, parent_id: None, name, position: None };
    categories::Command::from(wish).into()
}

/// One change of each kind, the aggregates of which must exist.
fn changes() -> [Command; 4] {
    [
        product::Command::from(product::HideProduct {}).into(),
        partner::Command::from(partner::ReinstatePartner {}).into(),
        brand::Command::from(brand::RetireBrand {}).into(),
        categories::Command::from(categories::RetireCategory {
            category_id: domain::CategoryId(Uuid::from_u128(2)),
        })
        .into(),
    ]
}

#[test]
fn the_first_event_makes_the_kind() {
    given([]).when(register_brand()).then([brand_registered()]);
    given([brand_registered()])
        .when(brand::Command::from(brand::RetireBrand {}))
        .then([brand::Event::from(brand::BrandRetired {}).into()]);
}

#[test]
fn an_id_belongs_to_one_kind() {
    given([brand_registered()]).when(add_category()).rejected(Rejection::OtherKind, "OTHER_KIND");
    for command in changes() {
        if !matches!(command, Command::Brand(_)) {
            given([brand_registered()]).when(command).rejected(Rejection::OtherKind, "OTHER_KIND");
        }
    }
}

#[test]
fn what_does_not_exist_is_not_found_whatever_its_kind() {
    let codes = ["PRODUCT_NOT_FOUND", "PARTNER_NOT_FOUND", "BRAND_NOT_FOUND", "CATEGORY_NOT_FOUND"];
    for (command, code) in changes().into_iter().zip(codes) {
        let rejection = command.not_found();
        assert!(rejection.to_string().starts_with("there is no such"), "{rejection}");
        assert_eq!(rejection.code(), code);
        given([]).when(command).rejected(rejection, code);
    }
}

#[test]
fn a_state_is_stored_under_the_name_of_its_kind() {
    let mut states = vec![State::default()];
    for command in [register_brand(), add_category()] {
        let mut state = State::default();
        let events = state.decide(Uuid::nil(), &command, Timestamp(0)).unwrap();
        events.iter().for_each(|event| state.evolve(event, Timestamp(0)));
        states.push(state);
    }
    states.push(State::Product(product::Product::default()));
    states.push(State::Partner(partner::Partner::default()));
    let kinds: Vec<_> = states.iter().map(State::kind).collect();
    assert_eq!(kinds, ["nothing", "brand", "categories", "product", "partner"]);
    for state in states {
        let stored = serde_json::to_value(&state).unwrap();
        assert_eq!(stored["kind"], state.kind());
        assert_eq!(serde_json::from_value::<State>(stored).unwrap(), state);
    }
}

#[test]
fn ids_are_derived_as_they_ever_were() {
    let mall: MallId = "demo".parse().unwrap();
    let product = ProductId::of(&mall, None, "7");
    assert_eq!(product.0, derive(&["product", "demo", "", "7"]));
    assert_ne!(product, ProductId::of(&mall, Some(PartnerId::of(&mall, "1")), "7"));
    assert_ne!(PartnerId::of(&mall, "7").0, BrandId::of(&mall, "7").0);
    assert_eq!(
        [CategoriesId::of(&mall).0, PartnerId::of(&mall, "7").0, BrandId::of(&mall, "7").0],
        [
            derive(&["categories", "demo"]),
            derive(&["partner", "demo", "7"]),
            derive(&["brand", "demo", "7"]),
        ]
    );
}
