//! Identifiers. On the wire each is text: a UUID in canonical lower case, or a short name.

use std::{fmt, str::FromStr};

use apache_avro::{Schema, serde::AvroSchemaComponent};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Declares a UUID newtype that is transparent text in JSON and Avro alike.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut text = Uuid::encode_buffer();
                serializer.serialize_str(self.0.hyphenated().encode_lower(&mut text))
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl AvroSchemaComponent for $name {
            fn get_schema_in_ctxt(
                _: &mut std::collections::HashSet<apache_avro::schema::Name>,
                _: apache_avro::schema::NamespaceRef,
            ) -> Schema {
                Schema::String
            }
        }
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(
                        utoipa::openapi::KnownFormat::Uuid,
                    )))
                    .into()
            }
        }
        impl utoipa::ToSchema for $name {}
    };
}

uuid_id!(
    /// A command, and with it the decision that it gets.
    CommandId
);
uuid_id!(
    /// A product.
    ProductId
);
uuid_id!(
    /// A stock keeping unit: one combination of a product's option values.
    SkuId
);
uuid_id!(
    /// A partner: a seller in a mall.
    PartnerId
);
uuid_id!(
    /// A brand, under which products are sold.
    BrandId
);
uuid_id!(
    /// A category of a mall's category tree.
    CategoryId
);
uuid_id!(
    /// A mall's category tree as a whole.
    CategoriesId
);
uuid_id!(
    /// All synonyms of a mall.
    SynonymsId
);

/// The space of every UUIDv5 made here, so that equal names of other systems do not collide.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x6a61_6e67_6275_4e53_8000_0000_0000_0001);

/// A UUIDv5 over `parts`, each preceded by its length so that no two lists of parts are alike.
pub fn derive(parts: &[&str]) -> Uuid {
    let mut name = Vec::new();
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part.as_bytes());
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

impl CommandId {
    /// Whether the same command may arrive again: derived ids are those of keyed commands, timers
    /// and process managers; a random or time-ordered id is used once.
    pub fn may_be_sent_again(&self) -> bool {
        self.0.get_version_num() == 5
    }
}

impl ProductId {
    /// The id of the product that its seller knows as `external_id`.
    pub fn of(mall: &MallId, partner: Option<PartnerId>, external_id: &str) -> Self {
        let partner = partner.map(|id| id.to_string()).unwrap_or_default();
        Self(derive(&["product", mall.as_str(), &partner, external_id]))
    }
}

impl PartnerId {
    /// The id of the partner that the mall's own systems know as `external_id`.
    pub fn of(mall: &MallId, external_id: &str) -> Self {
        Self(derive(&["partner", mall.as_str(), external_id]))
    }
}

impl BrandId {
    /// The id of the brand that the mall's own systems know as `external_id`.
    pub fn of(mall: &MallId, external_id: &str) -> Self {
        Self(derive(&["brand", mall.as_str(), external_id]))
    }
}

impl CategoriesId {
    /// The id of the mall's only tree.
    pub fn of(mall: &MallId) -> Self {
        Self(derive(&["categories", mall.as_str()]))
    }
}

impl SynonymsId {
    /// The id of the mall's only list.
    pub fn of(mall: &MallId) -> Self {
        Self(derive(&["synonyms", mall.as_str()]))
    }
}

impl CategoryId {
    /// The id of a category that was added as `name` below `parent` without an id of its own.
    pub fn of(tree: CategoriesId, parent: Option<Self>, name: &str) -> Self {
        let parent = parent.map(|id| id.to_string()).unwrap_or_default();
        Self(derive(&["category", &tree.to_string(), &parent, name]))
    }
}

impl SkuId {
    /// The id of the SKU that its merchant calls `code`, stable over every retry.
    pub fn of(product: ProductId, code: &str) -> Self {
        Self(derive(&["sku", &product.to_string(), code]))
    }
}

/// A mall (tenant): 1 to 32 of `a-z`, `0-9` and `-`, beginning with a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MallId(String);

impl MallId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MallId {
    type Error = MallIdError;
    fn try_from(text: String) -> Result<Self, MallIdError> {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let begins_well = text.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
        if begins_well && text.len() <= 32 && text.bytes().all(allowed) {
            Ok(Self(text))
        } else {
            Err(MallIdError)
        }
    }
}

impl FromStr for MallId {
    type Err = MallIdError;
    fn from_str(text: &str) -> Result<Self, MallIdError> {
        Self::try_from(text.to_owned())
    }
}

impl From<MallId> for String {
    fn from(mall: MallId) -> Self {
        mall.0
    }
}

impl fmt::Display for MallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a mall's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a mall is 1 to 32 characters of a-z, 0-9 and -, beginning with a letter")]
pub struct MallIdError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_depend_on_every_part_and_its_bounds() {
        assert_eq!(derive(&["a", "b"]), derive(&["a", "b"]));
        assert_ne!(derive(&["a", "b"]), derive(&["ab", ""]));
        assert!(CommandId(derive(&["a"])).may_be_sent_again());
        assert!(!CommandId(Uuid::from_u128(0x7000 << 64)).may_be_sent_again());
    }

    #[test]
    fn a_mall_is_a_short_plain_name() {
        assert!("demo-2".parse::<MallId>().is_ok());
        for bad in ["", "2demo", "Demo", "de mo", "a/../b", &"x".repeat(33)] {
            assert_eq!(bad.parse::<MallId>(), Err(MallIdError), "{bad}");
        }
    }
}
