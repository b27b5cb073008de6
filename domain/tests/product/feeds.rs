//! What holds of every feed.

use domain::{
    Aggregate, Timestamp,
    product::{Command, Event, Product, RegisterProduct, UpsertProduct},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    always::{after, decide, take_in},
    given::ID,
    wishes::{commands, product, upsert},
};

/// What a feed decides of a product: all of it but what it leaves alone, and what only the past
/// of the product explains.
fn fed(product: &Product, feed: &RegisterProduct) -> Value {
    let mut state = json!(product)["registered"].take();
    let fields = state.as_object_mut().unwrap();
    let skus = fields["skus"].as_object_mut().unwrap();
    skus.retain(|_, sku| sku["retired"] == json!(false));
    let left_out = [
        ("changed_at", true),
        ("approval", true),
        ("brand_id", feed.brand_id.is_none()),
        ("category_ids", feed.category_ids.is_empty()),
        ("sale_period", feed.sale_period.is_none()),
        ("sale_state", feed.sale_state.is_none()),
        ("displayed", feed.displayed.is_none()),
    ];
    for (name, is_left_out) in left_out {
        assert!(fields.contains_key(name));
        if is_left_out {
            fields.remove(name);
        }
    }
    state
}

fn unconditional(product: RegisterProduct) -> Command {
    UpsertProduct { product, observed_at: None }.into()
}

proptest! {
    #[test]
    fn the_same_again_changes_nothing(history in commands(), feed in upsert()) {
        let mut product = after(&history);
        let command = Command::UpsertProduct(feed);
        if let Ok(events) = decide(&product, &command) {
            take_in(&mut product, &events);
            prop_assert_eq!(decide(&product, &command), Ok(vec![]));
        }
    }

    #[test]
    fn a_product_becomes_what_it_would_have_been_registered_as(
        history in commands(),
        feed in product(),
    ) {
        let mut product = after(&history);
        if let Ok(events) = decide(&product, &unconditional(feed.clone())) {
            take_in(&mut product, &events);
            let registered = after(&[feed.clone().into()]);
            prop_assert_eq!(fed(&product, &feed), fed(&registered, &feed));
        }
    }

    #[test]
    fn what_is_absent_is_registered(feed in upsert()) {
        let absent = Product::default();
        let registration = feed.product.clone().into();
        prop_assert_eq!(decide(&absent, &feed.into()), decide(&absent, &registration));
    }

    #[test]
    fn a_stale_feed_is_refused_and_no_other(history in commands(), feed in upsert()) {
        let product = after(&history);
        let now = decide(&product, &unconditional(feed.product.clone()));
        let changed_at = json!(product)["registered"]["changed_at"].take();
        let changed_at: Option<Timestamp> = serde_json::from_value(changed_at).unwrap();
        let is_late = matches!((feed.observed_at, changed_at), (Some(seen), Some(at)) if seen < at);
        match decide(&product, &feed.clone().into()) {
            Err(code) if code == "STALE" => prop_assert!(is_late && now != Ok(vec![])),
            Ok(events) if !events.is_empty() => prop_assert!(!is_late),
            decided => prop_assert_eq!(decided, now),
        }
    }

    #[test]
    fn an_event_is_taken_in_wherever_it_comes_from(
        history in commands(),
        elsewhere in commands(),
    ) {
        let mut product = after(&history);
        let (mut other, mut events) = (Product::default(), Vec::<Event>::new());
        for command in &elsewhere {
            let decided = other.decide(ID, command, Timestamp(0)).unwrap_or_default();
            take_in(&mut other, &decided);
            events.extend(decided);
        }
        take_in(&mut product, &events);
    }
}
