//! Whether what a command names is there. A courtesy to the caller: what a command's owner decides
//! depends on its own history alone, and reads join current states.

use std::time::Duration;

use domain::{
    BrandId, CategoriesId, CategoryId, MallId, PartnerId, ProductId,
    catalog::Command,
    product::{self, RegisterProduct},
};
use projections::{
    Tables, checkpoint,
    directory::{self, EntryKind, EntryRow, EntryState, key_of},
    products,
};
use schemas::{CATALOG, CommandMessage, Topic, partition_of, topic::PARTITIONS};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::{
    app::App,
    problem::{ApiError, Fault},
};

/// How long a command waits for read models that are behind.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How often their checkpoints are asked for meanwhile.
const AGAIN: Duration = Duration::from_millis(10);

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

    fn is_empty(&self) -> bool {
        self.partner.is_none() && self.brand.is_none() && self.categories.is_empty()
    }
}

/// Refuses a command that names what the mall does not have, or has taken out of use. Where that
/// cannot be found out, the command goes on.
pub(crate) async fn references_exist(app: &App, message: &CommandMessage) -> Result<(), ApiError> {
    let references = References::of(&message.body);
    if references.is_empty() {
        return Ok(());
    }
    match timeout(PATIENCE, references.certain_faults(app, message)).await {
        Ok(Ok(faults)) if faults.is_empty() => Ok(()),
        Ok(Ok(faults)) => Err(ApiError::UnknownReference(faults)),
        Ok(Err(error)) => {
            tracing::warn!(%error, "what a command refers to was not looked up");
            Ok(())
        }
        Err(_) => Ok(()),
    }
}

/// Waits until a read model shows everything of these topics up to their present ends, in the
/// partition of an aggregate.
async fn shown(
    app: &App,
    (projection, version): (&str, i32),
    topics: &[Topic],
    aggregate: Uuid,
) -> Result<(), projections::Error> {
    let partition = partition_of(&aggregate.to_string(), PARTITIONS);
    let end = |topic: &Topic| app.ends.end(topic.name, partition).unwrap_or(i64::MAX);
    let ends: Vec<(&str, i64)> = topics.iter().map(|topic| (topic.name, end(topic))).collect();
    loop {
        let stored = checkpoint::read(&app.db, projection, version, partition).await?;
        let stored = stored.unwrap_or_default();
        // The marker of the last transaction is nothing to apply.
        if ends.iter().all(|(topic, end)| stored.next(topic) + 1 >= *end) {
            return Ok(());
        }
        sleep(AGAIN).await;
    }
}

async fn is_there(
    app: &App,
    tables: &Tables,
    message: &CommandMessage,
) -> Result<bool, projections::Error> {
    let id = ProductId(message.origin.aggregate);
    Ok(products::by_id(&app.db, tables, &message.origin.mall, id).await?.is_some())
}

impl References<'_> {
    /// What is wrong, even as seen after all that was decided before this request.
    async fn certain_faults(
        &self,
        app: &App,
        message: &CommandMessage,
    ) -> Result<Vec<Fault>, projections::Error> {
        let faults = self.faults(app, message).await?;
        if faults.is_empty() {
            return Ok(faults);
        }
        app.ends.look_again().await;
        let tables = Tables::active(&app.db).await?;
        let of = |projection| (projection, tables.version(projection));
        for aggregate in self.aggregates(&message.origin.mall) {
            shown(app, of("directory"), &[CATALOG.events], aggregate).await?;
        }
        // A retry is answered as it was decided, though what it names is gone since.
        let both = [CATALOG.events, CATALOG.decisions];
        shown(app, of("command_status"), &both, message.origin.aggregate).await?;
        self.faults(app, message).await
    }

    /// The aggregates that what is named belongs to.
    fn aggregates(&self, mall: &MallId) -> impl Iterator<Item = Uuid> {
        let partner = self.partner.map(|id| id.0);
        let brand = self.brand.map(|id| id.0);
        let tree = (!self.categories.is_empty()).then(|| CategoriesId::of(mall).0);
        [partner, brand, tree].into_iter().flatten()
    }

    async fn faults(
        &self,
        app: &App,
        message: &CommandMessage,
    ) -> Result<Vec<Fault>, projections::Error> {
        let tables = Tables::active(&app.db).await?;
        let partner = self.partner.map(|id| (EntryKind::Partner, id.0));
        let brand = self.brand.map(|id| (EntryKind::Brand, id.0));
        let categories = self.categories.iter().map(|id| (EntryKind::Category, id.0));
        let wanted: Vec<_> = partner.into_iter().chain(brand).chain(categories).collect();
        let mall = &message.origin.mall;
        let keys: Vec<Uuid> = wanted.iter().map(|&(kind, id)| key_of(mall, kind, id)).collect();
        let mut connection = app.db.acquire().await?;
        let entries = directory::by_keys(&mut connection, &tables, &keys).await?;
        drop(connection);
        let mut faults = vec![];
        for (kind, id) in wanted {
            let is_meant =
                |entry: &&EntryRow| entry.mall == *mall && entry.kind == kind && entry.id == id;
            match entries.iter().find(is_meant).map(|entry| entry.state) {
                Some(EntryState::Active) => {}
                None => faults.push(self.fault(kind, id, "is unknown in this mall")),
                // A feed goes on to tell of products that refer to it since before.
                Some(_) if self.is_feed && is_there(app, &tables, message).await? => {}
                Some(state) => faults.push(self.fault(kind, id, &format!("is {state}"))),
            }
        }
        Ok(faults)
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
