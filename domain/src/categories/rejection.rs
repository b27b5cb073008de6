//! Why a command to the category tree is refused.

use super::{DEEPEST, MOST};
use crate::CategoryId;

/// Why a command to the category tree is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such category in this mall.
    #[error("there is no such category in this mall")]
    NotFound,
    /// The category was retired.
    #[error("the category is retired")]
    Retired,
    /// The category named as parent is not there, or retired.
    #[error("there is no category {0} to stand below")]
    UnknownParent(CategoryId),
    /// The id is that of a category that is not the one wished.
    #[error("the id {0} was given to another category before; give a category_id of its own")]
    IdTaken(CategoryId),
    /// A name of white space only.
    #[error("the name is blank")]
    BlankName,
    /// A sibling has the name.
    #[error("a category beside it is called {0:?} already")]
    DuplicateName(String),
    /// It would stand below itself.
    #[error("a category cannot stand below itself")]
    Cycle,
    /// Too many levels.
    #[error("categories stand at most {DEEPEST} deep")]
    TooDeep,
    /// It has live children.
    #[error("the category has others below it; retire or move them first")]
    HasChildren,
    /// Too many categories.
    #[error("a tree has at most {MOST} categories, retired ones included")]
    TreeFull,
}

refusal_codes! {
    Rejection::NotFound => "CATEGORY_NOT_FOUND",
    Rejection::Retired => "CATEGORY_RETIRED",
    Rejection::UnknownParent(_) => "CATEGORY_PARENT_NOT_FOUND",
    Rejection::IdTaken(_) => "CATEGORY_ID_TAKEN",
    Rejection::BlankName => "BLANK_NAME",
    Rejection::DuplicateName(_) => "DUPLICATE_CATEGORY_NAME",
    Rejection::Cycle => "CATEGORY_CYCLE",
    Rejection::TooDeep => "CATEGORY_TOO_DEEP",
    Rejection::HasChildren => "CATEGORY_HAS_CHILDREN",
    Rejection::TreeFull => "CATEGORY_TREE_FULL",
}
