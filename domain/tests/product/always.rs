//! What holds for every history and every command.

use domain::{
    Aggregate, Currency, Money, Refusal, Timestamp,
    product::{
        Command, NewSku, Product, ProductOption, RegisterProduct, RepriceProduct, ReviseProduct,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::given::ID;

fn money() -> impl Strategy<Value = Money> {
    let currency = select(vec!["KRW", "KRW", "KRW", "EUR"]);
    (-2_i64..5, currency).prop_map(|(minor, code)| Money { minor, currency: code.parse().unwrap() })
}

fn word() -> impl Strategy<Value = String> {
    select(vec!["", " ", "흰색", "검정", "L", "https://img.example/a.png"]).prop_map(Into::into)
}

fn option_of_words() -> impl Strategy<Value = ProductOption> {
    (word(), vec(word(), 0..3)).prop_map(|(name, values)| ProductOption { name, values })
}

fn sku() -> impl Strategy<Value = NewSku> {
    (word(), vec(word(), 0..3), option::of(money())).prop_map(|(code, choices, price)| NewSku {
        code,
        choices,
        price,
    })
}

prop_compose! {
    fn register()(
        name in word(),
        description in word(),
        options in vec(option_of_words(), 0..2),
        mut skus in vec(sku(), 0..3),
        plain in any::<bool>(),
        list_price in money(),
        images in vec(word(), 0..2),
    ) -> Command {
        // Half of the wishes are made to fit, or hardly any would be accepted.
        let options = if plain { vec![] } else { options };
        if plain {
            skus = vec![NewSku { code: "ONE".into(), choices: vec![], price: None }];
        }
        let (partner_id, external_id) = (None, None);
        Command::RegisterProduct(RegisterProduct {
            partner_id, external_id, name, description, options, skus, list_price, images,
        })
    }
}

fn reprice() -> impl Strategy<Value = Command> {
    money().prop_map(|list_price| Command::RepriceProduct(RepriceProduct { list_price }))
}

fn revise() -> impl Strategy<Value = Command> {
    (option::of(word()), option::of(word()), option::of(vec(word(), 0..2))).prop_map(
        |(name, description, images)| {
            Command::ReviseProduct(ReviseProduct { name, description, images })
        },
    )
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    vec(prop_oneof![register(), reprice(), revise()], 0..20)
}

fn decide(product: &Product, command: &Command) -> Result<Vec<domain::product::Event>, String> {
    product.decide(ID, command, Timestamp(0)).map_err(|refused| refused.code().to_owned())
}

/// A product that took in what its commands led to.
fn after(commands: &[Command]) -> Product {
    let mut product = Product::default();
    for command in commands {
        for event in decide(&product, command).unwrap_or_default() {
            product.evolve(&event);
        }
    }
    product
}

proptest! {
    #[test]
    fn deciding_again_gives_the_same(history in commands(), command in reprice()) {
        prop_assert_eq!(
            decide(&after(&history), &command),
            decide(&after(&history), &command)
        );
    }

    #[test]
    fn an_accepted_change_has_nothing_left_to_change(
        history in commands(),
        command in prop_oneof![reprice(), revise()],
    ) {
        let mut product = after(&history);
        if let Ok(events) = decide(&product, &command) {
            events.iter().for_each(|event| product.evolve(event));
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
            events.iter().for_each(|event| product.evolve(event));
            prop_assert_eq!(
                decide(&product, &second),
                Err("PRODUCT_ALREADY_REGISTERED".to_owned())
            );
        }
    }

    #[test]
    fn a_command_leaves_at_most_one_event(history in commands(), command in register()) {
        prop_assert!(decide(&after(&history), &command).unwrap_or_default().len() <= 1);
    }

    #[test]
    fn a_state_survives_the_snapshot(history in commands()) {
        let product = after(&history);
        let stored = serde_json::to_vec(&product).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Product>(&stored).unwrap(), product);
    }

    #[test]
    fn no_price_in_won_becomes_one_in_euro(history in commands(), prices in vec(money(), 1..10)) {
        let mut product = after(&history);
        let mut currency: Option<Currency> = None;
        for list_price in prices {
            let command = Command::RepriceProduct(RepriceProduct { list_price });
            if let Ok(events) = decide(&product, &command) {
                events.iter().for_each(|event| product.evolve(event));
                prop_assert_eq!(*currency.get_or_insert(list_price.currency), list_price.currency);
            }
        }
    }
}
