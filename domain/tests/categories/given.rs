//! Samples to say the examples with: a category is known by a number.

use domain::{
    CategoriesId, CategoryId,
    categories::{
        AddCategory, Categories, CategoryAdded, CategoryMoved, CategoryRenamed, CategoryRetired,
        Event, MoveCategory, RenameCategory, RetireCategory,
    },
};
use uuid::Uuid;

use crate::story;

/// The tree of every example.
pub(crate) const ID: CategoriesId = CategoriesId(Uuid::from_u128(0xca7));

pub(crate) fn given(history: impl AsRef<[Event]>) -> story::Given<Categories> {
    story::given(ID.0, history)
}

pub(crate) fn id(number: u128) -> CategoryId {
    CategoryId(Uuid::from_u128(number))
}

pub(crate) fn add(number: u128, parent: Option<u128>, name: &str) -> AddCategory {
    let (category_id, parent_id) = (Some(id(number)), parent.map(id));
    AddCategory { category_id, parent_id, name: name.into(), position: None }
}

pub(crate) fn added(number: u128, parent: Option<u128>, name: &str) -> Event {
    let (category_id, parent_id) = (id(number), parent.map(id));
    CategoryAdded { category_id, parent_id, name: name.into(), position: None }.into()
}

pub(crate) fn rename(number: u128, name: &str) -> RenameCategory {
    RenameCategory { category_id: id(number), name: name.into() }
}

pub(crate) fn renamed(number: u128, previous: &str, name: &str) -> Event {
    CategoryRenamed { category_id: id(number), name: name.into(), previous: previous.into() }.into()
}

pub(crate) fn relocate(number: u128, parent: Option<u128>) -> MoveCategory {
    MoveCategory { category_id: id(number), parent_id: parent.map(id), position: None }
}

pub(crate) fn moved(number: u128, from: Option<u128>, to: Option<u128>) -> Event {
    let (parent_id, previous_parent_id) = (to.map(id), from.map(id));
    CategoryMoved { category_id: id(number), parent_id, position: None, previous_parent_id }.into()
}

pub(crate) fn retire(number: u128) -> RetireCategory {
    RetireCategory { category_id: id(number) }
}

pub(crate) fn retired(number: u128) -> Event {
    CategoryRetired { category_id: id(number) }.into()
}

/// 1 주방 > 2 냄비 > 3 뚝배기, and 4 가구 beside the first.
pub(crate) fn shop() -> Vec<Event> {
    vec![
        added(1, None, "주방"),
        added(2, Some(1), "냄비"),
        added(3, Some(2), "뚝배기"),
        added(4, None, "가구"),
    ]
}

/// `shop` and then `more`.
pub(crate) fn shop_and(more: impl IntoIterator<Item = Event>) -> Vec<Event> {
    shop().into_iter().chain(more).collect()
}
