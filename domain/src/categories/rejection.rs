//! Why a command to the category tree is refused.

use super::{DEEPEST, MOST};
use crate::{CategoryId, Refusal};

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

impl Refusal for Rejection {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "CATEGORY_NOT_FOUND",
            Self::Retired => "CATEGORY_RETIRED",
            Self::UnknownParent(_) => "CATEGORY_PARENT_NOT_FOUND",
            Self::IdTaken(_) => "CATEGORY_ID_TAKEN",
            Self::BlankName => "BLANK_NAME",
            Self::DuplicateName(_) => "DUPLICATE_CATEGORY_NAME",
            Self::Cycle => "CATEGORY_CYCLE",
            Self::TooDeep => "CATEGORY_TOO_DEEP",
            Self::HasChildren => "CATEGORY_HAS_CHILDREN",
            Self::TreeFull => "CATEGORY_TREE_FULL",
        }
    }
}
