//! What may be wished of the category tree, and what becomes true of it.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::CategoryId;

record_enum! {
    /// A wish addressed to the category tree.
    pub enum Command in "jangbu.catalog" {
        /// Add a category.
        AddCategory,
        /// Call one otherwise.
        RenameCategory,
        /// Put one, and all below it, elsewhere.
        MoveCategory,
        /// Take one out of use.
        RetireCategory,
    }
}

/// Add a category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct AddCategory {
    /// Its id; derived from the parent and the name when left out.
    #[serde(default)]
    pub category_id: Option<CategoryId>,
    /// The category to stand below; none for an outermost one.
    #[serde(default)]
    pub parent_id: Option<CategoryId>,
    /// The name, unlike those beside it.
    #[schema(min_length = 1, max_length = 100, example = "주방가전")]
    pub name: String,
    /// Its place among those beside it, the lowest first.
    #[serde(default)]
    pub position: Option<i64>,
}

/// Call the category otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct RenameCategory {
    /// The category.
    pub category_id: CategoryId,
    /// The new name, unlike those beside it.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
}

/// Put the category, and all below it, elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct MoveCategory {
    /// The category.
    pub category_id: CategoryId,
    /// The category to stand below; none for an outermost one.
    #[serde(default)]
    pub parent_id: Option<CategoryId>,
    /// Its place among those beside it; as it was when left out.
    #[serde(default)]
    pub position: Option<i64>,
}

/// Take the category out of use; there must be none in use below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct RetireCategory {
    /// The category.
    pub category_id: CategoryId,
}

record_enum! {
    /// A fact of the category tree.
    pub enum Event in "jangbu.catalog" {
        /// A category was added.
        CategoryAdded,
        /// One is called otherwise.
        CategoryRenamed,
        /// One stands elsewhere.
        CategoryMoved,
        /// One is out of use.
        CategoryRetired,
    }
}

/// A category was added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct CategoryAdded {
    /// The category.
    pub category_id: CategoryId,
    /// The category that it stands below; none for an outermost one.
    pub parent_id: Option<CategoryId>,
    /// The name.
    pub name: String,
    /// Its place among those beside it, the lowest first.
    pub position: Option<i64>,
}

/// A category is called otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct CategoryRenamed {
    /// The category.
    pub category_id: CategoryId,
    /// The name from now on.
    pub name: String,
    /// The name until now.
    pub previous: String,
}

/// A category, and all below it, stands elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct CategoryMoved {
    /// The category.
    pub category_id: CategoryId,
    /// The category that it stands below from now on; none for an outermost one.
    pub parent_id: Option<CategoryId>,
    /// Its place among those beside it.
    pub position: Option<i64>,
    /// The category that it stood below until now.
    pub previous_parent_id: Option<CategoryId>,
}

/// A category is out of use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema, ToSchema)]
#[avro(namespace = "jangbu.catalog")]
pub struct CategoryRetired {
    /// The category.
    pub category_id: CategoryId,
}
