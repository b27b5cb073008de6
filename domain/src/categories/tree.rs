//! The tree itself, with what keeps questions to it cheap.

use std::iter;

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};
use serde::{Deserialize, Serialize};

use super::{CategoryAdded, DEEPEST};
use crate::CategoryId;

/// Persistent maps, so that a clone shares all and a change copies one path.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Nodes", into = "Nodes")]
pub(super) struct Tree {
    nodes: Nodes,
    /// The folded names of the live children of each parent.
    names: RedBlackTreeSetSync<(Option<CategoryId>, String)>,
}

type Nodes = RedBlackTreeMapSync<CategoryId, Node>;

/// A category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<CategoryId>,
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) retired: bool,
    /// How many live categories stand below, per level. Not stored: it follows from the others.
    #[serde(skip)]
    below: [u32; DEEPEST],
}

impl Node {
    /// How many levels of live categories stand below.
    pub(super) fn height(&self) -> usize {
        self.below.iter().take_while(|count| **count > 0).count()
    }

    /// The category itself, and the levels below it.
    fn levels(&self) -> Vec<u32> {
        iter::once(1).chain(self.below).collect()
    }
}

impl From<&CategoryAdded> for Node {
    fn from(fact: &CategoryAdded) -> Self {
        Self {
            parent: fact.parent_id,
            name: fact.name.clone(),
            position: fact.position,
            retired: false,
            below: [0; DEEPEST],
        }
    }
}

impl Tree {
    /// How many categories there ever were.
    pub(super) fn len(&self) -> usize {
        self.nodes.size()
    }

    pub(super) fn get(&self, id: CategoryId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// Whether a live child of `parent` is called `name`, spelt in whatever way.
    pub(super) fn has_child(&self, parent: Option<CategoryId>, name: &str) -> bool {
        self.names.contains(&(parent, fold(name)))
    }

    /// The category `from` and all above it.
    pub(super) fn upwards(
        &self,
        from: Option<CategoryId>,
    ) -> impl Iterator<Item = (CategoryId, &Node)> {
        let node = |id| self.get(id).map(|node| (id, node));
        iter::successors(from.and_then(node), move |(_, below)| below.parent.and_then(node))
            .take(DEEPEST)
    }

    pub(super) fn put(&mut self, id: CategoryId, node: Node) {
        self.nodes.insert_mut(id, node);
        self.attach(id);
    }

    /// Takes the category out of its place, changes it, and puts it where it belongs then.
    pub(super) fn change(&mut self, id: CategoryId, change: impl FnOnce(&mut Node)) {
        self.detach(id);
        if let Some(node) = self.nodes.get_mut(&id) {
            change(node);
        }
        self.attach(id);
    }

    fn attach(&mut self, id: CategoryId) {
        if let Some(node) = self.get(id).filter(|node| !node.retired).cloned() {
            self.weigh(&node, &node.levels(), u32::saturating_add);
            self.names.insert_mut((node.parent, fold(&node.name)));
        }
    }

    fn detach(&mut self, id: CategoryId) {
        if let Some(node) = self.get(id).filter(|node| !node.retired).cloned() {
            self.weigh(&node, &node.levels(), u32::saturating_sub);
            self.names.remove_mut(&(node.parent, fold(&node.name)));
        }
    }

    /// Adds `levels`, or takes them away, at each category above `node`.
    fn weigh(&mut self, node: &Node, levels: &[u32], change: fn(u32, u32) -> u32) {
        let above: Vec<CategoryId> = self.upwards(node.parent).map(|(id, _)| id).collect();
        for (distance, id) in above.into_iter().enumerate() {
            if let Some(ancestor) = self.nodes.get_mut(&id) {
                let below = ancestor.below.iter_mut().skip(distance);
                below.zip(levels).for_each(|(count, by)| *count = change(*count, *by));
            }
        }
    }
}

impl From<Nodes> for Tree {
    fn from(nodes: Nodes) -> Self {
        let mut tree = Self { nodes: nodes.clone(), ..Self::default() };
        for node in nodes.values().filter(|node| !node.retired) {
            tree.weigh(node, &[1], u32::saturating_add);
            tree.names.insert_mut((node.parent, fold(&node.name)));
        }
        tree
    }
}

impl From<Tree> for Nodes {
    fn from(tree: Tree) -> Self {
        tree.nodes
    }
}

/// A name as siblings compare it: without regard to case and to how much white space there is.
pub(super) fn fold(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
