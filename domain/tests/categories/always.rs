//! What holds for every history of the tree.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Aggregate, CategoryId, Timestamp,
    categories::{Categories, Command, DEEPEST, Event},
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::given::{ID, add, relocate, rename, retire};

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let number = || 1_u128..16;
    let parent = || option::weighted(0.9, number());
    let name = || select(vec!["가", "나", "다", "Ab", " aB "]);
    let command = prop_oneof![
        4 => (number(), parent(), name()).prop_map(|(n, p, name)| add(n, p, name).into()),
        1 => (parent(), name()).prop_map(|(p, name)| {
            let mut wish = add(0, p, name);
            wish.category_id = None;
            wish.into()
        }),
        2 => (number(), name()).prop_map(|(n, name)| rename(n, name).into()),
        4 => (number(), parent()).prop_map(|(n, p)| relocate(n, p).into()),
        1 => number().prop_map(|n| retire(n).into()),
    ];
    vec(command, 0..80)
}

/// The tree after `commands`, and the events that they led to.
fn after(commands: &[Command]) -> (Categories, Vec<Event>) {
    let (mut tree, mut history) = (Categories::default(), vec![]);
    for command in commands {
        for event in tree.decide(ID.0, command, Timestamp(0)).unwrap_or_default() {
            tree.evolve(&event, Timestamp(0));
            history.push(event);
        }
    }
    (tree, history)
}

/// The tree as a reader of the events sees it: parent and name of each category in use.
fn read(history: &[Event]) -> BTreeMap<CategoryId, (Option<CategoryId>, String)> {
    let mut tree = BTreeMap::new();
    for event in history {
        match event {
            Event::CategoryAdded(fact) => {
                let new = tree.insert(fact.category_id, (fact.parent_id, fact.name.clone()));
                assert_eq!(new, None, "an id was given twice");
            }
            Event::CategoryRenamed(fact) => {
                tree.get_mut(&fact.category_id).unwrap().1.clone_from(&fact.name);
            }
            Event::CategoryMoved(fact) => {
                tree.get_mut(&fact.category_id).unwrap().0 = fact.parent_id;
            }
            Event::CategoryRetired(fact) => assert!(tree.remove(&fact.category_id).is_some()),
        }
    }
    tree
}

fn fold(name: &str) -> String {
    name.trim().to_lowercase()
}

proptest! {
    #[test]
    fn from_every_category_a_short_way_leads_to_the_top(wishes in commands()) {
        let tree = read(&after(&wishes).1);
        for start in tree.keys() {
            let (mut at, mut steps) = (Some(*start), 0);
            while let Some(id) = at {
                // A parent that is retired or unknown would not be found here.
                at = tree[&id].0;
                steps += 1;
                prop_assert!(steps <= DEEPEST, "a cycle, or too deep");
            }
        }
    }

    #[test]
    fn siblings_are_called_differently(wishes in commands()) {
        let mut seen = BTreeSet::new();
        for (parent, name) in read(&after(&wishes).1).into_values() {
            prop_assert!(seen.insert((parent, fold(&name))));
        }
    }

    #[test]
    fn a_tree_from_a_snapshot_decides_alike(wishes in commands(), next in commands()) {
        let (tree, _) = after(&wishes);
        let stored = serde_json::to_vec(&tree).unwrap();
        let loaded: Categories = serde_json::from_slice(&stored).unwrap();
        prop_assert_eq!(&loaded, &tree);
        prop_assert_eq!(serde_json::to_vec(&loaded).unwrap(), stored);
        for command in &next {
            let at = Timestamp(0);
            prop_assert_eq!(loaded.decide(ID.0, command, at), tree.decide(ID.0, command, at));
        }
    }

    #[test]
    fn an_accepted_change_has_nothing_left_to_change(wishes in commands(), next in commands()) {
        let (mut tree, _) = after(&wishes);
        for command in &next {
            let Ok(events) = tree.decide(ID.0, command, Timestamp(0)) else { continue };
            events.iter().for_each(|event| tree.evolve(event, Timestamp(0)));
            prop_assert_eq!(tree.decide(ID.0, command, Timestamp(0)), Ok(vec![]));
        }
    }
}
