//! What products refer to by id: partners, brands and the categories of each mall's tree. And each
//! mall's synonyms, which change as seldom.

use domain::{
    CategoryId, MallId, Timestamp, brand, catalog::Event, categories, partner, synonyms,
    synonyms::SynonymGroup,
};
use schemas::{CATALOG, EventMessage, Topic};
use serde::Serialize;
use sqlx::{error::BoxDynError, mysql::MySqlArguments, mysql::MySqlRow};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    column::{Columns, Values, json_size},
    error::Error,
    fact::{EventHead, Fact, Logged},
    projection::{Fault, Projection, follows},
};

mod naming;
mod queries;
mod tree;
mod values;

pub use queries::{by_id, by_ids, by_keys, categories, page, suspended, tree_version};
pub use tree::Tree;
pub use values::{EntryKind, EntryState};

/// A partner, a brand, a category or a mall's synonyms: the table's columns and the JSON answer. A field that its
/// kind does not have is left out.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EntryRow {
    /// Its id.
    pub id: Uuid,
    /// What it is.
    #[schema(value_type = String, example = "brand")]
    pub kind: EntryKind,
    /// The mall that it belongs to.
    #[schema(value_type = String)]
    pub mall: MallId,
    /// Its number in another system: of partners and brands, and not for a storefront.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The category that it stands below: of categories that are not outermost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<CategoryId>,
    /// Its place among those beside it, the lowest first: of categories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// Words that mean the same: of synonyms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<SynonymGroup>>,
    /// The name.
    pub name: String,
    /// ACTIVE, SUSPENDED or RETIRED.
    #[schema(value_type = String, example = "ACTIVE")]
    pub state: EntryState,
    /// How many events have made it what it is; of a category, its whole tree.
    pub version: i64,
    /// When it came into the catalog.
    pub registered_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl EntryRow {
    /// The key of its row.
    pub fn key(&self) -> Uuid {
        key_of(&self.mall, self.kind, self.id)
    }

    /// What a buyer may see of it: nothing where it is out of use, and no number of the merchant's.
    pub fn for_buyers(self) -> Option<Self> {
        self.is_for_buyers().then_some(Self { external_id: None, ..self })
    }

    /// Whether a buyer may see any of it.
    pub fn is_for_buyers(&self) -> bool {
        self.state == EntryState::Active
    }
}

/// The key of an entry's row. A caller may choose a category's id, so only its mall knows it apart:
/// the same id may be that of another mall's category, or of a brand.
pub fn key_of(mall: &MallId, kind: EntryKind, id: Uuid) -> Uuid {
    match kind {
        EntryKind::Category => {
            domain::id::derive(&["category entry", mall.as_str(), &id.to_string()])
        }
        EntryKind::Partner | EntryKind::Brand | EntryKind::Synonyms => id,
    }
}

/// What a mall's synonyms are called.
const SYNONYMS: &str = "synonyms";

/// The read model.
pub struct Directory;

impl Projection for Directory {
    type State = EntryRow;
    type Row = EntryRow;

    const NAME: &'static str = "directory";
    const TOPICS: &'static [Topic] = &[CATALOG.events];
    const CREATE: &'static str = "CREATE TABLE IF NOT EXISTS {table} (
        entry_key BINARY(16) NOT NULL PRIMARY KEY,
        id BINARY(16) NOT NULL,
        kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        mall VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        external_id MEDIUMTEXT,
        parent_id BINARY(16),
        position BIGINT,
        word_groups MEDIUMTEXT,
        name MEDIUMTEXT NOT NULL,
        state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        version BIGINT NOT NULL,
        registered_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        KEY by_kind (mall, kind, id),
        KEY by_state (mall, kind, state),
        KEY by_version (mall, kind, version)
    ) DEFAULT CHARSET = utf8mb4";
    const LOAD: &'static str = "SELECT * FROM {table} WHERE entry_key IN ({values})";
    const STORE: &'static str = "INSERT INTO {table} (entry_key, id, kind, mall, external_id, parent_id, \
        position, word_groups, name, state, version, registered_at, updated_at) \
        VALUES {values} AS new ON DUPLICATE KEY UPDATE parent_id = new.parent_id, \
        position = new.position, word_groups = new.word_groups, \
        name = new.name, state = new.state, version = new.version, updated_at = new.updated_at";
    const WIDTH: usize = 13;

    fn key(logged: &Logged) -> Result<Option<Uuid>, Fault> {
        let aggregate = logged.aggregate()?;
        Ok(match &logged.fact {
            Fact::Event(EventMessage { origin, body: Event::Categories(event), .. }) => {
                Some(key_of(&origin.mall, EntryKind::Category, category(event).0))
            }
            fact => aggregate.filter(|_| {
                fact.event_head()
                    .is_some_and(|head| matches!(head.kind, "partner" | "brand" | "synonyms"))
            }),
        })
    }

    fn apply(row: Option<EntryRow>, logged: &Logged) -> Result<EntryRow, Fault> {
        let head = logged.fact.event_head();
        let Some(head) = head else { return Err(Fault::Unknown("no event".to_owned())) };
        let at = row.as_ref().map_or(0, |row| row.version);
        // A tree's versions are those of all its categories.
        let is_category = head.kind == "categories";
        match at < head.version {
            true if is_category => {}
            _ => follows(at, head.version)?,
        }
        let begun = row.or_else(|| begin(head, &logged.fact));
        let mut row =
            begun.ok_or_else(|| Fault::Unknown("a history without a begin".to_owned()))?;
        (row.version, row.updated_at) = (head.version, head.time);
        if let Fact::Event(event) = &logged.fact {
            change(&mut row, &event.body);
        }
        Ok(row)
    }

    fn read(row: &MySqlRow) -> Result<(Uuid, EntryRow), Error> {
        read(row).map(|row| (row.key(), row))
    }

    fn rows(state: &EntryRow) -> &[EntryRow] {
        std::slice::from_ref(state)
    }

    fn write(row: &EntryRow, to: &mut MySqlArguments) -> Result<(), BoxDynError> {
        let mut values = Values(to);
        values.uuid(&row.key())?.uuid(&row.id)?.add(row.kind.as_str())?.add(row.mall.as_str())?;
        values.add(row.external_id.as_deref())?;
        values.add(row.parent_id.as_ref().map(|id| id.0.as_bytes().as_slice()))?;
        let groups = row.groups.as_ref().map(serde_json::to_string).transpose()?;
        values.add(row.position)?.add(groups)?.add(&*row.name)?.add(row.state.as_str())?;
        values.add(row.version)?.add(row.registered_at.0)?.add(row.updated_at.0)?;
        Ok(())
    }

    fn size(row: &EntryRow) -> usize {
        500 + row.groups.as_ref().map_or(0, json_size)
            + row.name.len()
            + row.external_id.as_ref().map_or(0, String::len)
    }
}

fn begin(head: EventHead<'_>, fact: &Fact) -> Option<EntryRow> {
    let Fact::Event(event) = fact else { return None };
    let aggregate = head.origin.aggregate;
    let (kind, id, name, external_id) = match &event.body {
        Event::Partner(partner::Event::PartnerRegistered(fact)) => {
            (EntryKind::Partner, aggregate, &fact.name, fact.external_id.clone())
        }
        Event::Brand(brand::Event::BrandRegistered(fact)) => {
            (EntryKind::Brand, aggregate, &fact.name, fact.external_id.clone())
        }
        Event::Categories(categories::Event::CategoryAdded(fact)) => {
            (EntryKind::Category, fact.category_id.0, &fact.name, None)
        }
        Event::Synonyms(_) => (EntryKind::Synonyms, aggregate, &SYNONYMS.to_owned(), None),
        _ => return None,
    };
    Some(EntryRow {
        id,
        kind,
        mall: head.origin.mall.clone(),
        external_id,
        parent_id: None,
        position: None,
        groups: None,
        name: name.clone(),
        state: EntryState::Active,
        version: head.version,
        registered_at: head.time,
        updated_at: head.time,
    })
}

fn change(row: &mut EntryRow, event: &Event) {
    use {brand::Event as OfBrand, categories::Event as OfTree, partner::Event as OfPartner};
    match event {
        Event::Product(_)
        | Event::Partner(OfPartner::PartnerRegistered(_))
        | Event::Brand(OfBrand::BrandRegistered(_)) => {}
        Event::Partner(OfPartner::PartnerSuspended(_)) => row.state = EntryState::Suspended,
        Event::Partner(OfPartner::PartnerReinstated(_))
        | Event::Brand(OfBrand::BrandReinstated(_)) => row.state = EntryState::Active,
        Event::Brand(OfBrand::BrandRenamed(fact)) => row.name.clone_from(&fact.name),
        Event::Brand(OfBrand::BrandRetired(_)) | Event::Categories(OfTree::CategoryRetired(_)) => {
            row.state = EntryState::Retired;
        }
        Event::Synonyms(synonyms::Event::SynonymsSet(fact)) => {
            row.groups = Some(fact.groups.clone());
        }
        Event::Categories(OfTree::CategoryAdded(fact)) => {
            (row.parent_id, row.position) = (fact.parent_id, fact.position);
        }
        Event::Categories(OfTree::CategoryRenamed(fact)) => row.name.clone_from(&fact.name),
        Event::Categories(OfTree::CategoryMoved(fact)) => {
            (row.parent_id, row.position) = (fact.parent_id, fact.position);
        }
    }
}

fn category(event: &categories::Event) -> CategoryId {
    match event {
        categories::Event::CategoryAdded(fact) => fact.category_id,
        categories::Event::CategoryRenamed(fact) => fact.category_id,
        categories::Event::CategoryMoved(fact) => fact.category_id,
        categories::Event::CategoryRetired(fact) => fact.category_id,
    }
}

fn groups(text: &str) -> Result<Vec<SynonymGroup>, Error> {
    serde_json::from_str(text).map_err(|why| Error::corrupt("word_groups", why))
}

fn read(row: &MySqlRow) -> Result<EntryRow, Error> {
    let columns = Columns(row);
    Ok(EntryRow {
        id: columns.uuid("id")?,
        kind: columns.text("kind")?,
        mall: columns.mall("mall")?,
        external_id: columns.get("external_id")?,
        parent_id: columns.optional_uuid("parent_id")?.map(CategoryId),
        position: columns.get("position")?,
        groups: columns.get::<Option<&str>>("word_groups")?.map(groups).transpose()?,
        name: columns.get("name")?,
        state: columns.text("state")?,
        version: columns.get("version")?,
        registered_at: columns.time("registered_at")?,
        updated_at: columns.time("updated_at")?,
    })
}

#[cfg(test)]
mod tests {
    use domain::{
        brand::{BrandRegistered, BrandRenamed, BrandRetired},
        categories::{CategoryAdded, CategoryRenamed},
    };

    use super::*;
    use crate::given::{event, folded, id, registered};

    fn brand(fact: impl Into<brand::Event>) -> Event {
        Event::Brand(fact.into())
    }

    fn tree(fact: impl Into<categories::Event>) -> Event {
        Event::Categories(fact.into())
    }

    fn added(number: u128) -> Event {
        let category_id = CategoryId(id(number));
        let name = format!("category {number}");
        tree(CategoryAdded { category_id, parent_id: None, name, position: Some(3) })
    }

    #[test]
    fn a_brand_is_what_its_events_made_it_and_products_are_left_out() {
        let name = |name: &str| name.to_owned();
        let states = folded::<Directory>(vec![
            event(1, 1, 11, brand(BrandRegistered { external_id: None, name: name("한샘") })),
            event(2, 1, 12, registered("lamp")),
            event(1, 2, 13, brand(BrandRenamed { name: name("Hanssem"), previous: name("한샘") })),
            event(1, 3, 14, brand(BrandRetired {})),
        ])
        .unwrap();
        assert_eq!(states.len(), 1);
        let row = states[&id(1)].as_ref().unwrap();
        assert_eq!((&*row.name, row.state, row.version), ("Hanssem", EntryState::Retired, 3));
    }

    #[test]
    fn each_category_of_a_tree_has_a_row() {
        let (category_id, previous) = (CategoryId(id(7)), "category 7".to_owned());
        let renamed = CategoryRenamed { category_id, name: "가전".to_owned(), previous };
        let facts = vec![
            event(1, 1, 11, added(7)),
            event(1, 2, 12, added(8)),
            event(1, 3, 13, tree(renamed.clone())),
        ];
        let states = folded::<Directory>(facts.clone()).unwrap();
        let mall = "demo".parse().unwrap();
        let key = |number| key_of(&mall, EntryKind::Category, id(number));
        let version = |number| states[&key(number)].as_ref().map(|row| row.version);
        assert_eq!((version(7), version(8)), (Some(3), Some(2)));
        let doubled = [facts, vec![event(1, 3, 14, tree(renamed))]].concat();
        assert_eq!(
            folded::<Directory>(doubled).unwrap_err(),
            (3, Fault::Doubled { at: 3, found: 3 })
        );
    }
}
