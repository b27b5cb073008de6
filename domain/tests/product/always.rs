//! What holds for every history and every command.

use domain::{
    Aggregate, Currency, Refusal, Timestamp,
    product::{Command, Event, Product, RepriceProduct},
};
use proptest::{collection::vec, prelude::*};

use crate::{
    given::ID,
    wishes::{change, commands, money, register},
};

pub(crate) fn decide(product: &Product, command: &Command) -> Result<Vec<Event>, String> {
    product.decide(ID, command, Timestamp(0)).map_err(|refused| refused.code().to_owned())
}

/// A product that took in what its commands led to.
pub(crate) fn after(commands: &[Command]) -> Product {
    let mut product = Product::default();
    for (at, command) in (0..).zip(commands) {
        for event in decide(&product, command).unwrap_or_default() {
            product.evolve(&event, Timestamp(at));
        }
    }
    product
}

/// Takes in what was decided at a later time.
pub(crate) fn take_in(product: &mut Product, events: &[Event]) {
    events.iter().for_each(|event| product.evolve(event, Timestamp(100)));
}

proptest! {
    #[test]
    fn deciding_again_gives_the_same(history in commands(), command in change()) {
        prop_assert_eq!(
            decide(&after(&history), &command),
            decide(&after(&history), &command)
        );
    }

    #[test]
    fn an_accepted_change_has_nothing_left_to_change(
        history in commands(),
        command in change(),
    ) {
        let mut product = after(&history);
        if let Ok(events) = decide(&product, &command) {
            take_in(&mut product, &events);
            prop_assert_eq!(decide(&product, &command), Ok(vec![]));
        }
    }

    #[test]
    fn a_registered_product_is_never_registered_again(
        history in commands(),
        first in register(),
        second in register(),
    ) {
        let mut product = after(&history);
        if let Ok(events) = decide(&product, &first) {
            take_in(&mut product, &events);
            prop_assert_eq!(
                decide(&product, &second),
                Err("PRODUCT_ALREADY_REGISTERED".to_owned())
            );
        }
    }

    #[test]
    fn a_single_wish_leaves_at_most_one_event(
        history in commands(),
        command in prop_oneof![register(), change()],
    ) {
        prop_assert!(decide(&after(&history), &command).unwrap_or_default().len() <= 1);
    }

    #[test]
    fn a_state_survives_the_snapshot(history in commands()) {
        let product = after(&history);
        let stored = serde_json::to_vec(&product).unwrap();
        let loaded = serde_json::from_slice::<Product>(&stored).unwrap();
        prop_assert_eq!(serde_json::to_vec(&loaded).unwrap(), stored);
        prop_assert_eq!(loaded, product);
    }

    #[test]
    fn no_price_in_won_becomes_one_in_euro(history in commands(), prices in vec(money(), 1..10)) {
        let mut product = after(&history);
        let mut currency: Option<Currency> = None;
        for list_price in prices {
            let command = Command::RepriceProduct(RepriceProduct { list_price });
            if let Ok(events) = decide(&product, &command) {
                take_in(&mut product, &events);
                prop_assert_eq!(*currency.get_or_insert(list_price.currency), list_price.currency);
            }
        }
    }
}
