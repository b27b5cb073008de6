//! Whether a product is sold: approval, sale state, period and display.

use super::{
    Approval, Decided, Event, ProductApprovalChanged, ProductDisplayChanged, ProductSaleScheduled,
    ProductSaleStateChanged, Rejection, SalePeriod, SaleState,
    checks::{check_period, check_reason},
    state::Registered,
};
use crate::Timestamp;

/// All that decides whether a product is on sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// How far its approval has come.
    pub approval: Approval,
    /// Whether it is meant to be sold.
    pub sale_state: SaleState,
    /// Whether buyers see it.
    pub displayed: bool,
    /// When it is sold; always when absent.
    pub sale_period: Option<SalePeriod>,
}

impl Offer {
    /// Whether buyers see the product at `at` and may buy it.
    pub fn is_on_sale(&self, at: Timestamp) -> bool {
        self.is_open() && self.sale_period.is_none_or(|period| period.contains(at))
    }

    /// Whether it is on sale whenever its period says so.
    pub fn is_open(&self) -> bool {
        self.approval == Approval::Finished
            && self.sale_state == SaleState::OnSale
            && self.displayed
    }
}

impl Approval {
    fn may_become(self, next: Self) -> bool {
        use Approval::{ApprovalReady, ApprovalRejection, Finished, RegistrationReady};
        matches!(
            (self, next),
            (RegistrationReady | ApprovalRejection, ApprovalReady)
                | (ApprovalReady, Finished | ApprovalRejection)
        )
    }
}

impl SaleState {
    fn may_become(self, next: Self) -> bool {
        match self {
            Self::Prohibition => next == Self::Stop,
            Self::Finished => next == Self::Ready,
            Self::Ready | Self::OnSale | Self::Stop => true,
        }
    }
}

impl Registered {
    pub(super) fn approval_to(&self, approval: Approval, reason: Option<&str>) -> Decided {
        let from = self.approval;
        if from == approval {
            return Ok(vec![]);
        }
        if !from.may_become(approval) {
            return Err(Rejection::ApprovalUnreachable { from, to: approval });
        }
        let reason = reason.map(str::to_owned);
        Ok(vec![ProductApprovalChanged { approval, reason }.into()])
    }

    pub(super) fn reject_approval(&self, reason: &str) -> Decided {
        check_reason(reason)?;
        self.approval_to(Approval::ApprovalRejection, Some(reason))
    }

    pub(super) fn sale_state_to(&self, sale_state: SaleState) -> Decided {
        let previous = self.sale_state;
        if previous == sale_state {
            return Ok(vec![]);
        }
        if !previous.may_become(sale_state) {
            return Err(Rejection::SaleStateUnreachable { from: previous, to: sale_state });
        }
        if sale_state == SaleState::OnSale && self.approval != Approval::Finished {
            return Err(Rejection::NotApproved(self.approval));
        }
        Ok(vec![ProductSaleStateChanged { sale_state, previous }.into()])
    }

    pub(super) fn schedule(&self, sale_period: Option<SalePeriod>) -> Decided {
        check_period(sale_period)?;
        let sale_period = sale_period.filter(SalePeriod::is_bounded);
        if sale_period == self.sale_period {
            return Ok(vec![]);
        }
        Ok(vec![ProductSaleScheduled { sale_period }.into()])
    }

    pub(super) fn display(&self, displayed: bool) -> Vec<Event> {
        if displayed == self.displayed {
            return vec![];
        }
        vec![ProductDisplayChanged { displayed }.into()]
    }
}
