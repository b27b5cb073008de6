//! Whether what a command names is there. A courtesy to the caller: what a command's owner decides
//! depends on its own history alone, and reads join current states.

use std::time::Duration;

use domain::{
    BrandId, CategoryId, PartnerId, ProductId,
    catalog::Command,
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
    let end = Instant::now() + PATIENCE;
    loop {
        let faults = match timeout_at(end, references.faults(app, message)).await {
            Ok(Ok(faults)) => faults,
            Ok(Err(error)) => {
                tracing::warn!(%error, "what a command refers to was not looked up");
                return Ok(());
            }
            Err(_) => return Ok(()),
        };
        if faults.is_empty() {
            return Ok(());
        }
        if Instant::now() + AGAIN >= end {
            return if is_known(app) { Err(ApiError::UnknownReference(faults)) } else { Ok(()) };
        }
        sleep(AGAIN).await;
    }
}

/// Whether what is not in the read models has not happened: they were behind by less than was
/// waited.
fn is_known(app: &App) -> bool {
    let is_near = |lag: Option<f64>| lag.is_some_and(|lag| lag < 1.0);
    ["directory", "command_status"].iter().all(|name| is_near(app.lags.of(name)))
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
