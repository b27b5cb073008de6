//! Whether what a command names is there. A courtesy to the caller: what a command's owner decides
//! depends on its own history alone, and reads join current states.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use domain::{
    BrandId, CategoriesId, CategoryId, PartnerId, ProductId, brand,
    catalog::Command,
    categories, partner,
    product::{self, RegisterProduct},
};
use projections::{
    Tables,
    directory::{self, EntryKind, EntryRow, EntryState, key_of},
    products,
};
use schemas::CommandMessage;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use crate::{
    app::App,
    problem::{ApiError, Fault},
};

/// What was registered a moment ago may not be in the read model yet.
const PATIENCE: Duration = Duration::from_millis(1500);
const AGAIN: Duration = Duration::from_millis(250);

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

    fn fault(&self, kind: EntryKind, id: Uuid, why: &str) -> Fault {
        let of_product = if self.is_feed { "/product" } else { "" };
        let field = match kind {
            EntryKind::Partner => "partner_id",
            EntryKind::Brand => "brand_id",
            EntryKind::Category => "category_ids",
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
    let end = Instant::now() + PATIENCE;
    loop {
        let look_up = timeout_at(end, look_up(app, &named, shown)).await;
        let Ok(Ok(found)) = look_up else {
            let error = look_up.ok().and_then(Result::err).map(|error| error.to_string());
            tracing::warn!(error, "what commands refer to was not looked up");
            return nothing;
        };
        let lacking: Vec<Uuid> = found.iter().flatten().map(|(key, _)| *key).collect();
        let is_hopeless = lacking.iter().all(|key| shown.absent.contains(key));
        if !is_hopeless && Instant::now() + AGAIN < end {
            sleep(AGAIN).await;
            continue;
        }
        if !is_hopeless && !is_known(app) {
            return nothing;
        }
        shown.absent.extend(lacking);
        let faults = |found: Vec<(Uuid, Fault)>| found.into_iter().map(|(_, fault)| fault);
        return found.into_iter().map(|found| faults(found).collect()).collect();
    }
}

/// Whether what is not in the read models has not happened: they were behind by less than was
/// waited.
fn is_known(app: &App) -> bool {
    let is_near = |lag: Option<f64>| lag.is_some_and(|lag| lag < 1.0);
    ["directory", "command_status"].iter().all(|name| is_near(app.lags.of(name)))
}

type Named<'m> = (&'m CommandMessage, References<'m>);

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
    let keys: Vec<Uuid> =
        keys.difference(&shown.announced.iter().copied().collect()).copied().collect();
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
                _ if shown.announced.contains(&key) => continue,
                Some(EntryState::Active) => continue,
                Some(_) if references.is_feed && is_there => continue,
                Some(state) => format!("is {state}"),
                None => "is unknown in this mall".to_owned(),
            };
            faults.push((key, references.fault(kind, id, &why)));
        }
        faults
    };
    Ok(named.iter().map(faults).collect())
}
