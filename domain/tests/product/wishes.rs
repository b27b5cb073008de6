//! Any wishes that a product may meet, most of them made to fit.

use domain::{
    Money, Timestamp,
    product::{
        AddSku, Approval, ApproveProduct, AssignBrand, CategoriseProduct, ChangeSaleState, Command,
        DisplayProduct, HideProduct, NewSku, ProductOption, RegisterProduct, RejectApproval,
        RepriceProduct, RepriceSku, RequestApproval, RetireSku, ReviseProduct, SalePeriod,
        SaleState, ScheduleSale, UpsertProduct,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::given::{category, sku_id};

pub(crate) fn money() -> impl Strategy<Value = Money> {
    let currency = select(vec!["KRW", "KRW", "KRW", "EUR"]);
    (-2_i64..5, currency).prop_map(|(minor, code)| Money { minor, currency: code.parse().unwrap() })
}

pub(crate) fn word() -> impl Strategy<Value = String> {
    select(vec!["", " ", "흰색", "검정", "L", "https://img.example/a.png"]).prop_map(Into::into)
}

pub(crate) fn option_of_words() -> impl Strategy<Value = ProductOption> {
    (word(), vec(word(), 0..3)).prop_map(|(name, values)| ProductOption { name, values })
}

pub(crate) fn sku() -> impl Strategy<Value = NewSku> {
    (word(), vec(word(), 0..3), option::of(money())).prop_map(|(code, choices, price)| NewSku {
        code,
        choices,
        price,
    })
}

prop_compose! {
    fn wild()(
        name in word(),
        description in word(),
        options in vec(option_of_words(), 0..2),
        mut skus in vec(sku(), 0..3),
        plain in any::<bool>(),
        list_price in money(),
        images in vec(word(), 0..2),
    ) -> RegisterProduct {
        // Half of the wishes are made to fit, or hardly any would be accepted.
        let options = if plain { vec![] } else { options };
        if plain {
            skus = vec![NewSku { code: "ONE".into(), choices: vec![], price: None }];
        }
        RegisterProduct {
            partner_id: None, external_id: None, name, description, options, skus, list_price,
            images, brand_id: None, category_ids: vec![], sale_period: None, approval: None,
            sale_state: None, displayed: None,
        }
    }
}

pub(crate) fn reprice() -> impl Strategy<Value = Command> {
    money().prop_map(|list_price| Command::RepriceProduct(RepriceProduct { list_price }))
}

pub(crate) fn revise() -> impl Strategy<Value = Command> {
    (option::of(word()), option::of(word()), option::of(vec(word(), 0..2))).prop_map(
        |(name, description, images)| {
            Command::ReviseProduct(ReviseProduct { name, description, images })
        },
    )
}

/// One product of up to three colours, so that wish follows upon wish.
fn fitting() -> impl Strategy<Value = RegisterProduct> {
    let sold = (period(), option::of(approval()), option::of(sale_state()), any::<Option<bool>>());
    let said = (select(vec!["V12", "V13"]), 1_i64..4, vec(0_u128..4, 0..2), 2_usize..4);
    (said, sold, vec((any::<bool>(), option::of(0_i64..3)), 3)).prop_map(|(said, sold, skus)| {
        let (name, price, categories, values) = said;
        let (sale_period, approval, sale_state, displayed) = sold;
        let colours = ["흰색", "검정", "빨강"].map(String::from);
        let offered = colours[..values].iter().zip(skus);
        let mut skus: Vec<NewSku> = offered
            .filter(|(_, (is_offered, _))| *is_offered)
            .map(|(colour, (_, price))| colour_sku(colour, price.map(won)))
            .collect();
        if skus.is_empty() {
            skus.push(colour_sku("흰색", None));
        }
        let mut category_ids: Vec<_> = categories.into_iter().map(category).collect();
        category_ids.dedup();
        RegisterProduct {
            partner_id: None,
            external_id: None,
            name: name.into(),
            description: String::new(),
            options: vec![ProductOption {
                name: "색상".into(), values: colours[..values].into()
            }],
            skus,
            list_price: won(price),
            images: vec![],
            brand_id: None,
            category_ids,
            sale_period,
            approval,
            sale_state,
            displayed,
        }
    })
}

fn won(minor: i64) -> Money {
    Money { minor, currency: domain::Currency::KRW }
}

fn colour_sku(colour: &str, price: Option<Money>) -> NewSku {
    NewSku { code: colour.into(), choices: vec![colour.into()], price }
}

fn period() -> impl Strategy<Value = Option<SalePeriod>> {
    let moment = || option::of((0_i64..4).prop_map(Timestamp));
    let period = (moment(), moment());
    option::of(period.prop_map(|(starts_at, ends_at)| SalePeriod { starts_at, ends_at }))
}

fn approval() -> impl Strategy<Value = Approval> {
    select(Approval::ALL)
}

fn sale_state() -> impl Strategy<Value = SaleState> {
    select(SaleState::ALL)
}

/// A whole product: any, or one that follows well upon the others.
pub(crate) fn product() -> impl Strategy<Value = RegisterProduct> {
    prop_oneof![1 => wild(), 4 => fitting()]
}

pub(crate) fn register() -> impl Strategy<Value = Command> {
    product().prop_map(Command::RegisterProduct)
}

pub(crate) fn upsert() -> impl Strategy<Value = UpsertProduct> {
    let observed_at = option::of((0_i64..30).prop_map(Timestamp));
    (product(), observed_at)
        .prop_map(|(product, observed_at)| UpsertProduct { product, observed_at })
}

fn single_sku() -> impl Strategy<Value = Command> {
    let code = || select(vec!["흰색", "검정", "빨강", "ONE"]);
    let price = || option::of(money());
    prop_oneof![
        (code(), price()).prop_map(|(code, p)| AddSku { sku: colour_sku(code, p) }.into()),
        (code(), price())
            .prop_map(|(code, price)| RepriceSku { sku_id: sku_id(code), price }.into()),
        code().prop_map(|code| RetireSku { sku_id: sku_id(code) }.into()),
    ]
}

fn sale() -> impl Strategy<Value = Command> {
    prop_oneof![
        period().prop_map(|sale_period| ScheduleSale { sale_period }.into()),
        sale_state().prop_map(|sale_state| ChangeSaleState { sale_state }.into()),
        Just(RequestApproval {}.into()),
        Just(ApproveProduct {}.into()),
        Just(RejectApproval { reason: "사진 없음".into() }.into()),
        Just(DisplayProduct {}.into()),
        Just(HideProduct {}.into()),
    ]
}

fn place() -> impl Strategy<Value = Command> {
    let ids = vec((0_u128..3).prop_map(category), 0..3);
    let brand = option::of(Just(domain::BrandId(uuid::Uuid::from_u128(8))));
    prop_oneof![
        ids.prop_map(|category_ids| CategoriseProduct { category_ids }.into()),
        brand.prop_map(|brand_id| AssignBrand { brand_id }.into()),
    ]
}

/// Any change of a registered product by a single wish.
pub(crate) fn change() -> impl Strategy<Value = Command> {
    prop_oneof![reprice(), revise(), single_sku(), sale(), place()]
}

pub(crate) fn commands() -> impl Strategy<Value = Vec<Command>> {
    let upsert = upsert().prop_map(Command::UpsertProduct);
    vec(prop_oneof![1 => register(), 4 => change(), 2 => upsert], 0..20)
}
