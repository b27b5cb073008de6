//! The ids of a command and of a new product, and the hash that tells two bodies of one key apart.
//! With an `Idempotency-Key` all of them depend on the request alone, so that a retry is the same.

use domain::{
    BrandId, CategoriesId, CommandId, PartnerId, ProductId, brand,
    catalog::Command,
    id::derive,
    partner,
    product::{self, RegisterProduct, UpsertProduct},
};
use schemas::Records;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{auth::Caller, problem::Fault};

/// The id of a command to `aggregate`.
pub(crate) fn command_id(caller: &Caller, aggregate: Uuid, key: Option<&str>) -> CommandId {
    CommandId(key.map_or_else(Uuid::now_v7, |key| {
        let (mall, aggregate) = (caller.mall.as_str(), aggregate.to_string());
        derive(&["command", mall, &caller.actor, &aggregate, key])
    }))
}

/// The id of something new of a `kind`: its number elsewhere decides, then the key.
pub(crate) fn new_id(
    caller: &Caller,
    kind: &str,
    numbered: Option<Uuid>,
    key: Option<&str>,
) -> Uuid {
    let by_key = |key| derive(&[kind, caller.mall.as_str(), &caller.actor, key]);
    numbered.or_else(|| key.map(by_key)).unwrap_or_else(Uuid::now_v7)
}

/// The id of the product that `wish` registers.
pub(crate) fn product_id(caller: &Caller, wish: &RegisterProduct, key: Option<&str>) -> Uuid {
    let of_number = |number: &String| ProductId::of(&caller.mall, wish.partner_id, number).0;
    new_id(caller, "product", wish.external_id.as_ref().map(of_number), key)
}

/// The aggregate of a command that says itself which one it means; none where the caller names it.
pub(crate) fn implied(caller: &Caller, wish: &Command, key: Option<&str>) -> Option<Uuid> {
    use product::Command::{RegisterProduct, UpsertProduct};
    let numbered = |of: &dyn Fn(&str) -> Uuid, number: &Option<String>| number.as_deref().map(of);
    match wish {
        Command::Product(RegisterProduct(wish)) => Some(product_id(caller, wish, key)),
        Command::Product(UpsertProduct(feed)) => Some(product_id(caller, &feed.product, None)),
        Command::Partner(partner::Command::RegisterPartner(wish)) => {
            let of = |number: &str| PartnerId::of(&caller.mall, number).0;
            Some(new_id(caller, "partner", numbered(&of, &wish.external_id), key))
        }
        Command::Brand(brand::Command::RegisterBrand(wish)) => {
            let of = |number: &str| BrandId::of(&caller.mall, number).0;
            Some(new_id(caller, "brand", numbered(&of, &wish.external_id), key))
        }
        Command::Categories(_) => Some(CategoriesId::of(&caller.mall).0),
        _ => None,
    }
}

/// A feed's product that could not be found again.
pub(crate) fn nameless(wish: &UpsertProduct) -> Option<Fault> {
    let detail = "is required: it is how the product is found again".to_owned();
    let fault = Fault { pointer: "/product/external_id".to_owned(), detail };
    wish.product.external_id.is_none().then_some(fault)
}

/// The hash of what is wished: 32 hexadecimal digits, equal for equal commands only. A retry may
/// meet a newer build, whose command has one more optional field: what is absent does not count.
pub(crate) fn body_hash(command: &Command, expected_version: Option<i64>) -> String {
    let mut hash = Sha256::new();
    hash.update(command.record_name());
    hash.update([0]);
    hash.update(without_nulls(command.to_json()).to_string());
    hash.update([0]);
    hash.update(expected_version.map(|version| version.to_string()).unwrap_or_default());
    let whole: [u8; 32] = hash.finalize().into();
    whole.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, field)| !field.is_null());
            fields.map(|(name, field)| (name, without_nulls(field))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use domain::{Currency, Money, product::RepriceProduct};

    use super::*;

    fn caller(mall: &str) -> Caller {
        Caller { mall: mall.parse().unwrap(), actor: format!("key:{mall}") }
    }

    fn reprice(minor: i64) -> Command {
        let list_price = Money { minor, currency: Currency::KRW };
        Command::Product(RepriceProduct { list_price }.into())
    }

    fn registration(external_id: Option<&str>) -> RegisterProduct {
        serde_json::from_value(serde_json::json!({
            "external_id": external_id,
            "name": "청소기",
            "skus": [{"code": "a"}],
            "list_price": {"minor": 1, "currency": "KRW"},
        }))
        .unwrap()
    }

    #[test]
    fn a_key_makes_one_id_per_mall_and_aggregate() {
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let id = command_id(&caller("demo"), a, Some("k"));
        assert_eq!(id, command_id(&caller("demo"), a, Some("k")));
        assert!(id.may_be_sent_again());
        assert_ne!(id, command_id(&caller("demo"), b, Some("k")));
        assert_ne!(id, command_id(&caller("other"), a, Some("k")));
        assert_ne!(id, command_id(&caller("demo"), a, Some("k2")));
        assert!(!command_id(&caller("demo"), a, None).may_be_sent_again());
    }

    #[test]
    fn a_product_is_found_again_by_its_number_then_by_the_key() {
        let demo = caller("demo");
        let id = |external_id, key| product_id(&demo, &registration(external_id), key);
        assert_eq!(id(Some("7"), Some("k1")), id(Some("7"), Some("k2")));
        assert_eq!(id(Some("7"), None), id(Some("7"), Some("k2")));
        assert_eq!(id(None, Some("k1")), id(None, Some("k1")));
        assert_ne!(id(None, Some("k1")), id(None, Some("k2")));
        assert_ne!(id(None, None), id(None, None));
        // A number that looks like another caller's key is no key.
        assert_ne!(id(Some("k1"), None), id(None, Some("k1")));
    }

    #[test]
    fn the_hash_sees_the_kind_the_content_and_the_version() {
        let hash = body_hash(&reprice(1), None);
        assert_eq!(hash.len(), 32);
        assert_eq!(hash, body_hash(&reprice(1), None));
        assert_ne!(hash, body_hash(&reprice(2), None));
        assert_ne!(hash, body_hash(&reprice(1), Some(1)));
    }
}
