//! The rules of a partner.

#[path = "../story/mod.rs"]
mod story;

use domain::partner::{
    Event, Partner, PartnerRegistered, PartnerReinstated, PartnerSuspended, RegisterPartner,
    ReinstatePartner, Rejection, SuspendPartner,
};
use uuid::Uuid;

fn given<const N: usize>(history: [Event; N]) -> story::Given<Partner> {
    story::given(Uuid::from_u128(1), history)
}

fn register(name: &str) -> RegisterPartner {
    RegisterPartner { external_id: Some("P-7".into()), name: name.into() }
}

fn registered() -> Event {
    PartnerRegistered { external_id: Some("P-7".into()), name: "장부상회".into() }.into()
}

fn suspend(reason: &str) -> SuspendPartner {
    SuspendPartner { reason: reason.into() }
}

fn suspended() -> Event {
    PartnerSuspended { reason: "서류 미비".into() }.into()
}

fn reinstated() -> Event {
    PartnerReinstated {}.into()
}

#[test]
fn a_partner_is_registered_once() {
    given([]).when(register("장부상회")).then([registered()]);
    given([registered()])
        .when(register("장부상회"))
        .rejected(Rejection::AlreadyRegistered, "PARTNER_ALREADY_REGISTERED");
}

#[test]
fn a_partner_has_a_name() {
    given([]).when(register(" ")).rejected(Rejection::BlankName, "BLANK_NAME");
}

#[test]
fn a_suspended_partner_may_be_reinstated() {
    given([registered()]).when(suspend("서류 미비")).then([suspended()]);
    given([registered(), suspended()]).when(ReinstatePartner {}).then([reinstated()]);
    given([registered(), suspended(), reinstated()]).when(suspend("서류 미비")).then([suspended()]);
}

#[test]
fn what_a_partner_is_already_changes_nothing() {
    given([registered(), suspended()]).when(suspend("다시")).then([]);
    given([registered()]).when(ReinstatePartner {}).then([]);
}

#[test]
fn a_suspension_has_a_reason() {
    given([registered()]).when(suspend("\t")).rejected(Rejection::BlankReason, "BLANK_REASON");
}

#[test]
fn who_was_never_admitted_cannot_change() {
    given([]).when(suspend("서류 미비")).rejected(Rejection::NotFound, "PARTNER_NOT_FOUND");
    given([]).when(ReinstatePartner {}).rejected(Rejection::NotFound, "PARTNER_NOT_FOUND");
}
