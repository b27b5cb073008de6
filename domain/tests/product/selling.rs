//! The rules of approval, sale state, period and display.

use domain::{
    Timestamp,
    product::{
        Approval, ApproveProduct, ChangeSaleState, DisplayProduct, Event, HideProduct, Offer,
        ProductDisplayChanged, ProductSaleScheduled, RejectApproval, Rejection, RequestApproval,
        SalePeriod, SaleState, ScheduleSale,
    },
};

use crate::given::*;

fn period(starts_at: Option<i64>, ends_at: Option<i64>) -> SalePeriod {
    SalePeriod { starts_at: starts_at.map(Timestamp), ends_at: ends_at.map(Timestamp) }
}

#[test]
fn a_partner_s_product_needs_approval_and_the_mall_s_own_does_not() {
    let by_partner = register(|wish| wish.partner_id = Some(PARTNER));
    given([]).when(by_partner).then([registered_by_partner()]);
    given([]).when(register(|_| {})).then([registered()]);
}

#[test]
fn a_product_may_be_registered_in_whatever_state() {
    let wished = register(|wish| {
        wish.approval = Some(Approval::ApprovalReady);
        wish.sale_state = Some(SaleState::Stop);
        wish.displayed = Some(false);
        wish.sale_period = Some(period(Some(1), None));
    });
    let fact = registered_as(|fact| {
        fact.approval = Some(Approval::ApprovalReady);
        fact.sale_state = Some(SaleState::Stop);
        fact.displayed = Some(false);
        fact.sale_period = Some(period(Some(1), None));
    });
    given([]).when(wished).then([fact]);
}

#[test]
fn an_early_registration_was_approved_on_sale_and_displayed() {
    let early = || {
        registered_as(|fact| {
            (fact.approval, fact.sale_state, fact.displayed) = (None, None, None);
        })
    };
    given([early()]).when(ApproveProduct {}).then([]);
    given([early()]).when(ChangeSaleState { sale_state: SaleState::OnSale }).then([]);
    given([early()]).when(DisplayProduct {}).then([]);
}

#[test]
fn approval_is_asked_for_then_given_or_refused() {
    let asked = || approval(Approval::ApprovalReady, None);
    let refused = || approval(Approval::ApprovalRejection, Some("사진 없음"));
    let refuse = || RejectApproval { reason: "사진 없음".into() };
    given([registered_by_partner()]).when(RequestApproval {}).then([asked()]);
    given([registered_by_partner(), asked()]).when(RequestApproval {}).then([]);
    given([registered_by_partner(), asked()])
        .when(ApproveProduct {})
        .then([approval(Approval::Finished, None)]);
    given([registered_by_partner(), asked()]).when(refuse()).then([refused()]);
    given([registered_by_partner(), asked(), refused()]).when(refuse()).then([]);
    given([registered_by_partner(), asked(), refused()]).when(RequestApproval {}).then([asked()]);
}

#[test]
fn no_step_of_approval_is_left_out() {
    let code = "APPROVAL_UNREACHABLE";
    let unreachable = |from, to| Rejection::ApprovalUnreachable { from, to };
    let (fresh, done) = (Approval::RegistrationReady, Approval::Finished);
    given([registered_by_partner()])
        .when(ApproveProduct {})
        .rejected(unreachable(fresh, done), code);
    given([registered()])
        .when(RequestApproval {})
        .rejected(unreachable(done, Approval::ApprovalReady), code);
    given([registered()])
        .when(RejectApproval { reason: "늦음".into() })
        .rejected(unreachable(done, Approval::ApprovalRejection), code);
    given([registered()])
        .when(RejectApproval { reason: " ".into() })
        .rejected(Rejection::BlankReason, "BLANK_REASON");
}

#[test]
fn a_sale_state_follows_on_another() {
    use SaleState::{Finished, OnSale, Prohibition, Ready, Stop};
    for from in SaleState::ALL.iter().copied() {
        for to in SaleState::ALL.iter().copied() {
            let history = [registered_as(|fact| fact.sale_state = Some(from))];
            let decided = given(history).when(ChangeSaleState { sale_state: to });
            match (from, to) {
                _ if from == to => decided.then([]),
                (Ready | OnSale | Stop, _) | (Prohibition, Stop) | (Finished, Ready) => {
                    decided.then([sale_state(from, to)]);
                }
                _ => {
                    let unreachable = Rejection::SaleStateUnreachable { from, to };
                    decided.rejected(unreachable, "SALE_STATE_UNREACHABLE");
                }
            }
        }
    }
}

#[test]
fn nothing_goes_on_sale_before_it_is_approved() {
    let stopped = || sale_state(SaleState::OnSale, SaleState::Stop);
    let wish = || ChangeSaleState { sale_state: SaleState::OnSale };
    given([registered_by_partner(), stopped()])
        .when(wish())
        .rejected(Rejection::NotApproved(Approval::RegistrationReady), "NOT_APPROVED");
    given([registered_by_partner(), stopped(), approval(Approval::Finished, None)])
        .when(wish())
        .then([sale_state(SaleState::Stop, SaleState::OnSale)]);
}

#[test]
fn a_sale_is_scheduled_and_the_schedule_lifted() {
    let summer = Some(period(Some(10), Some(20)));
    let wish = |sale_period| ScheduleSale { sale_period };
    let fact = |sale_period| Event::from(ProductSaleScheduled { sale_period });
    given([registered()]).when(wish(summer)).then([fact(summer)]);
    given([registered(), fact(summer)]).when(wish(summer)).then([]);
    given([registered(), fact(summer)]).when(wish(None)).then([fact(None)]);
    given([registered(), fact(summer)]).when(wish(Some(period(None, None)))).then([fact(None)]);
    given([registered()]).when(wish(Some(period(None, None)))).then([]);
}

#[test]
fn a_period_starts_before_it_ends() {
    let invalid = || Rejection::InvalidSalePeriod;
    let never = Some(period(Some(10), Some(10)));
    given([registered()])
        .when(ScheduleSale { sale_period: never })
        .rejected(invalid(), "INVALID_SALE_PERIOD");
    let wish = register(|wish| wish.sale_period = never);
    given([]).when(wish).rejected(invalid(), "INVALID_SALE_PERIOD");
}

#[test]
fn a_product_is_hidden_and_displayed() {
    let fact = |displayed| Event::from(ProductDisplayChanged { displayed });
    given([registered()]).when(HideProduct {}).then([fact(false)]);
    given([registered()]).when(DisplayProduct {}).then([]);
    given([registered(), fact(false)]).when(HideProduct {}).then([]);
    given([registered(), fact(false)]).when(DisplayProduct {}).then([fact(true)]);
}

#[test]
fn a_product_is_on_sale_when_all_agree() {
    let open = Offer {
        approval: Approval::Finished,
        sale_state: SaleState::OnSale,
        displayed: true,
        sale_period: Some(period(Some(10), Some(20))),
    };
    let on_sale = |offer: Offer, at| offer.is_on_sale(Timestamp(at));
    let times = [9, 10, 19, 20].map(|at| on_sale(open, at));
    assert_eq!(times, [false, true, true, false]);
    assert!(on_sale(Offer { sale_period: None, ..open }, 0));
    assert!(on_sale(Offer { sale_period: Some(period(None, Some(20))), ..open }, 0));
    assert!(!on_sale(Offer { displayed: false, ..open }, 10));
    assert!(!on_sale(Offer { sale_state: SaleState::Stop, ..open }, 10));
    assert!(!on_sale(Offer { approval: Approval::ApprovalReady, ..open }, 10));
}
