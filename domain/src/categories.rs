//! A mall's category tree. An invariant over the whole, no cycle, makes it one aggregate.

mod messages;
mod rejection;
mod tree;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use messages::*;
pub use rejection::Rejection;

use self::tree::{Node, Tree, fold};
use crate::{Aggregate, CategoriesId, CategoryId, Timestamp};

/// How many categories may stand above one another, the outermost included.
pub const DEEPEST: usize = 10;

/// How many categories a tree may ever have, retired ones included: its state is stored as a whole.
pub const MOST: usize = 20_000;

/// The tree as its commands need it. Deciding, taking in a fact and cloning cost no more in a
/// tree of 10,000 than in one of 10, but for a logarithm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Categories {
    tree: Tree,
}

type Decided = Result<Vec<Event>, Rejection>;

impl Aggregate for Categories {
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, id: Uuid, command: &Command, _: Timestamp) -> Decided {
        match command {
            Command::AddCategory(wish) => self.add(CategoriesId(id), wish),
            Command::RenameCategory(wish) => self.rename(wish),
            Command::MoveCategory(wish) => self.relocate(wish),
            Command::RetireCategory(wish) => self.retire(wish.category_id),
        }
    }

    fn evolve(&mut self, event: &Event, _: Timestamp) {
        match event {
            Event::CategoryAdded(fact) => self.tree.put(fact.category_id, Node::from(fact)),
            Event::CategoryRenamed(fact) => {
                self.tree.change(fact.category_id, |node| node.name.clone_from(&fact.name));
            }
            Event::CategoryMoved(fact) => self.tree.change(fact.category_id, |node| {
                node.parent = fact.parent_id;
                node.position = fact.position;
            }),
            Event::CategoryRetired(fact) => {
                self.tree.change(fact.category_id, |node| node.retired = true);
            }
        }
    }
}

impl Categories {
    fn add(&self, tree: CategoriesId, wish: &AddCategory) -> Decided {
        check_name(&wish.name)?;
        let derived = || CategoryId::of(tree, wish.parent_id, &wish.name);
        let category_id = wish.category_id.unwrap_or_else(derived);
        if let Some(node) = self.tree.get(category_id) {
            let is_same = !node.retired
                && node.parent == wish.parent_id
                && node.name == wish.name
                && wish.position.is_none_or(|position| node.position == Some(position));
            return if is_same { Ok(vec![]) } else { Err(Rejection::IdTaken(category_id)) };
        }
        if self.tree.len() >= MOST {
            return Err(Rejection::TreeFull);
        }
        self.check_place(wish.parent_id, &wish.name, 0)?;
        let (parent_id, name, position) = (wish.parent_id, wish.name.clone(), wish.position);
        Ok(vec![CategoryAdded { category_id, parent_id, name, position }.into()])
    }

    fn rename(&self, wish: &RenameCategory) -> Decided {
        let node = self.live(wish.category_id)?;
        check_name(&wish.name)?;
        if wish.name == node.name {
            return Ok(vec![]);
        }
        if fold(&wish.name) != fold(&node.name) {
            self.check_free(node.parent, &wish.name)?;
        }
        let (name, previous) = (wish.name.clone(), node.name.clone());
        Ok(vec![CategoryRenamed { category_id: wish.category_id, name, previous }.into()])
    }

    fn relocate(&self, wish: &MoveCategory) -> Decided {
        let (category_id, parent_id) = (wish.category_id, wish.parent_id);
        let node = self.live(category_id)?;
        let position = wish.position.or(node.position);
        if parent_id == node.parent && position == node.position {
            return Ok(vec![]);
        }
        if parent_id != node.parent {
            if self.tree.upwards(parent_id).any(|(id, _)| id == category_id) {
                return Err(Rejection::Cycle);
            }
            self.check_place(parent_id, &node.name, node.height())?;
        }
        let previous_parent_id = node.parent;
        Ok(vec![CategoryMoved { category_id, parent_id, position, previous_parent_id }.into()])
    }

    fn retire(&self, category_id: CategoryId) -> Decided {
        let node = self.tree.get(category_id).ok_or(Rejection::NotFound)?;
        match (node.retired, node.height()) {
            (true, _) => Ok(vec![]),
            (false, 0) => Ok(vec![CategoryRetired { category_id }.into()]),
            (false, _) => Err(Rejection::HasChildren),
        }
    }

    fn live(&self, id: CategoryId) -> Result<&Node, Rejection> {
        let node = self.tree.get(id).ok_or(Rejection::NotFound)?;
        if node.retired { Err(Rejection::Retired) } else { Ok(node) }
    }

    /// Whether a category with `height` levels below it may stand there.
    fn check_place(
        &self,
        parent: Option<CategoryId>,
        name: &str,
        height: usize,
    ) -> Result<(), Rejection> {
        if let Some(id) = parent {
            self.live(id).map_err(|_| Rejection::UnknownParent(id))?;
        }
        if self.tree.upwards(parent).count() + 1 + height > DEEPEST {
            return Err(Rejection::TooDeep);
        }
        self.check_free(parent, name)
    }

    fn check_free(&self, parent: Option<CategoryId>, name: &str) -> Result<(), Rejection> {
        if self.tree.has_child(parent, name) {
            return Err(Rejection::DuplicateName(name.to_owned()));
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), Rejection> {
    if name.trim().is_empty() { Err(Rejection::BlankName) } else { Ok(()) }
}
