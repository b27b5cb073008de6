//! A mall's categories as one tree: which stand below one, and which a text names.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::CategoryId;
use uuid::Uuid;

use super::{
    EntryRow,
    naming::{LONGEST, called, joined},
};
use crate::Page;

/// The categories of a mall as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    entries: BTreeMap<CategoryId, EntryRow>,
    below: HashMap<CategoryId, Vec<CategoryId>>,
    /// The categories that are called so.
    called: HashMap<String, Vec<CategoryId>>,
}

impl Tree {
    /// The tree of all categories of a mall.
    pub fn new(entries: Vec<EntryRow>) -> Self {
        let mut tree = Self::default();
        for entry in entries {
            let id = CategoryId(entry.id);
            if let Some(parent) = entry.parent_id {
                tree.below.entry(parent).or_default().push(id);
            }
            for name in called(&entry.name) {
                tree.called.entry(name).or_default().push(id);
            }
            tree.entries.insert(id, entry);
        }
        tree
    }

    /// What a buyer sees of it: nothing that is out of use, nor anything below that.
    #[must_use]
    pub fn for_buyers(&self) -> Self {
        let mut shown = BTreeSet::new();
        for (id, entry) in self.entries.iter().filter(|(_, entry)| entry.parent_id.is_none()) {
            if entry.is_for_buyers() {
                shown.extend(self.reached(*id, EntryRow::is_for_buyers));
            }
        }
        let entries = self.entries.iter().filter(|(id, _)| shown.contains(id));
        Self::new(entries.filter_map(|(_, entry)| entry.clone().for_buyers()).collect())
    }

    /// A category of it.
    pub fn get(&self, id: CategoryId) -> Option<&EntryRow> {
        self.entries.get(&id)
    }

    /// The category `id` and all that stand below it; none where there is no such category.
    pub fn below(&self, id: CategoryId) -> Vec<CategoryId> {
        self.reached(id, |_| true).into_iter().collect()
    }

    /// At most `limit` categories, in the order of their ids, beginning after `after`.
    pub fn page(&self, after: Uuid, limit: u32) -> Page<EntryRow, Uuid> {
        let rest = self.entries.range(CategoryId(after)..).filter(|(id, _)| id.0 > after);
        let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
        Page::cut(rest.map(|(_, entry)| entry.clone()).take(most).collect(), limit, |row| row.id)
    }

    /// For each word of a text, the categories that it names, alone or with the words beside it,
    /// and all below those.
    pub fn meant(&self, words: &[String]) -> Vec<Vec<CategoryId>> {
        let mut meant = vec![BTreeSet::new(); words.len()];
        for begin in 0..words.len() {
            for end in begin + 1..=words.len().min(begin + LONGEST) {
                let named = self.called.get(&joined(&words[begin..end]));
                let named = named.into_iter().flatten().flat_map(|id| self.below(*id));
                let named: BTreeSet<CategoryId> = named.collect();
                meant[begin..end].iter_mut().for_each(|of| of.extend(&named));
            }
        }
        meant.into_iter().map(|of| of.into_iter().collect()).collect()
    }

    fn reached(&self, from: CategoryId, goes: impl Fn(&EntryRow) -> bool) -> BTreeSet<CategoryId> {
        let (mut reached, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(id) = left.pop() {
            if self.entries.get(&id).is_some_and(&goes) && reached.insert(id) {
                left.extend(self.below.get(&id).into_iter().flatten());
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::{super::EntryState, *};
    use crate::{directory::EntryKind, given::id, search::words};

    fn tree(categories: &[(u128, u128, &str, EntryState)]) -> Tree {
        let entry = |&(own, parent, name, state): &(u128, u128, &str, EntryState)| EntryRow {
            id: id(own),
            kind: EntryKind::Category,
            mall: "demo".parse().unwrap(),
            external_id: None,
            parent_id: (parent > 0).then(|| CategoryId(id(parent))),
            position: None,
            groups: None,
            name: name.to_owned(),
            state,
            version: 1,
            registered_at: Timestamp(0),
            updated_at: Timestamp(0),
        };
        Tree::new(categories.iter().map(entry).collect())
    }

    fn ids(ids: &[u128]) -> Vec<CategoryId> {
        ids.iter().map(|&number| CategoryId(id(number))).collect()
    }

    #[test]
    fn what_stands_below_something_retired_is_gone_with_it() {
        use EntryState::{Active, Retired};
        let all = tree(&[
            (1, 0, "가전", Active),
            (2, 1, "청소기", Retired),
            (3, 2, "무선청소기", Active),
            (4, 1, "냉장고", Active),
            (5, 9, "homeless", Active),
        ]);
        assert_eq!(all.below(CategoryId(id(1))), ids(&[1, 2, 3, 4]));
        assert!(all.below(CategoryId(id(9))).is_empty());
        let shown = all.for_buyers();
        assert_eq!(shown.below(CategoryId(id(1))), ids(&[1, 4]));
        assert!(shown.get(CategoryId(id(3))).is_none() && shown.get(CategoryId(id(5))).is_none());
        let (first, rest) = (all.page(Uuid::nil(), 3), all.page(id(3), 3));
        assert_eq!((first.items.len(), first.next, rest.items.len()), (3, Some(id(3)), 2));
    }

    #[test]
    fn a_text_names_categories_and_what_stands_below_them() {
        use EntryState::Active;
        let tree = tree(&[
            (1, 0, "생활 가전", Active),
            (2, 1, "무선청소기", Active),
            (3, 0, "여성", Active),
            (4, 3, "신발", Active),
        ]);
        let meant = |text: &str| tree.meant(&words(text));
        assert_eq!(meant("생활가전"), [ids(&[1, 2])]);
        assert_eq!(meant("조용한 무선 청소기"), [ids(&[]), ids(&[2]), ids(&[2])]);
        assert_eq!(meant("여성 신발"), [ids(&[3, 4]), ids(&[4])]);
    }
}
