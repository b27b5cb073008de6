//! Each rule once, each rejection once.

use domain::{
    CategoryId,
    categories::{CategoryAdded, CategoryMoved, DEEPEST, Rejection},
};

use crate::given::*;

#[test]
fn a_category_is_added_below_another() {
    given([]).when(add(1, None, "주방")).then([added(1, None, "주방")]);
    given(shop()).when(add(5, Some(2), "솥")).then([added(5, Some(2), "솥")]);
}

#[test]
fn a_category_without_an_id_has_one_derived() {
    let mut wish = add(0, Some(2), "솥");
    wish.category_id = None;
    wish.position = Some(3);
    let fact = CategoryAdded {
        category_id: CategoryId::of(ID, Some(id(2)), "솥"),
        parent_id: Some(id(2)),
        name: "솥".into(),
        position: Some(3),
    };
    given(shop()).when(wish.clone()).then([fact.clone().into()]);
    given(shop_and([fact.into()])).when(wish).then([]);
}

#[test]
fn the_same_again_changes_nothing() {
    given(shop()).when(add(2, Some(1), "냄비")).then([]);
    given(shop()).when(rename(2, "냄비")).then([]);
    given(shop()).when(relocate(2, Some(1))).then([]);
    given(shop_and([retired(3)])).when(retire(3)).then([]);
}

#[test]
fn an_id_is_given_once() {
    let taken = || Rejection::IdTaken(id(3));
    given(shop()).when(add(3, None, "뚝배기")).rejected(taken(), "CATEGORY_ID_TAKEN");
    given(shop_and([retired(3)]))
        .when(add(3, Some(2), "뚝배기"))
        .rejected(taken(), "CATEGORY_ID_TAKEN");
}

#[test]
fn a_parent_is_in_use() {
    let code = "CATEGORY_PARENT_NOT_FOUND";
    let unknown = |number| Rejection::UnknownParent(id(number));
    given(shop()).when(add(5, Some(9), "솥")).rejected(unknown(9), code);
    let history = || shop_and([retired(3)]);
    given(history()).when(add(5, Some(3), "솥")).rejected(unknown(3), code);
    given(history()).when(relocate(4, Some(3))).rejected(unknown(3), code);
}

#[test]
fn siblings_in_use_have_names_of_their_own() {
    let duplicate = |name: &str| Rejection::DuplicateName(name.into());
    let code = "DUPLICATE_CATEGORY_NAME";
    let history = || shop_and([added(5, None, "Home  Living")]);
    given(history()).when(add(6, None, " home living ")).rejected(duplicate(" home living "), code);
    given(history()).when(rename(4, "HOME living")).rejected(duplicate("HOME living"), code);
    given(shop_and([added(5, Some(4), "주방")]))
        .when(relocate(5, None))
        .rejected(duplicate("주방"), code);
    given(shop()).when(add(5, Some(4), "냄비")).then([added(5, Some(4), "냄비")]);
    given(shop_and([retired(4)])).when(add(5, None, "가구")).then([added(5, None, "가구")]);
    given(shop_and([renamed(4, "가구", "침구")]))
        .when(add(5, None, "가구"))
        .then([added(5, None, "가구")]);
}

#[test]
fn a_name_may_be_spelt_otherwise() {
    given([added(1, None, "home")]).when(rename(1, "Home")).then([renamed(1, "home", "Home")]);
}

#[test]
fn a_name_is_not_blank() {
    given([]).when(add(1, None, " ")).rejected(Rejection::BlankName, "BLANK_NAME");
    given(shop()).when(rename(1, "")).rejected(Rejection::BlankName, "BLANK_NAME");
}

#[test]
fn a_category_moves_with_all_below_it() {
    given(shop()).when(relocate(2, Some(4))).then([moved(2, Some(1), Some(4))]);
    given(shop()).when(relocate(2, None)).then([moved(2, Some(1), None)]);
}

#[test]
fn a_category_changes_its_place_among_its_siblings() {
    let mut wish = relocate(2, Some(1));
    wish.position = Some(7);
    let fact = CategoryMoved {
        category_id: id(2),
        parent_id: Some(id(1)),
        position: Some(7),
        previous_parent_id: Some(id(1)),
    };
    given(shop()).when(wish.clone()).then([fact.clone().into()]);
    given(shop_and([fact.into()])).when(wish).then([]);
}

#[test]
fn a_category_never_stands_below_itself() {
    for parent in 1..=3 {
        given(shop()).when(relocate(1, Some(parent))).rejected(Rejection::Cycle, "CATEGORY_CYCLE");
    }
    given(shop_and([moved(1, None, Some(4))]))
        .when(relocate(4, Some(3)))
        .rejected(Rejection::Cycle, "CATEGORY_CYCLE");
}

#[test]
fn categories_stand_only_so_deep() {
    let deepest = DEEPEST as u128;
    let chain = |length| (1..=length).map(|n| added(n, (n > 1).then(|| n - 1), "층"));
    let full: Vec<_> = chain(deepest).collect();
    given(&full)
        .when(add(99, Some(deepest), "층"))
        .rejected(Rejection::TooDeep, "CATEGORY_TOO_DEEP");
    let beside = || shop_and(chain(deepest - 3).map(lower));
    let bottom = 100 + deepest - 3;
    given(beside()).when(relocate(1, Some(bottom))).then([moved(1, None, Some(bottom))]);
    let one_more = beside().into_iter().chain([added(5, Some(3), "숟가락")]).collect::<Vec<_>>();
    given(one_more)
        .when(relocate(1, Some(bottom)))
        .rejected(Rejection::TooDeep, "CATEGORY_TOO_DEEP");
}

/// The same event in a tree of numbers above 100.
fn lower(event: domain::categories::Event) -> domain::categories::Event {
    let domain::categories::Event::CategoryAdded(mut fact) = event else { unreachable!() };
    let above = |id: CategoryId| CategoryId(uuid::Uuid::from_u128(id.0.as_u128() + 100));
    (fact.category_id, fact.parent_id) = (above(fact.category_id), fact.parent_id.map(above));
    fact.into()
}

#[test]
fn a_category_is_retired_after_those_below_it() {
    given(shop()).when(retire(2)).rejected(Rejection::HasChildren, "CATEGORY_HAS_CHILDREN");
    given(shop()).when(retire(3)).then([retired(3)]);
    given(shop_and([retired(3)])).when(retire(2)).then([retired(2)]);
    given(shop_and([moved(3, Some(2), None)])).when(retire(2)).then([retired(2)]);
}

#[test]
fn a_retired_category_does_not_change() {
    let history = || shop_and([retired(3)]);
    given(history()).when(rename(3, "솥")).rejected(Rejection::Retired, "CATEGORY_RETIRED");
    given(history()).when(relocate(3, None)).rejected(Rejection::Retired, "CATEGORY_RETIRED");
}

#[test]
fn what_does_not_exist_cannot_change() {
    let code = "CATEGORY_NOT_FOUND";
    given([]).when(rename(1, "솥")).rejected(Rejection::NotFound, code);
    given([]).when(relocate(1, None)).rejected(Rejection::NotFound, code);
    given([]).when(retire(1)).rejected(Rejection::NotFound, code);
}
