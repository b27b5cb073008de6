//! Which projections a process knows: ours, or those of the team whose process it is. What it does
//! not know it neither feeds, compares, swaps nor drops, so two that share a database do not meet.

use std::{collections::BTreeSet, sync::OnceLock};

use crate::{
    command_status::CommandStatus, directory::Directory, error::Error, history::History,
    products::Products, projection::AnyProjection, search, snapshot::Snapshot,
};

/// Every projection of this build. Each is a set of its own in `active`.
pub const ALL: [&dyn AnyProjection; 5] =
    [&Products, &Directory, &CommandStatus, &Snapshot, &History];

/// Projections that live as long as the process.
pub type Projections = &'static [&'static dyn AnyProjection];

static KNOWN: OnceLock<Projections> = OnceLock::new();

/// The name of a table is at most 64 characters, and the number of a version stands behind it.
const LONGEST: usize = 50;

/// The projections that this process knows: [`ALL`], unless it was told others.
pub fn known() -> Projections {
    KNOWN.get_or_init(|| &ALL)
}

/// The projection called `name`, of those that this process knows.
pub fn named(name: &str) -> Option<&'static dyn AnyProjection> {
    known().iter().copied().find(|projection| projection.name() == name)
}

/// Lets this process know `projections` instead of [`ALL`]: to be called before anything else.
///
/// # Errors
/// [`Error::NotOwn`] for a name that is one of ours, comes twice or is none of a table, and where
/// the process has looked at what it knows before.
pub fn know_only(projections: Projections) -> Result<(), Error> {
    let names: Vec<&str> = projections.iter().map(|projection| projection.name()).collect();
    check(&names)?;
    let late = |_| Error::NotOwn(names.join(", "), "is told too late");
    KNOWN.set(projections).map_err(late)
}

fn check(names: &[&str]) -> Result<(), Error> {
    let mut taken: BTreeSet<&str> = ALL.iter().map(|ours| ours.name()).collect();
    taken.insert(search::PROJECTION);
    for name in names {
        let is_text = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let refuse = |why| Err(Error::NotOwn((*name).to_owned(), why));
        if name.is_empty() || name.len() > LONGEST || !name.chars().all(is_text) {
            return refuse("is not 1 to 50 of a-z, 0-9 and _");
        }
        if !taken.insert(name) {
            return refuse("is the name of another");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_has_a_name_of_its_own() {
        assert!(check(&["lowest_price", "lowest_price2"]).is_ok());
        let long = "a".repeat(LONGEST + 1);
        for names in
            [&["twice", "twice"][..], &["products"], &["search"], &["Price"], &[""], &[&long]]
        {
            assert!(check(names).is_err(), "{names:?}");
        }
    }

    #[test]
    fn nobody_is_told_too_late() {
        assert_eq!(known().len(), ALL.len());
        assert!(know_only(&[]).is_err());
        assert!(named("products").is_some() && named("lowest_price").is_none());
    }
}
