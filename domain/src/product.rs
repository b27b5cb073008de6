//! What a product is, what it costs, whether it is sold, and how all of it may change.

mod checks;
mod commands;
mod events;
mod register;
mod rejection;
mod selling;
mod skus;
mod state;
mod upsert;
mod values;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use commands::*;
pub use events::*;
pub use rejection::Rejection;
pub use selling::Offer;
pub use values::*;

use self::state::Registered;
use crate::{Aggregate, ProductId, Timestamp};

/// How many SKUs of a product may be offered at once.
pub const MOST_SKUS: usize = 500;

/// How many SKUs a product may ever have: retired ones are remembered, so that no code is reused.
pub const MOST_SKUS_EVER: usize = 2000;

/// In how many categories a product may stand.
pub const MOST_CATEGORIES: usize = 10;

/// A product as its commands need it: what later decisions depend on, and no more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// What was registered; absent before the first event.
    registered: Option<Registered>,
}

type Decided = Result<Vec<Event>, Rejection>;

impl Aggregate for Product {
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, id: Uuid, command: &Command, _: Timestamp) -> Decided {
        let id = ProductId(id);
        match (command, &self.registered) {
            (Command::RegisterProduct(_), Some(_)) => Err(Rejection::AlreadyRegistered),
            (Command::RegisterProduct(wish), None) => register::register(id, wish),
            (Command::UpsertProduct(wish), None) => register::register(id, &wish.product),
            (_, None) => Err(Rejection::NotFound),
            (command, Some(product)) => product.decide(id, command),
        }
    }

    fn evolve(&mut self, event: &Event, at: Timestamp) {
        match (event, &mut self.registered) {
            (Event::ProductRegistered(fact), _) => {
                self.registered = Some(Registered::new(fact, at));
            }
            (event, Some(product)) => product.evolve(event, at),
            (_, None) => {}
        }
    }
}

impl Registered {
    fn decide(&self, id: ProductId, command: &Command) -> Decided {
        match command {
            Command::RegisterProduct(_) => Err(Rejection::AlreadyRegistered),
            Command::UpsertProduct(wish) => self.upsert(id, wish),
            Command::RepriceProduct(wish) => self.reprice(wish.list_price),
            Command::ReviseProduct(wish) => self.revise(wish),
            Command::CategoriseProduct(wish) => self.categorise(&wish.category_ids),
            Command::AssignBrand(wish) => Ok(self.assign_brand(wish.brand_id)),
            Command::AddSku(wish) => self.add_sku(id, &wish.sku),
            Command::RepriceSku(wish) => self.reprice_sku(wish),
            Command::RetireSku(wish) => self.retire_sku(wish.sku_id),
            Command::ScheduleSale(wish) => self.schedule(wish.sale_period),
            Command::RequestApproval(_) => self.approval_to(Approval::ApprovalReady, None),
            Command::ApproveProduct(_) => self.approval_to(Approval::Finished, None),
            Command::RejectApproval(wish) => self.reject_approval(&wish.reason),
            Command::ChangeSaleState(wish) => self.sale_state_to(wish.sale_state),
            Command::DisplayProduct(_) => Ok(self.display(true)),
            Command::HideProduct(_) => Ok(self.display(false)),
        }
    }
}
