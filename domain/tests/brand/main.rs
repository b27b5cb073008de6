//! The rules of a brand.

#[path = "../story/mod.rs"]
mod story;

use domain::brand::{
    Brand, BrandRegistered, BrandReinstated, BrandRenamed, BrandRetired, Event, RegisterBrand,
    ReinstateBrand, Rejection, RenameBrand, RetireBrand,
};
use uuid::Uuid;

fn given<const N: usize>(history: [Event; N]) -> story::Given<Brand> {
    story::given(Uuid::from_u128(1), history)
}

fn register(name: &str) -> RegisterBrand {
    RegisterBrand { external_id: None, name: name.into() }
}

fn registered() -> Event {
    BrandRegistered { external_id: None, name: "바람".into() }.into()
}

fn rename(name: &str) -> RenameBrand {
    RenameBrand { name: name.into() }
}

fn renamed(previous: &str, name: &str) -> Event {
    BrandRenamed { name: name.into(), previous: previous.into() }.into()
}

fn retired() -> Event {
    BrandRetired {}.into()
}

#[test]
fn a_brand_is_registered_once() {
    given([]).when(register("바람")).then([registered()]);
    given([registered()])
        .when(register("바람"))
        .rejected(Rejection::AlreadyRegistered, "BRAND_ALREADY_REGISTERED");
}

#[test]
fn a_brand_has_a_name() {
    given([]).when(register("")).rejected(Rejection::BlankName, "BLANK_NAME");
    given([registered()]).when(rename(" ")).rejected(Rejection::BlankName, "BLANK_NAME");
}

#[test]
fn a_new_name_keeps_the_one_before() {
    given([registered()]).when(rename("돌풍")).then([renamed("바람", "돌풍")]);
    given([registered(), renamed("바람", "돌풍")]).when(rename("돌풍")).then([]);
}

#[test]
fn a_brand_is_retired_and_reinstated() {
    given([registered()]).when(RetireBrand {}).then([retired()]);
    given([registered(), retired()]).when(RetireBrand {}).then([]);
    given([registered(), retired()]).when(ReinstateBrand {}).then([BrandReinstated {}.into()]);
    given([registered()]).when(ReinstateBrand {}).then([]);
}

#[test]
fn what_does_not_exist_cannot_change() {
    given([]).when(rename("돌풍")).rejected(Rejection::NotFound, "BRAND_NOT_FOUND");
    given([]).when(RetireBrand {}).rejected(Rejection::NotFound, "BRAND_NOT_FOUND");
    given([]).when(ReinstateBrand {}).rejected(Rejection::NotFound, "BRAND_NOT_FOUND");
}
