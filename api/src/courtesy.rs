//! Whether what a command names is there. A courtesy to the caller: what a command's owner decides
//! depends on its own history alone, and reads join current states.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use domain::{
    BrandId, CategoriesId, CategoryId, MallId, PartnerId, ProductId, brand,
    catalog::Command,
    categories, partner,
    product::{self, RegisterProduct},
};
use projections::{
    Tables,
    directory::{self, EntryKind, EntryRow, EntryState, key_of},
    products,
};
use schemas::{CATALOG, CommandMessage, Topic, partition_of, topic::PARTITIONS};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::{
    app::App,
    freshness::ASK,
    problem::{ApiError, Fault},
};

/// What was registered a moment ago may not be in the read model yet.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What a command refers to.
#[derive(Default)]
struct References<'c> {
    partner: Option<PartnerId>,
    brand: Option<BrandId>,
    categories: &'c [CategoryId],
    is_feed: bool,
}

impl<'c> References<'c> {
    fn of(wish: &'c Command) -> Self {
        use product::Command as C;
        let Command::Product(wish) = wish else { return Self::default() };
        match wish {
            C::RegisterProduct(wish) => Self::of_product(wish),
            C::UpsertProduct(wish) => Self { is_feed: true, ..Self::of_product(&wish.product) },
            C::CategoriseProduct(wish) => {
                Self { categories: &wish.category_ids, ..Self::default() }
            }
            C::AssignBrand(wish) => Self { brand: wish.brand_id, ..Self::default() },
            _ => Self::default(),
        }
    }

    fn of_product(wish: &'c RegisterProduct) -> Self {
        let RegisterProduct { partner_id, brand_id, category_ids, .. } = wish;
        Self { partner: *partner_id, brand: *brand_id, categories: category_ids, is_feed: false }
    }

    fn each(&self) -> impl Iterator<Item = (EntryKind, Uuid)> {
        let partner = self.partner.map(|id| (EntryKind::Partner, id.0));
        let brand = self.brand.map(|id| (EntryKind::Brand, id.0));
        let categories = self.categories.iter().map(|id| (EntryKind::Category, id.0));
        partner.into_iter().chain(brand).chain(categories)
    }

    /// The aggregates that what is named belongs to.
    fn aggregates(&self, mall: &MallId) -> impl Iterator<Item = Uuid> {
        let partner = self.partner.map(|id| id.0);
        let brand = self.brand.map(|id| id.0);
        let tree = (!self.categories.is_empty()).then(|| CategoriesId::of(mall).0);
        [partner, brand, tree].into_iter().flatten()
    }

    fn fault(&self, kind: EntryKind, id: Uuid, why: &str) -> Fault {
        let of_product = if self.is_feed { "/product" } else { "" };
        let field = match kind {
            EntryKind::Partner => "partner_id",
            EntryKind::Brand => "brand_id",
            EntryKind::Category | EntryKind::Synonyms => "category_ids",
        };
        Fault { pointer: format!("{of_product}/{field}"), detail: format!("{kind} {id} {why}") }
    }
}

/// What the commands of one request have shown of the directory so far.
#[derive(Default)]
pub(crate) struct Shown {
    /// What earlier ones bring into it.
    announced: HashSet<Uuid>,
    /// What was waited for in vain, and is not waited for again.
    absent: HashSet<Uuid>,
}

impl Shown {
    /// Notes what a command is about to bring into the directory.
    pub(crate) fn announce(&mut self, message: &CommandMessage) {
        let (mall, id) = (&message.origin.mall, message.origin.aggregate);
        let entry = match &message.body {
            Command::Partner(partner::Command::RegisterPartner(_)) => (EntryKind::Partner, id),
            Command::Brand(brand::Command::RegisterBrand(_)) => (EntryKind::Brand, id),
            Command::Categories(categories::Command::AddCategory(wish)) => {
                let derived = || CategoryId::of(CategoriesId(id), wish.parent_id, &wish.name);
                (EntryKind::Category, wish.category_id.unwrap_or_else(derived).0)
            }
            _ => return,
        };
        self.announced.insert(key_of(mall, entry.0, entry.1));
    }
}

/// Refuses a command that names what the mall does not have, or has taken out of use. Where that
/// cannot be found out, the command goes on.
pub(crate) async fn references_exist(app: &App, message: &CommandMessage) -> Result<(), ApiError> {
    let faults = unknown_references(app, &[message], &mut Shown::default()).await;
    let faults = faults.into_iter().flatten().collect::<Vec<_>>();
    if faults.is_empty() { Ok(()) } else { Err(ApiError::UnknownReference(faults)) }
}

/// For each of the commands of one mall, in their order, the references that it cannot have; none
/// where that cannot be found out.
pub(crate) async fn unknown_references(
    app: &App,
    messages: &[&CommandMessage],
    shown: &mut Shown,
) -> Vec<Vec<Fault>> {
    let named: Vec<_> = messages.iter().map(|m| (*m, References::of(&m.body))).collect();
    let nothing = vec![vec![]; messages.len()];
    if named.iter().all(|(_, references)| references.each().next().is_none()) {
        return nothing;
    }
    let found = match timeout(PATIENCE, certain(app, &named, shown)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::warn!(%error, "what commands refer to was not looked up");
            return nothing;
        }
        Err(_) => return nothing,
    };
    shown.absent.extend(found.iter().flatten().map(|(key, _)| *key));
    let faults = |found: Vec<(Uuid, Fault)>| found.into_iter().map(|(_, fault)| fault).collect();
    found.into_iter().map(faults).collect()
}

type Named<'m> = (&'m CommandMessage, References<'m>);

/// The faults of each command, even as seen after all that was decided before this request.
async fn certain(
    app: &App,
    named: &[Named<'_>],
    shown: &Shown,
) -> Result<Vec<Vec<(Uuid, Fault)>>, projections::Error> {
    let found = look_up(app, named, shown).await?;
    let is_new = |found: &[(Uuid, Fault)]| found.iter().any(|(key, _)| !shown.absent.contains(key));
    let doubtful = named.iter().zip(&found).filter(|(_, found)| is_new(found));
    let doubtful: Vec<&Named<'_>> = doubtful.map(|(named, _)| named).collect();
    if doubtful.is_empty() {
        return Ok(found);
    }
    let partition = |aggregate: Uuid| partition_of(&aggregate.to_string(), PARTITIONS);
    let aggregates = doubtful.iter().flat_map(|(m, r)| r.aggregates(&m.origin.mall));
    let theirs = aggregates.map(partition).collect::<BTreeSet<_>>();
    let own = doubtful.iter().map(|(message, _)| partition(message.origin.aggregate));
    let own = own.collect::<BTreeSet<_>>();
    let events = theirs.union(&own).map(|partition| (CATALOG.events.name, *partition));
    let decisions = own.iter().map(|partition| (CATALOG.decisions.name, *partition));
    app.ends.look_again(&events.chain(decisions).collect::<Vec<_>>()).await;
    let tables = Tables::active(&app.db).await?;
    let of = |projection| (projection, tables.version(projection));
    for partition in theirs {
        caught_up(app, of("directory"), &[CATALOG.events], partition).await?;
    }
    // A retry is answered as it was decided, though what it names is gone since.
    let both = [CATALOG.events, CATALOG.decisions];
    for partition in own {
        caught_up(app, of("command_status"), &both, partition).await?;
    }
    look_up(app, named, shown).await
}

/// Waits until a read model shows everything of these topics up to their present ends.
async fn caught_up(
    app: &App,
    version: (&'static str, i32),
    topics: &[Topic],
    partition: i32,
) -> Result<(), projections::Error> {
    let end = |topic: &Topic| app.ends.end(topic.name, partition).unwrap_or(i64::MAX);
    let ends: Vec<(&str, i64)> = topics.iter().map(|topic| (topic.name, end(topic))).collect();
    loop {
        let stored = app.checkpoints.of(&app.db, version, partition).await?;
        // The marker of the last transaction is nothing to apply.
        if ends.iter().all(|(topic, end)| stored.next(topic) + 1 >= *end) {
            return Ok(());
        }
        sleep(ASK).await;
    }
}

/// The faults of each command, with the key of what it names; one question for all of them, and
/// one more where a feed names what is out of use.
async fn look_up(
    app: &App,
    named: &[Named<'_>],
    shown: &Shown,
) -> Result<Vec<Vec<(Uuid, Fault)>>, projections::Error> {
    let tables = Tables::active(&app.db).await?;
    let key = |m: &CommandMessage, (kind, id)| key_of(&m.origin.mall, kind, id);
    let keys: BTreeSet<Uuid> =
        named.iter().flat_map(|(m, r)| r.each().map(move |entry| key(m, entry))).collect();
    let keys: Vec<Uuid> = keys.into_iter().collect();
    let mut connection = app.db.acquire().await?;
    let entries = directory::by_keys(&mut connection, &tables, &keys).await?;
    let entries: HashMap<Uuid, EntryRow> = entries.into_iter().map(|e| (e.key(), e)).collect();
    let is_retired = |key: Uuid| entries.get(&key).is_some_and(|e| e.state != EntryState::Active);
    let feeds = named.iter().filter(|(m, r)| r.is_feed && r.each().any(|e| is_retired(key(m, e))));
    let feeds: Vec<ProductId> = feeds.map(|(m, _)| ProductId(m.origin.aggregate)).collect();
    let fed = products::by_ids(&mut connection, &tables, &feeds).await?;
    drop(connection);
    let faults = |(message, references): &Named<'_>| {
        // A feed goes on to tell of products that refer to what is retired since before.
        let is_there = fed
            .iter()
            .any(|row| row.id.0 == message.origin.aggregate && row.mall == message.origin.mall);
        let mut faults = vec![];
        for (kind, id) in references.each() {
            let key = key(message, (kind, id));
            let why = match entries.get(&key).map(|entry| entry.state) {
                Some(EntryState::Active) => continue,
                Some(_) if references.is_feed && is_there => continue,
                Some(state) => format!("is {state}"),
                // A registration brings in what is absent; it makes nothing usable again.
                None if shown.announced.contains(&key) => continue,
                None => "is unknown in this mall".to_owned(),
            };
            faults.push((key, references.fault(kind, id, &why)));
        }
        faults
    };
    Ok(named.iter().map(faults).collect())
}
